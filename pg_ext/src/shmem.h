// The store of captured statements in the main shared memory segment, and this backend's view.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/store.h"

namespace upkeep::pg {

/// To be called in _PG_init while the server starts: asks for the memory that the settings need.
void RequestSharedMemory();

/// This process's view of the store; nullptr: the library was not preloaded.
capture::Store* SharedStore();

/// This backend's memory of where statements and texts stand.
capture::StatementCache& BackendStatements();
capture::TextCache& BackendTexts();

}  // namespace upkeep::pg
