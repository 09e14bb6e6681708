// What a plan costs: VM steps + 5 x page requests, from a cardinality model over the tree of
// EXPLAIN QUERY PLAN with the selectivity of each literal taken from the sample.
//
//   price_terms   how many rows the conditions let through
//   price_loop    what one loop reads for that
//   price         loops inside loops, sorting, grouping, LIMIT, subqueries
//
// Source of the weights: measured over pairs of plans: steps + k pages, k = 2..20, orders 97 % of
// them as the wall clock does; about 11 ns a step.
// Not for: choosing plans (the planner does).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "price_loop.h"

namespace upkeep::sqlite {

inline constexpr double kPageWeight = 5;

/// A statement as pricing sees it.
struct PricedStatement {
    std::vector<PricedMention> mentions;
    TextFacts text;
    bool is_write = false;
    double indexes_on_written = 0;  // existing ones, maintained by each written row
};

/// Total cost; fills steps, pages and rows of the nodes.
double PricePlan(std::vector<PlanNode>* plan, const PricedStatement& statement,
                 const IndexShapes& indexes);

/// Rows that come out of the plan (and into the table, for a writing statement).
double PlanRows(std::vector<PlanNode>* plan, const PricedStatement& statement,
                const IndexShapes& indexes);

}  // namespace upkeep::sqlite
