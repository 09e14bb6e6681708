// SPDX-License-Identifier: PostgreSQL
#include "candidates_kinds.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "match.h"

namespace upkeep::advisor {

namespace {

// A condition that keeps more of the table than this makes no partial index.
constexpr double kRareShare = 0.2;
// A state is rare beside the others: where all values are alike, one index serves each of them, and
// the constant of the statement is an example.
constexpr double kRareBesideOthers = 0.5;
// Of a column with more NULLs than this, those that are not are worth an index of their own.
constexpr double kManyNulls = 0.5;
// A constant of a column with more values than this names a thing, not a state: an index for it
// alone would serve one statement of many.
constexpr double kMostStates = kMostStatesOfColumn;
constexpr std::string_view kNotNull = " IS NOT NULL";
// A column that the workload compares with more constants than this is asked for any value: one
// index over all of it serves them, where each constant would want one of its own.
constexpr size_t kMostConstants = 4;
// Each visible candidate costs planning time.
constexpr size_t kMostOfKind = 24;
// Equality columns beyond these, rarest first, are left out of the mixes; expressions never are.
constexpr size_t kMostAtoms = 8;
constexpr size_t kMostRanges = 4;

/// One thing a B-tree key can be compared by: a column or an expression.
struct Atom {
    IndexKey key;
    double selectivity = 1;
};

using Keys = std::vector<IndexKey>;

bool SameTarget(const IndexKey& a, const IndexKey& b) {
    return a.column == b.column && a.expression == b.expression;
}

bool Has(const Keys& keys, const IndexKey& key) {
    return std::any_of(keys.begin(), keys.end(),
                       [&](const IndexKey& known) { return SameTarget(known, key); });
}

bool Contains(const std::vector<int>& columns, int column) {
    return std::find(columns.begin(), columns.end(), column) != columns.end();
}

/// What a use compares and sorts, apart from the columns that a predicate makes constant.
class Parts {
  public:
    Parts(const Relation& relation, const RelationUse& use, const std::vector<int>& fixed,
          bool has_expressions, bool has_nulls_order) {
        for (const Predicate& p : use.predicates) {
            if (IsOrderable(relation, p.column) && !Contains(fixed, p.column)) {
                Add({{p.column, "", false, false}, SelectivityOf(p, relation)}, p.op);
            }
        }
        for (const KindCondition& c : use.conditions) {
            if (has_expressions && c.kind == IndexKind::kExpression) {
                Add({{-1, c.sql, false, false}, c.selectivity < 0 ? 0.005 : c.selectivity}, c.op);
            }
        }
        std::stable_sort(equal_.begin(), equal_.end(), [](const Atom& a, const Atom& b) {
            return a.selectivity < b.selectivity;
        });
        Shorten();
        AddOrder(relation, use, fixed, has_nulls_order);
    }

    /// Key lists worth trying, at most `most` keys each.
    std::vector<Keys> Sequences(size_t most) const {
        std::vector<Keys> heads = {{}};
        Keys all;
        for (const Atom& atom : equal_) {
            all.push_back(atom.key);
        }
        heads.push_back(all);
        for (const IndexKey& first : all) {
            heads.push_back({first});
            Keys rotated = {first};
            for (const IndexKey& key : all) {
                if (!SameTarget(key, first)) {
                    rotated.push_back(key);
                }
            }
            heads.push_back(std::move(rotated));
        }
        std::vector<Keys> sequences;
        for (const Keys& head : heads) {
            Put(head, {}, most, &sequences);
            for (const IndexKey& range : ranges_) {
                Put(head, {range}, most, &sequences);
            }
            Put(head, order_, most, &sequences);
        }
        return sequences;
    }

  private:
    void Add(Atom atom, Operator op) {
        if (!IsEquality(op)) {
            if (!Has(ranges_, atom.key)) {
                ranges_.push_back(std::move(atom.key));
            }
            return;
        }
        for (Atom& known : equal_) {
            if (SameTarget(known.key, atom.key)) {
                known.selectivity = std::min(known.selectivity, atom.selectivity);
                return;
            }
        }
        equal_.push_back(std::move(atom));
    }

    void Shorten() {
        size_t columns = 0;
        std::erase_if(equal_, [&](const Atom& atom) {
            return atom.key.column >= 0 && ++columns > kMostAtoms;
        });
        columns = 0;
        std::erase_if(ranges_, [&](const IndexKey& key) {
            return key.column >= 0 && ++columns > kMostRanges;
        });
        equal_.resize(std::min(equal_.size(), 2 * kMostAtoms));
        ranges_.resize(std::min(ranges_.size(), 2 * kMostRanges));
    }

    void AddOrder(const Relation& relation, const RelationUse& use, const std::vector<int>& fixed,
                  bool has_nulls_order) {
        for (const SortKey& sort : use.order) {
            if (Contains(fixed, sort.column)) {
                continue;
            }
            if (!IsOrderable(relation, sort.column)) {
                break;
            }
            const bool nulls_first = has_nulls_order ? sort.nulls_first : sort.descending;
            order_.push_back({sort.column, "", sort.descending, nulls_first});
        }
        const auto words = [](const Keys& keys) {
            return std::count_if(keys.begin(), keys.end(), [](const IndexKey& key) {
                return key.descending || key.nulls_first;
            });
        };
        if (const Keys flipped = Flipped(order_); words(flipped) < words(order_)) {
            order_ = flipped;
        }
    }

    static void Put(const Keys& head, const Keys& tail, size_t most, std::vector<Keys>* out) {
        Keys keys;
        for (const Keys* part : {&head, &tail}) {
            for (const IndexKey& key : *part) {
                if (keys.size() < most && !Has(keys, key)) {
                    keys.push_back(key);
                }
            }
        }
        if (!keys.empty() && std::find(out->begin(), out->end(), keys) == out->end()) {
            out->push_back(std::move(keys));
        }
    }

    std::vector<Atom> equal_;
    Keys ranges_;
    Keys order_;
};

class Generator {
  public:
    Generator(const WhatIf& port, RelationId id, int max_columns,
              const std::vector<IndexKind>& kinds)
        : port_(port),
          id_(id),
          relation_(port.relation(id)),
          most_(static_cast<size_t>(max_columns)),
          kinds_(kinds) {
        for (const IndexKind kind : {IndexKind::kPartial, IndexKind::kExpression, IndexKind::kGin,
                                     IndexKind::kBrin, IndexKind::kTrigram}) {
            const bool is_wanted =
                kinds_.empty() || std::find(kinds_.begin(), kinds_.end(), kind) != kinds_.end();
            allowed_[kind] = is_wanted && !port_.WhyNoKind(kind);
        }
    }

    /// To be told of all uses before the first is added.
    void Count(const RelationUse& use) {
        for (const KindCondition& c : use.conditions) {
            if (c.kind == IndexKind::kPartial && c.op != Operator::kIsNull) {
                constants_[c.columns].insert(c.sql);
            }
        }
    }

    void AddUse(const RelationUse& use) {
        if (Allows(IndexKind::kExpression)) {
            AddExpressions(use);
        }
        if (Allows(IndexKind::kPartial)) {
            AddPartial(use);
            AddNotNull(use);
        }
        for (const KindCondition& c : use.conditions) {
            const bool is_single = c.kind == IndexKind::kGin || c.kind == IndexKind::kTrigram ||
                                   c.kind == IndexKind::kBrin;
            if (is_single && Allows(c.kind)) {
                IndexKey key{c.sql.empty() ? c.column : -1, c.sql, false, false};
                key.opclass = c.opclass;
                Add(c.kind, {std::move(key)}, "", {});
            }
        }
    }
    std::vector<IndexSpec> Take() { return std::move(specs_); }

  private:
    bool Allows(IndexKind kind) const { return allowed_.at(kind); }

    void Add(IndexKind kind, Keys keys, const std::string& predicate, std::vector<int> columns) {
        IndexSpec spec;
        spec.relation = id_;
        spec.kind = kind;
        spec.keys = std::move(keys);
        spec.predicate = predicate;
        spec.predicate_columns = std::move(columns);
        if (count_[kind] < kMostOfKind &&
            std::find(specs_.begin(), specs_.end(), spec) == specs_.end()) {
            ++count_[kind];
            specs_.push_back(std::move(spec));
        }
    }

    Parts PartsOf(const RelationUse& use, const std::vector<int>& fixed) const {
        return {relation_, use, fixed, Allows(IndexKind::kExpression),
                port_.dialect().has_nulls_order};
    }

    void AddExpressions(const RelationUse& use) {
        const bool is_any =
            std::any_of(use.conditions.begin(), use.conditions.end(),
                        [](const KindCondition& c) { return c.kind == IndexKind::kExpression; });
        if (!is_any || count_[IndexKind::kExpression] >= kMostOfKind) {
            return;
        }
        for (Keys& keys : PartsOf(use, {}).Sequences(most_)) {
            const bool is_plain = std::all_of(keys.begin(), keys.end(),
                                              [](const IndexKey& key) { return key.column >= 0; });
            if (!is_plain) {
                Add(IndexKind::kExpression, std::move(keys), "", {});
            }
        }
    }

    /// A rare state that statements name by a constant.
    bool IsRareState(const KindCondition& c) const {
        if (c.kind != IndexKind::kPartial) {
            return false;
        }
        double most = kRareShare;
        if (c.op != Operator::kIsNull) {
            if (constants_.at(c.columns).size() > kMostConstants) {
                return false;
            }
            for (const int column : c.columns) {
                const double distinct =
                    relation_.columns[static_cast<size_t>(column)].distinct_count;
                if (distinct <= 0 || distinct > kMostStates) {
                    return false;
                }
                most = std::min(most, kRareBesideOthers / distinct);
            }
        }
        return c.selectivity >= 0 && c.selectivity <= most;
    }

    void AddPartial(const RelationUse& use) {
        for (const KindCondition& c : use.conditions) {
            if (!IsRareState(c) || count_[IndexKind::kPartial] >= kMostOfKind) {
                continue;
            }
            // What the predicate fixes needs no key.
            std::vector<int> fixed;
            for (const Predicate& p : use.predicates) {
                if (Contains(c.columns, p.column) && IsEquality(p.op) && p.op != Operator::kJoin) {
                    fixed.push_back(p.column);
                }
            }
            std::vector<Keys> sequences = PartsOf(use, fixed).Sequences(most_);
            if (sequences.empty()) {
                for (const int column : c.columns) {
                    if (IsOrderable(relation_, column)) {
                        sequences.push_back({{column, "", false, false}});
                        break;
                    }
                }
            }
            for (Keys& keys : sequences) {
                Add(IndexKind::kPartial, std::move(keys), c.sql, c.columns);
            }
        }
    }

    /// Every comparison but IS NULL says that its column is not NULL, whatever the value.
    void AddNotNull(const RelationUse& use) {
        for (const Predicate& p : use.predicates) {
            if (!IsOrderable(relation_, p.column) || p.op == Operator::kIsNull ||
                count_[IndexKind::kPartial] >= kMostOfKind ||
                relation_.columns[static_cast<size_t>(p.column)].null_ratio < kManyNulls) {
                continue;
            }
            const std::string predicate =
                port_.Quote(relation_.columns[static_cast<size_t>(p.column)].name) +
                std::string(kNotNull);
            for (Keys& keys : PartsOf(use, {}).Sequences(most_)) {
                if (keys.front().column == p.column) {
                    Add(IndexKind::kPartial, std::move(keys), predicate, {p.column});
                }
            }
        }
    }

    const WhatIf& port_;
    RelationId id_;
    const Relation& relation_;
    size_t most_;
    const std::vector<IndexKind>& kinds_;
    std::vector<IndexSpec> specs_;
    std::map<IndexKind, size_t> count_;
    std::map<IndexKind, bool> allowed_;
    std::map<std::vector<int>, std::set<std::string>> constants_;
};

bool IsNotNullOnly(const IndexSpec& spec) {
    return spec.predicate_columns.size() == 1 && spec.predicate.size() > kNotNull.size() &&
           std::string_view(spec.predicate).substr(spec.predicate.size() - kNotNull.size()) ==
               kNotNull;
}

/// Is the index's WHERE among what the use says, or may it follow from it?
bool MayImply(const RelationUse& use, const IndexSpec& spec) {
    const auto shares_column = [&](const std::vector<int>& columns) {
        return std::any_of(columns.begin(), columns.end(),
                           [&](int column) { return Contains(spec.predicate_columns, column); });
    };
    return std::any_of(use.conditions.begin(), use.conditions.end(),
                       [&](const KindCondition& c) {
                           return c.kind == IndexKind::kPartial && shares_column(c.columns);
                       }) ||
           (IsNotNullOnly(spec) &&
            std::any_of(use.predicates.begin(), use.predicates.end(), [&](const Predicate& p) {
                return p.op != Operator::kIsNull && p.column == spec.predicate_columns.front();
            }));
}

bool IsFor(const KindCondition& c, const IndexSpec& spec, const IndexKey& key) {
    if (c.kind == IndexKind::kPartial) {
        return !spec.predicate.empty() && c.sql == spec.predicate;
    }
    const bool is_key = c.sql.empty() ? c.column == key.column : c.sql == key.expression;
    if (c.kind == IndexKind::kExpression) {
        return is_key && key.column < 0 && key.opclass.empty();
    }
    return is_key && c.kind == spec.kind && (key.opclass.empty() || key.opclass == c.opclass);
}

}  // namespace

std::vector<IndexSpec> GenerateKinds(const WhatIf& port, RelationId id,
                                     const std::vector<const RelationUse*>& uses, int max_columns,
                                     const std::vector<IndexKind>& kinds) {
    Generator generator(port, id, max_columns, kinds);
    for (const RelationUse* use : uses) {
        generator.Count(*use);
    }
    for (const RelationUse* use : uses) {
        generator.AddUse(*use);
    }
    return generator.Take();
}

bool IsOfOtherKind(const IndexSpec& spec) {
    return spec.kind != IndexKind::kBtree && spec.kind != IndexKind::kCovering;
}

bool ConcernsOtherKind(const IndexSpec& spec, const RelationUse& use) {
    if (spec.relation != use.relation || spec.keys.empty() ||
        (!spec.predicate.empty() && !MayImply(use, spec))) {
        return false;
    }
    const IndexKey& lead = spec.keys.front();
    const bool is_condition =
        std::any_of(use.conditions.begin(), use.conditions.end(),
                    [&](const KindCondition& c) { return IsFor(c, spec, lead); });
    const bool is_btree = spec.kind == IndexKind::kPartial || spec.kind == IndexKind::kExpression;
    if (is_condition || !is_btree || lead.column < 0) {
        return is_condition;
    }
    return std::any_of(use.predicates.begin(), use.predicates.end(),
                       [&](const Predicate& p) { return p.column == lead.column; }) ||
           std::any_of(use.order.begin(), use.order.end(),
                       [&](const SortKey& key) { return key.column == lead.column; }) ||
           Contains(use.group, lead.column);
}

std::string OtherKindText(const IndexSpec& spec, const RelationUse& use) {
    std::string text;
    std::vector<std::string> seen;
    for (const KindCondition& c : use.conditions) {
        const bool is_for = std::any_of(spec.keys.begin(), spec.keys.end(),
                                        [&](const IndexKey& key) { return IsFor(c, spec, key); });
        if (is_for && std::find(seen.begin(), seen.end(), c.text) == seen.end()) {
            text += (text.empty() ? "" : " and ") + c.text;
            seen.push_back(c.text);
        }
    }
    return text;
}

std::vector<std::string> OtherKindWarnings(const Relation& relation, const IndexSpec& spec) {
    std::vector<std::string> warnings;
    const bool has_expression = std::any_of(spec.keys.begin(), spec.keys.end(),
                                            [](const IndexKey& key) { return key.column < 0; });
    if (has_expression && (spec.kind == IndexKind::kExpression || !spec.predicate.empty())) {
        warnings.push_back("run ANALYZE " + relation.display_name +
                           " once it is built: until then there are no statistics of the "
                           "expression, and the estimate assumes a typical share of rows");
    }
    if (!spec.predicate.empty() && !IsNotNullOnly(spec)) {
        warnings.emplace_back(
            "serves only statements that say its WHERE with these constants: not a parameter in "
            "their place under a generic plan");
    }
    switch (spec.kind) {
        case IndexKind::kGin:
            warnings.emplace_back(
                "GIN: each write of the column adds one entry for each element, and its size is "
                "estimated from a sample");
            break;
        case IndexKind::kTrigram:
            warnings.emplace_back(
                "trigram: patterns without three letters in a row cannot use it, long texts make "
                "it large and writes slow");
            break;
        case IndexKind::kBrin:
            warnings.emplace_back(
                "BRIN: good while rows stand in the order of the column; updates and late "
                "arrivals undo that");
            break;
        default:
            break;
    }
    return warnings;
}

}  // namespace upkeep::advisor
