// What all capture hooks share: the level of nesting, whether a statement there is counted, and the
// plain values that describe one execution. Plain data only: see hooks.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <ctime>

#include "own_call.h"
#include "pg.h"
#include "recorder.h"
#include "settings.h"
#include "shmem.h"

extern "C" {
#include "access/parallel.h"
#include "executor/instrument.h"
}

namespace upkeep::pg {

/// Statements under way in this backend, one inside the other; 0: the next one is a client's.
extern int nesting;

/// Where a statement began. An error may leave another role in force (a function's owner).
struct Place {
    int level;
    Oid user;
};
Place Here();

/// Start of the client's message that turned capture on, or 0: of what was under way by then no
/// level is known, so it goes uncounted.
extern TimestampTz turned_on_in;

/// Is a statement of this level counted? What runs inside one that is not, at the level `top`, is
/// not either: no level needs to be kept for it.
inline bool IsCaptured(int level) {
    return settings.capture != kCaptureNone && (level == 0 || settings.capture == kCaptureAll) &&
           SharedStore() != nullptr && !IsParallelWorker() && own_calls == 0 &&
           (turned_on_in == 0 || level != 0 || turned_on_in != GetCurrentStatementStartTimestamp());
}
/// See CaptureTurnedOn in hooks.h: the client's message under way goes uncounted.
void LeaveMessageUncounted();

inline bool IsSlow(uint64_t ns) {
    return settings.slow_threshold_ms >= 0 &&
           ns >= static_cast<uint64_t>(settings.slow_threshold_ms) * 1000000;
}
/// A clock that only goes forward, in ns.
inline uint64_t NowNs() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}
/// When a statement that took `ns` ended, in us since 1970, without asking a clock again.
inline int64_t EndedUs(uint64_t ns) {
    return GetCurrentStatementStartTimestamp() + kPostgresEpochUs + static_cast<int64_t>(ns / 1000);
}

void SetUsage(capture::Execution* execution, const BufferUsage& buffers, const WalUsage& wal);
SlowInput SlowOf(const capture::StatementKey& key, const capture::Execution& execution);

/// In a handler: counts the error that is under way. Calls nothing of the server but the error's
/// code. `endpoint`: see endpoint.h.
void CountFailure(uint64_t fingerprint, capture::Operation operation, const Place& place,
                  uint64_t ns, uint32_t endpoint);

}  // namespace upkeep::pg
