// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/explain.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace upkeep::advisor {
namespace {

TEST(JsonTest, ReadsWhatExplainWrites) {
    const auto json = ParseJson(
        R"({"a": [1, -2.5e3, true, false, null], "b": {"c": "x\"\\\n\u0041\u00e9\u20ac"}})");
    ASSERT_TRUE(json);
    ASSERT_EQ(json->Array("a").size(), 5U);
    EXPECT_EQ(json->Array("a")[1].number, -2500);
    EXPECT_EQ(json->Array("a")[2].number, 1);
    EXPECT_EQ(json->Find("b")->Text("c"), "x\"\\\nA\xc3\xa9?");
    EXPECT_EQ(json->Number("a", 7), 7);
    EXPECT_EQ(json->Text("none"), "");
    EXPECT_FALSE(json->Has("none"));
}

TEST(JsonTest, AnythingElseIsNone) {
    for (const char* text : {"", "{", "[1,", "[1 2]", "{\"a\"}", "{\"a\":}", "\"x", "tru", "[1]x",
                             "{a:1}", "\"\\q\"", "\"\\u12\"", "-", "]"}) {
        EXPECT_FALSE(ParseJson(text)) << text;
    }
    EXPECT_FALSE(ParseJson(std::string(100000, '[')));
    EXPECT_TRUE(ParseJson(std::string(400, '[') + std::string(400, ']')));
}

std::vector<std::string> Codes(const std::string& plan, const PlanContext& context = {}) {
    std::vector<std::string> codes;
    for (const std::string& finding : PlanFindings(plan, context)) {
        EXPECT_NE(finding.find(": "), std::string::npos);
        codes.push_back(finding.substr(0, finding.find(':')));
    }
    return codes;
}

using List = std::vector<std::string>;

TEST(PlanFindingsTest, NotAPlanHasNone) {
    for (const char* text : {"", "[]", "{}", "5", "[{}]", "{\"Plan\": 5}", "nonsense"}) {
        EXPECT_EQ(Codes(text), List()) << text;
    }
}

std::string Scan(int removed, int kept) {
    return R"x({"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Filter": "(a = 7)",)x"
           R"x("Plan Rows": )x" +
           std::to_string(kept) + R"x(, "Actual Rows": )x" + std::to_string(kept) +
           R"x(, "Actual Loops": 1, "Rows Removed by Filter": )x" + std::to_string(removed) + "}}";
}

TEST(PlanFindingsTest, WholeTableScanNeedsManyRowsAndFewKept) {
    EXPECT_EQ(Codes(Scan(9000, 1000)), List{"whole_table_scan"});
    EXPECT_EQ(Codes(Scan(8999, 1001)), List());
    EXPECT_EQ(Codes(Scan(999, 0)), List());
    EXPECT_EQ(PlanFindings(Scan(1234567, 1), {})[0],
              "whole_table_scan: Seq Scan on t threw away 1,234,567 of 1,234,568 rows by (a = 7); "
              "ask upkeep.advise_indexes for an index that serves it");
}

TEST(PlanFindingsTest, WithoutARunTheTablesRowsDecide) {
    const std::string plan =
        R"({"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Filter": "x", "Plan Rows": 9}})";
    PlanContext context;
    EXPECT_EQ(Codes(plan, context), List());
    context.table_rows["t"] = 999;
    EXPECT_EQ(Codes(plan, context), List());
    context.table_rows["t"] = 1000;
    EXPECT_EQ(Codes(plan, context), List{"whole_table_scan"});
}

std::string Estimate(const std::string& above, int expected, int found) {
    return R"({"Plan": {"Node Type": ")" + above + R"(", "Plan Rows": 1, "Actual Rows": 1,)" +
           R"("Actual Loops": 1, "Plans": [{"Node Type": "Index Scan", "Relation Name": "t",)" +
           R"("Plan Rows": )" + std::to_string(expected) + R"(, "Actual Rows": )" +
           std::to_string(found) + R"(, "Actual Loops": 1}]}})";
}

TEST(PlanFindingsTest, RowEstimate) {
    EXPECT_EQ(Codes(Estimate("Aggregate", 10, 1000)), List{"row_estimate"});
    EXPECT_EQ(Codes(Estimate("Aggregate", 1000, 10)), List{"row_estimate"});
    EXPECT_EQ(Codes(Estimate("Aggregate", 10, 99)), List());  // not by a factor of ten
    EXPECT_EQ(Codes(Estimate("Aggregate", 1, 100)), List());  // not by 100 rows
    EXPECT_EQ(Codes(Estimate("Limit", 1000, 10)), List());    // it was told to stop
    EXPECT_EQ(Codes(Estimate("Limit", 10, 1000)), List{"row_estimate"});
}

TEST(PlanFindingsTest, Sqlite) {
    PlanContext context;
    context.table_rows["t"] = 5000;
    context.kept["t"] = {0.01, "a = …"};
    const std::string plan = R"([{"detail": "SCAN t", "rows": 5000}])";
    EXPECT_EQ(Codes(plan, context), List{"whole_table_scan"});
    EXPECT_EQ(Codes(R"([{"detail": "SCAN x", "rows": 5000}])", context),
              List{"whole_table_scan"});  // an alias of the only table
    context.table_rows["u"] = 5;
    EXPECT_EQ(Codes(R"([{"detail": "SCAN x", "rows": 5000}])", context), List());
    EXPECT_EQ(Codes(R"x([{"detail": "SEARCH t USING INDEX i (a=?)"}])x", context), List());
    context.scanned_rows = 10;  // a LIMIT ended the scan soon
    EXPECT_EQ(Codes(plan, context), List());
    EXPECT_EQ(Codes(R"([{"detail": "USE TEMP B-TREE FOR ORDER BY", "rows": 999}])"), List());
    EXPECT_EQ(Codes(R"([{"detail": "USE TEMP B-TREE FOR ORDER BY", "rows": 1000}])"),
              List{"temp_btree"});
    EXPECT_EQ(Codes(R"x([{"detail": "CORRELATED SCALAR SUBQUERY 1", "children": [{"detail":)x"
                    R"x("SEARCH b USING AUTOMATIC COVERING INDEX (x=?)"}]}])x"),
              (List{"correlated_subquery", "automatic_index"}));
    EXPECT_EQ(Codes(R"([{"detail": "SCALAR SUBQUERY 1"}])"), List());
}

}  // namespace
}  // namespace upkeep::advisor
