// verify_indexes: everything on a private copy of the databases that the texts name, in an unnamed
// temporary file of SQLite's own. The caller's file is only read.
//
//   Build          sqlite3_backup of each database ─▶ CREATE INDEX, ANALYZE of it where the table
//                  was analysed (as the database would be after its next ANALYZE)
//   Compare, Run   "without": the index's row is taken out of sqlite_schema, its pages stay
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "sqlite_api.h"
#include "upkeep/advisor/verify.h"

namespace upkeep::sqlite {

/// `db` outlives it.
std::unique_ptr<advisor::Verifier> MakeVerifier(sqlite3* db);

}  // namespace upkeep::sqlite
