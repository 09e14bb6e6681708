// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/sketch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace upkeep::workflow {
namespace {

TEST(SketchTest, MergesExactlyAndSubtractsBack) {
    std::mt19937_64 random(3);
    std::lognormal_distribution<double> durations(8, 3);
    Sketch all;
    Sketch left;
    Sketch right;
    for (int i = 0; i < 20000; ++i) {
        const double value = durations(random);
        all.Add(value);
        (i % 3 == 0 ? left : right).Add(value);
    }
    Sketch merged = left;
    merged.Merge(right);
    EXPECT_EQ(merged, all);
    ASSERT_TRUE(merged.Subtract(right).ok());
    EXPECT_EQ(merged, left);
    EXPECT_FALSE(merged.Subtract(all).ok());
    EXPECT_EQ(merged, left);
}

TEST(SketchTest, BytesRoundTripAndDamageIsRefused) {
    Sketch sketch;
    for (const double value : {0.0, 0.4, 1.0, 1000.0, 1e6, 1e12, 1e17, 1e30, -5.0}) {
        sketch.Add(value);
    }
    const std::string bytes = sketch.Encode();
    const Result<Sketch> back = Sketch::Decode(bytes);
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back.value(), sketch);
    EXPECT_EQ(back.value().count(), 9U);
    for (size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(Sketch::Decode(bytes.substr(0, length)).ok()) << length;
    }
    EXPECT_FALSE(Sketch::Decode(bytes + "x").ok());
    std::string newer = bytes;
    newer[1] = 2;
    EXPECT_NE(Sketch::Decode(newer).error().message().find("version 2"), std::string::npos);
    std::mt19937 random(5);
    for (int round = 0; round < 50000; ++round) {
        std::string damaged = bytes;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        const Result<Sketch> read = Sketch::Decode(damaged);
        if (read.ok()) {
            EXPECT_EQ(read.value().Encode(), damaged);
        }
    }
}

TEST(SketchTest, WhatWasAddedCanBeTakenAway) {
    std::mt19937_64 random(9);
    std::lognormal_distribution<double> durations(8, 3);
    Sketch kept;
    Sketch moving;
    std::vector<double> gone;
    for (int i = 0; i < 5000; ++i) {
        const double value = std::round(durations(random));
        moving.Add(value);
        if (i % 2 == 0) {
            kept.Add(value);
        } else {
            gone.push_back(value);
        }
    }
    for (const double value : gone) {
        moving.Remove(value);
    }
    EXPECT_EQ(moving, kept);
    const std::string before = moving.Encode();
    moving.Remove(1e15);  // never added
    EXPECT_EQ(moving.count(), kept.count());
    moving = kept;
    moving.Merge(moving);
    EXPECT_EQ(moving.count(), 2 * kept.count());
    EXPECT_EQ(kept.Encode(), before);
}

TEST(SketchTest, PlainPartsEqualTheSketch) {
    std::vector<capture::BucketCount> memory(5000);
    SketchParts parts{0, 0, memory.data(), 0, 5000};
    Sketch sketch;
    for (int i = 0; i < 2000; ++i) {
        AddTo(&parts, i * 37.0);
        sketch.Add(i * 37.0);
    }
    EXPECT_EQ(Sketch::Encode(parts), sketch.Encode());
    ASSERT_TRUE(MergeInto(&parts, sketch.parts()));
    UnmergeFrom(&parts, sketch.parts());
    EXPECT_EQ(Sketch::Encode(parts), sketch.Encode());
}

TEST(SketchTest, ThroughMillisecondsAndBackIsTheSameBucket) {
    std::mt19937_64 random(4);
    for (int i = 0; i < 200000; ++i) {
        const auto microseconds =
            static_cast<double>(random() % (uint64_t{1} << (1 + random() % 45)));
        Sketch direct;
        Sketch through;
        direct.Add(microseconds);
        through.Add(MicrosOfValue(microseconds / 1e6 * 1e3).value());  // seconds, then milliseconds
        ASSERT_EQ(direct, through) << microseconds;
    }
}

TEST(SketchTest, NumbersThatAreNotHeld) {
    for (const double value : {-1.0, -1e-9, 1.5e14, 1e300, static_cast<double>(INFINITY),
                               -static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
        EXPECT_FALSE(MicrosOfValue(value).ok()) << value;
    }
    EXPECT_EQ(MicrosOfValue(0.25).value(), 250);
    EXPECT_EQ(MicrosOfValue(-0.0).value(), 0);
    EXPECT_TRUE(MicrosOfValue(144115188075855).ok());
}

TEST(SketchTest, ExtremesStayInRange) {
    Sketch sketch;
    EXPECT_TRUE(std::isnan(sketch.QuantileMs(0.5)));
    EXPECT_TRUE(std::isnan(sketch.MaxMs()));
    sketch.Add(0);
    EXPECT_EQ(sketch.QuantileMs(0.5), 0);
    Sketch years;
    years.Add(3.15e13 * 4);  // four years in microseconds
    EXPECT_NEAR(years.QuantileMs(1) / (3.15e10 * 4), 1, 0.016);
    EXPECT_GE(years.MaxMs(), 3.15e10 * 4);
    EXPECT_LE(years.MaxMs(), 3.15e10 * 4 * 1.03);
    Sketch huge;
    huge.Add(1e17);
    EXPECT_NEAR(huge.QuantileMs(0.5) / 1e14, 1, 0.016);
}

}  // namespace
}  // namespace upkeep::workflow
