// A batch brings to the store what its executions would have brought one by one.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/execution_batch.h"

#include <gtest/gtest.h>

#include <random>

#include "unit/capture/store_block.h"

namespace upkeep::capture {
namespace {

Execution Drawn(std::mt19937_64& random, int number) {
    std::lognormal_distribution<double> lognormal(9, 1);
    return {.duration_ns = static_cast<uint64_t>(lognormal(random)),
            .rows = random() % 5,
            .full_scans = static_cast<uint32_t>(random() % 2),
            .sorts = static_cast<uint32_t>(random() % 3),
            .ended_us = 1'000'000 + number};
}

void ExpectEqual(const StatementSnapshot& got, const StatementSnapshot& expected) {
    EXPECT_EQ(got.totals.calls, expected.totals.calls);
    EXPECT_EQ(got.totals.rows, expected.totals.rows);
    EXPECT_EQ(got.totals.total_ns, expected.totals.total_ns);
    EXPECT_EQ(got.totals.full_scans, expected.totals.full_scans);
    EXPECT_EQ(got.totals.sorts, expected.totals.sorts);
    EXPECT_EQ(got.totals.min_ns, expected.totals.min_ns);
    EXPECT_EQ(got.totals.max_ns, expected.totals.max_ns);
    EXPECT_EQ(got.totals.first_seen_us, expected.totals.first_seen_us);
    EXPECT_EQ(got.totals.last_seen_us, expected.totals.last_seen_us);
    EXPECT_NEAR(got.StddevNs(), expected.StddevNs(), expected.StddevNs() * 1e-9);
    ASSERT_EQ(got.buckets.size(), expected.buckets.size());
    for (size_t i = 0; i < got.buckets.size(); ++i) {
        EXPECT_EQ(got.buckets[i].bucket, expected.buckets[i].bucket);
        EXPECT_EQ(got.buckets[i].count, expected.buckets[i].count);
    }
}

TEST(ExecutionBatchTest, CountsAsOneByOne) {
    StoreBlock single(SmallLimits(16));
    StoreBlock batched(SmallLimits(16));
    StatementCache single_cache;
    StatementCache cache;
    const StatementInfo info{.operation = Operation::kSelect, .tables = "t"};
    ExecutionBatch batch;
    std::mt19937_64 random(5);
    int stores = 0;
    for (int i = 0; i < 20'000; ++i) {
        const Execution execution = Drawn(random, i);
        if (!single->Record(single_cache, KeyOf(1), execution)) {
            single->RecordNew(single_cache, KeyOf(1), info, execution);
        }
        if (!batch.Add(execution)) {
            batched->RecordBatch(cache, KeyOf(1), info, batch);
            batch.Clear();
            ++stores;
            ASSERT_TRUE(batch.Add(execution));
        }
    }
    EXPECT_GT(stores, 1);
    batched->RecordBatch(cache, KeyOf(1), info, batch);
    ExpectEqual(batched->statements().Snapshots().front(),
                single->statements().Snapshots().front());
    const auto counters = batched->counters().Snapshots();
    const auto expected = single->counters().Snapshots();
    ASSERT_EQ(counters.size(), expected.size());
    for (size_t i = 0; i < counters.size(); ++i) {
        EXPECT_EQ(counters[i].table, expected[i].table);
        EXPECT_EQ(counters[i].calls, expected[i].calls);
        EXPECT_EQ(counters[i].total_ns, expected[i].total_ns);
        EXPECT_EQ(counters[i].buckets, expected[i].buckets);
    }
}

TEST(ExecutionBatchTest, RefusesAnotherOctaveInAPlaceThatIsTaken) {
    ExecutionBatch batch;
    EXPECT_TRUE(batch.IsEmpty());
    ASSERT_TRUE(batch.Add({.duration_ns = 1000}));
    ASSERT_TRUE(batch.Add({.duration_ns = 1000}));
    EXPECT_FALSE(batch.Add({.duration_ns = 2000}));
    EXPECT_EQ(batch.totals().calls, 2U);
    EXPECT_EQ(batch.totals().total_ns, 2000U);
    batch.Clear();
    EXPECT_TRUE(batch.IsEmpty());
    EXPECT_TRUE(batch.Add({.duration_ns = 2000}));
}

}  // namespace
}  // namespace upkeep::capture
