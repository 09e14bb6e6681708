// Capture of utility statements (DDL, COPY, VACUUM, SET …).
// SPDX-License-Identifier: PostgreSQL
#include "hook_utility.h"

#include "endpoint.h"
#include "held.h"
#include "hook_n_plus_one.h"
#include "hook_state.h"
#include "statement_facts.h"

extern "C" {
#include "executor/executor.h"
#include "tcop/utility.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

namespace {

using capture::Execution;
using capture::StatementKey;

ProcessUtility_hook_type previous_utility = nullptr;

/// One utility statement under way, copied before it runs: it may free its own tree (ROLLBACK).
struct UtilityFrame {
    uint64_t fingerprint;
    uint32_t endpoint;
    uint32_t endpoint_changes;  // of the setting, by then
    const char* text;           // in the source, not terminated
    int length;
    bool may_hold_password;
    const char* tag;
    UtilityMeaning meaning;
    char tables[kTablesRoom];
    uint64_t start_ns;
    BufferUsage buffers;
    WalUsage wal;
};

UtilityFrame FrameOf(const PlannedStmt* statement, const char* source) {
    UtilityFrame frame = {};
    int location = statement->stmt_location;
    int length = statement->stmt_len;
    frame.text = CleanQuerytext(source, &location, &length);
    // The server's id is that of the text with its comments, which may be others in each request.
    const bool has_comments = LeaveCommentsOut(&frame.text, &length);
    frame.length = length;
    frame.fingerprint = statement->queryId != 0 && !has_comments
                            ? statement->queryId
                            : FingerprintOfUtility(frame.text, length);
    const SourcePlace place = {source, statement->stmt_location, statement->stmt_len};
    frame.endpoint = EndpointOf(place, nesting);
    frame.endpoint_changes = settings.endpoint_changes;
    EnterStatement(place, nesting);
    frame.may_hold_password = MayHoldPassword(statement->utilityStmt);
    frame.tag = GetCommandTagName(CreateCommandTag(statement->utilityStmt));
    frame.meaning =
        nesting == 0 ? MeaningOf(statement->utilityStmt, frame.text, length) : UtilityMeaning{};
    NameOfUtilityTable(statement->utilityStmt, frame.tables);
    frame.buffers = pgBufferUsage;
    frame.wal = pgWalUsage;
    frame.start_ns = NowNs();
    return frame;
}

void KeepUtilityText(const UtilityFrame& frame, Oid user) {
    if (TextIsKept(frame.fingerprint, user)) {
        return;
    }
    if (frame.may_hold_password) {
        KeepPlainText(frame.fingerprint, user, frame.tag);
    } else {
        KeepText(frame.fingerprint, user, {frame.text, frame.length, nullptr, 0, 0});
    }
}

/// The one at the beginning: COMMIT ends what SET LOCAL told, and belongs to it. But who sets
/// another begins with that.
uint32_t EndpointAtEnd(const UtilityFrame& frame) {
    const bool is_set_anew =
        frame.endpoint_changes != settings.endpoint_changes && settings.has_endpoint;
    return is_set_anew ? EndpointOfSetting() : frame.endpoint;
}

void CountUtility(const UtilityFrame& frame, const QueryCompletion* completion, int level) {
    Execution execution;
    execution.duration_ns = NowNs() - frame.start_ns;
    execution.rows = RowsOf(completion);
    execution.is_slow = IsSlow(execution.duration_ns);
    execution.ended_us = EndedUs(execution.duration_ns);
    BufferUsage buffers = {};
    BufferUsageAccumDiff(&buffers, &pgBufferUsage, &frame.buffers);
    WalUsage wal = {};
    WalUsageAccumDiff(&wal, &pgWalUsage, &frame.wal);
    SetUsage(&execution, buffers, wal);
    const StatementKey key =
        KeyFor(frame.fingerprint, level == 0, GetUserId(), EndpointAtEnd(frame));
    KeepUtilityText(frame, key.user);
    if (!CountKnown(key, execution)) {
        CountNew(key, capture::Operation::kUtility, frame.tables, execution);
    }
    NoteUtility(frame.meaning, key, execution);
    if (execution.is_slow) {
        KeepSlow(SlowOf(key, execution));
    }
}

struct UtilityCall {
    PlannedStmt* statement;
    const char* source;
    bool read_only;
    ProcessUtilityContext context;
    ParamListInfo params;
    QueryEnvironment* environment;
    DestReceiver* destination;
    QueryCompletion* completion;
};

void RunAsBefore(const UtilityCall& call) {
    ProcessUtility_hook_type run =
        previous_utility != nullptr ? previous_utility : standard_ProcessUtility;
    run(call.statement, call.source, call.read_only, call.context, call.params, call.environment,
        call.destination, call.completion);
}

void RunCounted(const UtilityCall& call) {
    const Place here = Here();
    const UtilityFrame frame = FrameOf(call.statement, call.source);
    NoteRunning(frame.fingerprint, CMD_UTILITY);
    ++nesting;
    PG_TRY();
    { RunAsBefore(call); }
    PG_CATCH();
    {
        nesting = here.level;
        KeepUtilityText(frame, here.user);
        CountFailure({.fingerprint = frame.fingerprint,
                      .operation = capture::Operation::kUtility,
                      .place = here,
                      .ns = NowNs() - frame.start_ns,
                      .sqlstate = geterrcode(),
                      .tables = frame.tables,
                      .endpoint = frame.endpoint});
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = here.level;
    CountUtility(frame, call.completion, here.level);
}

void Utility(PlannedStmt* statement, const char* source, bool read_only,
             ProcessUtilityContext context, ParamListInfo params, QueryEnvironment* environment,
             DestReceiver* destination, QueryCompletion* completion) {  // NOLINT: the hook's type
    const UtilityCall call = {statement, source,      read_only,   context,
                              params,    environment, destination, completion};
    NoteWhatIsHeld(statement->utilityStmt);
    if (IsCaptured(nesting) && IsCountedUtility(statement->utilityStmt)) {
        RunCounted(call);
    } else {
        RunAsBefore(call);
    }
}

}  // namespace

void InstallUtilityHook() {
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = Utility;
}

}  // namespace upkeep::pg
