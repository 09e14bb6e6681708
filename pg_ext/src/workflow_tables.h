// The workflow tables as they are found: which table, which of its columns by name, of which types.
// Tables of profile `corrected` and `guide` and others of this shape differ in the types of ids
// (uuid, text, integer), of statuses (text, enum) and in the name of the time column.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "pg.h"

namespace upkeep::pg {

/// A column as SQL text, with the alias of its table.
struct ColumnText {
    std::string sql;
    Oid type = InvalidOid;
};

class WorkflowTable {
  public:
    /// The table `name` of search_path. nullopt: there is none.
    static std::optional<WorkflowTable> Find(const char* name);
    /// The same; throws Error kNotFound with a hint.
    static WorkflowTable Get(const char* name);
    /// The table that an argument of type regclass names. Errors: throws Error (no table).
    static WorkflowTable OfRegclass(const std::string& name);

    /// `schema.name`, quoted; for FROM.
    const std::string& name() const { return name_; }

    bool Has(const char* column) const { return TypeOf(column) != InvalidOid; }
    /// InvalidOid: there is no such column.
    Oid TypeOf(const char* column) const;
    /// Errors: throws Error kInvalidArgument that lists all that are missing.
    void Require(std::initializer_list<const char*> columns) const;
    /// The first of these that is there; throws Error that names the first.
    const char* FirstOf(std::initializer_list<const char*> columns) const;

    /// `alias.column`.
    ColumnText Column(std::string_view alias, const char* column) const;
    /// As text; a NULL where the column is not there.
    std::string Text(std::string_view alias, const char* column) const;
    /// As bigint, 0 for NULL or where it is not there.
    std::string Count(std::string_view alias, const char* column) const;
    /// As timestamptz: a timestamp without zone is taken as UTC; NULL where it is not there.
    /// Errors: throws Error where the column is no time.
    std::string Time(std::string_view alias, const char* column) const;
    /// `column <op> $n`, n being a parameter of type timestamptz, so that an index serves.
    std::string TimeCompared(std::string_view alias, const char* column, std::string_view op,
                             std::string_view parameter) const;
    /// `column = 'word'`; an enum is compared as text, so a word that it lacks finds nothing.
    std::string Equals(std::string_view alias, const char* column, const std::string& word) const;
    /// Can `text` be a value of this column?
    bool CanHold(const char* column, const std::string& text) const;

  private:
    WorkflowTable(Oid oid, std::string name) : oid_(oid), name_(std::move(name)) {}

    Oid oid_;
    std::string name_;
};

/// `a = b` by type, or as text where the types differ.
std::string Same(const ColumnText& a, const ColumnText& b);

}  // namespace upkeep::pg
