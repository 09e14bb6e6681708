// Health: index findings, checks, settings advice.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "index_inventory.h"
#include "upkeep/health/index_findings.h"

UPKEEP_ROWS(index_findings) {
    upkeep::health::IndexFindingRows(upkeep::pg::ReadInventory(), rows);
}

UPKEEP_ROWS(unindexed_foreign_keys) {
    upkeep::health::UnindexedKeyRows(upkeep::pg::ReadInventory(), rows);
}
