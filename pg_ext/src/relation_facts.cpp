// SPDX-License-Identifier: PostgreSQL
#include "relation_facts.h"

#include <algorithm>

extern "C" {
#include "access/genam.h"
#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// Rows and pages as the planner would take them, summed over the leaves of a partitioned table.
void AddSize(Relation relation, PlainRelation* out) {
    if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        ListCell* cell = nullptr;
        foreach (cell, find_inheritance_children(RelationGetRelid(relation), AccessShareLock)) {
            Relation child = relation_open(lfirst_oid(cell), NoLock);
            AddSize(child, out);
            relation_close(child, NoLock);
        }
        return;
    }
    if (!RELKIND_HAS_STORAGE(relation->rd_rel->relkind)) {
        return;
    }
    BlockNumber pages = 0;
    double rows = 0;
    double all_visible = 0;
    estimate_rel_size(relation, nullptr, &pages, &rows, &all_visible);
    out->rows += rows;
    out->size_bytes += static_cast<double>(pages) * BLCKSZ;
}

void AddColumn(Relation relation, Form_pg_attribute attribute, PlainRelation* out) {
    PlainColumn* column = out->columns.Add();
    column->name = attribute->attisdropped ? "" : pstrdup(NameStr(attribute->attname));
    if (attribute->attisdropped) {
        return;
    }
    column->opclass = GetDefaultOpClass(attribute->atttypid, BTREE_AM_OID);
    column->collation = attribute->attcollation;
    column->is_orderable = OidIsValid(column->opclass);
    column->has_brin = OidIsValid(GetDefaultOpClass(attribute->atttypid, BRIN_AM_OID));
    column->width = get_typavgwidth(attribute->atttypid, attribute->atttypmod);
    HeapTuple tuple = nullptr;
    // A partitioned table's statistics are those that include its children.
    for (const bool inherited : {false, true}) {
        tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(relation)),
                                Int16GetDatum(attribute->attnum), BoolGetDatum(inherited));
        if (HeapTupleIsValid(tuple)) {
            break;
        }
    }
    if (!HeapTupleIsValid(tuple)) {
        return;
    }
    auto* statistics = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(tuple));
    column->null_ratio = statistics->stanullfrac;
    column->width = statistics->stawidth;
    column->distinct = statistics->stadistinct >= 0 ? statistics->stadistinct
                                                    : -statistics->stadistinct * out->rows;
    AttStatsSlot slot;
    if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
                         ATTSTATSSLOT_NUMBERS)) {
        column->correlation = slot.nnumbers > 0 ? slot.numbers[0] : 0;
        free_attstatsslot(&slot);
    }
    ReleaseSysCache(tuple);
}

struct Names {
    const char* name;
    const char* display_name;
    const char* schema_quoted;
};

Names NamesOf(Relation relation) {
    const Oid relid = RelationGetRelid(relation);
    const char* name = pstrdup(RelationGetRelationName(relation));
    if (RelationIsVisible(relid)) {
        return {name, pstrdup(quote_identifier(name)), ""};
    }
    const char* schema = get_namespace_name(RelationGetNamespace(relation));
    return {name, pstrdup(quote_qualified_identifier(schema, name)),
            pstrdup(quote_identifier(schema))};
}

void AddPartitions(Oid parent, int parent_place, PlainRelation* out) {
    ListCell* cell = nullptr;
    foreach (cell, find_inheritance_children(parent, AccessShareLock)) {
        Relation child = relation_open(lfirst_oid(cell), NoLock);
        const Names names = NamesOf(child);
        const char kind = child->rd_rel->relkind;
        relation_close(child, NoLock);
        const int place = out->partitions.count;
        *out->partitions.Add() = {names.name,
                                  names.display_name,
                                  names.schema_quoted,
                                  parent_place,
                                  kind == RELKIND_PARTITIONED_TABLE,
                                  kind == RELKIND_FOREIGN_TABLE};
        if (kind == RELKIND_PARTITIONED_TABLE) {
            AddPartitions(lfirst_oid(cell), place, out);
        }
    }
}

void AddIndex(Oid oid, PlainRelation* out) {
    Relation index = index_open(oid, AccessShareLock);
    Form_pg_index form = index->rd_index;
    if (index->rd_rel->relam == BTREE_AM_OID && form->indisvalid) {
        PlainIndex* plain = out->indexes.Add();
        plain->name = pstrdup(RelationGetRelationName(index));
        plain->size_bytes = index->rd_rel->relkind == RELKIND_INDEX
                                ? static_cast<double>(RelationGetNumberOfBlocks(index)) * BLCKSZ
                                : 0;
        plain->is_unique = form->indisunique;
        plain->backs_constraint =
            form->indisprimary || form->indisexclusion || OidIsValid(get_index_constraint(oid));
        plain->is_partial = !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
        plain->key_count = form->indnkeyatts;
        plain->column_count = form->indnatts;
        plain->attnos = static_cast<AttrNumber*>(palloc0(sizeof(AttrNumber) * form->indnatts));
        plain->descending = static_cast<bool*>(palloc0(sizeof(bool) * form->indnatts));
        plain->nulls_first = static_cast<bool*>(palloc0(sizeof(bool) * form->indnatts));
        for (int i = 0; i < form->indnatts; ++i) {
            plain->attnos[i] = form->indkey.values[i];
            plain->has_expression = plain->has_expression || plain->attnos[i] == 0;
            if (i < form->indnkeyatts) {
                plain->descending[i] = (index->rd_indoption[i] & INDOPTION_DESC) != 0;
                plain->nulls_first[i] = (index->rd_indoption[i] & INDOPTION_NULLS_FIRST) != 0;
            }
        }
    }
    index_close(index, NoLock);
}

const char* WhyNoIndex(Relation relation) {
    if (IsSystemRelation(relation)) {
        return "it is a system catalog";
    }
    switch (relation->rd_rel->relkind) {
        case RELKIND_RELATION:
        case RELKIND_MATVIEW:
        case RELKIND_PARTITIONED_TABLE:
            return "";
        case RELKIND_FOREIGN_TABLE:
            return "it is a foreign table: indexes are made where its rows are";
        default:
            return "it has no rows of its own";
    }
}

}  // namespace

PlainRelation* ReadRelation(Oid relid) {
    auto* out = static_cast<PlainRelation*>(palloc0(sizeof(PlainRelation)));
    Relation relation = relation_open(relid, AccessShareLock);
    const Names names = NamesOf(relation);
    out->name = names.name;
    out->display_name = names.display_name;
    out->schema_quoted = names.schema_quoted;
    out->is_partitioned = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    out->is_temporary = relation->rd_rel->relpersistence == RELPERSISTENCE_TEMP;
    out->no_index_because = WhyNoIndex(relation);
    AddSize(relation, out);
    for (int i = 0; i < RelationGetNumberOfAttributes(relation); ++i) {
        AddColumn(relation, TupleDescAttr(RelationGetDescr(relation), i), out);
    }
    ListCell* cell = nullptr;
    foreach (cell, RelationGetIndexList(relation)) {
        AddIndex(lfirst_oid(cell), out);
    }
    relation_close(relation, NoLock);
    if (out->is_partitioned) {
        AddPartitions(relid, -1, out);
    }
    return out;
}

}  // namespace upkeep::pg
