// Indexes (a, b) that everything captured wants as (b, a), and all that must keep them as they are.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <functional>

#include "fake_what_if.h"
#include "upkeep/advisor/workload_findings.h"

namespace upkeep::advisor {
namespace {

Predicate With(int column, Operator op) {
    return {column, op, -1, {}};
}

constexpr int kId = 0;
constexpr int kTs = 1;
constexpr int kStatus = 2;

class WrongOrderTest : public testing::Test {
  protected:
    WrongOrderTest() {
        t_ = port_.AddRelation("runs", 1e6, {{"id", 1e6}, {"ts", 1e5}, {"status", 50}});
        port_.edit_relation(t_).indexes = {{"runs_ts", Btree(t_, {kTs, kStatus})}};
        description_.table_id = 7;
        description_.table_name = "runs";
        description_.name = "runs_ts";
        description_.access_method = "btree";
        description_.keys = {{"ts", "", "", false, false}, {"status", "", "", false, false}};
        description_.size_bytes = 1 << 24;
    }

    void Captured(RelationUse use, double weight = 1) {
        use.relation = t_;
        const std::string text = "q" + std::to_string(workload_.size());
        port_.AddStatement(text, Reads({std::move(use)}));
        workload_.push_back({text, weight});
    }
    /// The guide's own case: equality behind a range.
    void CaptureEqualityAndRange() {
        Captured({.predicates = {Equal(kStatus), Range(kTs, 0.3)}, .needed = {kId, kTs, kStatus}});
    }

    Result<std::vector<health::IndexFinding>> Ask() {
        port_.described[t_] = {description_};
        inventory_.indexes = {description_};
        return FindInWorkload(port_, workload_, inventory_);
    }
    size_t Count() { return Ask().OrThrow().size(); }

    FakeWhatIf port_;
    RelationId t_ = 0;
    health::IndexDescription description_;
    health::IndexInventory inventory_;
    std::vector<WorkloadStatement> workload_;
};

TEST_F(WrongOrderTest, EqualityBehindARangeWantsTheOtherOrder) {
    CaptureEqualityAndRange();
    const std::vector<health::IndexFinding> found = Ask().OrThrow();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].code, "wrong_order");
    EXPECT_EQ(found[0].severity, "medium");
    EXPECT_EQ(found[0].table_name, "runs");
    EXPECT_EQ(found[0].index_name, "runs_ts");
    EXPECT_EQ(found[0].size_bytes, 1 << 24);
    EXPECT_EQ(found[0].fix_sql,
              "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_runs_status_ts ON runs (status, ts)");
    EXPECT_EQ(found[0].undo_sql, "DROP INDEX CONCURRENTLY IF EXISTS idx_runs_status_ts");
    EXPECT_NE(found[0].evidence.find("1 captured statement compares status by equality and ts not"),
              std::string::npos)
        << found[0].evidence;
}

TEST_F(WrongOrderTest, AColumnThatIsNeverSearchedMayStandBehind) {
    Captured({.predicates = {Equal(kStatus)}});
    EXPECT_EQ(Count(), 1U);
}

TEST_F(WrongOrderTest, AnOrderIsServedBehindOneValueOnly) {
    Captured({.predicates = {Equal(kStatus)}, .order = {{kTs}}, .has_limit = true});
    EXPECT_EQ(Count(), 1U);
    workload_.clear();
    Captured({.predicates = {With(kStatus, Operator::kIn)}, .order = {{kTs}}, .has_limit = true});
    EXPECT_EQ(Count(), 0U);
}

TEST_F(WrongOrderTest, OneStatementThatNeedsTheOrderKeepsIt) {
    const std::vector<RelationUse> uses = {
        {.predicates = {Equal(kTs)}},
        {.predicates = {With(kTs, Operator::kIn)}},
        {.predicates = {With(kTs, Operator::kIsNull)}},
        {.predicates = {Join(kTs)}},
        {.predicates = {Range(kTs)}},
        {.predicates = {Range(kTs), Join(kStatus)}},
        {.predicates = {Range(kTs), Range(kStatus)}},
        {.predicates = {With(kTs, Operator::kPrefix)}},
        {.predicates = {Equal(kId)}, .order = {{kTs}}},
        {.group = {kTs}},
        {.needed = {kTs}},
        {.needed = {kTs, kStatus}},
        {.predicates = {Equal(kTs), Equal(kStatus)}},
    };
    for (size_t i = 0; i < uses.size(); ++i) {
        SCOPED_TRACE(i);
        workload_.clear();
        CaptureEqualityAndRange();
        Captured(uses[i], 1e-6);
        EXPECT_EQ(Count(), 0U);
    }
}

TEST_F(WrongOrderTest, StatementsThatDoNotCareDoNotKeepIt) {
    CaptureEqualityAndRange();
    Captured({.predicates = {Equal(kId)}, .needed = {kId, kTs}});
    Captured({.needed = {kId, kTs, kStatus}});  // the whole table
    Captured({});                               // count(*)
    EXPECT_EQ(Count(), 1U);
}

TEST_F(WrongOrderTest, NoStatementNoFinding) {
    EXPECT_EQ(Count(), 0U);
    Captured({.predicates = {Equal(kId)}});
    EXPECT_EQ(Count(), 0U);
}

TEST_F(WrongOrderTest, AnIndexThatStandsForARuleIsLeftAlone) {
    using Change = std::function<void(health::IndexDescription*)>;
    const std::vector<Change> changes = {
        [](auto* index) { index->is_unique = true; },
        [](auto* index) { index->backs_constraint = true; },
        [](auto* index) { index->is_replica_identity = true; },
        [](auto* index) { index->is_clustered = true; },
        [](auto* index) { index->is_partition_child = true; },
        [](auto* index) { index->is_extension_member = true; },
        [](auto* index) { index->is_valid = false; },
        [](auto* index) { index->predicate = "status > 0"; },
        [](auto* index) { index->access_method = "gist"; },
        [](auto* index) { index->keys[0].opclass = "text_pattern_ops"; },
        [](auto* index) { index->name = "another"; },
    };
    CaptureEqualityAndRange();
    const health::IndexDescription plain = description_;
    for (size_t i = 0; i < changes.size(); ++i) {
        SCOPED_TRACE(i);
        description_ = plain;
        changes[i](&description_);
        EXPECT_EQ(Count(), 0U);
    }
    description_ = plain;
    EXPECT_EQ(Count(), 1U);
}

TEST_F(WrongOrderTest, AForeignKeyOnTheFirstColumnKeepsTheOrder) {
    CaptureEqualityAndRange();
    health::ForeignKeyFacts key;
    key.table_name = "runs";
    key.columns = {"ts"};
    inventory_.foreign_keys = {key};
    EXPECT_EQ(Count(), 0U);
    inventory_.foreign_keys[0].table_name = "others";
    EXPECT_EQ(Count(), 1U);
}

TEST_F(WrongOrderTest, AnIndexThatLeadsWithTheSecondColumnIsEnough) {
    CaptureEqualityAndRange();
    port_.edit_relation(t_).indexes.push_back({"runs_status", Btree(t_, {kStatus})});
    EXPECT_EQ(Count(), 0U);
}

TEST_F(WrongOrderTest, ThePlannerHasTheLastWord) {
    CaptureEqualityAndRange();
    port_.edit_relation(t_).columns[kStatus].distinct_count = 1;  // one value: nothing is saved
    EXPECT_EQ(Count(), 0U);
    port_.edit_relation(t_).columns[kStatus].distinct_count = 50;
    port_.refused_column = kStatus;
    EXPECT_EQ(Count(), 0U);
}

TEST_F(WrongOrderTest, TheRestOfTheKeysStays) {
    IndexSpec three = Btree(t_, {kTs, kStatus, kId});
    three.keys[0].descending = true;
    port_.edit_relation(t_).indexes = {{"runs_ts", three}};
    description_.keys = {{"ts", "", "", true, false},
                         {"status", "", "", false, false},
                         {"id", "", "", false, false}};
    CaptureEqualityAndRange();
    const std::vector<health::IndexFinding> found = Ask().OrThrow();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NE(found[0].fix_sql.find("(status, ts DESC"), std::string::npos) << found[0].fix_sql;
    EXPECT_NE(found[0].fix_sql.find(", id)"), std::string::npos) << found[0].fix_sql;
}

TEST_F(WrongOrderTest, WhatCannotBeReadIsLeftOutAndACancelEndsIt) {
    CaptureEqualityAndRange();
    workload_.push_back({"gone", 1});
    EXPECT_EQ(Count(), 1U);
    workload_.erase(workload_.begin());
    EXPECT_EQ(Count(), 0U);
    workload_.clear();
    CaptureEqualityAndRange();
    for (const int64_t stop_at : {1, 2}) {
        port_.stop_questions = 0;
        port_.stop_at = stop_at;
        const auto stopped = Ask();
        ASSERT_FALSE(stopped.ok());
        EXPECT_EQ(stopped.error().code(), Code::kInterrupted);
    }
}

TEST_F(WrongOrderTest, TheWorkloadNeedNotBeReadWithoutSuchAnIndex) {
    inventory_.indexes = {description_};
    EXPECT_TRUE(MayFindInWorkload(inventory_));
    inventory_.indexes[0].keys.resize(1);
    EXPECT_FALSE(MayFindInWorkload(inventory_));
    inventory_.indexes[0] = description_;
    inventory_.indexes[0].is_unique = true;
    EXPECT_FALSE(MayFindInWorkload(inventory_));
}

}  // namespace
}  // namespace upkeep::advisor
