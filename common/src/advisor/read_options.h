// The arguments of the advising calls as options; what only one of them has, it reads itself.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

/// workload, weights, max_columns, time_limit and kinds; budget_bytes and min_saving_ratio where
/// the call has them. `captured` replaces a NULL workload.
Result<AdviseOptions> ReadOptions(const Arguments& arguments,
                                  const Result<std::vector<WorkloadStatement>>& captured);

/// Bytes as a whole number of SQL.
int64_t WholeBytes(double bytes);

}  // namespace upkeep::advisor
