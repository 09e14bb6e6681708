// SPDX-License-Identifier: PostgreSQL
#include "registry.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "fork_safe.h"
#include "private_opening.h"
#include "supervisor.h"

namespace upkeep::sqlite {

namespace {

constexpr const char* kMovedOn = "it has moved on since it was looked at";
constexpr const char* kClosed = "it was closed meanwhile";

struct Entry {
    sqlite3* db;
    std::shared_ptr<Connection> connection;
};

struct Registry {
    std::mutex mutex;
    std::vector<Entry> entries;  // by id
    int64_t last_id = 0;
};

/// Never destroyed: connections may still close while the process exits.
Registry& TheRegistry() {
    static Registry& registry = *new Registry;
    return registry;
}

std::mutex& TheMutex() {
    return TheRegistry().mutex;
}

int64_t NowUs() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

void NoFunction(sqlite3_context* context, int, sqlite3_value**) {
    sqlite3_result_error(context, "marks a connection that upkeep watches; not to be called", -1);
}

/// SQLite ends its functions last of all, after a close and the last open statement: from here on
/// nobody may use the connection, and before that it is whole.
void Closed(void* db) {
    Registry& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    std::erase_if(registry.entries, [&](const Entry& entry) { return entry.db == db; });
}

std::shared_ptr<Connection> Known(const Registry& registry, sqlite3* db) {
    for (const Entry& entry : registry.entries) {
        if (entry.db == db) {
            return entry.connection;
        }
    }
    return nullptr;
}

std::shared_ptr<Connection> Enlist(sqlite3* db) {
    Registry& registry = TheRegistry();
    const char* file = sqlite3_db_filename(db, "main");
    std::shared_ptr<Connection> connection;
    {
        const std::lock_guard lock(registry.mutex);
        if (std::shared_ptr<Connection> known = Known(registry, db)) {
            return known;
        }
        connection.reset(new Connection{.id = registry.last_id + 1,
                                        .process = getpid(),
                                        .thread = syscall(SYS_gettid),
                                        .opened_us = NowUs(),
                                        .file = file != nullptr ? file : "",
                                        .events = {}});
        registry.entries.push_back({db, connection});
        ++registry.last_id;
    }
    // Refused: SQLite calls Closed by itself, and the connection is off the list again.
    if (sqlite3_create_function_v2(db, "_upkeep_connection", 0, SQLITE_UTF8 | SQLITE_DIRECTONLY, db,
                                   NoFunction, nullptr, nullptr, Closed) != SQLITE_OK) {
        return nullptr;
    }
    return connection;
}

int NewConnection(sqlite3* db, char**, const sqlite3_api_routines*) {
    if (private_openings == 0) {
        RegisterConnection(db);
        ApplyReaperInChild();
    }
    return SQLITE_OK;
}

/// What may be asked while nobody else can be inside `db`.
void Look(sqlite3* db, ConnectionView* view) {
    view->autocommit = sqlite3_get_autocommit(db);
    view->txn_state = sqlite3_txn_state(db, nullptr);
    view->open_statements = 0;
    const char* oldest = nullptr;  // SQLite lists the newest first
    for (sqlite3_stmt* stmt = sqlite3_next_stmt(db, nullptr); stmt != nullptr;
         stmt = sqlite3_next_stmt(db, stmt)) {
        if (sqlite3_stmt_busy(stmt) != 0) {
            ++view->open_statements;
            oldest = sqlite3_sql(stmt);
            view->oldest = {stmt, sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0),
                            sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_VM_STEP, 0)};
        }
    }
    view->is_interrupted =
        view->open_statements > 0 && view->connection->interrupted == view->oldest;
    view->oldest_statement = oldest != nullptr ? oldest : "";
}

/// Fills the view as far as that is safe from this thread. The registry's lock is held, so the
/// connection cannot go away.
void LookAt(const Entry& entry, sqlite3* own, ConnectionView* view) {
    view->connection = entry.connection;
    view->last_event_us = entry.connection->events.last_event_us;
    view->is_own = entry.db == own;
    if (view->is_own) {
        view->is_running = true;
        Look(entry.db, view);
        return;
    }
    sqlite3_mutex* mutex = sqlite3_db_mutex(entry.db);
    view->has_mutex = mutex != nullptr && sqlite3_api->mutex_try != nullptr;
    if (!view->has_mutex) {
        return;
    }
    if (sqlite3_mutex_try(mutex) != SQLITE_OK) {
        view->is_running = true;
        return;
    }
    struct Leave {
        sqlite3_mutex* mutex;
        ~Leave() { sqlite3_mutex_leave(mutex); }
    } const leave{mutex};
    Look(entry.db, view);
}

}  // namespace

std::shared_ptr<Connection> RegisterConnection(sqlite3* db) noexcept {
    try {
        return Enlist(db);
    } catch (const std::exception&) {
        return nullptr;  // watching is ours, opening the user's: his goes on
    }
}

std::shared_ptr<Connection> FindConnection(sqlite3* db) {
    Registry& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    return Known(registry, db);
}

void WatchNewConnections() {
    KeepUnlockedInChildren<TheMutex>();
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(NewConnection));
}

std::vector<ConnectionView> ViewConnections(sqlite3* own) {
    Registry& registry = TheRegistry();
    std::vector<ConnectionView> views;
    const std::lock_guard lock(registry.mutex);
    for (const Entry& entry : registry.entries) {
        if (entry.connection->process == getpid()) {
            LookAt(entry, own, &views.emplace_back());
        }
    }
    return views;
}

bool HasMovedOn(const ConnectionView& seen, const ConnectionView& now) {
    return now.is_running != seen.is_running || now.open_statements != seen.open_statements ||
           now.autocommit != seen.autocommit || now.txn_state != seen.txn_state ||
           now.oldest_statement != seen.oldest_statement || !(now.oldest == seen.oldest) ||
           now.last_event_us != seen.last_event_us;
}

HeldConnection::~HeldConnection() {
    if (db_ != nullptr) {
        sqlite3_mutex_leave(sqlite3_db_mutex(db_));
    }
}

ConnectionView HeldConnection::Look() const {
    ConnectionView view;
    view.connection = connection_;
    view.last_event_us = connection_->events.last_event_us;
    view.has_mutex = true;
    sqlite::Look(db_, &view);
    return view;
}

Result<HeldConnection> TryHold(const ConnectionView& seen) {
    Registry& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    for (const Entry& entry : registry.entries) {
        if (entry.connection != seen.connection) {
            continue;
        }
        sqlite3_mutex* mutex = sqlite3_db_mutex(entry.db);
        if (mutex == nullptr || sqlite3_api->mutex_try == nullptr) {
            return Error(Code::kUnsupported,
                         "it was opened without a mutex: nothing can be forced on it from outside");
        }
        if (sqlite3_mutex_try(mutex) != SQLITE_OK) {
            return Error(Code::kBusy, kMovedOn);
        }
        return HeldConnection(entry.db, entry.connection);
    }
    return Error(Code::kNotFound, kClosed);
}

Result<void> Interrupt(const ConnectionView& seen) {
    Registry& registry = TheRegistry();
    const std::lock_guard lock(registry.mutex);
    for (const Entry& entry : registry.entries) {
        if (entry.connection != seen.connection) {
            continue;
        }
        // Held, it can neither end its statement nor begin another before the interrupt. One that
        // runs cannot be held: the word may come as the next statement begins.
        sqlite3_mutex* mutex = sqlite3_db_mutex(entry.db);
        const bool is_held = mutex != nullptr && sqlite3_api->mutex_try != nullptr &&
                             sqlite3_mutex_try(mutex) == SQLITE_OK;
        const HeldConnection held(is_held ? entry.db : nullptr, entry.connection);
        ConnectionView now;
        LookAt(entry, nullptr, &now);
        if (HasMovedOn(seen, now)) {
            return Error(Code::kBusy, kMovedOn);
        }
        sqlite3_interrupt(entry.db);
        entry.connection->interrupted = now.oldest;
        return {};
    }
    return Error(Code::kNotFound, kClosed);
}

}  // namespace upkeep::sqlite
