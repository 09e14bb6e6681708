// Capture while the executor runs a statement: start, run, finish, end.
// SPDX-License-Identifier: PostgreSQL
#include "hook_executor.h"

#include "endpoint.h"
#include "hook_plan.h"
#include "hook_sample.h"
#include "hook_state.h"
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
        CountFailure(query->plannedstmt->queryId, OperationOf(query->operation), place,
                     UnfinishedNs(query), EndpointOf(PlaceOf(query), place.level));
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
    const StatementKey key =
        KeyFor(planned->queryId, nesting == 0, GetUserId(), EndpointOf(PlaceOf(query), nesting));
    const PlanShape shape = ShapeOf(planned);
    Execution execution;
    execution.duration_ns = Nanoseconds(query->totaltime->total);
    execution.rows = query->estate->es_processed;
    execution.full_scans = shape.full_scans;
    execution.sorts = shape.sorts;
    execution.is_slow = IsSlow(execution.duration_ns);
    execution.ended_us = EndedUs(execution.duration_ns);
    SetUsage(&execution, query->totaltime->bufusage, query->totaltime->walusage);
    const bool is_known = CountKnown(key, execution);
    if (!is_known) {
        char tables[kTablesRoom];
        NamesOfTables(planned, tables);
        KeepQueryText(planned->queryId, query->sourceText, planned->stmt_location,
                      planned->stmt_len, nullptr);
        CountNew(key, OperationOf(query->operation), tables, execution);
    }
    if (execution.is_slow) {
        KeepSlowQuery(query, key, execution);
    }
    if (IsSampleDue(execution.duration_ns) || !is_known) {
        TakeSample(query, key);
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
