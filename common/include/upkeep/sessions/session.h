// One session as plain data: what both hosts tell the core, and the rows that follow from it.
// Not for: who may be ended (reap.h) and who waits for whom (lock_tree.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/table_function.h"

namespace upkeep::sessions {

// States, in PostgreSQL's words. Others (`fastpath function call`, …) pass through as text.
inline constexpr std::string_view kIdle = "idle";
inline constexpr std::string_view kActive = "active";
inline constexpr std::string_view kIdleInTransaction = "idle in transaction";
inline constexpr std::string_view kAborted = "idle in transaction (aborted)";

/// Who a session belongs to: only clients' sessions are ever ended by rule.
enum class SessionKind : uint8_t {
    kClient,
    kReplication,   // walsender, logical replication
    kBackground,    // autovacuum, parallel workers, anything without a client
    kOtherProcess,  // SQLite: another process that has the file open
};

/// Points in time are microseconds since 1970 UTC, 0: unknown or not applicable. Texts that are
/// nullopt are NULL for the reader.
struct SessionSnapshot {
    int64_t pid = 0;
    int64_t leader_pid = 0;  // of a parallel worker; 0: none
    SessionKind kind = SessionKind::kClient;
    bool is_own = false;             // the caller's
    bool is_visible = true;          // the caller may see state, times and text
    bool is_superuser = false;       // the session's user
    std::optional<bool> holds_xmin;  // keeps dead rows (SQLite: the WAL) from being cleaned up
    bool interrupt_only = false;     // SQLite: closing is its owner's, see CannotEndBecause
    int64_t open_statements = -1;    // SQLite: begun and not ended; -1: unknown
    std::string refusal;             // why the host does not let the caller end it; empty: it does
    std::optional<std::string> database_name;
    std::optional<std::string> user_name;
    std::string application_name;
    std::optional<std::string> client_addr;
    std::optional<std::string> backend_type;
    std::optional<std::string> state;
    std::optional<std::string> wait_event;
    std::optional<std::string> query;
    std::optional<std::string> progress;
    int64_t started_us = 0;  // of the session: with the pid it tells sessions apart
    int64_t state_change_us = 0;
    int64_t xact_start_us = 0;
    int64_t query_start_us = 0;
    // the lock it waits for
    bool waits_are_visible = true;
    std::vector<int64_t> blocked_by;
    int64_t waits_since_us = 0;
    std::optional<std::string> lock_mode;
    std::optional<std::string> lock_target;
    std::optional<int64_t> blocks_count;  // that wait for it, directly or not: see CountBlocked
    uint8_t spare = 0;                    // what it holds: bits of Spare in rule.h
    // SQLite: why its transaction cannot be rolled back from outside; empty: it can
    std::string rollback_refusal = "only its owner can end its transaction, by COMMIT or ROLLBACK";
    std::string lock_note;             // SQLite: what the lock costs, behind the suggested action
    std::optional<std::string> rule;   // that will end it next: see FillNextEnds
    std::optional<double> reap_in_ms;  // until then
};

/// Milliseconds from `since_us` to `now_us`, not below 0; nullopt where `since_us` is 0.
std::optional<double> AgeMs(int64_t since_us, int64_t now_us);

/// The age that belongs to the state: idle states count from the change of state, a running
/// statement from its start. Nullopt: unknown.
std::optional<double> StateMs(const SessionSnapshot& session, int64_t now_us);

/// The moment that this age counts from; 0: unknown.
int64_t StateSinceUs(const SessionSnapshot& session);

/// Fills blocks_count of all. A parallel worker's wait is its leader's.
void CountBlocked(std::vector<SessionSnapshot>* sessions);

// The rows of the calls of the same names. `now_us`: when the snapshot was taken.
void Connections(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows);
void ConnectionSummary(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows);
void RunningStatements(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows);
void LockTree(const std::vector<SessionSnapshot>& sessions, int64_t now_us, RowSink& rows);
/// `lock_tree` where waiting cannot be seen (SQLite: a busy handler polls): a row for each session
/// that holds a lock (lock_mode) which others would meet.
void LockHolders(const std::vector<SessionSnapshot>& sessions, RowSink& rows);

/// How many of the sessions the caller may not see; their states are NULL in every row.
size_t CountHidden(const std::vector<SessionSnapshot>& sessions);

/// Connections that may be open at once. Nullopt: no such limit.
struct ConnectionLimits {
    std::optional<int64_t> max_connections;
    std::optional<int64_t> superuser_reserved;
    std::optional<int64_t> reserved;  // for roles with pg_use_reserved_connections (16 and later)
    int64_t used = 0;
    std::optional<int64_t> role_limit;
    int64_t role_used = 0;
    std::optional<int64_t> database_limit;
    int64_t database_used = 0;
    bool is_superuser = false;  // reserved slots are open to him, role and database limits no bar
};

/// What the caller's role could have if nobody else were connected. Nullopt: no limit.
std::optional<int64_t> LimitForRole(const ConnectionLimits& limits);
/// How many more it can open now. Nullopt: no limit.
std::optional<int64_t> AvailableNow(const ConnectionLimits& limits);
void ConnectionLimitsRow(const ConnectionLimits& limits, RowSink& rows);

}  // namespace upkeep::sessions
