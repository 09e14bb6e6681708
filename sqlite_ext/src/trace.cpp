// SPDX-License-Identifier: PostgreSQL
#include "trace.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "captured.h"
#include "flusher.h"
#include "fork_safe.h"
#include "guard.h"
#include "own_call.h"
#include "private_opening.h"
#include "registry.h"
#include "repeats.h"
#include "statement_samples.h"
#include "trace_sample.h"
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

/// Who works with a tracer's batches: its thread for the few additions of one execution, or a
/// reader that empties them. A thread that finds a reader there counts in the store itself, so no
/// statement ever waits; a reader waits for those few additions.
class Hold {
  public:
    bool Try() { return !is_taken_.exchange(true, std::memory_order_acquire); }
    void Wait() {
        while (!Try()) {
            std::this_thread::yield();
        }
    }
    void Leave() { is_taken_.store(false, std::memory_order_release); }

  private:
    std::atomic<bool> is_taken_{false};
};

/// Waits for the hold, and leaves it whatever happens.
class Holding {
  public:
    explicit Holding(Hold& hold) : hold_(hold) { hold_.Wait(); }
    ~Holding() { hold_.Leave(); }
    Holding(const Holding&) = delete;
    Holding& operator=(const Holding&) = delete;

  private:
    Hold& hold_;
};

/// One connection's capture; used by its own thread only, but for what `hold` guards.
struct Tracer {
    sqlite3* db = nullptr;
    std::atomic<Capture*> capture{nullptr};  // nullptr, or not this process's: not counting
    std::string file;
    uint32_t database = 0;
    NamedEndpoint endpoint;        // upkeep_set_endpoint's
    uint32_t client_endpoint = 0;  // of the statement that the application began last
    bool is_on = false;
    bool is_registered = false;
    bool has_counted = false;
    int open = 0;               // executions begun and not ended, upkeep's too
    int64_t wall_ahead_us = 0;  // of the steady clock
    uint64_t wall_read_ns = 0;  // when that was found out
    std::shared_ptr<Connection> connection;
    pthread_t thread = 0;  // of the last event
    Hold hold;
    std::unordered_map<sqlite3_stmt*, TracedStatement> entries;  // hold: insertions, batches
    sqlite3_stmt* last_stmt = nullptr;                           // of the last event, and its entry
    TracedStatement* last = nullptr;
    capture::StatementCache cache;  // hold
    capture::TextCache text_cache;
    capture::SampleClock sample_clock;
    Pending pending;
    Repeats repeats;
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
    return syscall(SYS_gettid);
}

Capture& CaptureOf(const Tracer& tracer) {
    return *tracer.capture.load(std::memory_order_relaxed);
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

/// To be called under the tracer's hold.
void StoreBatch(Tracer& tracer, TracedStatement& entry) {
    if (!entry.batch.IsEmpty()) {
        CaptureOf(tracer).store().RecordBatch(
            tracer.cache, entry.batch_key, {.operation = entry.operation, .tables = entry.tables},
            entry.batch);
        entry.batch.Clear();
    }
}

void StoreBatches(Tracer& tracer) {
    const Holding holding(tracer.hold);
    for (auto& [stmt, entry] : tracer.entries) {
        StoreBatch(tracer, entry);
    }
}

/// Entries of statements that are gone or do not run. Under the tracer's hold.
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
        StoreBatch(tracer, it->second);
        it = tracer.entries.erase(it);
    }
}

TracedStatement& MakeEntry(Tracer& tracer, sqlite3_stmt* stmt, const char* sql) {
    std::string normalized;
    TracedStatement made = Describe(stmt, sql, &normalized);
    made.sample_resets = CaptureOf(tracer).sample_resets.load(std::memory_order_relaxed);
    capture::TextTable& texts = CaptureOf(tracer).store().texts();
    if (!made.is_own && !texts.Knows(tracer.text_cache, tracer.database, made.fingerprint)) {
        texts.Keep(tracer.database, made.fingerprint, normalized);
    }
    if (!made.is_own) {
        NoteSample(CaptureOf(tracer), tracer.database, made.fingerprint, sql);
    }
    const Holding holding(tracer.hold);
    const auto known = tracer.entries.find(stmt);
    if (known != tracer.entries.end()) {
        tracer.open -= known->second.is_open ? 1 : 0;  // its end was not shown
        StoreBatch(tracer, known->second);
    } else if (tracer.entries.size() >= kMostEntries) {
        DropIdle(tracer);
    }
    TracedStatement& entry = tracer.entries.insert_or_assign(stmt, std::move(made)).first->second;
    tracer.last_stmt = stmt;
    tracer.last = &entry;
    return entry;
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
    if (const uint32_t setting = CaptureOf(tracer).EndpointOfSetting(); setting != names.kNone) {
        return setting;
    }
    return entry.is_top_level ? entry.endpoint.IdIn(names) : tracer.client_endpoint;
}

uint32_t Status(sqlite3_stmt* stmt, int counter) {
    return static_cast<uint32_t>(sqlite3_stmt_status(stmt, counter, 0));  // wraps; never reset
}

StatementWork WorkOf(sqlite3_stmt* stmt, uint32_t runs) {
    return {.runs = runs,
            .scans = Status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP),
            .sorts = Status(stmt, SQLITE_STMTSTATUS_SORT),
            .steps = Status(stmt, SQLITE_STMTSTATUS_VM_STEP),
            .reprepares = Status(stmt, SQLITE_STMTSTATUS_REPREPARE)};
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
    entry.began_in_transaction = sqlite3_get_autocommit(tracer.db) == 0;
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

std::string NormalizedText(sqlite3_stmt* stmt) {
    return capture::NormalizeWithNotes(sqlite3_sql(stmt), capture::SqlDialect::kSqlite);
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
    TracedStatement* found = Find(tracer, stmt);
    if (tracer.pending.stmt != stmt || found == nullptr ||
        Status(stmt, SQLITE_STMTSTATUS_REPREPARE) == found->before.reprepares) {
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
    const bool may_start_again = entry.rows == 0 && entry.kind != Kind::kBegin &&
                                 entry.kind != Kind::kEnd && sqlite3_stmt_busy(stmt) == 0 &&
                                 !ended.execution.is_slow &&
                                 entry.seen.steps - entry.before.steps <= kStepsOfAFalseStart;
    if (may_start_again) {
        tracer.pending = {stmt, ended, NormalizedText(stmt)};
        return;
    }
    bool is_new = false;
    if (!CountInBatch(tracer, entry, ended)) {
        is_new = Count(tracer, ended, [&] { return NormalizedText(stmt); });
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
    const auto body = [&] {
        ResumePending(tracer, stmt);
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
        StoreBatches(*tracer);
        CountPending(*tracer);
        tracer->repeats.End(CaptureOf(*tracer), tracer->database);
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

void ForgetEntries(Tracer& tracer) {
    const Holding holding(tracer.hold);
    tracer.entries.clear();
    tracer.last_stmt = nullptr;
    tracer.open = 0;
}

void Attach(sqlite3* db) {
    Capture& capture = MakeCapture();
    capture.Refresh();
    Tracer& tracer = TracerOf(db);
    if (tracer.capture != &capture) {  // new, or inherited by a fork
        tracer.hold.Leave();           // one that the child inherited nobody would leave
        tracer.capture = &capture;
        tracer.cache = {};
        tracer.text_cache = {};
        ForgetEntries(tracer);
        tracer.pending = {};
        tracer.endpoint.ForgetId();
        tracer.repeats = {};
        tracer.database = capture.DatabaseId(tracer.file);
        tracer.wall_ahead_us = WallClockUs() - static_cast<int64_t>(SteadyNs() / 1000);
        tracer.connection = RegisterConnection(db);
        tracer.thread = 0;
        static_cast<void>(ApplyFlushInterval());  // a new process: without a thread it saves later
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
    BeginIndexUse(db);
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
    if (tracer->capture == TheCapture()) {  // else a fork left it: the parent counts
        StoreBatches(*tracer);
        CountPending(*tracer);
        tracer->repeats.End(CaptureOf(*tracer), tracer->database);
    }
    tracer->is_on = false;
    ForgetEntries(*tracer);
}

void StoreAllBatches() {
    Tracers& tracers = TheTracers();
    const std::lock_guard lock(tracers.mutex);
    for (const auto& [db, tracer] : tracers.by_connection) {
        if (tracer->capture != nullptr && tracer->capture == TheCapture()) {
            StoreBatches(*tracer);
        }
    }
}

void SetEndpoint(sqlite3* db, const std::string& endpoint) {
    TracerOf(db).endpoint.Set(endpoint);
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
