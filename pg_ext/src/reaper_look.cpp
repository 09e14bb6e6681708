// SPDX-License-Identifier: PostgreSQL
#include "reaper_look.h"

#include <map>

#include "adapter.h"
#include "compat.h"
#include "doorbell.h"
#include "guard.h"
#include "host_query.h"
#include "plain.h"
#include "sessions.h"
#include "spi_select.h"
#include "upkeep/sessions/rule_row.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "common/ip.h"
#include "pgstat.h"
#include "storage/procarray.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/wait_event.h"
}

namespace upkeep::pg {

namespace {

using sessions::SessionKind;
using sessions::SessionSnapshot;

/// One session as the server has it; texts live until the transaction ends.
struct PlainSession {
    int pid;
    BackendType type;
    BackendState state;
    bool is_superuser;
    bool holds_xmin;
    bool waits_for_lock;
    const char* database;
    const char* user;
    const char* application;
    const char* address;  // nullptr: of this machine
    const char* query;
    TimestampTz started;
    TimestampTz state_change;
    TimestampTz xact_start;
    TimestampTz activity_start;
};

const char* AddressOf(const SockAddr& address) {
    if (address.addr.ss_family != AF_INET && address.addr.ss_family != AF_INET6) {
        return nullptr;
    }
    char host[NI_MAXHOST] = "";
    if (pg_getnameinfo_all(&address.addr, static_cast<int>(address.salen), host, sizeof(host),
                           nullptr, 0, NI_NUMERICHOST) != 0) {
        return nullptr;
    }
    char* zone = strchr(host, '%');  // fe80::1%eth0
    if (zone != nullptr) {
        *zone = '\0';
    }
    return pstrdup(host);
}

void CopySession(const LocalPgBackendStatus& local, PlainSession* out) {
    const PgBackendStatus& entry = local.backendStatus;
    out->pid = entry.st_procpid;
    out->type = entry.st_backendType;
    out->state = entry.st_state;
    out->is_superuser = OidIsValid(entry.st_userid) && superuser_arg(entry.st_userid);
    out->holds_xmin =
        TransactionIdIsValid(local.backend_xmin) || TransactionIdIsValid(local.backend_xid);
    PGPROC* proc = BackendPidGetProc(entry.st_procpid);
    out->waits_for_lock = proc != nullptr && (proc->wait_event_info & 0xFF000000) == PG_WAIT_LOCK;
    out->database =
        OidIsValid(entry.st_databaseid) ? get_database_name(entry.st_databaseid) : nullptr;
    out->user = OidIsValid(entry.st_userid) ? GetUserNameFromId(entry.st_userid, true) : nullptr;
    out->application = entry.st_appname == nullptr ? "" : entry.st_appname;
    out->address = AddressOf(entry.st_clientaddr);
    out->query = pgstat_clip_activity(entry.st_activity_raw);
    out->started = entry.st_proc_start_timestamp;
    out->state_change = entry.st_state_start_timestamp;
    out->xact_start = entry.st_xact_start_timestamp;
    out->activity_start = entry.st_activity_start_timestamp;
}

PlainArray<PlainSession> CopySessions() {
    PlainArray<PlainSession> all;
    pgstat_clear_backend_activity_snapshot();
    const int count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i) {
        const LocalPgBackendStatus* local = LocalBackend(i);
        if (local != nullptr && local->backendStatus.st_procpid > 0 &&
            (OidIsValid(local->backendStatus.st_databaseid) ||
             local->backendStatus.st_backendType == B_WAL_SENDER)) {
            CopySession(*local, all.Add());
        }
    }
    return all;
}

std::optional<std::string> TextOf(const char* text) {
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
}

int64_t UnixUs(TimestampTz time) {
    return time == 0 ? 0 : time + kPostgresEpochUs;
}

SessionSnapshot FromPlain(const PlainSession& plain) {
    SessionSnapshot session;
    session.pid = plain.pid;
    session.kind = plain.type == B_BACKEND      ? SessionKind::kClient
                   : plain.type == B_WAL_SENDER ? SessionKind::kReplication
                                                : SessionKind::kBackground;
    session.is_own = plain.pid == MyProcPid;
    session.is_superuser = plain.is_superuser;
    session.holds_xmin = plain.holds_xmin;
    session.database_name = TextOf(plain.database);
    session.user_name = TextOf(plain.user);
    session.application_name = plain.application;
    session.client_addr = TextOf(plain.address);
    session.state = StateWord(plain.state);
    session.query = TextOf(plain.query);
    session.started_us = UnixUs(plain.started);
    session.state_change_us = UnixUs(plain.state_change);
    session.xact_start_us = UnixUs(plain.xact_start);
    session.query_start_us = UnixUs(plain.activity_start);
    return session;
}

/// Whom a session waits for.
struct Blockers {
    int count;
    int32* pids;
};

std::vector<int64_t> BlockersOf(int pid) {
    const Blockers found = CallHost([=] {
        Blockers blockers = {};
        ArrayType* array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids, pid));
        blockers.count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
        blockers.pids = reinterpret_cast<int32*>(ARR_DATA_PTR(array));
        return blockers;
    });
    return {found.pids, found.pids + found.count};
}

// --- rules --------------------------------------------------------------------------------------

struct DatumCell {
    bool is_null;
    Datum datum;
};

DatumCell CopyCell(HeapTuple tuple, TupleDesc shape, int column) {
    DatumCell cell = {};
    cell.datum = SPI_getbinval(tuple, shape, column, &cell.is_null);
    const Form_pg_attribute attribute = TupleDescAttr(shape, column - 1);
    if (!cell.is_null) {
        cell.datum = datumCopy(cell.datum, attribute->attbyval, attribute->attlen);
    }
    return cell;
}

/// As the description has it, whatever the owner of the table made of it.
const char* SqlType(Type type) {
    switch (type) {
        case Type::kInt:
            return "int4";
        case Type::kBool:
            return "bool";
        case Type::kInterval:
            return "interval";
        case Type::kFloat8:
            return "float8";
        case Type::kTextArray:
            return "text[]";
        default:
            return "text";
    }
}

std::string RulesQuery(const TableFunction& table) {
    std::string sql;
    for (const Column& column : table.columns) {
        sql += (sql.empty() ? "SELECT " : ", ") + std::string(column.name) + "::pg_catalog." +
               SqlType(column.type);
    }
    return sql + " FROM upkeep.reap_rules WHERE enabled ORDER BY priority, name";
}

}  // namespace

std::vector<SessionSnapshot> SessionsForReaper(int64_t* now_us) {
    const PlainArray<PlainSession> all = CallHost(CopySessions);
    *now_us = UnixUs(GetCurrentTimestamp());
    std::map<int, SlotFacts> slots;
    for (const SlotFacts& slot : LookAtSlots()) {
        slots.emplace(slot.pid, slot);
    }
    std::vector<SessionSnapshot> sessions;
    sessions.reserve(static_cast<size_t>(all.count));
    for (int i = 0; i < all.count; ++i) {
        const PlainSession& plain = all.items[i];
        const auto slot = slots.find(plain.pid);
        if (slot != slots.end() && slot->second.is_ending) {
            continue;
        }
        SessionSnapshot session = FromPlain(plain);
        if (plain.waits_for_lock) {
            session.blocked_by = BlockersOf(plain.pid);
        }
        if (slot != slots.end() && slot->second.held_since == plain.state_change) {
            session.spare = slot->second.held;
        }
        sessions.push_back(std::move(session));
    }
    sessions::CountBlocked(&sessions);
    return sessions;
}

bool IsOwnTable(const char* name) {
    const Oid extension = get_extension_oid("upkeep", true);
    const Oid schema = get_namespace_oid("upkeep", true);
    const Oid table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
    return OidIsValid(extension) && OidIsValid(table) &&
           get_rel_relkind(table) == RELKIND_RELATION &&
           getExtensionOfObject(RelationRelationId, table) == extension;
}

std::vector<sessions::PastAction> PastOfLog() {
    std::vector<sessions::PastAction> past;
    if (!CallHost([] { return IsOwnTable("reap_log_rows"); })) {
        return past;
    }
    const HostRows found = Query(
        "SELECT rule, (extract(epoch FROM at) * 1000000)::bigint FROM upkeep.reap_log_rows"
        " WHERE number > (SELECT max(number) - 1000 FROM upkeep.reap_log_rows)"
        " AND at > now() - interval '1 min' AND rule IS NOT NULL AND outcome !~ '^refused'");
    for (int row = 0; row < found.rows; ++row) {
        past.push_back({found.Text(row, 0), found.Integer(row, 1).value_or(0), 0, 0, 0});
    }
    return past;
}

RulesRead ReadRules() {
    RulesRead read;
    read.is_installed = CallHost([] { return IsOwnTable("reap_rules"); });
    if (!read.is_installed) {
        return read;
    }
    const TableFunction& table = *FindCall("reap_rules");
    const std::string sql = RulesQuery(table);
    const char* text = sql.c_str();
    const CellTable<DatumCell> found = CallHost([=] { return Select(text, {}, CopyCell); });
    for (int row = 0; row < found.rows; ++row) {
        Row values;
        for (int column = 0; column < found.columns; ++column) {
            const DatumCell& cell = found.cells[row * found.columns + column];
            values.push_back(
                cell.is_null ? Value()
                             : FromDatum(table.columns[static_cast<size_t>(column)], cell.datum));
        }
        const Result<sessions::Rule> rule = sessions::RuleOfRow(values);
        if (rule.ok()) {
            read.rules.push_back(rule.value());
        } else {
            read.skipped.emplace_back(rule.error().message());
        }
    }
    return read;
}

}  // namespace upkeep::pg
