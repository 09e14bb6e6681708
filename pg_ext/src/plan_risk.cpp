// SPDX-License-Identifier: PostgreSQL
#include "plan_risk.h"

#include "guard.h"

namespace upkeep::pg {

double PlanRisk::Of(PlannedStmt* plan, HypotheticalIndex* const* indexes, int count) {
    const PlainArray<HopefulWalk> walks =
        CallHost([=] { return HopefulWalks(plan, indexes, count); });
    double risk = 0;
    for (int i = 0; i < walks.count; ++i) {
        risk += RiskOf(walks.items[i], ShareOf(walks.items[i]));
    }
    return risk;
}

/// What cannot be asked (parameters, a right that is missing) is feared.
double PlanRisk::ShareOf(const HopefulWalk& walk) {
    const HopefulWalk* asked = &walk;
    const char* query = CallHost([=] { return SampleQuery(*asked); });
    if (query == nullptr) {
        return 1;
    }
    if (const auto known = shares_.find(query); known != shares_.end()) {
        return known->second;
    }
    const Result<double> share = InSubtransaction([=] { return ShareOfWalk(query); });
    return shares_[query] = share.ok() ? share.value() : 1;
}

}  // namespace upkeep::pg
