// SPDX-License-Identifier: PostgreSQL
#include "index_inventory.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "captured.h"
#include "relations.h"
#include "sql_text.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

/// Columns of PRAGMA foreign_key_list. Source: https://www.sqlite.org/pragma.html
enum ForeignKeyList { kKeyId = 0, kParentTable = 2, kChildColumn = 3 };

std::string ShownName(const std::string& schema, const std::string& name) {
    return schema == "main" ? QuotedIfNeeded(name)
                            : QuotedIfNeeded(schema) + "." + QuotedIfNeeded(name);
}

std::string Dotted(const std::string& schema, const std::string& name) {
    return QuotedIfNeeded(schema) + "." + QuotedIfNeeded(name);
}

std::string KeyExpression(const CatalogIndex& index, size_t key, const IndexText& text,
                          const std::vector<CatalogColumn>& columns) {
    const int column = index.keys[key].column;
    if (column >= 0) {
        return QuotedIfNeeded(columns.at(static_cast<size_t>(column)).name);
    }
    return column == -1 ? "rowid" : key < text.keys.size() ? text.keys[key] : "?";
}

/// The statement that makes the index again. The stored text names no schema, so it does for main
/// only.
std::string CreateSql(const CatalogTable& table, const CatalogIndex& index, const IndexText& text) {
    if (table.schema == "main" || index.sql.empty()) {
        return index.sql;
    }
    std::string keys;
    for (size_t i = 0; i < text.keys.size() && i < index.keys.size(); ++i) {
        keys += (keys.empty() ? "" : ", ") + text.keys[i];
        keys += index.keys[i].is_descending ? " DESC" : "";
    }
    return std::string("CREATE ") + (index.is_unique ? "UNIQUE INDEX " : "INDEX ") +
           Dotted(table.schema, index.name) + " ON " + QuotedIfNeeded(table.name) + " (" + keys +
           ")" + (text.predicate.empty() ? "" : " WHERE " + text.predicate);
}

/// What ANALYZE wrote of an index: entries, and the average number of them with one first key.
void TakeStatistics(sqlite3* db, const CatalogTable& table, health::IndexDescription* index) {
    Result<Stmt> stat =
        Stmt::Prepare(db, "SELECT stat FROM " + Quoted(table.schema) +
                              ".sqlite_stat1 WHERE lower(tbl) = lower(?1) AND lower(idx) = "
                              "lower(?2)");
    if (!stat.ok() || !stat.value().Bind(1, table.name).Bind(2, index->name).Step()) {
        return;
    }
    const std::string_view text = stat.value().Text(0);
    double entries = 0;
    double each = 0;
    const auto first = std::from_chars(text.data(), text.data() + text.size(), entries);
    if (first.ec != std::errc() || first.ptr == text.data() + text.size()) {
        return;
    }
    index->entries = entries;
    const auto second = std::from_chars(first.ptr + 1, text.data() + text.size(), each);
    if (second.ec == std::errc() && each >= 1) {
        index->distinct_values = entries / each;
    }
}

/// Sizes of a schema's trees where measuring is cheap, else nothing.
class Sizes {
  public:
    explicit Sizes(sqlite3* db) : db_(db) {}

    std::optional<int64_t> Of(const std::string& schema, const std::string& name) {
        const TreeBytes* tree = Find(schema, name);
        return tree == nullptr ? std::nullopt : std::optional(tree->bytes);
    }

    /// What is not empty, which is what a rebuild leaves.
    std::optional<double> Filled(const std::string& schema, const std::string& name) {
        const TreeBytes* tree = Find(schema, name);
        return tree == nullptr ? std::nullopt
                               : std::optional(static_cast<double>(tree->bytes - tree->unused));
    }

  private:
    const TreeBytes* Find(const std::string& schema, const std::string& name) {
        const auto [place, is_new] = known_.try_emplace(schema);
        if (is_new && SchemaBytes(db_, schema) <= kMeasuredBytes) {
            place->second = MeasureTrees(db_, schema);
        }
        const auto size = place->second.find(Lower(name));
        return size == place->second.end() ? nullptr : &size->second;
    }

    sqlite3* db_;
    std::map<std::string, std::map<std::string, TreeBytes>> known_;
};

health::IndexDescription Describe(const CatalogTable& table, const CatalogIndex& index,
                                  const std::vector<CatalogColumn>& columns) {
    const IndexText text = ScanIndex(index.sql);
    health::IndexDescription out;
    out.table_name = ShownName(table.schema, table.name);
    out.schema_sql = QuotedIfNeeded(table.schema);
    out.name = index.name;
    out.access_method = "btree";
    for (size_t i = 0; i < index.keys.size(); ++i) {
        // NULLs are the smallest values, so they come first exactly where a key ascends.
        out.keys.push_back({KeyExpression(index, i, text, columns), Lower(index.keys[i].collation),
                            "", index.keys[i].is_descending, !index.keys[i].is_descending});
    }
    out.predicate = index.is_partial ? text.predicate : "";
    out.is_unique = index.is_unique;
    out.backs_constraint = index.backs_constraint;
    out.create_sql = CreateSql(table, index, text);
    out.rebuild_sql = "REINDEX " + Dotted(table.schema, index.name);
    out.drop_sql = "DROP INDEX " + Dotted(table.schema, index.name);
    return out;
}

/// How often captured statements used the indexes; nothing where that is not known.
class Uses {
  public:
    explicit Uses(sqlite3* db) {
        try {
            uses_ = CapturedIndexUse(db);
        } catch (const Error&) {  // a damaged state file, say: `capabilities` tells
            uses_ = {};
        }
    }
    const IndexUse* Of(const std::string& schema, const std::string& name) const {
        const auto found = uses_.by_index.find(Lower(name));
        const bool is_known = schema == "main" && found != uses_.by_index.end();
        return is_known && uses_.since_us != 0 ? &found->second : nullptr;
    }
    std::optional<int64_t> FullScans(const CatalogTable& table) const {
        if (table.schema != "main" || uses_.since_us == 0) {
            return std::nullopt;
        }
        const auto found = uses_.full_scans.find(Lower(table.name));
        return found == uses_.full_scans.end() ? 0 : found->second;
    }
    int64_t since_us() const { return uses_.since_us; }

  private:
    IndexUses uses_;
};

/// Pages are those of the whole file where measuring would take long: more than it has, and what
/// an index saves is then overrated, not underrated.
health::TableFacts FactsOf(sqlite3* db, const CatalogTable& table, Sizes& sizes, const Uses& uses) {
    health::TableFacts facts;
    if (const std::optional<int64_t> rows = EstimateRows(db, table)) {
        facts.rows = static_cast<double>(*rows);
    }
    const int64_t page_bytes = PageBytes(db, table.schema);
    const int64_t bytes =
        sizes.Of(table.schema, table.name).value_or(SchemaBytes(db, table.schema));
    if (page_bytes > 0) {
        facts.pages = bytes / page_bytes;
    }
    facts.full_scans = uses.FullScans(table);
    return facts;
}

/// Is the column another name of the rowid? Such a key needs no index.
bool IsRowid(const CatalogTable& table, const std::vector<CatalogColumn>& columns,
             const std::string& name) {
    const auto primaries = std::count_if(columns.begin(), columns.end(),
                                         [](const CatalogColumn& one) { return one.is_primary; });
    return !table.is_without_rowid && primaries == 1 &&
           std::any_of(columns.begin(), columns.end(), [&](const CatalogColumn& one) {
               return one.is_primary && Lower(one.name) == Lower(name) &&
                      Lower(one.type) == "integer";
           });
}

bool IsNullable(sqlite3* db, const CatalogTable& table, const std::string& column) {
    int not_null = 1;
    sqlite3_table_column_metadata(db, table.schema.c_str(), table.name.c_str(), column.c_str(),
                                  nullptr, nullptr, &not_null, nullptr, nullptr);
    return not_null == 0;
}

/// The column as declared: a foreign key may write it in another case.
std::string Declared(const std::vector<CatalogColumn>& columns, std::string_view name) {
    for (const CatalogColumn& column : columns) {
        if (Lower(column.name) == Lower(name)) {
            return column.name;
        }
    }
    return std::string(name);
}

void ReadForeignKeys(sqlite3* db, const CatalogTable& table, int64_t table_id,
                     const std::vector<CatalogColumn>& columns,
                     std::vector<health::ForeignKeyFacts>* keys) {
    Stmt rows(db,
              "PRAGMA " + Quoted(table.schema) + ".foreign_key_list(" + Quoted(table.name) + ")");
    int64_t last = -1;
    std::vector<health::ForeignKeyFacts> found;
    while (rows.Step()) {
        if (rows.Integer(kKeyId) != last) {
            last = rows.Integer(kKeyId);
            health::ForeignKeyFacts key;
            key.table_id = table_id;
            key.table_name = ShownName(table.schema, table.name);
            key.table_sql = QuotedIfNeeded(table.name);
            key.schema_sql = QuotedIfNeeded(table.schema);
            key.base_name = table.name;
            key.referenced_table = ShownName(table.schema, std::string(rows.Text(kParentTable)));
            found.push_back(std::move(key));
        }
        const std::string column = Declared(columns, rows.Text(kChildColumn));
        found.back().columns.push_back(column);
        found.back().columns_sql.push_back(QuotedIfNeeded(column));
    }
    for (health::ForeignKeyFacts& key : found) {
        const std::string& first = key.columns.front();
        key.needs_no_index = key.columns.size() == 1 && IsRowid(table, columns, first);
        key.is_nullable = key.columns.size() == 1 && IsNullable(db, table, first);
        key.child_rows = EstimateRows(db, table);
        keys->push_back(std::move(key));
    }
}

}  // namespace

bool IsUserTable(const CatalogTable& table) {
    return table.kind == TableKind::kTable && !Lower(table.name).starts_with("sqlite_");
}

std::string ShownTable(const CatalogTable& table) {
    return ShownName(table.schema, table.name);
}

std::optional<int64_t> HighestRowid(sqlite3* db, const CatalogTable& table) {
    if (table.is_without_rowid) {
        return std::nullopt;
    }
    // Fails where a column of another type is called rowid: then nothing is known.
    Result<Stmt> highest =
        Stmt::Prepare(db, "SELECT max(rowid) FROM " + Qualified(table.schema, table.name));
    if (!highest.ok() || !highest.value().Step()) {
        return std::nullopt;
    }
    return std::max<int64_t>(highest.value().Integer(0), 0);
}

std::optional<int64_t> AnalysedRows(sqlite3* db, const CatalogTable& table) {
    Result<Stmt> stat = Stmt::Prepare(
        db, "SELECT stat FROM " + Quoted(table.schema) +
                ".sqlite_stat1 WHERE lower(tbl) = lower(?1) ORDER BY idx IS NULL LIMIT 1");
    if (!stat.ok() || !stat.value().Bind(1, table.name).Step()) {
        return std::nullopt;
    }
    const std::string_view text = stat.value().Text(0);
    int64_t rows = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), rows);
    return parsed.ec == std::errc() ? std::optional(rows) : std::nullopt;
}

std::optional<int64_t> EstimateRows(sqlite3* db, const CatalogTable& table) {
    const std::optional<int64_t> analysed = AnalysedRows(db, table);
    return analysed ? analysed : HighestRowid(db, table);
}

int64_t PageBytes(sqlite3* db, const std::string& schema) {
    Stmt size(db, "PRAGMA " + Quoted(schema) + ".page_size");
    return size.Step() ? size.Integer(0) : 0;
}

int64_t SchemaBytes(sqlite3* db, const std::string& schema) {
    Stmt pages(db, "PRAGMA " + Quoted(schema) + ".page_count");
    Stmt size(db, "PRAGMA " + Quoted(schema) + ".page_size");
    return pages.Step() && size.Step() ? pages.Integer(0) * size.Integer(0) : 0;
}

std::map<std::string, TreeBytes> MeasureTrees(sqlite3* db, const std::string& schema) {
    std::map<std::string, TreeBytes> sizes;
    Result<Stmt> trees = Stmt::Prepare(
        db, "SELECT name, pgsize, unused FROM dbstat WHERE schema = ?1 AND aggregate = 1");
    if (!trees.ok()) {
        return sizes;
    }
    trees.value().Bind(1, schema);
    while (trees.value().Step()) {
        sizes[Lower(trees.value().Text(0))] = {trees.value().Integer(1), trees.value().Integer(2)};
    }
    return sizes;
}

health::IndexInventory ReadInventory(sqlite3* db) {
    const Catalog catalog(db);
    Sizes sizes(db);
    const Uses uses(db);
    health::IndexInventory inventory;
    inventory.host = Hosts::kSqlite;
    if (uses.since_us() != 0) {
        inventory.counters_age_s =
            std::max(0.0, static_cast<double>(WallClockUs() - uses.since_us()) / 1e6);
    }
    int64_t table_id = 0;
    for (const CatalogTable& table : catalog.tables()) {
        if (!IsUserTable(table)) {
            continue;
        }
        ++table_id;
        const std::vector<CatalogColumn> columns = ReadColumns(db, table.schema, table.name);
        const std::vector<CatalogIndex> indexes = ReadIndexes(db, table.schema, table.name);
        for (const CatalogIndex& index : indexes) {
            health::IndexDescription described = Describe(table, index, columns);
            described.table_id = table_id;
            described.size_bytes = sizes.Of(table.schema, index.name);
            described.expected_bytes = sizes.Filled(table.schema, index.name);
            described.measured_by = "dbstat, by which the rest of its pages is empty";
            TakeStatistics(db, table, &described);
            const IndexUse* use = uses.Of(table.schema, index.name);
            if (use != nullptr && use->is_certain) {
                described.scans = use->scans;
                described.writes = use->writes;
            }
            inventory.indexes.push_back(std::move(described));
        }
        ReadForeignKeys(db, table, table_id, columns, &inventory.foreign_keys);
        const std::optional<int64_t> rows = HighestRowid(db, table);
        const std::optional<int64_t> analysed = AnalysedRows(db, table);
        inventory.table_facts[table_id] = FactsOf(db, table, sizes, uses);
        if (rows && !indexes.empty()) {  // without an index there is nothing to choose from
            const int64_t grown = std::max<int64_t>(*rows - analysed.value_or(0), 0);
            inventory.tables.push_back({ShownName(table.schema, table.name),
                                        Dotted(table.schema, table.name), *rows,
                                        analysed.has_value(), grown});
        }
    }
    return inventory;
}

std::vector<health::IndexDescription> DescribeIndexes(sqlite3* db, const CatalogTable& table) {
    const std::vector<CatalogColumn> columns = ReadColumns(db, table.schema, table.name);
    std::vector<health::IndexDescription> described;
    for (const CatalogIndex& index : ReadIndexes(db, table.schema, table.name)) {
        described.push_back(Describe(table, index, columns));
    }
    return described;
}

void IndexRows(sqlite3* db, RowSink& rows) {
    const Catalog catalog(db);
    Sizes sizes(db);
    const Uses uses(db);
    for (const CatalogTable& table : catalog.tables()) {
        if (!IsUserTable(table)) {
            continue;
        }
        Stmt origin(db, "SELECT origin FROM pragma_index_list(?1, ?2) WHERE name = ?3");
        for (const CatalogIndex& index : ReadIndexes(db, table.schema, table.name)) {
            origin.Reset();
            origin.Bind(1, table.name).Bind(2, table.schema).Bind(3, index.name);
            const bool is_primary = origin.Step() && origin.Text(0) == "pk";
            const std::optional<int64_t> size = sizes.Of(table.schema, index.name);
            const IndexUse* use = uses.Of(table.schema, index.name);
            const bool was_seen = use != nullptr && use->last_used_us != 0;
            rows.Add({table.schema, table.name, index.name,
                      index.sql.empty() ? Value() : Value(index.sql), std::string("btree"),
                      index.is_unique, is_primary, index.backs_constraint,
                      use != nullptr && use->is_certain ? Value(use->scans) : Value(), Value(),
                      Value(), size ? Value(*size) : Value(),
                      was_seen ? Value(Timestamp{use->last_used_us}) : Value(),
                      use != nullptr ? Value(Timestamp{uses.since_us()}) : Value()});
        }
    }
}

}  // namespace upkeep::sqlite
