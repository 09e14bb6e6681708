// What all capture hooks share: the level of nesting, whether a statement there is counted, and the
// plain values that describe one execution. Plain data only: see hooks.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "recorder.h"
#include "settings.h"

extern "C" {
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

/// In a handler: counts the error that is under way. Calls nothing of the server but the error's
/// code. `endpoint`: see endpoint.h.
void CountFailure(uint64_t fingerprint, capture::Operation operation, const Place& place,
                  uint64_t ns, uint32_t endpoint);

}  // namespace upkeep::pg
