// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "unit/capture/store_block.h"
#include "upkeep/base/error.h"

namespace upkeep::capture {
namespace {

TEST(StoreTest, CountsWhatWasRun) {
    StoreBlock store(SmallLimits(10));
    StatementCache cache;
    EXPECT_FALSE(store->Record(cache, KeyOf(1), ExecutionOf(1)));
    for (int i = 0; i < 5; ++i) {
        RunOnce(*store, cache, 1);
    }
    Execution failed = ExecutionOf(1);
    failed.is_error = true;
    EXPECT_TRUE(store->Record(cache, KeyOf(1), failed));
    RunOnce(*store, cache, 2);
    const std::vector<StatementSnapshot> all = store->statements().Snapshots();
    ASSERT_EQ(all.size(), 2U);
    const StatementSnapshot& one = all[0].key.fingerprint == 1 ? all[0] : all[1];
    EXPECT_TRUE(IsOwn(one));
    EXPECT_EQ(one.totals.calls, 5U);
    EXPECT_EQ(one.totals.errors, 1U);
    EXPECT_EQ(one.totals.last_seen_us, 1000);
    EXPECT_EQ(store->texts().Read(5, 1), "select 1");
    EXPECT_EQ(store->texts().Read(6, 1), std::nullopt);
}

TEST(StoreTest, EachPartOfTheKeyMakesARowOfItsOwn) {
    StoreBlock store(SmallLimits(10));
    StatementCache cache;
    std::vector<StatementKey> keys(6, KeyOf(1));
    keys[1].database = 6;
    keys[2].user = 11;
    keys[3].endpoint = 2;
    keys[4].top_level = 0;
    keys[5].fingerprint = -1;
    for (const StatementKey& key : keys) {
        store->RecordNew(cache, key, {}, ExecutionOf(1));
    }
    EXPECT_EQ(store->statements().Snapshots().size(), keys.size());
}

TEST(StoreTest, DeviationIsExactFarFromZero) {
    StoreBlock store(SmallLimits(10));
    StatementCache cache;
    std::mt19937_64 random(1);
    double sum = 0;
    std::vector<double> values;
    for (int i = 0; i < 10000; ++i) {
        Execution execution;
        execution.duration_ns = 60'000'000'000 + random() % 1000;  // a minute, +- a microsecond
        values.push_back(static_cast<double>(execution.duration_ns));
        sum += values.back() - 6e10;
        if (!store->Record(cache, KeyOf(1), execution)) {
            store->RecordNew(cache, KeyOf(1), {}, execution);
        }
    }
    double squares = 0;
    for (const double value : values) {
        squares += std::pow(value - 6e10 - sum / 10000, 2);
    }
    const double exact = std::sqrt(squares / 10000);
    std::vector<StatementSnapshot> all = store->statements().Snapshots();
    EXPECT_NEAR(all[0].StddevNs(), exact, exact * 1e-3);
    StatementSnapshot merged = all[0];
    merged.Merge(all[0]);
    EXPECT_NEAR(merged.StddevNs(), exact, exact * 1e-3);
    EXPECT_EQ(merged.totals.calls, 20000U);
}

TEST(StoreTest, EvictsColdStatementsAndNeverTheCounters) {
    StoreBlock store(SmallLimits(20));
    StatementCache cache;
    for (int64_t i = 0; i < 1000; ++i) {
        RunOnce(*store, cache, i);
        RunOnce(*store, cache, 100000);  // hot and long
    }
    const std::vector<StatementSnapshot> all = store->statements().Snapshots();
    EXPECT_LE(all.size(), 20U);
    EXPECT_GE(all.size(), 15U);
    const auto hot = std::find_if(all.begin(), all.end(), [](const StatementSnapshot& statement) {
        return statement.key.fingerprint == 100000;
    });
    ASSERT_NE(hot, all.end());
    EXPECT_EQ(hot->totals.calls, 1000U);
    EXPECT_TRUE(std::all_of(all.begin(), all.end(), IsOwn));
    EXPECT_GE(store->Status().evictions, 980U);
    EXPECT_EQ(store->Status().missed, 0U);
    uint64_t counted = 0;
    for (const CounterSnapshot& counter : store->counters().Snapshots()) {
        counted += counter.calls;
    }
    EXPECT_EQ(counted, 2000U);
}

TEST(StoreTest, ManyTablesShareTheCounterOther) {
    StoreBlock store(SmallLimits(20));
    StatementCache cache;
    for (int64_t i = 0; i < 100; ++i) {
        const std::string table = "table_" + std::to_string(i);
        store->RecordNew(cache, KeyOf(i), {.operation = Operation::kUpdate, .tables = table},
                         ExecutionOf(i));
    }
    uint64_t counted = 0;
    std::set<std::string> tables;
    for (const CounterSnapshot& counter : store->counters().Snapshots()) {
        counted += counter.calls;
        tables.insert(counter.table);
        EXPECT_EQ(counter.operation, Operation::kUpdate);
    }
    EXPECT_EQ(counted, 100U);
    EXPECT_EQ(tables.count("other"), 1U);
    EXPECT_LE(tables.size(), 9U);
}

TEST(StoreTest, KeepsTheHeavyHittersOfAZipfWorkload) {
    constexpr int kShapes = 20000;
    constexpr int kRuns = 400000;
    StoreLimits limits = SmallLimits(5000);
    limits.text_bytes = 4 << 20;
    StoreBlock store(limits);
    StatementCache cache;
    std::vector<double> weights(kShapes);
    for (int i = 0; i < kShapes; ++i) {
        weights[i] = 1.0 / (i + 1);
    }
    std::discrete_distribution<int> zipf(weights.begin(), weights.end());
    std::mt19937_64 random(7);
    std::map<int64_t, uint64_t> exact;
    std::vector<uint64_t> cost(kShapes);
    for (uint64_t& ns : cost) {
        ns = 10'000 + random() % 100'000'000;  // up to 0.1 s; has nothing to do with the rank
    }
    for (int run = 0; run < kRuns; ++run) {
        const int shape = zipf(random);
        const Execution execution{.duration_ns = cost[shape], .ended_us = 1};
        if (!store->Record(cache, KeyOf(shape), execution)) {
            store->RecordNew(cache, KeyOf(shape), {}, execution);
        }
        exact[shape] += cost[shape];
    }
    std::map<int64_t, uint64_t> kept;
    for (const StatementSnapshot& statement : store->statements().Snapshots()) {
        const int64_t shape = statement.key.fingerprint;
        ASSERT_EQ(statement.totals.total_ns, statement.totals.calls * cost[shape]);
        kept[shape] = statement.totals.total_ns;
    }
    std::vector<std::pair<uint64_t, int64_t>> top;
    for (const auto& [number, total] : exact) {
        top.emplace_back(total, number);
    }
    std::sort(top.rbegin(), top.rend());
    int found = 0;
    for (int i = 0; i < 100; ++i) {
        found += kept.count(top[i].second) != 0 && kept[top[i].second] >= top[i].first * 9 / 10;
    }
    EXPECT_GE(found, 95);
    EXPECT_EQ(store->Status().missed, 0U);
}

TEST(StoreTest, ResetForgetsAllAndCountingGoesOn) {
    StoreBlock store(SmallLimits(20));
    StatementCache cache;
    for (int64_t i = 0; i < 10; ++i) {
        RunOnce(*store, cache, i);
    }
    SlowStatement slow;
    slow.fields.ended_us = 5;
    store->slow().Add(slow);
    store->Reset(77);
    EXPECT_TRUE(store->statements().Snapshots().empty());
    EXPECT_TRUE(store->slow().Read().empty());
    EXPECT_TRUE(store->counters().Snapshots().empty());
    EXPECT_EQ(store->texts().Read(5, 1), std::nullopt);
    EXPECT_EQ(store->Status().reset_us, 77);
    EXPECT_EQ(store->Status().text_bytes_used, 0U);
    EXPECT_FALSE(store->Record(cache, KeyOf(1), ExecutionOf(1))) << "the cache must notice";
    for (int64_t i = 0; i < 20; ++i) {
        RunOnce(*store, cache, i);
    }
    EXPECT_EQ(store->statements().Snapshots().size(), 20U);
    EXPECT_EQ(store->Status().evictions, 0U) << "every record came back";
}

TEST(StoreTest, ResetEndsAStatementThatIsPinnedAsSoonAsItIsLetGo) {
    StoreBlock store(SmallLimits(20));
    StatementCache cache;
    RunOnce(*store, cache, 1);
    const SlotRef pinned = store->statements().FindStatement(cache, KeyOf(1));
    ASSERT_TRUE(pinned);
    store->Reset(2);
    store->statements().Add(pinned, ExecutionOf(1));
    EXPECT_TRUE(store->statements().Snapshots().empty());
    store->statements().Unpin(pinned);
    EXPECT_FALSE(store->Record(cache, KeyOf(1), ExecutionOf(1)));
    for (int64_t i = 0; i < 20; ++i) {
        RunOnce(*store, cache, i);
    }
    EXPECT_EQ(store->statements().Snapshots().size(), 20U);
}

TEST(StoreTest, RunsOnWhenTheHistogramPoolIsEmpty) {
    StoreBlock store(SmallLimits(4));  // 24 pages
    StatementCache cache;
    for (int64_t number = 0; number < 4; ++number) {
        for (int octave = 0; octave < 40; ++octave) {
            Execution execution;
            execution.duration_ns = uint64_t{1} << octave;
            if (!store->Record(cache, KeyOf(number), execution)) {
                store->RecordNew(cache, KeyOf(number), {}, execution);
            }
        }
    }
    uint64_t calls = 0;
    uint64_t counted = 0;
    for (const StatementSnapshot& statement : store->statements().Snapshots()) {
        calls += statement.totals.calls;
        for (const BucketCount& entry : statement.buckets) {
            counted += entry.count;
        }
    }
    EXPECT_GT(calls, 0U);
    EXPECT_EQ(counted + store->Status().pages_missed >= calls, true);
    EXPECT_GT(store->Status().evictions + store->Status().pages_missed, 0U);
}

TEST(TextTableTest, KeepsTextsWholeUpTo64KilobytesAndMarksTheCut) {
    StoreLimits limits = SmallLimits(10);
    limits.text_bytes = 1 << 20;
    StoreBlock store(limits);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{252}, size_t{253}, size_t{65536}}) {
        const std::string text(size, 'x');
        EXPECT_TRUE(store->texts().Keep(1, static_cast<int64_t>(size), text));
        EXPECT_EQ(store->texts().Read(1, static_cast<int64_t>(size)), text);
    }
    EXPECT_TRUE(store->texts().Keep(1, 99, std::string(100000, 'y')));
    const std::string cut = *store->texts().Read(1, 99);
    EXPECT_EQ(cut, std::string(65536, 'y') + " /* cut */");
}

TEST(TextTableTest, DropsColdTextsFirstAndCountsWhatDoesNotFit) {
    StoreBlock store(SmallLimits(500));  // 256 chunks
    const std::string text(1000, 'z');   // 4 chunks
    for (int64_t i = 0; i < 300; ++i) {
        EXPECT_TRUE(store->texts().Keep(1, i, text + std::to_string(i)));
        for (int again = 0; again < 20; ++again) {
            store->texts().Touch(1, 0);
        }
    }
    EXPECT_EQ(store->texts().Read(1, 0), text + "0") << "the one in use stays";
    EXPECT_LE(store->texts().BytesUsed(), 64U * 1024);
    int kept = 0;
    for (int64_t i = 0; i < 300; ++i) {
        const std::optional<std::string> read = store->texts().Read(1, i);
        EXPECT_TRUE(!read || *read == text + std::to_string(i));
        kept += read ? 1 : 0;
    }
    EXPECT_GT(kept, 30);
    EXPECT_FALSE(store->texts().Keep(1, 1000, std::string(65000, 'w')));
    EXPECT_EQ(store->texts().NotKept(), 1U);
}

TEST(TextTableTest, CacheNoticesThatATextIsGone) {
    StoreBlock store(SmallLimits(10));
    TextCache cache;
    EXPECT_FALSE(store->texts().Knows(cache, 1, 2));
    store->texts().Keep(1, 2, "select 2");
    for (int i = 0; i < 200; ++i) {
        EXPECT_TRUE(store->texts().Knows(cache, 1, 2));
    }
    EXPECT_FALSE(store->texts().Knows(cache, 2, 2));
    store->Reset(3);
    EXPECT_FALSE(store->texts().Knows(cache, 1, 2));
}

TEST(EndpointNamesTest, GivesEachNameOneIdAndTheRestOther) {
    StoreBlock store(SmallLimits(10));
    EndpointNames& names = store->endpoints();
    EXPECT_EQ(names.IdOf(""), EndpointNames::kNone);
    const uint32_t id = names.IdOf("GET /pr/:id");
    EXPECT_EQ(names.IdOf("GET /pr/:id"), id);
    EXPECT_EQ(names.NameOf(id), "GET /pr/:id");
    std::set<uint32_t> ids;
    for (int i = 0; i < 100000; ++i) {
        ids.insert(names.IdOf("route " + std::to_string(i)));
    }
    EXPECT_EQ(ids.size(), 8U) << "seven more and other";
    EXPECT_EQ(names.NameOf(EndpointNames::kOther), "other");
    EXPECT_EQ(names.NameOf(EndpointNames::kNone), "");
    EXPECT_EQ(names.NameOf(12345), "other");
    EXPECT_EQ(names.IdOf("GET /pr/:id"), id);
    EXPECT_EQ(names.Refused(), 100000U - 7);
}

TEST(SlowRingTest, KeepsTheLastOnesNewestFirstAndWholePlansOnly) {
    StoreBlock store(SmallLimits(10));
    for (int i = 1; i <= 40; ++i) {
        SlowStatement slow;
        slow.fields.ended_us = i;
        slow.fields.rows = static_cast<uint64_t>(i);
        slow.query = std::string(2000, 'q');
        slow.application_name = "app";
        slow.plan = i == 40 ? "{\"x\": \"" + std::string(9000, 'p') + "\"}" : "{\"Plan\": {}}";
        store->slow().Add(slow);
    }
    const std::vector<SlowStatement> all = store->slow().Read();
    ASSERT_EQ(all.size(), 16U);
    for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i].fields.ended_us, 40 - static_cast<int64_t>(i));
        EXPECT_EQ(all[i].fields.rows, 40 - i);
        EXPECT_EQ(all[i].query, std::string(1024, 'q'));
        EXPECT_EQ(all[i].application_name, "app");
    }
    EXPECT_EQ(all[0].plan, "{\"not_kept\": \"the plan has 9009 bytes\"}");
    EXPECT_EQ(all[1].plan, "{\"Plan\": {}}");
}

TEST(StoreTest, AViewOfTheBlockElsewhereSeesTheSame) {
    const StoreLimits limits = SmallLimits(10);
    StoreBlock store(limits);
    StatementCache cache;
    RunOnce(*store, cache, 3);
    std::vector<uint64_t> moved(Store::BytesNeeded(limits) / 8);
    std::memcpy(moved.data(), store.memory(), moved.size() * 8);
    Store view(moved.data());
    const std::vector<StatementSnapshot> all = view.statements().Snapshots();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(IsOwn(all[0]));
    EXPECT_EQ(view.texts().Read(5, 3), "select 3");
    moved[0] = 0;
    EXPECT_THROW(Store{moved.data()}, upkeep::Error);
}

TEST(StoreTest, RestoreAddsUp) {
    StoreBlock store(SmallLimits(10));
    StatementCache cache;
    RunOnce(*store, cache, 3);
    const std::vector<StatementSnapshot> saved = store->statements().Snapshots();
    StoreBlock later(SmallLimits(10));
    later->Restore(saved[0], "select 3");
    later->Restore(saved[0], "select 3");
    const std::vector<StatementSnapshot> all = later->statements().Snapshots();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_TRUE(IsOwn(all[0]));
    EXPECT_EQ(all[0].totals.calls, 2U);
    EXPECT_EQ(later->texts().Read(5, 3, 10), "select 3");
    EXPECT_EQ(later->texts().Read(5, 3), std::nullopt) << "another user's";
}

}  // namespace
}  // namespace upkeep::capture
