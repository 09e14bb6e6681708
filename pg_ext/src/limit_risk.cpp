// SPDX-License-Identifier: PostgreSQL
#include "limit_risk.h"

#include <algorithm>
#include <cmath>

#include "compat.h"
#include "index_sample.h"
#include "spi_select.h"

extern "C" {
#include "access/genam.h"
#include "access/relation.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
}

namespace upkeep::pg {

namespace {

// Rows of a sample. Whole pages of it: some hundred.
constexpr double kSampleRows = 5000;
// A walk that costs no more than this beyond the hope is not worth asking about.
constexpr double kSmallRisk = 0.1;

struct Search {
    PlannedStmt* plan;
    HypotheticalIndex* const* indexes;
    int count;
    PlainArray<HopefulWalk> found;
};

/// What an index walks along, as the plan's scan of it needs it.
struct WalkedIndex {
    List* expressions;  // those of the keys without a column, Vars numbered 1
    List* predicate;    // implicitly AND-ed, Vars numbered 1
    int key_count;
    AttrNumber attnos[INDEX_MAX_KEYS];
    bool descending[INDEX_MAX_KEYS];
    bool nulls_first[INDEX_MAX_KEYS];
};

bool IsUnknown(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    return IsA(node, Param) || IsA(node, SubPlan) || IsA(node, AlternativeSubPlan) ||
           WalkExpression(node, IsUnknown, context);
}

/// Columns of an index-only scan's own tuples, as those of the table.
Node* ToTable(Node* node, void* context) {
    if (node == nullptr) {
        return nullptr;
    }
    if (IsA(node, Var) && reinterpret_cast<Var*>(node)->varno == INDEX_VAR) {
        auto* columns = static_cast<List*>(context);
        const int at = reinterpret_cast<Var*>(node)->varattno - 1;
        return reinterpret_cast<Node*>(
            CopyTree(static_cast<TargetEntry*>(list_nth(columns, at))->expr));
    }
    return MutateExpression(node, ToTable, context);
}

/// Conditions of a scan in SQL over `sampled`; nullptr: they cannot be evaluated here.
const char* ConditionText(List* conditions, List* index_columns, Index varno, Oid relid) {
    Node* all = reinterpret_cast<Node*>(CopyTree(make_ands_explicit(conditions)));
    if (index_columns != NIL) {
        all = ToTable(all, index_columns);
    }
    if (IsUnknown(all, nullptr) || contain_volatile_functions(all) || CallsOthers(all, nullptr)) {
        return nullptr;
    }
    if (varno != 1) {
        ChangeVarNodes(all, static_cast<int>(varno), 1, 0);
    }
    return deparse_expression(all, deparse_context_for("sampled", relid), false, false);
}

WalkedIndex* FromAssumed(const HypotheticalIndex& index, Oid relid) {
    auto* walked = static_cast<WalkedIndex*>(palloc0(sizeof(WalkedIndex)));
    if (index.relid != relid) {  // stands on the root of partitions
        return nullptr;
    }
    walked->expressions = index.expressions;
    walked->predicate = index.predicate;
    walked->key_count = index.key_count;
    for (int i = 0; i < index.key_count; ++i) {
        walked->attnos[i] = index.attnos[i];
        walked->descending[i] = index.descending[i];
        walked->nulls_first[i] = index.nulls_first[i];
    }
    return walked;
}

WalkedIndex* FromReal(Oid oid) {
    auto* walked = static_cast<WalkedIndex*>(palloc0(sizeof(WalkedIndex)));
    Relation index = index_open(oid, AccessShareLock);
    walked->expressions = CopyTree(RelationGetIndexExpressions(index));
    walked->predicate = CopyTree(RelationGetIndexPredicate(index));
    walked->key_count = IndexRelationGetNumberOfKeyAttributes(index);
    for (int i = 0; i < walked->key_count; ++i) {
        walked->attnos[i] = index->rd_index->indkey.values[i];
        walked->descending[i] = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
        walked->nulls_first[i] = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
    }
    index_close(index, AccessShareLock);
    return walked;
}

WalkedIndex* IndexOf(const Search& search, Oid oid, Oid relid) {
    for (int i = 0; i < search.count; ++i) {
        if (search.indexes[i]->oid == oid) {
            return FromAssumed(*search.indexes[i], relid);
        }
    }
    return FromReal(oid);
}

/// ORDER BY of a walk, without its words; nullptr: unknown.
const char* OrderText(const WalkedIndex& index, bool is_backwards, Oid relid) {
    StringInfoData text;
    initStringInfo(&text);
    ListCell* expression = list_head(index.expressions);
    for (int i = 0; i < index.key_count; ++i) {
        const char* key = nullptr;
        if (index.attnos[i] > 0) {
            key = psprintf("sampled.%s",
                           quote_identifier(get_attname(relid, index.attnos[i], false)));
        } else if (expression != nullptr) {
            auto* tree = static_cast<Node*>(lfirst(expression));
            expression = lnext(index.expressions, expression);
            if (CallsOthers(tree, nullptr)) {
                return nullptr;
            }
            key = psprintf("(%s)", deparse_expression(tree, deparse_context_for("sampled", relid),
                                                      false, false));
        } else {
            return nullptr;
        }
        appendStringInfo(&text, "%s%s%s NULLS %s", i > 0 ? ", " : "", key,
                         index.descending[i] != is_backwards ? " DESC" : "",
                         index.nulls_first[i] != is_backwards ? "FIRST" : "LAST");
    }
    return text.data;
}

/// A scan that may have to read rows in vain, as far as its own node tells.
struct FilteredScan {
    Scan* scan;
    Oid index;  // InvalidOid: the table itself
    List* index_conditions;
    List* index_columns;  // of an index-only scan
    bool is_backwards;
};

bool ToFilteredScan(Plan* plan, FilteredScan* out) {
    *out = {reinterpret_cast<Scan*>(plan), InvalidOid, NIL, NIL, false};
    switch (nodeTag(plan)) {
        case T_SeqScan:
            break;
        case T_IndexScan: {
            auto* scan = reinterpret_cast<IndexScan*>(plan);
            if (scan->indexorderby != NIL) {  // by distance: another order than the keys'
                return false;
            }
            out->index = scan->indexid;
            out->index_conditions = scan->indexqualorig;
            out->is_backwards = ScanDirectionIsBackward(scan->indexorderdir);
            break;
        }
        case T_IndexOnlyScan: {
            auto* scan = reinterpret_cast<IndexOnlyScan*>(plan);
            if (scan->indexorderby != NIL) {
                return false;
            }
            out->index = scan->indexid;
            out->index_conditions = scan->indexqual;
            out->index_columns = scan->indextlist;
            out->is_backwards = ScanDirectionIsBackward(scan->indexorderdir);
            break;
        }
        default:
            return false;
    }
    return plan->qual != NIL;
}

/// The scan whose rows reach the LIMIT one by one, as they are read.
Plan* ScanUnder(Plan* plan) {
    while (plan != nullptr) {
        switch (nodeTag(plan)) {
            case T_SubqueryScan:
                plan = reinterpret_cast<SubqueryScan*>(plan)->subplan;
                break;
            case T_LockRows:
            case T_Result:
            case T_IncrementalSort:
            case T_Unique:
            case T_Gather:
            case T_GatherMerge:
            case T_NestLoop:
                plan = plan->lefttree;
                break;
            default:
                return plan;
        }
    }
    return nullptr;
}

/// Fills in the texts. What cannot be told leaves `filter` empty: then the worst is feared.
void AddTexts(const Search& search, const FilteredScan& scan, HopefulWalk* walk) {
    walk->conditions = "";
    walk->order = "";
    const Index varno = scan.scan->scanrelid;
    List* conditions = NIL;
    if (OidIsValid(scan.index)) {
        const WalkedIndex* index = IndexOf(search, scan.index, walk->relid);
        walk->order =
            index != nullptr ? OrderText(*index, scan.is_backwards, walk->relid) : nullptr;
        if (walk->order == nullptr) {
            return;
        }
        conditions = CopyTree(index->predicate);
        if (varno != 1) {
            ChangeVarNodes(reinterpret_cast<Node*>(conditions), 1, static_cast<int>(varno), 0);
        }
        conditions = list_concat(conditions, CopyTree(scan.index_conditions));
    }
    if (conditions != NIL) {
        walk->conditions = ConditionText(conditions, scan.index_columns, varno, walk->relid);
        if (walk->conditions == nullptr) {
            return;
        }
    }
    walk->filter = ConditionText(scan.scan->plan.qual, scan.index_columns, varno, walk->relid);
}

void AddWalk(Search* search, const Plan* limit) {
    const Plan* below = limit->lefttree;
    FilteredScan scan = {};
    Plan* read = ScanUnder(limit->lefttree);
    if (read == nullptr || !ToFilteredScan(read, &scan)) {
        return;
    }
    const RangeTblEntry* entry = rt_fetch(scan.scan->scanrelid, search->plan->rtable);
    const double run = below->total_cost - below->startup_cost;
    if (entry->rtekind != RTE_RELATION || run <= 0 ||
        below->total_cost - limit->total_cost <= kSmallRisk * limit->total_cost) {
        return;
    }
    HopefulWalk* walk = search->found.Add();
    walk->hoped = limit->total_cost;
    walk->startup = below->startup_cost;
    walk->whole = below->total_cost;
    walk->wanted =
        std::max(1.0, read->plan_rows *
                          std::clamp((limit->total_cost - below->startup_cost) / run, 0.0, 1.0));
    walk->relid = entry->relid;
    AddTexts(*search, scan, walk);
}

void Visit(Search* search, Plan* plan);

void VisitAll(Search* search, List* plans) {
    ListCell* cell = nullptr;
    foreach (cell, plans) {
        Visit(search, static_cast<Plan*>(lfirst(cell)));
    }
}

void Visit(Search* search, Plan* plan) {
    if (plan == nullptr) {
        return;
    }
    check_stack_depth();
    switch (nodeTag(plan)) {
        case T_Limit:
            AddWalk(search, plan);
            break;
        case T_Append:
            VisitAll(search, reinterpret_cast<Append*>(plan)->appendplans);
            break;
        case T_MergeAppend:
            VisitAll(search, reinterpret_cast<MergeAppend*>(plan)->mergeplans);
            break;
        case T_SubqueryScan:
            Visit(search, reinterpret_cast<SubqueryScan*>(plan)->subplan);
            break;
        default:
            break;
    }
    Visit(search, plan->lefttree);
    Visit(search, plan->righttree);
}

double FloatCell(HeapTuple tuple, TupleDesc shape, int column) {
    bool is_null = false;
    const Datum value = SPI_getbinval(tuple, shape, column, &is_null);
    return is_null ? 0 : DatumGetFloat8(value);
}

}  // namespace

PlainArray<HopefulWalk> HopefulWalks(PlannedStmt* plan, HypotheticalIndex* const* indexes,
                                     int count) {
    Search search = {plan, indexes, count, {}};
    Visit(&search, plan->planTree);
    VisitAll(&search, plan->subplans);
    return search.found;
}

const char* SampleQuery(const HopefulWalk& walk) {
    if (walk.filter == nullptr) {
        return nullptr;
    }
    double part = 1;
    const char* sample = SampleOf(walk.relid, kSampleRows, &part);
    // Of what passes the filter, that row which stands for the last one wanted.
    const double skipped = std::max(0.0, std::ceil(walk.wanted * part) - 1);
    return psprintf(
        "SELECT place::pg_catalog.float8, walked::pg_catalog.float8, passed::pg_catalog.float8,"
        " %.0f::pg_catalog.float8 FROM (SELECT (%s) AS passes,"
        " pg_catalog.row_number() OVER (ORDER BY %s) AS place,"
        " pg_catalog.count(*) OVER () AS walked,"
        " pg_catalog.count(*) FILTER (WHERE (%s)) OVER () AS passed %s%s%s) AS walk"
        " WHERE passes ORDER BY place OFFSET %.0f LIMIT 1",
        skipped, walk.filter, walk.order[0] != '\0' ? walk.order : "sampled.ctid", walk.filter,
        sample, walk.conditions[0] != '\0' ? " WHERE " : "", walk.conditions, skipped);
}

double ShareOfWalk(const char* query) {
    const CellTable<double> got = Select<double>(query, {}, FloatCell);
    if (got.rows != 1 || got.cells[1] <= 0) {
        return 1;
    }
    const double share = (got.cells[0] - 1) / got.cells[1];
    const double before = got.cells[3] + 1;  // rows that pass, this one included
    // Evenly spread, it stands at before / (passed + 1) of the way, give or take; once in some
    // hundred samples farther than this.
    const double expected = (before + 3 * std::sqrt(before)) / (got.cells[2] + 1);
    return share <= expected ? 0 : share;
}

double RiskOf(const HopefulWalk& walk, double share) {
    return std::max(0.0, walk.startup + share * (walk.whole - walk.startup) - walk.hoped);
}

}  // namespace upkeep::pg
