// The reaper of SQLite: a thread that applies the rows of reap_rules, where setting `reaper` asks
// for it.
//
//   every reaper_interval   all connections of this process, by atomics and by their mutex where
//                           that is free; per database file: Decide, act, log
//
// It interrupts open statements and rolls back transactions (force.h), of this process only. Off by
// default. Not for: the decision (upkeep/sessions/reap.h). SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"
#include "upkeep/sessions/reap.h"

namespace upkeep::sqlite {

/// Takes over the settings `reaper` and `reaper_interval`.
/// Errors: kUnsupported (an SQLite without threads), kHost (no thread to be had).
Result<void> ApplyReaper();

/// In a child of fork(), where the parent's thread is not: starts one if the setting asks for it.
/// Elsewhere nothing. Never fails, never waits.
void ApplyReaperInChild() noexcept;

/// Says of each session which rule will end it next; nothing while the reaper is off. Throws Error.
void AddNextEnds(int64_t now_us, std::vector<sessions::SessionSnapshot>* sessions);

/// The body of `reap_log`.
Result<void> ReapLog(sqlite3* db, const Arguments& arguments, RowSink& rows);

}  // namespace upkeep::sqlite
