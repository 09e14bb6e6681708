// SPDX-License-Identifier: PostgreSQL
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "captured.h"
#include "force.h"
#include "guard.h"
#include "own_call.h"
#include "trace_sample.h"
#include "tracer.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::sqlite {

namespace {

// An execution that found the schema changed ends after its first few steps, and goes on under the
// same statement when that has been prepared again.
constexpr uint32_t kStepsOfAFalseStart = 4;

int64_t ThisThread() {
    return syscall(SYS_gettid);
}

TracedStatement* Find(Tracer& tracer, sqlite3_stmt* stmt) {
    if (tracer.last_stmt == stmt) {
        return tracer.last;
    }
    const auto found = tracer.entries.find(stmt);
    if (found == tracer.entries.end()) {
        return nullptr;
    }
    tracer.last_stmt = stmt;
    tracer.last = &found->second;
    return tracer.last;
}

TracedStatement& EntryOf(Tracer& tracer, sqlite3_stmt* stmt, const char* sql) {
    TracedStatement* known = Find(tracer, stmt);
    return known != nullptr && known->text.Is(sql) ? *known : MakeEntry(tracer, stmt, sql);
}

/// What was told to the connection or the process wins; else a comment. What a statement runs
/// inside belongs to the application's statement.
uint32_t EndpointOf(Tracer& tracer, TracedStatement& entry) {
    capture::EndpointNames& names = CaptureOf(tracer).store().endpoints();
    if (!tracer.endpoint.empty()) {
        return tracer.endpoint.IdIn(names);
    }
    if (CaptureOf(tracer).config().endpoint.load(std::memory_order_relaxed) != names.kNone) {
        const uint32_t setting = CaptureOf(tracer).EndpointOfSetting();
        if (setting != names.kNone) {
            return setting;
        }
    }
    return entry.is_top_level ? entry.endpoint.IdIn(names) : tracer.client_endpoint;
}

uint32_t Status(sqlite3_stmt* stmt, int counter) {
    return static_cast<uint32_t>(sqlite3_stmt_status(stmt, counter, 0));  // wraps; never reset
}

StatementWork WorkOf(sqlite3_stmt* stmt, uint32_t runs) {
    return {.runs = runs,
            .scans = Status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP),
            .sorts = Status(stmt, SQLITE_STMTSTATUS_SORT)};
}

/// A transaction that nobody began explicitly lasts as long as its statements are open.
int TransactionState(const Tracer& tracer, int autocommit) {
    return autocommit != 0 && tracer.open == 0 ? SQLITE_TXN_NONE
                                               : sqlite3_txn_state(tracer.db, nullptr);
}

void NoteBegin(Tracer& tracer, int64_t now_us) {
    if (tracer.connection == nullptr) {
        return;
    }
    ConnectionEvents& events = tracer.connection->events;
    events.open_statements.store(tracer.open, std::memory_order_relaxed);
    if (const pthread_t thread = pthread_self(); thread != tracer.thread) {
        tracer.thread = thread;
        events.thread.store(ThisThread(), std::memory_order_relaxed);
    }
    events.last_event_us.store(now_us, std::memory_order_relaxed);
}

void NoteEnd(const Tracer& tracer, int64_t now_us) {
    if (tracer.connection == nullptr) {
        return;
    }
    ConnectionEvents& events = tracer.connection->events;
    const int autocommit = sqlite3_get_autocommit(tracer.db);
    if (events.autocommit.load(std::memory_order_relaxed) != autocommit) {
        events.autocommit.store(autocommit, std::memory_order_relaxed);
        events.transaction_us.store(autocommit != 0 ? 0 : now_us, std::memory_order_relaxed);
    }
    events.txn_state.store(TransactionState(tracer, autocommit), std::memory_order_relaxed);
    events.open_statements.store(tracer.open, std::memory_order_relaxed);
    events.last_event_us.store(now_us, std::memory_order_relaxed);
}

/// Another statement begins while the one whose row came last is open: it may be that row's doing.
void NoteOpenSource(Tracer& tracer, sqlite3_stmt* beginning) {
    if (tracer.open == 0 || tracer.repeats.last_row() == beginning) {
        return;
    }
    const auto found = tracer.entries.find(tracer.repeats.last_row());
    if (found == tracer.entries.end() || !found->second.is_open || found->second.is_own ||
        !found->second.is_top_level) {
        return;
    }
    tracer.repeats.NotePart(CaptureOf(tracer),
                            {.fingerprint = found->second.fingerprint,
                             .database = tracer.database,
                             .endpoint = EndpointOf(tracer, found->second)},
                            found->second,
                            static_cast<int64_t>(SteadyNs() / 1000) + tracer.wall_ahead_us);
}

void Begin(Tracer& tracer, sqlite3_stmt* stmt, const char* shown) {
    const char* sql = sqlite3_sql(stmt);
    if (sql == nullptr || own_calls > 0) {
        return;
    }
    // A statement inside another: its text comes with `--` before it, a trigger's under the
    // statement that fired it.
    const bool is_top_level = shown == sql;
    if (TracedStatement* fires = is_top_level ? nullptr : Find(tracer, stmt);
        fires != nullptr && fires->is_open && fires->is_top_level) {
        fires->ran_trigger = true;
        return;
    }
    if (!is_top_level && (CaptureOf(tracer).config().level != CaptureLevel::kAll ||
                          strcmp(shown + std::min<size_t>(3, strlen(shown)), sql) != 0)) {
        return;
    }
    NoteOpenSource(tracer, stmt);
    TracedStatement& entry = EntryOf(tracer, stmt, sql);
    if (!entry.is_open) {
        ++tracer.open;
    }
    entry.is_open = true;
    entry.is_top_level = is_top_level;
    if (is_top_level && CaptureOf(tracer).config().level == CaptureLevel::kAll) {
        tracer.client_endpoint = EndpointOf(tracer, entry);
    }
    entry.ran_trigger = false;
    entry.began_in_transaction =
        entry.kind != Kind::kOther && sqlite3_get_autocommit(tracer.db) == 0;
    // Where the last execution had rows this one most likely has, and its steps matter to nobody.
    entry.knows_steps = entry.rows == 0;
    if (entry.knows_steps) {
        entry.steps_before = Status(stmt, SQLITE_STMTSTATUS_VM_STEP);
    }
    entry.rows = 0;
    entry.rows_told = 0;
    const uint32_t runs = Status(stmt, SQLITE_STMTSTATUS_RUN);
    entry.before = runs != 0 && runs == entry.seen.runs ? entry.seen : WorkOf(stmt, runs);
    entry.began_ns = SteadyNs();
    NoteBegin(tracer, static_cast<int64_t>(entry.began_ns / 1000) + tracer.wall_ahead_us);
}

void KeepSlow(Tracer& tracer, sqlite3_stmt* stmt, const Ended& ended) {
    const CaptureConfig& config = CaptureOf(tracer).config();
    capture::SlowStatement slow;
    slow.fields.ended_us = ended.execution.ended_us;
    slow.fields.duration_ns = ended.execution.duration_ns;
    slow.fields.fingerprint = ended.key.fingerprint;
    slow.fields.rows = ended.execution.rows;
    slow.fields.database = ended.key.database;
    slow.fields.endpoint = ended.key.endpoint;
    slow.fields.pid = getpid();
    slow.error_code = ended.failure != nullptr ? ended.failure : "";
    slow.plan = config.keeps_plans ? "" : kNoPlan;
    if (config.keeps_parameters) {
        char* text = sqlite3_expanded_sql(stmt);
        slow.parameters = text != nullptr ? text : "";
        sqlite3_free(text);
    }
    CaptureOf(tracer).store().slow().Add(slow);
}

/// Counts it; `text()` gives the statement's, for a store that does not know it yet or any more.
/// True: it was such a one.
template <typename Text>
bool Count(Tracer& tracer, const Ended& ended, Text text) {
    capture::Store& store = CaptureOf(tracer).store();
    tracer.has_counted = true;
    if (store.Record(tracer.cache, ended.key, ended.execution)) {
        return false;
    }
    const std::string normalized = text();
    const std::string tables = capture::TablesOf(normalized);
    store.texts().Keep(ended.key.database, ended.key.fingerprint, normalized);
    store.RecordNew(tracer.cache, ended.key,
                    {.operation = capture::OperationOf(normalized), .tables = tables},
                    ended.execution);
    return true;
}

/// Adds to what the statement holds back. False: nothing is held back, the store is to be told:
/// the statement may be new to it, or somebody is reading.
bool CountInBatch(Tracer& tracer, TracedStatement& entry, const Ended& ended) {
    const bool is_usual = entry.is_stored && !ended.execution.is_error && !ended.execution.is_slow;
    entry.is_stored = !ended.execution.is_error;
    if (!is_usual || !tracer.hold.Try()) {
        return false;
    }
    if (!(entry.batch_key == ended.key) || !entry.batch.Add(ended.execution)) {
        StoreBatch(tracer, entry);
        entry.batch_key = ended.key;
        entry.batch.Add(ended.execution);
    }
    tracer.hold.Leave();
    return true;
}

std::string NormalizedText(sqlite3_stmt* stmt, const TracedStatement& entry) {
    return capture::NormalizeWithNotes(sqlite3_sql(stmt), capture::SqlDialect::kSqlite,
                                       entry.strings);
}

/// Goes on with the held-back execution if this event is its own: SQLite tells of no second begin.
void ResumePending(Tracer& tracer, sqlite3_stmt* stmt, unsigned event) {
    if (tracer.pending.stmt == nullptr) {
        return;
    }
    TracedStatement* found = Find(tracer, stmt);
    if (event == SQLITE_TRACE_STMT || tracer.pending.stmt != stmt || found == nullptr ||
        Status(stmt, SQLITE_STMTSTATUS_REPREPARE) == tracer.pending.reprepares) {
        CountPending(tracer);
        return;
    }
    tracer.pending.stmt = nullptr;
    found->is_open = true;
    ++tracer.open;
}

uint64_t RowsOf(sqlite3* db, const TracedStatement& entry) {
    using capture::Operation;
    const bool changes = entry.operation == Operation::kInsert ||
                         entry.operation == Operation::kUpdate ||
                         entry.operation == Operation::kDelete;
    if (changes) {
        return static_cast<uint64_t>(sqlite3_changes(db));
    }
    return entry.has_columns ? entry.rows : 0;  // without columns: rows of its own inner work
}

Ended Measure(Tracer& tracer, sqlite3_stmt* stmt, TracedStatement& entry, uint64_t now_ns,
              int64_t now_us) {
    const CaptureConfig& config = CaptureOf(tracer).config();
    Ended ended;
    const bool cannot_have_failed = entry.kind == Kind::kOther && entry.rows > 0;
    ended.failure = cannot_have_failed ? nullptr : FailureOf(tracer.db, stmt, entry);
    capture::Execution& execution = ended.execution;
    execution.ended_us = now_us;
    execution.duration_ns = now_ns - entry.began_ns;
    execution.rows = RowsOf(tracer.db, entry);
    execution.full_scans = entry.seen.scans != entry.before.scans ? 1 : 0;
    execution.sorts = entry.seen.sorts - entry.before.sorts;
    execution.is_error = ended.failure != nullptr;
    const int64_t slow_ns = config.slow_ns;
    execution.is_slow = slow_ns >= 0 && execution.duration_ns >= static_cast<uint64_t>(slow_ns);
    ended.key = {.fingerprint = entry.fingerprint,
                 .database = tracer.database,
                 .endpoint = EndpointOf(tracer, entry),
                 .top_level = entry.is_top_level ? 1U : 0U};
    return ended;
}

/// The time of day, from the steady clock; the other one is asked once a second.
int64_t EndedUs(Tracer& tracer, uint64_t now_ns) {
    if (now_ns - tracer.wall_read_ns > 1'000'000'000) {
        tracer.wall_read_ns = now_ns;
        tracer.wall_ahead_us = WallClockUs() - static_cast<int64_t>(now_ns / 1000);
    }
    return static_cast<int64_t>(now_ns / 1000) + tracer.wall_ahead_us;
}

/// Did it end before it had done anything? `entry` had no rows.
bool MayStartAgain(sqlite3_stmt* stmt, const TracedStatement& entry, const Ended& ended) {
    return entry.kind != Kind::kBegin && entry.kind != Kind::kEnd && sqlite3_stmt_busy(stmt) == 0 &&
           !ended.execution.is_slow &&
           (!entry.knows_steps ||
            Status(stmt, SQLITE_STMTSTATUS_VM_STEP) - entry.steps_before <= kStepsOfAFalseStart);
}

void End(Tracer& tracer, sqlite3_stmt* stmt) {
    const uint64_t now_ns = SteadyNs();
    TracedStatement* found = Find(tracer, stmt);
    if (found == nullptr || !found->is_open) {
        return;
    }
    TracedStatement& entry = *found;
    entry.is_open = false;
    entry.seen = WorkOf(stmt, entry.before.runs + 1);
    --tracer.open;
    const int64_t ended_us = EndedUs(tracer, now_ns);
    NoteEnd(tracer, ended_us);
    if (entry.is_own || CaptureOf(tracer).config().level == CaptureLevel::kNone) {
        return;
    }
    const Ended ended = Measure(tracer, stmt, entry, now_ns, ended_us);
    if (ended.failure == nullptr && entry.is_top_level) {
        tracer.repeats.Note(CaptureOf(tracer), ended.key, stmt, entry, ended.execution);
    }
    if (entry.rows == 0 && MayStartAgain(stmt, entry, ended)) {
        tracer.pending = {stmt, Status(stmt, SQLITE_STMTSTATUS_REPREPARE), ended,
                          NormalizedText(stmt, entry)};
        return;
    }
    bool is_new = false;
    if (!CountInBatch(tracer, entry, ended)) {
        is_new = Count(tracer, ended, [&] { return NormalizedText(stmt, entry); });
    }
    const uint32_t resets = CaptureOf(tracer).sample_resets.load(std::memory_order_relaxed);
    if (tracer.sample_clock.IsDue(ended.execution.duration_ns) || is_new ||
        entry.sample_resets != resets) {
        entry.sample_resets = resets;
        TakeSample(CaptureOf(tracer).store().samples(), tracer.db, stmt, ended.key,
                   entry.operation);
    }
    if (ended.execution.is_slow) {
        KeepSlow(tracer, stmt, ended);
    }
}

}  // namespace

/// The held-back execution was one: nothing of its statement is asked, which may be gone.
void CountPending(Tracer& tracer) {
    if (tracer.pending.stmt == nullptr) {
        return;
    }
    tracer.pending.stmt = nullptr;
    Count(tracer, tracer.pending.ended, [&] { return std::move(tracer.pending.normalized); });
}

int OnEvent(unsigned event, void* own, void* subject, void* detail) noexcept {
    auto& tracer = *static_cast<Tracer*>(own);
    if (!tracer.is_on || tracer.capture != TheCapture()) {
        return 0;
    }
    auto* stmt = static_cast<sqlite3_stmt*>(subject);
    if (event == SQLITE_TRACE_ROW && tracer.last_stmt == stmt && tracer.pending.stmt == nullptr) {
        ++tracer.last->rows;
        tracer.repeats.SawRow(stmt);
        return 0;
    }
    Connection* connection = tracer.connection.get();
    const bool is_poisoned = connection != nullptr &&
                             connection->poison.load(std::memory_order_relaxed) != Poison::kNone;
    if (is_poisoned && OnPoisoned(*connection, tracer.db, event, static_cast<const char*>(detail),
                                  sqlite3_sql(stmt))) {
        return 0;
    }
    const auto body = [&] {
        ResumePending(tracer, stmt, event);
        if (event == SQLITE_TRACE_STMT) {
            CaptureOf(tracer).Refresh();
            Begin(tracer, stmt, static_cast<const char*>(detail));
        } else if (event == SQLITE_TRACE_PROFILE) {
            End(tracer, stmt);
        } else if (event == SQLITE_TRACE_ROW) {
            if (TracedStatement* found = Find(tracer, stmt)) {
                ++found->rows;
                tracer.repeats.SawRow(stmt);
            }
        }
    };
    Failure failure;
    if (!Guarded(&failure, body)) {
        CaptureOf(tracer).store().CountHostError();  // capturing is ours, the statement the user's
    }
    return 0;
}

}  // namespace upkeep::sqlite
