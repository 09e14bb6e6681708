// SPDX-License-Identifier: PostgreSQL
#include "catalog.h"

#include <algorithm>

#include "stmt.h"

namespace upkeep::sqlite {

namespace {

// Columns of PRAGMA table_list, table_xinfo, index_list and index_xinfo that we read.
// Source: https://www.sqlite.org/pragma.html
enum TableList { kListSchema = 0, kListName = 1, kListType = 2, kListWithoutRowid = 4 };
enum TableXinfo { kColumnName = 1, kColumnType = 2, kColumnPrimary = 5, kColumnHidden = 6 };
enum IndexList { kIndexName = 1, kIndexUnique = 2, kIndexOrigin = 3, kIndexPartial = 4 };
enum IndexXinfo { kKeyColumn = 1, kKeyDescending = 3, kKeyCollation = 4, kKeyIsKey = 5 };

/// Values of table_xinfo's `hidden`.
enum Hidden { kHiddenColumn = 1, kVirtualColumn = 2, kStoredColumn = 3 };

TableKind KindOf(std::string_view type) {
    if (type == "view") {
        return TableKind::kView;
    }
    if (type == "virtual") {
        return TableKind::kVirtual;
    }
    return type == "shadow" ? TableKind::kShadow : TableKind::kTable;
}

}  // namespace

std::string Lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

std::string Quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        out += c;
        if (c == '"') {
            out += c;
        }
    }
    return out + '"';
}

std::string Qualified(std::string_view schema, std::string_view name) {
    return Quoted(schema) + "." + Quoted(name);
}

std::vector<CatalogColumn> ReadColumns(sqlite3* db, const std::string& schema,
                                       const std::string& table) {
    std::vector<CatalogColumn> columns;
    Stmt rows(db, "PRAGMA " + Quoted(schema) + ".table_xinfo(" + Quoted(table) + ")");
    while (rows.Step()) {
        CatalogColumn column;
        column.name = rows.Text(kColumnName);
        column.type = rows.Text(kColumnType);
        column.is_primary = rows.Integer(kColumnPrimary) > 0;
        const int64_t hidden = rows.Integer(kColumnHidden);
        column.is_hidden = hidden == kHiddenColumn;
        column.is_generated = hidden == kVirtualColumn || hidden == kStoredColumn;
        columns.push_back(std::move(column));
    }
    for (CatalogColumn& column : columns) {
        const char* collation = nullptr;
        const int code =
            sqlite3_table_column_metadata(db, schema.c_str(), table.c_str(), column.name.c_str(),
                                          nullptr, &collation, nullptr, nullptr, nullptr);
        column.collation = code == SQLITE_OK && collation != nullptr ? collation : "BINARY";
    }
    return columns;
}

std::vector<CatalogIndex> ReadIndexes(sqlite3* db, const std::string& schema,
                                      const std::string& table) {
    std::vector<CatalogIndex> indexes;
    Stmt rows(db, "PRAGMA " + Quoted(schema) + ".index_list(" + Quoted(table) + ")");
    while (rows.Step()) {
        CatalogIndex index;
        index.name = rows.Text(kIndexName);
        index.is_unique = rows.Integer(kIndexUnique) != 0;
        index.backs_constraint = rows.Text(kIndexOrigin) != "c";
        index.is_partial = rows.Integer(kIndexPartial) != 0;
        indexes.push_back(std::move(index));
    }
    Stmt text(db, "SELECT sql FROM " + Quoted(schema) +
                      ".sqlite_schema WHERE type = 'index' AND name = ?1");
    for (CatalogIndex& index : indexes) {
        text.Reset();
        if (text.Bind(1, index.name).Step()) {
            index.sql = text.Text(0);
        }
        Stmt keys(db, "PRAGMA " + Quoted(schema) + ".index_xinfo(" + Quoted(index.name) + ")");
        while (keys.Step()) {
            if (keys.Integer(kKeyIsKey) != 0) {
                index.keys.push_back({static_cast<int>(keys.Integer(kKeyColumn)),
                                      std::string(keys.Text(kKeyCollation)),
                                      keys.Integer(kKeyDescending) != 0});
            }
        }
    }
    return indexes;
}

Catalog::Catalog(sqlite3* db) {
    Stmt databases(db, "PRAGMA database_list");
    while (databases.Step()) {
        schemas_.emplace_back(databases.Text(1));
    }
    ReadTableKinds(db);
    for (const std::string& schema : schemas_) {
        ReadObjects(db, schema);
    }
}

void Catalog::ReadTableKinds(sqlite3* db) {
    Stmt rows(db, "PRAGMA table_list");
    while (rows.Step()) {
        kinds_[{Lower(rows.Text(kListSchema)), Lower(rows.Text(kListName))}] = {
            KindOf(rows.Text(kListType)), rows.Integer(kListWithoutRowid) != 0};
    }
}

void Catalog::ReadObjects(sqlite3* db, const std::string& schema) {
    Stmt rows(db, "SELECT type, name, sql FROM " + Quoted(schema) +
                      ".sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid");
    while (rows.Step()) {
        const std::string type(rows.Text(0));
        std::string name(rows.Text(1));
        std::string sql(rows.Text(2));
        if (type == "index") {
            indexes_.push_back({schema, std::move(name), std::move(sql)});
        } else if (type == "trigger") {
            triggers_.push_back({schema, std::move(name), std::move(sql)});
        } else {
            const std::pair<std::string, std::string> key = {Lower(schema), Lower(name)};
            const auto kind = kinds_.find(key);
            CatalogTable table{schema, std::move(name), std::move(sql)};
            if (kind != kinds_.end()) {
                table.kind = kind->second.first;
                table.is_without_rowid = kind->second.second;
            }
            places_[key] = tables_.size();
            tables_.push_back(std::move(table));
        }
    }
}

const CatalogTable* Catalog::Find(std::string_view schema, std::string_view name) const {
    const auto place = places_.find({Lower(schema), Lower(name)});
    return place == places_.end() ? nullptr : &tables_[place->second];
}

bool Catalog::HasObject(std::string_view schema, std::string_view name) const {
    if (Find(schema, name) != nullptr) {
        return true;
    }
    const auto is_it = [&](const CatalogObject& object) {
        return Lower(object.schema) == Lower(schema) && Lower(object.name) == Lower(name);
    };
    return std::any_of(indexes_.begin(), indexes_.end(), is_it);
}

}  // namespace upkeep::sqlite
