// What PostgreSQL tells of its own health: one catalog query a check.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/health/checks.h"

namespace upkeep::pg {

/// Runs every probe with the caller's rights. A probe that the server refuses is an observation
/// that says so. Throws HostError only for what ends the whole call (cancel).
std::vector<health::Observation> ProbeHealth();

}  // namespace upkeep::pg
