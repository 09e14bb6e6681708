// Index advice and what-if.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "capture_views.h"
#include "captured.h"
#include "explain.h"
#include "progress.h"
#include "upkeep/advisor/advise.h"
#include "verify.h"
#include "what_if.h"

namespace {

using upkeep::advisor::WhatIf;
using upkeep::advisor::WorkloadStatement;
using Workload = upkeep::Result<std::vector<WorkloadStatement>>;

/// Runs one of the core's advising bodies on the given or the captured workload.
void Advise(const upkeep::Arguments& arguments, upkeep::RowSink& rows,
            upkeep::Result<void> (*body)(const upkeep::Arguments&, const Workload&, WhatIf&,
                                         upkeep::RowSink&)) {
    if (!arguments.IsNull("workload")) {
        const auto port = upkeep::pg::MakeWhatIf();
        const Workload unused =
            upkeep::Error(upkeep::Code::kInternal, "a workload was given and not used");
        body(arguments, unused, *port, rows).OrThrow();
        return;
    }
    auto captured = upkeep::pg::CapturedWorkload();
    if (!captured.ok()) {
        const auto port = upkeep::pg::MakeWhatIf();
        body(arguments, Workload(captured.error()), *port, rows).OrThrow();
        return;
    }
    const auto port = upkeep::pg::MakeWhatIf(captured.value().roles, captured.value().forbidden);
    body(arguments, Workload(captured.value().workload), *port, rows).OrThrow();
}

}  // namespace

UPKEEP_ROWS(advise_indexes) {
    Advise(arguments, rows, upkeep::advisor::AdviseIndexes);
}

UPKEEP_ROWS(advise_budget_curve) {
    Advise(arguments, rows, upkeep::advisor::AdviseBudgetCurve);
}

UPKEEP_ROWS(explain_rejections) {
    Advise(arguments, rows, upkeep::advisor::ExplainRejections);
}

UPKEEP_ROWS(advise_progress) {
    if (!upkeep::pg::CanShowProgress()) {
        upkeep::pg::CallHostVoid([] {
            ereport(NOTICE, (errmsg("progress is not shown: upkeep is not preloaded"),
                             errhint("%s", upkeep::pg::kCaptureHint)));
        });
    }
    for (const upkeep::pg::ProgressView& view : upkeep::pg::VisibleProgress()) {
        rows.Add({static_cast<int64_t>(view.pid),
                  std::string(upkeep::advisor::PhaseName(view.progress.phase)),
                  view.progress.statements_done, view.progress.statements_total,
                  view.progress.planner_calls, view.progress.cache_hits,
                  view.progress.best_saving_ratio, view.elapsed_ms});
    }
}

UPKEEP_ROWS(what_if) {
    const auto port = upkeep::pg::MakeWhatIf();
    upkeep::advisor::WhatIfCall(arguments, *port, rows).OrThrow();
}

UPKEEP_ROWS(explain_statement) {
    const auto port = upkeep::pg::MakeWhatIf();
    const auto runner = upkeep::pg::MakeRunner();
    upkeep::advisor::ExplainStatement(arguments, *port, *runner, rows).OrThrow();
}

UPKEEP_ROWS(verify_indexes) {
    std::map<std::string, Oid> roles;
    const auto verifier = upkeep::pg::MakeVerifier(roles);
    const auto captured =
        [&roles]() -> upkeep::Result<std::vector<upkeep::advisor::WorkloadStatement>> {
        auto found = upkeep::pg::CapturedWorkload();
        if (!found.ok()) {
            return upkeep::Error(found.error().code(),
                                 "no statements are given and no captured ones can be used: " +
                                     found.error().message(),
                                 "give the statements, or have them captured: see capabilities");
        }
        roles = std::move(found.value().roles);
        return std::move(found.value().workload);
    };
    upkeep::advisor::VerifyIndexes(arguments, *verifier, captured, rows).OrThrow();
}
