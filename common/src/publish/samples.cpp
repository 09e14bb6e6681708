// From facts to samples.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

#include "upkeep/base/text.h"
#include "upkeep/base/version.h"
#include "upkeep/publish/metrics.h"

namespace upkeep::publish {

namespace {

constexpr double kNsPerSecond = 1e9;
constexpr double kUsPerSecond = 1e6;
constexpr double kMsPerSecond = 1e3;
constexpr size_t kLongestLabel = 200;

double Number(uint64_t count) {
    return static_cast<double>(count);
}

/// A label's value: UTF-8 of a bounded length. Done before samples are summed, so that two names
/// that look alike afterwards are one series.
std::string LabelText(std::string_view text) {
    std::string label(Clip(text, kLongestLabel));
    if (!IsUtf8(label)) {
        for (char& c : label) {
            c = static_cast<unsigned char>(c) >= 0x80 ? '?' : c;
        }
    }
    return label;
}

/// The first duration that a bucket does not hold, in seconds: 0.0005, 10, +Inf.
std::string BoundText(size_t bucket) {
    if (bucket >= capture::kCounterBounds.size()) {
        return "+Inf";
    }
    char text[32];
    const auto end = std::to_chars(std::begin(text), std::end(text),
                                   Number(capture::kCounterBounds[bucket]) / kNsPerSecond,
                                   std::chars_format::fixed);
    return {std::begin(text), end.ptr};
}

class Collector {
  public:
    explicit Collector(const MetricRequest& request) : request_(request) {
        by_family_.resize(request.families.size());
    }

    /// Nothing is added where the family was not asked for.
    void Add(std::string_view family, std::vector<Label> labels, double value,
             std::string_view suffix = "") {
        for (size_t i = 0; i < request_.families.size(); ++i) {
            if (request_.families[i]->name == family) {
                by_family_[i].push_back({request_.families[i], suffix, std::move(labels), value});
                return;
            }
        }
    }
    void AddIfKnown(std::string_view family, std::vector<Label> labels,
                    std::optional<double> value) {
        if (value) {
            Add(family, std::move(labels), *value);
        }
    }

    std::vector<Sample> Take() {
        std::vector<Sample> all;
        for (std::vector<Sample>& samples : by_family_) {
            std::move(samples.begin(), samples.end(), std::back_inserter(all));
        }
        return all;
    }

  private:
    const MetricRequest& request_;
    std::vector<std::vector<Sample>> by_family_;
};

struct CounterSum {
    uint64_t calls = 0;
    uint64_t rows = 0;
    uint64_t total_ns = 0;
    std::array<uint64_t, capture::kCounterBounds.size() + 1> buckets = {};
};

/// Operation, table, failed. Two rows of the store can have equal labels: a table that is really
/// named `other`, names that differ in bytes that are no text.
using CounterKey = std::tuple<std::string, std::string, bool>;

std::map<CounterKey, CounterSum> SumCounters(std::span<const capture::CounterSnapshot> counters) {
    std::map<CounterKey, CounterSum> sums;
    for (const capture::CounterSnapshot& counter : counters) {
        std::string operation(OperationName(counter.operation));
        for (char& c : operation) {
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
        CounterSum& sum = sums[{std::move(operation), LabelText(counter.table), counter.failed}];
        sum.calls += counter.calls;
        sum.rows += counter.rows;
        sum.total_ns += counter.total_ns;
        for (size_t i = 0; i < sum.buckets.size(); ++i) {
            sum.buckets[i] += counter.buckets[i];
        }
    }
    return sums;
}

void AddHistogram(std::string_view family, const std::vector<Label>& labels, const CounterSum& sum,
                  Collector& out) {
    uint64_t below = 0;
    for (size_t i = 0; i < sum.buckets.size(); ++i) {
        below += sum.buckets[i];
        std::vector<Label> with_bound = labels;
        with_bound.push_back({"le", BoundText(i)});
        out.Add(family, std::move(with_bound), Number(below), "_bucket");
    }
    out.Add(family, labels, Number(sum.total_ns) / kNsPerSecond, "_sum");
    out.Add(family, labels, Number(below), "_count");
}

void AddStatements(const CaptureFacts& facts, Collector& out) {
    for (const auto& [key, sum] : SumCounters(facts.counters)) {
        const auto& [operation, table, failed] = key;
        const std::vector<Label> labels = {{"operation", operation}, {"table", table}};
        std::vector<Label> with_status = labels;
        with_status.push_back({"status", failed ? "error" : "ok"});
        out.Add("statements_total", with_status, Number(sum.calls));
        out.Add("queries_total", with_status, Number(sum.calls));
        if (!failed) {
            out.Add("statement_rows_total", labels, Number(sum.rows));
            AddHistogram("statement_duration_seconds", labels, sum, out);
            AddHistogram("query_duration_seconds", labels, sum, out);
        }
    }
}

void AddCapture(const CaptureFacts& facts, Collector& out) {
    AddStatements(facts, out);
    const capture::StoreStatus& status = facts.status;
    out.Add("capture_evictions_total", {}, Number(status.evictions));
    out.Add("capture_missed_total", {}, Number(status.missed));
    out.Add("capture_durations_missed_total", {}, Number(status.pages_missed));
    out.Add("capture_texts_not_kept_total", {}, Number(status.texts_not_kept));
    out.Add("capture_slow_dropped_total", {}, Number(status.slow_dropped));
    out.Add("capture_host_errors_total", {}, Number(status.host_errors));
    out.Add("capture_statements_max", {}, facts.limits.statements);
    out.Add("capture_text_bytes", {}, Number(status.text_bytes_used));
    out.Add("capture_text_max_bytes", {}, Number(facts.limits.text_bytes));
    out.Add("capture_series", {}, Number(facts.counters.size()));
    out.Add("capture_series_max", {},
            Number(capture::CounterTable::Records(facts.limits.counters)));
    out.Add("capture_reset_timestamp_seconds", {},
            static_cast<double>(status.reset_us) / kUsPerSecond);
}

void AddConnections(const MetricFacts& facts, const TextRows& rows, Collector& out) {
    std::map<std::string, double> by_state;
    double idle = 0;
    double used = 0;
    for (const TextRow& row : rows) {
        const bool is_server = facts.host == Hosts::kPostgres;
        if (is_server && row[1].value_or("client backend") != "client backend") {
            continue;  // a worker of the server's own
        }
        const std::string state = LabelText(row[0].value_or(is_server ? "hidden" : "unknown"));
        ++by_state[state];
        if (!is_server || row[2] == facts.database) {
            ++(state == "idle" ? idle : used);
        }
    }
    for (const auto& [state, count] : by_state) {
        out.Add("connections", {{"state", state}}, count);
    }
    if (by_state.count("hidden") == 0) {
        out.Add("pool_connections", {{"state", "idle"}}, idle);
        out.Add("pool_connections", {{"state", "used"}}, used);
    }
}

void AddDatabases(const MetricFacts& facts, const TextRows& rows, Collector& out) {
    for (const TextRow& row : rows) {
        if (facts.host == Hosts::kPostgres && row[0] != facts.database) {
            continue;  // each database is asked for itself: their number is nobody's to bound
        }
        const std::vector<Label> labels = {{"database", LabelText(row[0].value_or(""))}};
        out.AddIfKnown("database_commits_total", labels, NumberOf(row[1]));
        out.AddIfKnown("database_rollbacks_total", labels, NumberOf(row[2]));
        out.AddIfKnown("database_deadlocks_total", labels, NumberOf(row[3]));
        out.AddIfKnown("database_temp_bytes_total", labels, NumberOf(row[4]));
        out.AddIfKnown("database_size_bytes", labels, NumberOf(row[5]));
        out.AddIfKnown("database_cache_hit_ratio", labels, NumberOf(row[6]));
        out.AddIfKnown("database_wraparound_ratio", labels, NumberOf(row[7]));
    }
}

void AddHealth(const TextRows& rows, Collector& out) {
    for (const std::string_view status : {"fail", "manual", "ok", "unknown", "warn"}) {
        const auto count = std::count_if(rows.begin(), rows.end(),
                                         [&](const TextRow& row) { return row[0] == status; });
        out.Add("health_checks", {{"status", std::string(status)}}, static_cast<double>(count));
    }
}

void AddWorkflows(const TextRows& rows, Collector& out) {
    constexpr std::string_view kStatuses[] = {"pending", "running", "completed",
                                              "failed",  "timeout", "cancelled"};
    for (const TextRow& row : rows) {  // one: all workflows together
        for (size_t i = 0; i < std::size(kStatuses); ++i) {
            out.AddIfKnown("workflow_executions", {{"status", std::string(kStatuses[i])}},
                           NumberOf(row[i]));
        }
        out.AddIfKnown("workflow_success_ratio", {}, NumberOf(row[std::size(kStatuses)]));
        if (const auto p95_ms = NumberOf(row[std::size(kStatuses) + 1])) {
            out.Add("workflow_p95_duration_seconds", {}, *p95_ms / kMsPerSecond);
        }
    }
}

/// Pools have no labels of their own: how many there are is the applications' to say.
void AddPools(const sessions::PoolSums& sums, Collector& out) {
    const auto number = [](int64_t count) { return static_cast<double>(count); };
    out.Add("reported_pools", {{"state", "reporting"}}, number(sums.pools));
    out.Add("reported_pools", {{"state", "silent"}}, number(sums.stale));
    out.Add("reported_pool_connections", {{"state", "idle"}},
            number(sums.size - (sums.checked_out - sums.overflow)));
    out.Add("reported_pool_connections", {{"state", "used"}}, number(sums.checked_out));
    out.Add("reported_pool_size", {}, number(sums.size));
    out.Add("reported_pool_overflow", {}, number(sums.overflow));
    out.Add("reported_pool_waiting", {}, number(sums.waiting));
    out.Add("reported_pool_timeouts", {}, number(sums.timeouts));
    out.Add("reported_pool_wait_seconds", {}, sums.wait_ms / kMsPerSecond);
}

/// The rows, if the source is wanted and can be read.
std::optional<TextRows> ReadIf(const MetricRequest& request, Source source, const OwnQuery& query,
                               OwnCalls& calls) {
    if (!request.Wants(source)) {
        return std::nullopt;
    }
    Result<TextRows> read = calls.Read(query);
    return read.ok() ? std::optional(std::move(read).value()) : std::nullopt;
}

}  // namespace

std::vector<Sample> Samples(const MetricRequest& request, const MetricFacts& facts,
                            OwnCalls& calls) {
    Collector out(request);
    out.Add("build_info",
            {{"version", Version()},
             {"host", facts.host == Hosts::kPostgres ? "postgresql" : "sqlite"},
             {"host_version", LabelText(facts.host_version)}},
            1);
    if (facts.capture) {
        AddCapture(*facts.capture, out);
    }
    if (const auto rows = ReadIf(request, Source::kConnections,
                                 {"connections", "state, backend_type, database_name"}, calls)) {
        AddConnections(facts, *rows, out);
    }
    if (const auto rows =
            ReadIf(request, Source::kLimits, {"connection_limits", "max_connections"}, calls);
        rows && !rows->empty()) {
        out.AddIfKnown("connections_max", {}, NumberOf(rows->front()[0]));
    }
    if (facts.host == Hosts::kPostgres) {  // SQLite's waiters poll: nobody sees them
        if (const auto rows = ReadIf(request, Source::kLocks, {"lock_tree", "depth"}, calls)) {
            const auto waiting = std::count_if(rows->begin(), rows->end(),
                                               [](const TextRow& row) { return row[0] != "0"; });
            out.Add("locks_waiting", {}, static_cast<double>(waiting));
        }
    }
    if (const auto rows = ReadIf(request, Source::kDatabase,
                                 {"database_stats",
                                  "database_name, commits, rollbacks, deadlocks, temp_bytes, "
                                  "size_bytes, cache_hit_ratio, wraparound_ratio"},
                                 calls)) {
        AddDatabases(facts, *rows, out);
    }
    if (const auto rows = ReadIf(request, Source::kHealth, {"check_health", "status"}, calls)) {
        AddHealth(*rows, out);
    }
    if (const auto rows = ReadIf(request, Source::kWorkflows,
                                 {"workflow_stats",
                                  "pending, running, completed, failed, timeout, cancelled, "
                                  "success_ratio, p95_ms",
                                  "group_by", "all"},
                                 calls)) {
        AddWorkflows(*rows, out);
    }
    if (facts.pools && request.Wants(Source::kPools)) {
        AddPools(*facts.pools, out);
    }
    return out.Take();
}

}  // namespace upkeep::publish
