// Price::risk: counted in what is chosen, never in what is shown.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

/// A host whose plans may cost more than their price.
class RiskyWhatIf : public FakeWhatIf {
  public:
    Result<Price> PriceWith(StatementId id, std::span<const IndexId> indexes) override {
        Result<Price> price = FakeWhatIf::PriceWith(id, indexes);
        if (!price.ok()) {
            return price;
        }
        Price risky = price.value();
        risky.risk = risk_of(risky);
        return risky;
    }

    std::function<double(const Price&)> risk_of = [](const Price&) { return 0.0; };
};

class RiskTest : public testing::Test {
  protected:
    RiskTest() {
        const RelationId history = port_.AddRelation("history", 1e7, {{"id", 1e7}});
        const RelationId queue = port_.AddRelation("queue", 1e4, {{"id", 1e4}, {"status", 5}});
        port_.AddStatement("whole", Reads({{.relation = history}}));
        port_.AddStatement(
            "poll", Reads({{.relation = queue, .predicates = {Equal(1, 0.01, "status = …")}}}));
        options_.workload = {{"whole", 1}, {"poll", 1}};
    }

    Advice Ask() { return Advise(port_, options_).OrThrow(); }

    static bool Mentions(const std::vector<std::string>& texts, const std::string& word) {
        return std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
            return text.find(word) != std::string::npos;
        });
    }

    RiskyWhatIf port_;
    AdviseOptions options_;
};

TEST_F(RiskTest, WhatSavesTooLittleByItsPriceIsLeftOut) {
    EXPECT_TRUE(Ask().indexes.empty());
}

TEST_F(RiskTest, AnIndexAgainstARiskIsKeptAndSaysSo) {
    port_.risk_of = [](const Price& price) { return price.used.empty() ? 1e6 : 0.0; };
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    const AdvisedIndex& index = advice.indexes.front();
    EXPECT_TRUE(Mentions(index.warnings, "LIMIT"));
    double before = 0;
    double after = 0;
    for (const StatementId id : {0, 1}) {
        before += port_.Direct(id, {}).cost;
        after += port_.Direct(id, std::vector<IndexId>{0}).cost;
    }
    EXPECT_NEAR(index.cost_before, before, 1e-6 * before);
    EXPECT_NEAR(index.cost_after, after, 1e-6 * before);
}

TEST_F(RiskTest, AnIndexThatInvitesARiskIsNotAdvised) {
    options_.min_saving_ratio = 0;
    EXPECT_EQ(Ask().indexes.size(), 1U);
    port_.risk_of = [](const Price& price) { return price.used.empty() ? 0.0 : 1e6; };
    EXPECT_TRUE(Ask().indexes.empty());
}

}  // namespace
}  // namespace upkeep::advisor
