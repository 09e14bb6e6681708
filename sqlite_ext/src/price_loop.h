// What one loop of a plan costs: rows visited, seeks, VM steps and page requests per iteration of
// the loops around it.
// Not for: how loops nest, sorting, output (price.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan.h"
#include "price_terms.h"

namespace upkeep::sqlite {

// VM steps, counted in the bytecode of 3.40.
inline constexpr double kSeekSteps = 5;  // load and convert the key, seek, null check
inline constexpr double kNextSteps = 2;  // Next and the comparison with the end of the range

/// Of each index that the plan may name (by name as in the plan).
using IndexShapes = std::map<std::string, IndexShape>;

struct Loop {
    PlanNode* node = nullptr;
    double seeks = 1;
    double visited = 0;
    double matched = 1;
    double lookups = 0;                 // rows of the table read by way of an index
    bool is_filtered_by_table = false;  // a condition needs more columns than the index has
    double steps_per_seek = kSeekSteps;
    double pages_per_seek = 0;
    double steps_per_visit = kNextSteps;
    double pages_per_visit = 0;
    double pages_per_lookup = 0;
    double steps_once = 0;  // automatic indexes
    double pages_once = 1;  // the root pages
    Terms search = {};      // conditions that the search ensures
    bool is_search_known = true;
};

class LoopPricer {
  public:
    LoopPricer(const std::vector<PricedMention>& mentions, const IndexShapes& indexes)
        : mentions_(mentions), indexes_(indexes), taken_(mentions.size(), false) {}

    /// The mention that a loop is about; each is found once, then again if the plan repeats it.
    const PricedMention* FindMention(const PlanNode& node);

    Loop OfTable(PlanNode* node, const PricedMention& mention, bool is_inner);
    /// MULTI-INDEX OR: each branch seeks; every row found is looked up in the table.
    Loop OfOr(PlanNode* node);
    /// A subquery's result of `rows`, a table-valued function or a table without statistics.
    static Loop OfResult(PlanNode* node, double rows, bool is_inner);

    /// Does the loop come first to the row with the least (or greatest) `column`?
    bool ComesInOrder(const PlanNode& node, const PricedMention& mention,
                      const std::string& column) const;

    /// Share of its rows that the loop visits until `wanted` of them have matched, by where the
    /// matching rows of the sample stand in the loop's order; < 0: not known. (Rows that match are
    /// often the newest: a queue read from the oldest visits nearly all.)
    double ShareUntil(const Loop& loop, const PricedMention& mention, double wanted) const;

  private:
    struct Search {
        Terms terms;       // that the plan's search uses
        double seeks = 1;  // IN lists, ANY
        bool is_complete = false;
    };

    Search SearchOf(const PlanNode& node, const PricedMention& mention,
                    const std::vector<PricedTerm>& from) const;
    Loop OfTerms(PlanNode* node, const PricedMention& mention, const std::vector<PricedTerm>& from,
                 bool is_inner) const;
    double GuessedRows(const PlanNode& node, Statistics* statistics) const;
    void ReadIndex(const PricedMention& mention, const Search& search, Loop* loop) const;

    const std::vector<PricedMention>& mentions_;
    const IndexShapes& indexes_;
    std::vector<bool> taken_;
};

}  // namespace upkeep::sqlite
