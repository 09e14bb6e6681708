// Which words in double quotes of a statement are strings: what a connection knows of words.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sqlite_api.h"

namespace upkeep::sqlite {

/// For capture::Normalize. To be called from the statement's own trace callback, once for a text:
/// it looks at the schema, runs no SQL, and leaves no error of its own on the connection.
std::vector<uint32_t> StringsOf(sqlite3_stmt* stmt, std::string_view sql);

}  // namespace upkeep::sqlite
