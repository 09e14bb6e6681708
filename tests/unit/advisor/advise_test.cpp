// The advisor's answers on small workloads whose right answer is known.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/advise.h"

#include <gtest/gtest.h>

#include "fake_what_if.h"

namespace upkeep::advisor {
namespace {

bool Mentions(const std::vector<std::string>& lines, const std::string& words) {
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
        return line.find(words) != std::string::npos;
    });
}

class AdviseTest : public testing::Test {
  protected:
    AdviseTest() {
        t_ = port_.AddRelation(
            "executions", 1e6,
            {{"id", 1e6}, {"workflow_id", 500}, {"status", 5}, {"started_at", 9e5}});
    }

    void Add(const std::string& text, RelationUse use, double weight = 1) {
        use.relation = t_;
        port_.AddStatement(text, Reads({std::move(use)}));
        options_.workload.push_back({text, weight});
    }
    void AddWrite(const std::string& text, double weight) {
        Statement insert;
        insert.kind = StatementKind::kInsert;
        insert.written = {t_};
        port_.AddStatement(text, insert);
        options_.workload.push_back({text, weight});
    }
    Advice Ask() { return Advise(port_, options_).OrThrow(); }

    FakeWhatIf port_;
    RelationId t_ = 0;
    AdviseOptions options_;
};

TEST_F(AdviseTest, NamesPredicatesAndOrderInTheReason) {
    const RelationUse latest{
        .predicates = {Equal(1, 0.002, "workflow_id = …"), Equal(2, 0.2, "status = …")},
        .order = {{3, true, true}},
        .group = {},
        .needed = {},
        .has_limit = true};
    Add("latest", latest);
    Add("latest again", latest);
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    const AdvisedIndex& index = advice.indexes[0];
    EXPECT_EQ(index.reason,
              "workflow_id = … and status = …, then order by started_at desc; used by 2 "
              "statements");
    EXPECT_EQ(index.fingerprints, (std::vector<int64_t>{1001, 1002}));
    EXPECT_EQ(index.create_sql,
              "CREATE INDEX CONCURRENTLY IF NOT EXISTS "
              "idx_executions_workflow_id_status_started_at ON executions (workflow_id, status, "
              "started_at)");
    EXPECT_TRUE(index.warnings.empty());
    EXPECT_EQ(index.write_cost, 0.0);
}

TEST_F(AdviseTest, TellsSeveralUsesApart) {
    Add("by workflow", {.predicates = {Equal(1, 0.002, "workflow_id = …")}}, 100);
    Add("in workflow",
        {.predicates = {Equal(1, 0.002, "workflow_id = …"), Range(3, 0.01, "started_at >= …")}});
    options_.max_columns = 2;
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_NE(advice.indexes[0].reason.find("used by 2 statements"), std::string::npos);
    EXPECT_NE(advice.indexes[0].reason.find("workflow_id = …"), std::string::npos);
}

TEST_F(AdviseTest, ProposesNothingWhereNothingHelps) {
    Add("all", {});
    EXPECT_TRUE(Ask().indexes.empty());
    options_.workload.clear();
    port_.AddStatement("select 1", Reads({}));
    options_.workload = {{"select 1", 1}};
    EXPECT_TRUE(Ask().indexes.empty());
    options_.workload.clear();
    Add("by id", {.predicates = {Equal(0)}});
    port_.edit_relation(t_).indexes = {{"pk", Btree(t_, {0}), 1e7, true, true}};
    EXPECT_TRUE(Ask().indexes.empty());
}

TEST_F(AdviseTest, FindsPairsThatGainNothingOneByOne) {
    port_.AddStatement("either", Reads({{.relation = t_, .predicates = {Equal(0), Equal(1)}}}),
                       {0, 1});
    options_.workload = {{"either", 1}};
    options_.max_columns = 1;
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 2U);
    EXPECT_EQ(advice.indexes[0].cost_after, advice.baseline_cost);
    EXPECT_TRUE(Mentions(advice.indexes[0].warnings, "only together"));
    EXPECT_LT(advice.indexes[1].cost_after, advice.baseline_cost / 10);
    EXPECT_FALSE(advice.indexes[0].fingerprints.empty());
}

TEST_F(AdviseTest, AsksThePlannerNoMoreOnceTimeIsUp) {
    for (int i = 0; i < 40; ++i) {
        Add("statement " + std::to_string(i),
            {.predicates = {Equal(i % 4, 0.01), Equal((i + 1) % 4, 0.01),
                            Equal((i + 2) % 4, 0.1)}});
    }
    const Advice whole = Ask();
    EXPECT_TRUE(whole.is_complete);
    const int64_t unlimited = port_.planner_calls;
    for (const int64_t limit : {50, 100, 200}) {
        port_.planner_calls = 0;
        port_.now_ms = 0;
        port_.ms_per_call = 1;
        options_.time_limit_ms = limit;
        const Advice advice = Ask();
        EXPECT_FALSE(advice.is_complete);
        // the baseline and the final set are planned whatever it takes, one call a statement each
        EXPECT_LE(port_.planner_calls, limit + 40);
        EXPECT_LT(port_.planner_calls, unlimited);
    }
}

TEST_F(AdviseTest, WeighsWritesAgainstReads) {
    Add("by workflow", {.predicates = {Equal(1)}});
    AddWrite("insert", 1000);
    port_.write_cost_per_key = 1;
    Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].write_cost, 1000.0);
    EXPECT_TRUE(Mentions(advice.indexes[0].warnings,
                         "makes statement 2 (fingerprint 1002) slower"
                         " by 100 %"));
    port_.write_cost_per_key = 20;
    EXPECT_TRUE(Mentions(Ask().indexes.at(0).warnings,
                         "makes statement 2 (fingerprint 1002) slower: costs 21.00 each time "
                         "instead of 1.00"));
    const double with_writes = advice.indexes[0].cost_after;
    port_.write_cost_per_key = 0;
    EXPECT_NEAR(Ask().indexes[0].cost_after, with_writes - 1000, 1e-6);
    port_.write_cost_per_key = 5000;
    EXPECT_TRUE(Ask().indexes.empty());
    port_.write_cost_per_key = std::nullopt;
    advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].write_cost, std::nullopt);
    EXPECT_TRUE(Mentions(advice.indexes[0].warnings, "writes of this workload are not priced yet"));
}

TEST_F(AdviseTest, WarnsAsACarefulPersonWould) {
    Add("by workflow", {.predicates = {Equal(1, 0.001)}});
    port_.edit_relation(t_).rows = 500;
    port_.edit_relation(t_).columns[1].distinct_count = 0;
    for (int i = 0; i < 8; ++i) {
        port_.edit_relation(t_).indexes.push_back(
            {"e" + std::to_string(i), Btree(t_, {3}), 1, false, false});
    }
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 1U);
    const std::vector<std::string>& warnings = advice.indexes[0].warnings;
    EXPECT_TRUE(Mentions(warnings, "table is small (about 500 rows)"));
    EXPECT_TRUE(Mentions(warnings, "9 indexes"));
    EXPECT_TRUE(Mentions(warnings, "no statistics for workflow_id: run ANALYZE"));
}

TEST_F(AdviseTest, SaysThatGenericPricesMayDiffer) {
    Statement statement = Reads({{.relation = t_, .predicates = {Equal(1)}}});
    statement.is_generic = true;
    port_.AddStatement("generic", statement);
    options_.workload = {{"generic", 1}};
    EXPECT_TRUE(Mentions(Ask().indexes[0].warnings, "parameters without values"));
}

TEST_F(AdviseTest, AddsUpEqualTextsAndPlansThemOnce) {
    Add("by workflow", {.predicates = {Equal(1)}}, 2);
    options_.workload.push_back({"by workflow", 3});
    const Advice advice = Ask();
    EXPECT_NEAR(advice.baseline_cost, 5 * (1e6 + 1), 1e-3);
    EXPECT_EQ(advice.indexes[0].fingerprints.size(), 1U);
}

TEST_F(AdviseTest, PlansTheFinalSetFromScratch) {
    Add("by workflow", {.predicates = {Equal(1)}});
    Add("by id", {.predicates = {Equal(0)}});
    options_.max_columns = 1;
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 2U);
    // Each statement is concerned by one of the two; that very set is planned at least twice: once
    // by the tree, once for the answer.
    for (StatementId statement = 0; statement < 2; ++statement) {
        std::map<std::vector<IndexId>, int> times;
        for (const auto& [id, indexes] : port_.planned) {
            times[indexes] += id == statement ? 1 : 0;
        }
        EXPECT_GE(times[{advice.indexes[statement == 0 ? 0 : 1].id}] +
                      times[{advice.indexes[statement == 0 ? 1 : 0].id}],
                  2);
    }
    EXPECT_EQ(advice.planner_calls, port_.planner_calls);
}

/// A host that breaks the price-reuse rule: an index on `id` helps only where at least
/// three are in sight.
class MoodyWhatIf : public FakeWhatIf {
  public:
    Result<Price> PriceWith(StatementId id, std::span<const IndexId> indexes) override {
        Result<Price> price = FakeWhatIf::PriceWith(id, indexes);
        if (price.ok() && indexes.size() < 3) {
            for (const IndexId used : price.value().used) {
                if (spec(used).keys.front().column == 0) {
                    price.value().cost = Direct(id, {}).cost;
                }
            }
        }
        return price;
    }
};

TEST(AdviseMoodyTest, DropsWhatTheFinalPlansDoNotConfirm) {
    MoodyWhatIf port;
    const RelationId t = port.AddRelation("t", 1e6, {{"id", 1e6}, {"at", 1e5}, {"size", 1e5}});
    port.AddStatement(
        "by id", Reads({{.relation = t, .predicates = {Equal(0), Range(1, 0.9), Range(2, 0.9)}}}));
    port.AddStatement("by time", Reads({{.relation = t, .predicates = {Range(1, 0.01)}}}));
    AdviseOptions options;
    options.workload = {{"by id", 1}, {"by time", 1}};
    options.max_columns = 1;
    const Advice advice = Advise(port, options).OrThrow();
    ASSERT_EQ(advice.indexes.size(), 1U);
    EXPECT_EQ(advice.indexes[0].spec.keys.front().column, 1);
    EXPECT_LT(advice.indexes[0].cost_after, advice.indexes[0].cost_before);
}

TEST_F(AdviseTest, LeavesOutRowsThatSaveTooLittle) {
    Add("everything", {}, 1000);
    Add("small", {.predicates = {Equal(1)}}, 1);
    EXPECT_TRUE(Ask().indexes.empty());
    options_.min_saving_ratio = 0;
    EXPECT_EQ(Ask().indexes.size(), 1U);
    options_.min_saving_ratio = 1;
    EXPECT_TRUE(Ask().indexes.empty());
}

TEST_F(AdviseTest, MeasuresASavingByWhatTheRowsBeforeItLeave) {
    Add("big", {.predicates = {Equal(0)}}, 1000);
    Add("small", {.predicates = {Equal(1)}}, 1);
    const Advice advice = Ask();
    ASSERT_EQ(advice.indexes.size(), 2U);
    const AdvisedIndex& small = advice.indexes[1];
    EXPECT_LT(small.cost_before - small.cost_after, 0.01 * advice.baseline_cost);
    EXPECT_GE(small.cost_before - small.cost_after, 0.01 * small.cost_before);
}

TEST_F(AdviseTest, LeavesOutWhatTheHostCannotHypothesise) {
    Add("by workflow", {.predicates = {Equal(1)}});
    port_.refused_column = 1;
    EXPECT_TRUE(Ask().indexes.empty());
}

TEST_F(AdviseTest, KeepsTheBudgetToTheByte) {
    Add("by workflow", {.predicates = {Equal(1)}});
    options_.max_columns = 1;
    options_.budget_bytes = 16'000'000;  // exactly one single-column index of the fake
    EXPECT_EQ(Ask().indexes.size(), 1U);
    options_.budget_bytes = 15'999'999;
    EXPECT_TRUE(Ask().indexes.empty());
}

TEST_F(AdviseTest, NamesTheStatementThatFails) {
    Add("by workflow", {.predicates = {Equal(1)}});
    options_.workload.push_back({"selec 1", 1});
    const Result<Advice> advice = Advise(port_, options_);
    ASSERT_FALSE(advice.ok());
    EXPECT_EQ(advice.error().code(), Code::kInvalidArgument);
    EXPECT_EQ(advice.error().message(), "statement 2: syntax error in \"selec 1\"");
    EXPECT_FALSE(advice.error().hint().empty());

    options_.workload = {{std::string(1 << 20, 'x'), 1}};
    const Result<Advice> large = Advise(port_, options_);
    ASSERT_FALSE(large.ok());
    EXPECT_LT(large.error().message().size(), 1000U);
    EXPECT_EQ(large.error().message().rfind("syntax error", 0), 0U);  // no number for a single one
}

TEST_F(AdviseTest, SkipsCapturedStatementsThatDoNotPlan) {
    Add("by workflow", {.predicates = {Equal(1)}});
    options_.workload.push_back({"selec 1", 1});
    options_.skip_unusable = true;
    EXPECT_EQ(Ask().indexes.size(), 1U);
    options_.workload = {{"selec 1", 1}};
    const Result<Advice> none = Advise(port_, options_);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code(), Code::kUnsupported);
    EXPECT_FALSE(none.error().hint().empty());
}

TEST_F(AdviseTest, SaysWhyNoRelationCanBeIndexed) {
    Add("by workflow", {.predicates = {Equal(1)}});
    port_.edit_relation(t_).no_index_because = "it is a foreign table";
    const Result<Advice> advice = Advise(port_, options_);
    ASSERT_FALSE(advice.ok());
    EXPECT_EQ(advice.error().code(), Code::kUnsupported);
    EXPECT_EQ(advice.error().message(),
              "no index can be proposed for executions: it is a foreign table");
    EXPECT_FALSE(advice.error().hint().empty());

    const RelationId other = port_.AddRelation("other", 1e5, {{"a", 1000}});
    port_.AddStatement("other", Reads({{.relation = other, .predicates = {Equal(0)}}}));
    options_.workload.push_back({"other", 100});
    EXPECT_EQ(Ask().indexes.size(), 1U);
}

}  // namespace
}  // namespace upkeep::advisor
