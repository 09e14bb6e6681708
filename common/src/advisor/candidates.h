// Which indexes are worth asking the planner about.
//
//   uses of a relation -> shapes (equal uses counted once) -> generators (one per kind)
//     -> merged across shapes -> without what exists -> the best 100 of each relation
//
// Generous by design: the planner judges. Kinds beyond these: candidates_kinds.h.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "workload.h"

namespace upkeep::advisor {

struct CandidateOptions {
    int max_columns = 3;
    size_t max_per_relation = 100;      // planning with more visible costs more than they bring
    std::vector<IndexKind> kinds = {};  // empty: all
};

struct Candidate {
    IndexSpec spec;
    std::vector<size_t> items;  // statements it concerns, as positions in Workload::items
};

/// The candidates of all relations, in a fixed order for equal input. Reads baseline_cost of the
/// items (as importance where the limit per relation strikes); calls no planner.
std::vector<Candidate> GenerateCandidates(const WhatIf& port, const Workload& workload,
                                          const CandidateOptions& options);

/// Is `spec` already there: an existing whole-table B-tree with these keys in front, read either
/// way?
bool IsProvidedBy(const ExistingIndex& existing, const IndexSpec& spec, bool has_nulls_order);

/// Those of AllKinds() that this host can have.
std::vector<IndexKind> PricedKinds(const WhatIf& port);

}  // namespace upkeep::advisor
