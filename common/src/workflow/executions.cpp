// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/executions.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "upkeep/base/text.h"
#include "upkeep/base/time.h"
#include "upkeep/workflow/stats.h"

namespace upkeep::workflow {

namespace {

constexpr uint64_t kLeastHistory = 20;  // fewer durations say little about a p99
constexpr double kTooLong = 2;          // times the expected p99
constexpr double kLeastStuckMs = 60'000;
constexpr double kNoHistoryMs = 3'600'000;

std::optional<std::string> TextOrNone(const Arguments& arguments, std::string_view parameter) {
    return arguments.IsNull(parameter) ? std::nullopt : std::optional(arguments.Text(parameter));
}

/// One digit behind the point.
std::string Tenths(double number) {
    const auto tenths = static_cast<int64_t>(std::llround(number * 10));
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10);
}

/// Why the execution counts as stuck; empty: it does not.
std::string ReasonOf(const LiveExecution& execution, double running_ms, const Sketch* history) {
    const std::string since = execution.status + " for " + HumanDuration(running_ms);
    const std::string days = std::to_string(kHistoryDays);
    if (history == nullptr || history->count() < kLeastHistory) {
        const uint64_t known = history == nullptr ? 0 : history->count();
        return running_ms > kNoHistoryMs ? since + "; no expectation: " + std::to_string(known) +
                                               " completed executions of this workflow in " + days +
                                               " days, " + std::to_string(kLeastHistory) +
                                               " are needed, so anything above 1 h is shown"
                                         : "";
    }
    const double expected = history->QuantileMs(0.99);
    if (running_ms <= std::max(kTooLong * expected, kLeastStuckMs)) {
        return "";
    }
    return since + ", more than twice the p99 of " + HumanDuration(expected) + " that " +
           std::to_string(history->count()) + " completed executions of this workflow took in " +
           days + " days";
}

std::string JsonText(const std::optional<std::string>& text) {
    return text ? JsonString(*text) : "null";
}

}  // namespace

Result<RecentRequest> ParseRecentRequest(const Arguments& arguments) {
    RecentRequest request;
    request.of_workflow = TextOrNone(arguments, "of_workflow");
    request.with_status = TextOrNone(arguments, "with_status");
    request.page_size = arguments.Integer("page_size");
    request.before_id = TextOrNone(arguments, "before_id");
    if (!arguments.IsNull("before_started_at")) {
        request.before_started_at = arguments.Time("before_started_at");
    }
    if (request.with_status && !StatusOf(*request.with_status)) {
        return Error(Code::kInvalidArgument, "unknown status \"" + *request.with_status + "\"",
                     "with_status is one of " + StatusWords());
    }
    if (request.page_size < 1 || request.page_size > kMostRows) {
        return Error(Code::kInvalidArgument,
                     "page_size must be 1 to " + std::to_string(kMostRows) + ", not " +
                         std::to_string(request.page_size),
                     "read further pages with before_started_at and before_id");
    }
    if (request.before_id && !request.before_started_at) {
        return Error(Code::kInvalidArgument, "before_id needs before_started_at",
                     "give started_at and id of the last row of the page before");
    }
    if (request.before_started_at == kTimeBefore || request.before_started_at == kTimeForever) {
        return Error(Code::kInvalidArgument, "before_started_at must be a finite time",
                     "leave it out for the first page");
    }
    return request;
}

void StuckExecutions(const std::vector<LiveExecution>& live,
                     const std::vector<WorkflowHistory>& histories, Timestamp now, RowSink& rows) {
    std::unordered_map<std::string_view, const Sketch*> by_workflow;
    for (const WorkflowHistory& history : histories) {
        by_workflow[history.workflow_id] = &history.durations;
    }
    std::vector<const LiveExecution*> ordered;
    ordered.reserve(live.size());
    for (const LiveExecution& execution : live) {
        ordered.push_back(&execution);
    }
    std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
        return a->started_at.unix_us != b->started_at.unix_us
                   ? a->started_at.unix_us < b->started_at.unix_us
                   : a->id < b->id;
    });
    for (const LiveExecution* execution : ordered) {
        const auto found = by_workflow.find(execution->workflow_id);
        const Sketch* history = found == by_workflow.end() ? nullptr : found->second;
        const double running_ms = DurationOf(execution->started_at, now) / 1e3;
        std::string reason = ReasonOf(*execution, running_ms, history);
        if (reason.empty()) {
            continue;
        }
        const bool expects = history != nullptr && history->count() >= kLeastHistory;
        Row row(7);
        row[0] = execution->id;
        if (execution->workflow_name) {
            row[1] = *execution->workflow_name;
        }
        row[2] = execution->status;
        row[3] = execution->started_at;
        row[4] = running_ms;
        if (expects) {
            row[5] = history->QuantileMs(0.99);
        }
        row[6] = std::move(reason);
        rows.Add(std::move(row));
    }
}

std::string HumanDuration(double milliseconds) {
    struct Unit {
        double ms;
        const char* name;
    };
    static constexpr Unit kUnits[] = {
        {86'400'000, " d"}, {3'600'000, " h"}, {60'000, " min"}, {1000, " s"}};
    for (const Unit& unit : kUnits) {
        if (milliseconds >= unit.ms) {
            return Tenths(milliseconds / unit.ms) + unit.name;
        }
    }
    return std::to_string(std::llround(milliseconds)) + " ms";
}

std::string LogsJson(const std::vector<LogLine>& lines) {
    std::string out = "[";
    for (const LogLine& line : lines) {
        out += out.size() > 1 ? "," : "";
        out += "{\"created_at\":" +
               (line.created_at ? JsonString(FormatTime(*line.created_at)) : "null");
        out += ",\"level\":" + JsonText(line.level);
        out += ",\"message\":" + JsonText(line.message);
        out += ",\"step_name\":" + JsonText(line.step_name);
        out += ",\"metadata\":" +
               (line.metadata_is_text ? JsonText(line.metadata) : line.metadata.value_or("null"));
        out += "}";
    }
    return out + "]";
}

Result<Value> SketchQuantile(const Arguments& arguments) {
    if (arguments.IsNull("sketch") || arguments.IsNull("q")) {
        return Value();
    }
    const double q = arguments.Float("q");
    if (!(q >= 0 && q <= 1)) {
        return Error(Code::kInvalidArgument, "q must be between 0 and 1, not " + std::to_string(q),
                     "0.5 is the median, 0.95 the 95th percentile");
    }
    const Result<Sketch> sketch = Sketch::Decode(arguments.Sketch("sketch"));
    if (!sketch.ok()) {
        return sketch.error();
    }
    if (sketch.value().count() == 0) {
        return Value();
    }
    return Value(sketch.value().QuantileMs(q));
}

Result<Value> SketchCount(const Arguments& arguments) {
    if (arguments.IsNull("sketch")) {
        return Value();
    }
    const Result<Sketch> sketch = Sketch::Decode(arguments.Sketch("sketch"));
    if (!sketch.ok()) {
        return sketch.error();
    }
    return Value(static_cast<int64_t>(sketch.value().count()));
}

}  // namespace upkeep::workflow
