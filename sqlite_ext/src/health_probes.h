// What a SQLite database and this connection to it tell of their health.
// Plain PRAGMAs and stat() of the file; nothing that reads the whole file, except the foreign key
// check of a small one. The file is never opened: closing it would drop this process's locks.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "sqlite_api.h"
#include "upkeep/health/checks.h"

namespace upkeep::sqlite {

/// Of `main`, and of the tables of all attached databases. Throws Error.
std::vector<health::Observation> ProbeHealth(sqlite3* db, const health::IndexInventory& inventory);

}  // namespace upkeep::sqlite
