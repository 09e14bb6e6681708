// A private in-memory connection that understands the caller's statements: databases of the same
// names, and stand-ins for functions and collations that only the caller's connection knows (they
// are never called on empty tables; on samples they give NULL).
// Used by the replica, the recorder and the sample store. Not for: tables (they differ in each).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "catalog.h"
#include "stmt.h"

namespace upkeep::sqlite {

/// Opens the connection, attaches `:memory:` databases under the caller's names, adds stand-ins and
/// copies what changes parsing and planning (quotes as strings, LIKE's case, automatic indexes …).
/// Throws Error.
PrivateConnection OpenPrivateCopy(sqlite3* caller, const Catalog& catalog);

/// What decides how a text is parsed or planned and can be asked for. Throws Error.
void CopySettings(sqlite3* caller, PrivateConnection& copy);

/// `sql` as stored in sqlite_schema (`CREATE TABLE name …`) with the schema put before the name.
std::string WithSchema(const std::string& sql, const std::string& schema);

}  // namespace upkeep::sqlite
