// Existing indexes that an answer's set makes redundant, by the rule of index_findings.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

/// The first row whose index answers all that an existing one does gets its DROP as the last of
/// `steps`, and a line in `warnings`. Never one that stands for a constraint, is a replica identity
/// or the order of CLUSTER, or is unique beside a row that is not.
void NameRedundant(WhatIf& port, std::vector<AdvisedIndex>* rows);

}  // namespace upkeep::advisor
