// Rows of explain_rejections that no candidate stands for: existing index, no B-tree class, no
// index possible, no right. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collection.h"
#include "upkeep/advisor/advise.h"
#include "upkeep/advisor/what_if.h"
#include "upkeep/base/value.h"

namespace upkeep::advisor {

enum class Interest : uint8_t { kSaves, kCannot, kUseless };

struct Rejection {
    Interest interest = Interest::kUseless;
    std::optional<size_t> candidate;  // of the collection, to be planned again when shown
    std::string table;
    TextArray columns;
    std::string kind;
    std::optional<double> cost_after;
    std::optional<double> size_bytes;
    std::string because;
};

/// Table, columns and kind of a row about the index.
Rejection RejectionOf(const WhatIf& port, const IndexSpec& spec);

/// Adds what was never considered. Throws Error.
void AddNeverConsidered(WhatIf& port, const AdviseOptions& options, const Collection& collection,
                        std::vector<Rejection>* rows);

}  // namespace upkeep::advisor
