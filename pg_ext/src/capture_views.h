// The store as one caller may see it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/capture/counter_table.h"
#include "upkeep/capture/rows.h"

namespace upkeep::pg {

/// What to do where nothing is captured.
inline constexpr const char* kCaptureHint =
    "add upkeep to shared_preload_libraries (keep what is there) and restart the server; for one "
    "session alone: LOAD 'upkeep' before anything of upkeep is called there";

/// Why there is nothing to read, or empty: the store can be read. Says it in a NOTICE, too.
bool NoticeWithoutCapture();

/// Whether the texts are looked up as well.
enum class Texts : bool { kLeave, kRead };

/// Every captured statement; only those of this database if asked so.
std::vector<capture::StatementView> VisibleStatements(Texts texts, bool this_database);
std::vector<capture::SlowView> VisibleSlowStatements();

/// What never falls: executions by operation, first table and status. Tables show only with
/// pg_read_all_stats.
std::vector<capture::CounterSnapshot> VisibleCounters();

/// One sentence about capture here, for capabilities.
std::string CaptureReason();

}  // namespace upkeep::pg
