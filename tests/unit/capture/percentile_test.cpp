// Percentiles of the store against exact ones (percentile_cont), and the rows made from them.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "unit/capture/store_block.h"
#include "upkeep/capture/rows.h"

namespace upkeep::capture {
namespace {

struct Rows : RowSink {
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

double Exact(const std::vector<uint64_t>& sorted, double q) {
    const double position = q * static_cast<double>(sorted.size() - 1);
    const auto lower = static_cast<size_t>(position);
    const size_t upper = std::min(lower + 1, sorted.size() - 1);
    const double low = static_cast<double>(sorted[lower]);
    return low + (static_cast<double>(sorted[upper]) - low) * (position - std::floor(position));
}

TEST(PercentileTest, WithinThreePercentOverEightDistributions) {
    std::mt19937_64 random(3);
    std::uniform_real_distribution<double> unit(0, 1);
    std::normal_distribution<double> normal(0, 1);
    std::exponential_distribution<double> exponential(1);
    const std::vector<std::function<double()>> distributions = {
        [&] { return 1e6; },
        [&] { return 1e3 + 1e7 * unit(random); },
        [&] { return std::exp(12 + 2 * normal(random)); },
        [&] { return 2e5 * exponential(random); },
        [&] { return 5e5 / std::pow(1 - unit(random), 1 / 1.2); },
        [&] {
            return unit(random) < 0.9 ? 2e4 + 1e3 * normal(random) : 8e8 + 1e6 * normal(random);
        },
        [&] { return 300 + 100 * unit(random); },
        [&] { return std::floor(1 + 20 * unit(random)) * 1e5; },
    };
    for (size_t which = 0; which < distributions.size(); ++which) {
        StoreBlock store({.statements = 16, .text_bytes = 4096, .slow_statements = 1});
        StatementCache cache;
        std::vector<uint64_t> all;
        for (int i = 0; i < 1'000'000; ++i) {
            Execution execution;
            execution.duration_ns = static_cast<uint64_t>(std::max(0.0, distributions[which]()));
            all.push_back(execution.duration_ns);
            if (!store->Record(cache, KeyOf(1), execution)) {
                store->RecordNew(cache, KeyOf(1), {}, execution);
            }
        }
        std::sort(all.begin(), all.end());
        const StatementSnapshot snapshot = store->statements().Snapshots().front();
        for (const double q : {0.0, 0.01, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0}) {
            const double exact = Exact(all, q);
            const double got = std::get<double>(QuantileMs(snapshot, q)) * 1e6;
            EXPECT_NEAR(got, exact, exact * 0.03) << "distribution " << which << " q " << q;
            EXPECT_GE(std::llround(got), all.front());
            EXPECT_LE(std::llround(got), all.back());
        }
    }
}

/// Shares of one statement's durations, counted apart, give what one count of them all gives.
TEST(PercentileTest, MergingIsExact) {
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> lognormal(13, 3);
    constexpr int kShares = 5;
    StoreBlock whole({.statements = 16, .text_bytes = 4096, .slow_statements = 1});
    StoreBlock shares({.statements = 64, .text_bytes = 4096, .slow_statements = 1});
    StatementCache whole_cache;
    StatementCache cache;
    const auto record = [](Store& store, StatementCache& known, const StatementKey& key,
                           const Execution& execution) {
        if (!store.Record(known, key, execution)) {
            store.RecordNew(known, key, {}, execution);
        }
    };
    for (int i = 0; i < 100'000; ++i) {
        Execution execution;
        execution.duration_ns = static_cast<uint64_t>(lognormal(random));
        execution.rows = static_cast<uint64_t>(i % 7);
        record(*whole, whole_cache, KeyOf(1), execution);
        record(*shares, cache, KeyOf(1 + i % kShares), execution);
    }
    const StatementSnapshot expected = whole->statements().Snapshots().front();
    StatementSnapshot merged;
    for (const StatementSnapshot& share : shares->statements().Snapshots()) {
        merged.Merge(share);
    }
    EXPECT_EQ(merged.totals.calls, expected.totals.calls);
    EXPECT_EQ(merged.totals.rows, expected.totals.rows);
    EXPECT_EQ(merged.totals.total_ns, expected.totals.total_ns);
    EXPECT_EQ(merged.totals.min_ns, expected.totals.min_ns);
    EXPECT_EQ(merged.totals.max_ns, expected.totals.max_ns);
    EXPECT_NEAR(merged.StddevNs(), expected.StddevNs(), expected.StddevNs() * 1e-9);
    ASSERT_EQ(merged.buckets.size(), expected.buckets.size());
    for (size_t i = 0; i < expected.buckets.size(); ++i) {
        EXPECT_EQ(merged.buckets[i].bucket, expected.buckets[i].bucket);
        EXPECT_EQ(merged.buckets[i].count, expected.buckets[i].count);
    }
}

std::vector<StatementView> TwoEndpoints(Store& store) {
    StatementCache cache;
    const uint32_t slow = store.endpoints().IdOf("/slow");
    for (int i = 0; i < 100; ++i) {
        for (const uint32_t endpoint : {EndpointNames::kNone, slow}) {
            StatementKey key = KeyOf(1);
            key.endpoint = endpoint;
            const Execution execution{.duration_ns = endpoint == slow ? 9'000'000U : 1'000'000U,
                                      .rows = 2,
                                      .ended_us = 5};
            if (!store.Record(cache, key, execution)) {
                store.RecordNew(cache, key, {Operation::kSelect, "a\nb"}, execution);
            }
        }
    }
    std::vector<StatementView> views;
    for (StatementSnapshot& snapshot : store.statements().Snapshots()) {
        const std::string endpoint = store.endpoints().NameOf(snapshot.key.endpoint);
        views.push_back({std::move(snapshot), Value(std::string("db")), Value(std::string("me")),
                         endpoint, "select ?"});
    }
    return views;
}

Value Ask(std::span<const StatementView> views, Value fingerprint, Value q, Value endpoint) {
    return Percentile(views, Arguments(*FindCall("percentile"),
                                       {std::move(fingerprint), std::move(q), std::move(endpoint)}))
        .OrThrow();
}

TEST(PercentileTest, MergesOverTheRowsAskedFor) {
    StoreBlock store(SmallLimits(16));
    std::vector<StatementView> views = TwoEndpoints(*store);
    const Value one(int64_t{1});
    EXPECT_NEAR(std::get<double>(Ask(views, one, 0.5, Value(std::string("/slow")))), 9, 0.2);
    EXPECT_NEAR(std::get<double>(Ask(views, one, 0.25, Value())), 1, 0.02);
    EXPECT_NEAR(std::get<double>(Ask(views, one, 0.75, Value())), 9, 0.2);
    EXPECT_TRUE(IsNull(Ask(views, Value(int64_t{2}), 0.5, Value())));
    EXPECT_TRUE(IsNull(Ask(views, one, Value(), Value())));
    EXPECT_TRUE(IsNull(Ask(views, one, 0.5, Value(std::string("/other")))));
    EXPECT_THROW(Ask(views, one, 1.5, Value()), Error);
    EXPECT_THROW(Ask(views, one, std::nan(""), Value()), Error);
    for (StatementView& view : views) {
        view.is_visible = false;
    }
    EXPECT_TRUE(IsNull(Ask(views, one, 0.5, Value())));
}

TEST(CaptureRowsTest, RowsFitTheirCallsAndHideWhatMustBeHidden) {
    StoreBlock store(SmallLimits(16));
    std::vector<StatementView> views = TwoEndpoints(*store);
    Rows statements;
    StatementRows(views, {}, statements);
    ASSERT_EQ(statements.rows.size(), 2U);
    const Row& first = statements.rows[0];  // the longest total
    EXPECT_EQ(first.size(), FindCall("statements")->columns.size());
    EXPECT_EQ(first[3], Value(std::string("/slow")));
    EXPECT_EQ(first[5], Value(TextArray{"a", "b"}));
    EXPECT_EQ(first[7], Value(int64_t{100}));
    EXPECT_EQ(first[9], Value(int64_t{200}));
    EXPECT_NEAR(std::get<double>(first[10]), 900, 1e-9);
    EXPECT_TRUE(IsNull(statements.rows[1][3]));
    Rows endpoints;
    EndpointRows(views, std::nullopt, endpoints);
    ASSERT_EQ(endpoints.rows.size(), 2U);
    EXPECT_EQ(endpoints.rows[0].size(), FindCall("endpoints")->columns.size());
    EXPECT_EQ(endpoints.rows[0][1], Value(int64_t{100}));

    views[0].is_visible = views[1].is_visible = false;
    Rows hidden;
    StatementRows(views, {.wal = false}, hidden);
    EXPECT_TRUE(IsNull(hidden.rows[0][0]));
    EXPECT_EQ(hidden.rows[0][6], Value(std::string(kHidden)));
    EXPECT_EQ(hidden.rows[0][3], Value(std::string(kHidden)));
    EXPECT_TRUE(IsNull(hidden.rows[0][23]));
    EXPECT_EQ(hidden.rows[0][7], Value(int64_t{100})) << "counters stay";

    SlowView slow;
    slow.statement.fields.ended_us = 1;
    slow.statement.plan = "{}";
    slow.statement.client_addr = "10.0.0.1";
    slow.is_visible = false;
    Rows slow_rows;
    SlowRows({&slow, 1}, {}, slow_rows);
    ASSERT_EQ(slow_rows.rows[0].size(), FindCall("slow_statements")->columns.size());
    EXPECT_EQ(slow_rows.rows[0][9], Value(std::string(kHidden)));
    EXPECT_TRUE(IsNull(slow_rows.rows[0][6]));
    EXPECT_TRUE(IsNull(slow_rows.rows[0][12]));
}

}  // namespace
}  // namespace upkeep::capture
