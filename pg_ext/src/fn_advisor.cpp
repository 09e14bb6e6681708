// Index advice and what-if.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "captured.h"
#include "explain.h"
#include "upkeep/advisor/advise.h"
#include "what_if.h"

UPKEEP_ROWS(advise_indexes) {
    using Workload = upkeep::Result<std::vector<upkeep::advisor::WorkloadStatement>>;
    if (!arguments.IsNull("workload")) {
        const auto port = upkeep::pg::MakeWhatIf();
        const Workload unused =
            upkeep::Error(upkeep::Code::kInternal, "a workload was given and not used");
        upkeep::advisor::AdviseIndexes(arguments, unused, *port, rows).OrThrow();
        return;
    }
    auto captured = upkeep::pg::CapturedWorkload();
    if (!captured.ok()) {
        const auto port = upkeep::pg::MakeWhatIf();
        upkeep::advisor::AdviseIndexes(arguments, Workload(captured.error()), *port, rows)
            .OrThrow();
        return;
    }
    const auto port = upkeep::pg::MakeWhatIf(captured.value().roles);
    upkeep::advisor::AdviseIndexes(arguments, Workload(captured.value().workload), *port, rows)
        .OrThrow();
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
