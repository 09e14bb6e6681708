// Single executions: pages of recent ones, one with its log, those that are stuck.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <map>
#include <set>

#include "fn_workflow_stats.h"
#include "stmt.h"
#include "upkeep/base/time.h"
#include "upkeep/workflow/executions.h"
#include "upkeep/workflow/stats.h"
#include "workflow_tables.h"

namespace upkeep::sqlite {

namespace {

constexpr const char* kExecutions = "workflow_executions";

Value TextOrNull(const Stmt& row, int position) {
    if (row.IsNull(position)) {
        return {};
    }
    return std::string(row.Text(position));
}

Value Milliseconds(Timestamp started, const std::optional<Timestamp>& completed) {
    if (!completed) {
        return {};
    }
    return static_cast<double>(completed->unix_us - started.unix_us) / 1e3;
}

// --- recent_executions -------------------------------------------------------------------------

struct Place {  // of an execution in the order of pages: later ones and greater ids first
    int64_t started_us;
    std::string id;
    bool operator<(const Place& other) const {
        return started_us != other.started_us ? started_us > other.started_us : id > other.id;
    }
};
using Page = std::map<Place, Row>;

/// The id of the workflow that is named. Throws Error where there is none.
std::string WorkflowId(sqlite3* db, const std::string& id_or_name) {
    const std::optional<WorkflowTable> table = WorkflowTable::Find(db, "workflows");
    if (!table || !table->Has("id") || !table->Has("name")) {
        return id_or_name;
    }
    Stmt read(db, "SELECT id FROM " + table->Name() +
                      " WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 1");
    if (!read.Bind(1, id_or_name).Step()) {
        throw Error(Code::kNotFound, "no workflow has the id or name \"" + id_or_name + "\"",
                    "SELECT id, name FROM " + table->Name());
    }
    return std::string(read.Text(0));
}

Row RecentRow(const WorkflowTable& table, const Stmt& read, Timestamp started) {
    const std::optional<Timestamp> completed = table.Time(read, 5, "completed_at");
    return {TextOrNull(read, 0),
            TextOrNull(read, 1),
            TextOrNull(read, 2),
            TextOrNull(read, 3),
            started,
            TimeOrNull(completed),
            Milliseconds(started, completed),
            read.Integer(6),
            TextOrNull(read, 7),
            TextOrNull(read, 8),
            Value(),
            Value()};
}

/// The page's executions by their true time. The rows come in the order of their text, which is off
/// by up to a day where forms with and without offset are mixed, so reading goes on until no later
/// row can belong to the page.
Page ReadPage(const WorkflowTable& table, const workflow::RecentRequest& request, Stmt* read) {
    Page page;
    const auto most = static_cast<size_t>(request.page_size);
    while (read->Step()) {
        const Timestamp started = *table.Time(*read, 4, "started_at");
        const std::optional<Timestamp> day = ParseTime(read->Text(4).substr(0, 10));
        if (page.size() == most && day &&
            day->unix_us + 2 * kMicrosPerDay < page.rbegin()->first.started_us) {
            break;
        }
        const Place place{started.unix_us, std::string(read->Text(0))};
        if (request.before_started_at) {
            const int64_t before = request.before_started_at->unix_us;
            const bool earlier = request.before_id ? Place{before, *request.before_id} < place
                                                   : started.unix_us < before;
            if (!earlier) {
                continue;
            }
        }
        if (page.size() == most && !(place < page.rbegin()->first)) {
            continue;
        }
        page.emplace(place, RecentRow(table, *read, started));
        if (page.size() > most) {
            page.erase(std::prev(page.end()));
        }
    }
    return page;
}

/// Fills in log_count and error_log_count, by one query.
void CountLogs(sqlite3* db, Page* page) {
    const std::optional<WorkflowTable> logs = WorkflowTable::Find(db, "execution_logs");
    if (page->empty() || !logs || !logs->Has("execution_id") || !logs->Has("level")) {
        return;
    }
    std::string marks;
    std::unordered_map<std::string, Row*> by_id;
    for (auto& [place, row] : *page) {
        marks += marks.empty() ? "?" : ", ?";
        row[10] = row[11] = int64_t{0};
        by_id.emplace(place.id, &row);
    }
    Stmt read(db,
              "SELECT execution_id, count(*), coalesce(sum(level IN ('ERROR', 'CRITICAL')), 0)"
              " FROM " +
                  logs->Name() + " WHERE execution_id IN (" + marks + ") GROUP BY execution_id");
    int parameter = 0;
    for (const auto& [place, row] : *page) {
        read.Bind(++parameter, place.id);
    }
    while (read.Step()) {
        const auto found = by_id.find(std::string(read.Text(0)));
        if (found != by_id.end()) {
            (*found->second)[10] = read.Integer(1);
            (*found->second)[11] = read.Integer(2);
        }
    }
}

// --- execution_detail --------------------------------------------------------------------------

std::string LogsOf(sqlite3* db, const WorkflowTable& logs, const std::string& id) {
    const std::string time = logs.FirstOf({"created_at", "timestamp"});
    const std::string metadata =
        logs.Column(logs.Has("log_metadata") ? "log_metadata" : "metadata");
    Stmt read(db, "SELECT " + logs.Column(time) + ", " + logs.Column("level") + ", " +
                      logs.Column("message") + ", " + logs.Column("step_name") + ", " + metadata +
                      ", json_valid(" + metadata + ") FROM " + logs.Name() +
                      " WHERE execution_id = ?1 ORDER BY " + logs.Column("id"));
    read.Bind(1, id);
    std::vector<workflow::LogLine> lines;
    while (read.Step()) {
        lines.push_back({.created_at = logs.Time(read, 0, time),
                         .level = OwnedText(read, 1),
                         .message = OwnedText(read, 2),
                         .step_name = OwnedText(read, 3),
                         .metadata = OwnedText(read, 4),
                         .metadata_is_text = read.Integer(5) == 0});
    }
    std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
        return a.created_at.value_or(kTimeForever).unix_us <
               b.created_at.value_or(kTimeForever).unix_us;
    });
    return workflow::LogsJson(lines);
}

/// One row, or none, by one of the two ids.
bool AddExecution(sqlite3* db, const WorkflowTable& table, const char* column,
                  const std::string& wanted, RowSink& rows) {
    if (!table.Has(column)) {
        return false;
    }
    Stmt read(db, "SELECT id, " + table.Column("workflow_id") + ", status, started_at, " +
                      table.Column("completed_at") + ", " + table.Column("retry_count") + ", " +
                      table.Column("error_message") + " FROM " + table.Name() + " WHERE " +
                      table.Column(column) + " = ?1 LIMIT 1");
    if (!read.Bind(1, wanted).Step()) {
        return false;
    }
    Row row(9);
    const std::string id(read.Text(0));
    row[0] = id;
    const auto names = NamesById(db, "workflows");
    if (const auto named = names.find(std::string(read.Text(1))); named != names.end()) {
        row[1] = named->second;
    }
    const std::optional<Timestamp> started = table.Time(read, 3, "started_at");
    const std::optional<Timestamp> completed = table.Time(read, 4, "completed_at");
    row[2] = TextOrNull(read, 2);
    row[3] = TimeOrNull(started);
    row[4] = TimeOrNull(completed);
    if (started) {
        row[5] = Milliseconds(*started, completed);
    }
    row[6] = read.Integer(5);
    row[7] = TextOrNull(read, 6);
    const std::optional<WorkflowTable> logs = WorkflowTable::Find(db, "execution_logs");
    if (logs && logs->Has("execution_id")) {
        row[8] = LogsOf(db, *logs, id);
    }
    rows.Add(std::move(row));
    return true;
}

// --- stuck_executions --------------------------------------------------------------------------

std::vector<workflow::LiveExecution> ReadLive(sqlite3* db, const WorkflowTable& table) {
    const auto names = NamesById(db, "workflows");
    std::vector<workflow::LiveExecution> live;
    Stmt read(db, "SELECT id, workflow_id, status, started_at FROM " + table.Name() +
                      " WHERE status IN ('pending', 'running') AND started_at IS NOT NULL");
    while (read.Step()) {
        workflow::LiveExecution one{.id = std::string(read.Text(0)),
                                    .workflow_id = std::string(read.Text(1)),
                                    .workflow_name = std::nullopt,
                                    .status = std::string(read.Text(2)),
                                    .started_at = *table.Time(read, 3, "started_at")};
        if (const auto named = names.find(one.workflow_id); named != names.end()) {
            one.workflow_name = named->second;
        }
        live.push_back(std::move(one));
    }
    return live;
}

std::vector<workflow::WorkflowHistory> ReadHistories(
    sqlite3* db, const WorkflowTable& table, const std::vector<workflow::LiveExecution>& live,
    Timestamp now) {
    std::map<std::string, workflow::Sketch, std::less<>> sketches;
    for (const workflow::LiveExecution& one : live) {
        sketches.try_emplace(one.workflow_id);
    }
    const Timestamp from{now.unix_us - workflow::kHistoryDays * kMicrosPerDay};
    Stmt read(db, "SELECT workflow_id, started_at, " + table.Column("completed_at") + " FROM " +
                      table.Name() + " WHERE status = 'completed' AND started_at >= ?1");
    read.Bind(1, TextNotBefore(from));
    while (!live.empty() && read.Step()) {
        const auto found = sketches.find(read.Text(0));
        const Timestamp started = *table.Time(read, 1, "started_at");
        const std::optional<Timestamp> completed = table.Time(read, 2, "completed_at");
        if (found != sketches.end() && completed && started.unix_us >= from.unix_us) {
            found->second.Add(workflow::DurationOf(started, *completed));
        }
    }
    std::vector<workflow::WorkflowHistory> histories;
    histories.reserve(sketches.size());
    for (auto& [id, sketch] : sketches) {
        histories.push_back({id, std::move(sketch)});
    }
    return histories;
}

}  // namespace

Result<void> RecentExecutionsCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const Result<workflow::RecentRequest> parsed = workflow::ParseRecentRequest(arguments);
    if (!parsed.ok()) {
        return parsed.error();
    }
    const workflow::RecentRequest& request = parsed.value();
    const WorkflowTable table = WorkflowTable::Get(db, kExecutions);
    table.Require({"id", "workflow_id", "status", "started_at"});
    std::string where = "started_at < ?1";
    if (request.of_workflow) {
        where += " AND workflow_id = ?2";
    }
    if (request.with_status) {
        where += " AND status = ?3";
    }
    table.RequireTextTimes(db, "started_at");
    Stmt read(db, "SELECT id, workflow_id, " + table.Column("execution_id") +
                      ", status, started_at, " + table.Column("completed_at") + ", " +
                      table.Column("retry_count") + ", " + table.Column("trigger_type") + ", " +
                      table.Column("error_message") + " FROM " + table.Name() + " WHERE " + where +
                      " ORDER BY started_at DESC");
    read.Bind(
        1, request.before_started_at ? TextBefore(*request.before_started_at) : std::string(":"));
    if (request.of_workflow) {
        read.Bind(2, WorkflowId(db, *request.of_workflow));
    }
    if (request.with_status) {
        read.Bind(3, *request.with_status);
    }
    Page page = ReadPage(table, request, &read);
    CountLogs(db, &page);
    for (auto& [place, row] : page) {
        rows.Add(std::move(row));
    }
    return {};
}

Result<void> ExecutionDetailCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const std::string& wanted = arguments.Text("of_execution");
    const WorkflowTable table = WorkflowTable::Get(db, kExecutions);
    table.Require({"id", "status", "started_at"});
    if (!AddExecution(db, table, "id", wanted, rows) &&
        !AddExecution(db, table, "execution_id", wanted, rows)) {
        return Error(Code::kNotFound, "no execution has the id or execution_id \"" + wanted + "\"",
                     "SELECT id, execution_id FROM upkeep_recent_executions()");
    }
    return {};
}

Result<void> StuckExecutionsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const WorkflowTable table = WorkflowTable::Get(db, kExecutions);
    table.Require({"id", "workflow_id", "status", "started_at"});
    const Timestamp now = Now();
    const std::vector<workflow::LiveExecution> live = ReadLive(db, table);
    workflow::StuckExecutions(live, ReadHistories(db, table, live, now), now, rows);
    return {};
}

}  // namespace upkeep::sqlite
