// The values that statements ran with lately: for each (database, user, fingerprint) the text of
// one execution with its literals and bound values in place. For planning a statement as it really
// runs and for nothing else: no call reads them out, no file holds them, a reset forgets them.
//
// Which execution: the one that made the statement known, and after it whichever ends when its
// backend (or connection) has run for another five seconds, so that a statement is met as often as
// it takes time. Longer texts than kMostSampleBytes are not kept. Memory and races: text_table.h.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/capture/text_table.h"

namespace upkeep::capture {

inline constexpr size_t kMostSampleBytes = 4096;

/// Whose turn it is; one per backend or connection, never shared.
class SampleClock {
  public:
    static constexpr uint64_t kEveryNs = 5'000'000'000;

    /// To be asked once for each execution.
    bool IsDue(uint64_t duration_ns) {
        ran_ns_ += duration_ns;
        if (ran_ns_ < kEveryNs) {
            return false;
        }
        ran_ns_ = 0;
        return true;
    }

  private:
    uint64_t ran_ns_ = 0;
};

class Samples {
  public:
    explicit Samples(const TextTable& texts) : texts_(texts) {}

    void Format(uint32_t capacity, uint32_t chunk_count) { texts_.Format(capacity, chunk_count); }
    /// Keeps it in the place of the one before. What is too long is not kept, and the one before
    /// goes all the same: it may be of long ago.
    void Keep(uint32_t database, int64_t fingerprint, uint32_t user, std::string_view text);
    std::optional<std::string> Read(uint32_t database, int64_t fingerprint, uint32_t user) {
        return texts_.Read(database, fingerprint, user);
    }
    /// Is there one? A use of it.
    bool Has(uint32_t database, int64_t fingerprint, uint32_t user) {
        return texts_.Touch(database, fingerprint, user);
    }
    bool IsFull() const { return texts_.IsFull(); }
    void Reset() { texts_.DoomAll(); }

  private:
    TextTable texts_;
};

}  // namespace upkeep::capture
