// SPDX-License-Identifier: PostgreSQL
#include "explain.h"

#include <chrono>
#include <string>

#include "analyse.h"
#include "compat.h"
#include "effects.h"
#include "guard.h"
#include "time_limit.h"

extern "C" {
#include "commands/explain.h"
#include "optimizer/optimizer.h"
#include "portability/instr_time.h"
#include "utils/snapmgr.h"
}

namespace upkeep::pg {

namespace {

void RefuseParameters(const PlainStatement* statement) {
    if (statement->has_parameters) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a statement with parameters cannot be run without their values"),
                        errhint("write the values into the text, or leave run out: its generic "
                                "plan is made")));
    }
}

ExplainState* NewState() {
    ExplainState* state = NewExplainState();
    state->format = EXPLAIN_FORMAT_JSON;
    state->costs = true;
    state->analyze = true;
    state->buffers = true;
    state->timing = true;
    state->summary = true;
    return state;
}

/// EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) of the statement. In a subtransaction that is rolled
/// back; the text stays, in the caller's memory.
char* ExplainAnalyze(const char* text) {
    // Until the subtransaction ends.
    set_config_option("transaction_read_only", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                      true, 0, false);
    PlainStatement* statement = AnalyseStatement(text);
    RefuseParameters(statement);
    auto* query = linitial_node(Query, statement->queries);
    RefuseEffects(query);
    PushActiveSnapshot(GetTransactionSnapshot());
    instr_time planning;
    instr_time end;
    INSTR_TIME_SET_CURRENT(planning);
    PlannedStmt* plan = planner(query, text, CURSOR_OPT_PARALLEL_OK, nullptr);
    INSTR_TIME_SET_CURRENT(end);
    INSTR_TIME_SUBTRACT(end, planning);
    plan->queryId = 0;  // who counts statements is not to count what was asked of us
    ExplainState* state = NewState();
    ExplainBeginOutput(state);
    ExplainOnePlan(plan, nullptr, state, text, nullptr, nullptr, &end, nullptr);
    ExplainEndOutput(state);
    PopActiveSnapshot();
    return state->str->data;
}

/// As InSubtransaction, but an error stays what it is: it is the statement's own.
const char* RunRolledBack(const char* text) {
    const char* json = nullptr;
    ErrorData* error = CallHost([text, out = &json] {
        const auto run = [text]() -> const char* { return ExplainAnalyze(text); };
        return TryInSubtransaction(run, out, Keep::kNothing);
    });
    if (error != nullptr) {
        throw HostError{error};
    }
    return json;
}

class PgRunner : public advisor::Runner {
  public:
    double ClockMs() override {
        const auto now = std::chrono::steady_clock::now().time_since_epoch();
        return std::chrono::duration<double, std::milli>(now).count();
    }

    Result<advisor::Ran> Run(std::string_view statement) override {
        if (IsInParallelMode()) {
            return Error(Code::kUnsupported, "a statement cannot be run from a parallel plan",
                         "call explain_statement in a statement of its own");
        }
        if (IsLimited()) {  // by a function that is called stable; the limit is there once
            return Error(Code::kUnsupported, "a statement that is run cannot run another",
                         "call explain_statement for each of them by itself");
        }
        const std::string text(statement);
        const TimeLimit limit(advisor::kRunLimitMs);
        try {
            const char* json = RunRolledBack(text.c_str());
            CallHostVoid([] { CHECK_FOR_INTERRUPTS(); });  // struck at the very end
            return Read(json);
        } catch (const HostError& error) {
            if (!LimitStruck() || error.data->sqlerrcode != ERRCODE_QUERY_CANCELED) {
                throw;
            }
            FreeErrorData(error.data);
        }
        return Error(
            Code::kInterrupted,
            "the statement was stopped after " + std::to_string(advisor::kRunLimitMs / 1000) + " s",
            "leave run out, or explain a smaller range of rows; a shorter limit is "
            "statement_timeout");
    }

  private:
    /// The object inside the array that EXPLAIN prints.
    static advisor::Ran Read(std::string_view json) {
        advisor::Ran ran;
        const size_t open = json.find('{');
        ran.plan_json = json.substr(open, json.rfind('}') + 1 - open);
        ran.planning_ms = NumberOf(ran.plan_json, "\"Planning Time\": ");
        ran.execution_ms = NumberOf(ran.plan_json, "\"Execution Time\": ");
        return ran;
    }
    /// The last one: of the whole statement, not a text in it.
    static double NumberOf(const std::string& json, const char* key) {
        const size_t at = json.rfind(key);
        return at == std::string::npos ? 0 : strtod(json.c_str() + at + strlen(key), nullptr);
    }
};

}  // namespace

std::unique_ptr<advisor::Runner> MakeRunner() {
    return std::make_unique<PgRunner>();
}

}  // namespace upkeep::pg
