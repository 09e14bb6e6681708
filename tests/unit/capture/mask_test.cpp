// SPDX-License-Identifier: PostgreSQL
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "upkeep/capture/normalize.h"

namespace upkeep::capture {
namespace {

std::string Replace(std::string_view sql, const std::vector<int>& offsets, int first = 1) {
    return ReplaceConstants(sql, offsets, {.first_number = first});
}

TEST(MaskTest, ReplacesNamedConstantsAndKeepsTheRest) {
    EXPECT_EQ(Replace("SELECT  1,\n'a''b', x FROM T", {8, 11}), "SELECT  $1,\n$2, x FROM T");
    EXPECT_EQ(Replace("SELECT -1, - 2.5e-3", {7, 11}), "SELECT $1, $2");
    EXPECT_EQ(Replace("SELECT true, E'\\'', $$x'y$$, B'01'", {7, 13, 20, 29}),
              "SELECT $1, $2, $3, $4");
    EXPECT_EQ(Replace("SELECT $1 + 5", {12}, 2), "SELECT $1 + $2");
    EXPECT_EQ(Replace("SELECT 'a'\n  'b'\n 'c', 'd'", {7, 23}), "SELECT $1, $2");
    EXPECT_EQ(Replace("SELECT a=-1", {9}), "SELECT a=$1");
    EXPECT_EQ(Replace("SELECT 1 ORDER BY 1", {7}), "SELECT $1 ORDER BY 1");
    EXPECT_EQ(Replace("", {}), "");
    EXPECT_EQ(Replace("SELECT 1", {7, 7000}), "SELECT $1");
}

TEST(MaskTest, LeavesOutCommentsAndStringsNobodyNamed) {
    EXPECT_EQ(Replace("/* secret */ SELECT /*+ secret */ 1 -- secret", {34}), "SELECT $1");
    EXPECT_EQ(Replace("SELECT 1--x\n+2", {7, 13}), "SELECT $1 +$2");
    EXPECT_EQ(Replace("SELECT f('secret')", {}), "SELECT f(?)");
}

TEST(MaskTest, MasksEveryLiteral) {
    const auto mask = [](std::string_view sql) { return MaskLiterals(sql, {}); };
    EXPECT_EQ(mask("COPY t FROM '/tmp/x' WITH (FORMAT 'csv')"), "COPY t FROM $1 WITH (FORMAT $2)");
    EXPECT_EQ(mask("DO $body$ select 'secret' $body$"), "DO $1");
    EXPECT_EQ(mask("SET a.b = 'x'; SELECT $1"), "SET a.b = $1; SELECT $1");
    EXPECT_EQ(mask("SELECT 'unterminated secret"), "SELECT $1");
    EXPECT_EQ(mask("SELECT U&'se\\0063ret', N'secret', X'AB'"), "SELECT $1, $2, $3");
    EXPECT_EQ(MaskLiterals("SELECT 'it\\'s secret'", {.backslash = true}), "SELECT $1");
}

TEST(MaskTest, NoLiteralSurvivesWhateverTheBytes) {
    std::mt19937 random(11);
    const std::string pieces[] = {"'MARK'",   "\"n\"",   "$$MARK$$", " ", "\n", "--MARK\n",
                                  "/*MARK*/", "E'MARK'", "select ",   ",", "-",  "1",
                                  "U&'MARK'", "$1",      "(",        ")"};
    for (int run = 0; run < 20000; ++run) {
        std::string sql;
        for (int i = 0; i < 12; ++i) {
            sql += pieces[random() % std::size(pieces)];
        }
        EXPECT_EQ(MaskLiterals(sql, {}).find("MARK"), std::string::npos) << sql;
        const std::vector<int> offsets = {static_cast<int>(random() % 40)};
        EXPECT_EQ(ReplaceConstants(sql, offsets, {}).find("MARK"), std::string::npos) << sql;
    }
}

}  // namespace
}  // namespace upkeep::capture
