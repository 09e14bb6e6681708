// JSON kept as text: found where conditions look into it, converted only where nothing breaks.
// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include "fake_what_if.h"
#include "upkeep/advisor/workload_findings.h"

namespace upkeep::advisor {
namespace {

class JsonTextTest : public testing::Test {
  protected:
    JsonTextTest() {
        t_ = port_.AddRelation("events", 5000, {{"id", 5000}, {"payload", 0, false}});
        health::JsonColumn column;
        column.table_name = "events";
        column.table_sql = "public.events";
        column.name = column.name_sql = "payload";
        inventory_.json_columns = {column};
    }

    void Captured(const std::string& text, std::vector<int> parsed) {
        RelationUse use;
        use.relation = t_;
        use.parsed_json = std::move(parsed);
        port_.AddStatement(text, Reads({use}));
        workload_.push_back({text, 1});
    }
    std::vector<health::IndexFinding> Found() {
        return FindInWorkload(port_, workload_, inventory_).OrThrow();
    }

    FakeWhatIf port_;
    RelationId t_ = 0;
    health::IndexInventory inventory_;
    std::vector<WorkloadStatement> workload_;
};

TEST_F(JsonTextTest, ASearchedColumnIsToBeConverted) {
    EXPECT_TRUE(MayFindInWorkload(inventory_));
    Captured("SELECT id FROM events WHERE payload ->> $1 = $2", {1});
    Captured("SELECT payload FROM events WHERE id = $1", {});
    const std::vector<health::IndexFinding> found = Found();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].code, "json_without_jsonb");
    EXPECT_EQ(found[0].table_name, "events");
    EXPECT_EQ(found[0].index_name, "");
    EXPECT_EQ(found[0].fix_sql,
              "ALTER TABLE public.events ALTER COLUMN payload TYPE jsonb USING payload::jsonb");
    EXPECT_EQ(found[0].undo_sql,
              "ALTER TABLE public.events ALTER COLUMN payload TYPE json USING payload::json");
    EXPECT_NE(found[0].evidence.find("1 captured statement looks into payload"), std::string::npos);
}

TEST_F(JsonTextTest, NotWhereNobodyLooksIntoItOrAnIndexStandsOnIt) {
    Captured("SELECT payload FROM events WHERE id = $1", {});
    EXPECT_TRUE(Found().empty());
    Captured("SELECT id FROM events WHERE payload ->> $1 = $2", {1});
    EXPECT_EQ(Found().size(), 1U);
    inventory_.json_columns[0].is_indexed = true;
    EXPECT_TRUE(Found().empty());
    inventory_.json_columns[0].is_indexed = false;
    inventory_.json_columns[0].table_name = "others";
    EXPECT_TRUE(Found().empty());
    inventory_.json_columns[0].table_name = "events";
    port_.edit_relation(t_).rows = 999;
    EXPECT_TRUE(Found().empty());
}

TEST_F(JsonTextTest, NoFixWhereTheServerOrAStatementWouldRefuseJsonb) {
    Captured("SELECT id FROM events WHERE payload ->> $1 = $2", {1});
    inventory_.json_columns[0].blocked_by = "a view or rule depends on the column";
    std::vector<health::IndexFinding> found = Found();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].fix_sql + found[0].undo_sql, "");
    EXPECT_NE(found[0].evidence.find("a view or rule depends"), std::string::npos);
    inventory_.json_columns[0].blocked_by = "";
    for (const char* text :
         {"SELECT JSON_array_length(payload) FROM events", "SELECT payload::json FROM events",
          "SELECT cast($1 AS json) FROM events", "SELECT pg_catalog.json_typeof(payload)"}) {
        workload_.resize(1);
        Captured(text, {});
        found = Found();
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].fix_sql, "") << text;
        EXPECT_NE(found[0].evidence.find("no fix is offered"), std::string::npos);
    }
    for (const char* text :
         {"SELECT payload::jsonb FROM events", "SELECT json_name FROM events",
          "SELECT jsonb_typeof($1) FROM events", "SELECT to_json(id), my_json_of(id)",
          "SELECT cast($1 AS jsonb) FROM events", "SELECT x AS json_x FROM events"}) {
        workload_.resize(1);
        Captured(text, {});
        EXPECT_NE(Found().at(0).fix_sql, "") << text;
    }
}

}  // namespace
}  // namespace upkeep::advisor
