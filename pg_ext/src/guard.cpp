// SPDX-License-Identifier: PostgreSQL
#include "guard.h"

#include <cstring>

namespace upkeep::pg {

int SqlState(Code code) {
    switch (code) {
        case Code::kInvalidArgument:
            return ERRCODE_INVALID_PARAMETER_VALUE;
        case Code::kNotFound:
            return ERRCODE_UNDEFINED_OBJECT;
        case Code::kPermissionDenied:
            return ERRCODE_INSUFFICIENT_PRIVILEGE;
        case Code::kUnsupported:
            return ERRCODE_FEATURE_NOT_SUPPORTED;
        case Code::kBusy:
            return ERRCODE_LOCK_NOT_AVAILABLE;
        case Code::kInterrupted:
            return ERRCODE_QUERY_CANCELED;
        case Code::kHost:
            return ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
        case Code::kInternal:
            break;
    }
    return ERRCODE_INTERNAL_ERROR;
}

namespace {

void CopyText(char* out, size_t size, const char* text) {
    const size_t length = std::strlen(text);
    const size_t kept = length < size
                            ? length
                            : static_cast<size_t>(pg_mbcliplen(text, static_cast<int>(length),
                                                               static_cast<int>(size) - 1));
    std::memcpy(out, text, kept);
    out[kept] = '\0';
}

}  // namespace

void Fill(Pending* pending, int sqlstate, const char* message, const char* hint) {
    pending->sqlstate = sqlstate;
    CopyText(pending->message, sizeof(pending->message), message);
    CopyText(pending->hint, sizeof(pending->hint), hint);
}

void Raise(const Pending& pending) {
    PG_exception_stack = pending.jump;
    error_context_stack = pending.context;
    if (pending.host != nullptr) {
        ReThrowError(pending.host);
    }
    ereport(ERROR, (errcode(pending.sqlstate), errmsg("%s", pending.message),
                    pending.hint[0] != '\0' ? errhint("%s", pending.hint) : 0));
    pg_unreachable();
}

namespace {

Code CodeOf(int sqlstate) {
    switch (sqlstate) {
        case ERRCODE_INSUFFICIENT_PRIVILEGE:
            return Code::kPermissionDenied;
        case ERRCODE_UNDEFINED_TABLE:
        case ERRCODE_UNDEFINED_COLUMN:
        case ERRCODE_UNDEFINED_OBJECT:
        case ERRCODE_UNDEFINED_FUNCTION:
        case ERRCODE_INVALID_SCHEMA_NAME:
            return Code::kNotFound;
        case ERRCODE_LOCK_NOT_AVAILABLE:
            return Code::kBusy;
        default:
            break;
    }
    switch (ERRCODE_TO_CATEGORY(sqlstate)) {
        case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
        case ERRCODE_DATA_EXCEPTION:  // a literal that its type does not take
        case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
            return Code::kInvalidArgument;
        case ERRCODE_FEATURE_NOT_SUPPORTED:
            return Code::kUnsupported;
        default:
            return Code::kHost;
    }
}

}  // namespace

Error FromHost(ErrorData* data) {
    const Code code = CodeOf(data->sqlerrcode);
    Error error(code, data->message != nullptr ? data->message : "unknown server error",
                data->hint != nullptr ? data->hint : "");
    FreeErrorData(data);
    return error;
}

bool MustUnwind(const ErrorData* data) {
    return data->elevel > ERROR || data->sqlerrcode == ERRCODE_QUERY_CANCELED ||
           data->sqlerrcode == ERRCODE_OUT_OF_MEMORY ||
           ERRCODE_TO_CATEGORY(data->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
           ERRCODE_TO_CATEGORY(data->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK;
}

SubtransactionState BeginSubtransaction() {
    SubtransactionState state = {CurrentMemoryContext, CurrentResourceOwner};
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(state.context);
    return state;
}

void EndSubtransaction(const SubtransactionState& state, bool commit) {
    if (commit) {
        ReleaseCurrentSubTransaction();
    } else {
        RollbackAndReleaseCurrentSubTransaction();
    }
    MemoryContextSwitchTo(state.context);
    CurrentResourceOwner = state.owner;
}

}  // namespace upkeep::pg
