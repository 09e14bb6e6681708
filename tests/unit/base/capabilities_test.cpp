// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/capabilities.h"

#include <gtest/gtest.h>

namespace upkeep {
namespace {

Capability Find(const HostFacts& facts, std::string_view feature) {
    for (const Capability& one : Capabilities(facts)) {
        if (one.feature == feature) {
            return one;
        }
    }
    ADD_FAILURE() << feature << " is missing";
    return {};
}

TEST(CapabilitiesTest, TierFollowsTheWayItWasLoaded) {
    EXPECT_EQ(Find({.host = HostKind::kSqlite}, "what_if").tier, "loaded");
    EXPECT_EQ(Find({.host = HostKind::kPostgres}, "what_if").tier, "created");
    EXPECT_EQ(Find({.host = HostKind::kPostgres, .is_preloaded = true}, "what_if").tier,
              "preloaded");
    EXPECT_NE(Find({.host_version = "15.9"}, "index_advice").reason.find("15.9"),
              std::string::npos);
}

TEST(CapabilitiesTest, SaysWhatIsMissingAndWhatToDo) {
    const Capability without = Find({.host = HostKind::kSqlite}, "captured_workload");
    EXPECT_FALSE(without.is_available);
    EXPECT_FALSE(without.reason.empty());
    EXPECT_FALSE(without.how_to_enable.empty());
    const Capability with = Find({.workload_source = "pg_stat_statements"}, "captured_workload");
    EXPECT_TRUE(with.is_available);
    EXPECT_NE(with.reason.find("pg_stat_statements"), std::string::npos);
    const Capability no_json = Find({.host = HostKind::kSqlite, .has_json = false}, "what_if");
    EXPECT_EQ(no_json.tier, "best_effort");
    EXPECT_FALSE(no_json.how_to_enable.empty());
}

TEST(CapabilitiesTest, RowsFitTheView) {
    struct Sink : RowSink {
        void Add(Row row) override { rows.push_back(std::move(row)); }
        std::vector<Row> rows;
    } sink;
    AddCapabilities({.host = HostKind::kSqlite}, sink);
    const TableFunction* view = FindCall("capabilities");
    ASSERT_FALSE(sink.rows.empty());
    for (const Row& row : sink.rows) {
        ASSERT_EQ(row.size(), view->columns.size());
        EXPECT_TRUE(std::holds_alternative<bool>(row[1]));
        EXPECT_EQ(IsNull(row[2]), !std::get<bool>(row[1]));  // no tier of what is not there
    }
}

}  // namespace
}  // namespace upkeep
