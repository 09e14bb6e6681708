// The workload that was captured, where none is given.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "sqlite_api.h"
#include "upkeep/advisor/advise.h"
#include "upkeep/advisor/json_lookups.h"
#include "upkeep/base/result.h"

namespace upkeep::sqlite {

/// Captured statements by their total time.
/// Errors: kUnsupported with what to do, where there are none.
Result<std::vector<advisor::WorkloadStatement>> CapturedWorkload(sqlite3* db);

/// Of captured statements of this process that may look into JSON, the texts that were kept. For
/// planning only. Throws Error.
std::vector<advisor::SentTexts> CapturedJsonTexts(sqlite3* db);

}  // namespace upkeep::sqlite
