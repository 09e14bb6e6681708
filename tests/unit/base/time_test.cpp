// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/time.h"

#include <gtest/gtest.h>

#include <random>

#include "upkeep/base/table_function.h"

namespace upkeep {
namespace {

int64_t Micros(std::string_view text) {
    const auto time = ParseTime(text);
    EXPECT_TRUE(time) << text;
    return time.value_or(Timestamp{-1}).unix_us;
}

TEST(TimeTest, ReadsEveryForm) {
    constexpr int64_t kNoon = 1'777'982'400'000'000;  // date -u -d '2026-05-05 12:00' +%s
    for (const char* text :
         {"2026-05-05 12:00", "2026-05-05T12:00:00", "2026-05-05t12:00:00z", "2026-05-05 12:00:00Z",
          "2026-05-05 12:00:00.000", "2026-05-05 14:00:00+02:00", "2026-05-05T14:00:00+0200",
          "2026-05-05 14:00+02", "2026-05-05 06:30:00-05:30", "2026-05-05 12:00:00 +00:00",
          "2026-05-06 02:00+14:00", "2026-05-05 12:00:00.0000009"}) {
        EXPECT_EQ(Micros(text), kNoon) << text;
    }
    EXPECT_EQ(Micros("2026-05-05 12:00:00.123456"), kNoon + 123'456);
    EXPECT_EQ(Micros("2026-05-05 12:00:00.5"), kNoon + 500'000);
    EXPECT_EQ(Micros("1970-01-01"), 0);
    EXPECT_EQ(Micros("1969-12-31 23:59:59.999999"), -1);
    EXPECT_EQ(Micros("2000-02-29") + kMicrosPerDay, Micros("2000-03-01"));
    EXPECT_EQ(Micros("1900-02-28") + kMicrosPerDay, Micros("1900-03-01"));
}

TEST(TimeTest, RefusesWhatIsNoTime) {
    for (const char* text : {"",
                             "now",
                             "2026",
                             "2026-05",
                             "2026-5-05",
                             "2026-05-05 ",
                             "2026-05-05 1:00",
                             "2026-05-05 12",
                             "2026-05-05 24:00",
                             "2026-05-05 12:60",
                             "2026-05-05 12:00:60",
                             "2026-05-05 12:00:00.",
                             "2026-05-05 12:00Zulu",
                             "2026-05-05 12:00+24",
                             "2026-05-05 12:00+2",
                             "2026-05-05 12:00+02:0",
                             "2026-05-05 12:00+02:60",
                             "2026-00-05",
                             "2026-13-05",
                             "2026-02-29",
                             "2026-04-31",
                             "1900-02-29",
                             "2026-05-00",
                             "2026-05-05_12:00",
                             "-026-05-05"}) {
        EXPECT_FALSE(ParseTime(text)) << text;
    }
}

TEST(TimeTest, WritesWhatItReads) {
    EXPECT_EQ(FormatTime({0}), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(FormatTime({-1}), "1969-12-31T23:59:59.999999Z");
    EXPECT_EQ(FormatTime({1'234'567}), "1970-01-01T00:00:01.234567Z");
    EXPECT_EQ(FormatTime(kTimeForever), "infinity");
    EXPECT_EQ(FormatTime(kTimeBefore), "-infinity");
    EXPECT_EQ(FormatDay({-1}), "1969-12-31");
    std::mt19937_64 random(1);
    for (int round = 0; round < 20000; ++round) {
        const auto span = static_cast<uint64_t>(10'000) * 365 * kMicrosPerDay;
        const Timestamp time{Micros("0001-01-01") +
                             static_cast<int64_t>(random() % (span * 99 / 100))};
        EXPECT_EQ(Micros(FormatTime(time)), time.unix_us);
    }
}

TEST(TimeTest, WordsOfDefaults) {
    const Timestamp now{5'000'000'000};
    EXPECT_EQ(TimeOfWord("now", now).value(), now);
    EXPECT_EQ(TimeOfWord("now - 30 s", now).value().unix_us, now.unix_us - 30'000'000);
    EXPECT_FALSE(TimeOfWord("now - 9223372036854775 s", now).ok()) << "beyond what a time holds";
    EXPECT_FALSE(TimeOfWord("then", now).ok());
    EXPECT_FALSE(TimeOfWord("now - soon", now).ok());
}

}  // namespace
}  // namespace upkeep
