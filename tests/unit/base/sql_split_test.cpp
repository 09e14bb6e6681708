// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/sql_split.h"

#include <gtest/gtest.h>

namespace upkeep {
namespace {

using Parts = std::vector<std::string_view>;

TEST(SplitSqlTest, CutsAtSemicolons) {
    EXPECT_EQ(SplitSql("SELECT 1; SELECT 2 ;\n SELECT 3"),
              (Parts{"SELECT 1", "SELECT 2", "SELECT 3"}));
    EXPECT_EQ(SplitSql("SELECT 1"), (Parts{"SELECT 1"}));
    EXPECT_EQ(SplitSql("SELECT 1;"), (Parts{"SELECT 1"}));
}

TEST(SplitSqlTest, LeavesOutWhatIsEmpty) {
    EXPECT_EQ(SplitSql(""), Parts{});
    EXPECT_EQ(SplitSql(" ;; \n\t; "), Parts{});
    EXPECT_EQ(SplitSql("-- nothing; here\n/* nor; here */ ;"), Parts{});
    EXPECT_EQ(SplitSql("/* before */ SELECT 1 -- after\n; SELECT 2 /* open ; "),
              (Parts{"SELECT 1", "SELECT 2"}));
}

TEST(SplitSqlTest, KeepsQuotedSemicolons) {
    EXPECT_EQ(SplitSql("SELECT 'a;''b;' ; SELECT 2"), (Parts{"SELECT 'a;''b;'", "SELECT 2"}));
    EXPECT_EQ(SplitSql("SELECT \"a;b\", `c;d`, [e;f] FROM t; x"),
              (Parts{"SELECT \"a;b\", `c;d`, [e;f] FROM t", "x"}));
    EXPECT_EQ(SplitSql("SELECT /* ; */ 1 -- ;\n + 2; SELECT 3"),
              (Parts{"SELECT /* ; */ 1 -- ;\n + 2", "SELECT 3"}));
    EXPECT_EQ(SplitSql("SELECT '-- no comment'; SELECT '/*'; SELECT 1 - -1"),
              (Parts{"SELECT '-- no comment'", "SELECT '/*'", "SELECT 1 - -1"}));
}

TEST(SplitSqlTest, TakesUnterminatedQuotesAndStrayBytes) {
    EXPECT_EQ(SplitSql("SELECT 'a; b"), (Parts{"SELECT 'a; b"}));
    EXPECT_EQ(SplitSql("SELECT [a; b"), (Parts{"SELECT [a; b"}));
    EXPECT_EQ(SplitSql("\xFF;\xFE"), (Parts{"\xFF", "\xFE"}));
    EXPECT_EQ(SplitSql("-"), (Parts{"-"}));
    EXPECT_EQ(SplitSql("SELECT 1 /"), (Parts{"SELECT 1 /"}));
}

}  // namespace
}  // namespace upkeep
