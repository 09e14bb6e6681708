// SPDX-License-Identifier: PostgreSQL
#include "wrong_order.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "../health/format.h"
#include "../health/index_cover.h"
#include "ddl.h"

namespace upkeep::advisor {

namespace {

// Below this share of the statements' cost another index is not worth its writes.
constexpr double kMinSaved = 0.1;
constexpr double kMuchSaved = 0.5;
// Statements that are planned for the verdict: those that took the most time.
constexpr size_t kMostPlanned = 50;

enum class Vote : uint8_t { kNone, kForOther, kForThis };

bool IsCompared(const RelationUse& use, int column, std::initializer_list<Operator> how) {
    return std::any_of(use.predicates.begin(), use.predicates.end(), [&](const Predicate& one) {
        return one.column == column && std::find(how.begin(), how.end(), one.op) != how.end();
    });
}

bool IsSorted(const RelationUse& use, int column) {
    return std::find(use.group.begin(), use.group.end(), column) != use.group.end() ||
           std::any_of(use.order.begin(), use.order.end(),
                       [&](const SortKey& key) { return key.column == column; });
}

bool HoldsAll(const IndexSpec& index, const std::vector<int>& columns) {
    return std::all_of(columns.begin(), columns.end(), [&](int column) {
        return std::find(index.include.begin(), index.include.end(), column) !=
                   index.include.end() ||
               std::any_of(index.keys.begin(), index.keys.end(),
                           [&](const IndexKey& key) { return key.column == column; });
    });
}

/// What one use of the table says about an index (a, b). Behind one value of b the rows stand in
/// the order of a, so b = … makes (b, a) as good for ranges and sorts of a; behind several values,
/// b IN (…), for ranges only.
Vote VoteOf(const RelationUse& use, const IndexSpec& index) {
    const int first = index.keys[0].column;
    const int second = index.keys[1].column;
    using enum Operator;
    if (IsCompared(use, first, {kEqual, kIn, kIsNull, kJoin})) {
        return Vote::kForThis;
    }
    const bool is_sorted = IsSorted(use, first);
    if (IsCompared(use, second, {kEqual, kIsNull}) ||
        (!is_sorted && IsCompared(use, second, {kIn}))) {
        return Vote::kForOther;
    }
    if (is_sorted || IsCompared(use, first, {kRange, kPrefix})) {
        return Vote::kForThis;
    }
    // min(a), or all that is asked for read from the index alone.
    const bool reads_index =
        use.predicates.empty() && !use.needed.empty() && HoldsAll(index, use.needed);
    return reads_index ? Vote::kForThis : Vote::kNone;
}

/// The statements that would be better served by the other order; none where one needs this order.
std::vector<const WorkloadItem*> Voters(const Workload& workload, const IndexSpec& index) {
    std::vector<const WorkloadItem*> voters;
    for (const WorkloadItem& item : workload.items) {
        bool votes = false;
        for (const RelationUse& use : item.statement.uses) {
            const Vote vote = use.relation == index.relation ? VoteOf(use, index) : Vote::kNone;
            if (vote == Vote::kForThis) {
                return {};
            }
            votes = votes || vote == Vote::kForOther;
        }
        if (votes) {
            voters.push_back(&item);
        }
    }
    return voters;
}

/// Nothing but columns, all rows, and not for the sake of a rule.
bool IsPlain(const ExistingIndex& index) {
    return !index.is_unique && !index.backs_constraint && index.spec.predicate.empty() &&
           index.spec.keys.size() > 1 &&
           std::all_of(index.spec.keys.begin(), index.spec.keys.end(),
                       [](const IndexKey& key) { return key.column >= 0; });
}

bool IsLed(const Relation& relation, int column) {
    return std::any_of(relation.indexes.begin(), relation.indexes.end(),
                       [&](const ExistingIndex& index) {
                           return !index.spec.keys.empty() && index.spec.keys[0].column == column;
                       });
}

/// Deletes in a parent search the children by it, and no captured statement shows that.
bool IsForeignKey(const health::IndexInventory& inventory, const std::string& table,
                  const std::string& column) {
    return std::any_of(inventory.foreign_keys.begin(), inventory.foreign_keys.end(),
                       [&](const health::ForeignKeyFacts& key) {
                           return key.table_name == table &&
                                  std::find(key.columns.begin(), key.columns.end(), column) !=
                                      key.columns.end();
                       });
}

IndexSpec OtherOrder(IndexSpec spec) {
    std::swap(spec.keys[0], spec.keys[1]);
    spec.kind = spec.include.empty() ? IndexKind::kBtree : IndexKind::kCovering;
    return spec;
}

/// Share of the voters' cost that the other order saves, by the host's planner; nullopt: it would
/// not use it.
std::optional<double> SavedBy(WhatIf& port, const std::vector<const WorkloadItem*>& voters,
                              const IndexSpec& other) {
    const Result<IndexId> id = port.Declare(other);
    if (!id.ok()) {
        return std::nullopt;
    }
    const IndexId ids[] = {id.value()};
    double before = 0;
    double after = 0;
    bool is_used = false;
    for (const WorkloadItem* item : voters) {
        CheckStop(port);
        const Result<Price> old_price = port.PriceWith(item->statement.id, {});
        const Result<Price> new_price = port.PriceWith(item->statement.id, ids);
        for (const Result<Price>* price : {&old_price, &new_price}) {
            if (!price->ok() && price->error().code() == Code::kInterrupted) {
                throw Error(price->error());
            }
        }
        if (!old_price.ok() || !new_price.ok()) {
            continue;
        }
        before += item->weight * old_price.value().cost;
        after += item->weight * new_price.value().cost;
        is_used = is_used || !new_price.value().used.empty();
    }
    return is_used && before > 0 ? std::optional(1 - after / before) : std::nullopt;
}

std::string Evidence(const Relation& relation, const IndexSpec& other,
                     const std::vector<const WorkloadItem*>& voters, double saved) {
    const auto name = [&](size_t key) {
        return relation.columns[static_cast<size_t>(other.keys[key].column)].name;
    };
    const bool is_generic = std::any_of(
        voters.begin(), voters.end(), [](const auto* item) { return item->statement.is_generic; });
    return std::to_string(voters.size()) +
           (voters.size() == 1 ? " captured statement compares "
                               : " captured statements compare ") +
           name(0) + " by equality and " + name(1) + " not, and none that was seen needs " +
           name(1) + " first: with (" + name(0) + ", " + name(1) + ") in front the planner saves " +
           health::NumberText(saved * 100, 0) + " % of their cost" +
           (voters.size() > kMostPlanned
                ? " (of the " + std::to_string(kMostPlanned) + " that took the most time)"
                : "") +
           (is_generic ? " (planned without values)" : "") +
           "; the old index may go once its scans have stopped";
}

class Search {
  public:
    Search(WhatIf& port, const Workload& workload, const health::IndexInventory& inventory)
        : port_(port), workload_(workload), inventory_(inventory), writer_(port) {}

    void AddOf(RelationId id, std::vector<health::IndexFinding>* findings) {
        const Relation relation = port_.relation(id);
        if (!relation.no_index_because.empty() ||
            std::none_of(relation.indexes.begin(), relation.indexes.end(), IsPlain)) {
            return;
        }
        const std::vector<health::IndexDescription> described = port_.ExistingIndexes(id);
        for (const ExistingIndex& index : relation.indexes) {
            const auto found =
                std::find_if(described.begin(), described.end(),
                             [&](const auto& one) { return one.name == index.name; });
            if (IsPlain(index) && found != described.end() && IsSimple(index.spec, *found) &&
                MayBeReordered(*found)) {
                Add(relation, index.spec, *found, findings);
            }
        }
    }

  private:
    /// Are its keys what CREATE INDEX makes of the columns alone: no operator class, no collation?
    bool IsSimple(const IndexSpec& spec, const health::IndexDescription& index) const {
        const std::optional<health::IndexDescription> plain = port_.Describe(spec);
        return plain && plain->keys == index.keys;
    }

    void Add(const Relation& relation, const IndexSpec& spec, const health::IndexDescription& index,
             std::vector<health::IndexFinding>* findings) {
        const int second = spec.keys[1].column;
        const auto first = static_cast<size_t>(spec.keys[0].column);
        if (IsLed(relation, second) ||
            IsForeignKey(inventory_, index.table_name, relation.columns[first].name)) {
            return;
        }
        const std::vector<const WorkloadItem*> voters = Voters(workload_, spec);
        if (voters.empty()) {
            return;
        }
        const IndexSpec other = OtherOrder(spec);
        std::vector<const WorkloadItem*> planned = voters;
        std::stable_sort(
            planned.begin(), planned.end(),
            [](const auto* one, const auto* other_one) { return one->weight > other_one->weight; });
        planned.resize(std::min(planned.size(), kMostPlanned));
        const std::optional<double> saved = SavedBy(port_, planned, other);
        if (!saved || *saved < kMinSaved) {
            return;
        }
        health::IndexFinding finding;
        finding.code = "wrong_order";
        finding.severity = *saved >= kMuchSaved ? "medium" : "low";
        finding.table_name = index.table_name;
        finding.index_name = index.name;
        finding.size_bytes = index.size_bytes;
        finding.evidence = Evidence(relation, other, voters, *saved);
        IndexDdl ddl = writer_.Write(other);
        finding.fix_sql = std::move(ddl.create_sql);
        finding.undo_sql = std::move(ddl.drop_sql);
        findings->push_back(std::move(finding));
    }

    WhatIf& port_;
    const Workload& workload_;
    const health::IndexInventory& inventory_;
    DdlWriter writer_;
};

}  // namespace

bool MayBeReordered(const health::IndexDescription& index) {
    return index.keys.size() > 1 && index.access_method == "btree" && index.predicate.empty() &&
           index.is_valid && !index.is_unique && !index.is_clustered && health::IsDroppable(index);
}

Suspects::Suspects(const health::IndexInventory& inventory) {
    for (const health::IndexDescription& index : inventory.indexes) {
        if (MayBeReordered(index) &&
            !IsForeignKey(inventory, index.table_name, index.keys[0].expression)) {
            names_.emplace(index.table_name, index.name);
        }
    }
}

void Suspects::Clear(const WhatIf& port, const WorkloadItem& item) {
    for (const RelationUse& use : item.statement.uses) {
        const Relation& relation = port.relation(use.relation);
        for (const ExistingIndex& index : relation.indexes) {
            const bool is_cleared = !IsPlain(index) || IsLed(relation, index.spec.keys[1].column) ||
                                    VoteOf(use, index.spec) == Vote::kForThis;
            if (is_cleared) {
                names_.erase({relation.display_name, index.name});
            }
        }
    }
}

void FindWrongOrder(WhatIf& port, const Workload& workload, const health::IndexInventory& inventory,
                    std::vector<health::IndexFinding>* findings) {
    std::set<RelationId> relations;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            relations.insert(use.relation);
        }
    }
    Search search(port, workload, inventory);
    for (const RelationId id : relations) {
        search.AddOf(id, findings);
    }
}

}  // namespace upkeep::advisor
