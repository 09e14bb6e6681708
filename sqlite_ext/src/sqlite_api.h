// The one header that includes SQLite. Every call goes through the api pointer that the host hands
// to sqlite3_upkeep_init, so the module links to no libsqlite3 and serves the one it is loaded by.
//
// Floor: SQLite 3.38 (entry.cpp refuses older ones). Use only members that 3.38 has; anything
// newer, and what builds may leave out (progress_handler, unlock_notify, trace), is NULL-tested in
// `sqlite3_api` before use. The api pointer itself is defined in entry.cpp
// (SQLITE_EXTENSION_INIT1). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

namespace upkeep::sqlite {
inline constexpr int kOldestVersion = 3038000;
}  // namespace upkeep::sqlite
