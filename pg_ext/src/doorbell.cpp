// SPDX-License-Identifier: PostgreSQL
#include "doorbell.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <new>

#include "compat.h"
#include "held.h"
#include "pg.h"
#include "reap_shared.h"

extern "C" {
#include "libpq/auth.h"
#include "libpq/libpq-be.h"
#include "libpq/pqsignal.h"
#include "replication/walsender.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"
}

namespace upkeep::pg {

namespace {

/// What the session says. The first is its yes.
enum class Answer : uint64_t {
    kEnds,
    kMoved,
    kNotWaiting,
    kHasCommand,
    kHasHalfCommand,
    kListens,
    kHasLock,
    kHasTable,
    kHasCursor,
    kCannotTell,
    kNone = 15,
};
constexpr const char* kReasons[] = {
    nullptr,
    "its state has changed",
    "it does not wait for its client",
    "a command has reached it",
    "half of a command has reached it",
    "spared: it listens for notifications",
    "spared: it holds an advisory lock",
    "spared: it has made a temporary table",
    "spared: it has a cursor with hold",
    "its locks cannot be looked at just now",
};

enum class Phase : uint64_t { kAbsent, kPresent, kWriting, kAsked, kEnding };

/// `word` holds the number of the last order and a Phase: a step that was meant for an earlier
/// order fails.
struct Slot {
    std::atomic<uint64_t> word;
    std::atomic<uint64_t> answer;   // number of the order and an Answer
    std::atomic<uint32_t> ringers;  // processes that may be about to signal the owner
    std::atomic<int> pid;
    std::atomic<int64_t> held_since;  // as SlotFacts
    std::atomic<uint32_t> held;
    EndOrder order;  // written in kWriting, read in kAsked
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<Slot>);

constexpr uint64_t kNumber = 16;  // one order further; below it the Phase or Answer
constexpr int64_t kClockSlackMs = 10;

Slot* slots = nullptr;
Slot* own = nullptr;
bool is_ending = false;
EndOrder ended_by = {};
EndOrder cancelled_by = {};
ClientAuthentication_hook_type previous_authentication = nullptr;
emit_log_hook_type previous_log = nullptr;

Phase PhaseOf(uint64_t word) {
    return static_cast<Phase>(word % kNumber);
}
uint64_t WithPhase(uint64_t word, Phase phase) {
    return word - word % kNumber + static_cast<uint64_t>(phase);
}

// --- the session: everything down to Rung runs in the signal handler ----------------------------

/// Has a part of a message arrived that the server has taken out of the socket already?
bool HasHalfMessage(int64_t idle_us) {
    // A message is read into memory of its announced size; empty, the context is its first block.
    if (MessageContext != nullptr && MessageContext->mem_allocated > ALLOCSET_DEFAULT_INITSIZE) {
        return true;
    }
    if (MyProcPort->laddr.addr.ss_family == AF_UNIX) {
        return false;
    }
    tcp_info info = {};
    socklen_t size = sizeof(info);
    return getsockopt(MyProcPort->sock, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_last_data_recv + kClockSlackMs < idle_us / 1000;
}

/// The words of a session that runs what is to be cancelled; else of one that may end.
bool IsStateFor(const EndOrder& order) {
    return order.action == sessions::RuleAction::kCancel
               ? order.state == STATE_RUNNING
               : order.state == STATE_IDLE || order.state == STATE_IDLEINTRANSACTION ||
                     order.state == STATE_IDLEINTRANSACTION_ABORTED;
}

bool IsAsOrdered(const EndOrder& order) {
    const volatile PgBackendStatus* entry = MyBEEntry;
    return entry != nullptr && entry->st_changecount % 2 == 0 &&
           entry->st_proc_start_timestamp == order.started && entry->st_state == order.state &&
           entry->st_state_start_timestamp == order.state_change && IsStateFor(order) &&
           (order.action != sessions::RuleAction::kCancel ||
            entry->st_activity_start_timestamp == order.activity_start);
}

/// What it holds of that which it is to be spared for. It may hold more than the rule asks about.
Answer Spares(const EndOrder& order) {
    if (order.spare == 0) {
        return Answer::kEnds;
    }
    const std::optional<uint8_t> holds = HeldBySession();
    if (!holds) {
        return Answer::kCannotTell;
    }
    const int held = *holds & order.spare;
    if (held == 0) {
        return Answer::kEnds;
    }
    own->held.store(*holds);
    own->held_since.store(order.state_change);
    return (held & sessions::kListening) != 0     ? Answer::kListens
           : (held & sessions::kSessionLock) != 0 ? Answer::kHasLock
           : (held & sessions::kTempTable) != 0   ? Answer::kHasTable
                                                  : Answer::kHasCursor;
}

Answer Judge(const EndOrder& order) {
    if (MyProcPort == nullptr || !IsAsOrdered(order)) {
        return Answer::kMoved;
    }
    if (order.action == sessions::RuleAction::kCancel) {
        return Answer::kEnds;
    }
    if (*static_cast<volatile uint32*>(my_wait_event_info) != WAIT_EVENT_CLIENT_READ) {
        return Answer::kNotWaiting;
    }
    char byte = 0;
    const ssize_t peeked = recv(MyProcPort->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        return Answer::kHasCommand;
    }
    return !order.despite_half && HasHalfMessage(GetCurrentTimestamp() - order.state_change)
               ? Answer::kHasHalfCommand
               : Spares(order);
}

/// The server's own way out of the wait for a client; the settings may be off in this session.
void RaiseTimeout(bool in_transaction) {
    if (in_transaction) {
        IdleInTransactionSessionTimeout =
            IdleInTransactionSessionTimeout == 0 ? 1 : IdleInTransactionSessionTimeout;
        IdleInTransactionSessionTimeoutPending = 1;
    } else {
        IdleSessionTimeout = IdleSessionTimeout == 0 ? 1 : IdleSessionTimeout;
        IdleSessionTimeoutPending = 1;
    }
    InterruptPending = 1;
    SetLatch(MyLatch);
}

/// As the server does it when the client asks for it.
void RaiseCancel() {
    QueryCancelPending = 1;
    InterruptPending = 1;
    SetLatch(MyLatch);
}

/// What a record holds from the question on: which session, which order, the answer.
uint64_t RecordWord(const Slot* slot, uint64_t word, Answer answer) {
    constexpr int kSlotShift = 44;
    const auto place = static_cast<uint64_t>(slot - slots);
    return (place << kSlotShift) + word / kNumber % (uint64_t{1} << (kSlotShift - 4)) * kNumber +
           static_cast<uint64_t>(answer);
}

/// Into its record, if that still waits for this one.
void AnswerRecord(uint64_t word, Answer answer) {
    const int record = own->order.record;
    if (record >= 0 && record < kRecords) {
        uint64_t expected = RecordWord(own, word, Answer::kNone);
        RecordAt(record).answer.compare_exchange_strong(expected, RecordWord(own, word, answer));
    }
}

void Obey(const EndOrder& order) {
    if (order.action == sessions::RuleAction::kCancel) {
        cancelled_by = order;
        RaiseCancel();
        return;
    }
    ended_by = order;
    is_ending = true;
    RaiseTimeout(order.state != STATE_IDLE);
}

void Rung(int) {
    const int saved_errno = errno;
    uint64_t word = own == nullptr ? 0 : own->word.load(std::memory_order_acquire);
    if (PhaseOf(word) == Phase::kAsked) {
        const EndOrder order = own->order;
        const Answer answer = Judge(order);
        const bool obeys = answer == Answer::kEnds;
        const bool ends = obeys && order.action == sessions::RuleAction::kEnd;
        // First the answer: when the asker sees that the word has moved on, it is there.
        own->answer.store(WithPhase(word, Phase::kAbsent) + static_cast<uint64_t>(answer));
        AnswerRecord(word, answer);
        if (own->word.compare_exchange_strong(
                word, WithPhase(word, ends ? Phase::kEnding : Phase::kPresent)) &&
            obeys) {
            Obey(order);
        }
        if (order.record >= 0) {
            WakeReaper();
        }
    }
    errno = saved_errno;
}

void Leave(int, Datum) {
    own->word.fetch_and(~(kNumber - 1));  // kAbsent: no new ringer comes
    while (own->ringers.load() != 0) {
        pg_usleep(10);  // between two lines of Ask
    }
    own = nullptr;
    if (is_ending && ended_by.record >= 0) {
        WakeReaper();
    }
}

/// Walsenders use the signal themselves.
void Authenticated(Port* port, int status) {
    if (previous_authentication != nullptr) {
        previous_authentication(port, status);
    }
    if (status != STATUS_OK || am_walsender || slots == nullptr || own != nullptr) {
        return;
    }
    own = &slots[OwnProcNumber()];
    own->pid.store(MyProcPid);
    own->held_since.store(0);
    on_shmem_exit(Leave, Datum{0});
    pqsignal(SIGUSR2, Rung);
    own->word.store(WithPhase(own->word.load(), Phase::kPresent));
}

const char* StateInWords(const EndOrder& order) {
    return order.state == STATE_IDLE ? "idle" : "idle in transaction";
}

/// In the memory of the error, whose end frees it.
void TellEnd(ErrorData* error) {
    const std::string_view rule = ended_by.rule;
    const auto ms = static_cast<long long>((GetCurrentTimestamp() - ended_by.state_change) / 1000);
    if (rule.empty()) {
        error->message = psprintf("terminating connection: %s for %lld ms, ended by upkeep",
                                  StateInWords(ended_by), ms);
        error->detail_log = psprintf("Process %d called upkeep.reap_sessions.", ended_by.asked_by);
    } else {
        error->message =
            psprintf("terminating connection: %s for %lld ms, ended by rule \"%.*s\"",
                     StateInWords(ended_by), ms, static_cast<int>(rule.size()), rule.data());
        error->detail_log = pstrdup("The rule is a row of upkeep.reap_rules.");
    }
    error->hint = pstrdup(ended_by.state == STATE_IDLE
                              ? "No command was under way: connect again."
                              : "No command was under way; the transaction was rolled back.");
}

void TellCancel(ErrorData* error) {
    const std::string_view rule = cancelled_by.rule;
    error->message = psprintf("canceling statement due to rule \"%.*s\"",
                              static_cast<int>(rule.size()), rule.data());
    error->detail_log = pstrdup("The rule is a row of upkeep.reap_rules.");
}

/// The client is told who ended it and that nothing was lost.
void Logged(ErrorData* error) {
    const bool is_end = is_ending && error->elevel == FATAL &&
                        (error->sqlerrcode == ERRCODE_IDLE_SESSION_TIMEOUT ||
                         error->sqlerrcode == ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT);
    // Of this statement: an earlier cancel may have come too late for its own.
    const bool is_cancel = error->elevel == ERROR && error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
                           cancelled_by.activity_start != 0 && MyBEEntry != nullptr &&
                           cancelled_by.activity_start == MyBEEntry->st_activity_start_timestamp;
    if (is_end || is_cancel) {
        const MemoryContext before = MemoryContextSwitchTo(error->assoc_context);
        if (is_end) {
            TellEnd(error);
        } else {
            TellCancel(error);
        }
        MemoryContextSwitchTo(before);
    }
    if (previous_log != nullptr) {
        previous_log(error);
    }
}

// --- the asker ----------------------------------------------------------------------------------

/// Writes the order and rings; false: the session has left or another order is on its way. The
/// caller has counted itself among the ringers.
bool WriteAndRing(Slot* slot, int pid, const EndOrder& order, uint64_t* word) {
    uint64_t seen = slot->word.load();
    if (PhaseOf(seen) != Phase::kPresent || slot->pid.load() != pid) {
        return false;
    }
    const uint64_t writing = WithPhase(seen + kNumber, Phase::kWriting);
    if (!slot->word.compare_exchange_strong(seen, writing)) {
        return false;
    }
    slot->order = order;
    *word = WithPhase(writing, Phase::kAsked);
    if (order.record >= 0) {
        RecordAt(order.record).answer.store(RecordWord(slot, *word, Answer::kNone));
    }
    uint64_t expected = writing;
    return slot->word.compare_exchange_strong(expected, *word) && kill(pid, SIGUSR2) == 0;
}

}  // namespace

size_t DoorbellBytes() {
    return sizeof(Slot) * static_cast<size_t>(MaxBackends);
}

void AttachDoorbell(void* block, bool found) {
    slots = static_cast<Slot*>(block);
    for (int i = 0; i < MaxBackends && !found; ++i) {
        new (slots + i) Slot{};
    }
}

void InstallDoorbell() {
    previous_authentication = ClientAuthentication_hook;
    ClientAuthentication_hook = Authenticated;
    previous_log = emit_log_hook;
    emit_log_hook = Logged;
}

bool HasDoorbell() {
    return slots != nullptr;
}

bool Ask(int pid, const EndOrder& order, Asking* asking) {
    PGPROC* proc = BackendPidGetProc(pid);
    if (proc == nullptr) {
        return false;
    }
    asking->slot = ProcNumberOf(proc);
    Slot* slot = &slots[asking->slot];
    slot->ringers.fetch_add(1);
    const bool rung = WriteAndRing(slot, pid, order, &asking->word);
    slot->ringers.fetch_sub(1);
    return rung;
}

bool Withdraw(const Asking& asking) {
    uint64_t expected = asking.word;
    return slots[asking.slot].word.compare_exchange_strong(expected,
                                                           WithPhase(asking.word, Phase::kPresent));
}

Reply ReplyOf(const Asking& asking, int record) {
    using Stage = Reply::Stage;
    const Slot* slot = &slots[asking.slot];
    const uint64_t now = slot->word.load();
    if (now == asking.word) {
        return {Stage::kNone, nullptr};
    }
    const uint64_t answer = RecordAt(record).answer.load();
    const auto said = static_cast<Answer>(answer % kNumber);
    if (answer - answer % kNumber != RecordWord(slot, asking.word, Answer::kEnds) ||
        said == Answer::kNone) {
        return {Stage::kNo, "it has ended by itself"};
    }
    if (said != Answer::kEnds) {
        return {Stage::kNo, kReasons[answer % kNumber]};
    }
    return {now == WithPhase(asking.word, Phase::kEnding) ? Stage::kYes : Stage::kGone, nullptr};
}

std::vector<SlotFacts> LookAtSlots() {
    std::vector<SlotFacts> facts;
    for (int i = 0; i < MaxBackends; ++i) {
        const Phase phase = PhaseOf(slots[i].word.load());
        if (phase != Phase::kAbsent) {
            facts.push_back({slots[i].pid.load(), phase == Phase::kEnding,
                             static_cast<uint8_t>(slots[i].held.load()),
                             slots[i].held_since.load()});
        }
    }
    return facts;
}

const char* AskToEnd(int pid, const EndOrder& order) {
    Asking asking;
    if (!Ask(pid, order, &asking)) {
        return "it is ending, or somebody else asks it to";
    }
    const Slot* slot = &slots[asking.slot];
    const TimestampTz until = GetCurrentTimestamp() + kPatienceUs;
    for (;;) {
        if (slot->word.load() != asking.word) {
            const uint64_t answer = slot->answer.load();
            return answer / kNumber == asking.word / kNumber ? kReasons[answer % kNumber]
                                                             : "it has ended or moved on";
        }
        if (GetCurrentTimestamp() > until && Withdraw(asking)) {
            return "it did not answer within a second";
        }
        pg_usleep(100);
    }
}

}  // namespace upkeep::pg
