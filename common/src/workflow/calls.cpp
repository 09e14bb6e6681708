// The workflow topic's calls.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Parameter kInstallParameters[] = {
    {"target_schema", Type::kText, "public",
     "schema (SQLite: attached database) that gets the tables", "main"},
    {"profile", Type::kText, "corrected", "corrected, or guide (the guide's own five tables)"},
    {"stamp_alembic", Type::kBool, "false",
     "also write the head of the engine's migrations into alembic_version"},
};

constexpr Column kInstallColumns[] = {
    {"object_type", Type::kText, "table, index, revision, extension"},
    {"object_name", Type::kText, "its name"},
    {"action", Type::kText, "created, exists, kept, replaced by …, dropped: …, opt-in, …"},
};

constexpr Parameter kStatsParameters[] = {
    {"since", Type::kTimestamp, "now - 24 h", "start of the window: executions by started_at"},
    {"until", Type::kTimestamp, "now", "end of the window, itself outside"},
    {"group_by", Type::kText, "workflow", "workflow, status, trigger_type, hour, day, all"},
    {"executions", Type::kRegclass, "NULL",
     "the table; NULL: workflow_executions of search_path (SQLite: main, temp, attached)"},
};

constexpr Column kStatsColumns[] = {
    {"group_key", Type::kText,
     "workflow id, status or trigger type; start of the hour or day in UTC; all"},
    {"total", Type::kBigint, "executions that started in the window, whatever their status"},
    {"pending", Type::kBigint, "of these, in status pending now"},
    {"running", Type::kBigint, "in status running now"},
    {"completed", Type::kBigint, "in status completed"},
    {"failed", Type::kBigint, "in status failed"},
    {"timeout", Type::kBigint, "in status timeout"},
    {"cancelled", Type::kBigint, "in status cancelled"},
    {"success_ratio", Type::kFloat8,
     "completed / (completed + failed + timeout + cancelled); NULL: none finished"},
    {"avg_ms", Type::kFloat8,
     "mean duration of completed executions (grouped by status: of those of the status)"},
    {"p50_ms", Type::kFloat8, "median of these durations, within 1.6 %"},
    {"p95_ms", Type::kFloat8, "their 95th percentile"},
    {"p99_ms", Type::kFloat8, "their 99th percentile"},
    {"max_ms", Type::kFloat8, "upper bound of the longest one's bucket, at most 1.6 % above it"},
    {"retries", Type::kBigint, "sum of retry_count"},
    {"per_hour", Type::kFloat8, "total / hours from covered_from_at to covered_until_at"},
    {"last_started_at", Type::kTimestamp, "latest started_at"},
    {"last_failed_at", Type::kTimestamp,
     "latest end of a failed execution, or its start where it has no end"},
    {"covered_from_at", Type::kTimestamp, "start of what is counted: of the window or the bucket"},
    {"covered_until_at", Type::kTimestamp, "end of what is counted"},
};

constexpr Column kActiveColumns[] = {
    {"workflow_id", Type::kText, "id of a workflow in status active; newest first"},
    {"name", Type::kText, "its name"},
    {"status", Type::kText, "active"},
    {"created_at", Type::kTimestamp, "when it was made"},
    {"executions_24h", Type::kBigint, "executions that started in the last 24 hours"},
    {"failed_24h", Type::kBigint, "of these, in status failed"},
    {"last_started_at", Type::kTimestamp, "latest started_at of all of its executions"},
};

constexpr Parameter kRecentParameters[] = {
    {"of_workflow", Type::kText, "NULL", "id or name of a workflow; NULL: all"},
    {"with_status", Type::kText, "NULL", "a status; NULL: all"},
    {"page_size", Type::kInt, "50", "rows at most, 1 to 1000"},
    {"before_started_at", Type::kTimestamp, "NULL",
     "next page: started_at of the last row of the page before"},
    {"before_id", Type::kText, "NULL",
     "next page: its id; without it rows of the same started_at are left out"},
};

constexpr Column kRecentColumns[] = {
    {"id", Type::kText, "id of the execution; latest started_at first, then by id"},
    {"workflow_id", Type::kText, "id of its workflow"},
    {"execution_id", Type::kText, "the application's own id of it"},
    {"status", Type::kText, "its status"},
    {"started_at", Type::kTimestamp, "when it started"},
    {"completed_at", Type::kTimestamp, "when it ended, however it did; NULL: not yet"},
    {"duration_ms", Type::kFloat8, "completed_at - started_at"},
    {"retry_count", Type::kBigint, "its retries"},
    {"trigger_type", Type::kText, "what triggered it"},
    {"error_message", Type::kText, "why it failed"},
    {"log_count", Type::kBigint, "lines of its log; NULL: there is no table execution_logs"},
    {"error_log_count", Type::kBigint, "of these, of level ERROR or CRITICAL"},
};

constexpr Parameter kDetailParameters[] = {
    {"of_execution", Type::kText, nullptr, "id or execution_id"},
};

constexpr Column kDetailColumns[] = {
    {"id", Type::kText, "id of the execution"},
    {"workflow_name", Type::kText, "name of its workflow"},
    {"status", Type::kText, "its status"},
    {"started_at", Type::kTimestamp, "when it started"},
    {"completed_at", Type::kTimestamp, "when it ended; NULL: not yet"},
    {"duration_ms", Type::kFloat8, "completed_at - started_at"},
    {"retry_count", Type::kBigint, "its retries"},
    {"error_message", Type::kText, "why it failed"},
    {"logs", Type::kJson,
     "array of {created_at, level, message, step_name, metadata}, in time order"},
};

constexpr Column kStuckColumns[] = {
    {"id", Type::kText, "id of an execution that is pending or running for too long"},
    {"workflow_name", Type::kText, "name of its workflow"},
    {"status", Type::kText, "pending or running"},
    {"started_at", Type::kTimestamp, "when it started"},
    {"running_ms", Type::kFloat8, "time since then"},
    {"expected_p99_ms", Type::kFloat8,
     "p99 of the workflow's completed executions of 30 days; NULL: fewer than 20 of them"},
    {"reason", Type::kText,
     "above twice that p99 and a minute; without an expectation: above an hour"},
};

constexpr Parameter kIntegrationParameters[] = {
    {"since", Type::kTimestamp, "now - 24 h", "start of the window: events by created_at"},
    {"until", Type::kTimestamp, "now", "end of the window, itself outside"},
};

constexpr Column kIntegrationColumns[] = {
    {"integration", Type::kText, "name of the integration"},
    {"event_type", Type::kText, "type of the events"},
    {"total", Type::kBigint, "events that were created in the window"},
    {"pending", Type::kBigint, "of these, in status pending"},
    {"failed", Type::kBigint, "in status failed"},
    {"p50_ms", Type::kFloat8,
     "median of processed_at - created_at of completed events, within 1.6 %"},
    {"p95_ms", Type::kFloat8, "their 95th percentile"},
    {"p99_ms", Type::kFloat8, "their 99th percentile"},
    {"oldest_pending_ms", Type::kFloat8, "age of the oldest pending one; NULL: none is pending"},
};

constexpr Parameter kPercentileSketchParameters[] = {
    {"value", Type::kFloat8, nullptr,
     "a number from 0 to 144115188075855, in any unit; NULL is left out"},
};

constexpr Parameter kMergeSketchesParameters[] = {
    {"sketch", Type::kSketch, nullptr, "a sketch; NULL is left out"},
};

constexpr Parameter kQuantileParameters[] = {
    {"sketch", Type::kSketch, nullptr, "a sketch"},
    {"q", Type::kFloat8, nullptr, "0 to 1: 0.5 is the median"},
};

constexpr Parameter kCountParameters[] = {
    {"sketch", Type::kSketch, nullptr, "a sketch"},
};

constexpr TableFunction Reader(std::string_view name, CallKind kind, std::string_view doc,
                               std::span<const Parameter> parameters,
                               std::span<const Column> columns) {
    return {.name = name,
            .topic = "workflow",
            .kind = kind,
            .hosts = Hosts::kBoth,
            .effect = Effect::kReads,
            .doc = doc,
            .since = "0.1.0",
            .parameters = parameters,
            .columns = columns};
}

constexpr TableFunction OfSketch(std::string_view name, CallKind kind, std::string_view doc,
                                 std::span<const Parameter> parameters, Type returns) {
    return {.name = name,
            .topic = "workflow",
            .kind = kind,
            .hosts = Hosts::kBoth,
            .effect = Effect::kPure,
            .doc = doc,
            .since = "0.1.0",
            .parameters = parameters,
            .columns = {},
            .returns = returns};
}

constexpr TableFunction kCalls[] = {
    {.name = "install_workflow_schema",
     .topic = "workflow",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kActs,
     .doc = "creates the workflow tables and indexes as ordinary objects; twice changes nothing",
     .since = "0.1.0",
     .parameters = kInstallParameters,
     .columns = kInstallColumns},
    Reader("workflow_stats", CallKind::kFunction,
           "how the executions of a window went: counts, success, percentiles of their durations",
           kStatsParameters, kStatsColumns),
    Reader("active_workflows", CallKind::kView,
           "the active workflows and what they did in the last 24 hours", {}, kActiveColumns),
    Reader("recent_executions", CallKind::kFunction,
           "executions page by page, the latest first, with the size of their logs",
           kRecentParameters, kRecentColumns),
    Reader("execution_detail", CallKind::kFunction, "one execution with its whole log",
           kDetailParameters, kDetailColumns),
    Reader("stuck_executions", CallKind::kView,
           "pending and running executions that take longer than expected", {}, kStuckColumns),
    Reader("integration_stats", CallKind::kFunction,
           "how the events of the integrations were processed in a window", kIntegrationParameters,
           kIntegrationColumns),
    OfSketch("percentile_sketch", CallKind::kAggregate,
             "the numbers as a mergeable sketch, from which any percentile can be read later; "
             "NULL if there is none",
             kPercentileSketchParameters, Type::kSketch),
    OfSketch("merge_sketches", CallKind::kAggregate,
             "one sketch of all the numbers that the sketches hold, exactly; NULL if there is none",
             kMergeSketchesParameters, Type::kSketch),
    OfSketch("sketch_quantile", CallKind::kScalar,
             "the q-quantile of the numbers in a sketch, within 1.6 %, interpolated like "
             "percentile_cont; NULL if it holds none",
             kQuantileParameters, Type::kFloat8),
    OfSketch("sketch_count", CallKind::kScalar, "how many numbers a sketch holds", kCountParameters,
             Type::kBigint),
};

}  // namespace

std::span<const TableFunction> WorkflowCalls() {
    return kCalls;
}

}  // namespace upkeep
