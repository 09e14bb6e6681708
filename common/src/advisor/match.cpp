// SPDX-License-Identifier: PostgreSQL
#include "match.h"

#include <algorithm>

namespace upkeep::advisor {

namespace {

// Used only where neither the port nor the statistics say anything; PostgreSQL assumes the same
// orders of magnitude (0.5 % for equality, a third for an open range).
constexpr double kUnknownEquality = 0.005;
constexpr double kUnknownRange = 0.33;

const Predicate* MostSelective(const RelationUse& use, const Relation& relation, int column,
                               bool equality) {
    const Predicate* best = nullptr;
    if (column < 0) {
        return best;  // an expression: a later kind
    }
    for (const Predicate& predicate : use.predicates) {
        if (predicate.column == column && IsEquality(predicate.op) == equality &&
            (best == nullptr ||
             SelectivityOf(predicate, relation) < SelectivityOf(*best, relation))) {
            best = &predicate;
        }
    }
    return best;
}

/// Order keys that still matter once the columns compared for equality are constant.
std::vector<const SortKey*> OpenOrder(const RelationUse& use, const Match& match) {
    std::vector<const SortKey*> open;
    for (const SortKey& key : use.order) {
        const bool is_fixed =
            std::any_of(match.equal.begin(), match.equal.end(),
                        [&](const Predicate* p) { return p->column == key.column; });
        if (!is_fixed) {
            open.push_back(&key);
        }
    }
    return open;
}

void MatchOrder(const IndexSpec& spec, const RelationUse& use, bool has_nulls_order, Match* match) {
    const std::vector<const SortKey*> open = OpenOrder(use, *match);
    bool is_flipped = false;
    for (size_t i = 0; i < open.size() && match->equal.size() + i < spec.keys.size(); ++i) {
        const IndexKey& key = spec.keys[match->equal.size() + i];
        const SortKey& sort = *open[i];
        const IndexKey wanted{sort.column, "", sort.descending, sort.nulls_first};
        const IndexKey backwards{sort.column, "", !sort.descending, !sort.nulls_first};
        const bool fits = SameKey(key, wanted, has_nulls_order);
        const bool fits_backwards = SameKey(key, backwards, has_nulls_order);
        if (i == 0) {
            is_flipped = !fits && fits_backwards;
        }
        if (!(is_flipped ? fits_backwards : fits)) {
            break;
        }
        match->order.push_back(&sort);
    }
    match->is_whole_order = !open.empty() && match->order.size() == open.size();
}

}  // namespace

bool IsEquality(Operator op) {
    return op == Operator::kEqual || op == Operator::kIn || op == Operator::kIsNull ||
           op == Operator::kJoin;
}

bool Holds(const IndexSpec& spec, int column) {
    return std::any_of(spec.keys.begin(), spec.keys.end(),
                       [&](const IndexKey& key) { return key.column == column; }) ||
           std::find(spec.include.begin(), spec.include.end(), column) != spec.include.end();
}

bool IsOrderable(const Relation& relation, int column) {
    return column >= 0 && static_cast<size_t>(column) < relation.columns.size() &&
           relation.columns[static_cast<size_t>(column)].is_orderable;
}

double SelectivityOf(const Predicate& predicate, const Relation& relation) {
    if (predicate.selectivity >= 0) {
        return std::min(predicate.selectivity, 1.0);
    }
    if (!IsEquality(predicate.op)) {
        return kUnknownRange;
    }
    const double distinct = relation.columns[static_cast<size_t>(predicate.column)].distinct_count;
    return distinct >= 1 ? 1 / distinct : kUnknownEquality;
}

bool SameKey(const IndexKey& a, const IndexKey& b, bool has_nulls_order) {
    return a.column == b.column && a.expression == b.expression && a.descending == b.descending &&
           (!has_nulls_order || a.nulls_first == b.nulls_first);
}

std::vector<IndexKey> Flipped(std::vector<IndexKey> keys) {
    for (IndexKey& key : keys) {
        key.descending = !key.descending;
        key.nulls_first = !key.nulls_first;
    }
    return keys;
}

bool Concerns(const IndexSpec& spec, const RelationUse& use) {
    if (spec.relation != use.relation || spec.keys.empty()) {
        return false;
    }
    const int column = spec.keys.front().column;
    return std::any_of(use.predicates.begin(), use.predicates.end(),
                       [&](const Predicate& p) { return p.column == column; }) ||
           std::any_of(use.order.begin(), use.order.end(),
                       [&](const SortKey& key) { return key.column == column; }) ||
           std::find(use.group.begin(), use.group.end(), column) != use.group.end();
}

Match MatchUse(const IndexSpec& spec, const Relation& relation, const RelationUse& use,
               bool has_nulls_order) {
    Match match;
    if (spec.relation != use.relation) {
        return match;
    }
    for (const IndexKey& key : spec.keys) {
        const Predicate* equal = MostSelective(use, relation, key.column, true);
        if (equal == nullptr) {
            break;
        }
        match.equal.push_back(equal);
        match.selectivity *= SelectivityOf(*equal, relation);
    }
    if (match.equal.size() == spec.keys.size()) {
        return match;
    }
    MatchOrder(spec, use, has_nulls_order, &match);
    match.range =
        MostSelective(use, relation, spec.keys[match.equal.size()].column, /*equality=*/false);
    if (match.range != nullptr) {
        match.selectivity *= SelectivityOf(*match.range, relation);
    }
    for (size_t i = match.equal.size(); i < spec.keys.size(); ++i) {
        const int column = spec.keys[i].column;
        if (std::find(use.group.begin(), use.group.end(), column) == use.group.end()) {
            break;
        }
        match.group.push_back(column);
    }
    return match;
}

}  // namespace upkeep::advisor
