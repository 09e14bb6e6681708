// Which opens are upkeep's own: the registry leaves those connections alone.
// Header only, because a private connection (stmt.h) needs nothing else of the registry.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::sqlite {

inline thread_local int private_openings = 0;

/// While one lives, connections opened by this thread are upkeep's own.
class OpeningPrivately {
  public:
    OpeningPrivately() { ++private_openings; }
    ~OpeningPrivately() { --private_openings; }
    OpeningPrivately(const OpeningPrivately&) = delete;
    OpeningPrivately& operator=(const OpeningPrivately&) = delete;
};

}  // namespace upkeep::sqlite
