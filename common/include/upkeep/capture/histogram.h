// Log-linear histogram of durations: which bucket a duration falls into, and quantiles back.
//
//   ns   0 1 2 … 63 | 64 … 127 | 128,130 … 254 | 256,260 … 508 | …
//        one each   |  64 a step of 1 |  64 of 2 |  64 of 4     |      64 steps every octave
//
// A bucket is at most 1/64 (1.6 %) wide, so a quantile is off by less than that; buckets of equal
// number are the same everywhere, so histograms merge by adding counts and subtract exactly.
// Not for: holding counts. Statements keep dense arrays of them, workflows a sparse Sketch.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <vector>

namespace upkeep::capture {

inline constexpr int kStepBits = 6;
inline constexpr uint32_t kSteps = 1U << kStepBits;

/// Bucket of a duration in nanoseconds; 0 is the zero bucket. Monotone, total over uint64.
constexpr uint32_t BucketOf(uint64_t ns) {
    if (ns < kSteps) {
        return static_cast<uint32_t>(ns);
    }
    const auto octave = static_cast<int>(std::bit_width(ns)) - 1;  // >= kStepBits
    const int shift = octave - kStepBits;
    return static_cast<uint32_t>(shift + 1) * kSteps + static_cast<uint32_t>(ns >> shift) - kSteps;
}

/// Lowest duration of a bucket, in nanoseconds.
constexpr double BucketLow(uint32_t bucket) {
    if (bucket < kSteps) {
        return bucket;
    }
    const uint32_t octave = bucket / kSteps - 1;
    double low = bucket % kSteps + kSteps;
    for (uint32_t i = 0; i < octave; ++i) {
        low *= 2;
    }
    return low;
}

/// The first duration above the bucket, in nanoseconds.
constexpr double BucketHigh(uint32_t bucket) {
    return BucketLow(bucket + 1);
}

/// One bucket that is not empty.
struct BucketCount {
    uint32_t bucket = 0;
    uint64_t count = 0;
};

/// The q-quantile in nanoseconds, interpolated as percentile_cont does between the order statistics
/// at rank q (n - 1), a bucket's members taken as evenly spread over it. `buckets` ascending. NaN
/// if there is no member. q outside 0..1 is clamped.
double Quantile(std::span<const BucketCount> buckets, double q);

/// Both added up; both and the result ascending.
std::vector<BucketCount> MergeBuckets(std::span<const BucketCount> left,
                                      std::span<const BucketCount> right);

}  // namespace upkeep::capture
