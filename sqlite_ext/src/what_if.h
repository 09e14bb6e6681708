// The advisor's port in SQLite: a private in-memory replica of the schema with the real or sampled
// statistics, planned by the real planner (sqlite-notes: an empty replica plans as the original).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "sqlite_api.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::sqlite {

/// One port object for one call on the caller's connection `db`, which outlives it and is only
/// read. Errors: throws Error (kHost, kBusy, kInterrupted, …) where the schema cannot be read.
std::unique_ptr<advisor::WhatIf> MakeWhatIf(sqlite3* db);

}  // namespace upkeep::sqlite
