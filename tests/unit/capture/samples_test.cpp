// Values that statements ran with: how their text is made, whose turn it is, what is kept of it.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/samples.h"

#include <gtest/gtest.h>

#include "store_block.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::capture {
namespace {

std::optional<std::string> With(std::string_view sql, std::vector<std::string_view> values) {
    return WithValues(sql, values, {});
}

TEST(WithValuesTest, PutsParametersInAndLeavesCommentsOut) {
    EXPECT_EQ(With("SELECT 'a' /* c */ FROM t -- d\nWHERE x=$2 AND y = $1", {"'1'::int", "NULL"}),
              "SELECT 'a' FROM t WHERE x=NULL AND y = '1'::int");
    EXPECT_EQ(With("SELECT $10", std::vector<std::string_view>(10, "7")), "SELECT 7");
    EXPECT_EQ(With("", {}), "");
}

TEST(WithValuesTest, LeavesQuotesAndNamesAlone) {
    EXPECT_EQ(With("SELECT '$1', \"$1\", a$1, $x$ $1 $x$, E'\\'$1'", {"9"}),
              "SELECT '$1', \"$1\", a$1, $x$ $1 $x$, E'\\'$1'");
}

TEST(WithValuesTest, RefusesAParameterWithoutAValue) {
    EXPECT_EQ(With("SELECT $2", {"1"}), std::nullopt);
    EXPECT_EQ(With("SELECT $0", {"1"}), std::nullopt);
    EXPECT_EQ(With("SELECT $99999999999999999999999", {"1"}), std::nullopt);
}

TEST(SampleClockTest, IsDueOnceInFiveSecondsOfRunning) {
    SampleClock clock;
    int due = 0;
    for (int i = 0; i < 1000; ++i) {
        due += clock.IsDue(10'000'000) ? 1 : 0;  // 10 s in all
    }
    EXPECT_EQ(due, 2);
    EXPECT_TRUE(clock.IsDue(SampleClock::kEveryNs));
    EXPECT_FALSE(clock.IsDue(SampleClock::kEveryNs - 1));
}

TEST(SamplesTest, KeepsTheLatestOfEachRoleAndForgetsAtAReset) {
    StoreBlock store(SmallLimits(10));
    Samples& samples = store->samples();
    samples.Keep(1, 7, 10, "select 1");
    samples.Keep(1, 7, 11, "select 2");
    samples.Keep(1, 7, 10, "select 3");
    EXPECT_EQ(samples.Read(1, 7, 10), "select 3");
    EXPECT_EQ(samples.Read(1, 7, 11), "select 2");
    EXPECT_EQ(samples.Read(2, 7, 10), std::nullopt);
    EXPECT_EQ(store->texts().Read(1, 7, 10), std::nullopt) << "texts are another part";
    store->Reset(2);
    EXPECT_EQ(samples.Read(1, 7, 10), std::nullopt);
}

TEST(SamplesTest, ALongTextReplacesByNothing) {
    StoreBlock store(SmallLimits(10));
    Samples& samples = store->samples();
    const std::string longest(kMostSampleBytes, 'x');
    samples.Keep(1, 7, 10, longest);
    EXPECT_EQ(samples.Read(1, 7, 10), longest);
    samples.Keep(1, 7, 10, longest + "x");
    EXPECT_EQ(samples.Read(1, 7, 10), std::nullopt);
}

TEST(SamplesTest, OldOnesGiveWay) {
    StoreBlock store(SmallLimits(10));  // 64 chunks
    for (int64_t i = 0; i < 1000; ++i) {
        store->samples().Keep(1, i, 10, std::string(500, 'x') + std::to_string(i));
    }
    int kept = 0;
    for (int64_t i = 0; i < 1000; ++i) {
        const auto sample = store->samples().Read(1, i, 10);
        kept += sample.has_value() ? 1 : 0;
        EXPECT_TRUE(!sample || *sample == std::string(500, 'x') + std::to_string(i));
    }
    EXPECT_EQ(kept, 10);
}

}  // namespace
}  // namespace upkeep::capture
