// Estimated pages of a B-tree, deduplication counted.
// Source: nbtree's own rules (README "Notes about deduplication", nbtsort.c): posting lists of up
// to a tenth of a page, leaves filled to 90 %, inner pages to 70 %, one line pointer a tuple.
// C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// `rows` rows of the index's table are in it.
IndexPages EstimatePages(const HypotheticalIndex& index, Oid relid, double rows);

/// Leaf pages, of `pages`, that new rows go to: 1 where the keys follow the order in which rows
/// come (a serial, a time), one for each value where there are few, else all of them.
double InsertionPlaces(Oid relid, const AttrNumber* attnos, int key_count, double rows,
                       double pages);

}  // namespace upkeep::pg
