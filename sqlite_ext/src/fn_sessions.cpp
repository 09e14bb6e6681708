// SQLite's bodies for the sessions topic: sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_memory.h"
#include "captured.h"
#include "pool_reports.h"
#include "sessions.h"
#include "supervisor.h"
#include "upkeep/sessions/pool.h"

namespace upkeep::sqlite {

namespace {

using sessions::SessionSnapshot;

Result<void> ConnectionsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    int64_t now_us = 0;
    std::vector<SessionSnapshot> all = ProcessSessions(db).Look(&now_us);
    AddNextEnds(now_us, &all);
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
    sessions::LockHolders(ProcessSessions(db).LookAtLocks(&now_us), rows);
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

Result<void> PoolCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    sessions::PoolFacts facts;
    facts.limits = Limits(db);
    facts.is_file = true;
    facts.load = sessions::MeasureLoad(ReadStatements(db));
    facts.reported = sessions::SumPools(ReadPools(db), WallClockUs());
    return sessions::AdvisePool(arguments, facts, rows);
}

Result<Value> ReportPoolCall(sqlite3* db, const Arguments& arguments) {
    const Result<sessions::PoolRecord> report = sessions::ReadPoolReport(arguments);
    if (!report.ok()) {
        return report.error();
    }
    KeepPoolReport(db, report.value());
    return Value();
}

Result<void> PoolsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    sessions::PoolRows(ReadPools(db), WallClockUs(), rows);
    return {};
}

constexpr Body kBodies[] = {
    {.call = "connections", .rows = ConnectionsCall},
    {.call = "connection_summary", .rows = SummaryCall},
    {.call = "connection_limits", .rows = LimitsCall},
    {.call = "running_statements", .rows = RunningCall},
    {.call = "lock_tree", .rows = LockTreeCall},
    {.call = "end_session", .rows = EndCall},
    {.call = "reap_sessions", .rows = ReapCall},
    {.call = "reap_rules", .table = RegisterRulesTable},
    {.call = "reap_log", .rows = ReapLog},
    {.call = "advise_pool", .rows = PoolCall},
    {.call = "report_pool", .value = ReportPoolCall},
    {.call = "pools", .rows = PoolsCall},
};

}  // namespace

std::span<const Body> SessionsBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
