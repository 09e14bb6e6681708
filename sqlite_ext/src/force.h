// The one way to end a transaction that another thread left open: roll it back and let its owner
// know, whatever he does next.
//
//   RollBack    under the connection's mutex, no statement open: ROLLBACK, then BEGIN, so that the
//               owner, who believes in his transaction, finds one (python's commit() and rollback()
//               send nothing where there is none), and query_only, so that nothing is written even
//               if he takes the trace slot from us before we could tell him
//   OnPoisoned  tells him: what he sends fails with SQLITE_INTERRUPT, COMMIT too, until ROLLBACK
//
// Rolled back and nothing else, his next INSERT would commit alone: half a transaction. A reset of
// his open SELECT would let his next step start again at the first row; an open statement is only
// interrupted (registry.h). Not for: whom to end. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "registry.h"

namespace upkeep::sqlite {

/// Why this connection's transaction cannot be rolled back from outside; empty: as far as can be
/// seen it can.
std::string RollBackRefusal(const ConnectionView& view);

/// Rolls back the open transaction of `seen`, if it still is what it was. Never waits for its
/// owner. Errors: kNotFound, kBusy (nothing was done), kUnsupported (it cannot be done soundly).
Result<void> RollBack(const ConnectionView& seen);

/// For each event of a connection whose poison is not kNone, inside SQLite's callback: `shown` is
/// the text of the beginning statement, `sql` the statement's own. True: the event was ours.
bool OnPoisoned(Connection& connection, sqlite3* db, unsigned event, const char* shown,
                const char* sql) noexcept;

}  // namespace upkeep::sqlite
