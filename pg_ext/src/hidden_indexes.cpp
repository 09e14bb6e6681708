// SPDX-License-Identifier: PostgreSQL
#include "hidden_indexes.h"

extern "C" {
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "utils/plancache.h"
}

namespace upkeep::pg {

namespace {

const FreshIndex* watched = nullptr;
int watched_count = 0;
bool is_hiding = false;
bool met_unusable = false;
get_relation_info_hook_type previous = nullptr;

List* Without(List* indexes, Oid hidden) {
    ListCell* cell = nullptr;
    foreach (cell, indexes) {
        if (lfirst_node(IndexOptInfo, cell)->indexoid == hidden) {
            return list_delete_cell(indexes, cell);
        }
    }
    return indexes;
}

/// For each relation of each statement that anybody plans: two tests.
void Hide(PlannerInfo* root, Oid relid, bool inhparent, RelOptInfo* rel) {
    if (previous != nullptr) {
        previous(root, relid, inhparent, rel);
    }
    for (int i = 0; i < watched_count; ++i) {
        if (watched[i].table != relid) {
            continue;
        }
        met_unusable = met_unusable || !watched[i].is_usable;
        if (is_hiding) {
            rel->indexlist = Without(rel->indexlist, watched[i].index);
        }
    }
}

}  // namespace

void WatchIndexes(const FreshIndex* indexes, int count) {
    watched = indexes;
    watched_count = count;
    is_hiding = false;
    met_unusable = false;
}

void HideWatched(bool is_hidden) {
    if (is_hidden != is_hiding) {
        is_hiding = is_hidden;
        ResetPlanCache();  // functions keep plans of their own
    }
}

bool MetUnusable() {
    const bool met = met_unusable;
    met_unusable = false;
    return met;
}

void InstallHiding() {
    previous = get_relation_info_hook;
    get_relation_info_hook = Hide;
}

}  // namespace upkeep::pg
