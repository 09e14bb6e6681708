// Walks a rewritten query: which columns of which base relation are compared, joined, sorted,
// grouped and needed. C-like: may raise.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// Adds the uses and written relations of `query` and all its levels to `statement`.
void CollectUses(Query* query, PlainStatement* statement);

/// A GIN operator class by its name, wherever an extension was put; InvalidOid: there is none.
Oid GinClassByName(const char* name);
inline constexpr const char* kTrigramClass = "gin_trgm_ops";

}  // namespace upkeep::pg
