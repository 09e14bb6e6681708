// Capture while the executor runs a statement: start, run, finish, end.
// SPDX-License-Identifier: PostgreSQL
#include "hook_executor.h"

#include "endpoint.h"
#include "hook_plan.h"
#include "hook_state.h"
#include "known_statements.h"
#include "statement_facts.h"

extern "C" {
#include "executor/executor.h"
}

namespace upkeep::pg {

namespace {

using capture::Execution;
using capture::StatementKey;

ExecutorStart_hook_type previous_start = nullptr;
ExecutorRun_hook_type previous_run = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;
ExecutorEnd_hook_type previous_end = nullptr;

bool IsCapturedQuery(const QueryDesc* query, int level) {
    return query->plannedstmt->queryId != 0 && IsCaptured(level);
}

SourcePlace PlaceOf(const QueryDesc* query) {
    const PlannedStmt* planned = query->plannedstmt;
    return {query->sourceText, planned->stmt_location, planned->stmt_len};
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
        CountFailure({query->plannedstmt->queryId, OperationOf(query->operation), place,
                      UnfinishedNs(query), geterrcode(), nullptr, query,
                      EndpointOf(PlaceOf(query), place.level)});
    }
}

/// Runs a part of the executor one level down.
template <typename Call>
[[gnu::noinline]] void RunOneDown(const QueryDesc* query, Call call) {
    const Place here = Here();
    NoteRunning(query);
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

[[gnu::noinline]] void EnterQuery(const QueryDesc* query) {
    EnterStatement(PlaceOf(query), nesting);
}

/// With capture off there is no level to keep.
template <typename Call>
[[gnu::always_inline]] inline void RunInside(const QueryDesc* query, Call call) {
    if (settings.capture == kCaptureNone) {
        call();
    } else {
        if (settings.capture == kCaptureAll) {
            EnterQuery(query);
        }
        RunOneDown(query, call);
    }
}

constexpr int kNodeCounts = INSTRUMENT_TIMER | INSTRUMENT_BUFFERS;  // rows come with either

/// A statement that this backend does not know, or knows for long: looks at the shared history.
/// True: its nodes are to be counted.
[[gnu::noinline]] bool LookCloser(const QueryDesc* query, KnownStatement* known) {
    const PlannedStmt* planned = query->plannedstmt;
    const bool is_sample = IsKnown(*known, planned->queryId);
    if (TakeLookedUp(planned->queryId)) {
        return known->is_near;
    }
    LookUp(known, planned->queryId, nesting == 0, EndpointOf(PlaceOf(query), nesting));
    if (!known->at && RememberedTables(planned->queryId) == nullptr) {
        char tables[kTablesRoom];
        NamesOfTables(planned, tables);
        RememberTables(planned->queryId, tables);
    }
    return known->is_near || is_sample;
}

/// Before its start: shall the nodes of its plan count rows and time?
void Instrument(QueryDesc* query, int flags) {
    KnownStatement& known = KnownAt(query->plannedstmt->queryId);
    ++known.uses;
    const bool is_wanted =
        IsKnown(known, query->plannedstmt->queryId) && known.uses % kSampleEvery != 0
            ? known.is_near
            : LookCloser(query, &known);
    if (is_wanted && settings.capture_plans && settings.slow_threshold_ms >= 0 &&
        query->instrument_options == 0 && (flags & EXEC_FLAG_EXPLAIN_ONLY) == 0) {
        query->instrument_options = kNodeCounts;
    }
}

void Started(QueryDesc* query, int flags) {
    const bool is_captured = IsCapturedQuery(query, nesting);
    if (is_captured) {
        Instrument(query, flags);
    }
    RunInside(query, [=] {
        if (previous_start != nullptr) {
            previous_start(query, flags);
        } else {
            standard_ExecutorStart(query, flags);
        }
    });
    if (is_captured && query->totaltime == nullptr) {
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

struct SlowTexts {
    const char* plan;
    const char* parameters;
};

/// A cancel may come while a plan is rendered; then the statement fails and is no call.
SlowTexts Render(QueryDesc* query) {
    SlowTexts texts = {};
    RunInside(query, [query, out = &texts] {
        out->plan = settings.capture_plans ? PlanOf(query) : nullptr;
        out->parameters = settings.capture_parameters ? ParametersOf(query) : nullptr;
    });
    return texts;
}

void KeepSlowQuery(const StatementKey& key, const Execution& execution, const SlowTexts& texts) {
    SlowInput slow = SlowOf(key, execution);
    slow.plan = texts.plan;
    slow.parameters = texts.parameters;
    KeepSlow(slow);
}

/// Took half of slow_threshold or more. What of it is to be kept, if it was slow.
[[gnu::noinline]] SlowTexts LookAtLong(QueryDesc* query, Execution* execution) {
    NoteLong(query->plannedstmt->queryId);
    execution->is_slow = IsSlow(execution->duration_ns);
    return execution->is_slow ? Render(query) : SlowTexts{};
}

[[gnu::noinline]] void CountNewQuery(const QueryDesc* query, const StatementKey& key,
                                     const Execution& execution) {
    const PlannedStmt* planned = query->plannedstmt;
    char named[kTablesRoom];
    const char* tables = RememberedTables(planned->queryId);
    if (tables == nullptr) {
        NamesOfTables(planned, named);
        tables = named;
    }
    KeepQueryText(planned->queryId, query->sourceText, planned->stmt_location, planned->stmt_len,
                  nullptr);
    CountNew(key, OperationOf(query->operation), tables, execution);
}

void CountQuery(QueryDesc* query) {
    InstrEndLoop(query->totaltime);
    const PlannedStmt* planned = query->plannedstmt;
    const StatementKey key =
        KeyFor(planned->queryId, nesting == 0, GetUserId(), EndpointOf(PlaceOf(query), nesting));
    const PlanShape shape = ShapeOf(planned);
    Execution execution;
    execution.duration_ns = Nanoseconds(query->totaltime->total);
    execution.rows = query->estate->es_processed;
    execution.full_scans = shape.full_scans;
    execution.sorts = shape.sorts;
    execution.ended_us = EndedUs(execution.duration_ns);
    SetUsage(&execution, query->totaltime->bufusage, query->totaltime->walusage);
    SlowTexts texts;
    if (IsLong(execution.duration_ns)) {
        texts = LookAtLong(query, &execution);
    }
    if (!CountKnown(key, execution)) {
        CountNewQuery(query, key, execution);
    }
    if (execution.is_slow) {
        KeepSlowQuery(key, execution, texts);
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

}  // namespace

void InstallExecutorHooks() {
    previous_start = ExecutorStart_hook;
    ExecutorStart_hook = Started;
    previous_run = ExecutorRun_hook;
    ExecutorRun_hook = Ran;
    previous_finish = ExecutorFinish_hook;
    ExecutorFinish_hook = Finished;
    previous_end = ExecutorEnd_hook;
    ExecutorEnd_hook = Ended;
}

}  // namespace upkeep::pg
