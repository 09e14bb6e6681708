// Errors without a statement (a text that does not parse, an unknown prepared name, a commit that
// fails), counted per SQLSTATE when the server logs them. By then everything has unwound: what was
// counted for a statement has said so. FATAL is logged where it happens and unwinds nothing, so the
// statement under way is counted here.
// Not for: errors that somebody caught. They are nobody's but the nested statement's.
// SPDX-License-Identifier: PostgreSQL
#include "hook_log.h"

#include "endpoint.h"
#include "hook_state.h"
#include "statement_facts.h"
#include "upkeep/capture/not_executed.h"

extern "C" {
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace upkeep::pg {

namespace {

emit_log_hook_type previous_log = nullptr;
bool is_counting = false;  // an error of ours on the way comes here again: it is not counted

/// Only a client's session that is up: a refused login is no statement.
bool IsClientsError(const ErrorData* error) {
    return (error->elevel == ERROR || error->elevel == FATAL) && MyBackendType == B_BACKEND &&
           IsNormalProcessingMode() && OidIsValid(MyDatabaseId);
}

uint64_t NsSinceMessage() {
    const TimestampTz took = GetCurrentTimestamp() - GetCurrentStatementStartTimestamp();
    return took > 0 ? static_cast<uint64_t>(took) * 1000 : 0;
}

/// Of the statement under way; while it is planned only the setting is known.
uint32_t EndpointOfRunning() {
    if (running_query == nullptr) {
        return EndpointOfSetting();
    }
    const PlannedStmt* planned = running_query->plannedstmt;
    return EndpointOf({running_query->sourceText, planned->stmt_location, planned->stmt_len},
                      nesting - 1);
}

void CountLogged(const ErrorData* error) {
    if (error->elevel == FATAL && nesting > 0) {
        const Running now = running_query == nullptr ? running
                                                     : Running{running_query->plannedstmt->queryId,
                                                               running_query->operation};
        if (now.fingerprint != 0) {
            CountFailure({.fingerprint = now.fingerprint,
                          .operation = OperationOf(now.command),
                          .place = {0, GetOuterUserId()},
                          .ns = NsSinceMessage(),
                          .sqlstate = error->sqlerrcode,
                          .endpoint = EndpointOfRunning()});
        }
        return;
    }
    if (nesting == 0 && !TakeCountedFailure()) {
        // The role of the session: where an error left a function's owner in force it was counted.
        CountNotExecuted(unpack_sql_state(error->sqlerrcode), GetOuterUserId());
    }
}

void Logged(ErrorData* error) {
    if (!is_counting && IsClientsError(error) && IsCaptured(0)) {
        is_counting = true;
        CountLogged(error);
        is_counting = false;
    }
    if (previous_log != nullptr) {
        previous_log(error);
    }
}

}  // namespace

bool LogHidesErrors() {
    return log_min_messages > ERROR || log_min_messages == LOG;
}

void InstallLogHook() {
    previous_log = emit_log_hook;
    emit_log_hook = Logged;
}

}  // namespace upkeep::pg
