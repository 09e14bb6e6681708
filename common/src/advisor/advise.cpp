// Index advice from beginning to end: collect, choose, price again, describe.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/advise.h"

#include <algorithm>

#include "collection.h"
#include "describe.h"
#include "options.h"
#include "pricing.h"
#include "search.h"

namespace upkeep::advisor {

namespace {

// A saving below this share of the baseline is rounding, whatever min_saving_ratio says.
constexpr double kLeastSavingRatio = 1e-9;

Advice AdviseOrThrow(WhatIf& port, const AdviseOptions& options) {
    Advice advice;
    Collection collection(port, options);
    advice.baseline_cost = collection.baseline_cost();
    advice.planner_calls = collection.planner_calls();
    if (collection.IsEmpty()) {
        return advice;
    }
    const Workload& workload = collection.workload();
    const CandidateFacts& facts = collection.facts();
    PriceCache& cache = collection.cache();
    // A fifth of the time is kept for planning the final set again.
    SearchLimits limits{
        .budget_bytes = options.budget_bytes,
        .min_saving = std::max(options.min_saving_ratio, kLeastSavingRatio) * advice.baseline_cost,
        .deadline_ms = options.time_limit_ms - options.time_limit_ms / 5};
    Search search(port, workload, cache, facts, limits);
    const IndexSet chosen = search.Run();
    limits.deadline_ms = options.time_limit_ms;
    const std::vector<PricedIndex> rows = PriceRows(port, workload, cache, facts, limits, chosen);
    advice.is_complete = search.is_complete();
    advice.indexes = Describe(collection, rows, advice.is_complete);
    advice.planner_calls = collection.planner_calls();
    advice.cache_hits = collection.cache_hits();
    return advice;
}

}  // namespace

Result<Advice> Advise(WhatIf& port, const AdviseOptions& options) {
    if (Result<void> checked = CheckOptions(options, port.dialect()); !checked.ok()) {
        return checked.error();
    }
    try {
        return AdviseOrThrow(port, options);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
