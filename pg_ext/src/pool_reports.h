// What applications report of their connection pools, in shared memory: a fixed number of places
// under one lock of its own (`upkeep pools`), which only report_pool and those who read its reports
// take, for a look at all places (some 20 us). Preloaded only.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstddef>
#include <vector>

#include "upkeep/sessions/pool_report.h"

namespace upkeep::pg {

inline constexpr const char* kPoolsLock = "upkeep pools";

size_t PoolReportsBytes();
/// Takes the block of PoolReportsBytes() in shared memory; `found`: it is in use already.
void AttachPoolReports(void* block, bool found);
bool KeepsPoolReports();

/// Keeps it as the caller's, or says in a NOTICE why not.
void KeepPoolReport(const sessions::PoolRecord& record);
/// Those of this database by roles whose rights the caller has, with pg_read_all_stats all.
std::vector<sessions::PoolRecord> VisiblePools();
/// The same, with word of it where none can be kept.
std::vector<sessions::PoolRecord> VisiblePoolsOrNotice();

}  // namespace upkeep::pg
