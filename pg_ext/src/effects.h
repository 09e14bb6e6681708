// Whether running a query could do more than return rows. C-like: may raise.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace upkeep::pg {

/// Refuses (22023, with a hint) a rewritten query that writes, locks rows, or calls a volatile
/// function other than a few of the server's own that only look or wait. What a function that is
/// declared stable or immutable does behind that promise is not seen here.
void RefuseEffects(Query* query);

}  // namespace upkeep::pg
