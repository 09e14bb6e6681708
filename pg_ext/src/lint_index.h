// What lint_statements asks of a table's indexes and columns. C-like: may raise. Expressions of
// indexes are read as they are stored: nothing of them is evaluated.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// Name of a valid B-tree that begins with the column; "": none. palloc'd.
const char* LeadingIndex(Oid relid, AttrNumber attno);
/// Is there an index on this expression (columns numbered 1)? A parameter in it may be any
/// constant.
bool HasExpressionIndex(Oid relid, Node* expression, bool has_parameter);
/// Is there an index that serves patterns anywhere in the column (GIN or GiST on it)?
bool HasPatternIndex(Oid relid, AttrNumber attno);
bool IsNotNull(Oid relid, AttrNumber attno);
/// Do the columns include those of a unique index over the whole table, none of them NULL?
bool IsUniqueOver(Oid relid, const Bitmapset* attnos);
/// The columns of the shortest such index, the primary key first.
void AddUniqueKey(Oid relid, PlainArray<AttrNumber>* attnos);
/// Strategy of an operator in the default B-tree family of the column's type; 0: none.
int BtreeStrategy(Oid op, Oid relid, AttrNumber attno);
/// Blocks of the table itself; the planner takes one that was never analysed for ten at least.
double BlocksOf(Oid relid);
/// Has ANALYZE left anything of the table (or, of a partitioned one, of its children)?
bool HasStatistics(Oid relid);

}  // namespace upkeep::pg
