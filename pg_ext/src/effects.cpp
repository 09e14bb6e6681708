// SPDX-License-Identifier: PostgreSQL
#include "effects.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "compat.h"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace upkeep::pg {

namespace {

/// Volatile because their result changes, not because of what they do.
constexpr const char* kHarmless[] = {"clock_timestamp",
                                     "currval",
                                     "gen_random_uuid",
                                     "lastval",
                                     "pg_blocking_pids",
                                     "pg_current_wal_flush_lsn",
                                     "pg_current_wal_insert_lsn",
                                     "pg_current_wal_lsn",
                                     "pg_cursor",
                                     "pg_database_size",
                                     "pg_get_replication_slots",
                                     "pg_indexes_size",
                                     "pg_is_in_recovery",
                                     "pg_last_wal_receive_lsn",
                                     "pg_last_wal_replay_lsn",
                                     "pg_last_xact_replay_timestamp",
                                     "pg_lock_status",
                                     "pg_prepared_statement",
                                     "pg_prepared_xact",
                                     "pg_relation_size",
                                     "pg_sleep",
                                     "pg_sleep_for",
                                     "pg_sleep_until",
                                     "pg_table_size",
                                     "pg_tablespace_size",
                                     "pg_total_relation_size",
                                     "random",
                                     "timeofday"};

bool IsHarmless(Oid function) {
    if (function >= FirstUnpinnedObjectId) {
        return false;  // somebody's, whatever its name
    }
    const char* name = get_func_name(function);
    return name != nullptr &&
           std::any_of(std::begin(kHarmless), std::end(kHarmless),
                       [name](const char* known) { return std::strcmp(name, known) == 0; });
}

/// A function that `function` calls itself: one of those behind an aggregate, which says of itself
/// that it is immutable whatever they do. InvalidOid: none with effects.
Oid EffectBehind(Oid function) {
    HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(tuple)) {
        return InvalidOid;
    }
    const auto* aggregate = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
    Oid found = InvalidOid;
    for (const Oid part : {aggregate->aggtransfn, aggregate->aggfinalfn, aggregate->aggcombinefn,
                           aggregate->aggserialfn, aggregate->aggdeserialfn, aggregate->aggmtransfn,
                           aggregate->aggminvtransfn, aggregate->aggmfinalfn}) {
        if (OidIsValid(part) && func_volatile(part) == PROVOLATILE_VOLATILE && !IsHarmless(part)) {
            found = part;
        }
    }
    ReleaseSysCache(tuple);
    return found;
}

bool HasEffects(Oid function, void* found) {
    if (const Oid behind = EffectBehind(function); OidIsValid(behind)) {
        *static_cast<Oid*>(found) = behind;
        return true;
    }
    if (func_volatile(function) != PROVOLATILE_VOLATILE || IsHarmless(function)) {
        return false;
    }
    *static_cast<Oid*>(found) = function;
    return true;
}

void Refuse(const char* what) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", what),
             errhint("leave run out: the plan alone is made without running the statement")));
}

bool RefuseWalker(Node* node, void* context);

/// A domain's CHECK constraints are run where a value is cast to it, but stand nowhere in the
/// query.
void RefuseInChecksOf(Oid domain) {
    auto* constraints = static_cast<DomainConstraintRef*>(palloc0(sizeof(DomainConstraintRef)));
    InitDomainConstraintRef(domain, constraints, CurrentMemoryContext, false);
    ListCell* cell = nullptr;
    foreach (cell, constraints->constraints) {
        auto* constraint = static_cast<DomainConstraintState*>(lfirst(cell));
        RefuseWalker(reinterpret_cast<Node*>(constraint->check_expr), nullptr);
    }
}

bool RefuseWalker(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    if (IsA(node, Query)) {
        auto* query = reinterpret_cast<Query*>(node);
        if (query->commandType != CMD_SELECT) {
            Refuse("a statement that writes is planned, never run");
        }
        if (query->rowMarks != NIL) {
            Refuse("a statement that locks rows is planned, never run");
        }
        return WalkQuery(query, RefuseWalker, context, 0);
    }
    Oid function = InvalidOid;
    if (check_functions_in_node(node, HasEffects, &function)) {
        Refuse(
            psprintf("the statement is not run: function %s is volatile and may have effects of "
                     "its own",
                     get_func_name(function)));
    }
    if (IsA(node, CoerceToDomain)) {
        RefuseInChecksOf(reinterpret_cast<CoerceToDomain*>(node)->resulttype);
    }
    return WalkExpression(node, RefuseWalker, context);
}

}  // namespace

void RefuseEffects(Query* query) {
    RefuseWalker(reinterpret_cast<Node*>(query), nullptr);
}

}  // namespace upkeep::pg
