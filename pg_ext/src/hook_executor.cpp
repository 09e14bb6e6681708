// Capture while the executor runs a statement: start, run, finish, end.
// SPDX-License-Identifier: PostgreSQL
#include "hook_executor.h"

#include "endpoint.h"
#include "hook_n_plus_one.h"
#include "hook_plan.h"
#include "hook_sample.h"
#include "hook_state.h"
#include "known_statements.h"
#include "meter.h"
#include "statement_facts.h"

extern "C" {
#include "executor/executor.h"
}

namespace upkeep::pg {

namespace {

using capture::Execution;
using capture::StatementKey;

ExecutorStart_hook_type previous_start = standard_ExecutorStart;
ExecutorRun_hook_type previous_run = standard_ExecutorRun;
ExecutorFinish_hook_type previous_finish = standard_ExecutorFinish;
ExecutorEnd_hook_type previous_end = standard_ExecutorEnd;

bool IsCapturedQuery(const QueryDesc* query, int level) {
    return query->plannedstmt->queryId != 0 && IsCaptured(level);
}

SourcePlace PlaceOf(const QueryDesc* query) {
    const PlannedStmt* planned = query->plannedstmt;
    return {query->sourceText, planned->stmt_location, planned->stmt_len};
}

/// What the server's own instrumentation tells, for a query that found no free meter.
Usage UsageOfTotal(const Instrumentation& total) {
    return {static_cast<uint64_t>(total.total * 1e9 + 0.5),
            static_cast<uint64_t>(total.bufusage.shared_blks_hit),
            static_cast<uint64_t>(total.bufusage.shared_blks_read),
            static_cast<uint64_t>(total.bufusage.temp_blks_written), total.walusage.wal_bytes};
}

/// Calls nothing of the server: an error is under way.
void CountFailedQuery(const QueryDesc* query, const Place& place, Meter* meter) {
    if (!IsCapturedQuery(query, place.level)) {
        return;
    }
    const uint64_t fingerprint = query->plannedstmt->queryId;
    const uint32_t endpoint = EndpointOf(PlaceOf(query), place.level);
    Usage used = {};
    if (meter != nullptr) {
        if (meter->is_running) {
            StopMeter(meter);
        }
        used = meter->used;
        if (meter->plan_ns != 0) {
            CountPlanning(fingerprint, place.level == 0, place.user, endpoint, meter->plan_ns);
        }
        CloseMeter(meter);
    }
    // Its text may have waited. Nothing of the server is called where no constants are given.
    const SourcePlace source = PlaceOf(query);
    KeepQueryText(fingerprint, source.source, source.location, source.length, nullptr, nullptr);
    CountFailure({.fingerprint = fingerprint,
                  .operation = OperationOf(query->operation),
                  .place = place,
                  .ns = used.ns,
                  .sqlstate = geterrcode(),
                  .query = query,
                  .hit_blocks = used.hit_blocks,
                  .read_blocks = used.read_blocks,
                  .endpoint = endpoint});
}

[[gnu::noinline]] void EnterQuery(const QueryDesc* query) {
    EnterStatement(PlaceOf(query), nesting);
}

/// Runs a part of the executor one level down.
template <typename Call>
[[gnu::noinline]] void RunOneDown(const QueryDesc* query, const Place& place, Meter* meter,
                                  Call call) {
    if (settings.capture == kCaptureAll) [[unlikely]] {
        EnterQuery(query);
    }
    NoteRunning(query);
    ++nesting;
    PG_TRY();
    { call(); }
    PG_CATCH();
    {
        nesting = place.level;
        CountFailedQuery(query, place, meter);
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = place.level;
}

/// The same, metered where the query has a meter.
template <typename Call>
[[gnu::always_inline]] inline void RunMetered(const QueryDesc* query, Call call) {
    Meter* meter = MeterOf(query);
    const Place place = meter != nullptr ? Place{nesting, meter->user} : Here();
    if (meter != nullptr) {
        StartMeter(meter);
    }
    RunOneDown(query, place, meter, call);
    if (meter != nullptr) {
        StopMeter(meter);
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
    const SourcePlace place = PlaceOf(query);
    const uint32_t endpoint = EndpointOf(place, nesting);
    LookUp(known, planned->queryId, nesting == 0, endpoint);
    if (known->at && !is_sample) {
        MeetAgain(KeyFor(planned->queryId, nesting == 0, GetUserId(), endpoint), place.source,
                  place.location, place.length);
    }
    if (!known->at && RememberedTables(planned->queryId) == nullptr) {
        char tables[kTablesRoom];
        NamesOfTables(planned, tables);
        RememberTables(planned->queryId, tables);
    }
    return known->is_near || is_sample;
}

/// Before its start: shall the nodes of its plan count rows and time?
inline void Instrument(QueryDesc* query, int flags) {
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

// Each hook is two functions, so that capture off costs a test and a jump: what needs a stack frame
// is in the other one.

[[gnu::noinline]] void StartCaptured(QueryDesc* query, int flags) {
    if (!IsCaptured(nesting)) {
        previous_start(query, flags);
        return;
    }
    const Place place = Here();
    const uint64_t fingerprint = query->plannedstmt->queryId;
    if (fingerprint != 0) {
        Instrument(query, flags);
    }
    RunOneDown(query, place, nullptr, [=] { previous_start(query, flags); });
    if (fingerprint == 0) {
        return;
    }
    const uint64_t plan_ns = TakePlanning(fingerprint, place.level == 0, place.user);
    if (OpenMeter(query, place.user, plan_ns) == nullptr && query->totaltime == nullptr) {
        MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
        query->totaltime = InstrAlloc(1, INSTRUMENT_ALL, false);
        MemoryContextSwitchTo(caller);
    }
}

void Started(QueryDesc* query, int flags) {
    settings.capture == kCaptureNone ? previous_start(query, flags) : StartCaptured(query, flags);
}

[[gnu::noinline]] void RunCaptured(QueryDesc* query, ScanDirection direction, uint64 count,
                                   bool execute_once) {
    if (!IsCaptured(nesting)) {
        previous_run(query, direction, count, execute_once);
        return;
    }
    RunMetered(query, [=] { previous_run(query, direction, count, execute_once); });
    // A limit is the client's fetch size: the children of these rows run before the rest is asked
    // for.
    if (count != 0 && nesting == 0 && query->operation == CMD_SELECT &&
        query->plannedstmt->queryId != 0) {
        NotePortalPart(query);
    }
}

void Ran(QueryDesc* query, ScanDirection direction, uint64 count, bool execute_once) {
    settings.capture == kCaptureNone ? previous_run(query, direction, count, execute_once)
                                     : RunCaptured(query, direction, count, execute_once);
}

/// Nothing is left to be run: no triggers, no WITH that writes. So it is with nearly each SELECT.
bool HasNothingToFinish(const QueryDesc* query) {
    return previous_finish == standard_ExecutorFinish &&
           (query->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0 &&
           query->estate->es_auxmodifytables == NIL;
}

[[gnu::noinline]] void FinishCaptured(QueryDesc* query) {
    if (HasNothingToFinish(query) || !IsCaptured(nesting)) {
        previous_finish(query);
        return;
    }
    RunMetered(query, [=] { previous_finish(query); });
}

void Finished(QueryDesc* query) {
    settings.capture == kCaptureNone ? previous_finish(query) : FinishCaptured(query);
}

struct SlowTexts {
    const char* plan;
    const char* parameters;
};

/// A cancel may come while a plan is rendered; then the statement fails and is no call.
SlowTexts Render(QueryDesc* query, const Execution& execution, Oid user) {
    SlowTexts texts = {};
    Meter meter = {};
    meter.query = query;
    meter.user = user;
    meter.used.ns = execution.duration_ns;
    meter.used.hit_blocks = execution.hit_blocks;
    meter.used.read_blocks = execution.read_blocks;
    RunOneDown(query, {nesting, user}, &meter, [query, out = &texts] {
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
[[gnu::noinline]] SlowTexts LookAtLong(QueryDesc* query, Execution* execution, Oid user) {
    NoteLong(query->plannedstmt->queryId);
    execution->is_slow = IsSlow(execution->duration_ns);
    return execution->is_slow ? Render(query, *execution, user) : SlowTexts{};
}

[[gnu::noinline]] bool CountNewQuery(const QueryDesc* query, const StatementKey& key,
                                     const Execution& execution) {
    const PlannedStmt* planned = query->plannedstmt;
    char named[kTablesRoom];
    const char* tables = RememberedTables(planned->queryId);
    if (tables == nullptr) {
        NamesOfTables(planned, named);
        tables = named;
    }
    const SourcePlace place = PlaceOf(query);
    if (!TextIsKept(planned->queryId, key.user) &&
        (IsWorthKeeping(execution.duration_ns) ||
         !MayWait(key, place.source, place.location, place.length))) {
        KeepQueryText(planned->queryId, place.source, place.location, place.length, nullptr,
                      nullptr);
    }
    return CountNew(key, OperationOf(query->operation), tables, execution);
}

void CountQuery(QueryDesc* query, const Usage& used, Oid user, uint64_t plan_ns) {
    const PlannedStmt* planned = query->plannedstmt;
    const StatementKey key =
        KeyFor(planned->queryId, nesting == 0, user, EndpointOf(PlaceOf(query), nesting));
    const PlanShape shape = ShapeOf(planned);
    Execution execution = {.duration_ns = used.ns,
                           .plan_ns = plan_ns,
                           .rows = query->estate->es_processed,
                           .hit_blocks = used.hit_blocks,
                           .read_blocks = used.read_blocks,
                           .temp_written_blocks = used.temp_written_blocks,
                           .wal_bytes = used.wal_bytes,
                           .full_scans = shape.full_scans,
                           .sorts = shape.sorts,
                           .ended_us = EndedUs(used.ns)};
    SlowTexts texts;
    if (IsLong(used.ns)) [[unlikely]] {
        texts = LookAtLong(query, &execution, user);
    }
    const bool is_known = CountKnown(key, execution);
    const bool is_counted = is_known || CountNewQuery(query, key, execution);
    if (is_counted && nesting == 0) {
        NoteQuery(query, key, execution);
    }
    if (execution.is_slow) {
        KeepSlowQuery(key, execution, texts);
    }
    const bool is_wanted =
        TakeWanted(planned->queryId) || (!is_known && (IsWorthKeeping(used.ns) || MaySampleNow()));
    if (IsSampleDue(execution.duration_ns) || is_wanted) {
        TakeSample(query, key);
    }
}

[[gnu::noinline]] void EndCaptured(QueryDesc* query) {
    if (!IsCapturedQuery(query, nesting)) {
        return;
    }
    if (Meter* meter = MeterOf(query)) {
        CloseMeter(meter);
        CountQuery(query, meter->used, meter->user, meter->plan_ns);
    } else if (query->totaltime != nullptr) {
        InstrEndLoop(query->totaltime);
        CountQuery(query, UsageOfTotal(*query->totaltime), GetUserId(), 0);
    }
}

void Ended(QueryDesc* query) {
    if (settings.capture != kCaptureNone) {
        EndCaptured(query);
    }
    previous_end(query);
}

}  // namespace

namespace {

template <typename Hook>
void KeepPrevious(Hook hook, Hook* previous) {
    if (hook != nullptr) {
        *previous = hook;
    }
}

}  // namespace

void InstallExecutorHooks() {
    KeepPrevious(ExecutorStart_hook, &previous_start);
    ExecutorStart_hook = Started;
    KeepPrevious(ExecutorRun_hook, &previous_run);
    ExecutorRun_hook = Ran;
    KeepPrevious(ExecutorFinish_hook, &previous_finish);
    ExecutorFinish_hook = Finished;
    KeepPrevious(ExecutorEnd_hook, &previous_end);
    ExecutorEnd_hook = Ended;
}

}  // namespace upkeep::pg
