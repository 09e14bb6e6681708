// The workload that was captured, where none is given.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/advisor/advise.h"
#include "upkeep/base/result.h"

namespace upkeep::pg {

/// Is there an extension whose captured statements can be read?
bool HasStatementSource();

/// Statements of this database that the caller may see, weighted by total time in ms.
/// Errors: kUnsupported with what to do, where there is no source or it is not running.
Result<std::vector<advisor::WorkloadStatement>> CapturedWorkload();

}  // namespace upkeep::pg
