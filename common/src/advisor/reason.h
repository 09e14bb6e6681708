// Words for a proposed index: what it serves, and what a careful person would ask first.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "pricing.h"
#include "workload.h"

namespace upkeep::advisor {

/// `workflow_id = … and status = …, then order by started_at desc; used by 3 statements`.
std::string ReasonText(const WhatIf& port, const Workload& workload, const IndexSpec& spec,
                       const std::vector<size_t>& served);

/// Fingerprints of the served statements, each once, most saved first.
std::vector<int64_t> ServedFingerprints(const Workload& workload,
                                        const std::vector<size_t>& served);

/// What is to be asked about the row itself: size of the table, statistics, generic prices …
/// `proposed`: indexes of this answer on the same table, this one included.
std::vector<std::string> RowWarnings(const WhatIf& port, const Workload& workload,
                                     const IndexSpec& spec, const PricedIndex& row,
                                     size_t proposed);

/// For each row the lines about statements that the whole set makes more than 5 % slower; a line
/// stands in the row that adds most to that statement.
std::vector<std::vector<std::string>> SlowerWarnings(const Workload& workload,
                                                     const std::vector<PricedIndex>& rows);

}  // namespace upkeep::advisor
