// The SQL bodies: every argument error, and the rows as they leave the core.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <limits>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class Rows : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

class BodiesTest : public testing::Test {
  protected:
    BodiesTest() {
        t_ = port_.AddRelation("t", 1e6, {{"a", 1000}, {"B", 1000}});
        Statement mixed = Reads({{.relation = t_,
                                  .predicates = {Equal(0, -1, "a = …")},
                                  .order = {{1, true, false}},
                                  .group = {},
                                  .needed = {},
                                  .has_limit = true}});
        port_.AddStatement("good", mixed);
        port_.AddIndexText("create index x on t (a)", Btree(t_, {0}));
    }

    static Arguments Given(const char* call_name, std::map<std::string, Value> given) {
        const TableFunction* call = FindCall(call_name);
        std::vector<Value> values;
        for (const Parameter& parameter : call->parameters) {
            const auto found = given.find(std::string(parameter.name));
            values.push_back(found != given.end()
                                 ? found->second
                                 : DefaultValue(*call, parameter, false).OrThrow());
        }
        return Arguments(*call, std::move(values));
    }

    Result<void> Advised(std::map<std::string, Value> given) {
        given.try_emplace("workload", TextArray{"good"});
        rows_.rows.clear();
        return AdviseIndexes(Given("advise_indexes", std::move(given)), captured_, port_, rows_);
    }
    void ExpectRefused(std::map<std::string, Value> given, const std::string& words,
                       Code code = Code::kInvalidArgument) {
        SCOPED_TRACE(words);
        const Result<void> result = Advised(std::move(given));
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code(), code);
        EXPECT_NE(result.error().message().find(words), std::string::npos)
            << result.error().message();
        EXPECT_FALSE(result.error().hint().empty());
        EXPECT_TRUE(rows_.rows.empty());
    }
    Result<void> Assumed(Value statement, Value indexes) {
        rows_.rows.clear();
        return WhatIfCall(Given("what_if", {{"statement", std::move(statement)},
                                            {"indexes", std::move(indexes)}}),
                          port_, rows_);
    }

    FakeWhatIf port_;
    RelationId t_ = 0;
    Rows rows_;
    Result<std::vector<WorkloadStatement>> captured_ =
        Error(Code::kUnsupported, "nothing was captured", "give a workload");
};

TEST_F(BodiesTest, RefusesEveryBadArgumentWithAHint) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    ExpectRefused({{"workload", TextArray{}}}, "workload is empty");
    ExpectRefused({{"workload", TextArray{" ;\n"}}}, "statement is empty");
    ExpectRefused({{"workload", TextArray{"good", ""}}}, "statement 2 is empty");
    ExpectRefused({{"workload", TextArray{"good", "\xFF"}}}, "statement 2 is not valid UTF-8");
    ExpectRefused({{"workload", TextArray{std::string("a\0b", 3)}}}, "NUL");
    ExpectRefused({{"workload", TextArray{"good", "bad"}}}, "statement 2: syntax error");
    ExpectRefused({{"weights", Float8Array{}}}, "weights has 0 elements, workload has 1");
    ExpectRefused({{"weights", Float8Array{1, 2}}}, "weights has 2 elements");
    for (const double weight : {0.0, -1.0, nan, infinity}) {
        ExpectRefused({{"weights", Float8Array{weight}}}, "weight of statement");
    }
    ExpectRefused({{"weights", Float8Array{1e308}}}, "too large");
    ExpectRefused({{"workload", Value()}, {"weights", Float8Array{1}}}, "without a workload");
    ExpectRefused({{"workload", Value()}}, "nothing was captured", Code::kUnsupported);
    for (const int64_t budget : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
        ExpectRefused({{"budget_bytes", budget}}, "budget_bytes must be above 0");
    }
    for (const int64_t columns :
         {int64_t{0}, int64_t{-3}, int64_t{9}, int64_t{99}, std::numeric_limits<int64_t>::max()}) {
        ExpectRefused({{"max_columns", columns}}, "max_columns must be between 1 and 8");
    }
    ExpectRefused({{"max_columns", Value()}}, "max_columns must not be null");
    ExpectRefused({{"time_limit", int64_t{0}}}, "time_limit must be above 0");
    ExpectRefused({{"time_limit", int64_t{-5}}}, "time_limit must be above 0");
    for (const double ratio : {-0.1, 1.1, nan, infinity}) {
        ExpectRefused({{"min_saving_ratio", ratio}}, "min_saving_ratio must be between 0 and 1");
    }
    ExpectRefused({{"kinds", TextArray{"hash"}}}, "unknown kind of index \"hash\"");
    ExpectRefused({{"kinds", TextArray{std::string(5000, 'k')}}}, "...\"");
    ExpectRefused({{"kinds", TextArray{}}}, "kinds is empty");
    port_.kinds_missing = {IndexKind::kGin};
    ExpectRefused({{"kinds", TextArray{"btree", "gin"}}}, "the fake has no such kind",
                  Code::kUnsupported);
    EXPECT_EQ(Advised({{"kinds", TextArray{"gin"}}}).error().hint(),
              "leave it out; kinds that can be had here: btree, covering, partial, expression, "
              "brin, trigram");
    EXPECT_EQ(port_.planner_calls, 1);  // only the sum of the weights needs a price
}

TEST_F(BodiesTest, WritesRowsAsTheCallDescribesThem) {
    ASSERT_TRUE(Advised({{"kinds", TextArray{"btree", "covering"}}}).ok());
    ASSERT_EQ(rows_.rows.size(), 1U);
    const Row& row = rows_.rows[0];
    const TableFunction* call = FindCall("advise_indexes");
    ASSERT_EQ(row.size(), call->columns.size());
    EXPECT_EQ(std::get<int64_t>(row[0]), 1);
    EXPECT_EQ(std::get<std::string>(row[1]), "t");
    EXPECT_EQ(std::get<TextArray>(row[2]), (TextArray{"a", "\"B\" NULLS FIRST"}));
    EXPECT_EQ(std::get<std::string>(row[3]), "btree");
    EXPECT_EQ(std::get<int64_t>(row[6]), 24'000'000);
    EXPECT_EQ(std::get<double>(row[7]), port_.Direct(0, {}).cost);
    EXPECT_EQ(std::get<double>(row[10]), 0.0);
    EXPECT_EQ(std::get<BigintArray>(row[11]), BigintArray{1001});
    EXPECT_EQ(std::get<std::string>(row[12]),
              "a = …, then order by \"B\" desc; used by 1 statement");
    EXPECT_EQ(std::get<TextArray>(row[14]), TextArray{std::get<std::string>(row[4])});
}

TEST_F(BodiesTest, WritesOneRowForEachBudget) {
    const auto curve = [&](std::map<std::string, Value> given) {
        given.try_emplace("workload", TextArray{"good"});
        given.try_emplace("weights", Value());
        rows_.rows.clear();
        return AdviseBudgetCurve(Given("advise_budget_curve", std::move(given)), captured_, port_,
                                 rows_);
    };
    ASSERT_TRUE(curve({{"budgets", BigintArray{24'000'000, 1000}}}).ok());
    ASSERT_EQ(rows_.rows.size(), 2U);
    EXPECT_EQ(rows_.rows[0].size(), FindCall("advise_budget_curve")->columns.size());
    EXPECT_EQ(std::get<int64_t>(rows_.rows[0][0]), 24'000'000);
    EXPECT_EQ(std::get<int64_t>(rows_.rows[0][1]), 24'000'000);
    EXPECT_EQ(std::get<TextArray>(rows_.rows[0][5]).size(), 1U);
    EXPECT_EQ(std::get<double>(rows_.rows[1][2]), std::get<double>(rows_.rows[1][3]));
    EXPECT_EQ(std::get<double>(rows_.rows[1][4]), 0);
    const std::vector<std::pair<Value, std::string>> refused = {
        {BigintArray{}, "budgets is empty"},
        {BigintArray(101, 7), "budgets has 101 elements"},
        {BigintArray{5, 0}, "every budget must be above 0"},
        {Value(), "budgets must not be null"}};
    for (const auto& [budgets, words] : refused) {
        const Result<void> result = curve({{"budgets", budgets}});
        ASSERT_FALSE(result.ok()) << words;
        EXPECT_NE(result.error().message().find(words), std::string::npos)
            << result.error().message();
        EXPECT_FALSE(result.error().hint().empty());
        EXPECT_TRUE(rows_.rows.empty());
    }
    EXPECT_FALSE(curve({{"budgets", BigintArray{5}}, {"max_columns", int64_t{0}}}).ok());
}

TEST_F(BodiesTest, TakesTheCapturedWorkloadForNull) {
    captured_ = std::vector<WorkloadStatement>{{"good", 5}, {"dropped table", 1}};
    ASSERT_TRUE(Advised({{"workload", Value()}}).ok());
    ASSERT_EQ(rows_.rows.size(), 1U);
    EXPECT_EQ(std::get<double>(rows_.rows[0][7]), 5 * port_.Direct(0, {}).cost);
}

TEST_F(BodiesTest, WeighsStatements) {
    ASSERT_TRUE(Advised({{"weights", Float8Array{2.5}}}).ok());
    EXPECT_EQ(std::get<double>(rows_.rows.at(0)[7]), 2.5 * port_.Direct(0, {}).cost);
}

TEST_F(BodiesTest, WhatIfComparesPlans) {
    ASSERT_TRUE(Assumed("good", TextArray{"create index x on t (a)"}).ok());
    ASSERT_EQ(rows_.rows.size(), 1U);
    const Row& row = rows_.rows[0];
    ASSERT_EQ(row.size(), FindCall("what_if")->columns.size());
    EXPECT_LT(std::get<double>(row[1]), std::get<double>(row[0]));
    EXPECT_EQ(std::get<TextArray>(row[4]), TextArray{"fake_0"});
    ASSERT_TRUE(Assumed("good", TextArray{}).ok());
    EXPECT_EQ(rows_.rows[0][0], rows_.rows[0][1]);
}

TEST_F(BodiesTest, WhatIfRefusesBadInput) {
    auto expect = [&](Value statement, Value indexes, const std::string& words) {
        SCOPED_TRACE(words);
        const Result<void> result = Assumed(std::move(statement), std::move(indexes));
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
        EXPECT_NE(result.error().message().find(words), std::string::npos)
            << result.error().message();
        EXPECT_FALSE(result.error().hint().empty());
        EXPECT_TRUE(rows_.rows.empty());
    };
    const TextArray good = {"create index x on t (a)"};
    expect(Value(), good, "statement must not be null");
    expect("good", Value(), "indexes must not be null");
    expect("  ", good, "statement is empty");
    expect("bad", good, "syntax error");
    expect("good", TextArray{"drop table t"}, "this is no CREATE INDEX");
    expect("good", TextArray{good[0], "drop table t"}, "index 2: this is no CREATE INDEX");
    expect("good", TextArray{good[0], ""}, "index 2 is empty");
}

TEST_F(BodiesTest, WhatIfStopsAndLetsForeignUnwindingsPass) {
    for (int64_t n = 1; n <= 3; ++n) {
        FakeWhatIf& port = port_;
        port.stop_questions = 0;
        port.stop_at = n;
        const Result<void> result = Assumed("good", TextArray{"create index x on t (a)"});
        ASSERT_FALSE(result.ok());
        EXPECT_EQ(result.error().code(), Code::kInterrupted);
    }
    port_.stop_at = 0;
    for (int64_t n = 1; n <= 4; ++n) {
        port_.calls = 0;
        port_.throw_at = n;
        EXPECT_THROW((void)Assumed("good", TextArray{"create index x on t (a)"}), ForeignUnwinding);
    }
}

}  // namespace
}  // namespace upkeep::advisor
