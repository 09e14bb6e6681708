// What a plan costs: VM steps + 5 x page requests, from a cardinality model over the tree of
// EXPLAIN QUERY PLAN with the selectivity of each literal taken from the sample.
// Source of the weights: measured, sqlite-notes 2.4 (steps + k pages, k = 2..20, orders 97 % of
// plan pairs as the wall clock does; about 11 ns a step).
// Not for: choosing plans (the planner does).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan.h"
#include "recorder.h"
#include "sql_text.h"
#include "statistics.h"

namespace upkeep::sqlite {

inline constexpr double kPageWeight = 5;

/// A term with what the sample says about it.
struct PricedTerm {
    Term term;
    double share = 1;     // rows that satisfy it
    RowSet rows;          // which of the sample; empty: not known by row
    double in_count = 1;  // values in an IN list
};

/// A mention of a table with its statistics.
struct PricedMention {
    std::string alias;  // lower case
    std::string table;  // lower case
    Statistics* statistics = nullptr;
    std::vector<CatalogColumn> columns;
    std::vector<PricedTerm> terms;
    std::vector<std::vector<PricedTerm>> branches;
    std::vector<int> group;
    size_t needed = 0;
};

/// A statement as pricing sees it.
struct PricedStatement {
    std::vector<PricedMention> mentions;
    TextFacts text;
    bool is_write = false;
    double indexes_on_written = 0;  // existing ones, maintained by each written row
};

/// Looks the terms up in the sample. `columns` of the mention's table.
PricedMention PriceMention(const Mention& mention, const std::vector<CatalogColumn>& columns,
                           Statistics* statistics, const TextFacts& text);

/// Of each index that the plan may name (by name as in the plan).
using IndexShapes = std::map<std::string, IndexShape>;

/// Total cost; fills steps, pages and rows of the nodes.
double PricePlan(std::vector<PlanNode>* plan, const PricedStatement& statement,
                 const IndexShapes& indexes);

}  // namespace upkeep::sqlite
