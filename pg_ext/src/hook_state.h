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
uint64_t Nanoseconds(double seconds);
uint64_t NsSince(const instr_time& start);
/// When a statement that took `ns` ended, in us since 1970, without asking a clock again.
int64_t EndedUs(uint64_t ns);

void SetUsage(capture::Execution* execution, const BufferUsage& buffers, const WalUsage& wal);
SlowInput SlowOf(const capture::StatementKey& key, const capture::Execution& execution);

/// The client's statement under way, for an end that unwinds nothing (FATAL). Valid while nesting
/// is not 0.
struct Running {
    uint64_t fingerprint;
    CmdType command;
    Oid user;
};
extern Running running;
inline void NoteRunning(const Place& place, uint64_t fingerprint, CmdType command) {
    if (place.level == 0) {
        running = {fingerprint, command, place.user};
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
};
/// In a handler: counts the error that is under way. Calls nothing of the server that may raise.
void CountFailure(const Failure& failure);

/// Was the error that is being logged counted for a statement of this client's message? Asked once.
bool TakeCountedFailure();

}  // namespace upkeep::pg
