// The module's door: magic block and _PG_init, a list of registrations.
// SPDX-License-Identifier: PostgreSQL
#include "compat.h"
#include "settings.h"
#include "tier.h"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
void _PG_init(void) {
    upkeep::pg::RememberTier();
    upkeep::pg::RegisterSettings();
}
}
