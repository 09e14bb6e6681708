// Statement capture: what SQLite tells about a connection's statements, counted.
//
//   STMT     ──▶ find or make the entry of the sqlite3_stmt, note clock and counters
//   ROW      ──▶ count
//   PROFILE  ──▶ difference ──▶ the statement's batch ──▶ Store (when it is full or somebody reads)
//   close    ──▶ the destructor of a function that we register: save, forget
//
// A callback never runs SQL, never writes a file, and no failure of ours reaches the statement.
// Two statements of a connection may be open at once, and SQLite uses an address again after a
// finalize that it does not report: an entry is the statement's only if the whole text is equal.
// Not for: what becomes of the counts (captured.h). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

#include "sqlite_api.h"

namespace upkeep::sqlite {

/// Captures this connection, and every one that this process opens from now on. Throws Error.
void StartCapture(sqlite3* db);
/// Ends both; other connections that are captured go on.
void StopCapture(sqlite3* db);

/// Brings what connections have counted and not stored yet into the store; for readers. Waits for
/// the few additions of an execution that ends just now.
void StoreAllBatches();

/// The endpoint of this connection's following statements; empty: the setting's. Throws Error.
void SetEndpoint(sqlite3* db, const std::string& endpoint);

enum class CaptureState : uint8_t {
    kOff,       // never started here, or stopped
    kOn,        // counting
    kReplaced,  // another trace took the connection's only slot
};
/// To be asked from a statement of this connection.
CaptureState StateOfCapture(sqlite3* db);

}  // namespace upkeep::sqlite
