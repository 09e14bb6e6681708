// lint_statements: captured statements of this connection's database, their conditions read from
// the text, their tables from the catalog.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/base/table_function.h"

namespace upkeep::sqlite {

/// Throws Error.
void LintStatements(sqlite3* db, RowSink& rows);

}  // namespace upkeep::sqlite
