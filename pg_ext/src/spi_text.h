// SQL through SPI with texts in and out: for catalog queries and DDL, where speed is no matter.
// Runs with the caller's rights and search_path in the caller's transaction.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

namespace upkeep::pg {

using TextRow = std::vector<std::string>;  // NULL is the empty string

/// All rows of one query; $1, $2 … are `arguments`, of type text. Sees what this command has done.
/// Note: throws HostError.
std::vector<TextRow> QueryTexts(const char* sql, const std::vector<std::string>& arguments);

/// One statement without a result. Note: throws HostError.
void RunSql(const std::string& sql);

}  // namespace upkeep::pg
