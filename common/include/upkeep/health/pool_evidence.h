// What pools reported about themselves, as evidence for check_health: pool_size, pool_metrics.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "upkeep/health/checks.h"
#include "upkeep/sessions/pool_report.h"

namespace upkeep::health {

/// `room`: connections that an ordinary role may have; nullopt: no limit.
std::vector<Observation> ObservePools(std::span<const sessions::PoolRecord> pools,
                                      std::optional<int64_t> room, int64_t now_us);

}  // namespace upkeep::health
