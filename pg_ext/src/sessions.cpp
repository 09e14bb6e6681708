// SPDX-License-Identifier: PostgreSQL
#include "sessions.h"

#include <cstdlib>
#include <string>

#include "compat.h"
#include "doorbell.h"
#include "guard.h"
#include "host_query.h"
#include "pg.h"
#include "reaper_log.h"
#include "sessions_sql.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/fmgrprotos.h"
}

namespace upkeep::pg {

namespace {

using sessions::MustBe;
using sessions::Outcome;
using sessions::RuleAction;
using sessions::SessionKind;
using sessions::SessionSnapshot;

std::optional<std::string> OptionalText(const char* cell) {
    return cell != nullptr ? std::optional<std::string>(cell) : std::nullopt;
}
std::optional<int64_t> OptionalNumber(const char* cell) {
    return cell != nullptr ? std::optional<int64_t>(std::strtoll(cell, nullptr, 10)) : std::nullopt;
}
int64_t Number(const char* cell) {
    return OptionalNumber(cell).value_or(0);
}
bool IsTrue(const char* cell) {
    return cell != nullptr && cell[0] == 't';
}

/// `12,34`
std::vector<int64_t> Numbers(const char* cell) {
    std::vector<int64_t> numbers;
    while (cell != nullptr && *cell != '\0') {
        char* end = nullptr;
        numbers.push_back(std::strtoll(cell, &end, 10));
        cell = *end == ',' ? end + 1 : end;
    }
    return numbers;
}

SessionKind KindOf(const std::optional<std::string>& backend_type) {
    if (!backend_type || *backend_type == "client backend") {
        return SessionKind::kClient;  // hidden: taken for a client's, and not to be touched unseen
    }
    return *backend_type == "walsender" ? SessionKind::kReplication : SessionKind::kBackground;
}

SessionSnapshot FromRow(const HostRows& all, int row) {
    const auto at = [&](SessionColumn column) { return all.At(row, column); };
    SessionSnapshot session;
    session.pid = Number(at(kPid));
    session.leader_pid = Number(at(kLeaderPid));
    session.is_own = session.pid == MyProcPid;
    session.is_visible = IsTrue(at(kVisible));
    session.is_superuser = IsTrue(at(kIsSuperuser));
    if (at(kHoldsXmin) != nullptr) {
        session.holds_xmin = IsTrue(at(kHoldsXmin));
    }
    session.refusal = OptionalText(at(kRefusal)).value_or("");
    session.database_name = OptionalText(at(kDatabase));
    session.user_name = OptionalText(at(kUser));
    session.application_name = OptionalText(at(kApplication)).value_or("");
    session.client_addr = OptionalText(at(kAddress));
    session.backend_type = OptionalText(at(kBackendType));
    session.kind = KindOf(session.backend_type);
    session.state = OptionalText(at(kState));
    session.wait_event = OptionalText(at(kWaitEvent));
    session.query = OptionalText(at(kQuery));
    session.progress = OptionalText(at(kProgress));
    session.started_us = Number(at(kStarted));
    session.state_change_us = Number(at(kStateChange));
    session.xact_start_us = Number(at(kXactStart));
    session.query_start_us = Number(at(kQueryStart));
    session.blocked_by = Numbers(at(kBlockedBy));
    session.waits_since_us = Number(at(kWaitsSince));
    session.lock_mode = OptionalText(at(kLockMode));
    session.lock_target = OptionalText(at(kLockTarget));
    return session;
}

/// What the server's own table of sessions says about one pid, this very moment.
struct Now {
    bool is_there;
    BackendState state;
    TimestampTz started;
    TimestampTz state_change;
    TimestampTz query_start;
};

Now LookUp(int pid) {
    pgstat_clear_backend_activity_snapshot();
    const int count = pgstat_fetch_stat_numbackends();
    for (int i = 1; i <= count; ++i) {
        const LocalPgBackendStatus* local = LocalBackend(i);
        if (local != nullptr && local->backendStatus.st_procpid == pid) {
            const PgBackendStatus& entry = local->backendStatus;
            return {true, entry.st_state, entry.st_proc_start_timestamp,
                    entry.st_state_start_timestamp, entry.st_activity_start_timestamp};
        }
    }
    return {};
}

int64_t UnixUs(TimestampTz time) {
    return time != 0 ? time + kPostgresEpochUs : 0;
}

/// The rules of pg_terminate_backend, which is not called where a session ends itself.
bool MayEnd(int pid) {
    PGPROC* proc = BackendPidGetProc(pid);
    return proc == nullptr || ((superuser() || !superuser_arg(proc->roleId)) &&
                               (has_privs_of_role(GetUserId(), proc->roleId) ||
                                has_privs_of_role(GetUserId(), ROLE_PG_SIGNAL_BACKEND)));
}

/// The session decides, at the very moment.
Outcome AskSession(int pid, const Now& found) {
    if (!CallHost([=] { return MayEnd(pid); })) {
        return {Outcome::What::kRefused, "the server does not let you end it"};
    }
    const EndOrder order = {found.started, found.state_change, found.state, MyProcPid};
    const char* why = CallHost([=] {
        CHECK_FOR_INTERRUPTS();  // the session may take a second to answer
        return AskToEnd(pid, order);
    });
    return why == nullptr ? Outcome{} : Outcome{Outcome::What::kChanged, why};
}

}  // namespace

const char* StateWord(BackendState state) {
    switch (state) {
        case STATE_IDLE:
            return "idle";
        case STATE_RUNNING:
            return "active";
        case STATE_IDLEINTRANSACTION:
            return "idle in transaction";
        case STATE_FASTPATH:
            return "fastpath function call";
        case STATE_IDLEINTRANSACTION_ABORTED:
            return "idle in transaction (aborted)";
        case STATE_DISABLED:
            return "disabled";
        case STATE_UNDEFINED:
            break;
    }
    return "unknown";
}

std::vector<SessionSnapshot> LookAtSessions(int64_t* now_us) {
    LookAfresh();
    const HostRows all = Query(kSessionsQuery);
    *now_us = UnixUs(GetCurrentTimestamp());
    std::vector<SessionSnapshot> sessions;
    sessions.reserve(static_cast<size_t>(all.rows));
    for (int row = 0; row < all.rows; ++row) {
        sessions.push_back(FromRow(all, row));
    }
    return sessions;
}

void NoticeHidden(const std::vector<SessionSnapshot>& sessions) {
    if (const size_t hidden = sessions::CountHidden(sessions); hidden > 0) {
        CallHostVoid([=] {
            ereport(NOTICE,
                    (errmsg("%zu sessions of other roles are hidden from you: their states, "
                            "times and texts are null",
                            hidden),
                     errhint("A role with pg_read_all_stats sees them.")));
        });
    }
}

sessions::PoolFacts ReadPoolFacts() {
    LookAfresh();
    const HostRows all = Query(kLimitsQuery);
    if (all.rows != 1) {
        throw Error(Code::kInternal, "the caller's role or database is not in the catalogs");
    }
    const auto at = [&](LimitColumn column) { return all.At(0, column); };
    sessions::PoolFacts facts;
    sessions::ConnectionLimits& limits = facts.limits;
    limits.max_connections = OptionalNumber(at(kMaxConnections));
    limits.superuser_reserved = OptionalNumber(at(kSuperuserReserved));
    limits.reserved = OptionalNumber(at(kReserved));
    limits.used = Number(at(kUsed));
    limits.role_limit = OptionalNumber(at(kRoleLimit));
    limits.role_used = Number(at(kRoleUsed));
    limits.database_limit = OptionalNumber(at(kDatabaseLimit));
    limits.database_used = Number(at(kDatabaseUsed));
    limits.is_superuser = IsTrue(at(kCallerIsSuperuser));
    facts.idle_session_timeout_ms = Number(at(kIdleTimeoutMs));
    return facts;
}

void RefuseOnStandby(const char* name) {
    CallHostVoid([=] {
        if (RecoveryInProgress()) {
            ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                            errmsg("cannot execute upkeep.%s during recovery", name),
                            errhint("Call it on the primary; a session of this standby ends with "
                                    "pg_terminate_backend(pid).")));
        }
    });
}

std::vector<SessionSnapshot> ServerSessions::Look(int64_t* now_us) {
    return LookAtSessions(now_us);
}

Outcome ServerSessions::Act(const SessionSnapshot& seen, RuleAction action, MustBe must_be) {
    const int pid = static_cast<int>(seen.pid);
    const Now found = CallHost([=] { return LookUp(pid); });
    SessionSnapshot now;
    now.state = StateWord(found.state);
    now.started_us = UnixUs(found.started);
    now.state_change_us = UnixUs(found.state_change);
    now.query_start_us = UnixUs(found.query_start);
    if (std::string changed = WhatChanged(seen, found.is_there ? &now : nullptr, must_be);
        !changed.empty()) {
        return {Outcome::What::kChanged, std::move(changed)};
    }
    const bool ends = action == RuleAction::kEnd;
    if (ends && must_be == MustBe::kSameState && HasDoorbell()) {
        Outcome outcome = AskSession(pid, found);
        if (outcome.what == Outcome::What::kDone) {
            LogCall(seen, action);
        }
        return outcome;
    }
    const Result<bool> sent = InSubtransaction([=] {
        return DatumGetBool(
            ends ? DirectFunctionCall2(pg_terminate_backend, Int32GetDatum(pid), Int64GetDatum(0))
                 : DirectFunctionCall1(pg_cancel_backend, Int32GetDatum(pid)));
    });
    if (!sent.ok()) {
        return {Outcome::What::kRefused, sent.error().message()};
    }
    if (!sent.value()) {
        return {Outcome::What::kChanged, "it has ended by itself"};
    }
    LogCall(seen, action);
    return {};
}

void ServerSessions::Notice(const std::string& text, const std::string& hint) {
    const char* text_data = text.c_str();
    const char* hint_data = hint.c_str();
    CallHostVoid([=] { ereport(NOTICE, (errmsg("%s", text_data), errhint("%s", hint_data))); });
}

std::string ServerSessions::CurrentDatabase() {
    const char* name = CallHost([] { return get_database_name(MyDatabaseId); });
    return name != nullptr ? name : "";
}

}  // namespace upkeep::pg
