// SPDX-License-Identifier: PostgreSQL
#include "repeats.h"

#include <optional>
#include <string>
#include <string_view>

#include "upkeep/capture/normalize.h"
#include "upkeep/capture/store_findings.h"

namespace upkeep::sqlite {

namespace {

using capture::Finished;

/// The text with its values in it; empty where that is longer than SQLite's limit, which makes all
/// such statements look the same.
std::string TextWithValues(sqlite3_stmt* stmt) {
    char* expanded = sqlite3_expanded_sql(stmt);
    std::string text = expanded != nullptr ? expanded : "";
    sqlite3_free(expanded);
    return text;
}

capture::StoreFindings FindingsOf(Capture& capture, uint32_t database,
                                  std::string_view running = {}) {
    return {capture.store(), database, capture::SqlDialect::kSqlite, running};
}

}  // namespace

void Repeats::NotePart(Capture& capture, const capture::StatementKey& key, TracedStatement& open,
                       int64_t now_us) {
    if (capture.config().n_plus_one_threshold == 0 || open.rows == open.rows_told ||
        open.operation != capture::Operation::kSelect) {
        return;
    }
    capture::StoreFindings findings = FindingsOf(capture, key.database);
    detector_.NotePart({.fingerprint = open.fingerprint,
                        .operation = open.operation,
                        .user = key.user,
                        .endpoint = key.endpoint,
                        .rows = open.rows - open.rows_told,
                        .duration_ns = 0,
                        .ended_us = now_us},
                       findings);
    open.rows_told = open.rows;
}

void Repeats::Note(Capture& capture, const capture::StatementKey& key, sqlite3_stmt* stmt,
                   const TracedStatement& statement, const capture::Execution& execution) {
    const uint32_t threshold = capture.config().n_plus_one_threshold;
    if (threshold == 0) {
        return;
    }
    if (statement.kind == Kind::kEnd) {
        End(capture, key.database);
    } else if (detector_.HasWork(statement.operation, execution.rows)) {
        const Finished finished{.fingerprint = key.fingerprint,
                                .operation = statement.operation,
                                .user = key.user,
                                .endpoint = key.endpoint,
                                .rows = execution.rows,
                                .duration_ns = execution.duration_ns,
                                .ended_us = execution.ended_us};
        std::optional<uint64_t> values;
        std::string running;
        if (detector_.WantsValues(finished)) {
            running = TextWithValues(stmt);
            values = static_cast<uint64_t>(capture::Fingerprint(running));
        }
        capture::StoreFindings findings = FindingsOf(capture, key.database, running);
        detector_.Note(finished, values, threshold, findings);
    }
}

void Repeats::End(Capture& capture, uint32_t database) {
    if (detector_.is_active()) {
        capture::StoreFindings findings = FindingsOf(capture, database);
        detector_.EndScope(findings);
    }
}

}  // namespace upkeep::sqlite
