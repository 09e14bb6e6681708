// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/pool_report.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "upkeep/health/pool_evidence.h"

namespace upkeep::sessions {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000;

PoolRecord Pool(const char* name, int64_t reported_us, uint32_t user = 1) {
    PoolRecord pool;
    SetName(&pool.pool, name);
    pool.user = user;
    pool.size = 5;
    pool.reported_us = reported_us;
    return pool;
}

Result<PoolRecord> Read(std::vector<Value> values) {
    values.resize(7, Value());
    return ReadPoolReport(Arguments(*FindCall("report_pool"), std::move(values)));
}

std::vector<Value> Good() {
    return {std::string("web"), int64_t{5}, int64_t{7}, int64_t{2}, int64_t{3}, int64_t{11}, 1.5};
}

TEST(ReadPoolReportTest, TakesWhatIsConsistent) {
    const PoolRecord pool = Read(Good()).value();
    EXPECT_STREQ(pool.pool.data(), "web");
    EXPECT_EQ(pool.idle(), 0);
    EXPECT_EQ(pool.timeouts, 11);
    EXPECT_EQ(pool.wait_ms, 1.5);
    std::vector<Value> values = Good();
    values[2] = int64_t{3};  // two of the three in use are beyond size: they were there first
    EXPECT_EQ(Read(values).value().idle(), 4);
}

TEST(ReadPoolReportTest, RefusesEachBadArgumentWithAHint) {
    struct Case {
        size_t place;
        Value value;
        const char* text;
    };
    const std::vector<Case> cases = {
        {0, std::string(), "pool must be a name of 1 to 63 bytes"},
        {0, std::string(64, 'x'), "pool must be a name of 1 to 63 bytes"},
        {1, int64_t{0}, "size must be between 1 and 1000000"},
        {1, int64_t{-1}, "size must be between 1 and 1000000"},
        {1, int64_t{1'000'001}, "size must be between 1 and 1000000"},
        {1, int64_t{4}, "checked_out must not exceed size plus overflow"},
        {2, int64_t{-1}, "checked_out must be between 0 and 1000000"},
        {3, int64_t{-2}, "overflow must be between 0 and 1000000"},
        {3, int64_t{8}, "overflow must not exceed checked_out"},
        {4, int64_t{-1}, "waiting must be between 0 and 1000000"},
        {5, int64_t{-1}, "timeouts must not be negative"},
        {6, -0.5, "wait_ms must be a number of 0 or more"},
        {6, std::numeric_limits<double>::quiet_NaN(), "wait_ms must be a number of 0 or more"},
        {6, std::numeric_limits<double>::infinity(), "wait_ms must be a number of 0 or more"},
    };
    for (const Case& one : cases) {
        std::vector<Value> values = Good();
        values[one.place] = one.value;
        const Result<PoolRecord> read = Read(values);
        ASSERT_FALSE(read.ok()) << one.text;
        EXPECT_EQ(read.error().message(), one.text);
        EXPECT_NE(read.error().hint(), "");
    }
    EXPECT_EQ(Read([] {
                  std::vector<Value> values = Good();
                  values[0] = std::string(63, 'x');
                  return values;
              }())
                  .ok(),
              true);
    for (size_t i = 0; i < 7; ++i) {
        std::vector<Value> values = Good();
        values[i] = Value();
        EXPECT_THROW(static_cast<void>(Read(values)), Error) << i;  // NULL, by its name
    }
}

TEST(SetNameTest, CutsAtTheEndOfACharacter) {
    PoolRecord pool;
    std::string name(62, 'x');
    SetName(&pool.pool, name + "é");
    EXPECT_EQ(std::string(pool.pool.data()), name);
    SetName(&pool.pool, std::string(61, 'x') + "é");
    EXPECT_EQ(std::string(pool.pool.data()), std::string(61, 'x') + "é");
    SetName(&pool.pool, "b");
    EXPECT_EQ(pool.pool[1], '\0');
    EXPECT_EQ(pool.pool[5], '\0');
}

/// Names in the book, oldest report first.
std::string Names(std::vector<PoolRecord> places) {
    std::sort(places.begin(), places.end(), [](const PoolRecord& a, const PoolRecord& b) {
        return a.reported_us < b.reported_us;
    });
    std::string names;
    for (const PoolRecord& place : places) {
        names += place.reported_us == 0 ? "." : place.pool.data();
    }
    return names;
}

TEST(PoolBookTest, NewestReportOfAPoolCounts) {
    std::vector<PoolRecord> places(4);
    PoolBook book(places);
    book.Put(Pool("a", 1));
    book.Put(Pool("b", 2));
    book.Put(Pool("a", 3));
    EXPECT_EQ(Names(places), "..ba");
    PoolRecord other = Pool("a", 4);
    other.database = 9;
    book.Put(other);
    SetName(&other.application_name, "app");
    other.reported_us = 5;
    book.Put(other);
    EXPECT_EQ(Names(places), "baaa");  // another database, another application: others
}

TEST(PoolBookTest, TheLongestSilentGivesWay) {
    std::vector<PoolRecord> places(8);
    PoolBook book(places);
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
        book.Put(Pool(name, name[0], static_cast<uint32_t>(name[0])));
    }
    book.Put(Pool("x", 200, 99));
    EXPECT_EQ(Names(places), "bcdefghx");
    book.Put(Pool("b", 201, 'b'));
    EXPECT_EQ(Names(places), "cdefghxb");
}

TEST(PoolBookTest, NobodyDrivesTheOthersOut) {
    std::vector<PoolRecord> places(8);
    PoolBook book(places);
    for (const char* name : {"a", "b", "c", "d", "e", "f"}) {
        book.Put(Pool(name, name[0], static_cast<uint32_t>(name[0])));
    }
    for (int64_t i = 0; i < 100; ++i) {
        book.Put(Pool(("g" + std::to_string(i)).c_str(), 1000 + i, 7));
    }
    EXPECT_EQ(Names(places), "abcdefg98g99");
}

TEST(PoolBookTest, NoPlaces) {
    PoolBook({}).Put(Pool("a", 1));
}

struct Collect : RowSink {
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

TEST(PoolRowsTest, SortedAndWithoutForgottenOnes) {
    PoolRecord used = Pool("b", kNow - kPoolStaleUs);
    used.checked_out = 7;
    used.overflow = 3;
    Collect sink;
    PoolRows({used, Pool("gone", kNow - kPoolForgottenUs - 1), Pool("a", kNow), PoolRecord()}, kNow,
             sink);
    ASSERT_EQ(sink.rows.size(), 2U);
    EXPECT_EQ(std::get<std::string>(sink.rows[0][0]), "a");
    ASSERT_EQ(sink.rows[1].size(), FindCall("pools")->columns.size());
    EXPECT_EQ(sink.rows[1][3], Value(int64_t{1}));  // idle: 5 - (7 - 3)
    EXPECT_EQ(sink.rows[1][4], Value(int64_t{7}));
    EXPECT_EQ(sink.rows[1][5], Value(int64_t{3}));
}

TEST(ObservePoolsTest, WordsOfTheChecks) {
    const auto words = [](std::vector<PoolRecord> pools, std::optional<int64_t> room) {
        std::string all;
        for (const health::Observation& seen : health::ObservePools(pools, room, kNow)) {
            all += seen.code + "=" + seen.word + " ";
        }
        return all;
    };
    EXPECT_EQ(words({}, 10), "");
    EXPECT_EQ(words({Pool("a", kNow - kPoolForgottenUs - 1)}, 10), "");
    EXPECT_EQ(words({Pool("a", kNow - kPoolStaleUs - 1)}, 10), "pool_metrics=silent ");
    EXPECT_EQ(words({Pool("a", kNow), Pool("b", kNow)}, 10),
              "pool_metrics=reported pool_size=fits ");
    EXPECT_EQ(words({Pool("a", kNow), Pool("b", kNow)}, 9),
              "pool_metrics=reported pool_size=exceeds ");
    EXPECT_EQ(words({Pool("a", kNow), Pool("b", kNow)}, std::nullopt),
              "pool_metrics=reported pool_size=fits ");
    PoolRecord full = Pool("c", kNow);
    full.waiting = 1;
    EXPECT_EQ(words({full}, 10), "pool_metrics=reported pool_size=exhausted ");
}

}  // namespace
}  // namespace upkeep::sessions
