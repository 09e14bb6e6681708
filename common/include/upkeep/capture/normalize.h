// Statement text -> its shape: the same statement with other literals, comments, case or spacing
// gives the same text. For fingerprints (SQLite) and for showing statements without their literals.
// Not for: understanding SQL. It is a tokenizer; a statement that does not parse normalises too.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace upkeep::capture {

/// What the two hosts' tokenizers disagree about: dollar quotes, E'' strings and nested comments
/// (PostgreSQL); [x] and `x` names, $x and @x parameters (SQLite).
enum class SqlDialect : uint8_t { kPostgres, kSqlite };

/// The shape of `sql`: literals and parameters as `?`, lists of them after IN as `(?)`, comments
/// left out, unquoted words in lower case (ASCII), one canonical spacing, no final semicolon.
/// `strings`: offsets of words in double quotes that are literals (quoted_words.h).
/// Never longer than 2 x the input + 1. Note: linear time; any bytes are accepted.
std::string Normalize(std::string_view sql, SqlDialect dialect,
                      std::span<const uint32_t> strings = {});

/// The same with what lint_statements cannot see any more once literals are gone: `/* %... */`
/// behind a LIKE or GLOB pattern that begins with a wildcard. Normalize() of it is the shape again.
std::string NormalizeWithNotes(std::string_view sql, SqlDialect dialect,
                               std::span<const uint32_t> strings = {});

/// What is to stand in a comment behind the constant or parameter at a byte offset: a type's name.
struct TextNote {
    int offset = 0;
    std::string_view text;
};

/// How literals of a text are found.
struct MaskOptions {
    SqlDialect dialect = SqlDialect::kPostgres;
    bool backslash = false;                // standard_conforming_strings is off
    int first_number = 1;                  // the first constant becomes $1
    bool is_numbered = true;               // false: each becomes ?
    std::span<const TextNote> notes = {};  // for ReplaceConstants, ascending
};

/// `sql` with the constants at these byte offsets (ascending, each once, a leading minus is part of
/// one) as $1, $2 …, everything else as it was written but for comments (left out: they may carry
/// data) and string literals nobody named (`?`). What pg_stat_statements shows, without comments
/// but for our notes: those of `options`, and `/* %... */` behind a LIKE pattern that begins with a
/// wildcard.
std::string ReplaceConstants(std::string_view sql, std::span<const int> offsets,
                             const MaskOptions& options);

/// The same with every literal of the text; parameters stay.
std::string MaskLiterals(std::string_view sql, const MaskOptions& options);

/// `sql` with its literals and without its comments, each `$n` (PostgreSQL's parameters) replaced
/// by values[n - 1], which are SQL already. nullopt: it names a parameter that has no value.
std::optional<std::string> WithValues(std::string_view sql,
                                      std::span<const std::string_view> values,
                                      const MaskOptions& options);

/// 64-bit hash of a normalised text. Stable across versions and machines: state files hold it.
int64_t Fingerprint(std::string_view normalized);

}  // namespace upkeep::capture
