// A connection of our own to the user's database that reads nothing but the schema, to plan on.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <unistd.h>

#include <optional>
#include <string>

#include "stmt.h"

namespace upkeep::sqlite {

/// nullopt: in memory, or it cannot be opened now.
inline std::optional<PrivateConnection> OpenForPlanning(const std::string& database) {
    if (database.empty()) {
        return std::nullopt;
    }
    try {
        // It writes nothing. But where no WAL is, reading makes an empty one, and only who may
        // write clears it away again.
        const bool has_wal = access((database + "-wal").c_str(), F_OK) == 0;
        return PrivateConnection(database.c_str(),
                                 has_wal ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    } catch (const Error&) {
        return std::nullopt;
    }
}

}  // namespace upkeep::sqlite
