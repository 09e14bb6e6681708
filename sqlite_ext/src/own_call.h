// Whether this thread is inside a call of ours: statements that run meanwhile are upkeep's own.
// Header only, as private_opening.h: the adapter needs nothing else of capture.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::sqlite {

inline thread_local int own_calls = 0;

/// While one lives, statements run by this thread are upkeep's own and are not captured.
class OwnCall {
  public:
    OwnCall() { ++own_calls; }
    ~OwnCall() { --own_calls; }
    OwnCall(const OwnCall&) = delete;
    OwnCall& operator=(const OwnCall&) = delete;
};

}  // namespace upkeep::sqlite
