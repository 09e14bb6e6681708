// The families of metrics. A row here is all that a plain new one needs, besides its value in
// samples.cpp.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/publish/metrics.h"

namespace upkeep::publish {

namespace {

using enum MetricType;

constexpr Family kFamilies[] = {
    {"build_info", kGauge, "", "version,host,host_version", Source::kBuild,
     "1; which upkeep runs in which host"},
    {"statements_total", kCounter, "", "operation,table,status", Source::kCapture,
     "Statement executions by operation, first table and status"},
    {"statement_duration_seconds", kHistogram, "seconds", "operation,table", Source::kCapture,
     "Durations of the executions that ended well, by operation and first table"},
    {"statement_rows_total", kCounter, "", "operation,table", Source::kCapture,
     "Rows returned or changed, by operation and first table"},
    {"capture_evictions_total", kCounter, "", "", Source::kCapture,
     "Statements that gave way to others; their counters above stay"},
    {"capture_missed_total", kCounter, "", "", Source::kCapture,
     "Executions that found no room in the table of statements"},
    {"capture_durations_missed_total", kCounter, "", "", Source::kCapture,
     "Durations that are missing from percentiles"},
    {"capture_texts_not_kept_total", kCounter, "", "", Source::kCapture,
     "Statement texts that found no room"},
    {"capture_slow_dropped_total", kCounter, "", "", Source::kCapture,
     "Slow statements that were not recorded because writers met"},
    {"capture_host_errors_total", kCounter, "", "", Source::kCapture,
     "Failures of capture itself; the statements went on"},
    {"capture_statements_max", kGauge, "", "", Source::kCapture,
     "Statements that there is room for"},
    {"capture_text_bytes", kGauge, "bytes", "", Source::kCapture,
     "Memory that statement texts take"},
    {"capture_text_max_bytes", kGauge, "bytes", "", Source::kCapture,
     "Memory that statement texts may take"},
    {"capture_series", kGauge, "", "", Source::kCapture,
     "Combinations of operation, table and status that were met"},
    {"capture_series_max", kGauge, "", "", Source::kCapture,
     "So many of them at most; further tables are counted as other"},
    {"capture_reset_timestamp_seconds", kGauge, "seconds", "", Source::kCapture,
     "When counting began, since 1970"},
    {"connections", kGauge, "", "state", Source::kConnections,
     "Client sessions by state, all databases"},
    {"connections_max", kGauge, "", "", Source::kLimits, "Client sessions that there can be"},
    {"locks_waiting", kGauge, "", "", Source::kLocks, "Sessions that wait for another's lock"},
    {"database_commits_total", kCounter, "", "database", Source::kDatabase,
     "Transactions committed"},
    {"database_rollbacks_total", kCounter, "", "database", Source::kDatabase,
     "Transactions rolled back"},
    {"database_deadlocks_total", kCounter, "", "database", Source::kDatabase, "Deadlocks"},
    {"database_temp_bytes_total", kCounter, "bytes", "database", Source::kDatabase,
     "Written to temporary files"},
    {"database_size_bytes", kGauge, "bytes", "database", Source::kDatabase, "Size on disk"},
    {"database_cache_hit_ratio", kGauge, "ratio", "database", Source::kDatabase,
     "Blocks found in the database's own cache; says nothing of the system's: show it, do not "
     "alert on it"},
    {"database_wraparound_ratio", kGauge, "ratio", "database", Source::kDatabase,
     "Transaction ids used of those there are"},
    {"health_checks", kGauge, "", "status", Source::kHealth, "Checks of check_health by status"},
    {"workflow_executions", kGauge, "", "status", Source::kWorkflows,
     "Executions that started in the last 24 hours, by their status now"},
    {"workflow_success_ratio", kGauge, "ratio", "", Source::kWorkflows,
     "Completed of those that ended, last 24 hours"},
    {"workflow_p95_duration_seconds", kGauge, "seconds", "", Source::kWorkflows,
     "95th percentile of the durations of completed executions, last 24 hours"},
    {"reported_pools", kGauge, "", "state", Source::kPools,
     "Pools of applications of this database that reported: lately, or silent for ten minutes"},
    {"reported_pool_connections", kGauge, "", "state", Source::kPools,
     "Their connections: used or idle, each in one state only"},
    {"reported_pool_size", kGauge, "", "", Source::kPools, "Connections that they keep"},
    {"reported_pool_overflow", kGauge, "", "", Source::kPools,
     "Used connections that are open beyond their sizes"},
    {"reported_pool_waiting", kGauge, "", "", Source::kPools,
     "Requests that wait for a connection"},
    {"reported_pool_timeouts", kGauge, "", "", Source::kPools,
     "Checkouts that failed since each pool was made; falls when a pool goes"},
    {"reported_pool_wait_seconds", kGauge, "seconds", "", Source::kPools,
     "Time that checkouts have waited since each pool was made; falls when a pool goes"},
    {"query_duration_seconds", kHistogram, "seconds", "operation,table", Source::kCapture,
     "Database query duration", true},
    {"queries_total", kCounter, "", "operation,table,status", Source::kCapture,
     "Total database queries", true},
    {"pool_connections", kGauge, "", "state", Source::kConnections,
     "Sessions in this database: used or idle, each in one state only", true},
};

}  // namespace

std::span<const Family> AllFamilies() {
    return kFamilies;
}

std::string_view MetricTypeName(MetricType type) {
    switch (type) {
        case kCounter:
            return "counter";
        case kGauge:
            return "gauge";
        case kHistogram:
            return "histogram";
    }
    return "untyped";
}

bool MetricRequest::Wants(Source source) const {
    for (const Family* family : families) {
        if (family->source == source) {
            return true;
        }
    }
    return false;
}

MetricRequest WholeRequest() {
    MetricRequest request;
    for (const Family& family : kFamilies) {
        if (!family.is_guides) {
            request.families.push_back(&family);
        }
    }
    return request;
}

namespace {

constexpr size_t kLongestPrefix = 64;

bool IsPrefix(std::string_view text) {
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
    };
    for (size_t i = 0; i < text.size(); ++i) {
        if (!fits(text[i]) && (i == 0 || text[i] < '0' || text[i] > '9')) {
            return false;
        }
    }
    return !text.empty() && text.size() <= kLongestPrefix;
}

std::vector<const Family*> FamiliesUnder(std::string_view prefix) {
    std::vector<const Family*> all;
    for (const Family& family : kFamilies) {
        if (!family.is_guides || prefix == kGuidePrefix) {
            all.push_back(&family);
        }
    }
    return all;
}

bool IsNamed(const Family& family, std::string_view prefix, std::string_view name) {
    return name == family.name ||
           (name.size() == prefix.size() + 1 + family.name.size() && name.starts_with(prefix) &&
            name[prefix.size()] == '_' && name.ends_with(family.name));
}

Error UnknownFamily(const std::string& name, const std::vector<const Family*>& known) {
    std::string hint = "families:";
    for (const Family* family : known) {
        hint += (hint.back() == ':' ? " " : ", ") + std::string(family->name);
    }
    return {Code::kInvalidArgument, "no family of metrics is named \"" + name + "\"", hint};
}

}  // namespace

Result<MetricRequest> ReadMetricRequest(const Arguments& arguments) {
    MetricRequest request;
    request.prefix = arguments.Text("prefix");
    if (!IsPrefix(request.prefix)) {
        return Error(Code::kInvalidArgument,
                     "prefix must be a letter, _ or : and then letters, digits, _ or :, at most 64",
                     "write 'upkeep', or 'autopr_db' for the guide's own names");
    }
    const std::vector<const Family*> known = FamiliesUnder(request.prefix);
    if (arguments.IsNull("families")) {
        request.families = known;
        return request;
    }
    const TextArray& names = arguments.Texts("families");
    for (const std::string& name : names) {
        bool is_known = false;
        for (const Family* family : known) {
            is_known = is_known || IsNamed(*family, request.prefix, name);
        }
        if (!is_known) {
            return UnknownFamily(name, known);
        }
    }
    for (const Family* family : known) {
        for (const std::string& name : names) {
            if (IsNamed(*family, request.prefix, name)) {
                request.families.push_back(family);
                break;
            }
        }
    }
    return request;
}

}  // namespace upkeep::publish
