// Which indexes a plan uses.
// SPDX-License-Identifier: PostgreSQL
#include "hypothetical.h"

namespace upkeep::pg {

namespace {

void WalkPlan(Plan* plan, List** found);

void WalkAll(List* plans, List** found) {
    ListCell* cell = nullptr;
    foreach (cell, plans) {
        WalkPlan(static_cast<Plan*>(lfirst(cell)), found);
    }
}

void WalkPlan(Plan* plan, List** found) {
    if (plan == nullptr) {
        return;
    }
    check_stack_depth();
    switch (nodeTag(plan)) {
        case T_IndexScan:
            *found = list_append_unique_oid(*found, reinterpret_cast<IndexScan*>(plan)->indexid);
            break;
        case T_IndexOnlyScan:
            *found =
                list_append_unique_oid(*found, reinterpret_cast<IndexOnlyScan*>(plan)->indexid);
            break;
        case T_BitmapIndexScan:
            *found =
                list_append_unique_oid(*found, reinterpret_cast<BitmapIndexScan*>(plan)->indexid);
            break;
        case T_Append:
            WalkAll(reinterpret_cast<Append*>(plan)->appendplans, found);
            break;
        case T_MergeAppend:
            WalkAll(reinterpret_cast<MergeAppend*>(plan)->mergeplans, found);
            break;
        case T_BitmapAnd:
            WalkAll(reinterpret_cast<BitmapAnd*>(plan)->bitmapplans, found);
            break;
        case T_BitmapOr:
            WalkAll(reinterpret_cast<BitmapOr*>(plan)->bitmapplans, found);
            break;
        case T_SubqueryScan:
            WalkPlan(reinterpret_cast<SubqueryScan*>(plan)->subplan, found);
            break;
        case T_CustomScan:
            WalkAll(reinterpret_cast<CustomScan*>(plan)->custom_plans, found);
            break;
        default:
            break;
    }
    WalkPlan(plan->lefttree, found);
    WalkPlan(plan->righttree, found);
}

}  // namespace

List* IndexesOfPlan(PlannedStmt* plan) {
    List* found = NIL;
    WalkPlan(plan->planTree, &found);
    WalkAll(plan->subplans, &found);
    return found;
}

}  // namespace upkeep::pg
