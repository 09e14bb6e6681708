// One text of several statements -> its statements, for hosts whose users paste scripts (SQLite).
// Knows quotes and comments of SQLite's tokenizer and nothing else: no trigger bodies.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string_view>
#include <vector>

namespace upkeep {

/// The statements between semicolons, trimmed, without the semicolon; parts of nothing but white
/// space and comments are left out. Views into `sql`. Note: linear time; any bytes are accepted.
std::vector<std::string_view> SplitSql(std::string_view sql);

}  // namespace upkeep
