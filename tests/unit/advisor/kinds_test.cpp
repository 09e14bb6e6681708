// Candidates beyond B-trees over columns: what is made of what the host offers, and what is not.
// SPDX-License-Identifier: PostgreSQL
#include "advisor/candidates_kinds.h"

#include <gtest/gtest.h>

#include "advisor/candidates.h"
#include "advisor/ddl.h"
#include "advisor/index_kind.h"
#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

enum : int { kId, kStatus, kEmail, kParent, kAt };

KindCondition State(const std::string& value, double share = 0.01) {
    return {.kind = IndexKind::kPartial,
            .sql = "status = '" + value + "'",
            .columns = {kStatus},
            .selectivity = share,
            .text = "status = '" + value + "'"};
}

KindCondition Lower(Operator op = Operator::kEqual) {
    return {.kind = IndexKind::kExpression,
            .sql = "lower(email)",
            .columns = {kEmail},
            .op = op,
            .text = "lower(email) = ..."};
}

class KindCandidatesTest : public testing::Test {
  protected:
    KindCandidatesTest() {
        t_ = port_.AddRelation(
            "jobs", 1e6,
            {{"id", 1e6}, {"status", 5}, {"email", 1e6}, {"parent", 1e4}, {"at", 1e6}});
        port_.edit_relation(t_).columns[kParent].null_ratio = 0.9;
    }
    std::vector<std::string> Tails(const RelationUse& use, const std::vector<IndexKind>& kinds = {},
                                   int max_columns = 3) {
        std::vector<std::string> tails;
        for (const IndexSpec& spec : GenerateKinds(port_, t_, {&use}, max_columns, kinds)) {
            tails.push_back(IndexTail(port_, spec));
            EXPECT_TRUE(IsOfOtherKind(spec));
            EXPECT_TRUE(ConcernsOtherKind(spec, use)) << tails.back();
            EXPECT_FALSE(OtherKindText(spec, use).empty() && spec.predicate.empty());
        }
        return tails;
    }
    static bool Has(const std::vector<std::string>& tails, const std::string& tail) {
        return std::find(tails.begin(), tails.end(), tail) != tails.end();
    }

    FakeWhatIf port_;
    RelationId t_ = 0;
};

TEST_F(KindCandidatesTest, PartialKeysAreWhatTheConditionLeavesOpen) {
    const auto tails = Tails({.relation = t_,
                              .predicates = {Equal(kStatus)},
                              .order = {{kAt, false, false}},
                              .conditions = {State("failed")}});
    EXPECT_EQ(tails, (std::vector<std::string>{" (at) WHERE status = 'failed'"}));
}

TEST_F(KindCandidatesTest, PartialHasTheColumnItselfWhereNothingElseIsAsked) {
    const auto tails =
        Tails({.relation = t_, .predicates = {Equal(kStatus)}, .conditions = {State("failed")}});
    EXPECT_EQ(tails, (std::vector<std::string>{" (status) WHERE status = 'failed'"}));
}

TEST_F(KindCandidatesTest, NoPartialForAFrequentOrUnknownShare) {
    for (const double share : {0.9, 0.21, -1.0}) {
        EXPECT_TRUE(Tails({.relation = t_,
                           .predicates = {Equal(kStatus)},
                           .conditions = {State("done", share)}})
                        .empty())
            << share;
    }
}

TEST_F(KindCandidatesTest, NoPartialForAConstantOfAColumnOfManyValues) {
    KindCondition one = State("x");
    one.columns = {kId};
    EXPECT_TRUE(Tails({.relation = t_, .predicates = {Equal(kId)}, .conditions = {one}}).empty());
}

TEST_F(KindCandidatesTest, NoPartialWhereTheWorkloadAsksForEveryValue) {
    std::vector<RelationUse> uses;
    for (const char* value : {"a", "b", "c", "d", "e"}) {
        uses.push_back(
            {.relation = t_, .predicates = {Equal(kStatus)}, .conditions = {State(value)}});
    }
    std::vector<const RelationUse*> given = {&uses[0], &uses[1], &uses[2], &uses[3]};
    EXPECT_EQ(GenerateKinds(port_, t_, given, 3, {}).size(), 4U);
    given.push_back(&uses[4]);
    EXPECT_TRUE(GenerateKinds(port_, t_, given, 3, {}).empty());
}

TEST_F(KindCandidatesTest, EveryComparisonSaysThatItsColumnIsNotNull) {
    const auto tails = Tails({.relation = t_, .predicates = {Equal(kParent)}});
    EXPECT_EQ(tails, (std::vector<std::string>{" (parent) WHERE parent IS NOT NULL"}));
    Predicate is_null = Equal(kParent);
    is_null.op = Operator::kIsNull;
    EXPECT_TRUE(Tails({.relation = t_, .predicates = {is_null}}).empty());
    EXPECT_TRUE(Tails({.relation = t_, .predicates = {Equal(kEmail)}}).empty());
}

TEST_F(KindCandidatesTest, ExpressionsMixWithColumns) {
    const auto tails = Tails({.relation = t_,
                              .predicates = {Equal(kStatus, 0.5)},
                              .order = {{kAt, true, true}},
                              .conditions = {Lower()}});
    EXPECT_TRUE(Has(tails, " ((lower(email)))"));
    EXPECT_TRUE(Has(tails, " ((lower(email)), at)"));
    EXPECT_TRUE(Has(tails, " ((lower(email)), status, at)"));
    EXPECT_FALSE(Has(tails, " (status)"));
    EXPECT_FALSE(Has(tails, " (at)"));
}

TEST_F(KindCandidatesTest, ARangeOnAnExpressionComesLast) {
    const auto tails = Tails(
        {.relation = t_, .predicates = {Equal(kStatus)}, .conditions = {Lower(Operator::kRange)}});
    EXPECT_TRUE(Has(tails, " (status, (lower(email)))"));
    EXPECT_FALSE(Has(tails, " ((lower(email)), status)"));
}

TEST_F(KindCandidatesTest, HonoursKindsAndWhatTheHostHas) {
    const RelationUse use{.relation = t_,
                          .predicates = {Equal(kStatus)},
                          .conditions = {State("failed"),
                                         Lower(),
                                         {.kind = IndexKind::kGin,
                                          .column = kEmail,
                                          .columns = {kEmail},
                                          .opclass = "some_ops",
                                          .text = "email @> ..."}}};
    EXPECT_EQ(Tails(use, {IndexKind::kGin}),
              (std::vector<std::string>{" USING gin (email some_ops)"}));
    EXPECT_TRUE(Tails(use, {IndexKind::kBtree}).empty());
    EXPECT_TRUE(Tails(use, {IndexKind::kBrin}).empty());
    port_.kinds_missing = {IndexKind::kGin};
    EXPECT_FALSE(Has(Tails(use), " USING gin (email some_ops)"));
}

TEST_F(KindCandidatesTest, KeepsToTheNumberOfKeyColumns) {
    const RelationUse use{.relation = t_,
                          .predicates = {Equal(kStatus), Equal(kId), Range(kAt)},
                          .conditions = {Lower()}};
    for (const IndexSpec& spec : GenerateKinds(port_, t_, {&use}, 2, {})) {
        EXPECT_LE(spec.keys.size(), 2U);
    }
}

TEST_F(KindCandidatesTest, APartialIndexConcernsOnlyUsesThatNameItsColumns) {
    IndexSpec spec = Btree(t_, {kAt});
    spec.kind = IndexKind::kPartial;
    spec.predicate = "status = 'failed'";
    spec.predicate_columns = {kStatus};
    EXPECT_FALSE(ConcernsOtherKind(
        spec, {.relation = t_, .predicates = {Equal(kStatus)}, .order = {{kAt, false, false}}}));
    EXPECT_TRUE(ConcernsOtherKind(
        spec, {.relation = t_, .order = {{kAt, false, false}}, .conditions = {State("failed")}}));
    EXPECT_TRUE(ConcernsOtherKind(spec, {.relation = t_, .conditions = {State("failed")}}));
    EXPECT_FALSE(ConcernsOtherKind(spec, {.relation = t_, .conditions = {State("other")}}));
}

TEST_F(KindCandidatesTest, NamesTellKindsApart) {
    IndexSpec plain = Btree(t_, {kAt});
    IndexSpec failed = plain;
    failed.kind = IndexKind::kPartial;
    failed.predicate = "status = 'failed'";
    failed.predicate_columns = {kStatus};
    IndexSpec open = failed;
    open.predicate = "status = 'open'";
    IndexSpec brin = plain;
    brin.kind = IndexKind::kBrin;
    std::set<std::string> names;
    for (const IndexSpec* spec : {&plain, &failed, &open, &brin}) {
        const std::string name = DdlWriter(port_).Write(*spec).name;
        EXPECT_LE(name.size(), 63U);
        EXPECT_EQ(name, DdlWriter(port_).Write(*spec).name);
        names.insert(name);
    }
    EXPECT_EQ(names.size(), 4U);
    EXPECT_TRUE(names.count("idx_jobs_at") == 1 && names.count("idx_jobs_at_brin") == 1);
}

TEST_F(KindCandidatesTest, StepsOfAPartitionedTableBlockNobody) {
    Relation& root = port_.edit_relation(t_);
    root.is_partitioned = true;
    root.partitions = {
        {.name = "p1", .display_name = "p1"},
        {.name = "p2", .display_name = "s.p2", .schema_quoted = "s", .is_partitioned = true},
        {.name = "p2a", .display_name = "p2a", .parent = 1}};
    const IndexDdl ddl = DdlWriter(port_).Write(Btree(t_, {kAt}));
    EXPECT_EQ(ddl.create_sql, "CREATE INDEX IF NOT EXISTS idx_jobs_at ON jobs (at)");
    EXPECT_EQ(ddl.steps, (std::vector<std::string>{
                             "CREATE INDEX IF NOT EXISTS idx_jobs_at ON ONLY jobs (at)",
                             "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_p1_at ON p1 (at)",
                             "CREATE INDEX IF NOT EXISTS idx_p2_at ON ONLY s.p2 (at)",
                             "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_p2a_at ON p2a (at)",
                             "ALTER INDEX s.idx_p2_at ATTACH PARTITION idx_p2a_at",
                             "ALTER INDEX idx_jobs_at ATTACH PARTITION s.idx_p2_at",
                             "ALTER INDEX idx_jobs_at ATTACH PARTITION idx_p1_at"}));
    port_.edit_relation(t_).partitions[0].is_foreign = true;
    const IndexDdl beside_foreign = DdlWriter(port_).Write(Btree(t_, {kAt}));
    EXPECT_EQ(
        beside_foreign.steps,
        (std::vector<std::string>{"CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_p2a_at ON p2a (at)",
                                  "CREATE INDEX IF NOT EXISTS idx_jobs_at ON jobs (at)"}));
    EXPECT_EQ(beside_foreign.warnings.size(), 2U);
}

/// A sample's constants hold for one execution: what the text without values does not say is not
/// assumed of the others.
TEST_F(KindCandidatesTest, ASampleAloneMakesNoPartialIndex) {
    const RelationUse sampled{.relation = t_,
                              .predicates = {Equal(kStatus, 0.01)},
                              .order = {{kAt, false, false}},
                              .conditions = {State("failed"), Lower()}};
    RelationUse text = sampled;
    text.conditions = {Lower()};
    port_.AddStatement("text", Reads({text}));
    port_.AddStatement("sample", Reads({sampled}));
    AdviseOptions options;
    options.workload = {{.text = "text", .fingerprints = {1}, .sample = "sample"}};
    const Workload workload = AnalyseWorkload(port_, options);
    ASSERT_EQ(workload.items.size(), 1U);
    ASSERT_TRUE(workload.items[0].is_sampled);
    const std::vector<KindCondition>& kept = workload.items[0].statement.uses[0].conditions;
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept[0].kind, IndexKind::kExpression);
    options.workload[0].sample.clear();
    options.workload[0].text = "sample";  // the caller's own constants
    EXPECT_EQ(AnalyseWorkload(port_, options).items[0].statement.uses[0].conditions.size(), 2U);
}

}  // namespace
}  // namespace upkeep::advisor
