// SQLite's bodies for the publish topic: metrics and report.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_memory.h"
#include "pool_reports.h"
#include "stmt.h"
#include "trace.h"
#include "upkeep/publish/metrics.h"
#include "upkeep/publish/report.h"

namespace upkeep::sqlite {

namespace {

using publish::MetricRequest;
using publish::OwnQuery;
using publish::TextRow;
using publish::TextRows;

class ModuleCalls : public publish::OwnCalls {
  public:
    explicit ModuleCalls(sqlite3* db) : db_(db) {}

    Result<TextRows> Read(const OwnQuery& query) override {
        try {
            Stmt stmt(db_, SqlOf(query, true));
            TextRows rows;
            while (stmt.Step()) {
                TextRow& row = rows.emplace_back();
                for (int i = 0; i < sqlite3_column_count(stmt.get()); ++i) {
                    row.push_back(stmt.IsNull(i) ? std::nullopt
                                                 : std::optional(std::string(stmt.Text(i))));
                }
            }
            return rows;
        } catch (const Error& error) {
            if (error.code() == Code::kInterrupted) {
                throw;
            }
            return error;
        }
    }

  private:
    sqlite3* db_;
};

/// The name of the file, without its directory; empty in memory.
std::string DatabaseName(sqlite3* db) {
    const char* path = sqlite3_db_filename(db, "main");
    const std::string file = path == nullptr ? "" : path;
    return file.substr(file.rfind('/') + 1);
}

/// What this process captured, if it did.
std::optional<publish::CaptureFacts> Captured() {
    Capture* here = TheCapture();
    if (here == nullptr) {
        return std::nullopt;
    }
    StoreAllBatches();
    return publish::CaptureFacts{here->store().Status(), here->limits(),
                                 here->store().counters().Snapshots()};
}

std::vector<publish::Sample> SamplesNow(sqlite3* db, const MetricRequest& request) {
    publish::MetricFacts facts;
    facts.host = Hosts::kSqlite;
    facts.host_version = sqlite3_libversion();
    facts.database = DatabaseName(db);
    facts.capture = Captured();
    if (request.Wants(publish::Source::kPools)) {
        if (const Result<std::vector<sessions::PoolRecord>> pools = TryReadPools(db); pools.ok()) {
            facts.pools = sessions::SumPools(pools.value(), WallClockUs());
        }
    }
    ModuleCalls calls(db);
    return publish::Samples(request, facts, calls);
}

Result<void> MetricSamplesCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const MetricRequest request = publish::WholeRequest();
    publish::SampleRows(request.prefix, SamplesNow(db, request), rows);
    return {};
}

Result<Value> MetricsCall(sqlite3* db, const Arguments& arguments) {
    const MetricRequest request = publish::ReadMetricRequest(arguments).OrThrow();
    return Value(publish::Exposition(request.prefix, SamplesNow(db, request)));
}

Result<Value> ReportCall(sqlite3* db, const Arguments& arguments) {
    publish::CheckReportFormat(arguments).OrThrow();
    publish::ReportFacts facts;
    facts.host = Hosts::kSqlite;
    facts.host_version = std::string("SQLite ") + sqlite3_libversion();
    facts.database = DatabaseName(db);
    facts.now = Now();
    ModuleCalls calls(db);
    return Value(publish::ReportText(publish::BuildReport(arguments, facts, calls)));
}

constexpr Body kBodies[] = {
    {.call = "metric_samples", .rows = MetricSamplesCall},
    {.call = "metrics", .value = MetricsCall},
    {.call = "report", .value = ReportCall},
};

}  // namespace

std::span<const Body> PublishBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
