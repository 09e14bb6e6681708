// A mergeable sketch of durations: counts by histogram bucket, and their sum. What rollups store
// and the SQL type `sketch` holds; the same bytes in both hosts.
//
// Bytes, version 1:  'U' 1 | count | sum µs | pairs | (bucket gap, count) …   all numbers LEB128
// The gap of the first pair is its bucket, of the others bucket - previous bucket (>= 1); every
// count >= 1; `count` is the sum of the pairs' counts.
//
// Two forms: Sketch owns its memory; SketchParts is plain data in memory of the host, for
// PostgreSQL, whose aggregates keep their state in a memory context. SPDX-License-Identifier:
// PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/capture/histogram.h"

namespace upkeep::workflow {

/// The microseconds of a value as the SQL aggregate takes it: milliseconds, or any other unit that
/// comes back from sketch_quantile as it went in. Rounded to a nanosecond (a millionth of the
/// unit). Errors: kInvalidArgument (negative, NaN, above 2^57 microseconds).
Result<double> MicrosOfValue(double milliseconds);

/// A sketch as plain data. `room` entries are allocated; whoever adds to it makes room first.
struct SketchParts {
    uint64_t count;
    uint64_t sum_us;
    capture::BucketCount* buckets;  // ascending
    uint32_t used;
    uint32_t room;
};

/// Adds a duration. Needs room for one more entry.
void AddTo(SketchParts* parts, double microseconds) noexcept;
/// Takes away a duration that was added before.
void TakeFrom(SketchParts* parts, double microseconds) noexcept;
/// Adds `other`. Needs room for all of its entries. false: more members than a bigint counts;
/// `parts` is unchanged.
bool MergeInto(SketchParts* parts, const SketchParts& other) noexcept;
/// Takes away the members of a sketch that was added before.
void UnmergeFrom(SketchParts* parts, const SketchParts& other) noexcept;

class Sketch {
  public:
    /// Adds one duration in microseconds; negative ones count as 0, beyond 2^57 as 2^57.
    void Add(double microseconds);
    /// Takes away one duration that was added before.
    void Remove(double microseconds);
    /// Adds the members of another sketch: exact, in any order. Throws Error (kInvalidArgument)
    /// when there are more than a bigint counts.
    void Merge(const Sketch& other);
    /// Takes away members that were added before. Errors: kInvalidArgument if they were not.
    Result<void> Subtract(const Sketch& other);

    uint64_t count() const { return count_; }
    double mean_ms() const;
    /// The q-quantile in milliseconds, within 1.6 %; NaN if empty.
    double QuantileMs(double q) const;
    /// Upper bound of the highest bucket, in milliseconds; NaN if empty.
    double MaxMs() const;

    /// Its numbers, borrowed: valid while the sketch lives unchanged.
    SketchParts parts() const;
    static std::string Encode(const SketchParts& parts);
    std::string Encode() const { return Encode(parts()); }
    /// Errors: kInvalidArgument (another version, damaged or truncated bytes).
    static Result<Sketch> Decode(std::string_view bytes);

    friend bool operator==(const Sketch& a, const Sketch& b) {
        return a.count_ == b.count_ && a.sum_us_ == b.sum_us_ && a.Encode() == b.Encode();
    }

  private:
    /// As parts(), with room for `more` entries beyond those in use; Take() takes them back.
    SketchParts Lend(size_t more);
    void Take(const SketchParts& parts);

    std::vector<capture::BucketCount> buckets_;  // ascending, counts > 0
    uint64_t count_ = 0;
    uint64_t sum_us_ = 0;
};

}  // namespace upkeep::workflow
