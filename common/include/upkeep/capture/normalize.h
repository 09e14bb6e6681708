// Statement text -> its shape: the same statement with other literals, comments, case or spacing
// gives the same text. For fingerprints (SQLite) and for showing statements without their literals.
// Not for: understanding SQL. It is a tokenizer; a statement that does not parse normalises too.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace upkeep::capture {

/// What the two hosts' tokenizers disagree about: dollar quotes, E'' strings and nested comments
/// (PostgreSQL); [x] and `x` names, $x and @x parameters (SQLite).
enum class SqlDialect : uint8_t { kPostgres, kSqlite };

/// The shape of `sql`: literals and parameters as `?`, lists of them after IN as `(?)`, comments
/// left out, unquoted words in lower case (ASCII), one canonical spacing, no final semicolon.
/// Never longer than 2 x the input + 1. Note: linear time; any bytes are accepted.
std::string Normalize(std::string_view sql, SqlDialect dialect);

/// 64-bit hash of a normalised text. Stable across versions and machines: state files hold it.
int64_t Fingerprint(std::string_view normalized);

}  // namespace upkeep::capture
