// Workflow statistics from the raw rows, with the caller's rights. PostgreSQL adds up rows by group
// and status (in parallel where it pays); what the groups mean is the core's.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "query.h"
#include "upkeep/base/time.h"
#include "upkeep/workflow/executions.h"
#include "upkeep/workflow/stats.h"
#include "workflow_tables.h"

namespace {

using upkeep::Value;
using upkeep::pg::ReadRows;
using upkeep::pg::Rows;
using upkeep::pg::Same;
using upkeep::pg::WorkflowTable;
using upkeep::workflow::GroupBy;
using upkeep::workflow::Sketch;

constexpr const char* kExecutions = "workflow_executions";

/// `end` where it is a time at all; else NULL.
std::string Finite(const std::string& end) {
    return "CASE WHEN pg_catalog.isfinite(" + end + ") THEN " + end + " END";
}

/// The sketch of `end - start`, as bytea. A clock that went backwards counts as 0.
std::string SketchOf(const std::string& start, const std::string& end) {
    return "upkeep.percentile_sketch(CASE WHEN pg_catalog.isfinite(" + end +
           ") THEN GREATEST(pg_catalog.date_part('epoch', " + end + " OPERATOR(pg_catalog.-) " +
           start + "), 0) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8 END)::pg_catalog.bytea";
}

Sketch SketchCell(const Rows& rows, int row, int column) {
    return rows.IsNull(row, column) ? Sketch() : Sketch::Decode(rows.Text(row, column)).OrThrow();
}

/// What to group by, beside the status, and what to show of it: SQL texts.
struct Key {
    std::string group;  // with a comma behind it, or empty
    std::string shown;
};

/// UTC knows no summer time: hours and days are plain steps from any midnight.
std::string Bucket(const char* step, const std::string& time) {
    return std::string("pg_catalog.date_bin('") + step + "'::pg_catalog.interval, " + time +
           ", '2000-01-01 00:00:00+00'::pg_catalog.timestamptz), ";
}

Key KeyOf(const WorkflowTable& table, GroupBy group_by, const std::string& started) {
    const std::string none = "NULL::pg_catalog.text";
    switch (group_by) {
        case GroupBy::kWorkflow:
            return {table.Column("e", "workflow_id").sql + ", ", table.Text("e", "workflow_id")};
        case GroupBy::kTriggerType:
            return {table.Column("e", "trigger_type").sql + ", ", table.Text("e", "trigger_type")};
        case GroupBy::kHour:
            return {Bucket("1 hour", started), none};
        case GroupBy::kDay:
            return {Bucket("1 day", started), none};
        case GroupBy::kStatus:
        case GroupBy::kAll:
            break;
    }
    return {"", none};
}

std::string StatsQuery(const WorkflowTable& table, GroupBy group_by) {
    const std::string started = table.Time("e", "started_at");
    const std::string completed = table.Time("e", "completed_at");
    const Key key = KeyOf(table, group_by, started);
    return "SELECT " + key.shown + ", " + table.Text("e", "status") +
           ", pg_catalog.count(*), pg_catalog.sum(" + table.Count("e", "retry_count") +
           ")::pg_catalog.int8, pg_catalog.max(" + started + "), pg_catalog.max(COALESCE(" +
           Finite(completed) + ", " + started + ")), " + SketchOf(started, completed) + " FROM " +
           table.name() + " AS e WHERE " + table.TimeCompared("e", "started_at", ">=", "$1") +
           " AND " + table.TimeCompared("e", "started_at", "<", "$2") + " GROUP BY " + key.group +
           table.Column("e", "status").sql;
}

WorkflowTable ExecutionsArgument(const upkeep::Arguments& arguments) {
    return arguments.IsNull("executions") ? WorkflowTable::Get(kExecutions)
                                          : WorkflowTable::OfRegclass(arguments.Text("executions"));
}

std::optional<std::string> Owned(std::optional<std::string_view> text) {
    return text ? std::optional<std::string>(*text) : std::nullopt;
}

/// Milliseconds from one time to the other, exact to the microsecond, as SQL.
std::string MillisecondsBetween(const std::string& start, const std::string& end) {
    return "CASE WHEN pg_catalog.isfinite(" + end + ") AND pg_catalog.isfinite(" + start +
           ") THEN (pg_catalog.extract('epoch', " + end + " OPERATOR(pg_catalog.-) " + start +
           ") OPERATOR(pg_catalog.*) 1000)::pg_catalog.float8 END";
}

}  // namespace

UPKEEP_ROWS(workflow_stats) {
    const auto request = upkeep::workflow::ParseStatsRequest(arguments).OrThrow();
    const WorkflowTable table = ExecutionsArgument(arguments);
    table.Require({"status", "started_at"});
    if (request.group_by == GroupBy::kWorkflow) {
        table.Require({"workflow_id"});
    } else if (request.group_by == GroupBy::kTriggerType) {
        table.Require({"trigger_type"});
    }
    const Rows read =
        ReadRows(StatsQuery(table, request.group_by), {request.window.since, request.window.until});
    upkeep::workflow::StatsBuilder builder(request);
    for (int i = 0; i < read.size(); ++i) {
        builder.AddPart({.key = read.TextOrNone(i, 0),
                         .status = read.TextOrNone(i, 1),
                         .total = static_cast<uint64_t>(read.Integer(i, 2)),
                         .retries = read.Integer(i, 3),
                         .last_started_at = upkeep::Timestamp{read.Integer(i, 4)},
                         .last_completed_at = read.TimeOrNone(i, 5),
                         .durations = SketchCell(read, i, 6)});
    }
    builder.Finish(rows);
}

UPKEEP_ROWS(active_workflows) {
    const WorkflowTable workflows = WorkflowTable::Get("workflows");
    const WorkflowTable executions = WorkflowTable::Get(kExecutions);
    workflows.Require({"id", "name", "status", "created_at"});
    executions.Require({"workflow_id", "status", "started_at"});
    const std::string in_window = executions.TimeCompared("e", "started_at", ">=", "$1") + " AND " +
                                  executions.TimeCompared("e", "started_at", "<", "$2");
    const upkeep::Timestamp now = upkeep::pg::StatementTime();
    const Rows read = ReadRows(
        "SELECT " + workflows.Text("w", "id") + ", " + workflows.Text("w", "name") + ", " +
            workflows.Text("w", "status") + ", " + workflows.Time("w", "created_at") +
            ", COALESCE(s.recent, 0), COALESCE(s.failed, 0), s.last_started FROM " +
            workflows.name() + " AS w LEFT JOIN (SELECT " +
            executions.Column("e", "workflow_id").sql + ", pg_catalog.count(*) FILTER (WHERE " +
            in_window + ") AS recent, pg_catalog.count(*) FILTER (WHERE " + in_window + " AND " +
            executions.Equals("e", "status", "failed") + ") AS failed, pg_catalog.max(" +
            executions.Time("e", "started_at") + ") AS last_started FROM " + executions.name() +
            " AS e GROUP BY e.workflow_id) AS s ON " +
            Same(executions.Column("s", "workflow_id"), workflows.Column("w", "id")) + " WHERE " +
            workflows.Equals("w", "status", "active") + " ORDER BY w.created_at DESC, w.id DESC",
        {upkeep::Timestamp{now.unix_us - upkeep::kMicrosPerDay}, now});
    for (int i = 0; i < read.size(); ++i) {
        rows.Add({read.TextValue(i, 0), read.TextValue(i, 1), read.TextValue(i, 2),
                  read.TimeValue(i, 3), read.IntegerValue(i, 4), read.IntegerValue(i, 5),
                  read.TimeValue(i, 6)});
    }
}

namespace {

/// The id of the workflow that is named, as text. Throws Error where there is none.
std::string WorkflowId(const std::string& id_or_name) {
    const std::optional<WorkflowTable> workflows = WorkflowTable::Find("workflows");
    if (!workflows || !workflows->Has("id") || !workflows->Has("name")) {
        return id_or_name;
    }
    const std::string by_id = workflows->CanHold("id", id_or_name)
                                  ? workflows->Equals("w", "id", id_or_name)
                                  : std::string("false");
    const Rows read =
        ReadRows("SELECT " + workflows->Text("w", "id") + " FROM " + workflows->name() +
                 " AS w WHERE " + by_id + " OR " + workflows->Equals("w", "name", id_or_name) +
                 " ORDER BY (" + by_id + ") IS TRUE DESC LIMIT 1");
    if (read.size() == 0) {
        throw upkeep::Error(upkeep::Code::kNotFound,
                            "no workflow has the id or name \"" + id_or_name + "\"",
                            "SELECT id, name FROM " + workflows->name());
    }
    return std::string(read.Text(0, 0));
}

std::string RecentCondition(const WorkflowTable& table,
                            const upkeep::workflow::RecentRequest& request) {
    std::string where = "e.started_at IS NOT NULL";
    if (request.of_workflow) {
        const std::string id = WorkflowId(*request.of_workflow);
        where += " AND " + (table.CanHold("workflow_id", id) ? table.Equals("e", "workflow_id", id)
                                                             : std::string("false"));
    }
    if (request.with_status) {
        where += " AND " + table.Equals("e", "status", *request.with_status);
    }
    if (request.before_id) {
        if (!table.CanHold("id", *request.before_id)) {
            throw upkeep::Error(
                upkeep::Code::kInvalidArgument,
                "before_id cannot be an id of " + table.name() + ": " + *request.before_id,
                "give the id of the last row of the page before");
        }
        const char* zone =
            table.TypeOf("started_at") == TIMESTAMPOID ? "pg_catalog.timezone('UTC', $1)" : "$1";
        where += std::string(" AND (e.started_at, e.id) OPERATOR(pg_catalog.<) (") + zone + ", " +
                 upkeep::pg::Literal(*request.before_id) + ")";
    } else if (request.before_started_at) {
        where += " AND " + table.TimeCompared("e", "started_at", "<", "$1");
    }
    return where;
}

/// Counts of log lines of the execution `p.id`: a join and its two columns, or NULLs.
struct LogCounts {
    std::string columns = "NULL::pg_catalog.int8, NULL::pg_catalog.int8";
    std::string join;
};

LogCounts CountLogs(const WorkflowTable& executions) {
    const std::optional<WorkflowTable> logs = WorkflowTable::Find("execution_logs");
    if (!logs || !logs->Has("execution_id") || !logs->Has("level")) {
        return {};
    }
    return {"l.lines, l.errors",
            " LEFT JOIN LATERAL (SELECT pg_catalog.count(*) AS lines, pg_catalog.count(*) FILTER "
            "(WHERE " +
                logs->Equals("g", "level", "ERROR") + " OR " +
                logs->Equals("g", "level", "CRITICAL") + ") AS errors FROM " + logs->name() +
                " AS g WHERE " +
                Same(logs->Column("g", "execution_id"), executions.Column("p", "id")) +
                ") AS l ON true"};
}

}  // namespace

UPKEEP_ROWS(recent_executions) {
    const auto request = upkeep::workflow::ParseRecentRequest(arguments).OrThrow();
    const WorkflowTable table = WorkflowTable::Get(kExecutions);
    table.Require({"id", "workflow_id", "status", "started_at"});
    const LogCounts logs = CountLogs(table);
    const std::string started = table.Time("p", "started_at");
    const std::string completed = table.Time("p", "completed_at");
    const Rows read = ReadRows(
        "SELECT " + table.Text("p", "id") + ", " + table.Text("p", "workflow_id") + ", " +
            table.Text("p", "execution_id") + ", " + table.Text("p", "status") + ", " + started +
            ", " + completed + ", " + MillisecondsBetween(started, completed) + ", " +
            table.Count("p", "retry_count") + ", " + table.Text("p", "trigger_type") + ", " +
            table.Text("p", "error_message") + ", " + logs.columns + " FROM (SELECT * FROM " +
            table.name() + " AS e WHERE " + RecentCondition(table, request) +
            " ORDER BY e.started_at DESC, e.id DESC LIMIT " + std::to_string(request.page_size) +
            ") AS p" + logs.join + " ORDER BY p.started_at DESC, p.id DESC",
        request.before_started_at ? std::vector<upkeep::Timestamp>{*request.before_started_at}
                                  : std::vector<upkeep::Timestamp>{});
    for (int i = 0; i < read.size(); ++i) {
        rows.Add({read.TextValue(i, 0), read.TextValue(i, 1), read.TextValue(i, 2),
                  read.TextValue(i, 3), read.TimeValue(i, 4), read.TimeValue(i, 5),
                  read.FloatValue(i, 6), read.IntegerValue(i, 7), read.TextValue(i, 8),
                  read.TextValue(i, 9), read.IntegerValue(i, 10), read.IntegerValue(i, 11)});
    }
}

namespace {

/// The name of the execution's workflow as a scalar subquery, or NULL.
std::string WorkflowNameOf(const WorkflowTable& executions, std::string_view alias) {
    const std::optional<WorkflowTable> workflows = WorkflowTable::Find("workflows");
    if (!workflows || !workflows->Has("id") || !workflows->Has("name") ||
        !executions.Has("workflow_id")) {
        return "NULL::pg_catalog.text";
    }
    return "(SELECT " + workflows->Text("w", "name") + " FROM " + workflows->name() +
           " AS w WHERE " +
           Same(workflows->Column("w", "id"), executions.Column(alias, "workflow_id")) +
           " LIMIT 1)";
}

/// Rows of one execution (0 or 1) by one of its two ids.
Rows ReadExecution(const WorkflowTable& table, const char* column, const std::string& value) {
    const std::string started = table.Time("e", "started_at");
    const std::string completed = table.Time("e", "completed_at");
    const std::string where = table.Has(column) && table.CanHold(column, value)
                                  ? table.Equals("e", column, value)
                                  : "false";
    return ReadRows("SELECT " + table.Text("e", "id") + ", " + WorkflowNameOf(table, "e") + ", " +
                    table.Text("e", "status") + ", " + started + ", " + completed + ", " +
                    MillisecondsBetween(started, completed) + ", " +
                    table.Count("e", "retry_count") + ", " + table.Text("e", "error_message") +
                    " FROM " + table.name() + " AS e WHERE " + where + " LIMIT 1");
}

bool IsJson(Oid type) {
    return type == JSONOID || type == JSONBOID;
}

/// The log of the execution with this id, as json; NULL where there is no table of logs.
Value LogsOf(const std::string& id) {
    const std::optional<WorkflowTable> logs = WorkflowTable::Find("execution_logs");
    if (!logs || !logs->Has("execution_id")) {
        return {};
    }
    const char* time = logs->FirstOf({"created_at", "timestamp"});
    const char* metadata = logs->Has("log_metadata") ? "log_metadata" : "metadata";
    const std::string order = logs->Has("id") ? ", " + logs->Column("g", "id").sql : "";
    const Rows read = ReadRows(
        "SELECT " + logs->Time("g", time) + ", " + logs->Text("g", "level") + ", " +
        logs->Text("g", "message") + ", " + logs->Text("g", "step_name") + ", " +
        logs->Text("g", metadata) + " FROM " + logs->name() + " AS g WHERE " +
        logs->Equals("g", "execution_id", id) + " ORDER BY " + logs->Column("g", time).sql + order);
    std::vector<upkeep::workflow::LogLine> lines;
    for (int i = 0; i < read.size(); ++i) {
        lines.push_back({.created_at = read.TimeOrNone(i, 0),
                         .level = Owned(read.TextOrNone(i, 1)),
                         .message = Owned(read.TextOrNone(i, 2)),
                         .step_name = Owned(read.TextOrNone(i, 3)),
                         .metadata = Owned(read.TextOrNone(i, 4)),
                         .metadata_is_text = !IsJson(logs->TypeOf(metadata))});
    }
    return upkeep::workflow::LogsJson(lines);
}

}  // namespace

UPKEEP_ROWS(execution_detail) {
    const std::string& wanted = arguments.Text("of_execution");
    const WorkflowTable table = WorkflowTable::Get(kExecutions);
    table.Require({"id", "status", "started_at"});
    Rows read = ReadExecution(table, "id", wanted);
    if (read.size() == 0) {
        read = ReadExecution(table, "execution_id", wanted);
    }
    if (read.size() == 0) {
        throw upkeep::Error(upkeep::Code::kNotFound,
                            "no execution has the id or execution_id \"" + wanted + "\"",
                            "SELECT id, execution_id FROM upkeep.recent_executions()");
    }
    rows.Add({read.TextValue(0, 0), read.TextValue(0, 1), read.TextValue(0, 2),
              read.TimeValue(0, 3), read.TimeValue(0, 4), read.FloatValue(0, 5),
              read.IntegerValue(0, 6), read.TextValue(0, 7), LogsOf(std::string(read.Text(0, 0)))});
}

UPKEEP_ROWS(stuck_executions) {
    const WorkflowTable table = WorkflowTable::Get(kExecutions);
    table.Require({"id", "workflow_id", "status", "started_at"});
    const std::string started = table.Time("e", "started_at");
    const std::string is_live = "(" + table.Equals("e", "status", "pending") + " OR " +
                                table.Equals("e", "status", "running") +
                                ") AND pg_catalog.isfinite(e.started_at)";
    const Rows read =
        ReadRows("SELECT " + table.Text("e", "id") + ", " + table.Text("e", "workflow_id") + ", " +
                 WorkflowNameOf(table, "e") + ", " + table.Text("e", "status") + ", " + started +
                 " FROM " + table.name() + " AS e WHERE " + is_live);
    std::vector<upkeep::workflow::LiveExecution> live;
    for (int i = 0; i < read.size(); ++i) {
        live.push_back({.id = std::string(read.Text(i, 0)),
                        .workflow_id = std::string(read.Text(i, 1)),
                        .workflow_name = Owned(read.TextOrNone(i, 2)),
                        .status = std::string(read.Text(i, 3)),
                        .started_at = upkeep::Timestamp{read.Integer(i, 4)}});
    }
    const upkeep::Timestamp now = upkeep::pg::StatementTime();
    const upkeep::Timestamp from = {now.unix_us -
                                    upkeep::workflow::kHistoryDays * upkeep::kMicrosPerDay};
    std::vector<upkeep::workflow::WorkflowHistory> histories;
    if (!live.empty()) {
        const Rows done = ReadRows(
            "SELECT " + table.Text("e", "workflow_id") + ", " +
                SketchOf(started, table.Time("e", "completed_at")) + " FROM " + table.name() +
                " AS e WHERE " + table.Equals("e", "status", "completed") + " AND " +
                table.TimeCompared("e", "started_at", ">=", "$1") +
                " AND pg_catalog.isfinite(e.started_at) AND e.workflow_id OPERATOR(pg_catalog.=) "
                "ANY (SELECT e.workflow_id FROM " +
                table.name() + " AS e WHERE " + is_live + ") GROUP BY e.workflow_id",
            {from});
        for (int i = 0; i < done.size(); ++i) {
            histories.push_back({std::string(done.Text(i, 0)), SketchCell(done, i, 1)});
        }
    }
    upkeep::workflow::StuckExecutions(live, histories, now, rows);
}

UPKEEP_ROWS(integration_stats) {
    const auto window = upkeep::workflow::ParseWindow(arguments).OrThrow();
    const WorkflowTable events = WorkflowTable::Get("integration_events");
    events.Require({"integration_id", "event_type", "status"});
    const char* time = events.FirstOf({"created_at", "timestamp"});
    const std::string created = events.Time("e", time);
    const std::optional<WorkflowTable> integrations = WorkflowTable::Find("integrations");
    const bool named = integrations && integrations->Has("id") && integrations->Has("name");
    const std::string id = events.Text("e", "integration_id");
    const Rows read = ReadRows(
        "SELECT " + (named ? "COALESCE(" + integrations->Text("i", "name") + ", " + id + ")" : id) +
            ", " + events.Text("e", "event_type") + ", " + events.Text("e", "status") +
            ", pg_catalog.count(*), pg_catalog.min(" + created + "), " +
            SketchOf(created, events.Time("e", "processed_at")) + " FROM " + events.name() +
            " AS e" +
            (named ? " LEFT JOIN " + integrations->name() + " AS i ON " +
                         Same(integrations->Column("i", "id"), events.Column("e", "integration_id"))
                   : "") +
            " WHERE " + events.TimeCompared("e", time, ">=", "$1") + " AND " +
            events.TimeCompared("e", time, "<", "$2") + " GROUP BY 1, 2, 3",
        {window.since, window.until});
    upkeep::workflow::IntegrationStatsBuilder builder;
    for (int i = 0; i < read.size(); ++i) {
        builder.AddPart({.integration = Owned(read.TextOrNone(i, 0)),
                         .event_type = Owned(read.TextOrNone(i, 1)),
                         .status = Owned(read.TextOrNone(i, 2)),
                         .total = static_cast<uint64_t>(read.Integer(i, 3)),
                         .first_created_at = upkeep::Timestamp{read.Integer(i, 4)},
                         .durations = SketchCell(read, i, 5)});
    }
    builder.Finish(upkeep::pg::StatementTime(), rows);
}
