// SQLite's bodies for the health topic: indexes, checks, settings advice, sizes.
// SPDX-License-Identifier: PostgreSQL
#include <memory>
#include <utility>
#include <vector>

#include "adapter.h"
#include "capture_memory.h"
#include "captured_workload.h"
#include "health_probes.h"
#include "index_inventory.h"
#include "pool_reports.h"
#include "settings_input.h"
#include "sizes.h"
#include "upkeep/advisor/json_lookups.h"
#include "upkeep/advisor/workload_findings.h"
#include "upkeep/health/checks.h"
#include "upkeep/health/index_findings.h"
#include "upkeep/health/pool_evidence.h"
#include "what_if.h"

namespace upkeep::sqlite {

namespace {

Result<void> IndexesCall(sqlite3* db, const Arguments&, RowSink& rows) {
    IndexRows(db, rows);
    return {};
}

using Findings = std::vector<health::IndexFinding>;

Result<Findings> FindInCaptured(sqlite3* db, const health::IndexInventory& inventory) {
    Findings found;
    const std::unique_ptr<advisor::WhatIf> port = MakeWhatIf(db);
    if (advisor::MayFindInWorkload(inventory)) {
        if (const auto captured = CapturedWorkload(db); captured.ok()) {
            Result<Findings> part = advisor::FindInWorkload(*port, captured.value(), inventory);
            if (!part.ok()) {
                return part;
            }
            found = std::move(part).value();
        }
    }
    const std::vector<advisor::SentTexts> sent = CapturedJsonTexts(db);
    if (!sent.empty()) {
        Result<Findings> part = advisor::FindJsonLookups(*port, sent);
        if (!part.ok()) {
            return part;
        }
        for (health::IndexFinding& one : part.value()) {
            found.push_back(std::move(one));
        }
    }
    return found;
}

Result<void> IndexFindingsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const health::IndexInventory inventory = ReadInventory(db);
    const Result<Findings> more = FindInCaptured(db, inventory);
    if (!more.ok()) {
        return more.error();
    }
    health::IndexFindingRows(inventory, more.value(), rows);
    return {};
}

Result<void> UnindexedForeignKeysCall(sqlite3* db, const Arguments&, RowSink& rows) {
    health::UnindexedKeyRows(ReadInventory(db), rows);
    return {};
}

Result<void> CheckHealthCall(sqlite3* db, const Arguments&, RowSink& rows) {
    const health::IndexInventory inventory = ReadInventory(db);
    std::vector<health::Observation> seen = ProbeHealth(db, inventory);
    for (health::Observation& one : health::ObserveIndexes(inventory)) {
        seen.push_back(std::move(one));
    }
    if (const Result<std::vector<sessions::PoolRecord>> pools = TryReadPools(db); pools.ok()) {
        for (health::Observation& one :
             health::ObservePools(pools.value(), std::nullopt, WallClockUs())) {
            seen.push_back(std::move(one));
        }
    } else {
        health::Observation& unread = seen.emplace_back();
        unread.code = "pool_metrics";
        unread.unknown_because = pools.error().message();
    }
    health::CheckHealth(Hosts::kSqlite, seen, rows);
    return {};
}

Result<void> AdviseSettingsCall(sqlite3* db, const Arguments& arguments, RowSink& rows) {
    health::SettingsInput input = ReadSettingsInput(db);
    if (Result<void> taken = health::TakeSettingsArguments(arguments, &input); !taken.ok()) {
        return taken;
    }
    health::AdviseSettings(input, rows);
    return {};
}

Result<void> DatabaseStatsCall(sqlite3* db, const Arguments&, RowSink& rows) {
    DatabaseStatRows(db, rows);
    return {};
}

Result<void> TableSizesCall(sqlite3* db, const Arguments&, RowSink& rows) {
    TableSizeRows(db, rows);
    return {};
}

constexpr Body kBodies[] = {
    {.call = "indexes", .rows = IndexesCall},
    {.call = "index_findings", .rows = IndexFindingsCall},
    {.call = "unindexed_foreign_keys", .rows = UnindexedForeignKeysCall},
    {.call = "check_health", .rows = CheckHealthCall},
    {.call = "advise_settings", .rows = AdviseSettingsCall},
    {.call = "database_stats", .rows = DatabaseStatsCall},
    {.call = "table_sizes", .rows = TableSizesCall},
};

}  // namespace

std::span<const Body> HealthBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
