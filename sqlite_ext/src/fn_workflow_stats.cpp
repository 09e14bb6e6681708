// Workflow statistics from the raw rows: one pass over the window, every row handed to the core.
// SPDX-License-Identifier: PostgreSQL
#include "fn_workflow_stats.h"

#include <algorithm>
#include <unordered_map>

#include "stmt.h"
#include "upkeep/base/time.h"
#include "upkeep/workflow/stats.h"
#include "workflow_tables.h"

namespace upkeep::sqlite {

namespace {

using workflow::GroupBy;

std::string KeyColumn(const WorkflowTable& table, GroupBy group_by) {
    switch (group_by) {
        case GroupBy::kWorkflow:
            table.Require({"workflow_id"});
            return table.Column("workflow_id");
        case GroupBy::kTriggerType:
            table.Require({"trigger_type"});
            return table.Column("trigger_type");
        default:
            return "NULL";
    }
}

Result<void> WorkflowStatsCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const Result<workflow::StatsRequest> request = workflow::ParseStatsRequest(arguments);
    if (!request.ok()) {
        return request.error();
    }
    const WorkflowTable table = arguments.IsNull("executions")
                                    ? WorkflowTable::Get(db, "workflow_executions")
                                    : WorkflowTable::OfArgument(db, arguments.Text("executions"));
    table.Require({"status", "started_at"});
    table.RequireTextTimes(db, "started_at");
    Stmt read(db, "SELECT " + KeyColumn(table, request.value().group_by) +
                      ", status, started_at, " + table.Column("completed_at") + ", " +
                      table.Column("retry_count") + " FROM " + table.Name() +
                      " WHERE started_at >= ?1 AND started_at < ?2");
    read.Bind(1, TextNotBefore(request.value().window.since))
        .Bind(2, TextBefore(request.value().window.until));
    workflow::StatsBuilder builder(request.value());
    while (read.Step()) {
        builder.Add({.key = TextOrNone(read, 0),
                     .status = TextOrNone(read, 1),
                     .started_at = *table.Time(read, 2, "started_at"),
                     .completed_at = table.Time(read, 3, "completed_at"),
                     .retries = read.Integer(4)});
    }
    builder.Finish(rows);
    return {};
}

struct ActiveWorkflow {
    std::string id;
    Value name;
    std::optional<Timestamp> created_at;
    int64_t recent = 0;
    int64_t failed = 0;
    std::optional<Timestamp> last_started_at;
};

/// Adds one pass over all executions to the workflows that have some.
void CountExecutions(sqlite3* db, std::unordered_map<std::string, ActiveWorkflow*> by_id) {
    const WorkflowTable table = WorkflowTable::Get(db, "workflow_executions");
    table.Require({"workflow_id", "status", "started_at"});
    const int64_t until = Now().unix_us;
    const int64_t since = until - kMicrosPerDay;
    Stmt read(db, "SELECT workflow_id, status, started_at FROM " + table.Name() +
                      " WHERE started_at IS NOT NULL");
    std::string id;
    while (read.Step()) {
        id.assign(read.Text(0));
        const auto found = by_id.find(id);
        if (found == by_id.end()) {
            continue;
        }
        ActiveWorkflow& active = *found->second;
        const Timestamp started = *table.Time(read, 2, "started_at");
        if (!active.last_started_at || active.last_started_at->unix_us < started.unix_us) {
            active.last_started_at = started;
        }
        if (started.unix_us >= since && started.unix_us < until) {
            ++active.recent;
            active.failed += read.Text(1) == "failed" ? 1 : 0;
        }
    }
}

Result<void> ActiveWorkflowsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const WorkflowTable table = WorkflowTable::Get(db, "workflows");
    table.Require({"id", "name", "status", "created_at"});
    std::vector<ActiveWorkflow> active;
    Stmt read(db, "SELECT id, name, created_at FROM " + table.Name() + " WHERE status = 'active'");
    while (read.Step()) {
        ActiveWorkflow one;
        one.id = read.Text(0);
        one.name = std::string(read.Text(1));
        one.created_at = table.Time(read, 2, "created_at");
        active.push_back(std::move(one));
    }
    std::sort(active.begin(), active.end(), [](const ActiveWorkflow& a, const ActiveWorkflow& b) {
        const int64_t a_us = a.created_at.value_or(kTimeBefore).unix_us;
        const int64_t b_us = b.created_at.value_or(kTimeBefore).unix_us;
        return a_us != b_us ? a_us > b_us : a.id > b.id;
    });
    std::unordered_map<std::string, ActiveWorkflow*> by_id;
    for (ActiveWorkflow& one : active) {
        by_id.emplace(one.id, &one);
    }
    CountExecutions(db, std::move(by_id));
    for (const ActiveWorkflow& one : active) {
        rows.Add({one.id, one.name, std::string("active"), TimeOrNull(one.created_at), one.recent,
                  one.failed, TimeOrNull(one.last_started_at)});
    }
    return {};
}

/// The events of a window, added up by integration, type and status.
class EventSums {
  public:
    void Add(const Stmt& row, Timestamp created_at, std::optional<Timestamp> processed_at) {
        key_.clear();
        for (int position = 0; position < 3; ++position) {
            key_ += row.IsNull(position) ? '\0' : '\1';
            key_ += row.Text(position);
            key_ += '\0';
        }
        workflow::EventPart& part = parts_[key_];
        if (part.total++ == 0) {
            part.integration = OwnedText(row, 0);
            part.event_type = OwnedText(row, 1);
            part.status = OwnedText(row, 2);
            part.first_created_at = created_at;
        }
        part.first_created_at.unix_us = std::min(part.first_created_at.unix_us, created_at.unix_us);
        if (processed_at) {
            part.durations.Add(workflow::DurationOf(created_at, *processed_at));
        }
    }

    void Finish(const std::unordered_map<std::string, std::string>& names, RowSink& rows) {
        workflow::IntegrationStatsBuilder builder;
        for (auto& [key, part] : parts_) {
            const auto named = part.integration ? names.find(*part.integration) : names.end();
            if (named != names.end()) {
                part.integration = named->second;
            }
            builder.AddPart(part);
        }
        builder.Finish(Now(), rows);
    }

  private:
    std::unordered_map<std::string, workflow::EventPart> parts_;
    std::string key_;
};

Result<void> IntegrationStatsCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const Result<workflow::Window> window = workflow::ParseWindow(arguments);
    if (!window.ok()) {
        return window.error();
    }
    const WorkflowTable table = WorkflowTable::Get(db, "integration_events");
    table.Require({"integration_id", "event_type", "status"});
    const std::string time = table.FirstOf({"created_at", "timestamp"});
    table.RequireTextTimes(db, time);
    Stmt read(db, "SELECT integration_id, event_type, status, " + table.Column(time) + ", " +
                      table.Column("processed_at") + " FROM " + table.Name() + " WHERE " +
                      table.Column(time) + " >= ?1 AND " + table.Column(time) + " < ?2");
    const auto [since, until] = window.value();
    read.Bind(1, TextNotBefore(since)).Bind(2, TextBefore(until));
    EventSums sums;
    while (read.Step()) {
        const Timestamp created = *table.Time(read, 3, time);
        if (created.unix_us >= since.unix_us && created.unix_us < until.unix_us) {
            sums.Add(read, created, table.Time(read, 4, "processed_at"));
        }
    }
    sums.Finish(NamesById(db, "integrations"), rows);
    return {};
}

constexpr Body kBodies[] = {
    {.call = "workflow_stats", .rows = WorkflowStatsCall},
    {.call = "active_workflows", .rows = ActiveWorkflowsCall},
    {.call = "recent_executions", .rows = RecentExecutionsCall},
    {.call = "execution_detail", .rows = ExecutionDetailCall},
    {.call = "stuck_executions", .rows = StuckExecutionsCall},
    {.call = "integration_stats", .rows = IntegrationStatsCall},
    {.call = "percentile_sketch", .aggregate = MakePercentileSketch},
    {.call = "merge_sketches", .aggregate = MakeMergeSketches},
    {.call = "sketch_quantile", .value = SketchQuantileCall},
    {.call = "sketch_count", .value = SketchCountCall},
};

}  // namespace

std::span<const Body> WorkflowStatsBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
