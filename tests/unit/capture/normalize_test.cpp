// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/normalize.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

namespace upkeep::capture {
namespace {

std::string Pg(std::string_view sql) {
    return Normalize(sql, SqlDialect::kPostgres);
}
std::string Lite(std::string_view sql) {
    return Normalize(sql, SqlDialect::kSqlite);
}

TEST(NormalizeTest, LiteralsCommentsCaseAndSpacingDoNotMatter) {
    const std::string shape = "select a.b, count(*) from t as a where a.b = ? and c > ?";
    for (const char* sql : {
             "SELECT a.b, count(*) FROM t AS a WHERE a.b = 'x' AND c > 10",
             "select a . b,COUNT ( * ) from T as A where a.b='it''s' and c>-10.5e-3;",
             "/* route='x' */ select a.b, count(*) from t as a -- why\n where a.b = $1 and c > $2 "
             ";",
         }) {
        const std::string got = Pg(sql);
        EXPECT_EQ(got.substr(0, 40), shape.substr(0, 40)) << sql;
    }
    EXPECT_EQ(Pg("select a.b, count(*) from t as a where a.b = $1 and c > $2 ;"), shape);
    EXPECT_EQ(Lite("SELECT a.b, count(*) FROM t AS a WHERE a.b = :name AND c > ?2"), shape);
    EXPECT_EQ(Pg("select 1 where a=-1"), Pg("select 2 where a = -2"));
}

TEST(NormalizeTest, DifferentStatementsStayDifferent) {
    EXPECT_NE(Pg("select a from t"), Pg("select b from t"));
    EXPECT_NE(Pg("select a from t where b = 1"), Pg("select a from t where b > 1"));
    EXPECT_NE(Pg("select \"A\" from t"), Pg("select \"a\" from t"));
    EXPECT_NE(Fingerprint("select ?"), Fingerprint("select ?, ?"));
}

TEST(NormalizeTest, FoldsListsOfLiteralsOnly) {
    EXPECT_EQ(Pg("select 1 from t where a in (1,2,3)"), "select ? from t where a in (?)");
    EXPECT_EQ(Pg("a IN ($1, 'b')"), "a in (?)");
    EXPECT_EQ(Pg("a in (1, b, 2)"), "a in (?, b, ?)");
    EXPECT_EQ(Pg("a in (1, (2), 3)"), "a in (?, (?), ?)");
    EXPECT_EQ(Pg("f(1, 2)"), "f(?, ?)");
    EXPECT_EQ(Pg("a in (select 1)"), "a in (select ?)");
}

TEST(NormalizeTest, EachHostsOwnQuotes) {
    EXPECT_EQ(Pg("select $a$ it's ; $b$ $a$, E'a\\'b', U&'x', B'01', 'y'"), "select ?, ?, ?, ?, ?");
    EXPECT_EQ(Pg("select a[1], b::text, c @> '{}', d ?| array['x']"),
              "select a [ ? ], b :: text, c @> ?, d ?| array [ ? ]");
    EXPECT_EQ(Pg("/* a /* nested */ b */ select 1"), "select ?");
    EXPECT_EQ(Lite("/* a /* not nested */ select 1"), "select ?");
    EXPECT_EQ(Lite("select [a b], `c``d`, x'00ff', @p, $q"), "select [a b], `c``d`, ?, ?, ?");
}

TEST(NormalizeTest, UnterminatedTextEndsQuietly) {
    for (const char* sql :
         {"select 'abc", "select \"abc", "/* abc", "$a$ abc", "[abc", "-- abc", ""}) {
        Pg(sql);
        Lite(sql);
    }
    EXPECT_EQ(Pg(""), "");
    EXPECT_EQ(Pg(" ; ; "), "");
    EXPECT_EQ(Pg("select 'secret"), "select ?");
}

TEST(NormalizeTest, IsBoundedAndLeavesNoStringOnRandomBytes) {
    std::mt19937 random(7);
    const std::string alphabet = "aZ_09'\"`$[](),.;:?@-/*+=<>| \n\\E&\xC3\xBC";
    for (int round = 0; round < 20000; ++round) {
        std::string sql;
        for (size_t i = random() % 30; i > 0; --i) {
            sql += alphabet[random() % alphabet.size()];
        }
        for (const SqlDialect dialect : {SqlDialect::kPostgres, SqlDialect::kSqlite}) {
            const std::string once = Normalize(sql, dialect);
            EXPECT_LE(once.size(), 2 * sql.size() + 1);
            if (sql.find_first_of("\"`[") == std::string::npos) {  // names keep their quotes
                EXPECT_EQ(once.find('\''), std::string::npos) << sql;
            }
        }
    }
}

TEST(NormalizeTest, KeepsNoKeyOfAnEncryptedDatabase) {
    const auto shape = [](std::string_view sql) { return Normalize(sql, SqlDialect::kSqlite); };
    EXPECT_EQ(shape("PRAGMA key = secret"), "pragma key");
    EXPECT_EQ(shape("PRAGMA main.rekey=\"secret\""), "pragma main.rekey");
    EXPECT_EQ(shape("pragma textkey(secret);"), "pragma textkey");
    EXPECT_EQ(shape("ATTACH 'a.db' AS a KEY secret"), "attach ? as a key");
    EXPECT_EQ(shape("PRAGMA foreign_keys = on"), "pragma foreign_keys = on");
    EXPECT_EQ(shape("PRAGMA main.page_size"), "pragma main.page_size");
    EXPECT_EQ(shape("PRAGMA"), "pragma");
    EXPECT_EQ(Normalize("PRAGMA key = a", SqlDialect::kPostgres), "pragma key = a");
}

TEST(NormalizeTest, FingerprintsDoNotCollideEarly) {
    std::set<int64_t> seen;
    for (int i = 0; i < 200000; ++i) {
        seen.insert(Fingerprint("select c" + std::to_string(i) + " from t"));
    }
    EXPECT_EQ(seen.size(), 200000U);
    EXPECT_EQ(Fingerprint("select ?"), Fingerprint("select ?"));
}

}  // namespace
}  // namespace upkeep::capture
