// This process's SQLite connections: which there are, when they close, what each is doing.
//
//   load     the loading connection registers itself; an auto extension registers later ones
//   close    the destructor of a function that we register on each connection tells us for certain
//   events   the owner's callbacks store into atomics; readers never call into another's connection
//            except under its own mutex, and only if that is free this very moment
//
// Not seen: connections opened before the module was loaded, and other copies of SQLite in the
// process. Not for: what to do with a connection (fn_sessions.cpp) and capturing statements.
// Lock order: a connection's mutex, then the registry's. Under the registry's only try a
// connection's. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sqlite_api.h"
#include "upkeep/base/result.h"

namespace upkeep::sqlite {

constexpr int kUnknown = -1;

/// What a connection's own callbacks know. Written by the thread that uses the connection, read by
/// any (relaxed: each value stands alone). Times are microseconds since 1970 UTC, 0: none seen.
struct ConnectionEvents {
    std::atomic<int64_t> last_event_us{0};       // a statement began or ended
    std::atomic<int64_t> transaction_us{0};      // the open transaction began
    std::atomic<int> open_statements{kUnknown};  // begun and not yet ended, top level
    std::atomic<int> autocommit{kUnknown};       // as sqlite3_get_autocommit
    std::atomic<int> txn_state{kUnknown};        // as sqlite3_txn_state
    std::atomic<int64_t> thread{0};              // that ran the last statement
    std::atomic<bool> is_captured{false};        // its statements are told to us: see trace.h
};

/// What has been forced on a connection (force.h).
enum class Poison : uint8_t {
    kNone,
    kForcing,  // it is being forced: what runs on it now is ours
    kUntold,   // rolled back, and its owner has sent nothing since
    kTold,     // he has been told, and has not yet sent ROLLBACK
};

/// A statement and how far it has come.
struct Progress {
    const sqlite3_stmt* stmt = nullptr;
    int runs = 0;
    int steps = 0;
    friend bool operator==(const Progress&, const Progress&) = default;
};

/// One open connection. The object outlives the connection for those who hold the pointer.
struct Connection {
    int64_t id;       // 1, 2, … in the order of registration; never used twice in a process
    int64_t process;  // that opened it: after fork() the child's copy is not usable
    int64_t thread;   // that opened it
    int64_t opened_us;
    std::string file;  // of `main`; empty: in memory or temporary
    ConnectionEvents events;
    std::atomic<Poison> poison{Poison::kNone};  // written under the connection's mutex
    std::atomic<int64_t> rolled_back_us{0};     // by force
    bool was_query_only = false;                // before; under the connection's mutex
    Progress interrupted{};  // oldest open statement at the last interrupt; the registry's lock
};

/// Puts `db` on the list; known already: the one that is there. To be called by its own thread.
/// Returns nullptr where that is not possible (no memory). Never fails the caller's open or load.
std::shared_ptr<Connection> RegisterConnection(sqlite3* db) noexcept;
/// The entry of `db`, or nullptr.
std::shared_ptr<Connection> FindConnection(sqlite3* db);
/// Registers every connection opened from now on in this process. Idempotent.
void WatchNewConnections();

/// A connection as seen right now.
struct ConnectionView {
    std::shared_ptr<const Connection> connection;
    bool is_own = false;  // the caller's
    bool has_mutex = false;
    bool is_running = false;      // a call into SQLite is under way
    bool is_interrupted = false;  // since when its oldest open statement was not stepped
    // kUnknown where the connection has no mutex (opened so) or is running; events may know more
    int open_statements = kUnknown;
    int autocommit = kUnknown;
    int txn_state = kUnknown;
    int64_t last_event_us = 0;     // from the events, at this moment
    std::string oldest_statement;  // text of the oldest one that is open, and where it is
    Progress oldest;
};

/// All connections of this process in order of their ids; `own` is the caller's. Never waits for
/// another connection.
std::vector<ConnectionView> ViewConnections(sqlite3* own);

/// Another's connection held by its mutex: its owner waits, nobody can close it.
class HeldConnection {
  public:
    HeldConnection(sqlite3* db, std::shared_ptr<Connection> connection)
        : db_(db), connection_(std::move(connection)) {}
    HeldConnection(HeldConnection&& other) noexcept
        : db_(std::exchange(other.db_, nullptr)), connection_(std::move(other.connection_)) {}
    HeldConnection(const HeldConnection&) = delete;
    HeldConnection& operator=(const HeldConnection&) = delete;
    ~HeldConnection();

    sqlite3* db() const { return db_; }
    Connection& connection() const { return *connection_; }
    ConnectionView Look() const;

  private:
    sqlite3* db_;
    std::shared_ptr<Connection> connection_;
};

/// Never waits. Errors: kNotFound (closed), kBusy (its owner is at work), kUnsupported (no mutex).
Result<HeldConnection> TryHold(const ConnectionView& seen);

/// Has it done anything since?
bool HasMovedOn(const ConnectionView& seen, const ConnectionView& now);

/// sqlite3_interrupt, if the connection is still what `seen` says it was.
/// Errors: kNotFound (closed meanwhile), kBusy (it has moved on: nothing was interrupted).
Result<void> Interrupt(const ConnectionView& seen);

}  // namespace upkeep::sqlite
