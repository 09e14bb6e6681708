// Executions of one statement that its session adds up by itself before they go to the shared
// store: a dozen plain additions instead of as many atomic ones. For a host whose sessions can hand
// over what they hold when somebody reads; until then the store does not show it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "upkeep/capture/counter_table.h"

namespace upkeep::capture {

class ExecutionBatch {
  public:
    bool IsEmpty() const { return totals_.calls == 0; }
    /// False: another octave's durations are in its place; store the batch, clear it, add again.
    /// Not for executions that failed.
    bool Add(const Execution& execution) {
        const uint32_t bucket = BucketOf(execution.duration_ns);
        BucketCount& place = buckets_[bucket % kPlaces];
        if (place.count != 0 && place.bucket != bucket) {
            return false;
        }
        place.bucket = bucket;
        ++place.count;
        ++bounds_[CounterBoundOf(execution.duration_ns)];
        const uint64_t ns = execution.duration_ns;
        if (totals_.calls == 0) {
            totals_.shift_ns = ns;
            totals_.first_seen_us = execution.ended_us;
        }
        ++totals_.calls;
        totals_.rows += execution.rows;
        totals_.total_ns += ns;
        totals_.full_scans += execution.full_scans;
        totals_.sorts += execution.sorts;
        totals_.slow_calls += execution.is_slow ? 1 : 0;
        totals_.min_ns = std::min(totals_.min_ns, ns);
        totals_.max_ns = std::max(totals_.max_ns, ns);
        const double off = static_cast<double>(ns) - static_cast<double>(totals_.shift_ns);
        totals_.squares_ns2 += off * off;
        totals_.last_seen_us = execution.ended_us;
        return true;
    }
    void Clear() { *this = {}; }

    /// What a record that begins with this batch begins with.
    Execution First() const {
        return {.duration_ns = totals_.shift_ns, .ended_us = totals_.first_seen_us};
    }
    const StatementTotals& totals() const { return totals_; }
    /// In no order; places that are not used have no count.
    std::span<const BucketCount> buckets() const { return buckets_; }
    const CounterBounds& bounds() const { return bounds_; }

  private:
    static constexpr uint32_t kPlaces = 32;
    StatementTotals totals_;
    std::array<BucketCount, kPlaces> buckets_ = {};
    CounterBounds bounds_ = {};
};

}  // namespace upkeep::capture
