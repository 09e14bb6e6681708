// Building indexes for a test and running statements beside them: the server's calls of
// verify_indexes. C-like: may raise, so call inside CallHost; all memory is the caller's context's.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "analyse.h"
#include "hidden_indexes.h"
#include "plain.h"

namespace upkeep::pg {

/// One CREATE INDEX text as it will be built: in a transaction, so never concurrently.
struct PlannedIndex {
    const char* text;
    IndexStmt* statement;
    Oid table;
    const char* table_name;
    List* relations;  // the table, its partitions, and what it is a part of
};

/// Parses, checks ownership before anything is locked, then the size; keeps no lock if run in a
/// subtransaction that is rolled back.
/// Errors (raised): 22023, 42501, 42P01, 42P07, 54000 (larger than the limit), 55P03.
PlannedIndex* CheckIndex(const char* text, int64_t max_table_bytes);

/// Waits no longer for a lock than this, until the surrounding subtransaction ends.
inline constexpr int kLockWaitMs = 1000;
void WaitShortly();

/// Locks the tables of all and builds them, in the current subtransaction.
/// Errors (raised): 55P03 with the table's name; the server's own.
PlainArray<FreshIndex> BuildIndexes(PlannedIndex* const* planned, int count);

/// A statement before anything is built. Errors (raised): as AnalyseStatement.
struct Looked {
    bool reads_indexed_table;
    bool has_parameters;
    bool is_rewritten;  // by a rule, into none or several
};
Looked LookAt(const char* text, PlannedIndex* const* planned, int count);
/// Raises why the statement, which is one without parameters, is not run (effects.h).
bool RefuseToRun(const char* text);

/// The plans of the statement as text, without costs; everything that is planned is only planned.
char* PlanText(const char* text, bool is_hidden);

/// Executes the statement, reading only; its time in milliseconds. The rows go nowhere.
double TimeRun(const char* text, bool is_hidden);

}  // namespace upkeep::pg
