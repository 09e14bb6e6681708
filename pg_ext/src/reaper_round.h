// One turn of the reaper's worker: what came of earlier questions, a look if it is time, new
// questions, the log.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "reap_shared.h"

namespace upkeep::pg {

enum class RoundKind { kUsual, kLast };

/// Milliseconds until the next one is due if nobody wakes the worker before. kLast: takes back what
/// was not answered and writes everything. Throws HostError; then the transaction is to be aborted,
/// and the next round goes on from the records.
long RunRound(RoundKind kind);

}  // namespace upkeep::pg
