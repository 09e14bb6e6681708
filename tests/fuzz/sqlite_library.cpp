// Hands the module the library's functions, once, and takes it off new connections again.
// SPDX-License-Identifier: PostgreSQL
#include <sqlite3.h>

#include "fuzz.h"

struct sqlite3_api_routines;
extern "C" int sqlite3_upkeep_init(sqlite3* db, char** message, const sqlite3_api_routines* api);

namespace upkeep::fuzz {

sqlite3* OpenWithModule() {
    sqlite3_auto_extension(reinterpret_cast<void (*)()>(sqlite3_upkeep_init));
    sqlite3* db = nullptr;
    Check(sqlite3_open(":memory:", &db) == SQLITE_OK, sqlite3_errmsg(db));
    sqlite3_reset_auto_extension();
    return db;
}

}  // namespace upkeep::fuzz
