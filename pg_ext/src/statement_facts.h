// What the server's trees tell about a statement: plain answers, no C++ objects. May raise.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "upkeep/capture/statement_table.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/plannodes.h"
#include "tcop/cmdtag.h"
}

namespace upkeep::pg {

inline constexpr size_t kTablesRoom = 192;

capture::Operation OperationOf(CmdType command);

/// Names of the tables that the statement mentions, separated by '\n', as the caller would write
/// them; cut after a whole name.
void NamesOfTables(const PlannedStmt* planned, char (&out)[kTablesRoom]);
/// The same before planning: tables of subqueries after those of the statement itself.
void NamesOfQueryTables(Query* query, char (&out)[kTablesRoom]);
/// A relation as the caller would write it, in the current memory context; nullptr: it is gone.
const char* NameOfRelation(Oid relation);
void NameOfUtilityTable(const Node* utility, char (&out)[kTablesRoom]);

/// Whole-table scans and sorts in a plan.
struct PlanShape {
    uint32_t full_scans;
    uint32_t sorts;
};
PlanShape ShapeOf(const PlannedStmt* planned);

/// Is it counted by itself? PREPARE, EXECUTE and DEALLOCATE are not: what they run is.
bool IsCountedUtility(const Node* utility);
/// Rows that a utility statement handled; 0 of one that tells nothing (`completion` may be null).
uint64_t RowsOf(const QueryCompletion* completion);
/// May its text hold a password? Then the tag is all that is kept.
bool MayHoldPassword(const Node* utility);
/// What the server would compute as query id of a utility statement.
uint64_t FingerprintOfUtility(const char* text, int length);

/// EXPLAIN (FORMAT JSON) of a query that ran, in the current memory context, with what its nodes
/// did if they were instrumented; nullptr: failed.
const char* PlanOf(QueryDesc* query);
/// Its bound parameters; nullptr: none.
const char* ParametersOf(QueryDesc* query);
/// Its bound parameters as SQL literals with their types, in the query's memory. False: they cannot
/// be told (variables of a function, long values, an output function that fails).
bool LiteralsOf(QueryDesc* query, const char*** literals, int* count);

}  // namespace upkeep::pg
