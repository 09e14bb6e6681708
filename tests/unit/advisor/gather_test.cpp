// What is asked of the planner before anything is chosen, and in which order.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "advisor/collection.h"
#include "advisor/gather.h"
#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class GatherTest : public testing::Test {
  protected:
    static constexpr int kTables = 12;
    static constexpr int kStatements = 100;

    /// Reports: each joins some of the tables and filters all of them.
    GatherTest() {
        for (int t = 0; t < kTables; ++t) {
            port_.AddRelation("t" + std::to_string(t), 1e6,
                              {{"id", 1e6}, {"a", 100}, {"b", 50}, {"c", 1000}});
        }
        for (int s = 0; s < kStatements; ++s) {
            std::vector<RelationUse> uses;
            for (int k = 0; k < 8; ++k) {
                uses.push_back({.relation = (s + k) % kTables,
                                .predicates = {Equal(1 + k % 3, 0.01), Equal(1 + s % 3, 0.02)}});
            }
            const std::string text = "report " + std::to_string(s);
            port_.AddStatement(text, Reads(uses));
            options_.workload.push_back({text, 1});
        }
        options_.max_columns = 2;
        collection_.emplace(port_, options_);
        port_.planned.clear();
        port_.ms_per_call = 1;
    }

    bool Run(int64_t until_ms, const IndexSet* fresh = nullptr) {
        Gatherer gatherer(port_, collection_->workload(), collection_->cache(),
                          collection_->facts(), until_ms);
        return gatherer.Run(fresh);
    }

    /// How often each statement was planned with so many indexes.
    std::map<StatementId, int> CallsWith(size_t indexes) const {
        std::map<StatementId, int> calls;
        for (const auto& [statement, set] : port_.planned) {
            calls[statement] += set.size() == indexes ? 1 : 0;
        }
        return calls;
    }

    FakeWhatIf port_;
    AdviseOptions options_;
    std::optional<Collection> collection_;
};

TEST_F(GatherTest, TimeThatEndsLeavesNoStatementWithoutItsBestPlan) {
    EXPECT_FALSE(Run(2 * kStatements));
    std::set<StatementId> planned;
    for (size_t i = 0; i < kStatements; ++i) {
        planned.insert(port_.planned.at(i).first);
    }
    EXPECT_EQ(planned.size(), kStatements);
}

TEST_F(GatherTest, HalfOfTheTimeIsForIndexesAlone) {
    EXPECT_FALSE(Run(4 * kStatements));
    const size_t half = 2 * kStatements;
    ASSERT_GT(port_.planned.size(), half);
    for (size_t i = 0; i < port_.planned.size(); ++i) {
        EXPECT_EQ(port_.planned[i].second.size() == 1, i >= half) << i;
    }
}

TEST_F(GatherTest, PairsKeepToTheAllowance) {
    EXPECT_TRUE(Run(1'000'000));
    int most = 0;
    int all = 0;
    for (const auto& [statement, calls] : CallsWith(2)) {
        most = std::max(most, calls);
        all += calls;
    }
    EXPECT_GT(all, kStatements);
    EXPECT_LE(most, 2000 / kStatements);
}

TEST_F(GatherTest, WhatIsKnownIsNotFollowedAgain) {
    const IndexSet nothing_new(collection_->facts().sizes.size());
    EXPECT_TRUE(Run(1'000'000, &nothing_new));
    std::map<StatementId, int> whole;
    for (const auto& [statement, set] : port_.planned) {
        whole[statement] += set.size() > 2 ? 1 : 0;
    }
    for (const auto& [statement, calls] : whole) {
        EXPECT_EQ(calls, 1) << statement;
    }
    Run(1'000'000);
    EXPECT_GT(std::count_if(port_.planned.begin(), port_.planned.end(),
                            [](const auto& call) { return call.second.size() > 2; }),
              kStatements);
}

/// A host that is not sure of its sizes.
class DoubtfulWhatIf : public FakeWhatIf {
  public:
    double SizeDoubtBytes(IndexId) override { return 5000; }
};

TEST(SizeDoubt, CountsAgainstTheBudgetAndIsNotShown) {
    DoubtfulWhatIf port;
    const RelationId t = port.AddRelation("t", 1e6, {{"id", 1e6}, {"a", 100}});
    port.AddStatement("by a", Reads({{.relation = t, .predicates = {Equal(1, 0.01)}}}));
    AdviseOptions options;
    options.workload = {{"by a", 1}};
    const Advice free = Advise(port, options).OrThrow();
    ASSERT_EQ(free.indexes.size(), 1U);
    const double size = free.indexes.front().size_bytes;
    EXPECT_EQ(size, port.SizeBytes(free.indexes.front().id));
    options.budget_bytes = static_cast<int64_t>(size) + 4999;
    EXPECT_TRUE(Advise(port, options).OrThrow().indexes.empty());
    options.budget_bytes = static_cast<int64_t>(size) + 5000;
    EXPECT_EQ(Advise(port, options).OrThrow().indexes.size(), 1U);
}

}  // namespace
}  // namespace upkeep::advisor
