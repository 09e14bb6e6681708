// What captured statements say about indexes that exist: findings that no catalog can tell.
//
//   captured statements ─Analyse─▶ uses of each index ─▶ rule ─PriceWith─▶ IndexFinding
//
// The rule proposes, the host's planner has the last word: what it would not use is no finding.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/advisor/advise.h"
#include "upkeep/advisor/what_if.h"
#include "upkeep/base/result.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::advisor {

/// Is there an index or a column that they could be about? If not, the workload need not be read.
bool MayFindInWorkload(const health::IndexInventory& inventory);

/// `wrong_order`: an index (a, b) that no statement seen needs in this order and that (b, a) would
/// serve. `json_without_jsonb`: JSON kept as text that conditions look into. Statements that cannot
/// be analysed are left out. Ends within a second or two: where that is too short to look at all
/// statements there is no `wrong_order`. Errors: kInterrupted.
Result<std::vector<health::IndexFinding>> FindInWorkload(
    WhatIf& port, const std::vector<WorkloadStatement>& captured,
    const health::IndexInventory& inventory);

}  // namespace upkeep::advisor
