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
    if (process_shared_preload_libraries_in_progress) {
        upkeep::pg::RequestSharedMemory();
        upkeep::pg::InstallCaptureHooks();
    }
}
}
