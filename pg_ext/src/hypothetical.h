// Hypothetical indexes inside the planner: visible to our own planner call only.
// C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// From a CREATE INDEX text, or from columns. `number` makes the oid distinct within one port.
/// Errors (raised): 42P01, 42703 and the server's others for what does not exist; 0A000 for access
/// methods, operator classes and relations that cannot be assumed; 42501 without SELECT.
HypotheticalIndex* ParseIndex(const char* create_index, int number);

struct KeyRequest {
    AttrNumber attno;
    bool descending;
    bool nulls_first;
};
HypotheticalIndex* MakeIndex(Oid relid, const KeyRequest* keys, int key_count,
                             const AttrNumber* included, int included_count, int number);

/// Expressions or predicate of an index as a partition numbers its columns.
List* ForRelation(const HypotheticalIndex& index, const List* trees, Oid relid);

/// The plan of one query of a statement with these indexes assumed.
PlannedStmt* PlanWith(Query* query, const char* text, HypotheticalIndex* const* indexes, int count);

/// Oids of the indexes a plan uses, assumed and real, in plan order, each once.
List* IndexesOfPlan(PlannedStmt* plan);

/// EXPLAIN (FORMAT JSON) of a plan that PlanWith made, with the names of `indexes`.
char* ExplainPlan(PlannedStmt* plan, const char* text, HypotheticalIndex* const* indexes,
                  int count);

/// Takes our planner hooks out of use; called on every way out of PlanWith and ExplainPlan.
/// Plain stores: never raises.
void ForgetIndexes();

/// Chains our hooks into the planner's. To be called once, in _PG_init.
void InstallPlannerHooks();

}  // namespace upkeep::pg
