// SPDX-License-Identifier: PostgreSQL
#include "fresh_indexes.h"

#include <algorithm>

#include "compat.h"
#include "effects.h"

extern "C" {
#include "access/relation.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

constexpr int kQuotedBytes = 60;  // of a text that is refused

IndexStmt* ParseIndexText(const char* text) {
    List* parsed = raw_parser(text, RAW_PARSE_DEFAULT);
    if (list_length(parsed) != 1 || !IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("not one CREATE INDEX statement: %s",
                               pnstrdup(text, pg_mbcliplen(text, static_cast<int>(strlen(text)),
                                                           kQuotedBytes))),
                        errhint("write CREATE INDEX ON table (column, ...), each as a text of its "
                                "own")));
    }
    auto* statement = castNode(IndexStmt, linitial_node(RawStmt, parsed)->stmt);
    statement->concurrent = false;
    statement->if_not_exists = false;
    return statement;
}

void RefuseName(const IndexStmt* statement, Oid table) {
    if (statement->idxname != nullptr &&
        OidIsValid(get_relname_relid(statement->idxname, get_rel_namespace(table)))) {
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
                        errmsg("relation \"%s\" already exists", statement->idxname),
                        errhint("an index that exists needs no test: leave it out, or give the new "
                                "one another name")));
    }
}

int64_t BytesOf(Oid table) {
    Relation relation = relation_open(table, AccessShareLock);
    const int64_t bytes = RELKIND_HAS_STORAGE(relation->rd_rel->relkind)
                              ? int64_t{RelationGetNumberOfBlocks(relation)} * BLCKSZ
                              : 0;
    relation_close(relation, NoLock);
    return bytes;
}

void RefuseLarge(const PlannedIndex* planned, int64_t max_table_bytes) {
    int64_t bytes = 0;
    ListCell* cell = nullptr;
    foreach (cell, planned->relations) {
        bytes += BytesOf(lfirst_oid(cell));
    }
    if (bytes > max_table_bytes) {
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("table \"%s\" has %lld bytes, max_table_bytes is %lld", planned->table_name,
                        static_cast<long long>(bytes), static_cast<long long>(max_table_bytes)),
                 errhint("raise max_table_bytes if its writers may wait for the build and all "
                         "runs, or verify on a copy")));
    }
}

bool IsPartitioned(Oid relation) {
    return get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE;
}

/// As the command itself: the table and, of a partitioned one, all its partitions.
void LockForBuild(PlannedIndex* planned) {
    const Oid table = RangeVarGetRelidExtended(planned->statement->relation, ShareLock, 0,
                                               RangeVarCallbackOwnsRelation, nullptr);
    if (table != planned->table) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("table \"%s\" was replaced meanwhile", planned->table_name),
                        errhint("call again")));
    }
    if (IsPartitioned(table)) {
        find_all_inheritors(table, ShareLock, nullptr);
    }
}

Oid Define(PlannedIndex* planned) {
    IndexStmt* statement =
        transformIndexStmt(planned->table, CopyTree(planned->statement), planned->text);
    const ObjectAddress made = DefineIndexNow(planned->table, statement);
    CommandCounterIncrement();
    return made.objectId;
}

void AddFresh(Oid index, PlainArray<FreshIndex>* fresh) {
    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple)) {
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("index %u was not built", index)));
    }
    const auto* form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    // Broken HOT chains: only who begins after this transaction may use it, so never we ourselves.
    *fresh->Add() = {index, form->indrelid, !form->indcheckxmin};
    ReleaseSysCache(tuple);
}

/// What planning and running leave behind goes at once: there may be thousands of runs in a call.
/// After an error it goes with the call.
MemoryContext EnterScratch() {
    return MemoryContextSwitchTo(
        AllocSetContextCreate(CurrentMemoryContext, "upkeep trial", ALLOCSET_DEFAULT_SIZES));
}

void LeaveScratch(MemoryContext outer) {
    MemoryContext scratch = MemoryContextSwitchTo(outer);
    MemoryContextDelete(scratch);
}

void Announce(const PlannedIndex* planned, int number, int count) {
    ereport(NOTICE,
            (errmsg("building index %d of %d on \"%s\"", number, count, planned->table_name)));
}

}  // namespace

void WaitShortly() {
    // Until the subtransaction ends. A shorter wait of the caller's stays.
    if (LockTimeout == 0 || LockTimeout > kLockWaitMs) {
        set_config_option("lock_timeout", psprintf("%d", kLockWaitMs), PGC_USERSET, PGC_S_SESSION,
                          GUC_ACTION_LOCAL, true, 0, false);
    }
}

PlannedIndex* CheckIndex(const char* text, int64_t max_table_bytes) {
    auto* planned = static_cast<PlannedIndex*>(palloc0(sizeof(PlannedIndex)));
    planned->text = text;
    planned->statement = ParseIndexText(text);
    WaitShortly();
    planned->table = RangeVarGetRelidExtended(planned->statement->relation, AccessShareLock, 0,
                                              RangeVarCallbackOwnsRelation, nullptr);
    planned->table_name = get_rel_name(planned->table);
    const bool is_partitioned = IsPartitioned(planned->table);
    if (is_partitioned && !planned->statement->relation->inh) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("an index on only the root of a partitioned table serves no statement"),
                 errhint("leave out ONLY")));
    }
    RefuseName(planned->statement, planned->table);
    planned->relations = is_partitioned
                             ? find_all_inheritors(planned->table, AccessShareLock, nullptr)
                             : list_make1_oid(planned->table);
    RefuseLarge(planned, max_table_bytes);
    if (get_rel_relispartition(planned->table)) {
        planned->relations =
            list_concat(planned->relations, get_partition_ancestors(planned->table));
    }
    return planned;
}

PlainArray<FreshIndex> BuildIndexes(PlannedIndex* const* planned, int count) {
    // Locks in one order, whatever the order of the texts; then the texts in theirs.
    auto** by_table = static_cast<PlannedIndex**>(palloc(sizeof(PlannedIndex*) * (count + 1)));
    std::copy_n(planned, count, by_table);
    std::sort(by_table, by_table + count, [](const PlannedIndex* left, const PlannedIndex* right) {
        return left->table < right->table;
    });
    for (int i = 0; i < count; ++i) {
        LockForBuild(by_table[i]);
    }
    PlainArray<FreshIndex> fresh;
    for (int i = 0; i < count; ++i) {
        Announce(planned[i], i + 1, count);
        const Oid index = Define(planned[i]);
        ListCell* cell = nullptr;
        foreach (cell, find_all_inheritors(index, NoLock, nullptr)) {
            AddFresh(lfirst_oid(cell), &fresh);
        }
    }
    return fresh;
}

Looked LookAt(const char* text, PlannedIndex* const* planned, int count) {
    MemoryContext outer = EnterScratch();
    const PlainStatement* statement = AnalyseStatement(text);
    Looked looked = {false, statement->has_parameters, list_length(statement->queries) != 1};
    for (int i = 0; i < count; ++i) {
        const ListCell* cell = nullptr;
        foreach (cell, planned[i]->relations) {
            looked.reads_indexed_table = looked.reads_indexed_table ||
                                         list_member_oid(statement->relations, lfirst_oid(cell));
        }
    }
    LeaveScratch(outer);
    return looked;
}

bool RefuseToRun(const char* text) {
    MemoryContext outer = EnterScratch();
    RefuseEffects(linitial_node(Query, AnalyseStatement(text)->queries));
    LeaveScratch(outer);
    return true;
}

char* PlanText(const char* text, bool is_hidden) {
    MemoryContext outer = EnterScratch();
    PlainStatement* statement = AnalyseStatement(text);
    HideWatched(is_hidden);
    PushActiveSnapshot(GetTransactionSnapshot());
    ExplainState* state = NewExplainState();
    state->costs = false;
    ListCell* cell = nullptr;
    foreach (cell, statement->queries) {
        auto* query = lfirst_node(Query, cell);
        query->queryId = 0;  // who counts planning is not to count ours
        PlannedStmt* plan = planner(query, text, CURSOR_OPT_PARALLEL_OK, nullptr);
        ExplainOnePlan(plan, nullptr, state, text, nullptr, nullptr, nullptr, nullptr);
    }
    PopActiveSnapshot();
    HideWatched(false);
    char* plans = MemoryContextStrdup(outer, state->str->data);
    LeaveScratch(outer);
    return plans;
}

double TimeRun(const char* text, bool is_hidden) {
    MemoryContext outer = EnterScratch();
    // Until the subtransaction ends.
    set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                      true, 0, false);
    PlainStatement* statement = AnalyseStatement(text);
    auto* query = linitial_node(Query, statement->queries);
    RefuseEffects(query);
    HideWatched(is_hidden);
    query->queryId = 0;
    PushActiveSnapshot(GetTransactionSnapshot());
    PlannedStmt* plan = planner(query, text, CURSOR_OPT_PARALLEL_OK, nullptr);
    plan->queryId = 0;  // who counts statements is not to count what was asked of us
    QueryDesc* run = CreateQueryDesc(plan, text, GetActiveSnapshot(), InvalidSnapshot,
                                     None_Receiver, nullptr, nullptr, 0);
    instr_time start;
    instr_time end;
    INSTR_TIME_SET_CURRENT(start);
    ExecutorStart(run, 0);
    ExecutorRun(run, ForwardScanDirection, 0, true);
    ExecutorFinish(run);
    ExecutorEnd(run);
    INSTR_TIME_SET_CURRENT(end);
    FreeQueryDesc(run);
    PopActiveSnapshot();
    HideWatched(false);
    LeaveScratch(outer);
    INSTR_TIME_SUBTRACT(end, start);
    return INSTR_TIME_GET_MILLISEC(end);
}

}  // namespace upkeep::pg
