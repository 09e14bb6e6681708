// Pool arithmetic: how many connections an application may open, and the settings that keep to it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>
#include <string>

#include "upkeep/base/result.h"
#include "upkeep/capture/rows.h"
#include "upkeep/sessions/pool_report.h"
#include "upkeep/sessions/session.h"

namespace upkeep::sessions {

/// How busy connections were: time in captured statements, over the time that they were seen in.
struct MeasuredLoad {
    double busy_ms = 0;
    double window_ms = 0;  // from the first statement's first end to the last one's last

    /// Little's law: statements under way on average.
    double concurrency() const { return busy_ms / window_ms; }
};

/// Of the clients' own statements. Nullopt: too little was captured for a mean.
std::optional<MeasuredLoad> MeasureLoad(std::span<const capture::StatementView> statements);

/// What the host knows that bears on a pool.
struct PoolFacts {
    ConnectionLimits limits;
    int64_t idle_session_timeout_ms = 0;  // 0: off or not known
    bool is_file = false;                 // SQLite: no server, no network, one writer at a time
    std::optional<MeasuredLoad> load = {};
    PoolSums reported = {};
};

/// The body of `advise_pool`. Errors: kInvalidArgument (numbers below 1 or beyond reason, an
/// environment that the guide does not have).
Result<void> AdvisePool(const Arguments& arguments, const PoolFacts& facts, RowSink& rows);

}  // namespace upkeep::sessions
