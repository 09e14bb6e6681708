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
#include "pg.h"

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
enum class Answer : uint64_t { kEnds, kMoved, kNotWaiting, kHasCommand, kHasHalfCommand };
constexpr const char* kReasons[] = {
    nullptr,
    "its state has changed",
    "it does not wait for its client",
    "a command has reached it",
    "half of a command has reached it",
};

enum class Phase : uint64_t { kAbsent, kPresent, kWriting, kAsked, kEnding };

/// `word` holds the number of the last order and a Phase: a step that was meant for an earlier
/// order fails.
struct Slot {
    std::atomic<uint64_t> word;
    std::atomic<uint64_t> answer;   // number of the order and an Answer
    std::atomic<uint32_t> ringers;  // processes that may be about to signal the owner
    std::atomic<int> pid;
    EndOrder order;  // written in kWriting, read in kAsked
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::is_trivially_destructible_v<Slot>);

constexpr uint64_t kNumber = 8;  // one order further; below it the Phase or Answer
constexpr int64_t kPatienceUs = 1'000'000;
constexpr int64_t kClockSlackMs = 10;

Slot* slots = nullptr;
Slot* own = nullptr;
bool is_ending = false;
EndOrder ended_by = {};
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

bool IsAsOrdered(const EndOrder& order) {
    const volatile PgBackendStatus* entry = MyBEEntry;
    return entry != nullptr && entry->st_changecount % 2 == 0 &&
           entry->st_proc_start_timestamp == order.started && entry->st_state == order.state &&
           entry->st_state_start_timestamp == order.state_change &&
           (order.state == STATE_IDLE || order.state == STATE_IDLEINTRANSACTION ||
            order.state == STATE_IDLEINTRANSACTION_ABORTED);
}

Answer Judge(const EndOrder& order) {
    if (MyProcPort == nullptr || !IsAsOrdered(order)) {
        return Answer::kMoved;
    }
    if (*static_cast<volatile uint32*>(my_wait_event_info) != WAIT_EVENT_CLIENT_READ) {
        return Answer::kNotWaiting;
    }
    char byte = 0;
    const ssize_t peeked = recv(MyProcPort->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
        return Answer::kHasCommand;
    }
    return HasHalfMessage(GetCurrentTimestamp() - order.state_change) ? Answer::kHasHalfCommand
                                                                      : Answer::kEnds;
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

void Rung(int) {
    const int saved_errno = errno;
    uint64_t word = own == nullptr ? 0 : own->word.load(std::memory_order_acquire);
    if (PhaseOf(word) == Phase::kAsked) {
        const Answer answer = Judge(own->order);
        const bool ends = answer == Answer::kEnds;
        // First the answer: when the asker sees that the word has moved on, it is there.
        own->answer.store(WithPhase(word, Phase::kAbsent) + static_cast<uint64_t>(answer));
        if (own->word.compare_exchange_strong(
                word, WithPhase(word, ends ? Phase::kEnding : Phase::kPresent)) &&
            ends) {
            ended_by = own->order;
            is_ending = true;
            RaiseTimeout(ended_by.state != STATE_IDLE);
        }
    }
    errno = saved_errno;
}

void Leave(int, Datum) {
    own->word.fetch_and(~(kNumber - 1));  // kAbsent: no new ringer comes
    while (own->ringers.load() != 0) {
        pg_usleep(10);  // between two lines of AskToEnd
    }
    own = nullptr;
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
    on_shmem_exit(Leave, Datum{0});
    pqsignal(SIGUSR2, Rung);
    own->word.store(WithPhase(own->word.load(), Phase::kPresent));
}

/// The client is told who ended it and that nothing was lost.
void Logged(ErrorData* error) {
    if (is_ending && error->elevel == FATAL &&
        (error->sqlerrcode == ERRCODE_IDLE_SESSION_TIMEOUT ||
         error->sqlerrcode == ERRCODE_IDLE_IN_TRANSACTION_SESSION_TIMEOUT)) {
        const MemoryContext before = MemoryContextSwitchTo(error->assoc_context);
        error->message = psprintf(
            "terminating connection: idle for %lld ms, ended by upkeep",
            static_cast<long long>((GetCurrentTimestamp() - ended_by.state_change) / 1000));
        error->detail_log = psprintf("Process %d called upkeep.reap_sessions.", ended_by.asked_by);
        error->hint = pstrdup("No command was under way: connect again.");
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

const char* AskToEnd(int pid, const EndOrder& order) {
    PGPROC* proc = BackendPidGetProc(pid);
    if (proc == nullptr) {
        return "it has ended by itself";
    }
    Slot* slot = &slots[ProcNumberOf(proc)];
    uint64_t word = 0;
    slot->ringers.fetch_add(1);
    const bool rung = WriteAndRing(slot, pid, order, &word);
    slot->ringers.fetch_sub(1);
    if (!rung) {
        return "it is ending, or somebody else asks it to";
    }
    const TimestampTz until = GetCurrentTimestamp() + kPatienceUs;
    for (;;) {
        if (slot->word.load() != word) {
            const uint64_t answer = slot->answer.load();
            return answer / kNumber == word / kNumber ? kReasons[answer % kNumber]
                                                      : "it has ended or moved on";
        }
        uint64_t expected = word;
        if (GetCurrentTimestamp() > until &&
            slot->word.compare_exchange_strong(expected, WithPhase(word, Phase::kPresent))) {
            return "it did not answer within a second";
        }
        pg_usleep(100);
    }
}

}  // namespace upkeep::pg
