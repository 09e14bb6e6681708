// SQLite's bodies for the health topic: indexes, checks, settings advice, sizes.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "index_inventory.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::sqlite {

namespace {

Result<void> IndexesCall(sqlite3* db, const Arguments&, RowSink& rows) {
    IndexRows(db, rows);
    return {};
}

Result<void> IndexFindingsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    health::IndexFindingRows(ReadInventory(db), rows);
    return {};
}

Result<void> UnindexedForeignKeysCall(sqlite3* db, const Arguments&, RowSink& rows) {
    health::UnindexedKeyRows(ReadInventory(db), rows);
    return {};
}

constexpr Body kBodies[] = {
    {.call = "indexes", .rows = IndexesCall},
    {.call = "index_findings", .rows = IndexFindingsCall},
    {.call = "unindexed_foreign_keys", .rows = UnindexedForeignKeysCall},
};

}  // namespace

std::span<const Body> HealthBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
