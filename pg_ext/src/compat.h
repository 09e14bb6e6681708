// Every test of the server's version in the tree. Built for 15; written so that 16 to 18 build too.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

extern "C" {
#include "catalog/objectaddress.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "parser/parse_relation.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/backend_status.h"
#include "utils/rel.h"
}

#if PG_VERSION_NUM < 150000
#error "upkeep needs PostgreSQL 15 or later"
#endif

namespace upkeep::pg {

/// Number of this backend's transaction: another one after its end.
inline LocalTransactionId OwnTransaction() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

/// Number of a backend's place among the server's processes, from 0; below MaxBackends.
inline int ProcNumberOf(PGPROC* proc) {
#if PG_VERSION_NUM >= 170000
    return GetNumberFromPGProc(proc);
#else
    return proc->pgprocno;
#endif
}
inline int OwnProcNumber() {
    return ProcNumberOf(MyProc);
}

/// Is there an advisory lock among this backend's locks of one partition? The caller holds its
/// lock.
inline bool HasAdvisoryLockIn(int partition) {
    bool found = false;
    const auto look = [&](const PROCLOCK* held) {
        found = found ||
                (held->holdMask != 0 && held->tag.myLock->tag.locktag_type == LOCKTAG_ADVISORY);
    };
#if PG_VERSION_NUM >= 160000
    dlist_iter at;
    dlist_foreach(at, &MyProc->myProcLocks[partition]) {
        look(dlist_container(PROCLOCK, procLink, at.cur));
    }
#else
    SHM_QUEUE* all = &MyProc->myProcLocks[partition];
    for (void* at = SHMQueueNext(all, all, offsetof(PROCLOCK, procLink)); at != nullptr;
         at = SHMQueueNext(all, &static_cast<PROCLOCK*>(at)->procLink,
                           offsetof(PROCLOCK, procLink))) {
        look(static_cast<PROCLOCK*>(at));
    }
#endif
    return found;
}

/// Settings under our prefix that nobody defined are errors, not placeholders.
inline void ReservePrefix(const char* prefix) {
    MarkGUCPrefixReserved(prefix);
}

/// Tree walkers without a prototype (up to 15) seen with the one that is meant.
using Walker = bool (*)(Node*, void*);
inline bool WalkExpression(Node* node, Walker walker, void* context) {
    return expression_tree_walker(
        node, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context);
}
inline bool WalkQuery(Query* query, Walker walker, void* context, int flags) {
    return query_tree_walker(
        query, reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker)), context, flags);
}
using Mutator = Node* (*)(Node*, void*);
inline Node* MutateExpression(Node* node, Mutator mutator, void* context) {
    return expression_tree_mutator(
        node, reinterpret_cast<Node* (*)()>(reinterpret_cast<void (*)()>(mutator)), context);
}

/// One entry of the snapshot of sessions, 1 to pgstat_fetch_stat_numbackends().
inline const LocalPgBackendStatus* LocalBackend(int index) {
#if PG_VERSION_NUM >= 160000
    return pgstat_get_local_beentry_by_index(index);
#else
    return pgstat_fetch_stat_local_beentry(index);
#endif
}

/// Does the text of the statement (or of a view in it) name this table? Partitions and children
/// that the planner added are checked for nobody.
inline bool IsMentioned(const RangeTblEntry* entry) {
#if PG_VERSION_NUM >= 160000
    return entry->perminfoindex != 0;
#else
    return entry->requiredPerms != 0;
#endif
}

/// Columns that a planned UPDATE, MERGE or ON CONFLICT sets in its target; offset.
inline Bitmapset* UpdatedColumns(PlannedStmt* plan, const RangeTblEntry* target) {
#if PG_VERSION_NUM >= 160000
    return target->perminfoindex == 0
               ? nullptr
               : getRTEPermissionInfo(plan->permInfos, const_cast<RangeTblEntry*>(target))
                     ->updatedCols;
#else
    static_cast<void>(plan);
    return target->updatedCols;
#endif
}

/// Columns of a table whose change makes a HOT update impossible; offset.
inline Bitmapset* HotBlockingAttributes(Relation relation) {
#if PG_VERSION_NUM >= 160000
    return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_HOT_BLOCKING);
#else
    return RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_ALL);
#endif
}

/// CREATE INDEX of an analysed statement, checked and built as the command does it.
inline ObjectAddress DefineIndexNow(Oid table, IndexStmt* statement) {
#if PG_VERSION_NUM >= 160000
    return DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid, -1, false, true, true,
                       false, false);
#else
    return DefineIndex(table, statement, InvalidOid, InvalidOid, InvalidOid, false, true, true,
                       false, false);
#endif
}

/// copyObject() is a C macro.
template <typename Tree>
Tree* CopyTree(const Tree* tree) {
    return static_cast<Tree*>(copyObjectImpl(tree));
}

}  // namespace upkeep::pg
