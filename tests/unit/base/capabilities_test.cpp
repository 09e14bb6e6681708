// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/capabilities.h"

#include <gtest/gtest.h>

#include <map>

namespace upkeep {
namespace {

/// feature -> row; also checks that every row fits the view.
std::map<std::string, Row> Rows(const HostFacts& facts) {
    struct Sink : RowSink {
        void Add(Row row) override { rows.push_back(std::move(row)); }
        std::vector<Row> rows;
    } sink;
    Capabilities(facts, sink);
    std::map<std::string, Row> by_feature;
    for (Row& row : sink.rows) {
        EXPECT_EQ(row.size(), FindCall("capabilities")->columns.size());
        by_feature[std::get<std::string>(row[0])] = row;
    }
    EXPECT_EQ(by_feature.size(), sink.rows.size());
    return by_feature;
}

TEST(CapabilitiesTest, TierFollowsTheWayItWasLoaded) {
    HostFacts facts;
    EXPECT_EQ(Rows(facts)["what_if"][2], Value(std::string("created")));
    facts.loaded = HostFacts::Loaded::kLoaded;
    EXPECT_EQ(Rows(facts)["what_if"][2], Value(std::string("loaded")));
    facts.loaded = HostFacts::Loaded::kPreloaded;
    EXPECT_EQ(Rows(facts)["what_if"][2], Value(std::string("preloaded")));
}

TEST(CapabilitiesTest, SaysWhatIsMissingAndWhatToDo) {
    HostFacts facts;
    facts.statement_source = "nothing";
    facts.statement_source_advice = "do this";
    facts.is_read_only = true;
    std::map<std::string, Row> rows = Rows(facts);
    EXPECT_EQ(rows["captured_workload"][1], Value(false));
    EXPECT_EQ(rows["captured_workload"][4], Value(std::string("do this")));
    EXPECT_EQ(rows["workflow_schema"][1], Value(false));
    EXPECT_FALSE(IsNull(rows["workflow_schema"][4]));
    facts.is_read_only = false;
    EXPECT_EQ(Rows(facts)["workflow_schema"][1], Value(true));
    EXPECT_TRUE(IsNull(Rows(facts)["workflow_schema"][4]));
}

TEST(CapabilitiesTest, SaysWhatOutlivesTheProcess) {
    HostFacts facts;
    facts.saved_reason = "nothing is captured";
    facts.saved_advice = "capture";
    std::map<std::string, Row> rows = Rows(facts);
    EXPECT_EQ(rows["saved_statistics"][1], Value(false));
    EXPECT_EQ(rows["saved_statistics"][3], Value(std::string("nothing is captured")));
    EXPECT_EQ(rows["saved_statistics"][4], Value(std::string("capture")));
    facts.is_saved = true;
    facts.saved_advice = "";
    EXPECT_EQ(Rows(facts)["saved_statistics"][1], Value(true));
    EXPECT_TRUE(IsNull(Rows(facts)["saved_statistics"][4]));
}

}  // namespace
}  // namespace upkeep
