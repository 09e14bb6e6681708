// Indexes whose first two keys stand the wrong way round for all that was captured.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/health/index_findings.h"
#include "workload.h"

namespace upkeep::advisor {

/// May the order of this index be changed at all? Not of one that stands for a rule or for the
/// order of the table.
bool MayBeReordered(const health::IndexDescription& index);

/// Appends a finding for each. Throws Error.
void FindWrongOrder(WhatIf& port, const Workload& workload, const health::IndexInventory& inventory,
                    std::vector<health::IndexFinding>* findings);

}  // namespace upkeep::advisor
