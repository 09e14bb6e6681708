// How large existing indexes would be, freshly built.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/health/index_facts.h"

namespace upkeep::pg {

/// For B-trees of a megabyte and more, the 200 largest; by the same estimate as for an index that
/// is advised, deduplication counted. Says nothing of a table that the caller may not read.
void AddExpectedSizes(health::IndexInventory* inventory);

}  // namespace upkeep::pg
