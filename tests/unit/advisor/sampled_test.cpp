// Captured statements: planned with the values that were seen, named by what was captured.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class SampledTest : public testing::Test {
  protected:
    SampledTest() {
        t_ = port_.AddRelation("jobs", 1e6, {{"id", 1e6}, {"status", 2}, {"owner", 1000}});
        Statement generic = Reads({{.relation = t_, .predicates = {Equal(2)}}});
        generic.is_generic = true;
        port_.AddStatement("generic", generic);
        port_.AddStatement("sample", Reads({{.relation = t_, .predicates = {Equal(0)}}}));
        options_.skip_unusable = true;
    }
    void Add(const std::string& sample, std::vector<int64_t> fingerprints) {
        options_.workload.push_back({.text = "generic",
                                     .weight = 1,
                                     .fingerprints = std::move(fingerprints),
                                     .sample = sample});
    }
    static bool IsGeneric(const AdvisedIndex& index) {
        return std::any_of(index.warnings.begin(), index.warnings.end(), [](const auto& line) {
            return line.find("parameters without values") != std::string::npos;
        });
    }

    FakeWhatIf port_;
    RelationId t_ = 0;
    AdviseOptions options_;
};

TEST_F(SampledTest, PlansTheSampleInThePlaceOfTheText) {
    Add("sample", {7});
    const Advice advice = Advise(port_, options_).OrThrow();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].spec.keys[0].column, 0);
    EXPECT_FALSE(IsGeneric(advice.indexes[0]));
    EXPECT_EQ(advice.indexes[0].fingerprints, (std::vector<int64_t>{7}));
}

TEST_F(SampledTest, FallsBackToTheTextWhereTheSampleDoesNotParse) {
    Add("invalid input syntax: secret", {7});
    const Advice advice = Advise(port_, options_).OrThrow();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].spec.keys[0].column, 2);
    EXPECT_TRUE(IsGeneric(advice.indexes[0]));
    EXPECT_EQ(advice.indexes[0].fingerprints, (std::vector<int64_t>{7}));
}

TEST_F(SampledTest, AnErrorIsThatOfTheText) {
    options_.workload = {{.text = "no such text", .fingerprints = {7}, .sample = "secret"}};
    const Result<Advice> advice = Advise(port_, options_);
    ASSERT_FALSE(advice.ok());
    EXPECT_EQ(advice.error().message().find("secret"), std::string::npos);
}

TEST_F(SampledTest, EqualTextsOfSeveralFingerprintsAreOneStatementWithAllOfThem) {
    Add("sample", {7, 8});
    Add("sample", {8, 9});
    const Advice advice = Advise(port_, options_).OrThrow();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].fingerprints, (std::vector<int64_t>{7, 8, 9}));
    EXPECT_NEAR(advice.baseline_cost, 2 * (1e6 + 1), 1e-3);
}

}  // namespace
}  // namespace upkeep::advisor
