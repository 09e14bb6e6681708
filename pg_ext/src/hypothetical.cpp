// SPDX-License-Identifier: PostgreSQL
#include "hypothetical.h"

#include "compat.h"
#include "index_size.h"

extern "C" {
#include "access/nbtree.h"
#include "catalog/catalog.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/index_selfuncs.h"
#include "utils/rel.h"
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
    info->indexprs = CopyTree(index.expressions);
    info->indpred = CopyTree(index.predicate);
    if (varno != 1) {
        ChangeVarNodes(reinterpret_cast<Node*>(info->indexprs), 1, varno, 0);
        ChangeVarNodes(reinterpret_cast<Node*>(info->indpred), 1, varno, 0);
    }
    ListCell* expression = list_head(info->indexprs);
    for (int i = 0; i < index.column_count; ++i) {
        info->canreturn[i] = true;
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
    info->reltablespace = InvalidOid;
    info->rel = rel;
    info->relam = BTREE_AM_OID;
    FillColumns(index, relid, rel, info);
    const double share = PredicateSelectivity(root, rel, info->indpred);
    const IndexPages size = EstimatePages(index, relid, rel->tuples * share);
    info->pages = static_cast<BlockNumber>(size.pages);
    info->tuples = size.tuples;
    info->tree_height = size.tree_height;
    info->immediate = true;
    info->hypothetical = true;  // the planner must not read it for the ends of its range
    info->amoptionalkey = true;
    info->amsearcharray = true;
    info->amsearchnulls = true;
    info->amhasgettuple = true;
    info->amhasgetbitmap = true;
    info->amcanparallel = true;
    info->amcanmarkpos = true;
    info->amcostestimate = reinterpret_cast<void (*)()>(btcostestimate);
    return info;
}

void AddAssumed(PlannerInfo* root, Oid relid, bool inhparent, RelOptInfo* rel) {
    if (previous_relation_info != nullptr) {
        previous_relation_info(root, relid, inhparent, rel);
    }
    if (assumed.query == nullptr || !IsOurPlanning(root)) {
        return;
    }
    for (int i = 0; i < assumed.count; ++i) {
        if (Concerns(*assumed.indexes[i], relid) && !inhparent) {
            rel->indexlist =
                lcons(ToIndexInfo(root, *assumed.indexes[i], relid, rel), rel->indexlist);
        }
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

/// An oid that no relation has; from the far end, where counters are last to come.
Oid FreeOid(int number) {
    Oid oid = PG_UINT32_MAX - 1 - static_cast<Oid>(number);
    while (get_rel_name(oid) != nullptr) {
        oid -= 100003;
    }
    return oid;
}

void RefuseRelation(Oid relid) {
    const char kind = get_rel_relkind(relid);
    if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW && kind != RELKIND_PARTITIONED_TABLE) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("\"%s\" is a %s: it cannot have an index", get_rel_name(relid),
                        kind == RELKIND_VIEW            ? "view"
                        : kind == RELKIND_FOREIGN_TABLE ? "foreign table"
                                                        : "relation without rows of its own"),
                 errhint("Assume indexes on the tables behind it.")));
    }
    if (IsCatalogRelationOid(relid)) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("\"%s\" is a system catalog: indexes there are the server's own",
                               get_rel_name(relid))));
    }
    if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(relid));
    }
}

HypotheticalIndex* Allocate(Oid relid, int key_count, int column_count, int number) {
    auto* index = static_cast<HypotheticalIndex*>(palloc0(sizeof(HypotheticalIndex)));
    index->oid = FreeOid(number);
    index->relid = relid;
    index->key_count = key_count;
    index->column_count = column_count;
    index->attnos = static_cast<AttrNumber*>(palloc0(sizeof(AttrNumber) * column_count));
    index->types = static_cast<Oid*>(palloc0(sizeof(Oid) * column_count));
    index->typmods = static_cast<int32*>(palloc0(sizeof(int32) * column_count));
    index->collations = static_cast<Oid*>(palloc0(sizeof(Oid) * column_count));
    index->families = static_cast<Oid*>(palloc0(sizeof(Oid) * key_count));
    index->input_types = static_cast<Oid*>(palloc0(sizeof(Oid) * key_count));
    index->descending = static_cast<bool*>(palloc0(sizeof(bool) * key_count));
    index->nulls_first = static_cast<bool*>(palloc0(sizeof(bool) * key_count));
    index->is_partitioned = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
    return index;
}

void SetColumn(HypotheticalIndex* index, int position, AttrNumber attno) {
    index->attnos[position] = attno;
    get_atttypetypmodcoll(index->relid, attno, &index->types[position], &index->typmods[position],
                          &index->collations[position]);
}

void SetOperatorClass(HypotheticalIndex* index, int key, List* opclass) {
    const Oid type = index->types[key];
    const Oid resolved = ResolveOpClass(opclass, type, "btree", BTREE_AM_OID);
    index->families[key] = get_opclass_family(resolved);
    index->input_types[key] = get_opclass_input_type(resolved);
}

void SetElement(HypotheticalIndex* index, int position, IndexElem* element) {
    if (element->name != nullptr) {
        const AttrNumber attno = get_attnum(index->relid, element->name);
        if (attno == InvalidAttrNumber) {
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("column \"%s\" does not exist", element->name)));
        }
        if (attno < 0) {
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("index creation on system columns is not supported")));
        }
        SetColumn(index, position, attno);
    } else {
        Node* expression = eval_const_expressions(nullptr, element->expr);
        fix_opfuncids(expression);
        index->expressions = lappend(index->expressions, expression);
        index->types[position] = exprType(expression);
        index->typmods[position] = exprTypmod(expression);
        index->collations[position] = exprCollation(expression);
    }
    if (position >= index->key_count) {
        return;
    }
    if (element->collation != NIL) {
        index->collations[position] = get_collation_oid(element->collation, false);
    }
    SetOperatorClass(index, position, element->opclass);
    index->descending[position] = element->ordering == SORTBY_DESC;
    index->nulls_first[position] = element->nulls_ordering == SORTBY_NULLS_DEFAULT
                                       ? index->descending[position]
                                       : element->nulls_ordering == SORTBY_NULLS_FIRST;
}

/// The name that the server would choose: `table_column_…_idx`, free in the table's schema.
char* ChooseName(Oid relid, List* elements) {
    char columns[NAMEDATALEN * 2] = "";
    ListCell* cell = nullptr;
    foreach (cell, elements) {
        auto* element = lfirst_node(IndexElem, cell);
        const size_t used = strlen(columns);
        snprintf(columns + used, sizeof(columns) - used, "%s%s", used > 0 ? "_" : "",
                 element->name != nullptr ? element->name : "expr");
    }
    return ChooseRelationName(get_rel_name(relid), columns, "idx", get_rel_namespace(relid), false);
}

}  // namespace

HypotheticalIndex* ParseIndex(const char* create_index, int number) {
    List* parsed = raw_parser(create_index, RAW_PARSE_DEFAULT);
    if (list_length(parsed) != 1 || !IsA(linitial_node(RawStmt, parsed)->stmt, IndexStmt)) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("not one CREATE INDEX statement: %s",
                               pnstrdup(create_index,
                                        pg_mbcliplen(create_index,
                                                     static_cast<int>(strlen(create_index)), 60))),
                        errhint("Write CREATE INDEX ON table (column, …).")));
    }
    auto* statement = castNode(IndexStmt, linitial_node(RawStmt, parsed)->stmt);
    if (statement->accessMethod != nullptr && strcmp(statement->accessMethod, "btree") != 0) {
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("an index of type %s cannot be assumed", statement->accessMethod),
                 errhint("Only B-trees can: leave out USING, or build it and look at EXPLAIN.")));
    }
    const Oid relid = RangeVarGetRelid(statement->relation, AccessShareLock, false);
    RefuseRelation(relid);
    statement = transformIndexStmt(relid, statement, create_index);
    const int key_count = list_length(statement->indexParams);
    const int column_count = key_count + list_length(statement->indexIncludingParams);
    if (column_count > INDEX_MAX_KEYS) {
        ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
                        errmsg("cannot use more than %d columns in an index", INDEX_MAX_KEYS)));
    }
    HypotheticalIndex* index = Allocate(relid, key_count, column_count, number);
    int position = 0;
    ListCell* cell = nullptr;
    foreach (cell, statement->indexParams) {
        SetElement(index, position++, lfirst_node(IndexElem, cell));
    }
    foreach (cell, statement->indexIncludingParams) {
        SetElement(index, position++, lfirst_node(IndexElem, cell));
    }
    if (statement->whereClause != nullptr) {
        Node* predicate = eval_const_expressions(nullptr, statement->whereClause);
        predicate =
            reinterpret_cast<Node*>(canonicalize_qual(reinterpret_cast<Expr*>(predicate), false));
        index->predicate = make_ands_implicit(reinterpret_cast<Expr*>(predicate));
        fix_opfuncids(reinterpret_cast<Node*>(index->predicate));
    }
    index->name = statement->idxname != nullptr ? pstrdup(statement->idxname)
                                                : ChooseName(relid, statement->indexParams);
    return index;
}

HypotheticalIndex* MakeIndex(Oid relid, const KeyRequest* keys, int key_count,
                             const AttrNumber* included, int included_count, int number) {
    HypotheticalIndex* index = Allocate(relid, key_count, key_count + included_count, number);
    for (int i = 0; i < key_count; ++i) {
        SetColumn(index, i, keys[i].attno);
        SetOperatorClass(index, i, NIL);
        index->descending[i] = keys[i].descending;
        index->nulls_first[i] = keys[i].nulls_first;
    }
    for (int i = 0; i < included_count; ++i) {
        SetColumn(index, key_count + i, included[i]);
    }
    index->name = psprintf("upkeep_%d", number);
    return index;
}

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
