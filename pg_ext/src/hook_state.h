// What all capture hooks share: the level of nesting, whether a statement there is counted, and the
// plain values that describe one execution. Plain data only: see hooks.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "recorder.h"
#include "settings.h"

extern "C" {
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

/// IsCaptured where capture is not off.
bool IsCapturedHere(int level);
/// Is a statement of this level counted?
inline bool IsCaptured(int level) {
    return settings.capture != kCaptureNone && IsCapturedHere(level);
}
/// See CaptureTurnedOn in hooks.h: the client's message under way goes uncounted.
void LeaveMessageUncounted();

bool IsSlow(uint64_t ns);
/// Half of slow_threshold or more: worth a closer look.
inline bool IsLong(uint64_t ns) {
    return settings.slow_threshold_ms >= 0 &&
           ns >= static_cast<uint64_t>(settings.slow_threshold_ms) * 500000;
}
uint64_t Nanoseconds(double seconds);
uint64_t NsSince(const instr_time& start);
/// When a statement that took `ns` ended, in us since 1970, without asking a clock again.
int64_t EndedUs(uint64_t ns);

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
    int sqlstate;            // packed
    const char* tables;      // as CountNew; nullptr: what was remembered when it was first met
    const QueryDesc* query;  // for its plan and rows so far; nullptr: none
    uint32_t endpoint;       // see endpoint.h
};
/// In a handler: counts the error that is under way. Calls nothing of the server that may raise.
void CountFailure(const Failure& failure);

/// Was the error that is being logged counted for a statement of this client's message? Asked once.
bool TakeCountedFailure();

}  // namespace upkeep::pg
