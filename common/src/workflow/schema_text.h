// The schema in a host's own words: statements that create it, and texts to compare with what a
// host's catalog prints. No host differs but in words, so both live here.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "upkeep/workflow/install.h"
#include "upkeep/workflow/schema.h"

namespace upkeep::workflow {

/// `name` in double quotes.
std::string QuotedName(std::string_view name);

/// `character varying(255)`, `TEXT`
std::string TypeText(SchemaHost host, const SchemaColumn& column);
/// The default's expression; empty: none.
std::string InitialText(SchemaHost host, const SchemaColumn& column);
/// All constraints of the table, the primary key first, as the host's catalog has them
/// (`as_stored`: PostgreSQL turns IN into = ANY) or as CREATE TABLE takes them.
std::vector<std::string> ConstraintTexts(SchemaHost host, const SchemaTable& table, bool as_stored);
/// What follows USING in PostgreSQL's CREATE INDEX, ON table in SQLite's.
std::string IndexText(SchemaHost host, const SchemaIndex& index, bool as_stored);

std::string CreateTableSql(SchemaHost host, std::string_view schema, const SchemaTable& table);
std::string CreateIndexSql(SchemaHost host, std::string_view schema, const SchemaIndex& index);

/// `text` without what a catalog adds or moves about: blanks, brackets, quotes around names, casts,
/// capitals; literals stay. Equal for a constraint that was just made and the same one after dump
/// and restore.
std::string Bare(std::string_view text);

}  // namespace upkeep::workflow
