// Health: index findings, checks, settings advice.
// SPDX-License-Identifier: PostgreSQL
#include <utility>
#include <vector>

#include "adapter.h"
#include "captured.h"
#include "health_probes.h"
#include "index_expected.h"
#include "index_inventory.h"
#include "json_columns.h"
#include "pool_reports.h"
#include "sessions.h"
#include "settings_input.h"
#include "upkeep/advisor/workload_findings.h"
#include "upkeep/health/checks.h"
#include "upkeep/health/index_findings.h"
#include "upkeep/health/pool_evidence.h"
#include "what_if.h"

namespace {

/// What captured statements say, where the caller may see and run some.
std::vector<upkeep::health::IndexFinding> CapturedFindings(
    const upkeep::health::IndexInventory& inventory) {
    if (!upkeep::advisor::MayFindInWorkload(inventory)) {
        return {};
    }
    auto captured = upkeep::pg::CapturedWorkload();
    if (!captured.ok()) {
        return {};
    }
    const auto port = upkeep::pg::MakeWhatIf(captured.value().roles);
    return upkeep::advisor::FindInWorkload(*port, captured.value().workload, inventory).OrThrow();
}

/// What pools of this database said, against what ordinary roles may have.
std::vector<upkeep::health::Observation> ProbePools() {
    const std::vector<upkeep::sessions::PoolRecord> pools = upkeep::pg::VisiblePools();
    if (pools.empty()) {
        return {};
    }
    upkeep::sessions::ConnectionLimits limits = upkeep::pg::ReadPoolFacts().limits;
    limits.is_superuser = false;
    limits.role_limit.reset();
    return upkeep::health::ObservePools(pools, upkeep::sessions::LimitForRole(limits),
                                        GetCurrentTimestamp() + upkeep::pg::kPostgresEpochUs);
}

}  // namespace

UPKEEP_ROWS(index_findings) {
    upkeep::health::IndexInventory inventory = upkeep::pg::ReadInventory();
    upkeep::pg::AddExpectedSizes(&inventory);
    upkeep::pg::ReadJsonColumns(&inventory);
    upkeep::health::IndexFindingRows(inventory, CapturedFindings(inventory), rows);
}

UPKEEP_ROWS(unindexed_foreign_keys) {
    upkeep::health::UnindexedKeyRows(upkeep::pg::ReadInventory(), rows);
}

UPKEEP_ROWS(check_health) {
    using upkeep::health::Observation;
    std::vector<Observation> seen = upkeep::pg::ProbeHealth();
    for (Observation& one : upkeep::health::ObserveIndexes(upkeep::pg::ReadInventory())) {
        seen.push_back(std::move(one));
    }
    for (Observation& one : ProbePools()) {
        seen.push_back(std::move(one));
    }
    upkeep::health::CheckHealth(upkeep::Hosts::kPostgres, seen, rows);
}

UPKEEP_ROWS(advise_settings) {
    upkeep::health::SettingsInput input = upkeep::pg::ReadSettingsInput();
    upkeep::health::TakeSettingsArguments(arguments, &input).OrThrow();
    upkeep::health::AdviseSettings(input, rows);
}
