// SPDX-License-Identifier: PostgreSQL
#include "trace.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

#include "captured.h"
#include "fork_safe.h"
#include "guard.h"
#include "own_call.h"
#include "private_opening.h"
#include "registry.h"
#include "traced_statement.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/statement_kind.h"

namespace upkeep::sqlite {

namespace {

constexpr size_t kMostEntries = 256;  // beyond, those of statements that do not run go
// An execution that found the schema changed ends after its first few steps, and goes on under the
// same statement when that has been prepared again.
constexpr uint32_t kStepsOfAFalseStart = 4;
constexpr unsigned kEvents = SQLITE_TRACE_STMT | SQLITE_TRACE_ROW | SQLITE_TRACE_PROFILE;

struct Ended {
    capture::StatementKey key;
    capture::Execution execution;
    const char* failure = nullptr;  // name of the result code; nullptr: it ended well
};

/// An execution that is counted unless the next event shows that it was a false start.
struct Pending {
    sqlite3_stmt* stmt = nullptr;  // nullptr: none
    Ended ended;
    std::string normalized;
};

/// One connection's capture; used by its own thread only.
struct Tracer {
    sqlite3* db = nullptr;
    Capture* capture = nullptr;  // nullptr, or not this process's: not counting
    std::string file;
    uint32_t database = 0;
    std::string endpoint_name;
    uint32_t endpoint = 0;
    bool is_on = false;
    bool is_registered = false;
    bool has_counted = false;
    int open = 0;               // executions begun and not ended, upkeep's too
    int64_t wall_ahead_us = 0;  // of the steady clock, at the last end
    std::shared_ptr<Connection> connection;
    std::unordered_map<sqlite3_stmt*, TracedStatement> entries;
    capture::StatementCache cache;
    capture::TextCache text_cache;
    Pending pending;
};

struct Tracers {
    std::mutex mutex;
    std::map<sqlite3*, Tracer*> by_connection;
    std::atomic<bool> takes_new{false};
};

/// Never destroyed: connections may still close while the process exits.
Tracers& TheTracers() {
    static Tracers& tracers = *new Tracers;
    return tracers;
}

std::mutex& TheMutex() {
    return TheTracers().mutex;
}

Tracer* FindTracer(sqlite3* db) {
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    const auto found = tracers.by_connection.find(db);
    return found == tracers.by_connection.end() ? nullptr : found->second;
}

int64_t ThisThread() {
    static thread_local const int64_t id = syscall(SYS_gettid);
    return id;
}

/// Entries of statements that are gone or do not run.
void DropIdle(Tracer& tracer) {
    std::set<sqlite3_stmt*> running;
    for (sqlite3_stmt* stmt = sqlite3_next_stmt(tracer.db, nullptr); stmt != nullptr;
         stmt = sqlite3_next_stmt(tracer.db, stmt)) {
        if (sqlite3_stmt_busy(stmt) != 0) {
            running.insert(stmt);
        }
    }
    for (auto it = tracer.entries.begin(); it != tracer.entries.end();) {
        if (running.count(it->first) != 0 && it->second.is_open) {
            ++it;
            continue;
        }
        tracer.open -= it->second.is_open ? 1 : 0;
        it = tracer.entries.erase(it);
    }
}

TracedStatement& EntryOf(Tracer& tracer, sqlite3_stmt* stmt, const char* sql) {
    const auto found = tracer.entries.find(stmt);
    if (found != tracer.entries.end() && found->second.text.Is(sql)) {
        return found->second;
    }
    if (found != tracer.entries.end() && found->second.is_open) {  // its end was not shown
        --tracer.open;
    }
    if (found == tracer.entries.end() && tracer.entries.size() >= kMostEntries) {
        DropIdle(tracer);
    }
    std::string normalized;
    TracedStatement made = Describe(stmt, sql, &normalized);
    capture::TextTable& texts = tracer.capture->store().texts();
    if (!made.is_own && !texts.Knows(tracer.text_cache, tracer.database, made.fingerprint)) {
        texts.Keep(tracer.database, made.fingerprint, normalized);
    }
    return tracer.entries.insert_or_assign(stmt, std::move(made)).first->second;
}

uint32_t Status(sqlite3_stmt* stmt, int counter) {
    return static_cast<uint32_t>(sqlite3_stmt_status(stmt, counter, 0));  // wraps; never reset
}

void NoteEvent(Tracer& tracer, int64_t now_us) {
    if (tracer.connection == nullptr) {
        return;
    }
    ConnectionEvents& events = tracer.connection->events;
    const int autocommit = sqlite3_get_autocommit(tracer.db);
    if (autocommit != 0) {
        events.transaction_us.store(0, std::memory_order_relaxed);
    } else if (events.autocommit.load(std::memory_order_relaxed) != 0) {
        events.transaction_us.store(now_us, std::memory_order_relaxed);
    }
    events.autocommit.store(autocommit, std::memory_order_relaxed);
    events.txn_state.store(sqlite3_txn_state(tracer.db, nullptr), std::memory_order_relaxed);
    events.open_statements.store(tracer.open, std::memory_order_relaxed);
    events.thread.store(ThisThread(), std::memory_order_relaxed);
    events.last_event_us.store(now_us, std::memory_order_relaxed);
}

void Begin(Tracer& tracer, sqlite3_stmt* stmt, const char* shown) {
    const char* sql = sqlite3_sql(stmt);
    if (sql == nullptr || own_calls > 0) {
        return;
    }
    // A statement inside another: its text comes with `--` before it, a trigger's under the
    // statement that fired it.
    const bool is_top_level = shown == sql;
    const auto known = tracer.entries.find(stmt);
    if (!is_top_level && known != tracer.entries.end() && known->second.is_open &&
        known->second.is_top_level) {
        known->second.ran_trigger = true;
        return;
    }
    if (!is_top_level && (tracer.capture->config().level != CaptureLevel::kAll ||
                          strcmp(shown + std::min<size_t>(3, strlen(shown)), sql) != 0)) {
        return;
    }
    TracedStatement& entry = EntryOf(tracer, stmt, sql);
    if (!entry.is_open) {
        ++tracer.open;
    }
    entry.is_open = true;
    entry.is_top_level = is_top_level;
    entry.ran_trigger = false;
    entry.began_in_transaction = sqlite3_get_autocommit(tracer.db) == 0;
    entry.rows = 0;
    entry.scans = Status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP);
    entry.sorts = Status(stmt, SQLITE_STMTSTATUS_SORT);
    entry.steps = Status(stmt, SQLITE_STMTSTATUS_VM_STEP);
    entry.reprepares = Status(stmt, SQLITE_STMTSTATUS_REPREPARE);
    entry.began_ns = SteadyNs();
    NoteEvent(tracer, static_cast<int64_t>(entry.began_ns / 1000) + tracer.wall_ahead_us);
}

void KeepSlow(Tracer& tracer, sqlite3_stmt* stmt, const Ended& ended) {
    const CaptureConfig& config = tracer.capture->config();
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
    tracer.capture->store().slow().Add(slow);
}

/// Counts it; `text()` gives the statement's, for a store that does not know it yet or any more.
template <typename Text>
void Count(Tracer& tracer, const Ended& ended, Text text) {
    capture::Store& store = tracer.capture->store();
    tracer.has_counted = true;
    if (store.Record(tracer.cache, ended.key, ended.execution)) {
        return;
    }
    const std::string normalized = text();
    const std::string tables = capture::TablesOf(normalized);
    store.texts().Keep(ended.key.database, ended.key.fingerprint, normalized);
    store.RecordNew(tracer.cache, ended.key,
                    {.operation = capture::OperationOf(normalized), .tables = tables},
                    ended.execution);
}

std::string NormalizedText(sqlite3_stmt* stmt) {
    return capture::Normalize(sqlite3_sql(stmt), capture::SqlDialect::kSqlite);
}

/// The held-back execution was one: nothing of its statement is asked, which may be gone.
void CountPending(Tracer& tracer) {
    if (tracer.pending.stmt == nullptr) {
        return;
    }
    tracer.pending.stmt = nullptr;
    Count(tracer, tracer.pending.ended, [&] { return std::move(tracer.pending.normalized); });
}

/// Goes on with the held-back execution if this event is its own.
void ResumePending(Tracer& tracer, sqlite3_stmt* stmt) {
    if (tracer.pending.stmt == nullptr) {
        return;
    }
    const auto found = tracer.entries.find(stmt);
    if (tracer.pending.stmt != stmt || found == tracer.entries.end() ||
        Status(stmt, SQLITE_STMTSTATUS_REPREPARE) == found->second.reprepares) {
        CountPending(tracer);
        return;
    }
    tracer.pending.stmt = nullptr;
    found->second.is_open = true;
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

Ended Measure(const Tracer& tracer, sqlite3_stmt* stmt, const TracedStatement& entry,
              uint64_t now_ns, int64_t now_us) {
    const CaptureConfig& config = tracer.capture->config();
    Ended ended;
    ended.failure = FailureOf(tracer.db, stmt, entry);
    capture::Execution& execution = ended.execution;
    execution.ended_us = now_us;
    execution.duration_ns = now_ns - entry.began_ns;
    execution.rows = RowsOf(tracer.db, entry);
    execution.full_scans = Status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP) != entry.scans ? 1 : 0;
    execution.sorts = Status(stmt, SQLITE_STMTSTATUS_SORT) - entry.sorts;
    execution.is_error = ended.failure != nullptr;
    const int64_t slow_ns = config.slow_ns;
    execution.is_slow = slow_ns >= 0 && execution.duration_ns >= static_cast<uint64_t>(slow_ns);
    ended.key = {
        .fingerprint = entry.fingerprint,
        .database = tracer.database,
        .endpoint = tracer.endpoint_name.empty() ? config.endpoint.load() : tracer.endpoint,
        .top_level = entry.is_top_level ? 1U : 0U};
    return ended;
}

void End(Tracer& tracer, sqlite3_stmt* stmt) {
    const uint64_t now_ns = SteadyNs();
    const auto found = tracer.entries.find(stmt);
    if (found == tracer.entries.end() || !found->second.is_open) {
        return;
    }
    TracedStatement& entry = found->second;
    entry.is_open = false;
    --tracer.open;
    const int64_t ended_us = WallClockUs();
    tracer.wall_ahead_us = ended_us - static_cast<int64_t>(now_ns / 1000);
    NoteEvent(tracer, ended_us);
    if (entry.is_own || tracer.capture->config().level == CaptureLevel::kNone) {
        return;
    }
    const Ended ended = Measure(tracer, stmt, entry, now_ns, ended_us);
    const bool may_start_again =
        entry.rows == 0 && entry.kind != Kind::kBegin && entry.kind != Kind::kEnd &&
        sqlite3_stmt_busy(stmt) == 0 && !ended.execution.is_slow &&
        Status(stmt, SQLITE_STMTSTATUS_VM_STEP) - entry.steps <= kStepsOfAFalseStart;
    if (may_start_again) {
        tracer.pending = {stmt, ended, NormalizedText(stmt)};
        return;
    }
    Count(tracer, ended, [&] { return NormalizedText(stmt); });
    if (ended.execution.is_slow) {
        KeepSlow(tracer, stmt, ended);
    }
}

int OnEvent(unsigned event, void* own, void* subject, void* detail) noexcept {
    auto& tracer = *static_cast<Tracer*>(own);
    if (!tracer.is_on || tracer.capture != TheCapture()) {
        return 0;
    }
    auto* stmt = static_cast<sqlite3_stmt*>(subject);
    const auto body = [&] {
        tracer.capture->Refresh();
        ResumePending(tracer, stmt);
        if (event == SQLITE_TRACE_STMT) {
            Begin(tracer, stmt, static_cast<const char*>(detail));
        } else if (event == SQLITE_TRACE_PROFILE) {
            End(tracer, stmt);
        } else if (event == SQLITE_TRACE_ROW) {
            const auto found = tracer.entries.find(stmt);
            if (found != tracer.entries.end()) {
                ++found->second.rows;
            }
        }
    };
    Failure failure;
    if (!Guarded(&failure, body)) {
        tracer.capture->store().CountHostError();  // capturing is ours, the statement the user's
    }
    return 0;
}

void NoFunction(sqlite3_context* context, int, sqlite3_value**) {
    sqlite3_result_error(context, "marks a connection that upkeep captures; not to be called", -1);
}

/// SQLite ends its functions last of all, after a close and the last open statement.
void Closed(void* own) {
    auto* tracer = static_cast<Tracer*>(own);
    {
        Tracers& tracers = TheTracers();
        const std::lock_guard lock(tracers.mutex);
        tracers.by_connection.erase(tracer->db);
    }
    if (tracer->is_on) {  // the application may have replaced our function: the connection lives on
        sqlite3_trace_v2(tracer->db, 0, nullptr, nullptr);
    }
    Failure failure;
    const auto save = [&] {
        if (!tracer->is_registered || tracer->capture == nullptr ||
            tracer->capture != TheCapture()) {
            return;
        }
        CountPending(*tracer);
        if (tracer->has_counted) {
            SaveAtClose(tracer->file);
        }
    };
    Guarded(&failure, save);  // a close must not fail; SaveAtClose has said why
    delete tracer;
}

/// The connection's tracer, made where need be. Throws Error.
Tracer& TracerOf(sqlite3* db) {
    if (Tracer* known = FindTracer(db)) {
        return *known;
    }
    auto* made = new Tracer;
    made->db = db;
    made->file = MainFile(db);
    // On failure SQLite calls Closed by itself.
    const int code =
        sqlite3_create_function_v2(db, "_upkeep_capture", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, made,
                                   NoFunction, nullptr, nullptr, Closed);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
    made->is_registered = true;
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    tracers.by_connection[db] = made;
    return *made;
}

void Attach(sqlite3* db) {
    Capture& capture = MakeCapture();
    capture.Refresh();
    Tracer& tracer = TracerOf(db);
    if (tracer.capture != &capture) {  // new, or inherited by a fork
        tracer.capture = &capture;
        tracer.cache = {};
        tracer.text_cache = {};
        tracer.entries.clear();
        tracer.pending = {};
        tracer.open = 0;
        tracer.database = capture.DatabaseId(tracer.file);
        tracer.endpoint = capture.store().endpoints().IdOf(tracer.endpoint_name);
        tracer.wall_ahead_us = WallClockUs() - static_cast<int64_t>(SteadyNs() / 1000);
        tracer.connection = RegisterConnection(db);
    }
    const int code = sqlite3_trace_v2(db, kEvents, OnEvent, &tracer);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
    tracer.is_on = true;
}

int NewConnection(sqlite3* db, char**, const sqlite3_api_routines*) {
    if (private_openings == 0 && TheTracers().takes_new) {
        Failure failure;
        const auto attach = [&] { Attach(db); };
        Guarded(&failure, attach);  // capturing is ours, opening the user's: his goes on
    }
    return SQLITE_OK;
}

}  // namespace

void StartCapture(sqlite3* db) {
    if (sqlite3_api->trace_v2 == nullptr) {
        throw Error(Code::kUnsupported, "this SQLite was built without sqlite3_trace_v2",
                    "use one that was not built with SQLITE_OMIT_TRACE");
    }
    KeepUnlockedInChildren<TheMutex>();
    Attach(db);
    TheTracers().takes_new = true;
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(NewConnection));
}

void StopCapture(sqlite3* db) {
    TheTracers().takes_new = false;
    Tracer* tracer = FindTracer(db);
    if (tracer == nullptr || !tracer->is_on) {
        return;
    }
    if (StateOfCapture(db) == CaptureState::kOn) {  // else the slot is another's
        sqlite3_trace_v2(db, 0, nullptr, nullptr);
    }
    CountPending(*tracer);
    tracer->is_on = false;
    tracer->entries.clear();
    tracer->open = 0;
}

void SetEndpoint(sqlite3* db, const std::string& endpoint) {
    Tracer& tracer = TracerOf(db);
    tracer.endpoint_name = endpoint;
    if (tracer.capture != nullptr && tracer.capture == TheCapture()) {
        tracer.endpoint = tracer.capture->store().endpoints().IdOf(endpoint);
    }
}

CaptureState StateOfCapture(sqlite3* db) {
    const Tracer* tracer = FindTracer(db);
    if (tracer == nullptr || !tracer->is_on || tracer->capture != TheCapture()) {
        return CaptureState::kOff;
    }
    // The statement that asks is running: had it not been shown to us, another would see it.
    return tracer->open > 0 ? CaptureState::kOn : CaptureState::kReplaced;
}

}  // namespace upkeep::sqlite
