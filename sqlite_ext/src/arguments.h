// Values across the border to SQL: arguments in (strictly checked), results out.
// SQLite has five types where the descriptions have fifteen: booleans are 0 and 1, intervals
// integer milliseconds, times ISO-8601 text in UTC, arrays and json JSON text.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "sqlite_api.h"
#include "upkeep/base/table_function.h"

namespace upkeep::sqlite {

/// The parameter's name in SQLite: an interval `x` is `x_ms`.
std::string SqlName(const Parameter& parameter);

/// `INTEGER`, `REAL` or `TEXT`.
const char* DeclaredType(Type type);

/// The argument as the core sees it; NULL stays NULL. A number given for a text is its text; any
/// other mismatch is an error. Text must be UTF-8 without NUL bytes, blobs are refused.
/// Errors: throws Error kInvalidArgument that names the parameter.
Value FromSql(const Parameter& parameter, sqlite3_value* value);

/// Sets the context's result.
void ToSql(sqlite3_context* context, const Value& value);

/// May a value of this alternative stand where `type` is described?
bool Fits(Type type, const Value& value);

}  // namespace upkeep::sqlite
