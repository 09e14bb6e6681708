// SPDX-License-Identifier: PostgreSQL
#include "workflow_tables.h"

#include <algorithm>

#include "upkeep/base/text.h"
#include "upkeep/base/time.h"

namespace upkeep::sqlite {

namespace {

/// main, temp, then attached ones in their order.
std::vector<std::string> Schemas(sqlite3* db) {
    std::vector<std::string> schemas = {"main", "temp"};
    Stmt list(db, "PRAGMA database_list");
    while (list.Step()) {
        std::string name(list.Text(1));
        if (std::find(schemas.begin(), schemas.end(), name) == schemas.end()) {
            schemas.push_back(std::move(name));
        }
    }
    return schemas;
}

/// `a`, `a.b`, `"a"."b c"` taken apart at the points outside of quotes.
std::vector<std::string> NameParts(std::string_view text) {
    std::vector<std::string> parts(1);
    bool quoted = false;
    for (size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '"' && quoted && i + 1 < text.size() && text[i + 1] == '"') {
            parts.back() += c;
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '.' && !quoted) {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

}  // namespace

WorkflowTable::WorkflowTable(sqlite3* db, std::string schema, std::string name)
    : schema_(std::move(schema)), name_(std::move(name)) {
    for (const CatalogColumn& column : ReadColumns(db, schema_, name_)) {
        columns_.push_back(Lower(column.name));
    }
}

std::optional<WorkflowTable> WorkflowTable::FindIn(sqlite3* db, const std::string& schema,
                                                   const std::string& name) {
    Result<Stmt> look = Stmt::Prepare(
        db, "SELECT name FROM " + Quoted(schema) +
                ".sqlite_schema WHERE type IN ('table', 'view') AND name = ?1 COLLATE NOCASE");
    if (!look.ok() || !look.value().Bind(1, name).Step()) {  // not ok: no such database
        return std::nullopt;
    }
    return WorkflowTable(db, schema, std::string(look.value().Text(0)));
}

std::optional<WorkflowTable> WorkflowTable::Find(sqlite3* db, const std::string& name) {
    for (const std::string& schema : Schemas(db)) {
        if (std::optional<WorkflowTable> table = FindIn(db, schema, name)) {
            return table;
        }
    }
    return std::nullopt;
}

WorkflowTable WorkflowTable::Get(sqlite3* db, const std::string& name) {
    std::optional<WorkflowTable> table = Find(db, name);
    if (!table) {
        throw Error(Code::kNotFound, "there is no table " + name + " in main or attached databases",
                    "attach its database, or create it: SELECT * FROM "
                    "upkeep_install_workflow_schema()" +
                        std::string(name == "workflow_executions"
                                        ? "; upkeep_workflow_stats takes another table as "
                                          "executions = 'table'"
                                        : ""));
    }
    return *std::move(table);
}

WorkflowTable WorkflowTable::OfArgument(sqlite3* db, const std::string& text) {
    std::optional<WorkflowTable> table = Find(db, text);
    const std::vector<std::string> parts = NameParts(text);
    if (!table && parts.size() == 1) {
        table = Find(db, parts[0]);
    } else if (!table && parts.size() == 2) {
        table = FindIn(db, parts[0], parts[1]);
    }
    if (!table) {
        throw Error(Code::kNotFound, "there is no table " + text,
                    "name the table of executions, as 'table' or 'database.table'");
    }
    return *std::move(table);
}

bool WorkflowTable::Has(std::string_view column) const {
    return std::find(columns_.begin(), columns_.end(), column) != columns_.end();
}

void WorkflowTable::Require(std::initializer_list<const char*> columns) const {
    std::string missing;
    for (const char* column : columns) {
        if (!Has(column)) {
            missing += (missing.empty() ? "" : ", ") + std::string(column);
        }
    }
    if (!missing.empty()) {
        throw Error(
            Code::kInvalidArgument, "table " + name_ + " lacks columns: " + missing,
            "columns are found by name; a view can give those of another table these names");
    }
}

std::string WorkflowTable::FirstOf(std::initializer_list<const char*> columns) const {
    for (const char* column : columns) {
        if (Has(column)) {
            return column;
        }
    }
    Require(columns);
    return {};  // not reached
}

std::string WorkflowTable::Column(std::string_view column) const {
    return Has(column) ? Quoted(column) : "NULL";
}

void WorkflowTable::RequireTextTimes(sqlite3* db, const std::string& column) const {
    // numbers come before every text
    Stmt look(db, "SELECT 1 FROM " + Name() + " WHERE " + Quoted(column) + " < '' LIMIT 1");
    if (look.Step()) {
        throw Error(Code::kInvalidArgument,
                    column + " of " + name_ + " holds numbers, not times as text",
                    "use a view with datetime(…, 'unixepoch') or strftime as this column");
    }
}

std::optional<Timestamp> WorkflowTable::Time(const Stmt& row, int position,
                                             std::string_view column) const {
    if (row.IsNull(position)) {
        return std::nullopt;
    }
    const std::string_view text = row.Text(position);
    const std::optional<Timestamp> time = ParseTime(text);
    if (!time) {
        throw Error(Code::kInvalidArgument,
                    std::string(column) + " of " + name_ +
                        " holds what is no time: " + JsonString(Clip(text, 60)),
                    "times are text such as 2024-01-31 08:30:00.123, in UTC or with an offset");
    }
    return time;
}

std::string TextNotBefore(Timestamp time) {
    return FormatDay({time.unix_us - kMicrosPerDay});
}

std::string TextBefore(Timestamp time) {
    const std::string day = FormatDay({time.unix_us + 2 * kMicrosPerDay});
    return day.size() > 10 ? ":" : day;  // behind the year 9999: a colon follows the digits
}

std::optional<std::string_view> TextOrNone(const Stmt& row, int position) {
    return row.IsNull(position) ? std::nullopt : std::optional(row.Text(position));
}

std::optional<std::string> OwnedText(const Stmt& row, int position) {
    return row.IsNull(position) ? std::nullopt : std::optional(std::string(row.Text(position)));
}

Value TimeOrNull(const std::optional<Timestamp>& time) {
    if (!time) {
        return {};
    }
    return *time;
}

std::unordered_map<std::string, std::string> NamesById(sqlite3* db, const std::string& name) {
    std::unordered_map<std::string, std::string> names;
    const std::optional<WorkflowTable> table = WorkflowTable::Find(db, name);
    if (!table || !table->Has("id") || !table->Has("name")) {
        return names;
    }
    Stmt read(db, "SELECT id, name FROM " + table->Name());
    while (read.Step()) {
        names.emplace(read.Text(0), read.Text(1));
    }
    return names;
}

}  // namespace upkeep::sqlite
