"""The adapter: parameters as hidden columns, strict arguments, defaults, acting calls."""
import math
import sqlite3
import unittest

import host

ECHO = ["b", "i", "g", "f", "t", "j", "at", "d_ms", "r", "ta", "ia", "ba", "fa"]


class AdapterTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect("upkeepguards")
        self.addCleanup(self.db.close)

    def echo(self, parameter, sql_value, *bound):
        column = "o_" + parameter.removesuffix("_ms")
        return self.value(f"SELECT {column} FROM upkeep_t_echo WHERE {parameter} = {sql_value}", *bound)

    def refuses_echo(self, wanted, parameter, sql_value, *bound):
        self.refuses(wanted, f"SELECT 1 FROM upkeep_t_echo WHERE {parameter} = {sql_value}", *bound)

    def test_parameters_are_hidden_columns_in_order(self):
        columns = self.rows("SELECT name, type, hidden FROM pragma_table_xinfo('upkeep_t_echo')")
        self.assertEqual([name for name, _, hidden in columns if hidden], ECHO)
        self.assertEqual(
            [kind for _, kind, hidden in columns if hidden],
            ["INTEGER"] * 3 + ["REAL", "TEXT", "TEXT", "TEXT", "INTEGER"] + ["TEXT"] * 5)
        self.assertEqual([name for name, _, hidden in columns if not hidden],
                         ["o_" + name.removesuffix("_ms") for name in ECHO])
        visible = self.db.execute("SELECT * FROM upkeep_t_echo").description
        self.assertEqual(len(visible), len(ECHO))

    def test_arguments_in_brackets_and_by_name_mean_the_same(self):
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count(3)"), [(1,), (2,), (3,)])
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count WHERE up_to = 3"),
                         [(1,), (2,), (3,)])
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count WHERE 3 = up_to"),
                         [(1,), (2,), (3,)])
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count(?)", 2), [(1,), (2,)])
        self.assertEqual(self.rows("SELECT number, up_to FROM upkeep_t_count(2) WHERE number > 1"),
                         [(2, 2)])
        self.assertEqual(self.rows("SELECT rowid, number FROM upkeep_t_count(2)"), [(1, 1), (2, 2)])

    def test_defaults(self):
        self.assertEqual(self.rows("SELECT * FROM upkeep_t_defaults"), [(1, 3, 0.5, 2000, "sl", None)])
        self.assertEqual(self.rows("SELECT b, i, f, d_ms, t, n FROM upkeep_t_defaults"),
                         [(1, 3, 0.5, 2000, "sl", None)])
        self.assertEqual(self.rows("SELECT * FROM upkeep_t_defaults(0) WHERE t = 'given'"),
                         [(0, 3, 0.5, 2000, "given", None)])
        self.assertEqual(self.rows("SELECT * FROM upkeep_t_defaults(NULL, NULL)"),
                         [(None, None, 0.5, 2000, "sl", None)])

    def test_too_many_arguments(self):
        self.refuses("too many arguments", "SELECT * FROM upkeep_t_count(1, 2)")
        self.refuses("wrong number of arguments", "SELECT upkeep_t_join('a', 'b', 'c', 'd')")

    def test_a_required_argument_is_named(self):
        self.refuses("upkeep_t_count needs the argument up_to (hint: ", "SELECT * FROM upkeep_t_count")
        self.refuses("wrong number of arguments", "SELECT upkeep_t_join()")

    def test_scalar_defaults(self):
        self.assertEqual(self.rows("SELECT upkeep_t_join('a'), upkeep_t_join('a', 'x'),"
                                   " upkeep_t_join('a', 'x', 'y')"), [("aBc", "axc", "axy")])
        self.refuses("second must not be null", "SELECT upkeep_t_join('a', NULL)")

    def test_arguments_from_another_table_are_fine_for_readers(self):
        self.db.execute("CREATE TABLE t(n)")
        self.db.executemany("INSERT INTO t VALUES (?)", [(2,), (0,), (1,)])
        want = [(1, 1), (2, 1), (2, 2)]
        for sql in ("SELECT n, number FROM t, upkeep_t_count(t.n) ORDER BY 1, 2",
                    "SELECT n, number FROM upkeep_t_count, t WHERE up_to = n ORDER BY 1, 2",
                    "SELECT n, number FROM t JOIN upkeep_t_count(n) ORDER BY 1, 2"):
            self.assertEqual(self.rows(sql), want, sql)
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count WHERE up_to IN (1, 2)"
                                   " ORDER BY 1"), [(1,), (1,), (2,)])
        self.assertEqual(self.rows("SELECT n, (SELECT max(number) FROM upkeep_t_count(n)) FROM t"
                                   " ORDER BY n"), [(0, None), (1, 1), (2, 2)])

    def test_a_second_condition_on_a_parameter_filters(self):
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count(2) WHERE up_to = 3"), [])
        self.assertEqual(self.rows("SELECT number FROM upkeep_t_count(2) WHERE up_to > 1"),
                         [(1,), (2,)])
        self.assertEqual(self.rows("SELECT 1 FROM upkeep_t_echo WHERE t IS NULL"), [(1,)])
        self.assertEqual(self.rows("SELECT 1 FROM upkeep_t_echo('1') WHERE t IS NULL"
                                   .replace("'1'", "1")), [(1,)])

    def test_integers(self):
        for name in ("i", "g", "d_ms"):
            self.assertEqual(self.echo(name, "7"), 7)
            self.assertEqual(self.echo(name, "-7.0"), -7)
            self.assertIsNone(self.echo(name, "NULL"))
            for bad in ("'7'", "7.5", "1e300", "'x'", "''", "9e999"):
                self.refuses_echo(f"{name} must be an integer (hint: ", name, bad)
            self.refuses_echo(f"{name} must not be a blob", name, "x'37'")
        self.assertEqual(self.echo("g", "9223372036854775807"), 2**63 - 1)
        self.assertEqual(self.echo("g", "-9223372036854775808"), -2**63)
        self.refuses_echo("g must be an integer", "g", "9223372036854775808")
        self.assertEqual(self.echo("i", "2147483647"), 2**31 - 1)
        self.refuses_echo("i must be an integer of 32 bits", "i", "2147483648")
        self.refuses_echo("i must be an integer of 32 bits", "i", "-2147483649")

    def test_booleans(self):
        for given, wanted in (("0", 0), ("1", 1), ("true", 1), ("false", 0), ("1.0", 1), ("NULL", None)):
            self.assertEqual(self.echo("b", given), wanted)
        for bad in ("2", "-1", "'true'", "'1'", "0.5"):
            self.refuses_echo("b must be 0 or 1 (hint: ", "b", bad)

    def test_floats(self):
        self.assertEqual(self.echo("f", "2"), 2.0)
        self.assertEqual(self.value("SELECT typeof(o_f) FROM upkeep_t_echo WHERE f = 2"), "real")
        self.assertEqual(self.echo("f", "0.1"), 0.1)
        self.assertEqual(self.echo("f", "9e999"), math.inf)
        for bad in ("'2'", "'x'"):
            self.refuses_echo("f must be a number", "f", bad)

    def test_texts(self):
        for name in ("t", "j", "r"):
            self.assertEqual(self.echo(name, "?", "grüße €😀"), "grüße €😀")
            self.assertEqual(self.echo(name, "''"), "")
            self.assertEqual(self.echo(name, "42"), "42")
            self.refuses_echo(f"{name} is not valid UTF-8", name, "CAST(x'ff' AS TEXT)")
            self.refuses_echo(f"{name} is not valid UTF-8", name, "CAST(x'61eda080' AS TEXT)")
            self.refuses_echo(f"{name} must not contain NUL characters", name, "'a' || char(0) || 'b'")
            self.refuses_echo(f"{name} must not be a blob", name, "x'61'")
        long = "x" * 3_000_000
        self.assertEqual(self.echo("t", "?", long), long)

    def test_times(self):
        for given, wanted in (("2024-02-29T23:59:59.123Z", "2024-02-29T23:59:59.123Z"),
                              ("2000-01-01 00:00:00", "2000-01-01T00:00:00.000Z"),
                              ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
                              ("2024-06-01T12:00:00+02:00", "2024-06-01T10:00:00.000Z"),
                              ("0001-01-01", "0001-01-01T00:00:00.000Z"),
                              ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z")):
            self.assertEqual(self.echo("at", "?", given), wanted)
        self.refuses_echo("at must be a time (hint: write it as ", "at", "'soon'")

    def test_time_texts_agree_with_sqlite(self):
        """Oracle: SQLite's own calendar, a day of every month over 4,000 years."""
        wrong = self.rows(
            "WITH RECURSIVE d(x) AS (SELECT date('0001-01-15') UNION ALL"
            " SELECT date(x, '+31 days') FROM d WHERE x < '4001')"
            " SELECT x, o_at FROM d, upkeep_t_echo WHERE at = x"
            " AND o_at <> strftime('%Y-%m-%dT%H:%M:%fZ', x) LIMIT 3")
        self.assertEqual(wrong, [])

    def test_arrays_of_text(self):
        for given, wanted in (("'[]'", "[]"), ("'[\"a\"]'", '["a"]'), ("NULL", None),
                              ("'  [\"a\", \"b\\\"c\"]'", '["a","b\\"c"]'),
                              ("'SELECT 1'", '["SELECT 1"]'), ("''", '[""]'),
                              ("json_array('x', '€')", '["x","€"]')):
            self.assertEqual(self.echo("ta", given), wanted)
        self.refuses_echo("ta must not contain null elements", "ta", "'[\"a\", null]'")
        self.refuses_echo("element 2 of ta must be text", "ta", "'[\"a\", 1]'")
        self.refuses_echo("element 1 of ta must be text", "ta", "'[[\"a\"]]'")
        self.refuses_echo("ta must be a JSON array (hint: for example", "ta", "'[\"a\"'")
        self.refuses_echo("ta must be text or a JSON array", "ta", "5")
        self.refuses_echo("ta must not be a blob", "ta", "x'5b5d'")
        self.refuses_echo("ta is not valid UTF-8", "ta", "'[\"' || CAST(x'ff' AS TEXT) || '\"]'")
        self.refuses_echo("ta must not contain NUL", "ta", "'[\"a' || char(0) || '\"]'")

    def test_arrays_of_numbers(self):
        for name in ("ia", "ba"):
            self.assertEqual(self.echo(name, "'[1, -2]'"), "[1,-2]")
            self.refuses_echo(f"element 2 of {name} must be an integer", name, "'[1, 2.5]'")
            self.refuses_echo(f"element 1 of {name} must be an integer", name, "'[\"1\"]'")
            self.refuses_echo(f"{name} must be a JSON array", name, "'1'")
            self.refuses_echo(f"{name} must be a JSON array", name, "1")
            self.refuses_echo(f"{name} must be a JSON array", name, "'{\"a\": 1}'")
            self.refuses_echo(f"{name} must be a JSON array", name, "'SELECT'")
            self.refuses_echo(f"{name} must not contain null elements", name, "'[null]'")
        self.assertEqual(self.echo("fa", "'[1, 2.5, 1e-300]'"), "[1,2.5,1e-300]")
        self.refuses_echo("element 1 of fa must be a number", "fa", "'[true]'")

    def test_arrays_in_a_utf16_database(self):
        self.db.execute("PRAGMA encoding = 'UTF-16'")
        self.db.execute("CREATE TABLE t AS SELECT '[\"grüße\"]' AS x")
        self.assertEqual(self.rows("SELECT o_ta FROM t, upkeep_t_echo WHERE ta = x"), [('["grüße"]',)])
        self.assertEqual(self.rows("SELECT upkeep_t_join('ä')"), [("äBc",)])

    def test_no_table_can_be_created_from_a_module(self):
        self.refuses("no such module", "CREATE VIRTUAL TABLE x USING upkeep_t_count")

    def test_rows_cannot_be_written(self):
        self.refuses("may not be modified", "DELETE FROM upkeep_t_count WHERE up_to = 1")


class ActingTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect("upkeepguards")
        self.addCleanup(self.db.close)
        self.db.execute("CREATE TABLE t(n)")
        self.db.executemany("INSERT INTO t VALUES (?)", [(0,), (1,), (1,)])
        self.before = self.actions()

    def actions(self):
        return self.value("SELECT upkeep_t_actions()")

    def acted(self):
        return self.actions() - self.before

    def test_acts_once_per_statement(self):
        self.assertEqual(len(self.rows("SELECT * FROM upkeep_t_act_rows")), 2)
        self.assertEqual(self.acted(), 1)
        self.assertEqual(len(self.rows("SELECT * FROM upkeep_t_act_rows(0)")), 2)
        self.assertEqual(len(self.rows("SELECT * FROM upkeep_t_act_rows WHERE dry_run = ?", False)), 2)
        self.assertEqual(self.acted(), 3)

    def test_the_same_statement_again_acts_again(self):
        for _ in range(5):  # Python keeps the prepared statement
            self.rows("SELECT * FROM upkeep_t_act_rows(0)")
        self.assertEqual(self.acted(), 5)

    def test_two_open_statements_act_both(self):
        one = self.db.execute("SELECT * FROM upkeep_t_act_rows(0)")
        self.assertIsNotNone(one.fetchone())
        two = self.db.execute("SELECT * FROM upkeep_t_act_rows(1)")
        self.assertIsNotNone(two.fetchone())
        self.assertEqual(self.acted(), 2)
        self.assertEqual((len(one.fetchall()), len(two.fetchall())), (1, 1))

    def test_a_join_does_not_repeat_it(self):
        for sql in ("SELECT count(*) FROM t, upkeep_t_act_rows(0)",
                    "SELECT count(*) FROM t CROSS JOIN upkeep_t_act_rows(0)",
                    "SELECT count(*) FROM t LEFT JOIN upkeep_t_act_rows(0)"):
            before = self.actions()
            self.assertEqual(self.value(sql), 6, sql)
            self.assertEqual(self.actions() - before, 1, sql)

    def test_arguments_from_other_tables_are_refused_before_acting(self):
        for sql in ("SELECT * FROM t, upkeep_t_act_rows(t.n)",
                    "SELECT * FROM t JOIN upkeep_t_act_rows ON dry_run = n",
                    "SELECT * FROM upkeep_t_act_rows, t WHERE label = n",
                    "SELECT * FROM upkeep_t_act_rows WHERE dry_run IN (0, 1)",
                    "SELECT * FROM upkeep_t_act_rows WHERE dry_run IN (SELECT n FROM t)"):
            self.refuses("upkeep_t_act_rows acts once per statement", sql)
        self.assertEqual(self.acted(), 0)

    def test_a_repeat_that_shows_late_is_refused(self):
        for sql in ("SELECT n, (SELECT number FROM upkeep_t_act_rows(n)) FROM t",
                    "SELECT * FROM t LEFT JOIN upkeep_t_act_rows(t.n)",
                    "SELECT * FROM t CROSS JOIN upkeep_t_act_rows(t.n)",
                    "SELECT * FROM upkeep_t_act_rows(0) UNION ALL SELECT * FROM upkeep_t_act_rows(1)"):
            before = self.actions()
            self.refuses("acts once per statement", sql)
            self.assertLessEqual(self.actions() - before, 1, sql)

    def test_direct_only(self):
        self.db.execute("CREATE VIEW v AS SELECT * FROM upkeep_t_act_rows(0)")
        self.db.execute("CREATE VIEW w AS SELECT upkeep_t_act() AS n")
        self.refuses("unsafe use", "SELECT * FROM v")
        self.refuses("unsafe use", "SELECT * FROM w")
        self.db.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT upkeep_t_act(); END")
        self.refuses("unsafe use", "INSERT INTO t VALUES (9)")
        self.assertEqual(self.acted(), 0)
        self.assertEqual(self.value("SELECT upkeep_t_act()"), self.before + 1)

    def test_pure_calls_work_in_untrusted_schemas_and_indexes(self):
        self.db.execute("PRAGMA trusted_schema = 0")
        self.db.execute("CREATE VIEW v AS SELECT upkeep_t_join('a') AS x, o_t FROM upkeep_t_echo")
        self.assertEqual(self.rows("SELECT * FROM v"), [("aBc", None)])
        self.db.execute("CREATE INDEX i ON t(upkeep_t_join(n))")

    def test_reading_calls_need_a_trusted_schema(self):
        self.db.execute("CREATE VIEW v AS SELECT upkeep_t_actions() AS n")
        self.assertEqual(self.value("SELECT n FROM v"), self.before)
        self.db.execute("PRAGMA trusted_schema = 0")
        self.refuses("unsafe use", "SELECT n FROM v")


if __name__ == "__main__":
    unittest.main()
