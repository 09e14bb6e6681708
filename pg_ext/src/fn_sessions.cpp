// Sessions, locks, pools.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "pool_reports.h"
#include "reap_shared.h"
#include "sessions.h"
#include "shmem.h"

namespace {

using ReadBody = void (*)(const std::vector<upkeep::sessions::SessionSnapshot>&, int64_t,
                          upkeep::RowSink&);

/// Rows about the sessions as they are now, and word of those that the caller may not see.
void Show(ReadBody body, upkeep::RowSink& rows) {
    int64_t now_us = 0;
    std::vector<upkeep::sessions::SessionSnapshot> sessions = upkeep::pg::LookAtSessions(&now_us);
    upkeep::sessions::CountBlocked(&sessions);
    upkeep::sessions::FillNextEnds(&sessions, upkeep::pg::RulesInForce(), now_us);
    upkeep::pg::NoticeHidden(sessions);
    body(sessions, now_us, rows);
}

}  // namespace

UPKEEP_ROWS(connections) {
    Show(upkeep::sessions::Connections, rows);
}

UPKEEP_ROWS(connection_summary) {
    Show(upkeep::sessions::ConnectionSummary, rows);
}

UPKEEP_ROWS(connection_limits) {
    upkeep::sessions::ConnectionLimitsRow(upkeep::pg::ReadPoolFacts().limits, rows);
}

UPKEEP_ROWS(running_statements) {
    Show(upkeep::sessions::RunningStatements, rows);
}

UPKEEP_ROWS(lock_tree) {
    Show(upkeep::sessions::LockTree, rows);
}

UPKEEP_ROWS(end_session) {
    upkeep::pg::RefuseOnStandby("end_session");
    upkeep::pg::ServerSessions port;
    upkeep::sessions::EndSession(arguments, port, rows).OrThrow();
}

UPKEEP_ROWS(reap_sessions) {
    upkeep::pg::RefuseOnStandby("reap_sessions");
    upkeep::pg::ServerSessions port;
    upkeep::sessions::ReapSessions(arguments, port, rows).OrThrow();
}

UPKEEP_ROWS(advise_pool) {
    upkeep::sessions::PoolFacts facts = upkeep::pg::ReadPoolFacts();
    if (upkeep::pg::IsStoreShared()) {
        facts.load = upkeep::sessions::MeasureLoad(
            upkeep::pg::VisibleStatements(upkeep::pg::Texts::kLeave, true));
    }
    facts.reported = upkeep::sessions::SumPools(
        upkeep::pg::VisiblePools(), GetCurrentTimestamp() + upkeep::pg::kPostgresEpochUs);
    upkeep::sessions::AdvisePool(arguments, facts, rows).OrThrow();
}

UPKEEP_SCALAR(report_pool) {
    upkeep::pg::KeepPoolReport(upkeep::sessions::ReadPoolReport(arguments).OrThrow());
    return {};
}

UPKEEP_ROWS(pools) {
    upkeep::sessions::PoolRows(upkeep::pg::VisiblePoolsOrNotice(),
                               GetCurrentTimestamp() + upkeep::pg::kPostgresEpochUs, rows);
}
