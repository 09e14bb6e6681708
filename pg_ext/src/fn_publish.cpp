// Metrics and report.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "host_query.h"
#include "pool_reports.h"
#include "shmem.h"
#include "upkeep/publish/metrics.h"
#include "upkeep/publish/report.h"

extern "C" {
#include "commands/dbcommands.h"
#include "miscadmin.h"
}

namespace {

class ServerCalls : public upkeep::publish::OwnCalls {
  public:
    upkeep::Result<upkeep::publish::TextRows> Read(
        const upkeep::publish::OwnQuery& query) override {
        const std::string sql = SqlOf(query, false);
        const upkeep::Result<upkeep::pg::HostRows> read = upkeep::pg::TryOwnCall(sql.c_str());
        if (!read.ok()) {
            return read.error();
        }
        const upkeep::pg::HostRows& cells = read.value();
        upkeep::publish::TextRows rows(static_cast<size_t>(cells.rows));
        for (int row = 0; row < cells.rows; ++row) {
            for (int column = 0; column < cells.columns; ++column) {
                const char* cell = cells.At(row, column);
                rows[static_cast<size_t>(row)].push_back(
                    cell == nullptr ? std::nullopt : std::optional<std::string>(cell));
            }
        }
        return rows;
    }
};

std::string CurrentDatabase() {
    const char* name = upkeep::pg::CallHost([] { return get_database_name(MyDatabaseId); });
    return name == nullptr ? "" : name;
}

std::string ServerVersion() {
    return upkeep::pg::CallHost([] { return GetConfigOption("server_version", false, false); });
}

upkeep::publish::MetricFacts GatherFacts(const upkeep::publish::MetricRequest& request) {
    upkeep::publish::MetricFacts facts;
    facts.host = upkeep::Hosts::kPostgres;
    facts.host_version = ServerVersion();
    facts.database = CurrentDatabase();
    upkeep::capture::Store* store = upkeep::pg::SharedStore();
    // One session's private counts are not the server's: metrics leave them out.
    if (upkeep::pg::IsStoreShared() && request.Wants(upkeep::publish::Source::kCapture)) {
        facts.capture = {store->Status(), store->limits(), upkeep::pg::VisibleCounters()};
    }
    if (upkeep::pg::KeepsPoolReports() && request.Wants(upkeep::publish::Source::kPools)) {
        facts.pools = upkeep::sessions::SumPools(
            upkeep::pg::VisiblePools(), GetCurrentTimestamp() + upkeep::pg::kPostgresEpochUs);
    }
    return facts;
}

std::vector<upkeep::publish::Sample> SamplesNow(const upkeep::publish::MetricRequest& request) {
    ServerCalls calls;
    return upkeep::publish::Samples(request, GatherFacts(request), calls);
}

}  // namespace

UPKEEP_ROWS(metric_samples) {
    const upkeep::publish::MetricRequest request = upkeep::publish::WholeRequest();
    upkeep::publish::SampleRows(request.prefix, SamplesNow(request), rows);
}

UPKEEP_SCALAR(metrics) {
    const auto request = upkeep::publish::ReadMetricRequest(arguments).OrThrow();
    return upkeep::Value(upkeep::publish::Exposition(request.prefix, SamplesNow(request)));
}

UPKEEP_SCALAR(report) {
    upkeep::publish::CheckReportFormat(arguments).OrThrow();
    upkeep::publish::ReportFacts facts;
    facts.host = upkeep::Hosts::kPostgres;
    facts.host_version = "PostgreSQL " + ServerVersion();
    facts.database = CurrentDatabase();
    facts.now = upkeep::pg::FromTimestampTz(GetCurrentTimestamp());
    ServerCalls calls;
    return upkeep::Value(
        upkeep::publish::ReportText(upkeep::publish::BuildReport(arguments, facts, calls)));
}
