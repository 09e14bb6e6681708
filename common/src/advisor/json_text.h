// JSON that is kept as text and searched by captured statements.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string_view>
#include <vector>

#include "upkeep/health/index_findings.h"
#include "workload.h"

namespace upkeep::advisor {

/// `json_without_jsonb` for each column of the inventory that conditions look into and no index
/// stands on. `given`: the texts that the workload was analysed from.
void FindJsonText(const WhatIf& port, const Workload& workload,
                  const std::vector<WorkloadStatement>& given,
                  const health::IndexInventory& inventory,
                  std::vector<health::IndexFinding>* findings);

}  // namespace upkeep::advisor
