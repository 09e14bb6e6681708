// Every test of the server's version in the tree. Built for 15; written so that 16 to 18 build too.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

#if PG_VERSION_NUM < 150000
#error "upkeep needs PostgreSQL 15 or later"
#endif

namespace upkeep::pg {

/// Settings under our prefix that nobody defined are errors, not placeholders.
inline void ReservePrefix(const char* prefix) {
    MarkGUCPrefixReserved(prefix);
}

}  // namespace upkeep::pg
