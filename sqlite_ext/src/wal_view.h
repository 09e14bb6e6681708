// How far the WAL of a connection's database has grown, and how much of it readers pin: from the
// index that all its connections share, mapped already, so no file is opened.
// Not for: whose marks they are (foreign_locks.cpp). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "sqlite_api.h"

namespace upkeep::sqlite {

struct WalView {
    int64_t page_bytes = 0;
    uint32_t frames = 0;              // in the WAL
    uint32_t checkpointed = 0;        // of these, from the first
    std::array<uint32_t, 5> marks{};  // by slot: what its readers see; slot 0: no frame at all
};

/// Of `main`. To be called by the connection's own thread. nullopt: no WAL, or one that is not
/// shared (locking_mode exclusive, another VFS). Throws Error.
std::optional<WalView> LookAtWal(sqlite3* db);

/// What the readers of `slots` (bits) keep from being checkpointed, to stand behind a sentence;
/// empty: nothing.
std::string PinnedNote(const WalView& wal, uint8_t slots);

}  // namespace upkeep::sqlite
