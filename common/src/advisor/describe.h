// From priced rows to an answer in words: SQL, reason, warnings.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "collection.h"
#include "pricing.h"

namespace upkeep::advisor {

/// The rows as AdvisedIndexes, in their order, with each one's DDL and the words around it.
std::vector<AdvisedIndex> Describe(const Collection& collection,
                                   const std::vector<PricedIndex>& rows, bool is_complete);

}  // namespace upkeep::advisor
