// The trigger function of reap_rules: a rule that could not be applied is refused as it is written.
//
//   per statement   the reaper is woken at commit; word if there is none
//   per row         is this the database whose rules count (not per statement: the dump of any
//                   database fills the table, mostly with nothing); the row, read as whoever
//                   applies it will read it
//
// SPDX-License-Identifier: PostgreSQL
#include <string>

#include "adapter.h"
#include "reap_shared.h"
#include "settings.h"
#include "upkeep/sessions/rule_row.h"

extern "C" {
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
}

namespace upkeep::pg {
namespace {

constexpr const char* kTable = "reap_rules";

[[noreturn]] void RefuseUse() {
    throw Error(Code::kUnsupported, "check_reap_rules is a trigger of upkeep.reap_rules only",
                "it needs that table's columns, with their types");
}

std::string WantedDatabase() {
    return settings.database == nullptr ? "postgres" : settings.database;
}

bool IsWantedDatabase() {
    const char* name = CallHost([] { return get_database_name(MyDatabaseId); });
    return name != nullptr && WantedDatabase() == name;
}

/// Rules elsewhere would never be read: one set governs the whole server.
void CheckDatabase() {
    if (!IsWantedDatabase()) {
        const std::string wanted = WantedDatabase();
        throw Error(Code::kUnsupported,
                    "rules are kept in database " + wanted + " for the whole server",
                    "connect to " + wanted +
                        " and write the rule there, with this database in match_database; the "
                        "setting upkeep.database names the place");
    }
}

/// Rules were written in this transaction.
bool are_changed = false;

void TransactionEnded(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT && are_changed) {
        RulesChanged();
    }
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
        are_changed = false;
    }
}

/// The reaper looks at them once they are committed.
void NoteChange() {
    static bool is_watching = false;
    if (!is_watching) {
        CallHostVoid([] { RegisterXactCallback(TransactionEnded, nullptr); });
        is_watching = true;
    }
    are_changed = true;
}

void NoticeNotApplied() {
    const bool is_preloaded = HasReapShared();
    CallHostVoid([=] {
        ereport(NOTICE,
                (errmsg("rules are kept, and nothing applies them while upkeep.reaper is off"),
                 is_preloaded ? errhint("ALTER SYSTEM SET upkeep.reaper = on; SELECT "
                                        "pg_reload_conf();")
                              : errhint("The reaper needs upkeep in shared_preload_libraries and "
                                        "upkeep.reaper = on.")));
    });
}

Oid ServerType(Type type) {
    switch (type) {
        case Type::kText:
            return TEXTOID;
        case Type::kInt:
            return INT4OID;
        case Type::kBool:
            return BOOLOID;
        case Type::kInterval:
            return INTERVALOID;
        case Type::kFloat8:
            return FLOAT8OID;
        case Type::kTextArray:
            return TEXTARRAYOID;
        default:
            return InvalidOid;
    }
}

struct Cell {
    bool is_there;
    bool is_null;
    Datum datum;
};

/// By name: the owner of the extension may have added columns.
Value ReadCell(HeapTuple tuple, TupleDesc shape, const Column& column) {
    const std::string name(column.name);
    const char* name_data = name.c_str();
    const Oid type = ServerType(column.type);
    const Cell cell = CallHost([=] {
        Cell found = {};
        const int number = SPI_fnumber(shape, name_data);
        found.is_there = number > 0 && SPI_gettypeid(shape, number) == type;
        if (found.is_there) {
            found.datum = SPI_getbinval(tuple, shape, number, &found.is_null);
        }
        return found;
    });
    if (!cell.is_there) {
        RefuseUse();
    }
    return cell.is_null ? Value() : FromDatum(column, cell.datum);
}

Datum CheckReapRules(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        RefuseUse();
    }
    const auto* trigger = reinterpret_cast<const TriggerData*>(fcinfo->context);
    if (TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event)) {
        NoteChange();
        const bool may_apply = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
                               TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
        if (may_apply && IsWantedDatabase() && !(HasReapShared() && settings.reaper)) {
            NoticeNotApplied();
        }
        return PointerGetDatum(nullptr);
    }
    CheckDatabase();
    HeapTuple row =
        TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
    Row values;
    for (const Column& column : FindCall(kTable)->columns) {
        values.push_back(ReadCell(row, trigger->tg_relation->rd_att, column));
    }
    const Result<sessions::Rule> rule = sessions::RuleOfRow(values);
    if (!rule.ok()) {
        throw rule.error();
    }
    return PointerGetDatum(row);
}

}  // namespace
}  // namespace upkeep::pg

extern "C" {
PG_FUNCTION_INFO_V1(upkeep_check_reap_rules);
PGDLLEXPORT Datum upkeep_check_reap_rules(PG_FUNCTION_ARGS) {
    return upkeep::pg::Enter(fcinfo, upkeep::pg::CheckReapRules);
}
}
