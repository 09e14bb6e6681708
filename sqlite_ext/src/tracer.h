// One connection's capture: what its callbacks keep between two events, and the counts that are not
// in the store yet. trace_events.cpp fills it, trace.cpp makes and ends it.
// Not for: what a statement is (traced_statement.h). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "capture_memory.h"
#include "named_endpoint.h"
#include "registry.h"
#include "repeats.h"
#include "traced_statement.h"

namespace upkeep::sqlite {

struct Ended {
    capture::StatementKey key;
    capture::Execution execution;
    const char* failure = nullptr;  // name of the result code; nullptr: it ended well
};

/// An execution that is counted unless the next event shows that it was a false start.
struct Pending {
    sqlite3_stmt* stmt = nullptr;  // nullptr: none
    uint32_t reprepares = 0;       // of the statement by then
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

inline Capture& CaptureOf(const Tracer& tracer) {
    return *tracer.capture.load(std::memory_order_relaxed);
}

/// To be called under the tracer's hold.
inline void StoreBatch(Tracer& tracer, TracedStatement& entry) {
    if (!entry.batch.IsEmpty()) {
        CaptureOf(tracer).store().RecordBatch(
            tracer.cache, entry.batch_key, {.operation = entry.operation, .tables = entry.tables},
            entry.batch);
        entry.batch.Clear();
    }
}

/// All of them; waits for the hold.
void StoreBatches(Tracer& tracer);

/// The entry of a statement met for the first time, or whose address was another's before.
TracedStatement& MakeEntry(Tracer& tracer, sqlite3_stmt* stmt, const char* sql);

/// Waits for the hold.
void ForgetEntries(Tracer& tracer);

/// What SQLite calls with each event of a connection; `own` is its Tracer. The path of every
/// statement: what it calls every time stands beside it.
int OnEvent(unsigned event, void* own, void* subject, void* detail) noexcept;

/// Counts the execution that waits for the next event to show whether it was a false start.
void CountPending(Tracer& tracer);

}  // namespace upkeep::sqlite
