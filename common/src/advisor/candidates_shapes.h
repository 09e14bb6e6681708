// What the generators of candidates look at: one relation with the distinct ways in which
// statements use it, the most important first. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <vector>

#include "workload.h"

namespace upkeep::advisor {

/// Equal uses of a relation by one or many statements.
struct UseShape {
    const RelationUse* use = nullptr;
    double importance = 0;  // weighted baseline cost of the statements
    size_t statements = 0;
};

/// Everything the generators may look at.
struct CandidateInput {
    RelationId id = -1;
    const Relation& relation;
    std::vector<UseShape> shapes;
    std::map<int, size_t> popularity;  // equality column -> statements that compare it
    int max_columns = 3;
    bool has_nulls_order = false;
};

CandidateInput MakeCandidateInput(const WhatIf& port, RelationId id, const Workload& workload,
                                  int max_columns);

/// All uses of one relation, those of the dearest statements first. Not shapes: two uses of one
/// shape may differ in their constants.
std::vector<const RelationUse*> UsesOf(RelationId id, const Workload& workload);

}  // namespace upkeep::advisor
