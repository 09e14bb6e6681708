// The caller's indexes, foreign keys and statistics, read from the catalogs for the core.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "pg.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::pg {

/// All of the current database that is not the system's. Throws HostError.
health::IndexInventory ReadInventory();

/// The indexes of one table as the inventory has them. Throws HostError.
std::vector<health::IndexDescription> ReadIndexesOf(Oid table);

}  // namespace upkeep::pg
