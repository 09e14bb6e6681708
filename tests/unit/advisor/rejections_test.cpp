// Why a candidate is not advised: each reason on the fake port.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include "fake_what_if.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {
namespace {

class Rows : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

class RejectionsTest : public testing::Test {
  protected:
    RejectionsTest() {
        t_ = port_.AddRelation("t", 1e6, {{"a", 1000}, {"b", 1000}, {"box", 1000, false}});
        AddRead("read a", t_, 0);
        AddRead("read b", t_, 1);
    }

    void AddRead(const std::string& text, RelationId relation, int column) {
        port_.AddStatement(text, Reads({{.relation = relation,
                                         .predicates = {Equal(column, -1, "x = …")},
                                         .needed = {column}}}));
    }

    /// The reason of the B-tree on this one column; empty: there is no such row.
    std::string Because(std::map<std::string, Value> given, const std::string& column) {
        const TableFunction* call = FindCall("explain_rejections");
        std::vector<Value> values;
        for (const Parameter& parameter : call->parameters) {
            const auto found = given.find(std::string(parameter.name));
            values.push_back(found != given.end()
                                 ? found->second
                                 : DefaultValue(*call, parameter, false).OrThrow());
        }
        rows_.rows.clear();
        const std::vector<WorkloadStatement> none;
        ExplainRejections(Arguments(*call, std::move(values)), none, port_, rows_).OrThrow();
        for (const Row& row : rows_.rows) {
            if (row[1] == Value(TextArray{column}) && row[2] == Value(std::string("btree"))) {
                return std::get<std::string>(row[6]);
            }
        }
        return "";
    }

    FakeWhatIf port_;
    RelationId t_ = -1;
    Rows rows_;
};

TEST_F(RejectionsTest, WhatTheHostDeclinesHasARowInItsWords) {
    EXPECT_EQ(Because({{"workload", TextArray{"read b"}}}, "b"), "");
    port_.refused_column = 1;
    EXPECT_EQ(Because({{"workload", TextArray{"read b"}}}, "b"),
              "no such index can be made: cannot hypothesise this");
}

TEST_F(RejectionsTest, TheAdvisedOneIsNoRow) {
    EXPECT_EQ(Because({{"workload", TextArray{"read a"}}}, "a"), "");
}

TEST_F(RejectionsTest, OverBudget) {
    EXPECT_EQ(Because({{"workload", TextArray{"read a"}}, {"budget_bytes", int64_t{10}}}, "a")
                  .substr(0, 11),
              "over budget");
}

TEST_F(RejectionsTest, SavesTooLittle) {
    const std::string because = Because(
        {{"workload", TextArray{"read a", "read b"}}, {"weights", Float8Array{1e6, 1}}}, "b");
    EXPECT_NE(because.find("less than min_saving_ratio (1 %)"), std::string::npos) << because;
}

TEST_F(RejectionsTest, UpperBoundsAfterTheTimeLimitSayThatTheyAre) {
    const std::map<std::string, Value> asked = {{"workload", TextArray{"read a", "read b"}},
                                                {"weights", Float8Array{1e6, 1}}};
    EXPECT_EQ(Because(asked, "b").find("upper bound"), std::string::npos);
    port_.ms_per_call = 60'000;
    EXPECT_NE(Because(asked, "b").find("time_limit was over: its cost_after is an upper bound"),
              std::string::npos);
}

TEST_F(RejectionsTest, NoOperatorClass) {
    AddRead("read box", t_, 2);
    const std::string because = Because({{"workload", TextArray{"read a", "read box"}}}, "box");
    EXPECT_NE(because.find("operator class"), std::string::npos) << because;
}

TEST_F(RejectionsTest, ExistingIndexIsNamed) {
    IndexSpec spec;
    spec.relation = t_;
    IndexKey key;
    key.column = 1;
    spec.keys.push_back(key);
    port_.edit_relation(t_).indexes.push_back({.name = "t_b", .spec = spec, .size_bytes = 5});
    EXPECT_EQ(Because({{"workload", TextArray{"read a", "read b"}}}, "b"),
              "existing index t_b provides it already");
}

TEST_F(RejectionsTest, RelationWithoutIndexes) {
    const RelationId f = port_.AddRelation("f", 1e6, {{"c", 1000}});
    port_.edit_relation(f).no_index_because = "it is a foreign table";
    AddRead("read f", f, 0);
    const std::string because = Because({{"workload", TextArray{"read a", "read f"}}}, "c");
    EXPECT_NE(because.find("foreign table"), std::string::npos) << because;
}

}  // namespace
}  // namespace upkeep::advisor
