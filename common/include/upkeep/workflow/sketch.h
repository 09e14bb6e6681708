// A mergeable sketch of durations: counts by histogram bucket, and their sum. What rollups store
// and the SQL type `sketch` holds; the same bytes in both hosts.
//
// Bytes, version 1:  'U' 1 | count | sum µs | pairs | (bucket gap, count) …   all numbers LEB128
// The gap of the first pair is its bucket, of the others bucket - previous bucket (>= 1); every
// count >= 1; `count` is the sum of the pairs' counts.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/capture/histogram.h"

namespace upkeep::workflow {

class Sketch {
  public:
    /// Adds one duration in microseconds; negative ones count as 0, beyond 2^57 as 2^57.
    void Add(double microseconds);
    /// Adds the members of another sketch: exact, in any order.
    void Merge(const Sketch& other);
    /// Takes away members that were added before. Errors: kInvalidArgument if they were not.
    Result<void> Subtract(const Sketch& other);

    uint64_t count() const { return count_; }
    double mean_ms() const;
    /// The q-quantile in milliseconds, within 1.6 %; NaN if empty.
    double QuantileMs(double q) const;
    /// Upper bound of the highest bucket, in milliseconds; NaN if empty.
    double MaxMs() const;

    std::string Encode() const;
    /// Errors: kInvalidArgument (another version, damaged or truncated bytes).
    static Result<Sketch> Decode(std::string_view bytes);

    friend bool operator==(const Sketch& a, const Sketch& b) {
        return a.count_ == b.count_ && a.sum_us_ == b.sum_us_ && a.Encode() == b.Encode();
    }

  private:
    void AddCount(uint32_t bucket, uint64_t count);

    std::vector<capture::BucketCount> buckets_;  // ascending, counts > 0
    uint64_t count_ = 0;
    uint64_t sum_us_ = 0;
};

}  // namespace upkeep::workflow
