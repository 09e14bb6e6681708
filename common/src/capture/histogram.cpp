// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace upkeep::capture {

namespace {

/// Estimate of the order statistic with this rank (0 is the smallest).
double ValueAt(std::span<const BucketCount> buckets, uint64_t rank) {
    uint64_t before = 0;
    for (const BucketCount& entry : buckets) {
        if (rank < before + entry.count) {
            if (entry.bucket < kSteps) {
                return entry.bucket;  // one duration only: exact
            }
            const double low = BucketLow(entry.bucket);
            const double share =
                (static_cast<double>(rank - before) + 0.5) / static_cast<double>(entry.count);
            return low + (BucketHigh(entry.bucket) - low) * share;
        }
        before += entry.count;
    }
    return buckets.empty() ? 0 : BucketLow(buckets.back().bucket);
}

}  // namespace

double Quantile(std::span<const BucketCount> buckets, double q) {
    uint64_t total = 0;
    for (const BucketCount& entry : buckets) {
        total += entry.count;
    }
    if (total == 0 || std::isnan(q)) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    const double position = std::clamp(q, 0.0, 1.0) * static_cast<double>(total - 1);
    const auto lower = static_cast<uint64_t>(position);
    const double low_value = ValueAt(buckets, lower);
    const double fraction = position - static_cast<double>(lower);
    if (fraction <= 0 || lower + 1 >= total) {
        return low_value;
    }
    return low_value + (ValueAt(buckets, lower + 1) - low_value) * fraction;
}

std::vector<BucketCount> MergeBuckets(std::span<const BucketCount> left,
                                      std::span<const BucketCount> right) {
    std::vector<BucketCount> merged;
    merged.reserve(left.size() + right.size());
    size_t l = 0;
    size_t r = 0;
    while (l < left.size() || r < right.size()) {
        if (r == right.size() || (l < left.size() && left[l].bucket < right[r].bucket)) {
            merged.push_back(left[l++]);
        } else if (l == left.size() || right[r].bucket < left[l].bucket) {
            merged.push_back(right[r++]);
        } else {
            merged.push_back({left[l].bucket, left[l].count + right[r].count});
            ++l;
            ++r;
        }
    }
    return merged;
}

}  // namespace upkeep::capture
