// Covering candidates: an index that has all columns that a use of its relation reads, so that the
// table itself is not read.
//
// Single columns on the way gain nothing, so no step by step search finds them: they are made of
// whole uses, behind each of the B-trees that serve the use, and merged where they start alike.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

/// Has the index every column that the use reads?
bool Covers(const IndexSpec& spec, const RelationUse& use);

/// `serving` (B-trees for this use) with the rest of what it reads, where that is narrower than the
/// table; and one in plain keys where max_columns has room (keys deduplicate, included columns do
/// not).
std::vector<IndexSpec> CoveringSpecs(const Relation& relation, const RelationUse& use,
                                     const std::vector<IndexSpec>& serving, int max_columns);

/// For indexes with the same single key: all columns of two of them, and of all.
std::vector<IndexSpec> MergedCovering(const Relation& relation,
                                      const std::vector<IndexSpec>& specs);

}  // namespace upkeep::advisor
