// Candidates beyond B-trees over whole tables and plain columns: partial, expression, gin, trigram,
// brin. Their raw material is what the host says each use offers (RelationUse::conditions); that
// such an index can be built is the host's word, whether it pays the planner's.
// Not for: plain and covering B-trees (candidates.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "workload.h"

namespace upkeep::advisor {

/// The candidates of one relation, of those `kinds` only (empty: all), in a fixed order for equal
/// input. `uses`: the most important first.
std::vector<IndexSpec> GenerateKinds(const WhatIf& port, RelationId id,
                                     const std::vector<const RelationUse*>& uses, int max_columns,
                                     const std::vector<IndexKind>& kinds);

/// Is it one of these, and no plain B-tree?
bool IsOfOtherKind(const IndexSpec& spec);

/// Can the planner use such an index for this use? A partial one only where a condition names its
/// columns: what a sample's values alone would allow was taken out before (workload.cpp).
bool ConcernsOtherKind(const IndexSpec& spec, const RelationUse& use);

/// The conditions of the use that the index is for, in words; empty: none.
std::string OtherKindText(const IndexSpec& spec, const RelationUse& use);

/// What a careful person would ask about such an index.
std::vector<std::string> OtherKindWarnings(const Relation& relation, const IndexSpec& spec);

}  // namespace upkeep::advisor
