// Pool arithmetic: how many connections an application may open, and the settings that keep to it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>

#include "upkeep/base/result.h"
#include "upkeep/sessions/session.h"

namespace upkeep::sessions {

/// What the host knows that bears on a pool.
struct PoolFacts {
    ConnectionLimits limits;
    int64_t idle_session_timeout_ms = 0;  // 0: off or not known
    bool is_file = false;                 // SQLite: no server, no network, one writer at a time
};

/// The body of `advise_pool`. Errors: kInvalidArgument (numbers below 1 or beyond reason, an
/// environment that the guide does not have).
Result<void> AdvisePool(const Arguments& arguments, const PoolFacts& facts, RowSink& rows);

}  // namespace upkeep::sessions
