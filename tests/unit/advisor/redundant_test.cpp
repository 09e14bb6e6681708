// What an advised index makes redundant: named in `steps` and `warnings`, or left alone.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <functional>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class RedundantTest : public testing::Test {
  protected:
    RedundantTest() {
        t_ = port_.AddRelation("executions", 1e6,
                               {{"id", 1e6}, {"workflow_id", 500}, {"status", 5}});
        port_.AddStatement("both", Reads({{.relation = t_,
                                           .predicates = {Equal(1, 0.002, "workflow_id = …"),
                                                          Equal(2, 0.2, "status = …")}}}));
        options_.workload.push_back({"both", 1});
    }

    static health::IndexDescription Existing(const std::string& name,
                                             const std::vector<std::string>& columns) {
        health::IndexDescription index;
        index.table_id = 7;
        index.name = name;
        index.access_method = "btree";
        for (const std::string& column : columns) {
            index.keys.push_back({column, "", "", false, false});
        }
        index.create_sql = "CREATE INDEX " + name;
        index.drop_sql = "DROP INDEX " + name;
        return index;
    }

    AdvisedIndex Ask(std::vector<health::IndexDescription> existing) {
        port_.described[t_] = std::move(existing);
        Advice advice = Advise(port_, options_).OrThrow();
        EXPECT_EQ(advice.indexes.size(), 1U);
        return advice.indexes.at(0);
    }

    using Change = std::function<void(health::IndexDescription*)>;
    size_t DropsAfter(const Change& change) {
        health::IndexDescription narrow = Existing("narrow", {"workflow_id"});
        change(&narrow);
        const AdvisedIndex index = Ask({narrow});
        EXPECT_EQ(index.warnings.size(), index.steps.size() - 1);
        return index.steps.size() - 1;
    }

    FakeWhatIf port_;
    RelationId t_ = 0;
    AdviseOptions options_;
};

TEST_F(RedundantTest, TheDropIsTheLastStepAndTheWarningSaysHowToUndoIt) {
    health::IndexDescription narrow = Existing("narrow", {"workflow_id"});
    narrow.size_bytes = 3 << 20;
    narrow.scans = 12;
    const AdvisedIndex index = Ask({Existing("other", {"status"}), narrow});
    ASSERT_EQ(index.steps, (std::vector<std::string>{index.create_sql, "DROP INDEX narrow"}));
    ASSERT_EQ(index.warnings.size(), 1U);
    EXPECT_EQ(index.warnings[0],
              "makes index narrow (workflow_id) redundant (3 MB): the last of steps drops it, to "
              "be run once the new one is there; 12 scans of it were counted; if it is much "
              "narrower it may still pay on a hot path; undone by CREATE INDEX narrow");
}

TEST_F(RedundantTest, WhatStandsForMoreThanReadingStays) {
    EXPECT_EQ(DropsAfter([](auto*) {}), 1U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->backs_constraint = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_unique = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_replica_identity = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_clustered = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_extension_member = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_partition_child = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->is_valid = false; }), 0U);
}

TEST_F(RedundantTest, WhatAnswersSomethingElseStays) {
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->predicate = "status = 'x'"; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->keys[0].collation = "nocase"; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->keys[0].opclass = "text_pattern_ops"; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->keys[0].expression = "lower(status)"; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->keys[0].nulls_first = true; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->access_method = "hash"; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) { narrow->included = {"id"}; }), 0U);
    EXPECT_EQ(DropsAfter([](auto* narrow) {
                  narrow->keys.push_back({"id", "", "", false, false});
              }),
              0U);
}

}  // namespace
}  // namespace upkeep::advisor
