// Index advice and what-if: the core's bodies over SQLite's port.
// SPDX-License-Identifier: PostgreSQL
#include <memory>
#include <utility>
#include <vector>

#include "adapter.h"
#include "captured_workload.h"
#include "explain.h"
#include "upkeep/advisor/advise.h"
#include "upkeep/base/sql_split.h"
#include "verify.h"
#include "what_if.h"

namespace upkeep::sqlite {

namespace {

/// The arguments with every statement of the workload as an element of its own: SQLite users paste
/// scripts. A weight per given text then counts for each statement in it; a weight per statement
/// stays as it is. A text without a statement is kept, so that the advisor names it.
Arguments SplitWorkload(const Arguments& given) {
    TextArray statements;
    Float8Array weights;
    const TextArray& texts = given.Texts("workload");
    const bool weight_per_text =
        !given.IsNull("weights") && given.Floats("weights").size() == texts.size();
    for (size_t i = 0; i < texts.size(); ++i) {
        const std::vector<std::string_view> parts = SplitSql(texts[i]);
        statements.insert(statements.end(), parts.begin(), parts.end());
        if (parts.empty()) {
            statements.push_back(texts[i]);
        }
        weights.resize(statements.size(), weight_per_text ? given.Floats("weights")[i] : 1);
    }
    std::vector<Value> values;
    for (const Parameter& parameter : given.call().parameters) {
        if (parameter.name == "workload") {
            values.emplace_back(statements);
        } else if (parameter.name == "weights" && weight_per_text) {
            values.emplace_back(weights);
        } else {
            values.push_back(given[parameter.name]);
        }
    }
    return {given.call(), std::move(values)};
}

using AdviseBody = Result<void> (*)(const Arguments&,
                                    const Result<std::vector<advisor::WorkloadStatement>>&,
                                    advisor::WhatIf&, RowSink&);

/// Runs one of the core's advising bodies on the given or the captured workload.
template <AdviseBody kBody>
Result<void> AdviseCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const std::unique_ptr<advisor::WhatIf> port = MakeWhatIf(db);
    if (arguments.IsNull("workload")) {
        return kBody(arguments, CapturedWorkload(db), *port, rows);
    }
    const std::vector<advisor::WorkloadStatement> none;
    return kBody(SplitWorkload(arguments), none, *port, rows);
}

Result<void> WhatIfCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const std::unique_ptr<advisor::WhatIf> port = MakeWhatIf(db);
    return advisor::WhatIfCall(arguments, *port, rows);
}

Result<void> ExplainStatementCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    const std::unique_ptr<advisor::WhatIf> port = MakeWhatIf(db);
    const std::unique_ptr<advisor::Runner> runner = MakeRunner(db, *port);
    return advisor::ExplainStatement(arguments, *port, *runner, rows);
}

/// The texts with each statement of a script as an element of its own.
TextArray SplitTexts(const TextArray& texts) {
    TextArray statements;
    for (const std::string& text : texts) {
        const std::vector<std::string_view> parts = SplitSql(text);
        statements.insert(statements.end(), parts.begin(), parts.end());
        if (parts.empty()) {
            statements.push_back(text);  // so that it is named
        }
    }
    return statements;
}

Result<void> VerifyIndexesCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    std::vector<Value> values;
    for (const Parameter& parameter : arguments.call().parameters) {
        const bool is_script = parameter.type == Type::kTextArray;
        values.push_back(is_script && !arguments.IsNull(parameter.name)
                             ? Value(SplitTexts(arguments.Texts(parameter.name)))
                             : arguments[parameter.name]);
    }
    const std::unique_ptr<advisor::Verifier> verifier = MakeVerifier(db);
    const auto captured = [db]() -> Result<std::vector<advisor::WorkloadStatement>> {
        Result<std::vector<advisor::WorkloadStatement>> found = CapturedWorkload(db);
        return found.ok()
                   ? found
                   : Error(found.error().code(),
                           "no statements are given, and nothing has been captured",
                           "give the statements, or run them after SELECT upkeep_capture(1)");
    };
    return advisor::VerifyIndexes({arguments.call(), std::move(values)}, *verifier, captured, rows);
}

constexpr Body kBodies[] = {
    {.call = "advise_indexes", .rows = AdviseCall<advisor::AdviseIndexes>},
    {.call = "advise_budget_curve", .rows = AdviseCall<advisor::AdviseBudgetCurve>},
    {.call = "explain_rejections", .rows = AdviseCall<advisor::ExplainRejections>},
    {.call = "what_if", .rows = WhatIfCall},
    {.call = "explain_statement", .rows = ExplainStatementCall},
    {.call = "verify_indexes", .rows = VerifyIndexesCall},
};

}  // namespace

std::span<const Body> AdvisorBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
