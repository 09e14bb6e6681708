// SPDX-License-Identifier: PostgreSQL
#include "captured.h"

#include <algorithm>
#include <map>

#include "capture_views.h"
#include "guard.h"
#include "pg.h"
#include "shmem.h"

extern "C" {
#include "commands/extension.h"
#include "executor/spi.h"
}

namespace upkeep::pg {

namespace {

constexpr const char* kGiveOne =
    "give statements: advise_indexes(ARRAY['SELECT ...']), or put pg_stat_statements into "
    "shared_preload_libraries, restart, and CREATE EXTENSION pg_stat_statements";
constexpr int kMostStatements = 1000;

struct Captured {
    char** texts;
    double* weights;
    int count;
};

/// Reads the top statements by total time. Only text that can be planned and that the caller may
/// see: others' rows say <insufficient privilege> and do not match.
Captured ReadStatements() {
    Captured out = {};
    MemoryContext caller = CurrentMemoryContext;
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    if (SPI_execute("SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
                    " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace"
                    " WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'",
                    true, 1) != SPI_OK_SELECT ||
        SPI_processed != 1) {
        elog(ERROR, "pg_stat_statements is not installed");
    }
    const char* schema = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    char* sql = psprintf(
        "SELECT query, pg_catalog.sum(total_exec_time) FROM %s.pg_stat_statements"
        " WHERE dbid OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database"
        "   WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())"
        " AND query OPERATOR(pg_catalog.~*) '^\\s*(select|insert|update|delete|with|merge)\\M'"
        " AND query OPERATOR(pg_catalog.!~*) '\\mupkeep\\.'"
        " GROUP BY query HAVING pg_catalog.sum(total_exec_time) OPERATOR(pg_catalog.>) 0"
        " ORDER BY 2 DESC, 1 LIMIT %d",
        schema, kMostStatements);
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT) {
        elog(ERROR, "reading pg_stat_statements failed");
    }
    MemoryContext inner = MemoryContextSwitchTo(caller);
    out.count = static_cast<int>(SPI_processed);
    out.texts = static_cast<char**>(palloc0(sizeof(char*) * (out.count + 1)));
    out.weights = static_cast<double*>(palloc0(sizeof(double) * (out.count + 1)));
    for (int i = 0; i < out.count; ++i) {
        bool is_null = false;
        HeapTuple tuple = SPI_tuptable->vals[i];
        out.texts[i] = pstrdup(SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1));
        out.weights[i] = DatumGetFloat8(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &is_null));
    }
    MemoryContextSwitchTo(inner);
    SPI_finish();
    return out;
}

/// What upkeep itself captured of this database, by the same rules as ReadStatements.
std::vector<advisor::WorkloadStatement> OwnWorkload() {
    using capture::Operation;
    std::map<std::string, double> weights;
    for (const capture::StatementView& view : VisibleStatements(Texts::kRead, true)) {
        const Operation operation = view.counts.operation;
        const bool can_be_planned =
            operation != Operation::kUtility && operation != Operation::kOther;
        if (view.is_visible && can_be_planned && view.counts.totals.total_ns > 0 &&
            view.query != capture::kNotKept && view.query.find("upkeep.") == std::string::npos) {
            weights[view.query] += static_cast<double>(view.counts.totals.total_ns) / 1e6;
        }
    }
    std::vector<advisor::WorkloadStatement> workload;
    for (const auto& [text, weight] : weights) {
        workload.push_back({text, weight});
    }
    std::stable_sort(workload.begin(), workload.end(), [](const auto& left, const auto& right) {
        return left.weight > right.weight;
    });
    workload.resize(std::min<size_t>(workload.size(), kMostStatements));
    return workload;
}

}  // namespace

bool HasStatementSource() {
    if (SharedStore() != nullptr) {
        return true;
    }
    return CallHost([] { return OidIsValid(get_extension_oid("pg_stat_statements", true)); });
}

Result<std::vector<advisor::WorkloadStatement>> CapturedWorkload() {
    if (SharedStore() != nullptr) {
        std::vector<advisor::WorkloadStatement> own = OwnWorkload();
        if (own.empty()) {
            return Error(Code::kUnsupported,
                         "no workload is given and no statement of this database that you may see "
                         "was captured",
                         "give statements, or run the application first; others' statements need "
                         "pg_read_all_stats");
        }
        return own;
    }
    if (!HasStatementSource()) {
        return Error(Code::kUnsupported, "no workload is given and none was captured", kGiveOne);
    }
    const Result<Captured> read = InSubtransaction([] { return ReadStatements(); });
    if (!read.ok()) {
        return Error(
            Code::kUnsupported,
            "no workload is given and pg_stat_statements cannot be read: " + read.error().message(),
            kGiveOne);
    }
    std::vector<advisor::WorkloadStatement> workload;
    for (int i = 0; i < read.value().count; ++i) {
        workload.push_back({read.value().texts[i], read.value().weights[i]});
    }
    if (workload.empty()) {
        return Error(Code::kUnsupported,
                     "no workload is given and pg_stat_statements holds no statement of this "
                     "database that you may see",
                     "give statements, or run the application first; others' statements need "
                     "pg_read_all_stats");
    }
    return workload;
}

}  // namespace upkeep::pg
