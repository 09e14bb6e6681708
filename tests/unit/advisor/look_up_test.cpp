// What a host looks up by itself (WhatIf::ChecksOf): counted in what is chosen, never in a cost
// shown. SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

/// A host that looks "look-up" up `times` times for each "delete".
class CheckingWhatIf : public FakeWhatIf {
  public:
    Result<Statement> Analyse(std::string_view text) override {
        Result<Statement> statement = FakeWhatIf::Analyse(text);
        if (statement.ok() && text == "delete") {
            deletes_.insert(statement.value().id);
        }
        return statement;
    }
    std::vector<Statement> ChecksOf(StatementId statement) override {
        if (times <= 0 || deletes_.count(statement) == 0) {
            return {};
        }
        Statement check = FakeWhatIf::Analyse("look-up").OrThrow();
        look_ups_.insert(check.id);
        return {check};
    }
    Result<Price> PriceWith(StatementId id, std::span<const IndexId> indexes) override {
        Result<Price> price = FakeWhatIf::PriceWith(id, indexes);
        if (!price.ok() || look_ups_.count(id) == 0) {
            return price;
        }
        if (fails) {
            return Error(Code::kHost, "does not plan");
        }
        return Price{0, price.value().used, times * price.value().cost};
    }

    double times = 0;
    bool fails = false;

  private:
    std::set<StatementId> deletes_;
    std::set<StatementId> look_ups_;
};

class LookUpTest : public testing::Test {
  protected:
    LookUpTest() {
        const RelationId parents = port_.AddRelation("parents", 1e4, {{"id", 1e4}});
        children_ = port_.AddRelation("children", 1e5, {{"id", 1e5}, {"parent", 1e4}});
        const RelationId notes = port_.AddRelation("notes", 1e6, {{"id", 1e6}, {"topic", 1e4}});
        port_.AddStatement("notes", Reads({{.relation = notes, .predicates = {Equal(1)}}}));
        port_.AddStatement("children", Reads({{.relation = children_, .predicates = {Equal(1)}}}));
        port_.AddStatement("look-up",
                           Reads({{.relation = children_,
                                   .predicates = {Equal(1, 1e-4, "parent = … (look-up)")}}}));
        Statement erase;
        erase.kind = StatementKind::kDelete;
        erase.written = {parents};
        erase.fingerprint = 77;
        erase.uses = {{.relation = parents, .predicates = {Equal(0)}}};
        port_.AddStatement("delete", erase);
        port_.edit_relation(parents).indexes = {{"pk", Btree(parents, {0}), 1e5, true, true}};
        port_.AddStatement("all notes", Reads({{.relation = notes}}));
        options_.workload = {
            {"notes", 1000}, {"children", 0.01}, {"delete", 1}, {"all notes", 100}};
    }

    Advice Ask() { return Advise(port_, options_).OrThrow(); }
    const AdvisedIndex* OfChildren(const Advice& advice) const {
        for (const AdvisedIndex& index : advice.indexes) {
            if (index.spec.relation == children_) {
                return &index;
            }
        }
        return nullptr;
    }

    CheckingWhatIf port_;
    RelationId children_ = -1;
    AdviseOptions options_;
};

TEST_F(LookUpTest, WithoutOneTheReadIsTooCheap) {
    EXPECT_EQ(OfChildren(Ask()), nullptr);
}

TEST_F(LookUpTest, CountsInTheChoiceAndSaysSo) {
    const double baseline = Ask().baseline_cost;
    port_.times = 1e4;
    const Advice advice = Ask();
    EXPECT_EQ(advice.baseline_cost, baseline);
    const AdvisedIndex* index = OfChildren(advice);
    ASSERT_NE(index, nullptr);
    EXPECT_TRUE(std::any_of(index->warnings.begin(), index->warnings.end(), [](const auto& line) {
        return line.find("foreign keys look up by it") != std::string::npos &&
               line.find("statement 3") != std::string::npos;
    }));
    EXPECT_TRUE(std::none_of(index->warnings.begin(), index->warnings.end(), [](const auto& line) {
        return line.find("LIMIT") != std::string::npos;
    }));
    EXPECT_NE(std::find(index->fingerprints.begin(), index->fingerprints.end(), 77),
              index->fingerprints.end());
    EXPECT_NE(index->reason.find("used by 2 statements"), std::string::npos) << index->reason;
    EXPECT_LE(index->cost_after, index->cost_before);
}

TEST_F(LookUpTest, FewRowsAreNotWorthIt) {
    port_.times = 1;
    EXPECT_EQ(OfChildren(Ask()), nullptr);
}

TEST_F(LookUpTest, OneThatDoesNotPlanIsLeftOut) {
    port_.times = 1e4;
    port_.fails = true;
    EXPECT_EQ(OfChildren(Ask()), nullptr);
}

TEST_F(LookUpTest, MeasuredTimeContainsIt) {
    port_.times = 1e4;
    options_.workload = {{.text = "notes", .weight = 90, .calls = 10},
                         {.text = "children", .weight = 0.1, .calls = 10},
                         {.text = "delete", .weight = 9.9, .calls = 1},
                         {.text = "all notes", .weight = 90, .calls = 1}};
    EXPECT_NE(OfChildren(Ask()), nullptr);
    options_.workload[2].weight = 0.1;  // it costs a lot, says the planner, and takes no time
    EXPECT_EQ(OfChildren(Ask()), nullptr);
}

}  // namespace
}  // namespace upkeep::advisor
