// A session ends itself when it is asked to, and refuses if it has work: no other process can know
// that in time. Preloaded only.
//
//   asker    writes an order into the session's slot, rings (SIGUSR2), waits a second for the
//   answer session  in the signal handler: still in that state since then, waiting for its client,
//   not a
//            byte of a command in its socket; then it raises the server's own idle timeout
//
// Client sessions of the server ignore SIGUSR2; other processes do not, so only pids that stand in
// a slot are rung, and a session does not leave before whoever is about to ring it is done.
// Not for: who may be ended, and who may ask.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstddef>
#include <cstdint>

namespace upkeep::pg {

size_t DoorbellBytes();
void AttachDoorbell(void* block, bool found);
/// To be called in _PG_init while the server starts.
void InstallDoorbell();
/// Are there slots to write orders into?
bool HasDoorbell();

/// How the session was when its end was decided; times as the server counts them.
struct EndOrder {
    int64_t started;
    int64_t state_change;
    int state;     // BackendState
    int asked_by;  // pid
};

/// Asks the session to end. nullptr: it is ending; else why it stays, as a constant text. Raises
/// nothing.
const char* AskToEnd(int pid, const EndOrder& order);

}  // namespace upkeep::pg
