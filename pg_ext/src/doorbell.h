// A session ends itself when it is asked to, and refuses if it has work: no other process can know
// that in time. Preloaded only.
//
//   asker    writes an order into the session's slot, rings (SIGUSR2), waits a second for the
//            answer
//   session  in the signal handler: still in that state since then, waiting for its client, not a
//            byte of a command in its socket, nothing held that the rule spares; then it raises the
//            server's own idle timeout. Or, to cancel: still in that statement
//
// Client sessions of the server ignore SIGUSR2; other processes do not, so only pids that stand in
// a slot are rung, and a session does not leave before whoever is about to ring it is done.
// Not for: who may be ended, and who may ask.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "upkeep/sessions/rule.h"

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
    // From here on a rule's. The defaults are those of who asks for an end by a call.
    int64_t activity_start = 0;  // of the statement that is to be cancelled
    sessions::RuleAction action = sessions::RuleAction::kEnd;  // kEnd or kCancel
    uint8_t spare = 0;                  // what the session must not hold; bits of sessions::Spare
    bool despite_half = false;          // it may have sent half of a command
    int record = -1;                    // place of the ActionRecord that takes the answer
    sessions::FixedText<63> rule = {};  // its name
};

/// Asks the session to end, and waits for its answer. nullptr: it is ending; else why it stays, as
/// a constant text. Raises nothing.
const char* AskToEnd(int pid, const EndOrder& order);

// --- the same in steps, for an asker with many sessions -----------------------------------------

inline constexpr int64_t kPatienceUs = 1'000'000;  // then the question is taken back

/// A question that was put.
struct Asking {
    int slot = -1;
    uint64_t word = 0;
};
/// Where it stands. `why` as of AskToEnd.
struct Reply {
    enum class Stage : uint8_t {
        kNone,  // not yet
        kYes,   // it is ending; or its statement is being cancelled
        kGone,  // and has left
        kNo,
    };
    Stage stage = Stage::kNone;
    const char* why = nullptr;
};
/// Writes the order and rings. False: the session is leaving, or somebody else asks it.
bool Ask(int pid, const EndOrder& order, Asking* asking);
/// Of an order with a record.
Reply ReplyOf(const Asking& asking, int record);
/// Takes the order back: false, it has been answered.
bool Withdraw(const Asking& asking);

/// What the slots tell about sessions.
struct SlotFacts {
    int pid;
    bool is_ending;
    uint8_t held;        // bits of sessions::Spare
    int64_t held_since;  // the state in which it held them, by its beginning; 0: not known
};
std::vector<SlotFacts> LookAtSlots();

}  // namespace upkeep::pg
