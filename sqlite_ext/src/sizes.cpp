// SPDX-License-Identifier: PostgreSQL
#include "sizes.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "index_inventory.h"
#include "relations.h"
#include "replica.h"
#include "stmt.h"

namespace upkeep::sqlite {

namespace {

struct Tree {
    int64_t bytes = 0;
    int64_t unused = 0;
};

struct Sizes {
    int64_t table = 0;
    int64_t indexes = 0;
    std::optional<double> empty_ratio;  // measured only
};

/// B-trees of a schema by lower-case name; none where dbstat is not compiled in (or denied).
std::optional<std::map<std::string, Tree>> Measure(sqlite3* db, const std::string& schema) {
    Result<Stmt> stmt = Stmt::Prepare(
        db, "SELECT name, pgsize, unused FROM dbstat WHERE schema = ?1 AND aggregate = 1");
    if (!stmt.ok()) {
        return std::nullopt;
    }
    std::map<std::string, Tree> trees;
    stmt.value().Bind(1, schema);
    while (stmt.value().Step()) {
        trees[Lower(stmt.value().Text(0))] = {stmt.value().Integer(1), stmt.value().Integer(2)};
    }
    return trees;
}

Sizes Measured(sqlite3* db, const CatalogTable& table, const std::map<std::string, Tree>& trees) {
    const auto tree = [&](const std::string& name) {
        const auto place = trees.find(Lower(name));
        return place == trees.end() ? Tree() : place->second;
    };
    Sizes sizes;
    const Tree own = tree(table.name);
    sizes.table = own.bytes;
    // What whole pages would be left if the rows lay close together.
    const int64_t page_bytes = std::max<int64_t>(PageBytes(db, table.schema), 1);
    const int64_t needed = (own.bytes - own.unused + page_bytes - 1) / page_bytes * page_bytes;
    sizes.empty_ratio =
        own.bytes == 0 ? 0 : 1 - static_cast<double>(needed) / static_cast<double>(own.bytes);
    for (const CatalogIndex& index : ReadIndexes(db, table.schema, table.name)) {
        sizes.indexes += tree(index.name).bytes;
    }
    return sizes;
}

/// The advisor's estimates, made only where they are needed.
class Estimator {
  public:
    Estimator(sqlite3* db, const Catalog& catalog) : db_(db), catalog_(catalog) {}

    Sizes Of(const CatalogTable& table) {
        if (relations_ == nullptr) {
            replica_ = std::make_unique<Replica>(db_, catalog_);
            relations_ = std::make_unique<Relations>(db_, catalog_, *replica_);
        }
        const advisor::Relation& facts =
            relations_->at(relations_->Meet(table.schema, table.name)).facts;
        Sizes sizes;
        sizes.table = std::llround(facts.size_bytes);
        for (const advisor::ExistingIndex& index : facts.indexes) {
            sizes.indexes += std::llround(index.size_bytes);
        }
        return sizes;
    }

  private:
    sqlite3* db_;
    const Catalog& catalog_;
    std::unique_ptr<Replica> replica_;
    std::unique_ptr<Relations> relations_;
};

Value OrNull(const std::optional<int64_t>& number) {
    return number ? Value(*number) : Value();
}

/// Pages found in this connection's cache, of all it asked for.
Value CacheHitRatio(sqlite3* db) {
    int hits = 0;
    int misses = 0;
    int unused = 0;
    if (sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &unused, 0) != SQLITE_OK ||
        sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_MISS, &misses, &unused, 0) != SQLITE_OK ||
        static_cast<int64_t>(hits) + misses <= 0) {
        return {};
    }
    return static_cast<double>(hits) / (static_cast<double>(hits) + misses);
}

}  // namespace

void DatabaseStatRows(sqlite3* db, RowSink& rows) {
    const Catalog catalog(db);
    for (const std::string& schema : catalog.schemas()) {
        rows.Add({schema, Value(), Value(), Value(), Value(), Value(), Value(), Value(),
                  CacheHitRatio(db), Value(), Value(), Value(), SchemaBytes(db, schema), Value(),
                  Value(), Value()});
    }
}

void TableSizeRows(sqlite3* db, RowSink& rows) {
    const Catalog catalog(db);
    Estimator estimator(db, catalog);
    std::map<std::string, std::optional<std::map<std::string, Tree>>> measured;
    for (const CatalogTable& table : catalog.tables()) {
        if (!IsUserTable(table)) {
            continue;
        }
        const auto [trees, is_new] = measured.try_emplace(table.schema);
        if (is_new) {
            trees->second = Measure(db, table.schema);
        }
        const Sizes sizes =
            trees->second ? Measured(db, table, *trees->second) : estimator.Of(table);
        rows.Add({ShownTable(table), OrNull(EstimateRows(db, table)), Value(), sizes.table,
                  sizes.indexes, Value(), sizes.table + sizes.indexes,
                  sizes.empty_ratio ? Value(*sizes.empty_ratio) : Value(), Value(), Value()});
    }
}

}  // namespace upkeep::sqlite
