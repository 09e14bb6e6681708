// What the caller's connection has: databases, tables, views, indexes, triggers, columns.
// Read once per port object, by plain SELECTs and PRAGMAs on that connection; nothing is kept open.
// Not for: statistics (statistics.h) and what could be rebuilt from it (replica.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlite_api.h"

namespace upkeep::sqlite {

enum class TableKind : uint8_t { kTable, kView, kVirtual, kShadow };

struct CatalogColumn {
    std::string name;
    std::string type;       // as declared
    std::string collation;  // `BINARY` unless declared otherwise
    bool is_generated = false;
    bool is_hidden = false;  // of virtual tables
    bool is_primary = false;
};

struct CatalogTable {
    std::string schema;  // `main`, `temp`, or the name it was attached under
    std::string name;
    std::string sql;
    TableKind kind = TableKind::kTable;
    bool is_without_rowid = false;
};

/// An index or a trigger that has a text of its own.
struct CatalogObject {
    std::string schema;
    std::string name;
    std::string sql;
};

struct CatalogIndexKey {
    int column = -1;  // position in Catalog::Columns; -1 rowid, -2 expression
    std::string collation;
    bool is_descending = false;
};

struct CatalogIndex {
    std::string name;
    std::string sql;  // empty: made by a constraint
    bool is_unique = false;
    bool is_partial = false;
    bool backs_constraint = false;
    std::vector<CatalogIndexKey> keys;
};

/// ASCII lower case, as SQLite compares names.
std::string Lower(std::string_view text);
/// `name` in double quotes.
std::string Quoted(std::string_view name);
/// `"schema"."name"`
std::string Qualified(std::string_view schema, std::string_view name);

/// Columns and indexes of one table by PRAGMA on `db`; throws Error.
std::vector<CatalogColumn> ReadColumns(sqlite3* db, const std::string& schema,
                                       const std::string& table);
std::vector<CatalogIndex> ReadIndexes(sqlite3* db, const std::string& schema,
                                      const std::string& table);

class Catalog {
  public:
    /// Throws Error.
    explicit Catalog(sqlite3* db);

    const std::vector<std::string>& schemas() const { return schemas_; }  // main, temp, attached
    const std::vector<CatalogTable>& tables() const { return tables_; }
    const std::vector<CatalogObject>& indexes() const { return indexes_; }
    const std::vector<CatalogObject>& triggers() const { return triggers_; }

    /// By name, case as SQLite sees it; nullptr if there is none.
    const CatalogTable* Find(std::string_view schema, std::string_view name) const;
    /// Is there a table, view or index of this name?
    bool HasObject(std::string_view schema, std::string_view name) const;

  private:
    void ReadTableKinds(sqlite3* db);
    void ReadObjects(sqlite3* db, const std::string& schema);

    std::vector<std::string> schemas_;
    std::vector<CatalogTable> tables_;
    std::vector<CatalogObject> indexes_, triggers_;
    std::map<std::pair<std::string, std::string>, size_t> places_;  // lower-case names -> tables_
    std::map<std::pair<std::string, std::string>, std::pair<TableKind, bool>> kinds_;
};

}  // namespace upkeep::sqlite
