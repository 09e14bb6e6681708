// SPDX-License-Identifier: PostgreSQL
#include "captured_workload.h"

#include <utility>

#include "capture_memory.h"
#include "captured.h"
#include "relations.h"
#include "statement_samples.h"

namespace upkeep::sqlite {

Result<std::vector<advisor::WorkloadStatement>> CapturedWorkload(sqlite3* db) {
    std::vector<advisor::WorkloadStatement> workload;
    for (const capture::StatementView& view : ReadStatements(db)) {
        const capture::Operation operation = view.counts.operation;
        const bool is_planned =
            operation == capture::Operation::kSelect || operation == capture::Operation::kInsert ||
            operation == capture::Operation::kUpdate || operation == capture::Operation::kDelete;
        if (is_planned && view.counts.totals.total_ns > 0 && view.query != capture::kNotKept) {
            const int64_t fingerprint = view.counts.key.fingerprint;
            workload.push_back({.text = view.query,
                                .weight = static_cast<double>(view.counts.totals.total_ns) / 1e6,
                                .fingerprints = {fingerprint},
                                .sample = SampleOf(db, fingerprint),
                                .calls = static_cast<double>(view.counts.totals.calls)});
        }
    }
    if (workload.empty()) {
        return Error(
            Code::kUnsupported, "no workload given, and nothing has been captured",
            "pass the statements: upkeep_advise_indexes('SELECT …; SELECT …'), or run them "
            "after SELECT upkeep_capture(1)");
    }
    return workload;
}

std::vector<advisor::SentTexts> CapturedJsonTexts(sqlite3* db) {
    std::vector<advisor::SentTexts> sent;
    const Capture* capture = TheCapture();
    const std::string database = MainFile(db);
    if (capture == nullptr || database.empty()) {
        return sent;
    }
    const uint32_t id = TheCapture()->DatabaseId(database);
    for (const capture::StatementView& view : ReadStatements(db)) {
        const capture::StatementTotals& totals = view.counts.totals;
        if (totals.total_ns == 0 || !advisor::MayLookIntoJson(view.query)) {
            continue;
        }
        StatementSamples samples = SamplesOf(*capture, id, view.counts.key.fingerprint);
        if (!samples.texts.empty()) {
            sent.push_back({static_cast<double>(totals.total_ns) / 1e6, std::move(samples.texts)});
        }
    }
    return sent;
}

}  // namespace upkeep::sqlite
