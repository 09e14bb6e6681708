// What install_workflow_schema does, decided from plain facts:
//
//   arguments ─ ReadInstallRequest ─▶ request ─▶ host gathers facts ─▶ PlanInstallation ─▶ steps
//
// A host gathers the facts and runs the steps' SQL, all in one transaction. Nothing is planned
// where an object of one of our names has another shape. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"
#include "upkeep/workflow/schema.h"

namespace upkeep::workflow {

enum class SchemaHost : uint8_t { kPostgres, kSqlite };

struct InstallRequest {
    SchemaHost host = SchemaHost::kPostgres;
    const SchemaProfile* profile = nullptr;
    std::string schema;  // as the catalog has it, not quoted
    bool stamps_alembic = false;
};

struct ColumnFact {
    std::string name;
    std::string type;
    bool is_not_null = false;
    std::string initial;  // the default's expression; empty: none
};

/// Anything in the schema that has one of the names in InstallNames.
struct RelationFact {
    std::string name;
    std::string kind;                      // `table`, `index`, `view`, …
    bool is_own = true;                    // the caller may add indexes to it
    std::vector<ColumnFact> columns;       // of a table
    std::vector<std::string> constraints;  // of a table; SQLite adds STRICT
    std::string table;                     // of an index
    std::string definition;                // of an index, as IndexText; `unique ` before it if so
    bool is_valid = true;                  // of an index
};

struct InstallFacts {
    bool may_create = true;  // tables in this schema
    std::vector<RelationFact> relations;
    std::vector<std::string> revisions;  // what alembic_version holds, if it is to be stamped
};

/// One row of the result, and the statement that makes it true; empty: nothing to run.
struct InstallStep {
    std::string object_type;
    std::string object_name;
    std::string action;
    std::string sql;
};

/// Errors: kInvalidArgument (unknown profile; NULL; a system schema; guide with stamp_alembic).
Result<InstallRequest> ReadInstallRequest(const Arguments& arguments, SchemaHost host);

/// Names of all tables and indexes that the request is about.
std::vector<std::string> InstallNames(const InstallRequest& request);

/// Steps in the order in which they have to run.
/// Errors: kInvalidArgument if an object of one of the names has another shape, or alembic_version
/// holds another revision; kPermissionDenied if the caller may not create what is missing.
Result<std::vector<InstallStep>> PlanInstallation(const InstallRequest& request,
                                                  const InstallFacts& facts);

/// The CHECK constraints in SQLite's text of a table (no catalog of SQLite has them):
/// `CHECK (…)` each. Literals, quoted names and comments are understood, nothing else is parsed.
std::vector<std::string> SqliteChecks(std::string_view create_table);

}  // namespace upkeep::workflow
