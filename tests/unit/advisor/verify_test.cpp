// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/verify.h"

#include <gtest/gtest.h>

namespace upkeep::advisor {
namespace {

TEST(JudgeTest, AClearDifferenceIsTold) {
    EXPECT_EQ(Judge({{100, 101, 99}, {10, 11, 10}}, true), Verdict::kBetter);
    EXPECT_EQ(Judge({{10, 11, 10}, {100, 101, 99}}, true), Verdict::kWorse);
    EXPECT_EQ(Judge({{100, 100, 100}, {94, 94, 94}}, true), Verdict::kBetter);
    EXPECT_EQ(Judge({{100, 100, 100}, {106, 106, 106}}, true), Verdict::kWorse);
}

TEST(JudgeTest, ADifferenceWithinTheSpreadIsNone) {
    EXPECT_EQ(Judge({{100, 140, 180}, {70, 100, 130}}, true), Verdict::kSame);
    EXPECT_EQ(Judge({{100, 100, 100}, {96, 96, 96}}, true), Verdict::kSame);  // below 5 %
    EXPECT_EQ(Judge({{100, 100, 100}, {104, 104, 104}}, true), Verdict::kSame);
}

TEST(JudgeTest, OneDisturbedRunHidesNoLargeDifference) {
    EXPECT_EQ(Judge({{100, 101, 400}, {1, 1.1, 1}}, true), Verdict::kBetter);
    EXPECT_EQ(Judge({{1, 1.1, 30}, {1.2, 1.3, 1.2}}, true), Verdict::kSame);
}

TEST(JudgeTest, WithoutAnotherPlanItIsTheSame) {
    EXPECT_EQ(Judge({{100, 101, 99}, {10, 11, 10}}, false), Verdict::kSame);
}

TEST(JudgeTest, OneRunHasNoSpread) {
    EXPECT_EQ(Judge({{100}, {50}}, true), Verdict::kSame);
    EXPECT_EQ(Judge({{100}, {30}}, true), Verdict::kBetter);
    EXPECT_EQ(Judge({{0}, {0}}, true), Verdict::kSame);
    EXPECT_EQ(Judge({{}, {}}, true), Verdict::kNotTestable);
}

TEST(MedianTest, OfEvenAndOdd) {
    EXPECT_EQ(Median({3, 1, 2}), 2);
    EXPECT_EQ(Median({4, 1, 2, 3}), 2.5);
    EXPECT_EQ(Median({}), 0);
}

class Rows : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

/// Times by statement text; everything it is asked for is written down.
class FakeVerifier : public Verifier {
  public:
    Result<void> Check(const TextArray&, int64_t) override {
        calls += "check ";
        return {};
    }
    Result<Examined> Examine(const WorkloadStatement& statement) override {
        if (statement.text == "broken") {
            return Error(Code::kInvalidArgument, "it does not parse");
        }
        texts.push_back(statement.text);
        return Examined{.reads_indexed_table = statement.text.find("elsewhere") != 0,
                        .not_run_because = statement.text == "writes" ? "it writes" : ""};
    }
    Result<void> Build() override {
        calls += "build ";
        return {};
    }
    Result<Compared> Compare(size_t number) override {
        return Compared{.is_plan_changed = texts[number] != "useless",
                        .not_testable_because = texts[number] == "old" ? "not yet" : ""};
    }
    Result<double> Run(size_t number, bool with_indexes) override {
        calls += with_indexes ? "+" : "-";
        if (is_over_after-- <= 0) {
            is_over = true;
            return Error(Code::kInterrupted, "over");
        }
        if (texts[number] == "fails") {
            return Error(Code::kHost, "its values");
        }
        return texts[number] == "harmed" ? (with_indexes ? 900 : 100) : (with_indexes ? 100 : 900);
    }
    void TakeBack() override { calls += " back"; }
    void SetLimit(int64_t) override {}
    bool IsOver() const override { return is_over; }
    void Tell(const std::string&) override {}
    Dialect dialect() const override { return {}; }
    std::string_view price() const override { return "it costs"; }

    std::string calls;
    std::vector<std::string> texts;
    int is_over_after = 1000;
    bool is_over = false;
};

struct Answer {
    std::string verdicts;
    std::string error;
    std::string calls;
};

Answer Ask(const Value& statements, std::vector<WorkloadStatement> captured = {}, int64_t runs = 3,
           bool confirm = true, int is_over_after = 1000) {
    const Arguments arguments(
        *FindCall("verify_indexes"),
        {TextArray{"CREATE INDEX"}, statements, runs, int64_t{1000}, int64_t{1000}, confirm});
    FakeVerifier fake;
    fake.is_over_after = is_over_after;
    Rows rows;
    Answer answer;
    const Result<void> done = VerifyIndexes(
        arguments, fake, [&] { return captured; }, rows);
    answer.error = done.ok() ? "" : done.error().message() + "|" + done.error().hint();
    for (const Row& row : rows.rows) {
        answer.verdicts += std::get<std::string>(row[0]) + "=" + std::get<std::string>(row[5]) +
                           (IsNull(row[1]) ? "(-)" : "") + " ";
    }
    answer.calls = fake.calls;
    return answer;
}

TEST(VerifyTest, RunsAreInterleavedAndTakenBackBeforeRows) {
    const Answer answer = Ask(TextArray{"useful"});
    EXPECT_EQ(answer.verdicts, "useful=better ");
    EXPECT_EQ(answer.calls, "check build -+-++--+ back");
}

TEST(VerifyTest, EachVerdict) {
    EXPECT_EQ(Ask(TextArray{"useful", "useless", "harmed", "writes", "old"}).verdicts,
              "useful=better useless=same harmed=worse writes=not_testable_now(-) "
              "old=not_testable_now(-) ");
}

TEST(VerifyTest, NothingIsDoneWithoutAYes) {
    const Answer answer = Ask(TextArray{"useful"}, {}, 3, false);
    EXPECT_NE(answer.error.find("wants a yes|it costs"), std::string::npos);
    EXPECT_EQ(answer.calls, "");
}

TEST(VerifyTest, WhatDoesNotParseIsNamedBeforeAnythingIsBuilt) {
    const Answer answer = Ask(TextArray{"useful", "broken"});
    EXPECT_EQ(answer.error.find("statement 2: it does not parse"), 0U);
    EXPECT_EQ(answer.calls, "check ");
    EXPECT_NE(Ask(TextArray{}).error, "");
    EXPECT_NE(Ask(TextArray{" "}).error, "");
    EXPECT_NE(Ask(TextArray{"useful"}, {}, 0).error, "");
    EXPECT_NE(Ask(TextArray{"useful"}, {}, 101).error, "");
}

TEST(VerifyTest, CapturedOnesByTimeAndOnlyOnTheseTables) {
    std::vector<WorkloadStatement> captured = {{.text = "broken", .weight = 50},
                                               {.text = "rare", .weight = 1},
                                               {.text = "elsewhere", .weight = 90},
                                               {.text = "harmed", .weight = 9}};
    EXPECT_EQ(Ask(Value(), captured).verdicts, "harmed=worse rare=better ");
    captured.resize(40, {.text = "many", .weight = 5});
    const Answer many = Ask(Value(), captured);
    EXPECT_EQ(std::count(many.verdicts.begin(), many.verdicts.end(), '='), 20);
    EXPECT_NE(Ask(Value(), {{.text = "elsewhere"}}).error, "");
}

TEST(VerifyTest, AFailureOfACapturedStatementIsNotTold) {
    EXPECT_EQ(Ask(Value(), {{.text = "fails"}}).verdicts, "fails=not_testable_now(-) ");
    EXPECT_NE(Ask(TextArray{"fails"}).error.find("its values"), std::string::npos);
}

TEST(VerifyTest, WholeRoundsUntilTheLimitCount) {
    EXPECT_EQ(Ask(TextArray{"useful", "harmed"}, {}, 3, true, 5).verdicts,
              "useful=better harmed=not_testable_now(-) ");
    EXPECT_EQ(Ask(TextArray{"useful"}, {}, 3, true, 3).verdicts, "useful=not_testable_now(-) ");
}

}  // namespace
}  // namespace upkeep::advisor
