// Statements whose time was measured: their part of the cost is their part of the time.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <string>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class MeasuredWeightTest : public testing::Test {
  protected:
    MeasuredWeightTest() {
        const RelationId big = port_.AddRelation("big", 1e7, {{"id", 1e7}, {"owner", 1e5}});
        const RelationId small = port_.AddRelation("small", 1e4, {{"id", 1e4}, {"owner", 1e3}});
        port_.AddStatement("of big", Reads({{.relation = big, .predicates = {Equal(1)}}}));
        port_.AddStatement("of small", Reads({{.relation = small, .predicates = {Equal(1)}}}));
        port_.AddStatement("all of big", Reads({{.relation = big}}));
        Statement insert;
        insert.kind = StatementKind::kInsert;
        insert.written = {big};
        port_.AddStatement("insert", insert);
    }

    void Ran(const std::string& text, double calls, double total_ms) {
        options_.workload.push_back({.text = text, .weight = total_ms, .calls = calls});
    }
    Advice Ask() { return Advise(port_, options_).OrThrow(); }
    double Once(const std::string& text) {
        const StatementId id = port_.Analyse(text).OrThrow().id;
        return port_.Direct(id, {}).cost;
    }

    FakeWhatIf port_;
    AdviseOptions options_;
};

TEST_F(MeasuredWeightTest, TheSavingIsOneInTime) {
    Ran("of big", 10, 5);  // a thousand times dearer by the planner, and in memory
    Ran("of small", 10, 95);
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 2U);
    EXPECT_EQ(port_.relation(advice.indexes[0].spec.relation).name, "small");
    EXPECT_NEAR(advice.indexes[0].saving_ratio, 0.95, 0.01);
    EXPECT_NEAR(advice.baseline_cost, 10 * (Once("of big") + Once("of small")),
                1e-9 * advice.baseline_cost);
}

TEST_F(MeasuredWeightTest, WhatTakesNoTimeIsNotWorthAnIndex) {
    Ran("of big", 10, 0.5);
    Ran("of small", 10, 99.5);
    Ran("all of big", 1, 100);  // no index helps it
    options_.min_saving_ratio = 0.01;
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(port_.relation(advice.indexes[0].spec.relation).name, "small");
}

TEST_F(MeasuredWeightTest, WritesCountByExecutions) {
    port_.write_cost_per_key = 1;
    Ran("of big", 100, 1000);
    Ran("insert", 10, 1000);  // its own cost is 1: by its time it would weigh as millions of writes
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].write_cost, 10.0);
    EXPECT_NEAR(advice.indexes[0].saving_ratio, 0.5, 0.01);
}

TEST_F(MeasuredWeightTest, EqualTextsAddUp) {
    Ran("of big", 4, 30);
    Ran("of small", 10, 30);
    Ran("of big", 6, 40);
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 2U);
    EXPECT_NEAR(advice.indexes[0].saving_ratio, 0.7, 0.01);
    EXPECT_NEAR(advice.baseline_cost, 10 * (Once("of big") + Once("of small")),
                1e-9 * advice.baseline_cost);
}

TEST_F(MeasuredWeightTest, GivenWeightsStay) {
    options_.workload = {{"of big", 2}, {"of small", 3}};
    EXPECT_NEAR(Ask().baseline_cost, 2 * Once("of big") + 3 * Once("of small"), 1e-6);
}

TEST_F(MeasuredWeightTest, TimesTooLargeAreRefused) {
    Ran("of big", 1e308, 1e308);
    Ran("of small", 1e308, 1e308);
    EXPECT_FALSE(Advise(port_, options_).ok());
}

}  // namespace
}  // namespace upkeep::advisor
