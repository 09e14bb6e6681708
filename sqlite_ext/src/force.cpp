// SPDX-License-Identifier: PostgreSQL
#include "force.h"

#include <cstring>

#include "capture_memory.h"
#include "own_call.h"

namespace upkeep::sqlite {

namespace {

// An error that its owner may not have read yet would be replaced by our success.
constexpr int64_t kErrorIsReadUs = 10'000'000;

thread_local bool is_ours = false;     // a statement that this thread runs on another's connection
thread_local bool was_traced = false;  // and it was shown to us

/// Statements of ours run meanwhile.
class Ours {
  public:
    Ours() { is_ours = true; }
    ~Ours() { is_ours = false; }
    Ours(const Ours&) = delete;
    Ours& operator=(const Ours&) = delete;

  private:
    OwnCall own_call_;
};

int Run(sqlite3* db, const char* sql) {
    return sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
}

int SetQueryOnly(sqlite3* db, bool on) {
    return Run(db, on ? "PRAGMA query_only = 1" : "PRAGMA query_only = 0");
}

bool IsQueryOnly(sqlite3* db) {
    bool is_on = false;
    const auto read = [](void* out, int, char** values, char**) {
        *static_cast<bool*>(out) = values[0] != nullptr && values[0][0] == '1';
        return 0;
    };
    sqlite3_exec(db, "PRAGMA query_only", read, &is_on, nullptr);
    return is_on;
}

/// The words of a statement, one after the other; comments are passed over.
class Words {
  public:
    explicit Words(const char* sql) : at_(sql) {}

    bool Next(const char* word) {
        Skip();
        const auto length = static_cast<int>(strlen(word));
        if (sqlite3_strnicmp(at_, word, length) != 0 || IsWordByte(at_[length])) {
            return false;
        }
        at_ += length;
        return true;
    }

  private:
    static bool IsWordByte(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || (c & 0x80) != 0;
    }
    void Skip() {
        for (;;) {
            if (*at_ != '\0' && strchr(" \t\r\n\f;", *at_) != nullptr) {
                ++at_;
            } else if (at_[0] == '-' && at_[1] == '-') {
                at_ += strcspn(at_, "\n");
            } else if (at_[0] == '/' && at_[1] == '*') {
                const char* end = strstr(at_ + 2, "*/");
                at_ = end != nullptr ? end + 2 : at_ + strlen(at_);
            } else {
                return;
            }
        }
    }

    const char* at_;
};

/// ROLLBACK of the whole transaction, not to a savepoint.
bool AcknowledgesEnd(const char* sql) {
    Words words(sql);
    if (!words.Next("rollback")) {
        return false;
    }
    words.Next("transaction");
    return !words.Next("to");
}

bool WouldCommit(const char* sql) {
    return Words(sql).Next("commit") || Words(sql).Next("end") || Words(sql).Next("release");
}

/// The owner's thread, inside his statement.
void Tell(Connection& connection, sqlite3* db, const char* sql) {
    const Ours ours;
    if (connection.poison == Poison::kUntold) {
        if (!connection.was_query_only) {
            SetQueryOnly(db, false);
        }
        connection.poison = Poison::kTold;
    }
    if (AcknowledgesEnd(sql)) {
        connection.poison = Poison::kNone;
        return;
    }
    if (WouldCommit(sql)) {
        Run(db, "ROLLBACK");  // should a later SQLite not look at the interrupt inside COMMIT
    }
    sqlite3_interrupt(db);
}

/// Is the trace slot of the connection ours? Another's trace would not tell us when to tell him.
bool IsTraced(sqlite3* db) {
    was_traced = false;
    return Run(db, "SELECT 1") == SQLITE_OK && was_traced;
}

Error Unsupported(const char* text) {
    return {Code::kUnsupported, text};
}

/// The connection is held, and nothing on it is open but a transaction.
Result<void> Force(const HeldConnection& held) {
    sqlite3* db = held.db();
    Connection& connection = held.connection();
    const Ours ours;
    connection.poison = Poison::kForcing;
    Result<void> done;
    if (!IsTraced(db)) {
        done = Unsupported(
            "another trace has taken its slot, so it could not be told; nothing was done");
    } else if (const bool was_query_only = IsQueryOnly(db);
               Run(db, "ROLLBACK") != SQLITE_OK || sqlite3_get_autocommit(db) == 0) {
        done = Unsupported("its transaction could not be rolled back");
    } else {
        connection.was_query_only = was_query_only;
        Run(db, "BEGIN");
        SetQueryOnly(db, true);
    }
    if (done.ok()) {
        connection.events.txn_state.store(SQLITE_TXN_NONE, std::memory_order_relaxed);
        connection.rolled_back_us.store(WallClockUs(), std::memory_order_relaxed);
    }
    connection.poison = done.ok() ? Poison::kUntold : Poison::kNone;
    return done;
}

}  // namespace

std::string RollBackRefusal(const ConnectionView& view) {
    const Connection& connection = *view.connection;
    if (connection.poison != Poison::kNone) {
        return "it has been rolled back already, and its owner has yet to send ROLLBACK";
    }
    if (!view.has_mutex) {
        return "it was opened without a mutex (SQLITE_OPEN_NOMUTEX, or a build without threads): "
               "nothing can be forced on it from outside";
    }
    if (!connection.events.is_captured) {
        return "its statements are not captured, so its owner could not be told and would commit "
               "half a transaction: SELECT upkeep_capture(1) before it is opened";
    }
    return "";
}

Result<void> RollBack(const ConnectionView& seen) {
    if (const std::string refusal = RollBackRefusal(seen); !refusal.empty()) {
        return Error(Code::kUnsupported, refusal);
    }
    const Result<HeldConnection> held = TryHold(seen);
    if (!held.ok()) {
        return held.error();
    }
    const HeldConnection& connection = held.value();
    const ConnectionView now = connection.Look();
    const bool was_first = connection.connection().poison == Poison::kNone;  // others end, too
    if (!was_first || HasMovedOn(seen, now) || now.open_statements != 0 || now.autocommit != 0) {
        return Error(Code::kBusy, "it has moved on since it was looked at");
    }
    const int last = sqlite3_errcode(connection.db());
    const bool failed = last != SQLITE_OK && last != SQLITE_ROW && last != SQLITE_DONE;
    if (failed && WallClockUs() - now.last_event_us < kErrorIsReadUs) {
        return Error(Code::kBusy,
                     "its last call failed a moment ago, and its owner may be reading why");
    }
    return Force(connection);
}

bool OnPoisoned(Connection& connection, sqlite3* db, unsigned event, const char* shown,
                const char* sql) noexcept {
    if (is_ours) {
        was_traced = true;
        return true;
    }
    const Poison poison = connection.poison;
    if (poison == Poison::kForcing || sql == nullptr) {
        return false;
    }
    if (event == SQLITE_TRACE_STMT && shown == sql) {
        Tell(connection, db, sql);
    } else if (event == SQLITE_TRACE_PROFILE && poison == Poison::kTold &&
               sqlite3_get_autocommit(db) != 0) {
        const Ours ours;
        Run(db, "BEGIN");  // an interrupted INSERT has ended the one that its owner believes in
    }
    return false;
}

}  // namespace upkeep::sqlite
