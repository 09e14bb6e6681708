// What applications report of their connection pools: in this process's memory and, with setting
// `persist`, in the state file, where other processes see it. Reporting writes the state file
// itself (a private connection, a short transaction); where that is busy or fails, the report stays
// in memory and goes with the next one. Lock: a leaf of its own, never held over I/O.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "sqlite_api.h"
#include "upkeep/sessions/pool_report.h"

namespace upkeep::sqlite {

/// Keeps it as a pool of the connection's main database and of this process.
void KeepPoolReport(sqlite3* db, const sessions::PoolRecord& record);

/// Those of the connection's main database, of this and other processes. Throws Error where there
/// is a state file that cannot be read.
std::vector<sessions::PoolRecord> ReadPools(sqlite3* db);

/// The same; a state file that cannot be read is a value.
Result<std::vector<sessions::PoolRecord>> TryReadPools(sqlite3* db);

/// Where reports of this database's pools are kept, in words.
std::string WhereReportsAreKept(sqlite3* db);

}  // namespace upkeep::sqlite
