// Real indexes that the planner of this backend is not to see for a while.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

namespace upkeep::pg {

/// An index that was built in this transaction.
struct FreshIndex {
    Oid index;
    Oid table;
    bool is_usable;  // false: only transactions that begin later may use it
};

/// From now on these are watched: whatever this backend plans, its own statements and those in
/// functions. `indexes` outlives it; none: nothing is watched. Never raises.
void WatchIndexes(const FreshIndex* indexes, int count);
/// Hides them from the planner, or shows them again; plans that are kept are made anew.
void HideWatched(bool is_hidden);
/// Did anything planned since the last call read a table whose fresh index may not be used?
bool MetUnusable();

/// Chains our hook into the planner's. To be called once, in _PG_init.
void InstallHiding();

}  // namespace upkeep::pg
