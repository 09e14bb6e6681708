// What writing statements cost an index, in planner units: the formula, and what it is fed with.
//
//   entries     a descent (as btcostestimate charges it) and the tuple's own CPU for each; leaf
//               pages by Mackert and Lohman, read at random_page_cost where the place is not one
//               that all inserts share, written back at seq_page_cost; WAL by its bytes
//   dead ones   their share of the vacuum that takes them out: the whole index read once for every
//               `autovacuum_vacuum_threshold + scale_factor * rows` of them
//
// Not for: how many rows a statement writes (WritesOf reads that from its plan).
// C-like: may raise, so call it inside CallHost; the two costs are arithmetic only.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// An index as the formula sees it.
struct EntryFacts {
    double pages;
    double tuples;
    double height;       // levels above the leaves
    double tuple_bytes;  // on a leaf, line pointer included
    double places;       // leaf pages that inserts go to: 1 at the end of a serial, all at random
    double share;        // of the table's rows that are in it
    double random_page_cost;
    double seq_page_cost;
};

double EntriesCost(const EntryFacts& index, double entries);
double DeadEntriesCost(const EntryFacts& index, double entries);

EntryFacts FactsOfAssumed(const HypotheticalIndex& index, double rows);

/// Attributes (not offset) that the index reads: keys, included, in expressions and predicate.
Bitmapset* AttributesOf(const HypotheticalIndex& index);

/// The existing indexes of a table and their attributes together (not offset).
struct TableIndexes {
    PlainArray<EntryFacts> entries;
    Bitmapset* attributes;
};
TableIndexes* ReadTableIndexes(Oid relid, double rows);

/// Rows that one execution writes into one table, as the planner estimates them.
struct PlainWrite {
    Oid relid;
    double inserted;
    double updated;
    double deleted;
    Bitmapset* changed;  // attributes (not offset) that updates set, generated columns too
};
PlainArray<PlainWrite>* WritesOf(PlannedStmt* plan);

/// Share of the table's rows for which an index predicate holds; NIL: 1.
double PredicateShare(Oid relid, List* predicate, double rows);

}  // namespace upkeep::pg
