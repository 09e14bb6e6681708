// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/workload_findings.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "json_text.h"
#include "workload.h"
#include "wrong_order.h"

namespace upkeep::advisor {

namespace {

// A full store is analysed in slices: most indexes are cleared of suspicion by the first of them.
constexpr size_t kSlice = 100;
// So long statements are analysed; who asks for findings waits for it.
constexpr int64_t kMostMs = 1000;

/// Equal texts as one, those that took the most time first.
std::vector<WorkloadStatement> Distinct(const std::vector<WorkloadStatement>& captured) {
    std::vector<WorkloadStatement> distinct;
    std::unordered_map<std::string_view, size_t> seen;
    for (const WorkloadStatement& one : captured) {
        const auto [place, is_new] = seen.emplace(one.text, distinct.size());
        if (is_new) {
            distinct.push_back(one);
        } else {
            distinct[place->second].weight += one.weight;
        }
    }
    std::stable_sort(distinct.begin(), distinct.end(),
                     [](const auto& one, const auto& other) { return one.weight > other.weight; });
    return distinct;
}

/// Adds the statements [begin, end) of `all`; their items keep their numbers in it.
void Analyse(WhatIf& port, const std::vector<WorkloadStatement>& all, size_t begin, size_t end,
             Workload* workload) {
    AdviseOptions options;
    options.workload.assign(all.begin() + static_cast<std::ptrdiff_t>(begin),
                            all.begin() + static_cast<std::ptrdiff_t>(end));
    options.skip_unusable = true;
    try {
        Workload part = AnalyseWorkload(port, options);
        for (WorkloadItem& item : part.items) {
            item.number += begin;
            workload->items.push_back(std::move(item));
        }
    } catch (const Error& error) {
        if (error.code() != Code::kUnsupported) {  // else none of them can be planned here
            throw;
        }
    }
}

}  // namespace

bool MayFindInWorkload(const health::IndexInventory& inventory) {
    return !inventory.json_columns.empty() ||
           std::any_of(inventory.indexes.begin(), inventory.indexes.end(), MayBeReordered);
}

Result<std::vector<health::IndexFinding>> FindInWorkload(
    WhatIf& port, const std::vector<WorkloadStatement>& captured,
    const health::IndexInventory& inventory) {
    std::vector<health::IndexFinding> findings;
    const std::vector<WorkloadStatement> all = Distinct(captured);
    try {
        Workload workload;
        Suspects suspects(inventory);
        const int64_t until_ms = port.ElapsedMs() + kMostMs;
        size_t done = 0;
        while (done < all.size() && port.ElapsedMs() < until_ms &&
               !(suspects.IsEmpty() && inventory.json_columns.empty())) {
            const size_t known = workload.items.size();
            const size_t end = std::min(done + kSlice, all.size());
            Analyse(port, all, done, end, &workload);
            for (size_t i = known; i < workload.items.size(); ++i) {
                suspects.Clear(port, workload.items[i]);
            }
            done = end;
        }
        if (done == all.size()) {  // else one not looked at may need an index as it is
            FindWrongOrder(port, workload, inventory, &findings);
        }
        FindJsonText(port, workload, all, inventory, &findings);
    } catch (const Error& error) {
        return error;
    }
    return findings;
}

}  // namespace upkeep::advisor
