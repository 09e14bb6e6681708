// First, do no harm: no statement may get slower by an index that serves others, whatever those
// gain (Price::harm). The search refuses steps that bring harm in; what begins with a set that it
// did not grow itself is relieved of it first.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "search.h"

namespace upkeep::advisor {

/// Takes members away, puts others of the same table in their place, or adds one that the harmed
/// statement uses instead, the cheapest way first, until no statement is harmed. Throws Error.
IndexSet Relieve(WhatIf& port, const Workload& workload, PriceCache& cache,
                 const CandidateFacts& facts, const SearchLimits& limits, IndexSet set);

}  // namespace upkeep::advisor
