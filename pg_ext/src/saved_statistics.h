// Captured statistics across a clean restart: pg_stat/upkeep.stat, as the server keeps its own.
//
// Written by the process that started the server when it ends in order (also after an immediate
// shutdown: what is in shared memory is whole at any moment), to a file beside it that then takes
// its name. Read by the same process at start, after its name is gone: whatever happens then, no
// crash brings old counts back. After a crash statistics start anew.
// Nothing that goes wrong here keeps the server from starting or ending: one LOG line tells it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

/// To be called once the shared store was formatted, in the process that did it.
void KeepStatistics();

/// How the run ended whose shared memory this one replaces. To be called before KeepStatistics, in
/// the process that starts the server; another one is told kInOrder.
enum class LastRun { kInOrder, kNotInOrder, kRestartedNow };
LastRun HowTheLastRunEnded();

/// What became of the statistics of the last run, and whether those of this one will be kept.
const char* KeptReason();

}  // namespace upkeep::pg
