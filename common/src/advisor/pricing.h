// From a choice to rows that can be believed: the final set planned again from scratch, indexes
// that do not earn their place dropped, the rest ordered, each row priced on those before it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "search.h"

namespace upkeep::advisor {

/// What one row changes for one statement, weighted, its share of the write cost included.
struct ItemChange {
    size_t item = 0;
    double before = 0;
    double after = 0;
};

struct PricedIndex {
    size_t candidate = 0;
    double cost_before = 0;  // weighted workload cost
    double cost_after = 0;
    std::vector<ItemChange> changes;  // at this rank
    std::vector<size_t> served;       // statements whose price it lowers, most saved first
    bool needs_others = false;        // saves its worth only with a later row
    bool is_for_risk = false;         // by the planner's own prices it saves too little: it is
                                      // here because of Price::risk
    std::vector<size_t> risky = {};   // statements whose plan with the whole set walks along it
                                      // and hopes to meet a LIMIT early
    std::vector<size_t> checks = {};  // items for whose own look-ups it is there (is_check)
    bool is_for_elsewhere = false;    // as is_for_risk, because of Price::elsewhere
};

/// Prices `chosen` by plans made with exactly the sets in question (after the deadline: the final
/// set only, the steps to it by the price-reuse rule). Rows that save too
/// little by limits, of what those before it leave, are dropped and the rest priced again. Choices
/// count Price::risk in, rows show the planner's own prices; a set must be no worse than nothing by
/// either. Throws Error.
std::vector<PricedIndex> PriceRows(WhatIf& port, const Workload& workload, PriceCache& cache,
                                   const CandidateFacts& facts, const SearchLimits& limits,
                                   IndexSet chosen);

}  // namespace upkeep::advisor
