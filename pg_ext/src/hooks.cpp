// Capture: the parser, planner, executor and utility hooks. Every frame here holds plain data only;
// the previous hook is called from it directly, so that its errors pass as they would without us.
//
//   parse ─▶ text kept, constants as $n       (once per statement and backend, else a look)
//   plan  ─▶ time
//   start ─▶ totaltime allocated
//   run, finish ─▶ nesting; an error is counted for the statement and goes on
//   end   ─▶ one atomic add per counter; slow ones: plan, ring
//
// Cancelled and failed statements never reach `end`; what failed is known where it unwinds. In
// there nothing of the server is called: its state is what the error left.
// SPDX-License-Identifier: PostgreSQL
#include "hooks.h"

#include "compat.h"
#include "own_call.h"
#include "pg.h"
#include "recorder.h"
#include "settings.h"
#include "statement_facts.h"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "libpq/libpq-be.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "tcop/utility.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

namespace {

using capture::Execution;
using capture::StatementKey;

post_parse_analyze_hook_type previous_parse = nullptr;
planner_hook_type previous_planner = nullptr;
ExecutorStart_hook_type previous_start = nullptr;
ExecutorRun_hook_type previous_run = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;
ExecutorEnd_hook_type previous_end = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;

/// Statements under way in this backend, one inside the other; 0: the next one is a client's.
int nesting = 0;

/// Where a statement began. An error may leave another role in force (a function's owner).
struct Place {
    int level;
    Oid user;
};

Place Here() {
    return {nesting, GetUserId()};
}

/// Start of the client's message that turned capture on, or 0: of what was under way by then no
/// level is known, so it goes uncounted.
TimestampTz turned_on_in = 0;

bool IsCaptured(int level) {
    if (settings.capture == kCaptureNone || SharedStore() == nullptr || IsParallelWorker() ||
        own_calls > 0) {
        return false;
    }
    if (level == 0 && turned_on_in != 0 && turned_on_in == GetCurrentStatementStartTimestamp()) {
        return false;
    }
    return settings.capture == kCaptureAll || (settings.capture == kCaptureTop && level == 0);
}

bool IsSlow(uint64_t ns) {
    return settings.slow_threshold_ms >= 0 &&
           ns >= static_cast<uint64_t>(settings.slow_threshold_ms) * 1000000;
}

uint64_t Nanoseconds(double seconds) {
    return seconds > 0 ? static_cast<uint64_t>(seconds * 1e9 + 0.5) : 0;
}

int64_t NowUs() {
    return GetCurrentTimestamp() + kPostgresEpochUs;
}

/// When a statement that took `ns` ended, without asking a clock again.
int64_t EndedUs(uint64_t ns) {
    return GetCurrentStatementStartTimestamp() + kPostgresEpochUs + static_cast<int64_t>(ns / 1000);
}

void SetUsage(Execution* execution, const BufferUsage& buffers, const WalUsage& wal) {
    execution->hit_blocks = static_cast<uint64_t>(buffers.shared_blks_hit);
    execution->read_blocks = static_cast<uint64_t>(buffers.shared_blks_read);
    execution->temp_written_blocks = static_cast<uint64_t>(buffers.temp_blks_written);
    execution->wal_bytes = wal.wal_bytes;
}

SlowInput SlowOf(const StatementKey& key, const Execution& execution) {
    SlowInput slow = {};
    slow.fields = {.ended_us = NowUs(),
                   .duration_ns = execution.duration_ns,
                   .fingerprint = key.fingerprint,
                   .rows = execution.rows,
                   .hit_blocks = execution.hit_blocks,
                   .read_blocks = execution.read_blocks,
                   .database = key.database,
                   .user = key.user,
                   .endpoint = key.endpoint,
                   .pid = MyProcPid};
    slow.application_name = application_name;
    const bool is_remote = MyProcPort != nullptr && MyProcPort->remote_host != nullptr &&
                           MyProcPort->remote_host[0] != '[' && MyProcPort->remote_host[0] != '\0';
    slow.client_addr = is_remote ? MyProcPort->remote_host : nullptr;
    slow.keeps_literals = settings.capture_parameters;
    return slow;
}

/// In a handler: counts the error that is under way. Calls nothing of the server but the error's
/// code.
void CountFailure(uint64_t fingerprint, capture::Operation operation, const Place& place,
                  uint64_t ns) {
    const StatementKey key = KeyFor(fingerprint, place.level == 0, place.user);
    Execution execution;
    execution.duration_ns = ns;
    execution.is_error = true;
    execution.is_slow = IsSlow(ns);
    execution.ended_us = NowUs();
    if (!CountKnown(key, execution)) {
        CountNew(key, operation, "", execution);
    }
    if (execution.is_slow) {
        SlowInput slow = SlowOf(key, execution);
        slow.error_code = unpack_sql_state(geterrcode());
        KeepSlow(slow);
    }
}

// --- parse -------------------------------------------------------------------------------------

void KeepQueryText(uint64_t fingerprint, const char* source, int location, int length,
                   const JumbleState* jumble) {
    if (source == nullptr || TextIsKept(fingerprint, GetUserId())) {
        return;
    }
    const char* text = CleanQuerytext(source, &location, &length);
    SourceText input = {text, length, nullptr, 0, 0};
    int* offsets = nullptr;
    if (jumble != nullptr) {
        offsets = static_cast<int*>(palloc(sizeof(int) * (jumble->clocations_count + 1)));
        for (int i = 0; i < jumble->clocations_count; ++i) {
            offsets[i] = jumble->clocations[i].location - location;
        }
        input.offsets = offsets;
        input.offset_count = jumble->clocations_count;
        input.highest_parameter = jumble->highest_extern_param_id;
    }
    KeepText(fingerprint, GetUserId(), input);
    if (offsets != nullptr) {
        pfree(offsets);
    }
}

void Parsed(ParseState* state, Query* query, JumbleState* jumble) {
    if (previous_parse != nullptr) {
        previous_parse(state, query, jumble);
    }
    if (IsCaptured(nesting) && query->utilityStmt == nullptr && query->queryId != 0) {
        KeepQueryText(query->queryId, state->p_sourcetext, query->stmt_location, query->stmt_len,
                      jumble);
    }
}

// --- plan --------------------------------------------------------------------------------------

PlannedStmt* PlanAsBefore(Query* parse, const char* text, int options, ParamListInfo params) {
    return previous_planner != nullptr ? previous_planner(parse, text, options, params)
                                       : standard_planner(parse, text, options, params);
}

PlannedStmt* Planned(Query* parse, const char* text, int options, ParamListInfo params) {
    if (!IsCaptured(nesting) || parse->queryId == 0) {
        return PlanAsBefore(parse, text, options, params);
    }
    const uint64_t fingerprint = parse->queryId;
    const capture::Operation operation = OperationOf(parse->commandType);
    const Place here = Here();
    PlannedStmt* volatile result = nullptr;
    instr_time start;
    INSTR_TIME_SET_CURRENT(start);
    ++nesting;  // what the planner runs (constant functions) is not a client's
    PG_TRY();
    { result = PlanAsBefore(parse, text, options, params); }
    PG_CATCH();
    {
        nesting = here.level;
        CountFailure(fingerprint, operation, here, 0);
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = here.level;
    instr_time took;
    INSTR_TIME_SET_CURRENT(took);
    INSTR_TIME_SUBTRACT(took, start);
    CountPlanning(KeyFor(fingerprint, here.level == 0, here.user),
                  Nanoseconds(INSTR_TIME_GET_DOUBLE(took)));
    return result;
}

// --- execute -----------------------------------------------------------------------------------

bool IsCapturedQuery(const QueryDesc* query, int level) {
    return query->plannedstmt->queryId != 0 && IsCaptured(level);
}

/// Time so far of a query that failed in the middle.
uint64_t UnfinishedNs(const QueryDesc* query) {
    const Instrumentation* total = query->totaltime;
    if (total == nullptr) {
        return 0;
    }
    instr_time sum = total->counter;
    if (!INSTR_TIME_IS_ZERO(total->starttime)) {
        instr_time now;
        INSTR_TIME_SET_CURRENT(now);
        INSTR_TIME_ACCUM_DIFF(sum, now, total->starttime);
    }
    return Nanoseconds(total->total + INSTR_TIME_GET_DOUBLE(sum));
}

void CountFailedQuery(const QueryDesc* query, const Place& place) {
    if (IsCapturedQuery(query, place.level)) {
        CountFailure(query->plannedstmt->queryId, OperationOf(query->operation), place,
                     UnfinishedNs(query));
    }
}

/// Runs a part of the executor one level down.
template <typename Call>
[[gnu::noinline]] void RunOneDown(const QueryDesc* query, Call call) {
    const Place here = Here();
    ++nesting;
    PG_TRY();
    { call(); }
    PG_CATCH();
    {
        nesting = here.level;
        CountFailedQuery(query, here);
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = here.level;
}

/// With capture off there is no level to keep.
template <typename Call>
[[gnu::always_inline]] inline void RunInside(const QueryDesc* query, Call call) {
    if (settings.capture == kCaptureNone) {
        call();
    } else {
        RunOneDown(query, call);
    }
}

void Started(QueryDesc* query, int flags) {
    RunInside(query, [=] {
        if (previous_start != nullptr) {
            previous_start(query, flags);
        } else {
            standard_ExecutorStart(query, flags);
        }
    });
    if (IsCapturedQuery(query, nesting) && query->totaltime == nullptr) {
        MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
        query->totaltime = InstrAlloc(1, INSTRUMENT_ALL, false);
        MemoryContextSwitchTo(caller);
    }
}

void Ran(QueryDesc* query, ScanDirection direction, uint64 count, bool execute_once) {
    RunInside(query, [=] {
        if (previous_run != nullptr) {
            previous_run(query, direction, count, execute_once);
        } else {
            standard_ExecutorRun(query, direction, count, execute_once);
        }
    });
}

void Finished(QueryDesc* query) {
    RunInside(query, [=] {
        if (previous_finish != nullptr) {
            previous_finish(query);
        } else {
            standard_ExecutorFinish(query);
        }
    });
}

void KeepSlowQuery(QueryDesc* query, const StatementKey& key, const Execution& execution) {
    SlowInput slow = SlowOf(key, execution);
    if (settings.capture_plans) {
        slow.plan = PlanOf(query);
    }
    if (settings.capture_parameters) {
        slow.parameters = ParametersOf(query);
    }
    KeepSlow(slow);
}

void CountQuery(QueryDesc* query) {
    InstrEndLoop(query->totaltime);
    const PlannedStmt* planned = query->plannedstmt;
    const StatementKey key = KeyFor(planned->queryId, nesting == 0, GetUserId());
    const PlanShape shape = ShapeOf(planned);
    Execution execution;
    execution.duration_ns = Nanoseconds(query->totaltime->total);
    execution.rows = query->estate->es_processed;
    execution.full_scans = shape.full_scans;
    execution.sorts = shape.sorts;
    execution.is_slow = IsSlow(execution.duration_ns);
    execution.ended_us = EndedUs(execution.duration_ns);
    SetUsage(&execution, query->totaltime->bufusage, query->totaltime->walusage);
    if (!CountKnown(key, execution)) {
        char tables[kTablesRoom];
        NamesOfTables(planned, tables);
        KeepQueryText(planned->queryId, query->sourceText, planned->stmt_location,
                      planned->stmt_len, nullptr);
        CountNew(key, OperationOf(query->operation), tables, execution);
    }
    if (execution.is_slow) {
        KeepSlowQuery(query, key, execution);
    }
}

void Ended(QueryDesc* query) {
    if (query->totaltime != nullptr && IsCapturedQuery(query, nesting)) {
        CountQuery(query);
    }
    if (previous_end != nullptr) {
        previous_end(query);
    } else {
        standard_ExecutorEnd(query);
    }
}

// --- utility -----------------------------------------------------------------------------------

/// One utility statement under way, copied before it runs: it may free its own tree (ROLLBACK).
struct UtilityFrame {
    uint64_t fingerprint;
    const char* text;  // in the source, not terminated
    int length;
    bool may_hold_password;
    const char* tag;
    char tables[kTablesRoom];
    instr_time start;
    BufferUsage buffers;
    WalUsage wal;
};

UtilityFrame FrameOf(const PlannedStmt* statement, const char* source) {
    UtilityFrame frame = {};
    int location = statement->stmt_location;
    int length = statement->stmt_len;
    frame.text = CleanQuerytext(source, &location, &length);
    frame.length = length;
    frame.fingerprint =
        statement->queryId != 0 ? statement->queryId : FingerprintOfUtility(frame.text, length);
    frame.may_hold_password = MayHoldPassword(statement->utilityStmt);
    frame.tag = GetCommandTagName(CreateCommandTag(statement->utilityStmt));
    NameOfUtilityTable(statement->utilityStmt, frame.tables);
    frame.buffers = pgBufferUsage;
    frame.wal = pgWalUsage;
    INSTR_TIME_SET_CURRENT(frame.start);
    return frame;
}

uint64_t NsSince(const instr_time& start) {
    instr_time took;
    INSTR_TIME_SET_CURRENT(took);
    INSTR_TIME_SUBTRACT(took, start);
    return Nanoseconds(INSTR_TIME_GET_DOUBLE(took));
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

void CountUtility(const UtilityFrame& frame, const QueryCompletion* completion, int level) {
    Execution execution;
    execution.duration_ns = NsSince(frame.start);
    execution.rows = RowsOf(completion);
    execution.is_slow = IsSlow(execution.duration_ns);
    execution.ended_us = EndedUs(execution.duration_ns);
    BufferUsage buffers = {};
    BufferUsageAccumDiff(&buffers, &pgBufferUsage, &frame.buffers);
    WalUsage wal = {};
    WalUsageAccumDiff(&wal, &pgWalUsage, &frame.wal);
    SetUsage(&execution, buffers, wal);
    const StatementKey key = KeyFor(frame.fingerprint, level == 0, GetUserId());
    KeepUtilityText(frame, key.user);
    if (!CountKnown(key, execution)) {
        CountNew(key, capture::Operation::kUtility, frame.tables, execution);
    }
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
    ++nesting;
    PG_TRY();
    { RunAsBefore(call); }
    PG_CATCH();
    {
        nesting = here.level;
        KeepUtilityText(frame, here.user);
        CountFailure(frame.fingerprint, capture::Operation::kUtility, here, NsSince(frame.start));
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
    if (IsCaptured(nesting) && IsCountedUtility(statement->utilityStmt)) {
        RunCounted(call);
    } else {
        RunAsBefore(call);
    }
}

}  // namespace

void CaptureTurnedOn() {
    if (SharedStore() == nullptr) {
        return;
    }
    EnableQueryId();
    if (nesting == 0) {
        turned_on_in = GetCurrentStatementStartTimestamp();
    }
}

void InstallCaptureHooks() {
    if (settings.capture != kCaptureNone) {
        EnableQueryId();
    }
    previous_parse = post_parse_analyze_hook;
    post_parse_analyze_hook = Parsed;
    previous_planner = planner_hook;
    planner_hook = Planned;
    previous_start = ExecutorStart_hook;
    ExecutorStart_hook = Started;
    previous_run = ExecutorRun_hook;
    ExecutorRun_hook = Ran;
    previous_finish = ExecutorFinish_hook;
    ExecutorFinish_hook = Finished;
    previous_end = ExecutorEnd_hook;
    ExecutorEnd_hook = Ended;
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = Utility;
}

}  // namespace upkeep::pg
