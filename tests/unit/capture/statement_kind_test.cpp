// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/statement_kind.h"

#include <gtest/gtest.h>

#include "upkeep/capture/normalize.h"

namespace upkeep::capture {
namespace {

std::string Tables(std::string_view sql) {
    return TablesOf(Normalize(sql, SqlDialect::kSqlite));
}

std::string_view Kind(std::string_view sql) {
    return OperationName(OperationOf(Normalize(sql, SqlDialect::kSqlite)));
}

TEST(StatementKindTest, NamesTheOperation) {
    EXPECT_EQ(Kind("SELECT 1"), "SELECT");
    EXPECT_EQ(Kind("values (1)"), "SELECT");
    EXPECT_EQ(Kind("(select 1)"), "SELECT");
    EXPECT_EQ(Kind("insert into t values (1)"), "INSERT");
    EXPECT_EQ(Kind("replace into t values (1)"), "INSERT");
    EXPECT_EQ(Kind("/* x */ Update t set a = 1"), "UPDATE");
    EXPECT_EQ(Kind("delete from t"), "DELETE");
    EXPECT_EQ(Kind("with w as (select 1) delete from t"), "DELETE");
    EXPECT_EQ(Kind("with w(a, b) as (select 1), v as (select 2) select * from w"), "SELECT");
    EXPECT_EQ(Kind("pragma user_version"), "UTILITY");
    EXPECT_EQ(Kind("begin"), "UTILITY");
    EXPECT_EQ(Kind(""), "UTILITY");
    EXPECT_EQ(Kind("with"), "OTHER");
}

TEST(StatementKindTest, NamesTheTablesInOrderOfMention) {
    EXPECT_EQ(Tables("select * from a"), "a");
    EXPECT_EQ(Tables("select * from a, b as x, main.c where a.i = b.i"), "a\nb\nmain.c");
    EXPECT_EQ(Tables("select * from a join b using (id) left join c on true"), "a\nb\nc");
    EXPECT_EQ(Tables("select (select count(*) from d) from a"), "d\na");
    EXPECT_EQ(Tables("select * from (select * from inner_one) x, outer_one"),
              "inner_one\nouter_one");
    EXPECT_EQ(Tables("insert into t (a, b) select x, y from s"), "t\ns");
    EXPECT_EQ(Tables("insert or ignore into t values (1, 2)"), "t");
    EXPECT_EQ(Tables("create trigger r after update on t begin delete from u; end"), "t\nu");
    EXPECT_EQ(Tables("create trigger r before update of a on t begin delete from u; end"), "u");
    EXPECT_EQ(Tables("update or replace t set a = 1, b = 2 from u where u.i = t.i"), "t\nu");
    EXPECT_EQ(Tables("insert into t values (1) on conflict do update set a = 1"), "t");
    EXPECT_EQ(Tables("delete from \"Odd Name\" where [a b] in (select i from `q`)"), "Odd Name\nq");
    EXPECT_EQ(Tables("with w as (select * from base) select * from w"), "base");
    EXPECT_EQ(Tables("with recursive w(n) as (select 1 union all select n from w) "
                     "select * from w, real"),
              "real");
    EXPECT_EQ(Tables("select a, b from t order by a, b"), "t");
    EXPECT_EQ(Tables("select 1"), "");
    EXPECT_EQ(Tables("select extract from"), "");
    EXPECT_EQ(Tables("\"unterminated"), "");
    EXPECT_EQ(Tables("select * from t group by a, c limit 5, 6"), "t");
}

}  // namespace
}  // namespace upkeep::capture
