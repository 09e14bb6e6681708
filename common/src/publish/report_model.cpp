// What the report shows, and in which order.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <charconv>
#include <map>

#include "upkeep/base/time.h"
#include "upkeep/base/version.h"
#include "upkeep/publish/report.h"

namespace upkeep::publish {

namespace {

constexpr size_t kTop = 10;  // rows of a table

std::string Fixed(double number, int digits) {
    char text[400];
    const auto end =
        std::to_chars(std::begin(text), std::end(text), number, std::chars_format::fixed, digits);
    return end.ec == std::errc() ? std::string(std::begin(text), end.ptr) : "";
}

/// Empty: not known.
std::string Fixed(const std::optional<std::string>& cell, int digits) {
    const std::optional<double> number = NumberOf(cell);
    return number ? Fixed(*number, digits) : "";
}

std::string Percent(const std::optional<std::string>& cell) {
    const std::optional<double> number = NumberOf(cell);
    return number ? Fixed(*number * 100, 1) + " %" : "";
}

std::string Text(const std::optional<std::string>& cell) {
    return cell.value_or("");
}

/// The first of several statements, one a line.
std::string FirstLine(const std::optional<std::string>& cell) {
    return Text(cell).substr(0, Text(cell).find('\n'));
}

size_t RankOf(std::string_view word, std::span<const std::string_view> order) {
    return static_cast<size_t>(std::find(order.begin(), order.end(), word) - order.begin());
}

/// Stable, by the place of the first cell in `order`.
void SortBy(std::span<const std::string_view> order, TextRows* rows) {
    std::stable_sort(rows->begin(), rows->end(), [&](const TextRow& left, const TextRow& right) {
        return RankOf(Text(left[0]), order) < RankOf(Text(right[0]), order);
    });
}

constexpr std::string_view kSeverities[] = {"high", "medium", "low", "info"};

class Builder {
  public:
    Builder(const ReportFacts& facts, OwnCalls& calls) : facts_(facts), calls_(calls) {}

    void Findings();
    void Statements();
    void Connections();
    void Locks();
    void Indexes();
    void ForeignKeys();
    void Workflows();
    void Settings();
    std::vector<ReportTable> Take() { return std::move(tables_); }

  private:
    ReportTable& Begin(std::string title, std::vector<ReportColumn> columns) {
        ReportTable& table = tables_.emplace_back();
        table.title = std::move(title);
        table.columns = std::move(columns);
        return table;
    }
    /// The rows; nullopt: the note says why not.
    std::optional<TextRows> Read(const OwnQuery& query, ReportTable& table) {
        Result<TextRows> read = calls_.Read(query);
        if (!read.ok()) {
            table.note = "not known: " + read.error().message();
            return std::nullopt;
        }
        table.see_call = SqlOf(query, facts_.host == Hosts::kSqlite);
        table.see_call.replace(0, table.see_call.find(" FROM "), "SELECT *");
        return std::move(read).value();
    }
    template <typename Cells>
    static void Show(const TextRows& rows, ReportTable& table, Cells cells) {
        for (size_t i = 0; i < std::min(rows.size(), kTop); ++i) {
            table.rows.push_back(cells(rows[i]));
        }
        table.left_out = rows.size() - table.rows.size();
    }

    const ReportFacts& facts_;
    OwnCalls& calls_;
    std::vector<ReportTable> tables_;
};

void Builder::Findings() {
    constexpr std::string_view kOrder[] = {"fail", "warn", "unknown", "manual", "ok"};
    ReportTable& table = Begin("Findings", {{"status"}, {"check"}, {"what was found, what to do"}});
    std::optional<TextRows> rows = Read({"check_health", "status, code, evidence, advice"}, table);
    if (!rows) {
        return;
    }
    SortBy(kOrder, &*rows);
    for (const std::string_view status : kOrder) {
        const auto count = std::count_if(rows->begin(), rows->end(),
                                         [&](const TextRow& row) { return row[0] == status; });
        table.note +=
            (table.note.empty() ? "" : ", ") + std::string(status) + " " + std::to_string(count);
    }
    std::erase_if(*rows, [](const TextRow& row) { return row[0] != "fail" && row[0] != "warn"; });
    Show(*rows, table, [](const TextRow& row) {
        return std::vector{Text(row[0]), Text(row[1]),
                           Text(row[2]) + (row[3] ? "; " + *row[3] : std::string())};
    });
}

void Builder::Statements() {
    ReportTable& table = Begin(
        "Statements by total time",
        {{"calls", true}, {"total ms", true}, {"mean ms", true}, {"p95 ms", true}, {"statement"}});
    if (auto rows = Read({"statements", "calls, total_ms, mean_ms, p95_ms, query"}, table)) {
        std::erase_if(*rows, [](const TextRow& row) {  // our own, as this report itself
            const std::string query = Text(row[4]);
            return query.find("upkeep.") != std::string::npos ||
                   query.find("upkeep_") != std::string::npos;
        });
        table.note = rows->empty() ? "none was captured; capabilities says why" : "";
        Show(*rows, table, [](const TextRow& row) {
            return std::vector{Text(row[0]), Fixed(row[1], 1), Fixed(row[2], 2), Fixed(row[3], 2),
                               Text(row[4])};
        });
    }
}

void Builder::Connections() {
    ReportTable& table = Begin("Connections by state", {{"count", true}, {"kind"}, {"state"}});
    if (const auto rows = Read({"connections", "backend_type, state"}, table)) {
        std::map<std::pair<std::string, std::string>, size_t> counts;
        for (const TextRow& row : *rows) {
            ++counts[{row[0].value_or("hidden"), row[1].value_or("not visible")}];
        }
        for (const auto& [key, count] : counts) {
            if (table.rows.size() == kTop) {
                ++table.left_out;
                continue;
            }
            table.rows.push_back({std::to_string(count), key.first, key.second});
        }
    }
}

void Builder::Locks() {
    ReportTable& table =
        Begin("Locks", {{"session"}, {"state"}, {"waits ms", true}, {"on"}, {"what to do"}});
    if (const auto rows =
            Read({"lock_tree", "depth, pid, state, waits_ms, relation, suggested_action"}, table)) {
        table.note = rows->empty() ? "nobody waits" : "";
        if (facts_.host == Hosts::kSqlite && rows->empty()) {
            table.note = "no connection that can be seen holds a lock";
        }
        Show(*rows, table, [](const TextRow& row) {
            const auto depth = static_cast<size_t>(NumberOf(row[0]).value_or(0));
            return std::vector{std::string(std::min<size_t>(depth, kTop) * 2, ' ') + Text(row[1]),
                               Text(row[2]), Fixed(row[3], 0), Text(row[4]), Text(row[5])};
        });
    }
}

void Builder::Indexes() {
    ReportTable& table =
        Begin("Index findings", {{"severity"}, {"finding"}, {"table"}, {"index"}, {"evidence"}});
    if (auto rows =
            Read({"index_findings", "severity, code, table_name, index_name, evidence"}, table)) {
        table.note = rows->empty() ? "none" : "";
        SortBy(kSeverities, &*rows);
        Show(*rows, table, [](const TextRow& row) {
            return std::vector{Text(row[0]), Text(row[1]), Text(row[2]), Text(row[3]),
                               Text(row[4])};
        });
    }
}

void Builder::ForeignKeys() {
    ReportTable& table = Begin("Foreign keys without an index",
                               {{"severity"}, {"rows", true}, {"statement that mends it"}});
    if (auto rows = Read({"unindexed_foreign_keys", "severity, child_rows, create_sql"}, table)) {
        table.note = rows->empty() ? "none" : "";
        SortBy(kSeverities, &*rows);
        Show(*rows, table, [](const TextRow& row) {
            return std::vector{Text(row[0]), Text(row[1]), Text(row[2])};
        });
    }
}

void Builder::Workflows() {
    ReportTable& table = Begin("Workflows, last 24 hours", {{"executions", true},
                                                            {"completed", true},
                                                            {"failed", true},
                                                            {"success", true},
                                                            {"p95 ms", true},
                                                            {"workflow"}});
    if (auto rows =
            Read({"workflow_stats", "total, completed, failed, success_ratio, p95_ms, group_key"},
                 table)) {
        table.note = rows->empty() ? "none ran" : "";
        std::stable_sort(rows->begin(), rows->end(), [](const TextRow& left, const TextRow& right) {
            return NumberOf(left[0]).value_or(0) > NumberOf(right[0]).value_or(0);
        });
        Show(*rows, table, [](const TextRow& row) {
            return std::vector{Text(row[0]),    Text(row[1]),     Text(row[2]),
                               Percent(row[3]), Fixed(row[4], 1), Text(row[5])};
        });
    }
}

void Builder::Settings() {
    ReportTable& table =
        Begin("Settings that differ from the advice",
              {{"setting"}, {"is", true}, {"advised", true}, {"unit"}, {"statement that sets it"}});
    if (auto rows =
            Read({"advise_settings", "name, current_value, advised_value, unit, set_sql"}, table)) {
        std::erase_if(*rows, [](const TextRow& row) { return !row[2] || !row[4]; });
        table.note = rows->empty() ? "none" : "";
        Show(*rows, table, [](const TextRow& row) {
            return std::vector{Text(row[0]), Text(row[1]), Text(row[2]), Text(row[3]),
                               FirstLine(row[4])};
        });
    }
}

}  // namespace

Result<void> CheckReportFormat(const Arguments& arguments) {
    const std::string& format = arguments.Text("format");
    if (format == "text") {
        return {};
    }
    if (format == "html" || format == "json") {
        return Error(Code::kUnsupported, "this version does not make the report as " + format,
                     "write report('text')");
    }
    return Error(Code::kInvalidArgument, "no form of the report is named \"" + format + "\"",
                 "write report('text')");
}

ReportModel BuildReport(const Arguments& arguments, const ReportFacts& facts, OwnCalls& calls) {
    ReportModel model;
    model.title = arguments.IsNull("title")
                      ? "upkeep report on " +
                            (facts.database.empty() ? "a database in memory" : facts.database)
                      : arguments.Text("title");
    model.subtitle = FormatTime(facts.now) + ", " + facts.host_version + ", upkeep " + Version();
    Builder builder(facts, calls);
    builder.Findings();
    builder.Statements();
    builder.Connections();
    builder.Locks();
    builder.Indexes();
    builder.ForeignKeys();
    builder.Workflows();
    builder.Settings();
    model.tables = builder.Take();
    return model;
}

}  // namespace upkeep::publish
