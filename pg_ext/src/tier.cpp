// SPDX-License-Identifier: PostgreSQL
#include "tier.h"

#include "pg.h"

extern "C" {
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/portal.h"
}

namespace upkeep::pg {

namespace {
HostFacts::Loaded tier = HostFacts::Loaded::kCreated;
}

void RememberTier() {
    if (process_shared_preload_libraries_in_progress) {
        tier = HostFacts::Loaded::kPreloaded;
        return;
    }
    // session_preload_libraries and local_preload_libraries are loaded while the session is still
    // being initialised; an explicit LOAD is the active portal's command. In every other case one
    // of our functions was called: by a statement, by the planner (a constant) before there is a
    // portal, by a fastpath call, which has neither portal nor text; or a worker (of a parallel
    // plan, of another module) loads what it needs.
    const bool is_session = AmRegularBackendProcess();
    const bool asked = IsInitProcessingMode() ||
                       (ActivePortal != nullptr && ActivePortal->commandTag == CMDTAG_LOAD);
    tier = is_session && asked ? HostFacts::Loaded::kLoaded : HostFacts::Loaded::kCreated;
}

HostFacts::Loaded Tier() {
    return tier;
}

}  // namespace upkeep::pg
