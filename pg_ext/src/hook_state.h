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
#include "executor/execdesc.h"
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
/// Half of slow_threshold or more: worth a closer look.
inline bool IsLong(uint64_t ns) {
    return settings.slow_threshold_ms >= 0 &&
           ns >= static_cast<uint64_t>(settings.slow_threshold_ms) * 500000;
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

/// The client's statement under way, for an end that unwinds nothing (FATAL). Valid while nesting
/// is not 0: the executor's, or nullptr and the planner's or a utility statement.
extern const QueryDesc* running_query;
struct Running {
    uint64_t fingerprint;
    CmdType command;
};
extern Running running;
inline void NoteRunning(const QueryDesc* query) {
    if (nesting == 0) {
        running_query = query;
    }
}
inline void NoteRunning(uint64_t fingerprint, CmdType command) {
    if (nesting == 0) {
        running_query = nullptr;
        running = {fingerprint, command};
    }
}

/// A statement that ended in an error.
struct Failure {
    uint64_t fingerprint;
    capture::Operation operation;
    Place place;
    uint64_t ns;
    int sqlstate;                      // packed
    const char* tables = nullptr;      // as CountNew; nullptr: what was remembered of it
    const QueryDesc* query = nullptr;  // for its plan and rows so far; nullptr: none
    uint64_t hit_blocks = 0;           // so far
    uint64_t read_blocks = 0;
    uint32_t endpoint;  // see endpoint.h
};
/// In a handler: counts the error that is under way. Calls nothing of the server that may raise.
void CountFailure(const Failure& failure);

/// Was the error that is being logged counted for a statement of this client's message? Asked once.
bool TakeCountedFailure();

}  // namespace upkeep::pg
