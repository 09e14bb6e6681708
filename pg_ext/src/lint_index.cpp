// SPDX-License-Identifier: PostgreSQL
#include "lint_index.h"

#include "compat.h"

extern "C" {
#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_statistic.h"
#include "commands/defrem.h"
#include "nodes/bitmapset.h"
#include "nodes/nodeFuncs.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// Calls `look` for each valid index until it says that this was the one.
template <typename Look>
bool AnyIndex(Oid relid, Look look) {
    Relation relation = try_relation_open(relid, AccessShareLock);
    if (relation == nullptr) {
        return false;
    }
    bool is_found = false;
    List* indexes = RelationGetIndexList(relation);
    ListCell* cell = nullptr;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        is_found = is_found || (index->rd_index->indisvalid && look(index));
        index_close(index, NoLock);
    }
    relation_close(relation, NoLock);
    return is_found;
}

/// The expressions of an index without the relation cache, which would evaluate constant ones.
List* StoredExpressions(Relation index) {
    bool is_null = false;
    const Datum stored =
        SysCacheGetAttr(INDEXRELID, index->rd_indextuple, Anum_pg_index_indexprs, &is_null);
    if (is_null) {
        return NIL;
    }
    return static_cast<List*>(stringToNode(TextDatumGetCString(stored)));
}

bool IsWhole(Relation index) {
    return heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr) &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, nullptr);
}

/// A unique index whose key columns are never NULL, over every row at every moment.
bool IsUniqueKey(Relation index) {
    const Form_pg_index form = index->rd_index;
    if (!form->indisunique || !form->indimmediate || !IsWhole(index)) {
        return false;
    }
    for (int i = 0; i < form->indnkeyatts; ++i) {
        if (!IsNotNull(form->indrelid, form->indkey.values[i])) {
            return false;
        }
    }
    return true;
}

Node* Inside(Node* node) {
    while (node != nullptr && IsA(node, RelabelType)) {
        node = reinterpret_cast<Node*>(reinterpret_cast<RelabelType*>(node)->arg);
    }
    return node;
}

}  // namespace

const char* LeadingIndex(Oid relid, AttrNumber attno) {
    const char* name = "";
    AnyIndex(relid, [&](Relation index) {
        const bool leads =
            index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indkey.values[0] == attno;
        if (leads) {
            name = pstrdup(RelationGetRelationName(index));
        }
        return leads;
    });
    return name;
}

bool HasExpressionIndex(Oid relid, Node* expression, bool has_parameter) {
    expression = Inside(expression);
    const Oid function =
        IsA(expression, FuncExpr) ? reinterpret_cast<FuncExpr*>(expression)->funcid : InvalidOid;
    return AnyIndex(relid, [&](Relation index) {
        ListCell* cell = nullptr;
        foreach (cell, StoredExpressions(index)) {
            Node* stored = Inside(static_cast<Node*>(lfirst(cell)));
            const bool is_same_call = OidIsValid(function) && IsA(stored, FuncExpr) &&
                                      reinterpret_cast<FuncExpr*>(stored)->funcid == function;
            if (equal(stored, expression) || (has_parameter && is_same_call)) {
                return true;
            }
        }
        return false;
    });
}

bool HasPatternIndex(Oid relid, AttrNumber attno) {
    return AnyIndex(relid, [&](Relation index) {
        const Oid method = index->rd_rel->relam;
        bool is_there = false;
        for (int i = 0; i < index->rd_index->indnkeyatts; ++i) {
            is_there = is_there || index->rd_index->indkey.values[i] == attno;
        }
        return is_there && (method == GIN_AM_OID || method == GIST_AM_OID);
    });
}

bool IsNotNull(Oid relid, AttrNumber attno) {
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno));
    if (!HeapTupleIsValid(tuple)) {
        return attno < 0;
    }
    const bool is_not_null = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
    ReleaseSysCache(tuple);
    return is_not_null;
}

bool IsUniqueOver(Oid relid, const Bitmapset* attnos) {
    return AnyIndex(relid, [&](Relation index) {
        if (!IsUniqueKey(index)) {
            return false;
        }
        for (int i = 0; i < index->rd_index->indnkeyatts; ++i) {
            if (!bms_is_member(index->rd_index->indkey.values[i], attnos)) {
                return false;
            }
        }
        return true;
    });
}

void AddUniqueKey(Oid relid, PlainArray<AttrNumber>* attnos) {
    int best = 0;
    AnyIndex(relid, [&](Relation index) {
        const Form_pg_index form = index->rd_index;
        if (IsUniqueKey(index) && (best == 0 || form->indisprimary || form->indnkeyatts < best)) {
            best = form->indnkeyatts;
            attnos->count = 0;
            for (int i = 0; i < best; ++i) {
                *attnos->Add() = form->indkey.values[i];
            }
            return form->indisprimary;
        }
        return false;
    });
}

int BtreeStrategy(Oid op, Oid relid, AttrNumber attno) {
    const Oid opclass = GetDefaultOpClass(get_atttype(relid, attno), BTREE_AM_OID);
    return OidIsValid(opclass) && OidIsValid(op)
               ? get_op_opfamily_strategy(op, get_opclass_family(opclass))
               : 0;
}

double BlocksOf(Oid relid) {
    Relation relation = try_relation_open(relid, AccessShareLock);
    if (relation == nullptr) {
        return 0;
    }
    const double blocks = RELKIND_HAS_STORAGE(relation->rd_rel->relkind)
                              ? static_cast<double>(RelationGetNumberOfBlocks(relation))
                              : 0;
    relation_close(relation, NoLock);
    return blocks;
}

bool HasStatistics(Oid relid) {
    for (AttrNumber attno = 1;
         SearchSysCacheExists2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno)); ++attno) {
        for (const bool inherited : {false, true}) {
            if (SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno),
                                      BoolGetDatum(inherited))) {
                return true;
            }
        }
    }
    return false;
}

}  // namespace upkeep::pg
