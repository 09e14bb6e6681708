// Narrower indexes in the place of those that are wider than they are worth: a covering index that
// carries a long text for a small gain. Keys stay: measured by the whole workload, the second one
// of a good index may be worth little too.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "search.h"

namespace upkeep::advisor {

/// Puts in the place of each index of `chosen` the smallest candidate that has its keys and none
/// but its columns, if without the rest less is lost than limits ask of an index. Not for budgets:
/// there the search itself weighs bytes. Throws Error.
IndexSet Narrow(WhatIf& port, const Workload& workload, PriceCache& cache,
                const CandidateFacts& facts, const SearchLimits& limits, IndexSet chosen);

}  // namespace upkeep::advisor
