// SPDX-License-Identifier: PostgreSQL
#include "sessions.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>

#include "capture_memory.h"
#include "force.h"
#include "wal_view.h"

namespace upkeep::sqlite {

namespace {

using sessions::Outcome;
using sessions::SessionKind;
using sessions::SessionSnapshot;

std::string FileOr(const std::string& file) {
    return file.empty() ? kInMemory : file;
}

/// What the connection is doing, by what could be looked at or else by its events; nullopt: neither
/// tells. A statement that is open and not being stepped pins a snapshot as a transaction does.
std::optional<std::string> StateOf(const ConnectionView& view) {
    if (view.is_running) {
        return std::string(sessions::kActive);
    }
    if (view.connection->poison != Poison::kNone) {
        return std::string(sessions::kAborted);
    }
    const auto& events = view.connection->events;
    int open = view.open_statements;
    int autocommit = view.autocommit;
    if (open == kUnknown) {
        open = events.open_statements;
        autocommit = events.autocommit;
        if (open != 0) {  // being stepped or left open: only the connection's mutex could tell
            return std::nullopt;
        }
    }
    if (autocommit == kUnknown) {
        return std::nullopt;
    }
    return std::string(open == 0 && autocommit == 1 ? sessions::kIdle
                                                    : sessions::kIdleInTransaction);
}

void AddLock(bool writes, const std::string& file, SessionSnapshot* session) {
    session->holds_xmin = true;
    session->lock_mode = writes ? "write" : "read";
    session->lock_target = FileOr(file);
}

SessionSnapshot FromView(const ConnectionView& view, const std::string& process) {
    const Connection& connection = *view.connection;
    SessionSnapshot session;
    session.pid = connection.id;
    session.is_own = view.is_own;
    session.interrupt_only = true;
    session.waits_are_visible = false;
    session.open_statements = view.open_statements;
    session.database_name = FileOr(connection.file);
    session.application_name = process;
    session.client_addr = "process " + std::to_string(connection.process) + " thread " +
                          std::to_string(connection.thread);
    session.backend_type = "connection";
    session.state = StateOf(view);
    session.is_visible = session.state.has_value();
    if (!view.oldest_statement.empty()) {
        session.query = view.oldest_statement;
    }
    session.started_us = connection.opened_us;
    session.rollback_refusal = RollBackRefusal(view);
    session.state_change_us = view.last_event_us;
    if (session.state == sessions::kAborted) {
        session.state_change_us = std::max(view.last_event_us, connection.rolled_back_us.load());
    }
    if (view.is_interrupted) {
        session.refusal =
            "it was interrupted already: its open statement fails at its next step, and its owner "
            "has not stepped it since";
    }
    session.query_start_us = session.state == sessions::kActive ? view.last_event_us : 0;
    session.xact_start_us = connection.events.transaction_us;
    const int txn_state =
        view.txn_state != kUnknown ? view.txn_state : connection.events.txn_state.load();
    // The statement that asks reads too, and is no news to who asks.
    const bool only_asks = view.is_own && view.autocommit == 1 && view.open_statements <= 1;
    if (txn_state == SQLITE_TXN_READ && only_asks) {
        session.holds_xmin = true;
    } else if (txn_state > SQLITE_TXN_NONE) {
        AddLock(txn_state == SQLITE_TXN_WRITE, connection.file, &session);
    } else if (txn_state == SQLITE_TXN_NONE) {
        session.holds_xmin = false;
    }
    return session;
}

SessionSnapshot FromLocks(const ForeignLocks& other, const std::string& file) {
    SessionSnapshot session;
    session.pid = other.pid;
    session.kind = SessionKind::kOtherProcess;
    session.waits_are_visible = false;
    session.database_name = file;
    session.application_name = ProcessName(other.pid);
    session.client_addr = "process " + std::to_string(other.pid);
    session.backend_type = "other process";
    session.holds_xmin = false;
    session.state = "connected";
    if (other.writes || other.reads || other.checkpoints) {
        session.state = other.checkpoints ? "checkpoint" : "in transaction";
        AddLock(other.writes || other.checkpoints, file, &session);
    }
    return session;
}

}  // namespace

std::string ProcessName(int64_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::string name;
    std::getline(file, name);
    return name;
}

std::vector<SessionSnapshot> ProcessSessions::LookHere(int64_t* now_us) {
    views_ = ViewConnections(db_);
    *now_us = std::chrono::duration_cast<std::chrono::microseconds>(
                  std::chrono::system_clock::now().time_since_epoch())
                  .count();
    const std::string process = ProcessName(getpid());
    std::vector<SessionSnapshot> sessions;
    for (const ConnectionView& view : views_) {
        sessions.push_back(FromView(view, process));
    }
    return sessions;
}

std::vector<SessionSnapshot> ProcessSessions::Look(int64_t* now_us) {
    std::vector<SessionSnapshot> sessions = LookHere(now_us);
    std::set<std::string> files;
    for (const ConnectionView& view : views_) {
        if (!view.connection->file.empty()) {
            files.insert(view.connection->file);
        }
    }
    for (const std::string& file : files) {
        for (const ForeignLocks& other : LocksOfOthers(file)) {
            sessions.push_back(FromLocks(other, file));
        }
    }
    return sessions;
}

void ProcessSessions::AddWalNotes(std::vector<SessionSnapshot>* sessions) const {
    const std::string file = MainFile(db_);
    const std::optional<WalView> wal = LookAtWal(db_);
    if (!wal) {
        return;
    }
    ForeignLocks here;
    const std::vector<ForeignLocks> others = LocksOfOthers(file, &here);
    for (SessionSnapshot& session : *sessions) {
        if (!session.lock_mode || session.database_name != file) {
            continue;
        }
        uint8_t slots = here.read_slots;  // which of them is which connection's is not known
        if (session.kind == SessionKind::kOtherProcess) {
            const auto found =
                std::find_if(others.begin(), others.end(),
                             [&](const ForeignLocks& other) { return other.pid == session.pid; });
            slots = found != others.end() ? found->read_slots : 0;
        }
        session.lock_note = PinnedNote(*wal, slots);
    }
}

std::vector<SessionSnapshot> ProcessSessions::LookAtLocks(int64_t* now_us) {
    std::vector<SessionSnapshot> sessions = Look(now_us);
    AddWalNotes(&sessions);
    return sessions;
}

Outcome ProcessSessions::Act(const SessionSnapshot& seen, sessions::RuleAction action,
                             sessions::MustBe) {
    for (const ConnectionView& view : views_) {
        if (view.connection->id != seen.pid) {
            continue;
        }
        const bool interrupts =
            action == sessions::RuleAction::kCancel || view.open_statements > 0 || view.is_running;
        const Result<void> done = interrupts ? Interrupt(view) : RollBack(view);
        if (done.ok()) {
            return {};
        }
        return {done.error().code() == Code::kUnsupported ? Outcome::What::kRefused
                                                          : Outcome::What::kChanged,
                done.error().message()};
    }
    return {Outcome::What::kRefused, "no connection of this process"};
}

std::string ProcessSessions::CurrentDatabase() {
    const char* file = sqlite3_db_filename(db_, "main");
    return FileOr(file != nullptr ? file : "");
}

}  // namespace upkeep::sqlite
