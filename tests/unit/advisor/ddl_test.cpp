// SPDX-License-Identifier: PostgreSQL
#include "advisor/ddl.h"

#include <gtest/gtest.h>

#include "fake_what_if.h"
#include "upkeep/base/text.h"

namespace upkeep::advisor {
namespace {

TEST(DdlTest, WritesPostgresForm) {
    FakeWhatIf port;
    const RelationId t = port.AddRelation("Order Lines", 1e6, {{"status"}, {"at"}});
    port.edit_relation(t).schema_quoted = "app";
    port.edit_relation(t).display_name = "app.\"Order Lines\"";
    IndexSpec spec = Btree(t, {0, 1});
    spec.keys[1] = {1, "", true, false};
    DdlWriter writer(port);
    const IndexDdl ddl = writer.Write(spec);
    EXPECT_EQ(ddl.create_sql,
              "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"idx_Order Lines_status_at_desc\" ON "
              "app.\"Order Lines\" (status, at DESC NULLS LAST)");
    EXPECT_EQ(ddl.drop_sql,
              "DROP INDEX CONCURRENTLY IF EXISTS app.\"idx_Order Lines_status_at_desc\"");
    EXPECT_EQ(ddl.steps, std::vector<std::string>{ddl.create_sql});
    EXPECT_TRUE(ddl.warnings.empty());
}

TEST(DdlTest, WritesSqliteForm) {
    FakeWhatIf port;
    port.dialect_words = {.create_index = "CREATE INDEX IF NOT EXISTS",
                          .drop_index = "DROP INDEX IF EXISTS",
                          .plain_create_index = "CREATE INDEX IF NOT EXISTS",
                          .plain_drop_index = "DROP INDEX IF EXISTS",
                          .schema_before_index = true,
                          .max_name_bytes = 200};
    const RelationId t = port.AddRelation("t", 1e6, {{"a"}});
    port.edit_relation(t).schema_quoted = "aux";
    port.edit_relation(t).display_name = "aux.t";
    DdlWriter writer(port);
    const IndexDdl ddl = writer.Write(Btree(t, {0}));
    EXPECT_EQ(ddl.create_sql, "CREATE INDEX IF NOT EXISTS aux.idx_t_a ON t (a)");
    EXPECT_EQ(ddl.drop_sql, "DROP INDEX IF EXISTS aux.idx_t_a");
}

TEST(DdlTest, SaysPlainWhereConcurrencyIsImpossible) {
    FakeWhatIf port;
    const RelationId t = port.AddRelation("t", 1e6, {{"a"}});
    port.edit_relation(t).is_partitioned = true;
    const IndexDdl ddl = DdlWriter(port).Write(Btree(t, {0}));
    EXPECT_EQ(ddl.create_sql, "CREATE INDEX IF NOT EXISTS idx_t_a ON t (a)");
    EXPECT_EQ(ddl.drop_sql, "DROP INDEX IF EXISTS idx_t_a");
    ASSERT_EQ(ddl.warnings.size(), 1U);
    EXPECT_NE(ddl.warnings[0].find("partitioned"), std::string::npos);
    port.edit_relation(t).is_partitioned = false;
    port.edit_relation(t).is_temporary = true;
    EXPECT_EQ(DdlWriter(port).Write(Btree(t, {0})).create_sql,
              "CREATE INDEX IF NOT EXISTS idx_t_a ON t (a)");
}

TEST(DdlTest, GivesEachNameOnce) {
    FakeWhatIf port;
    port.taken_names = {"idx_t_a", "idx_t_a_2"};
    const RelationId t = port.AddRelation("t", 1e6, {{"a"}, {"b"}});
    const RelationId t_a = port.AddRelation("t_a", 1e6, {{"b"}});
    DdlWriter writer(port);
    EXPECT_EQ(writer.Write(Btree(t, {0})).name, "idx_t_a_3");
    EXPECT_EQ(writer.Write(Btree(t, {0, 1})).name, "idx_t_a_b");
    EXPECT_EQ(writer.Write(Btree(t_a, {0})).name, "idx_t_a_b_2");
}

TEST(DdlTest, CutsNamesAtCharactersAndKeepsThemApart) {
    FakeWhatIf port;
    std::string euros;
    for (int i = 0; i < 40; ++i) {
        euros += "\xE2\x82\xAC";
    }
    const RelationId t = port.AddRelation(euros, 1e6, {{"a"}, {"b"}});
    DdlWriter writer(port);
    const std::string a = writer.Write(Btree(t, {0})).name;
    const std::string b = writer.Write(Btree(t, {1})).name;
    EXPECT_NE(a, b);
    for (const std::string& name : {a, b}) {
        EXPECT_LE(name.size(), 63U);
        EXPECT_GE(name.size(), 58U);
        EXPECT_TRUE(IsUtf8(name));
    }
    EXPECT_EQ(DdlWriter(port).Write(Btree(t, {0})).name, a);  // stable
    port.taken_names = {a};
    const std::string other = DdlWriter(port).Write(Btree(t, {0})).name;
    EXPECT_LE(other.size(), 63U);
    EXPECT_NE(other, a);
}

TEST(DdlTest, QuotesHostileNames) {
    FakeWhatIf port;
    const RelationId t = port.AddRelation("x\"; drop table y; --", 1e6, {{"a\"b"}});
    const IndexDdl ddl = DdlWriter(port).Write(Btree(t, {0}));
    EXPECT_EQ(ddl.create_sql,
              "CREATE INDEX CONCURRENTLY IF NOT EXISTS \"idx_x\"\"; drop table y; --_a\"\"b\" ON "
              "\"x\"\"; drop table y; --\" (\"a\"\"b\")");
}

}  // namespace
}  // namespace upkeep::advisor
