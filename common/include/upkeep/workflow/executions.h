// What the calls about single executions decide: which requests are sound, which executions are
// stuck, what the logs look like as json.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"
#include "upkeep/workflow/sketch.h"

namespace upkeep::workflow {

/// The arguments of recent_executions, checked.
struct RecentRequest {
    std::optional<std::string> of_workflow;
    std::optional<std::string> with_status;
    int64_t page_size = 0;
    std::optional<Timestamp> before_started_at;
    std::optional<std::string> before_id;
};
inline constexpr int64_t kMostRows = 1000;

/// Errors: kInvalidArgument (unknown status, page_size outside 1..1000, before_id alone, infinity).
Result<RecentRequest> ParseRecentRequest(const Arguments& arguments);

/// An execution that is pending or running.
struct LiveExecution {
    std::string id;
    std::string workflow_id;
    std::optional<std::string> workflow_name;
    std::string status;
    Timestamp started_at;
};

/// Completed executions of one workflow that started in the last kHistoryDays days.
struct WorkflowHistory {
    std::string workflow_id;
    Sketch durations;
};
inline constexpr int64_t kHistoryDays = 30;

/// Of `live`, those that take too long, longest first, in the columns of stuck_executions.
/// With at least 20 completed executions of the workflow in 30 days: longer than twice their p99,
/// and longer than a minute. With fewer there is no expectation: longer than an hour.
void StuckExecutions(const std::vector<LiveExecution>& live,
                     const std::vector<WorkflowHistory>& histories, Timestamp now, RowSink& rows);

/// `850 ms`, `12.3 s`, `4.5 min`, `3.2 h`, `2.1 d`
std::string HumanDuration(double milliseconds);

/// A line of an execution's log. `metadata` is json, unless `metadata_is_text`.
struct LogLine {
    std::optional<Timestamp> created_at;
    std::optional<std::string> level;
    std::optional<std::string> message;
    std::optional<std::string> step_name;
    std::optional<std::string> metadata;
    bool metadata_is_text = false;
};

/// A json array with an object for each line, in the order given.
std::string LogsJson(const std::vector<LogLine>& lines);

/// Bodies of sketch_quantile and sketch_count. NULL in, NULL out; the quantile of no value is NULL.
Result<Value> SketchQuantile(const Arguments& arguments);
Result<Value> SketchCount(const Arguments& arguments);

}  // namespace upkeep::workflow
