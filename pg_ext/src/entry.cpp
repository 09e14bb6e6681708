// The module's door: magic block and _PG_init, a list of registrations.
// SPDX-License-Identifier: PostgreSQL
#include "compat.h"
#include "hooks.h"
#include "hypothetical.h"
#include "settings.h"
#include "shmem.h"
#include "tier.h"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
void _PG_init(void) {
    upkeep::pg::RememberTier();
    upkeep::pg::RegisterSettings();
    upkeep::pg::InstallPlannerHooks();
    using Loaded = upkeep::HostFacts::Loaded;
    const Loaded tier = upkeep::pg::Tier();
    if (tier == Loaded::kPreloaded) {
        upkeep::pg::RequestSharedMemory();
        upkeep::pg::InstallCaptureHooks();
    } else if (tier == Loaded::kLoaded) {
        upkeep::pg::MakePrivateStore();
        upkeep::pg::InstallCaptureHooks();
    }
}
}
