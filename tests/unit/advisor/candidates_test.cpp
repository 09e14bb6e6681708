// SPDX-License-Identifier: PostgreSQL
#include "advisor/candidates.h"

#include <gtest/gtest.h>

#include "advisor/index_kind.h"
#include "fake_what_if.h"

namespace upkeep::advisor {
namespace {

class CandidatesTest : public testing::Test {
  protected:
    CandidatesTest() {
        t_ = port_.AddRelation("t", 1e5,
                               {{"a", 1e4}, {"b", 10}, {"c", 100}, {"d", 1e5}, {"j", 50, false}});
    }

    void Add(RelationUse use) {
        use.relation = use.relation < 0 ? t_ : use.relation;
        Statement statement = Reads({std::move(use)});
        statement.id = static_cast<StatementId>(workload_.items.size());
        workload_.items.push_back({std::move(statement), 1, workload_.items.size() + 1, 1e5});
    }

    std::vector<Candidate> Generate(int max_columns = 3, size_t limit = 60) {
        return GenerateCandidates(port_, workload_,
                                  {.max_columns = max_columns, .max_per_relation = limit});
    }

    bool Has(const std::vector<Candidate>& candidates, const std::vector<IndexKey>& keys) {
        return std::any_of(candidates.begin(), candidates.end(),
                           [&](const Candidate& c) { return c.spec.keys == keys; });
    }
    static IndexKey Up(int column) { return {column, "", false, false}; }
    static IndexKey Down(int column) { return {column, "", true, true}; }

    FakeWhatIf port_;
    RelationId t_ = 0;
    Workload workload_;
};

TEST_F(CandidatesTest, PutsEqualityBeforeOneRange) {
    Add({.predicates = {Range(3), Equal(0), Equal(1), Range(2)}});
    const auto candidates = Generate();
    EXPECT_TRUE(Has(candidates, {Up(0), Up(1), Up(3)}));
    EXPECT_TRUE(Has(candidates, {Up(0), Up(1), Up(2)}));
    EXPECT_TRUE(Has(candidates, {Up(0), Up(3)}));
    EXPECT_TRUE(Has(candidates, {Up(3)}));
    EXPECT_FALSE(Has(candidates, {Up(3), Up(0)}));  // a range first hides what follows
}

TEST_F(CandidatesTest, PutsEqualityBeforeTheOrderAndReadsItBackwards) {
    Add({.predicates = {Equal(1)}, .order = {{3, true, true}, {0, true, true}}});
    const auto candidates = Generate();
    EXPECT_TRUE(Has(candidates, {Up(1), Up(3), Up(0)}));
    EXPECT_FALSE(Has(candidates, {Up(1), Down(3), Down(0)}));
}

TEST_F(CandidatesTest, KeepsMixedDirectionsAndNullsOrder) {
    Add({.order = {{3, true, true}, {0, false, false}}});
    EXPECT_TRUE(Has(Generate(), {Down(3), Up(0)}));
    workload_.items.clear();
    Add({.order = {{3, true, false}}});                    // DESC NULLS LAST
    EXPECT_TRUE(Has(Generate(), {{3, "", false, true}}));  // read backwards: ASC NULLS FIRST
    port_.dialect_words.has_nulls_order = false;
    EXPECT_TRUE(Has(Generate(), {Up(3)}));
}

TEST_F(CandidatesTest, LeavesOutOrderColumnsThatAreConstant) {
    Add({.predicates = {Equal(1)}, .order = {{1, false, false}, {3, false, false}}});
    EXPECT_TRUE(Has(Generate(), {Up(1), Up(3)}));
}

TEST_F(CandidatesTest, PutsJoinColumnsFirstAndLast) {
    Add({.predicates = {Join(2), Equal(0), Equal(1)}});
    const auto candidates = Generate();
    EXPECT_TRUE(Has(candidates, {Up(2), Up(0), Up(1)}));
    EXPECT_TRUE(Has(candidates, {Up(0), Up(1), Up(2)}));
    EXPECT_TRUE(Has(candidates, {Up(2)}));
}

TEST_F(CandidatesTest, GroupsBehindEquality) {
    Add({.predicates = {Equal(1)}, .group = {2, 3}});
    EXPECT_TRUE(Has(Generate(), {Up(1), Up(2), Up(3)}));
}

TEST_F(CandidatesTest, MergesAcrossStatements) {
    Add({.predicates = {Equal(0)}});
    Add({.predicates = {Equal(0), Equal(2)}});
    Add({.predicates = {Equal(1)}});
    const auto candidates = Generate();
    EXPECT_TRUE(Has(candidates, {Up(0), Up(2)}));
    EXPECT_TRUE(Has(candidates, {Up(1), Up(0), Up(2)}));
}

TEST_F(CandidatesTest, MergesOfPopularAndRareColumnsServeBoth) {
    Add({.predicates = {Equal(0), Equal(1)}});
    Add({.predicates = {Equal(1)}});
    Add({.predicates = {Equal(1), Range(3)}});
    EXPECT_TRUE(Has(Generate(), {Up(1), Up(0)}));  // shared prefix first
}

TEST_F(CandidatesTest, DropsWhatExistsReadEitherWay) {
    Add({.predicates = {Equal(0), Equal(1)}, .order = {{3, true, true}}});
    ExistingIndex existing{"e", Btree(t_, {0, 1, 3}), 1e6, false, false};
    port_.edit_relation(t_).indexes = {existing};
    auto candidates = Generate();
    EXPECT_FALSE(Has(candidates, {Up(0)}));
    EXPECT_FALSE(Has(candidates, {Up(0), Up(1)}));
    EXPECT_FALSE(Has(candidates, {Up(0), Up(1), Up(3)}));
    EXPECT_TRUE(Has(candidates, {Up(1)}));

    existing.spec.keys = Btree(t_, {0}).keys;
    existing.spec.keys[0] = Down(0);
    port_.edit_relation(t_).indexes = {existing};
    EXPECT_FALSE(Has(Generate(), {Up(0)}));

    existing.spec.predicate = "b = 1";
    port_.edit_relation(t_).indexes = {existing};
    EXPECT_TRUE(Has(Generate(), {Up(0)}));

    existing.spec.predicate.clear();
    existing.spec.kind = IndexKind::kBrin;
    port_.edit_relation(t_).indexes = {existing};
    EXPECT_TRUE(Has(Generate(), {Up(0)}));
}

TEST_F(CandidatesTest, LeavesOutTypesWithoutOrderAndRelationsWithoutIndexes) {
    Add({.predicates = {Equal(4)}, .order = {{4, false, false}}, .group = {4}});
    EXPECT_TRUE(Generate().empty());
    workload_.items.clear();
    Add({.predicates = {Equal(0)}});
    port_.edit_relation(t_).no_index_because = "it is a foreign table";
    EXPECT_TRUE(Generate().empty());
}

TEST_F(CandidatesTest, KeepsTheLimitsAndConcernsByLeadingColumn) {
    const RelationId wide = port_.AddRelation("wide", 1e6, [] {
        std::vector<FakeWhatIf::Column> columns;
        for (int i = 0; i < 1000; ++i) {
            columns.push_back({"c" + std::to_string(i), 1000.0 + i});
        }
        return columns;
    }());
    for (int s = 0; s < 100; ++s) {
        RelationUse use{.relation = wide,
                        .predicates = {},
                        .order = {{s, false, false}},
                        .group = {},
                        .needed = {}};
        for (int p = 0; p < 10; ++p) {
            use.predicates.push_back(Equal((s * 7 + p * 13) % 1000));
        }
        Add(use);
    }
    for (const int max_columns : {1, 3, 8}) {
        const auto candidates = Generate(max_columns);
        const auto alone = std::count_if(candidates.begin(), candidates.end(),
                                         [](const auto& c) { return c.spec.keys.size() == 1; });
        EXPECT_LE(candidates.size(), 100U + static_cast<size_t>(alone));
        EXPECT_GE(candidates.size(), 100U);
        for (const Candidate& candidate : candidates) {
            EXPECT_LE(candidate.spec.keys.size(), static_cast<size_t>(max_columns));
            ASSERT_FALSE(candidate.items.empty());
            for (const size_t item : candidate.items) {
                const RelationUse& use = workload_.items[item].statement.uses.front();
                const int lead = candidate.spec.keys.front().column;
                const bool is_named =
                    use.order.front().column == lead ||
                    std::any_of(use.predicates.begin(), use.predicates.end(),
                                [&](const Predicate& p) { return p.column == lead; });
                EXPECT_TRUE(is_named);
            }
        }
    }
}

TEST_F(CandidatesTest, WhenCutEveryStatementKeepsItsBest) {
    for (int column = 0; column < 4; ++column) {
        Add({.predicates = {Equal(column), Range((column + 1) % 4)}});
    }
    const auto candidates = Generate(2, 4);
    ASSERT_LE(candidates.size(), 8U);  // the limit, and the single columns
    for (int column = 0; column < 4; ++column) {
        EXPECT_TRUE(Has(candidates, {Up(column), Up((column + 1) % 4)})) << column;
    }
}

TEST(KindsTest, HaveNamesBothWays) {
    for (const IndexKind kind : AllKinds()) {
        EXPECT_EQ(ParseKind(KindName(kind)), kind);
    }
    EXPECT_EQ(ParseKind("hash"), std::nullopt);
    FakeWhatIf port;
    EXPECT_EQ(PricedKinds(port).size(), AllKinds().size());
    port.kinds_missing = {IndexKind::kGin, IndexKind::kBrin, IndexKind::kTrigram};
    EXPECT_EQ(PricedKinds(port),
              (std::vector<IndexKind>{IndexKind::kBtree, IndexKind::kCovering, IndexKind::kPartial,
                                      IndexKind::kExpression}));
}

}  // namespace
}  // namespace upkeep::advisor
