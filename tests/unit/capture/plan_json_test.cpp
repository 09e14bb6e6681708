// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/plan_json.h"

#include <gtest/gtest.h>

namespace upkeep::capture {
namespace {

constexpr std::string_view kPlan = R"json({
  "Plan": {
    "Node Type": "Index Scan",
    "Index Name": "o'brien's index",
    "Total Cost": 8.29,
    "Index Cond": "(name = 'secret \"x\"'::text)",
    "Filter": "(a > 42)",
    "Sort Key": ["(b + 7)", "c"],
    "Plans": []
  }
})json";

constexpr std::string_view kMasked =
    R"json({"Plan":{"Node Type":"Index Scan","Index Name":"o'brien's index","Total Cost":8.29,)json"
    R"json("Index Cond":"(name = ?::text)","Filter":"(a > ?)","Sort Key":["(b + ?)","c"],)json"
    R"json("Plans":[]}})json";

TEST(PlanJsonTest, LeavesOutWhiteSpaceAndLiterals) {
    EXPECT_EQ(CompactPlan(kPlan, false), kMasked);
}

TEST(PlanJsonTest, KeepsLiteralsWhereAllowed) {
    const std::string plan = CompactPlan(kPlan, true);
    EXPECT_NE(plan.find(R"json("(name = 'secret \"x\"'::text)")json"), std::string::npos);
    EXPECT_EQ(plan.find('\n'), std::string::npos);
}

TEST(PlanJsonTest, LeavesOutDetailsWhereThereIsNoRoom) {
    constexpr std::string_view kCounted =
        R"json({"Plan": {"Parallel Aware": false, "Node Type": "Sort",
        "Startup Cost": 1.5, "Total Cost": 2.5, "Plan Width": 4, "Actual Rows": 3, "Shared Hit Blocks": 7,
        "Exact Heap Blocks": 5, "Parent Relationship": "a, \"b\"", "Plans": [{"Node Type": "Result",
        "Async Capable": false}, {"Plan Width": 0}]}})json";
    EXPECT_EQ(
        CompactPlan(kCounted, false, 100),
        R"json({"Plan":{"Node Type":"Sort","Total Cost":2.5,"Actual Rows":3,"Exact Heap Blocks":5,)json"
        R"json("Plans":[{"Node Type":"Result"},{}]}})json");
    EXPECT_NE(CompactPlan(kCounted, false).find("\"Plan Width\":4"), std::string::npos);
}

TEST(PlanJsonTest, SurvivesWhatIsNoJson) {
    EXPECT_EQ(CompactPlan("", false), "");
    EXPECT_EQ(CompactPlan("{\"a\": \"unterminated 'x", false).find("'x"), std::string::npos);
    EXPECT_FALSE(CompactPlan("\"", false).empty());
    EXPECT_FALSE(CompactPlan("{\"a\": \"x\\", false).empty());
    EXPECT_FALSE(CompactPlan("{\"a\": \"x\\u00", false).empty());
}

}  // namespace
}  // namespace upkeep::capture
