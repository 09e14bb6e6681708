// Rules over plans, one file a host's form of plan; what both share.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "../base/json.h"
#include "upkeep/advisor/explain.h"

namespace upkeep::advisor {

// Below this a scan, a sort or a loop costs less than looking at a finding.
inline constexpr double kManyRows = 1000;
// "Most rows are thrown away": at most this share is kept.
inline constexpr double kFewRatio = 0.1;

/// `1,234,567`, without decimals.
std::string Grouped(double number);

std::vector<std::string> PostgresFindings(const Json& plan, const PlanContext& context);
std::vector<std::string> SqliteFindings(const Json& plan, const PlanContext& context);

}  // namespace upkeep::advisor
