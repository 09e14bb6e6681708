// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/workload_findings.h"

#include <algorithm>

#include "json_text.h"
#include "workload.h"
#include "wrong_order.h"

namespace upkeep::advisor {

bool MayFindInWorkload(const health::IndexInventory& inventory) {
    return !inventory.json_columns.empty() ||
           std::any_of(inventory.indexes.begin(), inventory.indexes.end(), MayBeReordered);
}

Result<std::vector<health::IndexFinding>> FindInWorkload(
    WhatIf& port, const std::vector<WorkloadStatement>& captured,
    const health::IndexInventory& inventory) {
    std::vector<health::IndexFinding> findings;
    AdviseOptions options;
    options.workload = captured;
    options.skip_unusable = true;
    try {
        const Workload workload = AnalyseWorkload(port, options);
        FindWrongOrder(port, workload, inventory, &findings);
        FindJsonText(port, workload, captured, inventory, &findings);
    } catch (const Error& error) {
        if (error.code() == Code::kUnsupported) {  // none of them can be planned here
            return std::vector<health::IndexFinding>{};
        }
        return error;
    }
    return findings;
}

}  // namespace upkeep::advisor
