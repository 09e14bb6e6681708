// How a B-tree serves one use of its relation: which keys are compared, which give the order.
// Used to rank candidates and to put reasons into words; prices come from the planner alone.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

struct Match {
    std::vector<const Predicate*> equal;  // one for each leading key compared for equality
    const Predicate* range = nullptr;     // on the key after those
    std::vector<const SortKey*> order;    // leading ORDER BY keys that the index delivers
    bool is_whole_order = false;          // … and those are all there are
    std::vector<int> group;               // grouping columns that come out together
    double selectivity = 1;               // of equal and range together, 0..1

    bool IsNothing() const { return equal.empty() && !range && order.empty() && group.empty(); }
};

bool IsEquality(Operator op);

/// Is it a key or an included column?
bool Holds(const IndexSpec& spec, int column);

/// Is it a column that a B-tree can sort by? Not so for numbers that name no column.
bool IsOrderable(const Relation& relation, int column);

/// Selectivity of one predicate: the port's figure, else from the column's distinct count.
double SelectivityOf(const Predicate& predicate, const Relation& relation);

/// Pointers in the answer point into `use`.
Match MatchUse(const IndexSpec& spec, const Relation& relation, const RelationUse& use,
               bool has_nulls_order);

/// Does the leading column stand in a predicate, join, order or grouping of this use? Only then is
/// the planner asked about the pair (advisor-notes: half of all planner calls elsewhere are
/// wasted).
bool Concerns(const IndexSpec& spec, const RelationUse& use);

/// The same keys read backwards.
std::vector<IndexKey> Flipped(std::vector<IndexKey> keys);

/// Equal column and direction? Where the host has no NULLS FIRST/LAST the null order follows the
/// direction and is not compared.
bool SameKey(const IndexKey& a, const IndexKey& b, bool has_nulls_order);

}  // namespace upkeep::advisor
