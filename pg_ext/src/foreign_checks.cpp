// SPDX-License-Identifier: PostgreSQL
#include "foreign_checks.h"

extern "C" {
#include "access/relation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// The look-up of a foreign key, and the attributes that it refers to; nullptr: it is gone.
const char* LookUp(Oid constraint, Bitmapset** key) {
    HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
    if (!HeapTupleIsValid(tuple)) {
        return nullptr;
    }
    const Oid child = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple))->conrelid;
    AttrNumber referencing[INDEX_MAX_KEYS];
    AttrNumber referenced[INDEX_MAX_KEYS];
    int count = 0;
    DeconstructFkConstraintRow(tuple, &count, referencing, referenced, nullptr, nullptr, nullptr,
                               nullptr, nullptr);
    ReleaseSysCache(tuple);
    const char* name = get_rel_name(child);
    if (name == nullptr) {
        return nullptr;
    }
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(
        &sql, "SELECT 1 FROM %s%s WHERE ",
        get_rel_relkind(child) == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
        quote_qualified_identifier(get_namespace_name(get_rel_namespace(child)), name));
    for (int i = 0; i < count; ++i) {
        appendStringInfo(&sql, "%s%s = $%d", i > 0 ? " AND " : "",
                         quote_identifier(get_attname(child, referencing[i], false)), i + 1);
        *key = bms_add_member(*key, referenced[i]);
    }
    return sql.data;
}

struct Found {
    Oid constraint;
    int place;  // in the answer
};

int PlaceOf(const PlainArray<Found>& found, Oid constraint) {
    for (int i = 0; i < found.count; ++i) {
        if (found.items[i].constraint == constraint) {
            return found.items[i].place;
        }
    }
    return -1;
}

}  // namespace

PlainArray<PlainForeignCheck>* ForeignChecksOf(Oid relid) {
    auto* checks =
        static_cast<PlainArray<PlainForeignCheck>*>(palloc0(sizeof(PlainArray<PlainForeignCheck>)));
    PlainArray<Found> found = {};
    Relation relation = try_relation_open(relid, AccessShareLock);
    if (relation == nullptr) {
        return checks;
    }
    const TriggerDesc* triggers = relation->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; ++i) {
        const Trigger& trigger = triggers->triggers[i];
        if (trigger.tgenabled == TRIGGER_DISABLED ||
            RI_FKey_trigger_type(trigger.tgfoid) != RI_TRIGGER_PK) {
            continue;
        }
        int place = PlaceOf(found, trigger.tgconstraint);
        if (place < 0) {
            Bitmapset* key = nullptr;
            const char* sql = LookUp(trigger.tgconstraint, &key);
            if (sql == nullptr) {
                continue;
            }
            place = checks->count;
            *checks->Add() = {sql, false, false, key};
            *found.Add() = {trigger.tgconstraint, place};
        }
        PlainForeignCheck* check = &checks->items[place];
        check->on_delete = check->on_delete || TRIGGER_FOR_DELETE(trigger.tgtype);
        check->on_update = check->on_update || TRIGGER_FOR_UPDATE(trigger.tgtype);
    }
    relation_close(relation, NoLock);
    return checks;
}

}  // namespace upkeep::pg
