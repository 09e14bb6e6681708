// Whether this backend is inside a call of ours: what runs meanwhile is upkeep's own and is not
// captured. Header only: the adapter needs nothing else of capture.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

inline int own_calls = 0;

/// While one lives, statements of this backend are upkeep's own. An error leaves it by unwinding,
/// as everything between Enter and CallHost.
class OwnCall {
  public:
    OwnCall() { ++own_calls; }
    ~OwnCall() { --own_calls; }
    OwnCall(const OwnCall&) = delete;
    OwnCall& operator=(const OwnCall&) = delete;
};

}  // namespace upkeep::pg
