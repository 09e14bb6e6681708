// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/quoted_words.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "upkeep/capture/normalize.h"

namespace upkeep::capture {
namespace {

/// A table t(id, v, n) in every statement that names t, and SQLite's keywords as far as they occur.
class Words final : public Vocabulary {
  public:
    bool IsKeyword(std::string_view word) override {
        static const std::set<std::string, std::less<>> kWords = {
            "ADD",       "ALTER",  "AND",     "AS",     "ATTACH",  "BETWEEN", "BY",
            "CASE",      "CHECK",  "COLLATE", "COLUMN", "CREATE",  "DEFAULT", "DISTINCT",
            "DO",        "ELSE",   "END",     "ESCAPE", "EXISTS",  "FROM",    "GROUP",
            "HAVING",    "IF",     "IN",      "INDEX",  "INDEXED", "INSERT",  "INTO",
            "IS",        "JOIN",   "KEY",     "LIKE",   "LIMIT",   "NOT",     "NULL",
            "ON",        "OR",     "ORDER",   "PRAGMA", "PRIMARY", "RENAME",  "REPLACE",
            "RETURNING", "SELECT", "SET",     "TABLE",  "THEN",    "TO",      "UPDATE",
            "VACUUM",    "VALUES", "VIEW",    "WHEN",   "WHERE",   "WITH",    "REFERENCES"};
        std::string upper(word);
        for (char& c : upper) {
            c = static_cast<char>(toupper(c));
        }
        return kWords.count(upper) != 0;
    }
    bool IsColumn(std::string_view tables, const std::string& name) override {
        ++questions;
        return ('\n' + std::string(tables) + '\n').find("\nt\n") != std::string::npos &&
               (name == "id" || name == "v" || name == "n");
    }
    int questions = 0;
};

std::string Shape(std::string_view sql) {
    Words words;
    return Normalize(sql, SqlDialect::kSqlite, QuotedStrings(sql, words));
}

TEST(QuotedWordsTest, WhatNobodyNamesIsAString) {
    const std::pair<const char*, const char*> kCases[] = {
        {R"(SELECT * FROM t WHERE v = "x")", "select * from t where v = ?"},
        {R"(SELECT "x", 1 FROM t)", "select ?, ? from t"},
        {R"(SELECT "x" "label" FROM t)", "select ? \"label\" from t"},
        {R"(SELECT v FROM t WHERE v IN ("x", "y", 'z'))", "select v from t where v in (?)"},
        {R"(SELECT v FROM t WHERE v LIKE "x" ESCAPE "y")",
         "select v from t where v like ? escape ?"},
        {R"(SELECT v IS NOT DISTINCT FROM "x")", "select v is not distinct from ?"},
        {R"(SELECT CASE v WHEN "x" THEN "y" ELSE "z" END FROM t)",
         "select case v when ? then ? else ? end from t"},
        {R"(SELECT upper("x"), v || "y", ("z") FROM t)", "select upper(?), v || ?, (?) from t"},
        {R"(SELECT v FROM t ORDER BY "x" LIMIT "5")", "select v from t order by ? limit ?"},
        {R"(INSERT INTO t(v, n) VALUES ("x", "y") RETURNING "z")",
         "insert into t(v, n) values (?, ?) returning ?"},
        {R"(UPDATE t SET v = "x", "n" = 1)", "update t set v = ?, \"n\" = ?"},
        {R"(CREATE TABLE u("a" TEXT DEFAULT "x" CHECK ("a" <> "y"), "b")",
         "create table u(\"a\" text default ? check (\"a\" <> ?), \"b\""},
        {R"(VACUUM INTO "x")", "vacuum into ?"},
        {R"(ATTACH "x" AS "y")", "attach ? as \"y\""},
        {R"(PRAGMA page_size = "x")", "pragma page_size = ?"},
        {R"(SELECT * FROM t WHERE v = "it""s")", "select * from t where v = ?"},
        {R"(SELECT * FROM t WHERE v = "x)", "select * from t where v = ?"},
    };
    for (const auto& [sql, shape] : kCases) {
        EXPECT_EQ(Shape(sql), shape) << sql;
    }
}

TEST(QuotedWordsTest, NamesStay) {
    for (const std::string sql : {
             R"(select "v", "n" from "t" where "id" = ? order by "v")",
             R"(select "t"."x" from "t" where "t"."y" = ?)",
             R"(select count(*) as "total" from "t" group by "n" having "total" > ?)",
             R"(select "n" "total" from "t" order by "total")",
             R"(select * from "t" "one" join "t" "two" on "one"."id" = "two"."id")",
             R"(select * from "other", "t" where "id" = ?)",
             R"(insert into "t"("id", "v") values (?, ?) on conflict("id") do update set "v" = ?)",
             R"(update "t" set "v" = ? where "id" = ?)",
             R"(update or replace "t" set "v" = ?)",
             R"(create table if not exists "u"("a" integer, "b" text references "t"("id")))",
             R"(create index "i" on "t"("v", "n"))",
             R"(with "w"("x") as (select ?) select "x" from "w")",
             R"(select v from t indexed by "i" where v = ?)",
             R"(alter table "t" rename column "v" to "new")",
             R"(select v as [label], n as `other` from t order by "label", "other")",
         }) {
        EXPECT_EQ(Shape(sql), sql);
    }
}

TEST(QuotedWordsTest, QuestionsAreBounded) {
    std::string sql = "SELECT v FROM t WHERE v IN (\"x\"";
    for (int i = 0; i < 10000; ++i) {
        sql += ", \"y" + std::to_string(i) + "\"";
    }
    sql += ')';
    Words words;
    EXPECT_EQ(QuotedStrings(sql, words).size(), 10001U);
    EXPECT_LE(words.questions, 256);
    EXPECT_EQ(Shape(sql), "select v from t where v in (?)");
}

TEST(QuotedWordsTest, WithoutDoubleQuotesNothingIsAsked) {
    Words words;
    EXPECT_TRUE(QuotedStrings("SELECT 'a' FROM [t] WHERE `v` = 1", words).empty());
    EXPECT_EQ(words.questions, 0);
}

}  // namespace
}  // namespace upkeep::capture
