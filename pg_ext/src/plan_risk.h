// What plans may cost beyond their price: limit_risk.h asked once for each walk, and remembered.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>

#include "limit_risk.h"

namespace upkeep::pg {

class PlanRisk {
  public:
    /// Of a plan that PlanWith made with `indexes`, in its own units. Throws HostError.
    double Of(PlannedStmt* plan, HypotheticalIndex* const* indexes, int count);

  private:
    double ShareOf(const HopefulWalk& walk);

    std::map<std::string, double> shares_;  // by query
};

}  // namespace upkeep::pg
