// What was captured of a database: the process's share of it and the state file, as one.
//
//   store ──Drain──▶ state file      at close and by upkeep_save(): inside one transaction;
//     │                  │           if that fails, the counts go back
//     └──────┬───────────┘
//            ▼
//         readers                    under the same lock: nothing is missed or seen twice
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <vector>

#include "capture_memory.h"
#include "index_use.h"
#include "state_file.h"
#include "upkeep/capture/rows.h"

namespace upkeep::sqlite {

/// In a slow statement's plan: none is wanted. Empty: not worked out yet.
inline constexpr const char* kNoPlan = "-";

/// Moves what this process counted of the database into its state file. Nothing to move: no file.
/// Errors: kBusy (another process writes it: later), kHost, kUnsupported (in memory, `persist`
/// off); the counts stay in memory then.
Result<void> SaveCaptured(const std::string& database);
/// The same as a connection closes: fails quietly, but SaveTrouble() and one line in the log of
/// SQLite (SQLITE_CONFIG_LOG) say so.
void SaveAtClose(const std::string& database);
/// Of the database's last quiet save that failed since the last that did not; empty: none.
std::string SaveTrouble(const std::string& database);

/// Of the connection's main database, by fingerprint, endpoint and level. Throws Error.
std::vector<capture::StatementView> ReadStatements(sqlite3* db);
/// Newest first, with plans where there can be one.
std::vector<capture::SlowView> ReadSlowStatements(sqlite3* db);
std::vector<capture::FindingView> ReadFindings(sqlite3* db);
/// Forgets all of these, in memory and in the file. Throws Error; nothing is forgotten then.
void ResetCaptured(sqlite3* db);

/// How often the captured statements used each index of the connection's main database. Throws
/// Error.
IndexUses CapturedIndexUse(sqlite3* db);

/// The statement as this process ran it lately, with its values; empty: not known. For planning
/// only: nothing shows or saves it.
std::string SampleOf(sqlite3* db, int64_t fingerprint);

/// Is there anything to read, from here or from another process?
bool HasCaptured(sqlite3* db);

}  // namespace upkeep::sqlite
