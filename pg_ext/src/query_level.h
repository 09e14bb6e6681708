// One level of a query while it is walked: query_walk.cpp opens levels, query_clauses.cpp notes
// what their clauses ask of the base relations. C-like: may raise. SPDX-License-Identifier:
// PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// One query level. `use_of[rti]` is the position of the relation's use, -1: not a base relation;
/// `level_of[rti]` the level of a subquery or CTE.
struct Level {
    Query* query;
    Level* parent;
    PlainStatement* statement;
    int* use_of;
    Level** level_of;
};

/// A base relation's column, found behind subqueries and views. use < 0: none.
struct Column {
    int use = -1;
    AttrNumber attno = 0;
};
/// Without binary coercions.
Node* Bare(Node* node);
/// Follows a Var to the base relation's column that it shows.
Column Resolve(Level* level, Node* node);
/// Does a LIKE pattern begin with a literal that a B-tree in byte order can serve?
bool HasLiteralPrefix(Node* pattern);
bool IsLike(Oid operator_oid);
/// The B-tree strategy of an operator for the default operator class of its left input, 0: none.
int StrategyOf(Oid operator_oid, Oid type);

/// What one condition of the AND-ed list offers to partial, expression, GIN and trigram indexes:
/// query_kinds.cpp.
void AddKinds(Level* level, Node* clause);

/// Does the constant pattern have what an index on trigrams can look for?
bool HasTrigram(Node* pattern);
/// LIKE or ILIKE.
bool IsAnyLike(Oid operator_oid);
/// What it asks of plain columns and no index serves: query_refusals.cpp.
void NoteRefusals(Level* level, Node* clause);

/// Which columns of type json it looks into: query_json.cpp.
void NoteJson(Level* level, Node* clause);

/// Opens a level and all below it; `parent` nullptr: the statement itself.
Level* OpenLevel(Query* query, Level* parent, PlainStatement* statement);

/// `x IN (SELECT y …)`: both columns are joined.
void AddSublink(Level* level, SubLink* sublink);
void AddJoinTree(Level* level, Node* node);
/// The conditions that row-level security adds stand at the relation, not in the join tree.
void AddRowSecurity(Level* level);
/// ORDER BY keys as long as they are columns of one relation.
void AddOrder(Level* level);
void AddGroup(Level* level, List* clauses);
/// min(x) and max(x) alone read one end of an index: as good as ORDER BY x LIMIT 1.
bool AddExtremes(Node* node, void* context);

}  // namespace upkeep::pg
