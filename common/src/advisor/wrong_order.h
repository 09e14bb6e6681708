// Indexes whose first two keys stand the wrong way round for all that was captured.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "upkeep/health/index_findings.h"
#include "workload.h"

namespace upkeep::advisor {

/// May the order of this index be changed at all? Not of one that stands for a rule or for the
/// order of the table.
bool MayBeReordered(const health::IndexDescription& index);

/// Indexes that may yet turn out to stand the wrong way round. Not for: the verdict.
class Suspects {
  public:
    explicit Suspects(const health::IndexInventory& inventory);
    /// Takes out those that this statement needs as they are.
    void Clear(const WhatIf& port, const WorkloadItem& item);
    bool IsEmpty() const { return names_.empty(); }

  private:
    std::set<std::pair<std::string, std::string>> names_;  // table, index
};

/// Appends a finding for each. Throws Error.
void FindWrongOrder(WhatIf& port, const Workload& workload, const health::IndexInventory& inventory,
                    std::vector<health::IndexFinding>* findings);

}  // namespace upkeep::advisor
