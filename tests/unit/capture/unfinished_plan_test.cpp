// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/unfinished_plan.h"

#include <gtest/gtest.h>

namespace upkeep::capture {
namespace {

std::string NameOf(uint32_t relation) {
    return relation == 7 ? "a \"t\"" : relation == 8 ? "i" : "";
}

std::string Json(std::initializer_list<UnfinishedNode> nodes, uint32_t left_out = 0) {
    return UnfinishedJson(PackUnfinished(std::vector<UnfinishedNode>(nodes), left_out), NameOf);
}

TEST(UnfinishedPlanTest, NestsAsExplainDoes) {
    EXPECT_EQ(
        Json({{.depth = 0, .type = "Nested Loop", .planned_rows = 2, .total_cost = 9.5},
              {.depth = 1,
               .relation = 7,
               .type = "Seq Scan",
               .is_counted = true,
               .rows = 5,
               .loops = 1},
              {.depth = 1, .type = "Materialize"},
              {.depth = 2, .relation = 9, .index = 8, .type = "Index Scan"}}),
        "{\"Plan\":{\"Node Type\":\"Nested Loop\",\"Total Cost\":9.50,\"Plan "
        "Rows\":2.00,\"Plans\":["
        "{\"Node Type\":\"Seq Scan\",\"Relation Name\":\"a \\\"t\\\"\",\"Total Cost\":0.00,"
        "\"Plan Rows\":0.00,\"Rows So Far\":5,\"Loops So Far\":1},"
        "{\"Node Type\":\"Materialize\",\"Total Cost\":0.00,\"Plan Rows\":0.00,\"Plans\":["
        "{\"Node Type\":\"Index Scan\",\"Relation Name\":\"<dropped: 9>\",\"Index Name\":\"i\","
        "\"Total Cost\":0.00,\"Plan Rows\":0.00}]}]},\"Unfinished\":true}");
}

TEST(UnfinishedPlanTest, SaysWhatIsLeftOut) {
    const std::string plan = Json({{.type = "ModifyTable", .detail = "Insert"}}, 3);
    EXPECT_NE(plan.find("\"Operation\":\"Insert\""), std::string::npos) << plan;
    EXPECT_NE(plan.find("\"Nodes Left Out\":3}"), std::string::npos) << plan;
    EXPECT_EQ(Json({}), "{\"Unfinished\":true}");
}

TEST(UnfinishedPlanTest, HugeNumbersStayNumbers) {
    const std::string plan =
        Json({{.type = "Result", .planned_rows = 1e300, .total_cost = 1.0 / 0.0}});
    EXPECT_NE(plan.find("\"Total Cost\":0.00,\"Plan Rows\":1e+300}"), std::string::npos) << plan;
}

TEST(UnfinishedPlanTest, TellsItsTextFromJson) {
    EXPECT_TRUE(IsUnfinished(PackUnfinished({}, 0)));
    EXPECT_FALSE(IsUnfinished("{\"Plan\":{}}"));
    EXPECT_FALSE(IsUnfinished(""));
}

TEST(UnfinishedPlanTest, SurvivesAnyText) {
    const std::string whole =
        PackUnfinished(std::vector<UnfinishedNode>{{.depth = 0, .relation = 7, .type = "Append"},
                                                   {.depth = 1, .relation = 7, .type = "Seq Scan"},
                                                   {.depth = 9, .type = "Result"}},
                       1);
    for (size_t cut = 0; cut <= whole.size(); ++cut) {
        const std::string plan = UnfinishedJson(whole.substr(0, cut), NameOf);
        EXPECT_EQ(std::count(plan.begin(), plan.end(), '{'),
                  std::count(plan.begin(), plan.end(), '}'));
        EXPECT_EQ(std::count(plan.begin(), plan.end(), '['),
                  std::count(plan.begin(), plan.end(), ']'));
    }
    EXPECT_EQ(
        UnfinishedJson("~x\n\t\t\t\t\t\t\t\t\n0\n-1\ta\t\t\t\t\t\t\t", NameOf).find("{\"Plan\""),
        0U);
}

}  // namespace
}  // namespace upkeep::capture
