// SQLite's bodies for the sessions topic: sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "sessions.h"
#include "upkeep/sessions/pool.h"

namespace upkeep::sqlite {

namespace {

using sessions::SessionSnapshot;

Result<void> ConnectionsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> all = ProcessSessions(db).Look(&now_us);
    sessions::Connections(all, now_us, rows);
    return {};
}

Result<void> SummaryCall(sqlite3* db, const Arguments&, RowSink& rows) {
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> all = ProcessSessions(db).Look(&now_us);
    sessions::ConnectionSummary(all, now_us, rows);
    return {};
}

Result<void> RunningCall(sqlite3* db, const Arguments&, RowSink& rows) {
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> all = ProcessSessions(db).Look(&now_us);
    sessions::RunningStatements(all, now_us, rows);
    return {};
}

Result<void> LockTreeCall(sqlite3* db, const Arguments&, RowSink& rows) {
    int64_t now_us = 0;
    sessions::LockHolders(ProcessSessions(db).Look(&now_us), rows);
    return {};
}

sessions::ConnectionLimits Limits(sqlite3* db) {
    sessions::ConnectionLimits limits;
    limits.used = static_cast<int64_t>(ViewConnections(db).size());
    return limits;
}

Result<void> LimitsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    sessions::ConnectionLimitsRow(Limits(db), rows);
    return {};
}

Result<void> EndCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    ProcessSessions port(db);
    return sessions::EndSession(arguments, port, rows);
}

Result<void> ReapCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    ProcessSessions port(db);
    return sessions::ReapSessions(arguments, port, rows);
}

/// An SQLite database has no process of its own: rules that were kept would end nothing.
Result<void> RulesCall(sqlite3*, const Arguments&, RowSink&) {
    return {};
}

/// Nothing applies rules, so there is nothing that they did.
Result<void> LogCall(sqlite3*, const Arguments&, RowSink&) {
    return {};
}

Error RefuseRules() {
    return Error(Code::kUnsupported,
                 "upkeep_reap_rules holds no rules: SQLite has no process that would apply them",
                 "call upkeep_reap_sessions with the rule's conditions whenever they are to count");
}

Result<void> PoolCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    sessions::PoolFacts facts;
    facts.limits = Limits(db);
    facts.is_file = true;
    return sessions::AdvisePool(arguments, facts, rows);
}

constexpr Body kBodies[] = {
    {.call = "connections", .rows = ConnectionsCall},
    {.call = "connection_summary", .rows = SummaryCall},
    {.call = "connection_limits", .rows = LimitsCall},
    {.call = "running_statements", .rows = RunningCall},
    {.call = "lock_tree", .rows = LockTreeCall},
    {.call = "end_session", .rows = EndCall},
    {.call = "reap_sessions", .rows = ReapCall},
    {.call = "reap_rules", .rows = RulesCall, .refuse = RefuseRules},
    {.call = "reap_log", .rows = LogCall},
    {.call = "advise_pool", .rows = PoolCall},
};

}  // namespace

std::span<const Body> SessionsBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
