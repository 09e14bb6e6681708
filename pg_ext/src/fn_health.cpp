// Health: index findings, checks, settings advice.
// SPDX-License-Identifier: PostgreSQL
#include <utility>
#include <vector>

#include "adapter.h"
#include "health_probes.h"
#include "index_expected.h"
#include "index_inventory.h"
#include "settings_input.h"
#include "upkeep/health/checks.h"
#include "upkeep/health/index_findings.h"

UPKEEP_ROWS(index_findings) {
    upkeep::health::IndexInventory inventory = upkeep::pg::ReadInventory();
    upkeep::pg::AddExpectedSizes(&inventory);
    upkeep::health::IndexFindingRows(inventory, rows);
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
    upkeep::health::CheckHealth(upkeep::Hosts::kPostgres, seen, rows);
}

UPKEEP_ROWS(advise_settings) {
    upkeep::health::SettingsInput input = upkeep::pg::ReadSettingsInput();
    upkeep::health::TakeSettingsArguments(arguments, &input).OrThrow();
    upkeep::health::AdviseSettings(input, rows);
}
