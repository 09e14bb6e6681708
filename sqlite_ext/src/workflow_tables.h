// The workflow tables as they are found in a connection: which table of which database, which of
// its columns by name, and times that are text in one of several forms. SPDX-License-Identifier:
// PostgreSQL
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "catalog.h"
#include "stmt.h"
#include "upkeep/base/value.h"

namespace upkeep::sqlite {

class WorkflowTable {
  public:
    /// The table or view `name` of main, else temp, else the first attached database that has it.
    static std::optional<WorkflowTable> Find(sqlite3* db, const std::string& name);
    /// The same; throws Error kNotFound with a hint.
    static WorkflowTable Get(sqlite3* db, const std::string& name);
    /// What an argument names: `table` or `database.table`, each possibly in double quotes.
    static WorkflowTable OfArgument(sqlite3* db, const std::string& text);

    /// `"schema"."name"`; for FROM.
    std::string Name() const { return Qualified(schema_, name_); }

    bool Has(std::string_view column) const;
    /// Errors: throws Error kInvalidArgument that lists all that are missing.
    void Require(std::initializer_list<const char*> columns) const;
    /// The first of these that is there; throws Error that names them.
    std::string FirstOf(std::initializer_list<const char*> columns) const;
    /// The quoted column, or NULL where it is not there.
    std::string Column(std::string_view column) const;

    /// Refuses a table whose times are numbers, which text windows would silently leave out.
    void RequireTextTimes(sqlite3* db, const std::string& column) const;
    /// The time in a column of the current row, nullopt for NULL. Throws Error for anything else
    /// that is no time, naming `column`.
    std::optional<Timestamp> Time(const Stmt& row, int position, std::string_view column) const;

  private:
    WorkflowTable(sqlite3* db, std::string schema, std::string name);
    static std::optional<WorkflowTable> FindIn(sqlite3* db, const std::string& schema,
                                               const std::string& name);

    std::string schema_;
    std::string name_;
    std::vector<std::string> columns_;  // lower case
};

/// Text bounds of a window: every form begins with the date, and no offset is longer than a day, so
/// what is outside cannot be in the window. What is inside has still to be looked at.
std::string TextNotBefore(Timestamp time);
std::string TextBefore(Timestamp time);

/// The text of a column, nullopt for NULL.
std::optional<std::string_view> TextOrNone(const Stmt& row, int position);
std::optional<std::string> OwnedText(const Stmt& row, int position);

/// As a value of a result row.
Value TimeOrNull(const std::optional<Timestamp>& time);

/// id -> name of a table such as workflows; empty where there is no such table.
std::unordered_map<std::string, std::string> NamesById(sqlite3* db, const std::string& table);

}  // namespace upkeep::sqlite
