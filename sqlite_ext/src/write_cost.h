// What a writing statement costs an index, in steps + 5 x pages: requested pages, and the leaf that
// is written back at commit.
//
//   insert  5 + keys steps, the way down, now and then a split
//   delete  3 + keys steps, the way down
//   update  of a column that the index reads: both, 1 step less; of others: nothing
//   partial 6 steps more for its condition, the rest times the rows that it takes
//
// Source: counted in 3.40 on tables of 20,000 and 200,000 rows (bench/README.md).
// Not for: rows that a statement writes (price.h), triggers, foreign keys' own work.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <set>

#include "relations.h"
#include "statistics.h"

namespace upkeep::sqlite {

/// How one statement writes one table.
struct TableWrite {
    bool inserts = false;
    bool replaces = false;  // INSERT OR REPLACE: taken to find a row to replace
    bool deletes = false;
    bool clears = false;            // DELETE without a condition: trees are cut off, not emptied
    std::set<std::string> changed;  // lower-case columns that an UPDATE or upsert sets
};

/// Existing indexes that a row so written is written to: an UPDATE leaves those alone that do not
/// read what it sets.
double IndexesWritten(const RelationState& relation, const TableWrite& write);

/// What one row, written once, costs one index.
struct IndexWrites {
    double inserted = 0;
    double deleted = 0;
    double updated = 0;
    double leaf_pages = 1;
    double share = 1;  // of the table's rows that are in it
};
IndexWrites WritesOf(const IndexShape& index, Statistics* statistics);

/// Does an update of these columns change the index?
bool ReadsChanged(const IndexShape& index, const RelationState& relation, const TableWrite& write);

/// One execution that writes `rows`; `is_read`: ReadsChanged.
double IndexWriteCost(const IndexWrites& index, const TableWrite& write, bool is_read, double rows);

}  // namespace upkeep::sqlite
