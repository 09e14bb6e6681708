// The sessions topic's calls: sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Column kConnections[] = {
    {"pid", Type::kInt,
     "process id; SQLite: number of the connection in this process, for another process its id"},
    {"database_name", Type::kText,
     "database it is connected to; SQLite: file, `:memory:` where there is none"},
    {"user_name", Type::kText, "its role; SQLite: NULL, there are no users"},
    {"application_name", Type::kText, "what it calls itself; SQLite: name of the process"},
    {"client_addr", Type::kText,
     "where the client is, NULL: this machine; SQLite: process and thread that opened it"},
    {"backend_type", Type::kText,
     "kind of session: client backend, walsender, …; SQLite: connection or other process"},
    {"state", Type::kText,
     "active, idle, idle in transaction, …; NULL: the caller may not or cannot see it"},
    {"state_ms", Type::kFloat8,
     "time in this state; SQLite: NULL as long as capture is off, there is no other clock"},
    {"transaction_ms", Type::kFloat8,
     "age of its transaction, NULL: none; SQLite: NULL as long as capture is off"},
    {"wait_event", Type::kText, "what it waits for; SQLite: NULL, waiting is polling there"},
    {"blocks_count", Type::kBigint,
     "sessions that wait for it, directly or not; SQLite: NULL, who waits cannot be seen"},
    {"holds_xmin", Type::kBool,
     "has a snapshot or transaction id that keeps dead rows (SQLite: the WAL) from cleaning up"},
    {"rule", Type::kText, "rule that will end it next, NULL: none; SQLite: while the reaper is on"},
    {"reap_in_ms", Type::kFloat8, "time until then, NULL: never"},
    {"query", Type::kText, "its statement, or the last one; SQLite: the oldest that is open"},
    {"visible", Type::kBool, "may the caller see state, times and text; they are NULL if not"},
};

constexpr Column kConnectionSummary[] = {
    {"application_name", Type::kText, "as in connections"},
    {"database_name", Type::kText, "as in connections"},
    {"user_name", Type::kText, "as in connections"},
    {"state", Type::kText, "as in connections; NULL: sessions whose state cannot be seen"},
    {"count", Type::kBigint, "client sessions of this kind"},
    {"oldest_state_ms", Type::kFloat8, "longest time in this state, NULL where not known"},
};

constexpr Column kConnectionLimits[] = {
    {"max_connections", Type::kInt, "of the server; SQLite: NULL, there is no limit"},
    {"superuser_reserved", Type::kInt, "of these, for superusers only; SQLite: NULL"},
    {"reserved", Type::kInt,
     "of these, for roles with pg_use_reserved_connections (16 and later); SQLite: NULL"},
    {"used", Type::kInt, "client sessions now; SQLite: connections of this process"},
    {"role_limit", Type::kInt, "CONNECTION LIMIT of the caller's role, NULL: none"},
    {"database_limit", Type::kInt, "CONNECTION LIMIT of this database, NULL: none"},
    {"available", Type::kInt, "how many more the caller's role can open now, NULL: no limit"},
};

constexpr Column kRunningStatements[] = {
    {"pid", Type::kInt, "as in connections"},
    {"user_name", Type::kText, "as in connections"},
    {"application_name", Type::kText, "as in connections"},
    {"duration_ms", Type::kFloat8,
     "since the statement began; SQLite: NULL as long as capture is off"},
    {"wait_event", Type::kText, "as in connections"},
    {"blocked_by", Type::kIntArray,
     "sessions whose lock it waits for, 0: a prepared transaction; SQLite: NULL, not visible"},
    {"progress", Type::kText,
     "phase and share where the server reports them (VACUUM, CREATE INDEX, COPY, …); SQLite: NULL"},
    {"query", Type::kText,
     "text; SQLite: NULL for other threads, a running connection cannot be asked"},
};

constexpr Column kLockTree[] = {
    {"depth", Type::kInt, "0: a root, waits for nobody"},
    {"path", Type::kIntArray, "sessions from the root to this one"},
    {"pid", Type::kInt, "as in connections; 0: a prepared transaction"},
    {"blocked_by", Type::kIntArray, "sessions it waits for; SQLite: NULL, not visible"},
    {"root_pid", Type::kInt, "the session to look at first"},
    {"state", Type::kText, "as in connections"},
    {"waits_ms", Type::kFloat8, "how long it has waited, NULL: it does not wait"},
    {"mode", Type::kText, "mode of the lock it waits for; SQLite: of the lock it holds"},
    {"relation", Type::kText,
     "table (of the row) it waits for, in brackets another kind of lock; SQLite: file"},
    {"query", Type::kText, "as in connections; for prepared transactions their names"},
    {"suggested_action", Type::kText, "what to do, the gentlest first"},
};

constexpr Column kEndSession[] = {
    {"pid", Type::kInt, "as in connections"},
    {"user_name", Type::kText, "as in connections"},
    {"application_name", Type::kText, "as in connections"},
    {"state", Type::kText, "state it was in"},
    {"action", Type::kText,
     "would_cancel, cancelled, would_end, ended, skipped (nothing to do, or it moved on), refused"},
    {"reason", Type::kText, "why"},
};

constexpr Column kReapSessions[] = {
    {"pid", Type::kInt, "as in connections"},
    {"user_name", Type::kText, "as in connections"},
    {"application_name", Type::kText, "as in connections"},
    {"state", Type::kText, "state it was in"},
    {"state_ms", Type::kFloat8, "and for how long"},
    {"action", Type::kText,
     "would_end, ended (SQLite: its open statement was interrupted, or else its transaction "
     "rolled back, see reason), refused, skipped"},
    {"reason", Type::kText, "why"},
};

constexpr Column kReapRules[] = {
    {"name", Type::kText, "what clients whose session it ends see; 1 to 63 bytes, unique"},
    {"priority", Type::kInt,
     "of the rules that match a session those with the smallest number govern it (100)"},
    {"enabled", Type::kBool, "false: kept, and counts for nothing (true)"},
    {"match_database", Type::kText, "LIKE pattern (`%`)"},
    {"match_user", Type::kText, "LIKE pattern (`%`); superusers only where it is their very name"},
    {"match_application", Type::kText, "LIKE pattern (`%`)"},
    {"match_address", Type::kText,
     "10.0.0.0/8, one address, or local: clients without one (NULL: any)"},
    {"match_state", Type::kText,
     "idle, idle in transaction, idle in transaction (aborted), active (idle)"},
    {"idle_for", Type::kInterval, "time in the state, at least (10 min); SQLite: milliseconds"},
    {"only_blocking", Type::kBool, "only those that block others or hold back cleaning up (false)"},
    {"only_above_usage_ratio", Type::kFloat8,
     "only while more than this share of the connections is used (NULL: always)"},
    {"keep_at_least", Type::kInt,
     "so many of the sessions that match but for state and age stay (0)"},
    {"max_per_minute", Type::kInt, "actions of this rule (NULL: no limit)"},
    {"action", Type::kText, "log, cancel (state active only) or end (end)"},
    {"spare", Type::kTextArray,
     "leave sessions alone that have one of: listening, session_lock, temp_table, held_cursor "
     "(all)"},
};

constexpr Column kReapLog[] = {
    {"at", Type::kTimestamp, "when it was decided"},
    {"rule", Type::kText,
     "name of the rule; NULL: a call of end_session or reap_sessions, or a gap"},
    {"pid", Type::kInt, "as in connections; NULL: no session is meant"},
    {"user_name", Type::kText, "its role; SQLite: NULL, there are no users"},
    {"application_name", Type::kText, "what it called itself; SQLite: name of the process"},
    {"client_addr", Type::kText,
     "where its client was, NULL: this machine; SQLite: process and thread that opened it"},
    {"state", Type::kText, "state it was in"},
    {"state_ms", Type::kFloat8, "and for how long; SQLite: NULL as long as capture is off"},
    {"blocked_count", Type::kBigint,
     "sessions that waited for it, NULL: not looked at; SQLite: NULL, who waits cannot be seen"},
    {"last_query", Type::kText, "its last statement, literals masked; NULL: not known"},
    {"action", Type::kText,
     "what the rule asked for: log, cancel, end; gap: rows of actions may be missing here"},
    {"outcome", Type::kText,
     "ended, cancelled, interrupted (SQLite), logged, refused or skipped, and after a colon why"},
};

constexpr Column kAdvisePool[] = {
    {"parameter", Type::kText, "setting of the pool, or a figure it follows from"},
    {"value", Type::kText, "line for the environment (`DB_POOL_SIZE=5`), or the figure"},
    {"formula", Type::kText, "how it was worked out, with the numbers"},
    {"limit_value", Type::kText, "what bounds it, NULL: nothing"},
    {"verdict", Type::kText,
     "ok, limited (less than the threads could use), exceeds, needed, cheaper, not_needed, "
     "not_used, unknown"},
    {"explanation", Type::kText, "what a careful person would add"},
};

constexpr Column kPools[] = {
    {"pool", Type::kText, "name of the pool as it was reported, one for each process"},
    {"application_name", Type::kText, "of the session that reported; SQLite: name of the process"},
    {"size", Type::kInt, "connections that the pool keeps"},
    {"idle", Type::kInt, "of its size, those not checked out (opened when they are wanted first)"},
    {"checked_out", Type::kInt, "in use, those in overflow among them"},
    {"overflow", Type::kInt, "open beyond size"},
    {"waiting", Type::kInt, "requests that wait for a connection"},
    {"timeouts", Type::kBigint, "checkouts that failed since the pool was made"},
    {"wait_ms", Type::kFloat8, "time that checkouts have waited since the pool was made"},
    {"reported_at", Type::kTimestamp, "when it was reported; gone a day later"},
};

constexpr Parameter kReportPoolParameters[] = {
    {"pool", Type::kText, nullptr, "1 to 63 bytes; each process gives its pool a name of its own"},
    {"size", Type::kInt, nullptr, "connections that the pool keeps, 1 or more"},
    {"checked_out", Type::kInt, nullptr, "in use, those in overflow among them"},
    {"overflow", Type::kInt, nullptr, "open beyond size, 0 or more"},
    {"waiting", Type::kInt, nullptr, "requests that wait for a connection"},
    {"timeouts", Type::kBigint, "0", "checkouts that failed since the pool was made"},
    {"wait_ms", Type::kFloat8, "0", "time that checkouts have waited since the pool was made"},
};

constexpr Parameter kEndParameters[] = {
    {"session_pid", Type::kInt, nullptr, "a pid from connections"},
    {"mode", Type::kText, "cancel",
     "cancel: its statement; end: the session (SQLSTATE 57P01); SQLite: its transaction"},
    {"dry_run", Type::kBool, "true", "only say what would be done"},
};

constexpr Parameter kReapParameters[] = {
    {"idle_for", Type::kInterval, "10 min", "time in the state, at least"},
    {"match_state", Type::kText, "idle",
     "idle, idle in transaction, or idle in transaction (aborted)"},
    {"match_application", Type::kText, "%", "LIKE pattern"},
    {"match_user", Type::kText, "%", "LIKE pattern; superusers only where it is their very name"},
    {"match_database", Type::kText, "current", "LIKE pattern; the word current: this database"},
    {"only_blocking", Type::kBool, "false",
     "only those that block others or hold back cleaning up"},
    {"keep_at_least", Type::kInt, "0",
     "so many sessions of this database, user and application stay, whatever their state"},
    {"dry_run", Type::kBool, "true", "only say what would be done"},
};

constexpr Parameter kPoolParameters[] = {
    {"processes", Type::kInt, nullptr, "processes of one instance, each with its own pool"},
    {"threads", Type::kInt, "1", "requests that one process works on at a time"},
    {"replicas", Type::kInt, "1", "instances of the application"},
    {"environment", Type::kText, "production",
     "development, staging, production, high_load or test"},
};

constexpr TableFunction kCalls[] = {
    {.name = "connections",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "who is connected, what each is doing and since when",
     .since = "0.1.0",
     .parameters = {},
     .columns = kConnections},
    {.name = "connection_summary",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "client sessions counted by application, database, user and state",
     .since = "0.1.0",
     .parameters = {},
     .columns = kConnectionSummary},
    {.name = "connection_limits",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "how many connections the caller's role can really have",
     .since = "0.1.0",
     .parameters = {},
     .columns = kConnectionLimits},
    {.name = "running_statements",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "statements under way, longest first, and what they wait for",
     .since = "0.1.0",
     .parameters = {},
     .columns = kRunningStatements},
    {.name = "lock_tree",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "who waits for whom, the root blockers first; SQLite: who holds locks",
     .since = "0.1.0",
     .parameters = {},
     .columns = kLockTree},
    {.name = "end_session",
     .topic = "sessions",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "cancels the statement of one session, or ends the session",
     .since = "0.1.0",
     .parameters = kEndParameters,
     .columns = kEndSession},
    {.name = "reap_sessions",
     .topic = "sessions",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "ends sessions that have been idle for too long, each looked at again just before; "
            "PostgreSQL, preloaded: the session itself refuses when a command has reached it; else "
            "best "
            "effort: what is sent in that very moment is lost",
     .since = "0.1.0",
     .parameters = kReapParameters,
     .columns = kReapSessions},
    {.name = "reap_rules",
     .topic = "sessions",
     .kind = CallKind::kTable,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc =
         "rules by which sessions are ended, each checked as it is written, defaults in "
         "brackets; PostgreSQL: kept in the database that the setting database names, applied to "
         "all databases while the setting reaper is on; SQLite: kept in the state file for the "
         "connections of that database, applied while the setting reaper is on; users, addresses "
         "and shares of a limit are refused there, and so is ending what is idle",
     .since = "0.1.0",
     .parameters = {},
     .columns = kReapRules},
    {.name = "reap_log",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "what the rules of reap_rules did, a row for each action, the last 10,000; PostgreSQL: "
            "kept in the database that the setting database names, calls of end_session and "
            "reap_sessions as well while the setting reaper is on; SQLite: in the state file, in "
            "memory where there is none",
     .since = "0.1.0",
     .parameters = {},
     .columns = kReapLog},
    {.name = "advise_pool",
     .topic = "sessions",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc =
         "pool settings for an application, from its processes and the caller's limits, beside the "
         "guide's formula, the load that was captured, and what a pooler would be set to",
     .since = "0.1.0",
     .parameters = kPoolParameters,
     .columns = kAdvisePool},
    {.name = "report_pool",
     .topic = "sessions",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "an application says how its connection pool is doing; the newest report of a pool "
            "(database, role, application, name) counts, 1,000 pools are kept; PostgreSQL: in "
            "shared memory, preloaded only; SQLite: in the process and in the state file",
     .since = "0.1.0",
     .parameters = kReportPoolParameters,
     .columns = {},
     .returns = Type::kVoid},
    {.name = "pools",
     .topic = "sessions",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "connection pools of applications of this database, as they were last reported",
     .since = "0.1.0",
     .parameters = {},
     .columns = kPools},
};

}  // namespace

std::span<const TableFunction> SessionsCalls() {
    return kCalls;
}

}  // namespace upkeep
