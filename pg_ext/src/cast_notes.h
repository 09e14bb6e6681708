// What a masked text cannot tell any more: a constant whose type makes the server convert the
// column that it is compared with (id = 1.5). Looked at once, when a text is kept.
// C-like; plain data. SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "upkeep/capture/normalize.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace upkeep::pg {

/// The types of such constants and parameters, by their offsets from `location` in the source,
/// ascending; nullptr: none. palloc'd.
const capture::TextNote* CastNotes(Query* query, int location, int* count);

/// Is it a column behind an implicit conversion? The column, or nullptr.
Var* ConvertedColumn(Node* node);

}  // namespace upkeep::pg
