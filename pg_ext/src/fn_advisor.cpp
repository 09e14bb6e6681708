// Index advice and what-if.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "captured.h"
#include "upkeep/advisor/advise.h"
#include "what_if.h"

UPKEEP_ROWS(advise_indexes) {
    const auto captured =
        arguments.IsNull("workload")
            ? upkeep::pg::CapturedWorkload()
            : upkeep::Error(upkeep::Code::kInternal, "a workload was given and not used");
    const auto port = upkeep::pg::MakeWhatIf();
    upkeep::advisor::AdviseIndexes(arguments, captured, *port, rows).OrThrow();
}

UPKEEP_ROWS(what_if) {
    const auto port = upkeep::pg::MakeWhatIf();
    upkeep::advisor::WhatIfCall(arguments, *port, rows).OrThrow();
}
