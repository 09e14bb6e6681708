// Which indexes the captured statements use, and how often: calls × the plan of each statement.
//
//   text first met ──▶ NoteSample          (statement_samples.h: memory only)
//   save, reading  ──▶ EXPLAIN of the samples on a connection of our own, never in a callback
//                      ──▶ opened and read: used
//   state file     ──▶ sums of all processes, begun anew whenever schema or statistics change
//
// All of it under Capture::io.
// A number is right or not there. It is not there for the indexes of a table that a statement reads
// whose plan is not known for certain: more texts than samples, values bound where a partial index
// or LIKE depends on them, no plan on another connection; and for all if statements were evicted.
// Counted is what captured connections ran; other processes' share since their last save is
// missing. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "capture_memory.h"
#include "state_file.h"

namespace upkeep::sqlite {

struct IndexUse {
    int64_t scans = 0;
    bool is_certain = true;
    int64_t last_used_us = 0;  // 0: not seen
    int64_t writes = 0;        // entries made or removed, at least
};

/// Indexes of `main` that are stored under a name of their own.
struct IndexUses {
    int64_t since_us = 0;                       // 0: nothing is known
    std::map<std::string, IndexUse> by_index;   // lower-case name
    std::map<std::string, int64_t> full_scans;  // of tables, likewise; at least
};

/// From here on this process counts under the schema that `db` has now, if it has not begun yet.
void BeginIndexUse(sqlite3* db) noexcept;

/// Adds what was just taken out of the store to the file, inside its transaction.
void SaveIndexUse(StateFile& file, Capture& capture, uint32_t id, const std::string& database,
                  const std::vector<CapturedStatement>& taken);
/// Forgets it in the file (inside its transaction; nullptr: there is none) and begins anew.
void ForgetIndexUse(sqlite3* db, StateFile* file);

/// Of the connection's main database: the file (nullptr: there is none) and what is held in memory.
IndexUses ReadIndexUse(sqlite3* db, StateFile* file, const std::vector<CapturedStatement>& held);

}  // namespace upkeep::sqlite
