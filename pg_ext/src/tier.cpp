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
    // session_preload_libraries are loaded before any query text has come; an explicit LOAD is the
    // active portal's command; in every other case one of our functions was called, maybe by the
    // planner (a constant) before there is a portal.
    if (process_shared_preload_libraries_in_progress) {
        tier = HostFacts::Loaded::kPreloaded;
    } else if (debug_query_string == nullptr ||
               (ActivePortal != nullptr && ActivePortal->commandTag == CMDTAG_LOAD)) {
        tier = HostFacts::Loaded::kLoaded;
    } else {
        tier = HostFacts::Loaded::kCreated;
    }
}

HostFacts::Loaded Tier() {
    return tier;
}

}  // namespace upkeep::pg
