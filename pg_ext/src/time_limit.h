// A limit for what a call of ours runs: when it is over, what runs is cancelled as by the user.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "guard.h"
#include "pg.h"

extern "C" {
#include "utils/timeout.h"
}

namespace upkeep::pg {

/// While one lives, what runs is cancelled after the limit. One at a time.
class TimeLimit {
  public:
    explicit TimeLimit(int milliseconds);
    ~TimeLimit();
    TimeLimit(const TimeLimit&) = delete;
    TimeLimit& operator=(const TimeLimit&) = delete;

  private:
    TimeoutId id_;
};

/// Is there one?
bool IsLimited();
/// Was the latest one's time over?
bool LimitStruck();

}  // namespace upkeep::pg
