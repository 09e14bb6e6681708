#include "upkeep/capture/histogram_bytes.h"

#include <gtest/gtest.h>

#include <random>

namespace upkeep::capture {
namespace {

bool Same(const std::vector<BucketCount>& left, const std::vector<BucketCount>& right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](const BucketCount& l, const BucketCount& r) {
                          return l.bucket == r.bucket && l.count == r.count;
                      });
}

TEST(HistogramBytes, ComeBackAsTheyWere) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<BucketCount> buckets;
        for (uint32_t bucket = 0; bucket <= BucketOf(UINT64_MAX); bucket += 1 + random() % 900) {
            buckets.push_back({bucket, random() >> (random() % 63)});
        }
        const auto back = DecodeBuckets(EncodeBuckets(buckets));
        ASSERT_TRUE(back.ok());
        EXPECT_TRUE(Same(back.value(), buckets));
    }
    EXPECT_TRUE(DecodeBuckets(EncodeBuckets({})).value().empty());
}

TEST(HistogramBytes, RefusesWhatItDidNotMake) {
    const std::vector<BucketCount> one = {{BucketOf(UINT64_MAX), UINT64_MAX}};
    const std::string good = EncodeBuckets(one);
    EXPECT_TRUE(DecodeBuckets(good).ok());
    EXPECT_FALSE(DecodeBuckets("").ok());
    EXPECT_FALSE(DecodeBuckets(std::string("\2") + good.substr(1)).ok());
    for (size_t length = 2; length < good.size(); ++length) {
        EXPECT_FALSE(DecodeBuckets(good.substr(0, length)).ok()) << length;
    }
    const std::string beyond("\1\xFF\xFF\xFF\x7F\1", 6);
    EXPECT_FALSE(DecodeBuckets(beyond).ok());
    EXPECT_FALSE(DecodeBuckets(good + good.substr(1)).ok());
}

}  // namespace
}  // namespace upkeep::capture
