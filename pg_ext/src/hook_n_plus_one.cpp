// SPDX-License-Identifier: PostgreSQL
#include "hook_n_plus_one.h"

#include "endpoint.h"
#include "statement_facts.h"

extern "C" {
#include "common/hashfn.h"
#include "nodes/parsenodes.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

capture::Detector detector;

namespace {

using capture::Finished;

Finished FinishedOf(const capture::StatementKey& key, const capture::Execution& execution,
                    capture::Operation operation) {
    Finished statement;
    statement.fingerprint = key.fingerprint;
    statement.operation = operation;
    statement.user = key.user;
    statement.endpoint = key.endpoint;
    statement.rows = execution.rows;
    statement.duration_ns = execution.duration_ns;
    statement.ended_us = execution.ended_us;
    return statement;
}

/// Of the values of a statement: its bound parameters by their bytes, and the constants of its
/// text, by hashing that.
StatementValues ValuesOf(const QueryDesc* query) {
    int location = query->plannedstmt->stmt_location;
    int length = query->plannedstmt->stmt_len;
    const char* text = CleanQuerytext(query->sourceText, &location, &length);
    uint64_t hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(text), length, 0);
    const ParamListInfo params = query->params;
    for (int i = 0; params != nullptr && i < params->numParams; ++i) {
        const ParamExternData& value = params->params[i];
        if (value.isnull || !OidIsValid(value.ptype)) {
            hash = capture::Mix(hash + 1);
            continue;
        }
        int16 size = 0;
        bool by_value = false;
        get_typlenbyval(value.ptype, &size, &by_value);
        hash = capture::Mix(hash ^ datum_image_hash(value.value, by_value, size));
    }
    return {hash, text, length};
}

/// The last cursors that were declared: FETCH names no query, and the portal's has no fingerprint.
struct Cursor {
    uint32_t name;  // hash
    uint64_t fingerprint;
};
constexpr uint32_t kCursors = 16;
Cursor cursors[kCursors];

uint32_t HashOfName(const char* name) {
    return hash_bytes(reinterpret_cast<const unsigned char*>(name), static_cast<int>(strlen(name)));
}

UtilityMeaning MeaningOfDeclare(const DeclareCursorStmt* declare, const char* text, int length) {
    const bool is_wanted = settings.n_plus_one_threshold > 0;
    return {UtilityRole::kDeclares, HashOfName(declare->portalname),
            is_wanted ? KeepCursorQuery(GetUserId(), text, length) : 0};
}

UtilityMeaning MeaningOfFetch(const FetchStmt* fetch) {
    if (settings.n_plus_one_threshold == 0 || fetch->ismove) {
        return {UtilityRole::kOther, 0, 0};
    }
    const uint32_t name = HashOfName(fetch->portalname);
    const Cursor& cursor = cursors[name % kCursors];
    return {UtilityRole::kFetches, name, cursor.name == name ? cursor.fingerprint : 0};
}

}  // namespace

UtilityMeaning MeaningOf(const Node* statement, const char* text, int length) {
    switch (nodeTag(statement)) {
        case T_TransactionStmt: {
            const TransactionStmtKind kind =
                reinterpret_cast<const TransactionStmt*>(statement)->kind;
            const bool ends = kind == TRANS_STMT_COMMIT || kind == TRANS_STMT_ROLLBACK ||
                              kind == TRANS_STMT_PREPARE;
            return {ends ? UtilityRole::kEndsScope : UtilityRole::kOther, 0, 0};
        }
        case T_DiscardStmt:
            return {UtilityRole::kEndsScope, 0, 0};
        case T_CopyStmt:
        case T_CallStmt:
        case T_DoStmt:
        case T_TruncateStmt:
            return {UtilityRole::kWrites, 0, 0};
        case T_DeclareCursorStmt:
            return MeaningOfDeclare(reinterpret_cast<const DeclareCursorStmt*>(statement), text,
                                    length);
        case T_FetchStmt:
            return MeaningOfFetch(reinterpret_cast<const FetchStmt*>(statement));
        default:
            return {UtilityRole::kOther, 0, 0};
    }
}

void NoteUtility(const UtilityMeaning& meaning, const capture::StatementKey& key,
                 const capture::Execution& execution) {
    if (meaning.role == UtilityRole::kWrites) {
        detector.NoteWrite();
    } else if (meaning.role == UtilityRole::kEndsScope) {
        EndDetectorScope();
    } else if (meaning.role == UtilityRole::kDeclares) {
        cursors[meaning.cursor % kCursors] = {meaning.cursor, meaning.fingerprint};
    } else if (meaning.fingerprint != 0 && execution.rows != 0) {
        Finished part = FinishedOf(key, execution, capture::Operation::kSelect);
        part.fingerprint = static_cast<int64_t>(meaning.fingerprint);
        FeedPart(part);
    }
}

void NoteQueryInScope(const QueryDesc* query, const capture::StatementKey& key,
                      const capture::Execution& execution) {
    const capture::Operation operation = OperationOf(query->operation);
    if (!detector.HasWork(operation, execution.rows)) {
        return;
    }
    const Finished statement = FinishedOf(key, execution, operation);
    if (detector.WantsValues(statement)) {
        const StatementValues values = ValuesOf(query);
        FeedStatement(statement, &values);
    } else {
        FeedStatement(statement, nullptr);
    }
}

void NotePortalPart(const QueryDesc* query) {
    const uint64_t rows = query->estate->es_processed;
    if (settings.n_plus_one_threshold == 0 || rows == 0) {
        return;
    }
    capture::Execution execution;
    execution.rows = rows;
    execution.ended_us = EndedUs(0);
    const PlannedStmt* planned = query->plannedstmt;
    const SourcePlace place = {query->sourceText, planned->stmt_location, planned->stmt_len};
    FeedPart(FinishedOf(KeyFor(planned->queryId, true, GetUserId(), EndpointOf(place, 0)),
                        execution, capture::Operation::kSelect));
}

}  // namespace upkeep::pg
