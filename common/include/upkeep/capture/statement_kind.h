// What a statement does and to which tables, from its normalised text. For hosts that have no parse
// tree at hand (SQLite); PostgreSQL asks its planner's tree.
// Not for: exact answers. Names of common table expressions are left out, views count as tables.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <string_view>

#include "upkeep/capture/statement_table.h"

namespace upkeep::capture {

/// Operation of a text that Normalize() made. WITH … is what its main part is; EXPLAIN, PRAGMA,
/// BEGIN, DDL and the like are kUtility.
Operation OperationOf(std::string_view normalized);

/// Tables it names, each once, in order of mention, separated by '\n' (as StatementInfo wants it);
/// quotes taken off.
std::string TablesOf(std::string_view normalized);

}  // namespace upkeep::capture
