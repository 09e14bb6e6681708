// Columns of type json, and what stands in the way of making them jsonb.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::pg {

/// Of all tables that are not the system's. Throws HostError.
void ReadJsonColumns(health::IndexInventory* inventory);

}  // namespace upkeep::pg
