// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <vector>

namespace upkeep::capture {
namespace {

TEST(HistogramTest, BucketsAreContiguousAndNarrow) {
    for (uint32_t bucket = 0; bucket < 3700; ++bucket) {
        const double low = BucketLow(bucket);
        const double high = BucketHigh(bucket);
        ASSERT_GT(high, low);
        if (bucket >= kSteps) {
            ASSERT_LE(high / low, 1.0 + 1.0 / kSteps + 1e-12);
        }
        if (high < 9e18) {
            ASSERT_EQ(BucketOf(static_cast<uint64_t>(low)), bucket);
            ASSERT_EQ(BucketOf(static_cast<uint64_t>(high)), bucket + 1);
        }
    }
    EXPECT_EQ(BucketOf(0), 0U);
    EXPECT_EQ(BucketOf(UINT64_MAX), BucketOf(UINT64_MAX - 1));
}

/// What percentile_cont computes.
double Exact(const std::vector<double>& sorted, double q) {
    const double position = q * static_cast<double>(sorted.size() - 1);
    const auto low = static_cast<size_t>(position);
    const size_t high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (sorted[high] - sorted[low]) * (position - static_cast<double>(low));
}

TEST(HistogramTest, QuantilesAreWithinThreePercentOfExact) {
    std::mt19937_64 random(11);
    std::lognormal_distribution<double> lognormal(12, 2);
    std::exponential_distribution<double> exponential(1e-6);
    std::uniform_real_distribution<double> uniform(1e3, 1e9);
    const auto pareto = [&] { return 1e4 / std::pow(1 - uniform(random) / 1e9, 0.8); };
    for (int shape = 0; shape < 5; ++shape) {
        std::vector<double> values;
        std::map<uint32_t, uint64_t> counts;
        for (int i = 0; i < 200000; ++i) {
            const double drawn = shape == 0   ? lognormal(random)
                                 : shape == 1 ? exponential(random)
                                 : shape == 2 ? uniform(random)
                                 : shape == 3 ? pareto()
                                              : (i % 100 == 0 ? 5e8 : 2e5);
            const double value = std::floor(std::min(drawn, 1e18));
            values.push_back(value);
            ++counts[BucketOf(static_cast<uint64_t>(value))];
        }
        std::sort(values.begin(), values.end());
        std::vector<BucketCount> buckets;
        for (const auto& [bucket, count] : counts) {
            buckets.push_back({bucket, count});
        }
        for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
            const double exact = Exact(values, q);
            EXPECT_NEAR(Quantile(buckets, q), exact, std::max(exact * 0.03, 1.0))
                << "shape " << shape << " q " << q;
        }
    }
}

TEST(HistogramTest, FewMembersAndBadArguments) {
    EXPECT_TRUE(std::isnan(Quantile({}, 0.5)));
    const std::vector<BucketCount> one = {{7, 1}};
    EXPECT_EQ(Quantile(one, 0.5), 7);
    EXPECT_EQ(Quantile(one, -1), 7);
    EXPECT_EQ(Quantile(one, 2), 7);
    EXPECT_TRUE(std::isnan(Quantile(one, std::nan(""))));
    const std::vector<BucketCount> two = {{10, 1}, {20, 1}};
    EXPECT_EQ(Quantile(two, 0.5), 15);
}

}  // namespace
}  // namespace upkeep::capture
