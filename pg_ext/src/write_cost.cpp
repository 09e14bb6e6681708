// SPDX-License-Identifier: PostgreSQL
#include "write_cost.h"

#include "other_sizes.h"

#include <algorithm>
#include <cmath>

#include "compat.h"
#include "index_size.h"

extern "C" {
#include "access/genam.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "nodes/bitmapset.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "postmaster/autovacuum.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"
}

namespace upkeep::pg {

namespace {

// Source: DEFAULT_PAGE_CPU_MULTIPLIER of selfuncs.c: handling one page in a descent.
constexpr double kOperatorsPerPage = 50;
// A WAL record of one insertion beside the tuple: headers and the block's address.
constexpr double kWalRecordBytes = 60;

/// Leaf pages that `entries` insertions meet, of `pages` with `tuples` entries between them.
/// Source: Mackert and Lohman 1989 as in index_pages_fetched(), the cache taken as large enough.
double PagesMet(double pages, double entries) {
    return pages <= 1 ? 1 : std::min(pages, 2 * pages * entries / (2 * pages + entries));
}

Bitmapset* WithoutOffset(const Bitmapset* offset) {
    Bitmapset* attributes = nullptr;
    for (int member = bms_next_member(offset, -1); member >= 0;
         member = bms_next_member(offset, member)) {
        const int attribute = member + FirstLowInvalidHeapAttributeNumber;
        attributes = attribute > 0 ? bms_add_member(attributes, attribute) : attributes;
    }
    return attributes;
}

void SetPageCosts(Oid tablespace, EntryFacts* facts) {
    get_tablespace_page_costs(tablespace, &facts->random_page_cost, &facts->seq_page_cost);
}

double HeightOf(double pages, double fanout) {
    return pages <= 1 ? 0 : std::ceil(std::log(pages) / std::log(std::max(fanout, 2.0)));
}

void AddExisting(Oid oid, double rows, TableIndexes* out) {
    Relation index = index_open(oid, AccessShareLock);
    EntryFacts* facts = out->entries.Add();
    const bool has_pages = index->rd_rel->relkind == RELKIND_INDEX;
    facts->pages = has_pages ? RelationGetNumberOfBlocks(index) : index->rd_rel->relpages;
    facts->pages = std::max(facts->pages, 1.0);
    facts->tuples = index->rd_rel->reltuples >= 0 ? index->rd_rel->reltuples : rows;
    facts->share = rows > 0 ? std::min(1.0, facts->tuples / rows) : 1;
    facts->tuple_bytes = facts->tuples > 0 ? facts->pages * BLCKSZ / facts->tuples : BLCKSZ;
    facts->tuple_bytes = std::clamp(facts->tuple_bytes, 8.0, BLCKSZ / 3.0);
    facts->height = HeightOf(facts->pages, BLCKSZ * 0.7 / facts->tuple_bytes);
    const Form_pg_index form = index->rd_index;
    facts->places =
        InsertionPlaces(form->indrelid, form->indkey.values, form->indnkeyatts, rows, facts->pages);
    SetPageCosts(index->rd_rel->reltablespace, facts);
    index_close(index, NoLock);
}

/// With the generated columns that are made of these. (The server adds them when it executes.)
Bitmapset* WithGenerated(Oid relid, Bitmapset* changed) {
    Relation relation = relation_open(relid, AccessShareLock);
    TupleDesc columns = RelationGetDescr(relation);
    for (int i = 0;
         columns->constr != nullptr && columns->constr->has_generated_stored && i < columns->natts;
         ++i) {
        if (TupleDescAttr(columns, i)->attgenerated == ATTRIBUTE_GENERATED_STORED) {
            Bitmapset* offset = nullptr;
            pull_varattnos(build_column_default(relation, i + 1), 1, &offset);
            if (bms_overlap(WithoutOffset(offset), changed)) {
                changed = bms_add_member(changed, i + 1);
            }
        }
    }
    relation_close(relation, NoLock);
    return changed;
}

/// MERGE: what its actions do with the rows of the join, shared out evenly.
void AddMerge(ModifyTable* node, double rows, PlainWrite* write) {
    double matched = 0;
    double unmatched = 0;
    ListCell* cell = nullptr;
    List* actions =
        node->mergeActionLists == NIL ? NIL : linitial_node(List, node->mergeActionLists);
    foreach (cell, actions) {
        (lfirst_node(MergeAction, cell)->matched ? matched : unmatched) += 1;
    }
    const double halves = matched > 0 && unmatched > 0 ? 2 : 1;
    foreach (cell, actions) {
        auto* action = lfirst_node(MergeAction, cell);
        const double part = rows / halves / (action->matched ? matched : unmatched);
        if (action->commandType == CMD_INSERT) {
            write->inserted += part;
        } else if (action->commandType == CMD_DELETE) {
            write->deleted += part;
        } else if (action->commandType == CMD_UPDATE) {
            write->updated += part;
        }
    }
}

void AddWrite(PlannedStmt* plan, ModifyTable* node, PlainArray<PlainWrite>* writes) {
    const RangeTblEntry* target = rt_fetch(node->nominalRelation, plan->rtable);
    const double rows = outerPlan(node) != nullptr ? outerPlan(node)->plan_rows : 0;
    PlainWrite* write = writes->Add();
    write->relid = target->relid;
    switch (node->operation) {
        case CMD_INSERT:
            // How many rows conflict is not known before: half of them.
            write->updated = node->onConflictAction == ONCONFLICT_UPDATE ? rows / 2 : 0;
            write->inserted = rows - write->updated;
            break;
        case CMD_UPDATE:
            write->updated = rows;
            break;
        case CMD_DELETE:
            write->deleted = rows;
            break;
        case CMD_MERGE:
            AddMerge(node, rows, write);
            break;
        default:
            break;
    }
    if (write->updated > 0) {
        write->changed = WithGenerated(target->relid, WithoutOffset(UpdatedColumns(plan, target)));
    }
}

void WalkWrites(PlannedStmt* plan, Plan* node, PlainArray<PlainWrite>* writes) {
    // Modifying nodes stand on top of the statement or of a WITH query, nowhere else.
    if (node != nullptr && IsA(node, ModifyTable)) {
        AddWrite(plan, reinterpret_cast<ModifyTable*>(node), writes);
    } else if (node != nullptr) {
        WalkWrites(plan, node->lefttree, writes);
    }
}

}  // namespace

double EntriesCost(const EntryFacts& index, double entries) {
    entries *= index.share;
    if (entries <= 0) {
        return 0;
    }
    const double descent = (std::ceil(std::log2(std::max(index.tuples, 1.0) + 1)) +
                            kOperatorsPerPage * (index.height + 1)) *
                           cpu_operator_cost;
    const double leaves = std::max(index.pages, 1.0);
    const double places = std::clamp(index.places, 1.0, leaves);
    // Few places stay in memory: what is read is that part of the index that they are.
    const double read = PagesMet(places, entries) * (places <= 1 ? 0 : places / leaves);
    const double written =
        std::max(PagesMet(places, entries), entries * index.tuple_bytes / BLCKSZ);
    const double wal = entries * (index.tuple_bytes + kWalRecordBytes) / BLCKSZ;
    return entries * (descent + cpu_index_tuple_cost) + read * index.random_page_cost +
           (std::min(written, entries) + wal) * index.seq_page_cost;
}

double DeadEntriesCost(const EntryFacts& index, double entries) {
    entries *= index.share;
    const double dead =
        std::max(1.0, autovacuum_vac_thresh + autovacuum_vac_scale * std::max(index.tuples, 0.0));
    const double vacuum = (index.pages + std::min(index.pages, dead)) * index.seq_page_cost +
                          index.tuples * cpu_index_tuple_cost;
    return entries * vacuum / dead;
}

EntryFacts FactsOfAssumed(const HypotheticalIndex& index, double rows) {
    EntryFacts facts = {};
    facts.share =
        index.is_share_counted ? index.share : PredicateShare(index.relid, index.predicate, rows);
    const IndexPages size = EstimatePages(index, index.relid, rows * facts.share);
    facts.pages = size.pages;
    facts.tuples = size.tuples;
    facts.height = size.tree_height;
    facts.tuple_bytes = size.tuple_bytes;
    facts.places = InsertionPlaces(index.relid, index.attnos, index.key_count, rows, size.pages);
    if (index.access_method == GIN_AM_OID) {
        facts.share *= GinEntriesOfRow(index);
        facts.places = size.pages;
    } else if (index.access_method == BRIN_AM_OID) {
        facts.share *= kBrinEntriesOfRow;
    }
    SetPageCosts(index.tablespace, &facts);
    return facts;
}

Bitmapset* AttributesOf(const HypotheticalIndex& index) {
    Bitmapset* offset = nullptr;
    pull_varattnos(reinterpret_cast<Node*>(index.expressions), 1, &offset);
    pull_varattnos(reinterpret_cast<Node*>(index.predicate), 1, &offset);
    Bitmapset* attributes = WithoutOffset(offset);
    for (int i = 0; i < index.column_count; ++i) {
        attributes = index.attnos[i] > 0 ? bms_add_member(attributes, index.attnos[i]) : attributes;
    }
    return attributes;
}

TableIndexes* ReadTableIndexes(Oid relid, double rows) {
    auto* out = static_cast<TableIndexes*>(palloc0(sizeof(TableIndexes)));
    Relation relation = relation_open(relid, AccessShareLock);
    if (relation->rd_rel->relhasindex) {
        out->attributes = WithoutOffset(HotBlockingAttributes(relation));
        ListCell* cell = nullptr;
        foreach (cell, RelationGetIndexList(relation)) {
            AddExisting(lfirst_oid(cell), rows, out);
        }
    }
    relation_close(relation, NoLock);
    return out;
}

PlainArray<PlainWrite>* WritesOf(PlannedStmt* plan) {
    auto* writes = static_cast<PlainArray<PlainWrite>*>(palloc0(sizeof(PlainArray<PlainWrite>)));
    WalkWrites(plan, plan->planTree, writes);
    ListCell* cell = nullptr;
    foreach (cell, plan->subplans) {
        WalkWrites(plan, static_cast<Plan*>(lfirst(cell)), writes);
    }
    return writes;
}

double PredicateShare(Oid relid, List* predicate, double rows) {
    if (predicate == NIL) {
        return 1;
    }
    // As much of a query as selectivity functions look at: this one relation.
    RangeTblEntry* entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_RELATION;
    entry->relid = relid;
    entry->relkind = get_rel_relkind(relid);
    entry->rellockmode = AccessShareLock;
    entry->inh = entry->relkind == RELKIND_PARTITIONED_TABLE;
    entry->eref = makeAlias("", NIL);
    Query* query = makeNode(Query);
    query->commandType = CMD_SELECT;
    query->rtable = list_make1(entry);
    PlannerInfo* root = makeNode(PlannerInfo);
    root->parse = query;
    root->glob = makeNode(PlannerGlobal);
    root->query_level = 1;
    root->planner_cxt = CurrentMemoryContext;
    setup_simple_rel_arrays(root);
    RelOptInfo* rel = build_simple_rel(root, 1, nullptr);
    rel->tuples = rows;
    rel->rows = rows;
    return clauselist_selectivity(root, CopyTree(predicate), 1, JOIN_INNER, nullptr);
}

}  // namespace upkeep::pg
