// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/lint.h"

#include <gtest/gtest.h>

#include <random>

namespace upkeep::capture {
namespace {

class Rows : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<std::string> Codes() const {
        std::vector<std::string> codes;
        for (const Row& row : rows) {
            codes.push_back(std::get<std::string>(row[0]));
        }
        return codes;
    }
    std::vector<Row> rows;
};

using List = std::vector<std::string>;

LintStatement Select(const std::string& query, uint64_t calls = 1, uint64_t rows = 1) {
    LintStatement statement;
    statement.query = query;
    statement.operation = Operation::kSelect;
    statement.totals.calls = calls;
    statement.totals.rows = rows;
    statement.totals.total_ns = 1000000;
    return statement;
}

List Codes(const LintStatement& statement, const LintFacts& facts) {
    Rows rows;
    LintRows(statement, facts, SqlDialect::kPostgres, rows);
    return rows.Codes();
}

TEST(LintTest, UnboundedResultIsMeasured) {
    LintFacts facts;
    EXPECT_EQ(Codes(Select("select a from t", 2, 2000), facts), List{"unbounded_result"});
    EXPECT_EQ(Codes(Select("select a from t", 2, 1999), facts), List());
    EXPECT_EQ(Codes(Select("select a from t", 0, 5000), facts), List());
    facts.has_limit = true;
    EXPECT_EQ(Codes(Select("select a from t limit $1", 2, 5000), facts), List());
}

TEST(LintTest, LargeOffsetByBlocksOrBySpread) {
    LintFacts facts;
    facts.has_limit = facts.has_offset = true;
    LintStatement statement = Select("select a from t limit $1 offset $2", 10, 50);
    statement.blocks = 999;
    EXPECT_EQ(Codes(statement, facts), List());
    statement.blocks = 1000;
    EXPECT_EQ(Codes(statement, facts), List{"large_offset"});
    statement.totals.rows = 200;  // twenty a call: five blocks for each
    EXPECT_EQ(Codes(statement, facts), List());
    statement.blocks.reset();
    statement.totals.min_ns = 100000;
    statement.totals.max_ns = 999000;
    EXPECT_EQ(Codes(statement, facts), List());
    statement.totals.max_ns = 1000000;
    EXPECT_EQ(Codes(statement, facts), List{"large_offset"});
    statement.totals.calls = 4;  // too few to compare
    EXPECT_EQ(Codes(statement, facts), List());
    statement.totals.calls = 10;
    facts.has_offset = false;
    EXPECT_EQ(Codes(statement, facts), List());
}

TEST(LintTest, ConditionsNeedATableThatIsWorthAnIndex) {
    LintFacts facts;
    LintCondition condition;
    condition.table = "t";
    condition.column = "a";
    condition.table_rows = 999;
    facts.functions = facts.casts = facts.wildcards = {condition};
    EXPECT_EQ(Codes(Select("select a from t"), facts), List());
    facts.functions[0].table_rows = facts.casts[0].table_rows = facts.wildcards[0].table_rows =
        1000;
    EXPECT_EQ(Codes(Select("select a from t"), facts),
              (List{"leading_wildcard", "function_on_column", "implicit_cast"}));
}

TEST(LintTest, PagesByKeyset) {
    LintFacts facts;
    facts.has_limit = true;
    facts.keyset = LintKeyset{"t", {"at"}, {"id"}, true};
    Rows rows;
    LintRows(Select("q", 1, 20), facts, SqlDialect::kPostgres, rows);
    ASSERT_EQ(rows.Codes(), List{"keyset_without_tiebreaker"});
    EXPECT_EQ(std::get<std::string>(rows.rows[0][5]),
              "WHERE (at, id) < (last values) ORDER BY at DESC, id DESC LIMIT n");
    EXPECT_EQ(Codes(Select("q", 20, 20), facts), List());  // one row a call is no page
}

TEST(LintTest, MissingStatisticsNamesEachTableOnce) {
    LintFacts facts;
    facts.tables = {{"a", "a", 5000, false, false, {}},
                    {"a", "b", 5000, false, false, {}},
                    {"s", "s", 999, false, false, {}},
                    {"k", "k", 5000, true, false, {}}};
    for (const auto dialect : {SqlDialect::kPostgres, SqlDialect::kSqlite}) {
        Rows rows;
        LintRows(Select("q"), facts, dialect, rows);
        ASSERT_EQ(rows.Codes(), List{"missing_statistics"});
        EXPECT_EQ(std::get<std::string>(rows.rows[0][5]), "ANALYZE a");
    }
}

StatementView View(int64_t fingerprint, const std::string& query, uint64_t ns, bool is_visible) {
    StatementView view;
    view.counts.key.fingerprint = fingerprint;
    view.counts.operation = Operation::kSelect;
    view.counts.totals.calls = 1;
    view.counts.totals.total_ns = ns;
    view.counts.totals.hit_blocks = 3;
    view.query = query;
    view.is_visible = is_visible;
    return view;
}

TEST(LintTest, WorkloadIsWhatIsVisibleLongestFirst) {
    std::vector<StatementView> views = {View(1, "a", 10, true), View(2, "b", 30, true),
                                        View(1, "a", 25, true), View(3, "c", 99, false),
                                        View(4, "<text not kept>", 99, true)};
    views.push_back(View(5, "begin", 99, true));
    views.back().counts.operation = Operation::kUtility;
    const std::vector<LintStatement> found = LintWorkload(views, true, 10);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].query, "a");
    EXPECT_EQ(found[0].totals.total_ns, 35U);
    EXPECT_EQ(found[0].blocks, 6U);
    EXPECT_EQ(LintWorkload(views, false, 1).size(), 1U);
    EXPECT_FALSE(LintWorkload(views, false, 1)[0].blocks);
}

LintText Scan(std::string_view sql) {
    return ScanLintText(sql, SqlDialect::kSqlite);
}

TEST(LintTextTest, ClausesOfTheOutermostLevel) {
    const LintText text = Scan(
        "SELECT a.*, b.x FROM main.t AS a, (SELECT * FROM u LIMIT 3) b WHERE 1 ORDER BY a.at DESC, "
        "b.x LIMIT ? OFFSET ?");
    EXPECT_TRUE(text.has_limit);
    EXPECT_TRUE(text.has_offset);
    EXPECT_EQ(text.stars, List{"a"});
    ASSERT_EQ(text.names.size(), 2U);
    EXPECT_EQ(text.names[0].schema + "." + text.names[0].table + " " + text.names[0].alias,
              "main.t a");
    EXPECT_EQ(text.names[1].table, "u");
    EXPECT_EQ(text.names[1].depth, 1);
    ASSERT_EQ(text.order.size(), 2U);
    EXPECT_EQ(text.order[0].operand.column, "at");
    EXPECT_TRUE(text.order[0].is_descending);
    EXPECT_FALSE(Scan("SELECT (SELECT 1 LIMIT 1 OFFSET 2) FROM t").has_limit);
    EXPECT_TRUE(Scan("SELECT 1 FROM t LIMIT 2, 3").has_offset);
    EXPECT_EQ(Scan("SELECT count(*), 2 * 3 FROM t").stars, List());
}

TEST(LintTextTest, Comparisons) {
    using Kind = LintOperand::Kind;
    const LintText text = Scan(
        "SELECT lower(z) = 1 FROM t JOIN u ON t.a = u.\"B b\" WHERE lower(t.name) = ? AND "
        "(x < ? OR NOT CAST(y AS TEXT) IN (?, ?)) AND f(a, b) = ? AND m + 1 = 2 AND c = d + 1");
    ASSERT_EQ(text.comparisons.size(), 5U);
    EXPECT_EQ(text.comparisons[0].right.column, "B b");
    EXPECT_EQ(text.comparisons[1].left.function, "lower");
    EXPECT_EQ(text.comparisons[1].left.qualifier + "." + text.comparisons[1].left.column, "t.name");
    EXPECT_EQ(text.comparisons[2].op, "<");
    EXPECT_EQ(text.comparisons[3].left.kind, Kind::kCast);
    EXPECT_EQ(text.comparisons[3].left.cast_type, "text");
    EXPECT_EQ(text.comparisons[4].left.column, "c");
    EXPECT_EQ(text.comparisons[4].right.kind, Kind::kOther);
}

TEST(LintTextTest, NotIn) {
    EXPECT_EQ(Scan("SELECT 1 FROM t WHERE a NOT IN (SELECT b FROM u)").not_in.size(), 1U);
    EXPECT_TRUE(Scan("SELECT 1 FROM t WHERE a NOT IN (SELECT b FROM u WHERE b IS NOT NULL AND c)")
                    .not_in.at(0)
                    .excludes_null);
    EXPECT_EQ(Scan("SELECT 1 FROM t WHERE a NOT IN (1, 2)").not_in.size(), 0U);
    EXPECT_EQ(Scan("SELECT 1 FROM t WHERE a NOT IN (SELECT max(b) FROM u)").not_in.size(), 0U);
}

TEST(LintTextTest, AnyBytesAreBorne) {
    std::mt19937 random(7);
    const std::vector<std::string> pieces = {
        "select ",  "from ",  "where ",  "(",     ")",     ",",         ".",      "*",      "t",
        " not in ", "'",      "\"",      "like ", "'%x' ", "order by ", "limit ", "cast(",  "as ",
        "= ",       "? ",     "/* ",     " */",   "\xff",  "and ",      "$1 ",    "union ", "join ",
        "on ",      "lower(", "offset ", "--",    "[",     "`"};
    for (int i = 0; i < 20000; ++i) {
        std::string sql;
        for (size_t n = random() % 25; n > 0; --n) {
            sql += pieces[random() % pieces.size()];
        }
        for (const auto dialect : {SqlDialect::kPostgres, SqlDialect::kSqlite}) {
            const LintText text = ScanLintText(sql, dialect);
            EXPECT_LE(text.comparisons.size(), sql.size());
            EXPECT_LE(NotesOf(sql, dialect).size(), sql.size());
        }
    }
}

TEST(LintNotesTest, AreWrittenAndRead) {
    const std::string sql = "SELECT 1 FROM t WHERE a LIKE '%secret' AND id = 1.5 AND b LIKE 'x%'";
    std::vector<int> offsets;
    for (const char* literal : {"1 ", "'%", "1.5", "'x"}) {
        offsets.push_back(static_cast<int>(sql.find(literal)));
    }
    const TextNote notes[] = {{offsets[2], "numeric"}};
    const std::string masked = ReplaceConstants(sql, offsets, {.notes = notes});
    EXPECT_EQ(masked,
              "SELECT $1 FROM t WHERE a LIKE $2 /* %... */ AND id = $3 /* numeric */ AND b LIKE "
              "$4");
    const std::vector<LintNote> read = NotesOf(masked, SqlDialect::kPostgres);
    ASSERT_EQ(read.size(), 2U);
    EXPECT_EQ(read[0].parameter, 2);
    EXPECT_EQ(read[0].text, "%...");
    EXPECT_EQ(read[1].parameter, 3);
    EXPECT_EQ(read[1].text, "numeric");
}

TEST(LintNotesTest, DoNotChangeTheShape) {
    for (const char* sql :
         {"SELECT a FROM t WHERE b LIKE '%x' ESCAPE '!' AND c IN (1, 2)",
          "SELECT a FROM t WHERE b GLOB '*x'", "SELECT a LIKE '_' || ?1 FROM t"}) {
        const std::string noted = NormalizeWithNotes(sql, SqlDialect::kSqlite);
        EXPECT_NE(noted.find("? /* %... */"), std::string::npos) << noted;
        EXPECT_EQ(Normalize(noted, SqlDialect::kSqlite), Normalize(sql, SqlDialect::kSqlite));
    }
    for (const char* sql :
         {"SELECT a FROM t WHERE b LIKE 'x%'", "SELECT a FROM t WHERE b = '%x'",
          "SELECT a FROM t WHERE b LIKE ?", "SELECT a FROM t WHERE b GLOB '%x'"}) {
        EXPECT_EQ(NormalizeWithNotes(sql, SqlDialect::kSqlite),
                  Normalize(sql, SqlDialect::kSqlite));
    }
}

}  // namespace
}  // namespace upkeep::capture
