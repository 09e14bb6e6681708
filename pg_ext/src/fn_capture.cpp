// Captured statements.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "lint.h"
#include "shmem.h"

UPKEEP_ROWS(statements) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        upkeep::capture::StatementRows(
            upkeep::pg::VisibleStatements(upkeep::pg::Texts::kRead, false), {}, rows);
    }
}

UPKEEP_ROWS(slow_statements) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        upkeep::capture::SlowRows(upkeep::pg::VisibleSlowStatements(), {}, rows);
    }
}

UPKEEP_ROWS(endpoints) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        const auto findings = upkeep::pg::VisibleFindings(upkeep::pg::Texts::kLeave);
        upkeep::capture::EndpointRows(
            upkeep::pg::VisibleStatements(upkeep::pg::Texts::kLeave, false),
            upkeep::pg::LooksForNPlusOne() ? std::optional(std::span(findings)) : std::nullopt,
            rows);
    }
}

UPKEEP_ROWS(n_plus_one) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        upkeep::capture::FindingRows(upkeep::pg::VisibleFindings(upkeep::pg::Texts::kRead),
                                     upkeep::capture::SqlDialect::kPostgres, rows);
    }
}

UPKEEP_ROWS(lint_statements) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        upkeep::pg::LintStatements(rows);
    }
}

UPKEEP_SCALAR(percentile) {
    std::vector<upkeep::capture::StatementView> statements;
    if (!upkeep::pg::NoticeWithoutCapture()) {
        statements = upkeep::pg::VisibleStatements(upkeep::pg::Texts::kLeave, true);
    }
    return upkeep::capture::Percentile(statements, arguments).OrThrow();
}

UPKEEP_SCALAR(reset_statements) {
    if (!upkeep::pg::NoticeWithoutCapture()) {
        upkeep::pg::SharedStore()->Reset(GetCurrentTimestamp() + upkeep::pg::kPostgresEpochUs);
    }
    return {};
}
