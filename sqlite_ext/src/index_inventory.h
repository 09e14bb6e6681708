// The connection's indexes, foreign keys and statistics, read for the core.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "catalog.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::sqlite {

/// Databases above this are measured only where a call is about sizes: dbstat reads every page.
inline constexpr int64_t kMeasuredBytes = int64_t{64} << 20;

/// Is it a table of the user's own, with rows in this database?
bool IsUserTable(const CatalogTable& table);

/// Its name as a user writes it: quoted and qualified where needed.
std::string ShownTable(const CatalogTable& table);

/// Rows by sqlite_stat1, else by the highest rowid; none for a WITHOUT ROWID table never analysed.
/// One descent of a B-tree at most. Throws Error.
std::optional<int64_t> EstimateRows(sqlite3* db, const CatalogTable& table);
/// The same by the highest rowid only: not older than the last write.
std::optional<int64_t> HighestRowid(sqlite3* db, const CatalogTable& table);
/// Rows of the table when it was last analysed; none: never.
std::optional<int64_t> AnalysedRows(sqlite3* db, const CatalogTable& table);

/// Bytes of a schema's file in use or free: pages times page size.
int64_t PageBytes(sqlite3* db, const std::string& schema);
int64_t SchemaBytes(sqlite3* db, const std::string& schema);

struct TreeBytes {
    int64_t bytes = 0;
    int64_t unused = 0;  // of them
};

/// Bytes of each B-tree of a schema by lower-case name; empty where dbstat is not compiled in.
/// Reads every page. Throws Error.
std::map<std::string, TreeBytes> MeasureTrees(sqlite3* db, const std::string& schema);

/// Throws Error.
health::IndexInventory ReadInventory(sqlite3* db);

/// The indexes of one table, without their sizes and use. Throws Error.
std::vector<health::IndexDescription> DescribeIndexes(sqlite3* db, const CatalogTable& table);

/// Body of the view `indexes`.
void IndexRows(sqlite3* db, RowSink& rows);

}  // namespace upkeep::sqlite
