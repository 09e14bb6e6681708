// Capture while a statement is parsed and planned: its text, its time of planning.
// SPDX-License-Identifier: PostgreSQL
#include "hook_plan.h"

#include "cast_notes.h"
#include "compat.h"
#include "endpoint.h"
#include "hook_state.h"
#include "known_statements.h"
#include "statement_facts.h"

extern "C" {
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

namespace {

post_parse_analyze_hook_type previous_parse = nullptr;
planner_hook_type previous_planner = standard_planner;

}  // namespace

void KeepQueryText(uint64_t fingerprint, const char* source, int location, int length,
                   const JumbleState* jumble, Query* query) {
    if (source == nullptr || TextIsKept(fingerprint, GetUserId())) {
        return;
    }
    const char* text = CleanQuerytext(source, &location, &length);
    SourceText input = {text, length, nullptr, 0, 0, nullptr, 0};
    int* offsets = nullptr;
    if (jumble != nullptr) {
        offsets = static_cast<int*>(palloc(sizeof(int) * (jumble->clocations_count + 1)));
        for (int i = 0; i < jumble->clocations_count; ++i) {
            offsets[i] = jumble->clocations[i].location - location;
        }
        input.offsets = offsets;
        input.offset_count = jumble->clocations_count;
        input.highest_parameter = jumble->highest_extern_param_id;
        if (query != nullptr) {
            input.notes = CastNotes(query, location, &input.note_count);
        }
    }
    KeepText(fingerprint, GetUserId(), input);
    if (offsets != nullptr) {
        pfree(offsets);
    }
}

namespace {

uint64_t wanted = 0;  // whose values are to be kept when it ends

}  // namespace

void MeetAgain(const capture::StatementKey& key, const char* source, int location, int length) {
    const auto fingerprint = static_cast<uint64_t>(key.fingerprint);
    KeepQueryText(fingerprint, source, location, length, nullptr, nullptr);
    if (!MaySampleNow() && !HasSample(key)) {
        wanted = fingerprint;
    }
}

bool TakeWanted(uint64_t fingerprint) {
    if (wanted != fingerprint) [[likely]] {
        return false;
    }
    wanted = 0;
    return true;
}

bool MayWait(const capture::StatementKey& key, const char* source, int location, int length) {
    if (source == nullptr) {
        return false;
    }
    const char* text = CleanQuerytext(source, &location, &length);
    return MayTextWait(key, text, length);
}

namespace {

/// As KeepQueryText, but a statement that nobody has counted may have to come again.
void KeepParsedText(const ParseState* state, Query* query, const JumbleState* jumble) {
    const char* source = state->p_sourcetext;
    if (TextIsKept(query->queryId, GetUserId())) {
        return;
    }
    const SourcePlace place = {source, query->stmt_location, query->stmt_len};
    const capture::StatementKey key =
        KeyFor(query->queryId, nesting == 0, GetUserId(), EndpointOf(place, nesting));
    if (IsCounted(key) || !MayWait(key, source, place.location, place.length)) {
        KeepQueryText(query->queryId, source, place.location, place.length, jumble, query);
    }
}

// Each hook is two functions, so that capture off costs a test and a jump: what needs a stack frame
// is in the other one.

[[gnu::noinline]] void ParsedCaptured(ParseState* state, Query* query, JumbleState* jumble) {
    if (previous_parse != nullptr) {
        previous_parse(state, query, jumble);
    }
    if (IsCaptured(nesting) && query->utilityStmt == nullptr && query->queryId != 0) {
        KeepParsedText(state, query, jumble);
    }
}

void Parsed(ParseState* state, Query* query, JumbleState* jumble) {
    if (settings.capture != kCaptureNone) {
        ParsedCaptured(state, query, jumble);
    } else if (previous_parse != nullptr) {
        previous_parse(state, query, jumble);
    }
}

/// A new statement: should it fail before it is first counted, its tables are known.
[[gnu::noinline]] void MeetQuery(Query* parse, KnownStatement* known, const SourcePlace& place) {
    const uint32_t endpoint = EndpointOf(place, nesting);
    LookUp(known, parse->queryId, nesting == 0, endpoint);
    if (known->at) {
        MeetAgain(KeyFor(parse->queryId, nesting == 0, GetUserId(), endpoint), place.source,
                  place.location, place.length);
        return;
    }
    NoteLookedUp(parse->queryId);
    if (RememberedTables(parse->queryId) == nullptr) {
        char tables[kTablesRoom];
        NamesOfQueryTables(parse, tables);
        RememberTables(parse->queryId, tables);
    }
}

[[gnu::noinline]] PlannedStmt* PlanCaptured(Query* parse, const char* text, int options,
                                            ParamListInfo params) {
    if (!IsCaptured(nesting) || parse->queryId == 0) {
        return previous_planner(parse, text, options, params);
    }
    const uint64_t fingerprint = parse->queryId;
    const capture::Operation operation = OperationOf(parse->commandType);
    const Place here = Here();
    const SourcePlace place = {text, parse->stmt_location, parse->stmt_len};
    EnterStatement(place, here.level);
    if (KnownStatement& known = KnownAt(fingerprint); !IsKnown(known, fingerprint)) {
        MeetQuery(parse, &known, place);
    }
    PlannedStmt* volatile result = nullptr;
    const uint64_t start_ns = NowNs();
    NoteRunning(fingerprint, parse->commandType);
    ++nesting;  // what the planner runs (constant functions) is not a client's
    PG_TRY();
    { result = previous_planner(parse, text, options, params); }
    PG_CATCH();
    {
        nesting = here.level;
        KeepQueryText(fingerprint, text, place.location, place.length, nullptr, nullptr);
        CountFailure({.fingerprint = fingerprint,
                      .operation = operation,
                      .place = here,
                      .ns = NowNs() - start_ns,
                      .sqlstate = geterrcode(),
                      .endpoint = EndpointOf(place, here.level)});
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = here.level;
    CountPlanning(fingerprint, here.level == 0, here.user, EndpointOf(place, here.level),
                  NowNs() - start_ns);
    return result;
}

PlannedStmt* Planned(Query* parse, const char* text, int options, ParamListInfo params) {
    return settings.capture == kCaptureNone ? previous_planner(parse, text, options, params)
                                            : PlanCaptured(parse, text, options, params);
}

}  // namespace

void InstallPlanHooks() {
    previous_parse = post_parse_analyze_hook;
    post_parse_analyze_hook = Parsed;
    if (planner_hook != nullptr) {
        previous_planner = planner_hook;
    }
    planner_hook = Planned;
}

}  // namespace upkeep::pg
