// SPDX-License-Identifier: PostgreSQL
#include "hypothetical.h"

#include "compat.h"
#include "index_size.h"

extern "C" {
#include "access/amapi.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "rewrite/rewriteManip.h"
#include "utils/snapmgr.h"
}

namespace upkeep::pg {

namespace {

/// What our own planner call assumes; query == nullptr: nothing, the hooks do nothing.
struct Assumed {
    Query* query;  // the top query of our call: another one's planning is none of our business
    HypotheticalIndex* const* indexes;
    int count;
};
Assumed assumed = {};
get_relation_info_hook_type previous_relation_info = nullptr;
explain_get_index_name_hook_type previous_index_name = nullptr;

bool IsOurPlanning(PlannerInfo* root) {
    while (root->parent_root != nullptr) {
        root = root->parent_root;
    }
    return root->parse == assumed.query;
}

/// The attribute of `relid` (the index's own relation or one of its partitions) for a key.
AttrNumber AttributeIn(const HypotheticalIndex& index, AttrNumber attno, Oid relid) {
    return relid == index.relid ? attno : get_attnum(relid, get_attname(index.relid, attno, false));
}

/// Numbers the attributes of an expression as the partition does.
struct Renumbering {
    const HypotheticalIndex* index;
    Oid relid;
};

bool Renumber(Node* node, void* context) {
    if (node != nullptr && IsA(node, Var)) {
        auto* var = reinterpret_cast<Var*>(node);
        const auto* to = static_cast<const Renumbering*>(context);
        var->varattno = AttributeIn(*to->index, var->varattno, to->relid);
        var->varattnosyn = var->varattno;
        return false;
    }
    return node != nullptr && WalkExpression(node, Renumber, context);
}

}  // namespace

List* ForRelation(const HypotheticalIndex& index, const List* trees, Oid relid) {
    List* copy = CopyTree(trees);
    if (relid != index.relid) {
        Renumbering to = {&index, relid};
        Renumber(reinterpret_cast<Node*>(copy), &to);
    }
    return copy;
}

namespace {

bool Concerns(const HypotheticalIndex& index, Oid relid) {
    if (index.relid == relid) {
        return !index.is_partitioned;
    }
    return index.is_partitioned && get_rel_relispartition(relid) &&
           get_rel_relkind(relid) == RELKIND_RELATION &&
           list_member_oid(get_partition_ancestors(relid), index.relid);
}

/// Share of the relation's rows that a partial index holds.
double PredicateSelectivity(PlannerInfo* root, RelOptInfo* rel, List* predicate) {
    if (predicate == NIL) {
        return 1;
    }
    // The planner puts the relation here only after this hook; selectivity functions look it up.
    RelOptInfo* before = root->simple_rel_array[rel->relid];
    root->simple_rel_array[rel->relid] = rel;
    const double selectivity =
        clauselist_selectivity(root, predicate, static_cast<int>(rel->relid), JOIN_INNER, nullptr);
    root->simple_rel_array[rel->relid] = before;
    return selectivity;
}

void FillColumns(const HypotheticalIndex& index, Oid relid, RelOptInfo* rel, IndexOptInfo* info) {
    const auto varno = static_cast<int>(rel->relid);
    info->ncolumns = index.column_count;
    info->nkeycolumns = index.key_count;
    info->indexkeys = static_cast<int*>(palloc0(sizeof(int) * index.column_count));
    info->canreturn = static_cast<bool*>(palloc0(sizeof(bool) * index.column_count));
    info->indexcollations = static_cast<Oid*>(palloc0(sizeof(Oid) * index.column_count));
    info->opfamily = static_cast<Oid*>(palloc0(sizeof(Oid) * index.key_count));
    info->opcintype = static_cast<Oid*>(palloc0(sizeof(Oid) * index.key_count));
    info->reverse_sort = static_cast<bool*>(palloc0(sizeof(bool) * index.key_count));
    info->nulls_first = static_cast<bool*>(palloc0(sizeof(bool) * index.key_count));
    info->opclassoptions = static_cast<bytea**>(palloc0(sizeof(bytea*) * index.column_count));
    info->indexprs = ForRelation(index, index.expressions, relid);
    info->indpred = ForRelation(index, index.predicate, relid);
    if (varno != 1) {
        ChangeVarNodes(reinterpret_cast<Node*>(info->indexprs), 1, varno, 0);
        ChangeVarNodes(reinterpret_cast<Node*>(info->indpred), 1, varno, 0);
    }
    ListCell* expression = list_head(info->indexprs);
    for (int i = 0; i < index.column_count; ++i) {
        info->canreturn[i] = index.access_method == BTREE_AM_OID;
        Expr* shown = nullptr;
        if (index.attnos[i] != 0) {
            const AttrNumber attno = AttributeIn(index, index.attnos[i], relid);
            Oid type = InvalidOid;
            int32 typmod = 0;
            Oid collation = InvalidOid;
            get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
            info->indexkeys[i] = attno;
            shown = reinterpret_cast<Expr*>(makeVar(varno, attno, type, typmod, collation, 0));
        } else {
            shown = static_cast<Expr*>(lfirst(expression));
            expression = lnext(info->indexprs, expression);
        }
        info->indextlist =
            lappend(info->indextlist,
                    makeTargetEntry(shown, static_cast<AttrNumber>(i + 1), nullptr, false));
        if (i < index.key_count) {
            info->indexcollations[i] = index.collations[i];
            info->opfamily[i] = index.families[i];
            info->opcintype[i] = index.input_types[i];
            info->reverse_sort[i] = index.descending[i];
            info->nulls_first[i] = index.nulls_first[i];
        }
    }
    info->sortopfamily = info->opfamily;
}

IndexOptInfo* ToIndexInfo(PlannerInfo* root, const HypotheticalIndex& index, Oid relid,
                          RelOptInfo* rel) {
    IndexOptInfo* info = makeNode(IndexOptInfo);
    info->indexoid = index.oid;
    info->reltablespace = index.tablespace;
    info->rel = rel;
    info->relam = index.access_method;
    FillColumns(index, relid, rel, info);
    // An index that is there tells the planner how many rows it has, whatever the statistics say.
    const double share =
        index.is_share_counted ? index.share : PredicateSelectivity(root, rel, info->indpred);
    const IndexPages size = EstimatePages(index, relid, rel->tuples * share);
    info->pages = static_cast<BlockNumber>(size.pages);
    info->tuples = size.tuples;
    info->tree_height = size.tree_height;
    info->unique = index.is_unique;
    info->immediate = true;
    info->hypothetical = true;  // the planner must not read it for the ends of its range
    // What the method can do, in its own words.
    const IndexAmRoutine* method = GetIndexAmRoutineByAmId(index.access_method, false);
    info->amcanorderbyop = method->amcanorderbyop;
    info->amoptionalkey = method->amoptionalkey;
    info->amsearcharray = method->amsearcharray;
    info->amsearchnulls = method->amsearchnulls;
    info->amhasgettuple = method->amgettuple != nullptr;
    info->amhasgetbitmap = method->amgetbitmap != nullptr;
    info->amcanparallel = method->amcanparallel;
    info->amcanmarkpos = method->ammarkpos != nullptr;
    info->amcostestimate = reinterpret_cast<void (*)()>(method->amcostestimate);
    if (!method->amcanorder) {
        info->sortopfamily = nullptr;
        info->reverse_sort = nullptr;
        info->nulls_first = nullptr;
    }
    return info;
}

[[gnu::noinline]] void AddIndexes(PlannerInfo* root, Oid relid, bool inhparent, RelOptInfo* rel) {
    if (previous_relation_info != nullptr) {
        previous_relation_info(root, relid, inhparent, rel);
    }
    if (!IsOurPlanning(root)) {
        return;
    }
    for (int i = 0; i < assumed.count; ++i) {
        if (Concerns(*assumed.indexes[i], relid) && !inhparent) {
            rel->indexlist =
                lcons(ToIndexInfo(root, *assumed.indexes[i], relid, rel), rel->indexlist);
        }
    }
}

/// For each relation of each statement that anybody plans: two tests.
void AddAssumed(PlannerInfo* root, Oid relid, bool inhparent, RelOptInfo* rel) {
    if (assumed.query != nullptr) {
        AddIndexes(root, relid, inhparent, rel);
    } else if (previous_relation_info != nullptr) {
        previous_relation_info(root, relid, inhparent, rel);
    }
}

const char* AssumedName(Oid oid) {
    for (int i = 0; assumed.query != nullptr && i < assumed.count; ++i) {
        if (assumed.indexes[i]->oid == oid) {
            return assumed.indexes[i]->name;
        }
    }
    return previous_index_name != nullptr ? previous_index_name(oid) : nullptr;
}

}  // namespace

void ForgetIndexes() {
    assumed = {};
}

PlannedStmt* PlanWith(Query* query, const char* text, HypotheticalIndex* const* indexes,
                      int count) {
    Query* copy = CopyTree(query);
    const bool needs_snapshot = !ActiveSnapshotSet();
    if (needs_snapshot) {
        PushActiveSnapshot(GetTransactionSnapshot());
    }
    assumed = {copy, indexes, count};
    // Not planner(): other modules' planner hooks are not to count what nobody runs.
    PlannedStmt* plan = standard_planner(copy, text, CURSOR_OPT_PARALLEL_OK, nullptr);
    assumed = {};
    if (needs_snapshot) {
        PopActiveSnapshot();
    }
    return plan;
}

char* ExplainPlan(PlannedStmt* plan, const char* text, HypotheticalIndex* const* indexes,
                  int count) {
    static Query anyone;  // a name is asked for without a PlannerInfo: any query will do
    ExplainState* state = NewExplainState();
    state->format = EXPLAIN_FORMAT_JSON;
    state->costs = true;
    ExplainBeginOutput(state);
    const bool needs_snapshot = !ActiveSnapshotSet();
    if (needs_snapshot) {
        PushActiveSnapshot(GetTransactionSnapshot());
    }
    assumed = {&anyone, indexes, count};
    ExplainOnePlan(plan, nullptr, state, text, nullptr, nullptr, nullptr, nullptr);
    assumed = {};
    if (needs_snapshot) {
        PopActiveSnapshot();
    }
    ExplainEndOutput(state);
    return state->str->data;
}

void InstallPlannerHooks() {
    previous_relation_info = get_relation_info_hook;
    get_relation_info_hook = AddAssumed;
    previous_index_name = explain_get_index_name_hook;
    explain_get_index_name_hook = AssumedName;
}

}  // namespace upkeep::pg
