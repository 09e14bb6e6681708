// The module's door: magic block and _PG_init, a list of registrations.
// SPDX-License-Identifier: PostgreSQL
#include "compat.h"
#include "doorbell.h"
#include "hidden_indexes.h"
#include "hooks.h"
#include "hypothetical.h"
#include "reaper.h"
#include "settings.h"
#include "shmem.h"
#include "tier.h"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
void _PG_init(void) {
    using Loaded = upkeep::HostFacts::Loaded;
    upkeep::pg::RememberTier();
    const Loaded tier = upkeep::pg::Tier();
    if (tier == Loaded::kLoaded) {
        upkeep::pg::MakePrivateStore();  // first: it may fail, and settings are defined but once
    }
    upkeep::pg::RegisterSettings();
    upkeep::pg::InstallPlannerHooks();
    upkeep::pg::InstallHiding();
    if (tier == Loaded::kPreloaded) {
        upkeep::pg::RequestSharedMemory();
    }
    if (tier != Loaded::kCreated) {
        upkeep::pg::InstallCaptureHooks();
    }
    if (tier == Loaded::kPreloaded) {
        upkeep::pg::InstallDoorbell();
        upkeep::pg::RegisterReaper();
    }
}
}
