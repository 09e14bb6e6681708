// In an error handler: no palloc, no catalog, no stack check (it raises). So the walk over the plan
// states is our own, with a bound on its depth and on the nodes it takes.
// SPDX-License-Identifier: PostgreSQL
#include "unfinished.h"

extern "C" {
#include "executor/instrument.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
}

namespace upkeep::pg {

namespace {

using capture::UnfinishedNode;

constexpr uint32_t kMostDepth = 200;

struct NodeName {
    NodeTag tag;
    const char* name;
};
constexpr NodeName kNames[] = {{T_Result, "Result"},
                               {T_ProjectSet, "ProjectSet"},
                               {T_ModifyTable, "ModifyTable"},
                               {T_Append, "Append"},
                               {T_MergeAppend, "Merge Append"},
                               {T_RecursiveUnion, "Recursive Union"},
                               {T_BitmapAnd, "BitmapAnd"},
                               {T_BitmapOr, "BitmapOr"},
                               {T_NestLoop, "Nested Loop"},
                               {T_MergeJoin, "Merge Join"},
                               {T_HashJoin, "Hash Join"},
                               {T_SeqScan, "Seq Scan"},
                               {T_SampleScan, "Sample Scan"},
                               {T_Gather, "Gather"},
                               {T_GatherMerge, "Gather Merge"},
                               {T_IndexScan, "Index Scan"},
                               {T_IndexOnlyScan, "Index Only Scan"},
                               {T_BitmapIndexScan, "Bitmap Index Scan"},
                               {T_BitmapHeapScan, "Bitmap Heap Scan"},
                               {T_TidScan, "Tid Scan"},
                               {T_TidRangeScan, "Tid Range Scan"},
                               {T_SubqueryScan, "Subquery Scan"},
                               {T_FunctionScan, "Function Scan"},
                               {T_TableFuncScan, "Table Function Scan"},
                               {T_ValuesScan, "Values Scan"},
                               {T_CteScan, "CTE Scan"},
                               {T_NamedTuplestoreScan, "Named Tuplestore Scan"},
                               {T_WorkTableScan, "WorkTable Scan"},
                               {T_ForeignScan, "Foreign Scan"},
                               {T_CustomScan, "Custom Scan"},
                               {T_Material, "Materialize"},
                               {T_Memoize, "Memoize"},
                               {T_Sort, "Sort"},
                               {T_IncrementalSort, "Incremental Sort"},
                               {T_Group, "Group"},
                               {T_Agg, "Aggregate"},
                               {T_WindowAgg, "WindowAgg"},
                               {T_Unique, "Unique"},
                               {T_SetOp, "SetOp"},
                               {T_LockRows, "LockRows"},
                               {T_Limit, "Limit"},
                               {T_Hash, "Hash"}};

const char* NameOf(NodeTag tag) {
    for (const NodeName& known : kNames) {
        if (known.tag == tag) {
            return known.name;
        }
    }
    return "Other";
}

const char* OperationOf(const ModifyTable* plan) {
    switch (plan->operation) {
        case CMD_INSERT:
            return "Insert";
        case CMD_UPDATE:
            return "Update";
        case CMD_DELETE:
            return "Delete";
        case CMD_MERGE:
            return "Merge";
        default:
            return "";
    }
}

struct NodeWalk {
    UnfinishedNodes* out;
    const List* relations;  // the range table
};

Oid RelationAt(const NodeWalk& walk, Index place) {
    if (place == 0 || static_cast<int>(place) > list_length(walk.relations)) {
        return InvalidOid;
    }
    const auto* entry =
        static_cast<const RangeTblEntry*>(list_nth(walk.relations, static_cast<int>(place) - 1));
    return entry->rtekind == RTE_RELATION ? entry->relid : InvalidOid;
}

/// The relation and index of a node that has one.
void FindRelation(const NodeWalk& walk, const Plan* plan, UnfinishedNode* node) {
    switch (nodeTag(plan)) {
        case T_IndexScan:
            node->index = reinterpret_cast<const IndexScan*>(plan)->indexid;
            break;
        case T_IndexOnlyScan:
            node->index = reinterpret_cast<const IndexOnlyScan*>(plan)->indexid;
            break;
        case T_BitmapIndexScan:
            node->index = reinterpret_cast<const BitmapIndexScan*>(plan)->indexid;
            return;
        case T_ModifyTable:
            node->relation =
                RelationAt(walk, reinterpret_cast<const ModifyTable*>(plan)->nominalRelation);
            node->detail = OperationOf(reinterpret_cast<const ModifyTable*>(plan));
            return;
        case T_SeqScan:
        case T_SampleScan:
        case T_BitmapHeapScan:
        case T_TidScan:
        case T_TidRangeScan:
        case T_ForeignScan:
        case T_CustomScan:
            break;
        default:
            return;
    }
    node->relation = RelationAt(walk, reinterpret_cast<const Scan*>(plan)->scanrelid);
}

void TakeNode(const NodeWalk& walk, const PlanState* state, uint32_t depth) {
    if (walk.out->count == UnfinishedNodes::kRoom) {
        ++walk.out->left_out;
        return;
    }
    UnfinishedNode node;
    node.depth = depth;
    node.type = NameOf(nodeTag(state->plan));
    FindRelation(walk, state->plan, &node);
    node.planned_rows = state->plan->plan_rows;
    node.total_cost = state->plan->total_cost;
    if (const Instrumentation* seen = state->instrument; seen != nullptr) {
        node.is_counted = true;
        node.rows = static_cast<uint64_t>(seen->ntuples + seen->tuplecount);
        node.loops = static_cast<uint64_t>(seen->nloops) + (seen->running ? 1 : 0);
    }
    walk.out->nodes[walk.out->count++] = node;
}

void Visit(const NodeWalk& walk, const PlanState* state, uint32_t depth);

void VisitAll(const NodeWalk& walk, PlanState* const* states, int count, uint32_t depth) {
    for (int i = 0; i < count; ++i) {
        Visit(walk, states[i], depth);
    }
}

void VisitSubplans(const NodeWalk& walk, const List* subplans, uint32_t depth) {
    for (int i = 0; i < list_length(subplans); ++i) {
        Visit(walk, static_cast<const SubPlanState*>(list_nth(subplans, i))->planstate, depth);
    }
}

/// Children that are neither on the left nor on the right.
void VisitOthers(const NodeWalk& walk, const PlanState* state, uint32_t depth) {
    switch (nodeTag(state->plan)) {
        case T_Append: {
            const auto* append = reinterpret_cast<const AppendState*>(state);
            VisitAll(walk, append->appendplans, append->as_nplans, depth);
            break;
        }
        case T_MergeAppend: {
            const auto* merge = reinterpret_cast<const MergeAppendState*>(state);
            VisitAll(walk, merge->mergeplans, merge->ms_nplans, depth);
            break;
        }
        case T_BitmapAnd: {
            const auto* both = reinterpret_cast<const BitmapAndState*>(state);
            VisitAll(walk, both->bitmapplans, both->nplans, depth);
            break;
        }
        case T_BitmapOr: {
            const auto* either = reinterpret_cast<const BitmapOrState*>(state);
            VisitAll(walk, either->bitmapplans, either->nplans, depth);
            break;
        }
        case T_SubqueryScan:
            Visit(walk, reinterpret_cast<const SubqueryScanState*>(state)->subplan, depth);
            break;
        default:
            break;
    }
}

void Visit(const NodeWalk& walk, const PlanState* state, uint32_t depth) {
    if (state == nullptr || state->plan == nullptr || depth > kMostDepth) {
        return;
    }
    TakeNode(walk, state, depth);
    VisitSubplans(walk, state->initPlan, depth + 1);
    Visit(walk, state->lefttree, depth + 1);
    Visit(walk, state->righttree, depth + 1);
    VisitOthers(walk, state, depth + 1);
    VisitSubplans(walk, state->subPlan, depth + 1);
}

}  // namespace

void TakeNodes(const QueryDesc* query, UnfinishedNodes* out) {
    out->count = 0;
    out->left_out = 0;
    // Without a plan state the error came before its nodes were made.
    if (query != nullptr && query->planstate != nullptr) {
        Visit({out, query->plannedstmt->rtable}, query->planstate, 0);
    }
}

}  // namespace upkeep::pg
