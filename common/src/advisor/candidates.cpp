// SPDX-License-Identifier: PostgreSQL
#include "candidates.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "candidates_covering.h"
#include "candidates_kinds.h"
#include "index_kind.h"
#include "match.h"

namespace upkeep::advisor {

namespace {

// Equality columns beyond these (rarest first) are not paired with each other.
constexpr size_t kMaxPairedColumns = 8;
// Candidates of one relation that are merged with each other.
constexpr size_t kMaxParents = 40;
// Shapes of one relation that may name candidates; the work grows with shapes x candidates.
constexpr size_t kMaxShapes = 400;

/// Equal uses of a relation by one or many statements.
struct Shape {
    const RelationUse* use = nullptr;
    double importance = 0;  // weighted baseline cost of the statements
    size_t statements = 0;
};

/// Everything the generators may look at.
struct Input {
    RelationId id = -1;
    const Relation& relation;
    std::vector<Shape> shapes;
    std::map<int, size_t> popularity;  // equality column -> statements that compare it
    int max_columns = 3;
    bool has_nulls_order = false;
};

/// Specs in the order in which they were first met, each once.
class Pool {
  public:
    void Add(IndexSpec spec) {
        if (!spec.keys.empty() && seen_.insert(Key(spec)).second) {
            specs_.push_back(std::move(spec));
        }
    }
    const std::vector<IndexSpec>& specs() const { return specs_; }

  private:
    using SpecKey = std::tuple<IndexKind, std::vector<std::tuple<int, std::string, bool, bool>>,
                               std::vector<int>, std::string>;
    static SpecKey Key(const IndexSpec& spec) {
        std::vector<std::tuple<int, std::string, bool, bool>> keys;
        for (const IndexKey& key : spec.keys) {
            keys.emplace_back(key.column, key.expression + " " + key.opclass, key.descending,
                              key.nulls_first);
        }
        return {spec.kind, std::move(keys), spec.include, spec.predicate};
    }
    std::vector<IndexSpec> specs_;
    std::set<SpecKey> seen_;
};

bool IsOrderable(const Relation& relation, int column) {
    return column >= 0 && static_cast<size_t>(column) < relation.columns.size() &&
           relation.columns[static_cast<size_t>(column)].is_orderable;
}

/// Words that DDL needs beyond the column names.
int DirectionWords(const std::vector<IndexKey>& keys) {
    int words = 0;
    for (const IndexKey& key : keys) {
        words += (key.descending ? 1 : 0) + (key.nulls_first != key.descending ? 1 : 0);
    }
    return words;
}

/// The order as index keys, in the simpler of the two directions a B-tree can be read.
std::vector<IndexKey> OrderKeys(const std::vector<SortKey>& order, const std::vector<int>& fixed,
                                const Input& in) {
    std::vector<IndexKey> keys;
    for (const SortKey& sort : order) {
        const bool is_repeated =
            std::any_of(keys.begin(), keys.end(),
                        [&](const IndexKey& key) { return key.column == sort.column; }) ||
            std::find(fixed.begin(), fixed.end(), sort.column) != fixed.end();
        if (is_repeated) {
            continue;
        }
        if (!IsOrderable(in.relation, sort.column)) {
            break;
        }
        keys.push_back({sort.column, "", sort.descending,
                        in.has_nulls_order ? sort.nulls_first : sort.descending});
    }
    std::vector<IndexKey> flipped = Flipped(keys);
    return DirectionWords(flipped) < DirectionWords(keys) ? flipped : keys;
}

/// Columns of the use compared for equality, the most widely useful first.
std::vector<const Predicate*> EqualityColumns(const Input& in, const RelationUse& use) {
    std::map<int, const Predicate*> best;
    for (const Predicate& predicate : use.predicates) {
        if (!IsEquality(predicate.op) || !IsOrderable(in.relation, predicate.column)) {
            continue;
        }
        const Predicate*& known = best[predicate.column];
        if (known == nullptr ||
            SelectivityOf(predicate, in.relation) < SelectivityOf(*known, in.relation)) {
            known = &predicate;
        }
    }
    std::vector<const Predicate*> columns;
    columns.reserve(best.size());
    for (const auto& [column, predicate] : best) {
        columns.push_back(predicate);
    }
    std::stable_sort(columns.begin(), columns.end(), [&](const Predicate* a, const Predicate* b) {
        const size_t popular_a = in.popularity.at(a->column);
        const size_t popular_b = in.popularity.at(b->column);
        return popular_a != popular_b
                   ? popular_a > popular_b
                   : SelectivityOf(*a, in.relation) < SelectivityOf(*b, in.relation);
    });
    return columns;
}

using Columns = std::vector<int>;

void AddJoinHeads(const std::vector<const Predicate*>& equal, size_t limit,
                  std::vector<Columns>* heads) {
    for (const Predicate* join : equal) {
        if (join->op != Operator::kJoin) {
            continue;
        }
        Columns first = {join->column};
        Columns last;
        for (const Predicate* other : equal) {
            if (other != join && first.size() < limit) {
                first.push_back(other->column);
            }
            if (other != join && last.size() + 1 < limit) {
                last.push_back(other->column);
            }
        }
        last.push_back(join->column);
        heads->push_back(std::move(first));
        heads->push_back(std::move(last));
    }
}

/// Useful sequences of equality columns, the empty one included.
std::vector<Columns> Heads(const std::vector<const Predicate*>& equal, size_t max_columns) {
    std::vector<Columns> heads = {{}};
    Columns prefix;
    Columns constants;  // without the joins: what a scan can use on its own
    for (const Predicate* predicate : equal) {
        heads.push_back({predicate->column});
        if (prefix.size() < max_columns) {
            prefix.push_back(predicate->column);
            heads.push_back(prefix);
        }
        if (predicate->op != Operator::kJoin && constants.size() < max_columns) {
            constants.push_back(predicate->column);
            heads.push_back(constants);
        }
    }
    if (max_columns >= 2) {
        const size_t paired = std::min(equal.size(), kMaxPairedColumns);
        for (size_t i = 0; i < paired; ++i) {
            for (size_t j = i + 1; j < paired; ++j) {
                heads.push_back({equal[i]->column, equal[j]->column});
            }
        }
    }
    AddJoinHeads(equal, max_columns, &heads);
    return heads;
}

void AddSequence(const Input& in, const Columns& head, const std::vector<IndexKey>& tail,
                 Pool* pool) {
    IndexSpec spec;
    spec.relation = in.id;
    auto add = [&](const IndexKey& key) {
        const bool is_known =
            std::any_of(spec.keys.begin(), spec.keys.end(),
                        [&](const IndexKey& k) { return k.column == key.column; });
        if (!is_known && spec.keys.size() < static_cast<size_t>(in.max_columns)) {
            spec.keys.push_back(key);
        }
    };
    for (const int column : head) {
        add({column, "", false, false});
    }
    for (const IndexKey& key : tail) {
        add(key);
    }
    pool->Add(std::move(spec));
}

/// Equality columns, then nothing, one range, the order, or the grouping.
void GenerateBtree(const Input& in, const RelationUse& use, Pool* pool) {
    const std::vector<const Predicate*> equal = EqualityColumns(in, use);
    std::vector<std::vector<IndexKey>> ranges = {{}};
    for (const Predicate& predicate : use.predicates) {
        if (!IsEquality(predicate.op) && IsOrderable(in.relation, predicate.column)) {
            ranges.push_back({{predicate.column, "", false, false}});
        }
    }
    std::vector<IndexKey> group;
    for (const int column : use.group) {
        if (!IsOrderable(in.relation, column)) {
            break;
        }
        group.push_back({column, "", false, false});
    }
    for (const Columns& head : Heads(equal, static_cast<size_t>(in.max_columns))) {
        for (const std::vector<IndexKey>& range : ranges) {
            AddSequence(in, head, range, pool);
        }
        const std::vector<IndexKey> order = OrderKeys(use.order, head, in);
        if (!order.empty()) {
            AddSequence(in, head, order, pool);
            AddSequence(in, head, {order.front()}, pool);
        }
        AddSequence(in, head, group, pool);
    }
}

/// What covers the use, behind the B-trees that serve it.
void GenerateCovering(const Input& in, const RelationUse& use, Pool* pool) {
    Pool serving;
    GenerateBtree(in, use, &serving);
    for (IndexSpec& spec : CoveringSpecs(in.relation, use, serving.specs(), in.max_columns)) {
        pool->Add(std::move(spec));
    }
}

/// How much of a use an index takes over, 0 (nothing) to about 2. Only orders candidates where a
/// relation has too many of them; never a price.
double Strength(const Match& match) {
    if (match.IsNothing()) {
        return 0;
    }
    const double selectivity = std::max(match.selectivity, 1e-12);
    double strength = 0.05 + 0.5 * (1 - selectivity) + std::min(1.0, -std::log10(selectivity) / 9);
    strength += match.is_whole_order ? 0.5 : 0.05 * static_cast<double>(match.order.size());
    strength += 0.1 * static_cast<double>(match.group.size());
    return strength;
}

/// The best `limit` of `specs`: shapes take turns, the most important first, each naming the
/// candidate that serves it best and is not yet in. So no statement is left without.
std::vector<IndexSpec> TakeTurns(const Input& in, const std::vector<IndexSpec>& specs,
                                 size_t limit) {
    if (specs.size() <= limit) {
        return specs;
    }
    std::vector<double> total(specs.size(), 0);
    std::vector<std::vector<std::pair<double, size_t>>> wishes(in.shapes.size());
    for (size_t s = 0; s < in.shapes.size(); ++s) {
        for (size_t c = 0; c < specs.size(); ++c) {
            const RelationUse& use = *in.shapes[s].use;
            const double strength =
                Strength(MatchUse(specs[c], in.relation, use, in.has_nulls_order)) +
                (specs[c].kind == IndexKind::kCovering && Covers(specs[c], use) ? 0.5 : 0);
            if (strength > 0) {
                total[c] += strength * in.shapes[s].importance;
                wishes[s].emplace_back(strength, c);
            }
        }
    }
    for (auto& wish : wishes) {
        std::sort(wish.begin(), wish.end(), [&](const auto& a, const auto& b) {
            const auto rank = [&](const std::pair<double, size_t>& w) {
                return std::tuple(-std::round(w.first * 1e6), -total[w.second],
                                  specs[w.second].keys.size(), w.second);
            };
            return rank(a) < rank(b);
        });
    }
    std::set<size_t> taken;
    for (size_t turn = 0; taken.size() < limit; ++turn) {
        bool is_any_left = false;
        for (const auto& wish : wishes) {
            if (turn < wish.size() && taken.size() < limit) {
                taken.insert(wish[turn].second);
                is_any_left = true;
            }
        }
        if (!is_any_left) {
            break;
        }
    }
    // The smallest indexes that serve somebody, beyond the limit: under a tight budget they are the
    // ones.
    for (size_t c = 0; c < specs.size(); ++c) {
        if (total[c] > 0 && specs[c].keys.size() == 1 && specs[c].include.empty()) {
            taken.insert(c);
        }
    }
    std::vector<IndexSpec> kept;
    kept.reserve(taken.size());
    for (const size_t c : taken) {
        kept.push_back(specs[c]);
    }
    return kept;
}

/// For two candidates: the keys of one, then what the other has beyond. Serves both statements
/// where the first one's keys are a useful prefix for both.
void AddMerged(const Input& in, const std::vector<IndexSpec>& parents, Pool* pool) {
    for (const IndexSpec& first : parents) {
        for (const IndexSpec& second : parents) {
            IndexSpec merged = first;
            for (const IndexKey& key : second.keys) {
                const bool is_known =
                    std::any_of(merged.keys.begin(), merged.keys.end(),
                                [&](const IndexKey& k) { return k.column == key.column; });
                if (!is_known) {
                    merged.keys.push_back(key);
                }
            }
            if (merged.keys.size() <= static_cast<size_t>(in.max_columns)) {
                pool->Add(std::move(merged));
            }
        }
    }
}

Pool WithoutExisting(const Input& in, const Pool& pool) {
    Pool kept;
    for (const IndexSpec& spec : pool.specs()) {
        const bool is_provided = std::any_of(
            in.relation.indexes.begin(), in.relation.indexes.end(),
            [&](const ExistingIndex& e) { return IsProvidedBy(e, spec, in.has_nulls_order); });
        if (!is_provided) {
            kept.Add(spec);
        }
    }
    return kept;
}

std::vector<IndexSpec> GenerateCoveringFor(const Input& in, size_t limit) {
    Pool pool;
    for (const Shape& shape : in.shapes) {
        GenerateCovering(in, *shape.use, &pool);
    }
    for (IndexSpec& spec : MergedCovering(in.relation, pool.specs())) {
        pool.Add(std::move(spec));
    }
    return TakeTurns(in, WithoutExisting(in, pool).specs(), limit);
}

bool IsWanted(IndexKind kind, const std::vector<IndexKind>& kinds) {
    return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::vector<IndexSpec> GenerateBtreesFor(const Input& in, size_t limit) {
    Pool pool;
    for (const Shape& shape : in.shapes) {
        GenerateBtree(in, *shape.use, &pool);
    }
    pool = WithoutExisting(in, pool);
    if (in.shapes.size() > 1) {
        AddMerged(in, TakeTurns(in, pool.specs(), std::min(limit, kMaxParents)), &pool);
        pool = WithoutExisting(in, pool);
    }
    return TakeTurns(in, pool.specs(), limit);
}

/// All uses of one relation, those of the dearest statements first. Not shapes: two uses of one
/// shape may differ in their constants.
std::vector<const RelationUse*> UsesOf(RelationId id, const Workload& workload) {
    std::vector<std::pair<double, const RelationUse*>> uses;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            if (use.relation == id) {
                uses.emplace_back(item.weight * item.baseline_cost, &use);
            }
        }
    }
    std::stable_sort(uses.begin(), uses.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    uses.resize(std::min(uses.size(), kMaxShapes));
    std::vector<const RelationUse*> sorted;
    sorted.reserve(uses.size());
    for (const auto& [importance, use] : uses) {
        sorted.push_back(use);
    }
    return sorted;
}

/// Kind by kind, each within a limit of its own.
std::vector<IndexSpec> GenerateFor(const Input& in, const CandidateOptions& options,
                                   const WhatIf& port, const Workload& workload) {
    Pool all;
    const auto add = [&](std::vector<IndexSpec> specs) {
        for (IndexSpec& spec : specs) {
            all.Add(std::move(spec));
        }
    };
    if (IsWanted(IndexKind::kBtree, options.kinds)) {
        add(GenerateBtreesFor(in, options.max_per_relation));
    }
    // Without INCLUDE the columns would be keys: a choice of its own, and not made yet.
    if (IsWanted(IndexKind::kCovering, options.kinds) && port.dialect().has_include) {
        add(GenerateCoveringFor(in, options.max_per_relation));
    }
    add(GenerateKinds(port, in.id, UsesOf(in.id, workload), options.max_columns, options.kinds));
    return all.specs();
}

/// Two uses with the same signature are served alike by every index.
std::string Signature(const RelationUse& use) {
    std::string out;
    auto put = [&](auto value) { out += std::to_string(value) + ','; };
    for (const Predicate& p : use.predicates) {
        put(p.column);
        put(static_cast<int>(p.op));
        // Different constants: the same candidates, so only the order of magnitude counts.
        put(p.selectivity > 0 ? static_cast<int>(std::log10(p.selectivity)) : 99);
    }
    out += '|';
    for (const SortKey& key : use.order) {
        put(key.column * 4 + (key.descending ? 2 : 0) + (key.nulls_first ? 1 : 0));
    }
    out += '|';
    for (const int column : use.group) {
        put(column);
    }
    out += '|';
    for (const int column : use.needed) {
        put(column);
    }
    return out;
}

/// Shapes of one relation, the most important first.
std::vector<Shape> ShapesOf(RelationId id, const Workload& workload) {
    std::vector<Shape> shapes;
    std::map<std::string, size_t> known;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            if (use.relation != id) {
                continue;
            }
            const auto [place, is_new] = known.emplace(Signature(use), shapes.size());
            if (is_new) {
                shapes.push_back({&use, 0, 0});
            }
            shapes[place->second].importance += item.weight * item.baseline_cost;
            ++shapes[place->second].statements;
        }
    }
    std::stable_sort(shapes.begin(), shapes.end(),
                     [](const Shape& a, const Shape& b) { return a.importance > b.importance; });
    shapes.resize(std::min(shapes.size(), kMaxShapes));
    return shapes;
}

Input MakeInput(const WhatIf& port, RelationId id, const Workload& workload, int max_columns) {
    Input in{.id = id,
             .relation = port.relation(id),
             .shapes = ShapesOf(id, workload),
             .popularity = {},
             .max_columns = max_columns,
             .has_nulls_order = port.dialect().has_nulls_order};
    for (const Shape& shape : in.shapes) {
        std::set<int> columns;
        for (const Predicate& predicate : shape.use->predicates) {
            if (IsEquality(predicate.op)) {
                columns.insert(predicate.column);
            }
        }
        for (const int column : columns) {
            in.popularity[column] += shape.statements;
        }
    }
    return in;
}

}  // namespace

bool IsProvidedBy(const ExistingIndex& existing, const IndexSpec& spec, bool has_nulls_order) {
    const IndexSpec& have = existing.spec;
    const bool is_btree = have.kind == IndexKind::kBtree || have.kind == IndexKind::kCovering ||
                          have.kind == IndexKind::kExpression;
    if (!is_btree || !have.predicate.empty() || have.keys.size() < spec.keys.size() ||
        !spec.include.empty() || !spec.predicate.empty()) {
        return false;
    }
    auto is_prefix = [&](const std::vector<IndexKey>& keys) {
        for (size_t i = 0; i < keys.size(); ++i) {
            if (!SameKey(keys[i], have.keys[i], has_nulls_order)) {
                return false;
            }
        }
        return true;
    };
    return is_prefix(spec.keys) || is_prefix(Flipped(spec.keys));
}

namespace {

/// Can the candidate matter to this use?
bool IsAskedFor(const IndexSpec& spec, const RelationUse& use) {
    if (IsOfOtherKind(spec)) {
        return ConcernsOtherKind(spec, use);
    }
    return Concerns(spec, use) || (spec.relation == use.relation &&
                                   spec.kind == IndexKind::kCovering && Covers(spec, use));
}

}  // namespace

std::vector<Candidate> GenerateCandidates(const WhatIf& port, const Workload& workload,
                                          const CandidateOptions& options) {
    std::map<RelationId, std::set<size_t>> users;
    for (size_t i = 0; i < workload.items.size(); ++i) {
        for (const RelationUse& use : workload.items[i].statement.uses) {
            if (port.relation(use.relation).no_index_because.empty()) {
                users[use.relation].insert(i);
            }
        }
    }
    std::vector<Candidate> candidates;
    for (const auto& [id, items] : users) {
        const Input in = MakeInput(port, id, workload, options.max_columns);
        for (IndexSpec& spec : GenerateFor(in, options, port, workload)) {
            Candidate candidate{std::move(spec), {}};
            for (const size_t i : items) {
                const std::vector<RelationUse>& uses = workload.items[i].statement.uses;
                if (std::any_of(uses.begin(), uses.end(), [&](const RelationUse& use) {
                        return IsAskedFor(candidate.spec, use);
                    })) {
                    candidate.items.push_back(i);
                }
            }
            if (!candidate.items.empty()) {
                candidates.push_back(std::move(candidate));
            }
        }
    }
    return candidates;
}

std::vector<IndexKind> PricedKinds(const WhatIf& port) {
    std::vector<IndexKind> kinds;
    for (const IndexKind kind : AllKinds()) {
        if (!port.WhyNoKind(kind)) {
            kinds.push_back(kind);
        }
    }
    return kinds;
}

}  // namespace upkeep::advisor
