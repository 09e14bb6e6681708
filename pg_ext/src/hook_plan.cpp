// Capture while a statement is parsed and planned: its text, its time of planning.
// SPDX-License-Identifier: PostgreSQL
#include "hook_plan.h"

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
planner_hook_type previous_planner = nullptr;

}  // namespace

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

namespace {

void Parsed(ParseState* state, Query* query, JumbleState* jumble) {
    if (previous_parse != nullptr) {
        previous_parse(state, query, jumble);
    }
    if (IsCaptured(nesting) && query->utilityStmt == nullptr && query->queryId != 0) {
        KeepQueryText(query->queryId, state->p_sourcetext, query->stmt_location, query->stmt_len,
                      jumble);
    }
}

PlannedStmt* PlanAsBefore(Query* parse, const char* text, int options, ParamListInfo params) {
    return previous_planner != nullptr ? previous_planner(parse, text, options, params)
                                       : standard_planner(parse, text, options, params);
}

/// A new statement: should it fail before it is first counted, its tables are known.
[[gnu::noinline]] void MeetQuery(Query* parse, KnownStatement* known, const SourcePlace& place) {
    LookUp(known, parse->queryId, nesting == 0, EndpointOf(place, nesting));
    if (known->at) {
        return;
    }
    NoteLookedUp(parse->queryId);
    if (RememberedTables(parse->queryId) == nullptr) {
        char tables[kTablesRoom];
        NamesOfQueryTables(parse, tables);
        RememberTables(parse->queryId, tables);
    }
}

PlannedStmt* Planned(Query* parse, const char* text, int options, ParamListInfo params) {
    if (!IsCaptured(nesting) || parse->queryId == 0) {
        return PlanAsBefore(parse, text, options, params);
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
    instr_time start;
    INSTR_TIME_SET_CURRENT(start);
    NoteRunning(fingerprint, parse->commandType);
    ++nesting;  // what the planner runs (constant functions) is not a client's
    PG_TRY();
    { result = PlanAsBefore(parse, text, options, params); }
    PG_CATCH();
    {
        nesting = here.level;
        CountFailure({fingerprint, operation, here, NsSince(start), geterrcode(), nullptr, nullptr,
                      EndpointOf(place, here.level)});
        PG_RE_THROW();
    }
    PG_END_TRY();
    nesting = here.level;
    instr_time took;
    INSTR_TIME_SET_CURRENT(took);
    INSTR_TIME_SUBTRACT(took, start);
    CountPlanning(KeyFor(fingerprint, here.level == 0, here.user, EndpointOf(place, here.level)),
                  Nanoseconds(INSTR_TIME_GET_DOUBLE(took)));
    return result;
}

}  // namespace

void InstallPlanHooks() {
    previous_parse = post_parse_analyze_hook;
    post_parse_analyze_hook = Parsed;
    previous_planner = planner_hook;
    planner_hook = Planned;
}

}  // namespace upkeep::pg
