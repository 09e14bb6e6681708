// Sizes of databases and tables.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/base/table_function.h"

namespace upkeep::sqlite {

/// Bodies of the views `database_stats` and `table_sizes`. The latter reads every page of the
/// database where dbstat is compiled in; else it estimates from a sample. Throws Error.
void DatabaseStatRows(sqlite3* db, RowSink& rows);
void TableSizeRows(sqlite3* db, RowSink& rows);

}  // namespace upkeep::sqlite
