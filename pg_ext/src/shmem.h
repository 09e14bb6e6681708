// The store of captured statements: in the main shared memory segment, or (tier `loaded`) in this
// backend's own memory; and what the backend remembers of it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/store.h"

namespace upkeep::pg {

/// To be called in _PG_init while the server starts: asks for the memory that the settings need.
void RequestSharedMemory();

/// To be called in _PG_init in a backend that captures for itself alone: a store of the sizes
/// kPrivateLimits in its private memory. Raises the server's own error if there is none.
void MakePrivateStore();

/// Sizes of a private store: about 3.5 MB. Constants, as POSTMASTER settings are defined too late.
inline constexpr capture::StoreLimits kPrivateLimits = {.statements = 500,
                                                        .text_bytes = uint64_t{1} << 20,
                                                        .slow_statements = 50,
                                                        .endpoints = 100,
                                                        .counters = 100};

/// This process's view of the store it captures into; nullptr: it does not capture.
capture::Store* SharedStore();
/// Does that store hold what all backends run, or this one's statements only?
bool IsStoreShared();

/// This backend's memory of where statements and texts stand.
capture::StatementCache& BackendStatements();
capture::TextCache& BackendTexts();

}  // namespace upkeep::pg
