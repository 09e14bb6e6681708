// How many rows a condition lets through: each term with what the sample says about it, and several
// together.
// Not for: what reading those rows costs (price_loop.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "recorder.h"
#include "sql_text.h"
#include "statistics.h"

namespace upkeep::sqlite {

// Rows of what has no statistics: table-valued functions, recursive queries, lists by subquery.
inline constexpr double kUnknownRows = 20;
// Without a value: share of the rows that a one-sided range lets through.
inline constexpr double kRangeShare = 1.0 / 3;

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
    std::vector<SortTerm> order;
};

using Terms = std::vector<const PricedTerm*>;

/// =, IN, IS, IS NULL.
bool IsEqual(const Term& term);

/// Can a search by `op` of a plan ('=', '<', '>') be this term?
bool FitsPlan(const Term& term, char op);

/// Looks the terms up in the sample. `columns` of the mention's table.
PricedMention PriceMention(const Mention& mention, const std::vector<CatalogColumn>& columns,
                           Statistics* statistics, const TextFacts& text);

/// Share of the rows that satisfy all terms and are in `among` (empty: all).
double JointShare(const Terms& terms, const RowSet& among, Statistics* statistics);

}  // namespace upkeep::sqlite
