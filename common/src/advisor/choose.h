// From collected prices to rows: which indexes for each budget, priced again.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <vector>

#include "collection.h"
#include "pricing.h"

namespace upkeep::advisor {

struct Choice {
    std::vector<std::vector<PricedIndex>> rows;  // by budget, in order of creation
    bool is_complete = true;                     // false: the time limit ended the search early
};

/// `budgets` ascending; nullopt: no limit. A larger budget never gets a costlier set. More kinds
/// never get a costlier one either: the plain and the covering B-trees are chosen from first, just
/// as if they were all there are; all kinds together begin there, and the better set of the two
/// stays. With is_total_only the steps to a set are priced by what is known. Throws Error.
Choice ChooseForBudgets(Collection& collection, const AdviseOptions& options,
                        const std::vector<std::optional<int64_t>>& budgets,
                        bool is_total_only = false);

}  // namespace upkeep::advisor
