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

/// Sizes of a private store: about 3.9 MB. Constants, as POSTMASTER settings are defined too late.
inline constexpr capture::StoreLimits kPrivateLimits = {.statements = 500,
                                                        .text_bytes = uint64_t{1} << 20,
                                                        .slow_statements = 50,
                                                        .endpoints = 100,
                                                        .counters = 100};

namespace detail {
// What the inline functions below read; nobody else does.
extern capture::Store* store;
extern capture::StatementCache statement_cache;
extern capture::TextCache text_cache;
}  // namespace detail

/// This process's view of the store it captures into; nullptr: it does not capture.
inline capture::Store* SharedStore() {
    return detail::store;
}
/// Does that store hold what all backends run, or this one's statements only?
bool IsStoreShared();

/// This backend's memory of where statements and texts stand.
inline capture::StatementCache& BackendStatements() {
    return detail::statement_cache;
}
inline capture::TextCache& BackendTexts() {
    return detail::text_cache;
}

}  // namespace upkeep::pg
