"""upkeep_explain_statement: each finding on a real plan and its opposite, a run sees what is committed, leaves nothing
behind and ends when told to, and what could have an effect is refused."""
import json
import os
import pathlib
import sqlite3
import tempfile
import threading
import time
import unittest

import host

SETUP = """
CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, half INTEGER, s TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, i % 1000, i % 2, 'text ' || i FROM n;
CREATE TABLE small(id INTEGER PRIMARY KEY, a INTEGER);
INSERT INTO small SELECT id, id * 7 FROM t WHERE id <= 20;
CREATE TABLE plain(a INTEGER, b INTEGER);
INSERT INTO plain SELECT id, a FROM t;
CREATE INDEX t_half ON t(half, a);
"""
SLOW = "SELECT count(*) FROM t x, t y, t z WHERE x.s < y.s || z.s"


class Explain(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(SETUP)

    def explain(self, statement, run=0):
        found = self.rows("SELECT plan, planning_ms, execution_ms, findings FROM upkeep_explain_statement(?, ?)",
                          statement, run)
        self.assertEqual(len(found), 1)
        plan, planning, execution, findings = found[0]
        return json.loads(plan), planning, execution, json.loads(findings)

    def codes(self, statement, run=0):
        return [finding.split(":")[0] for finding in self.explain(statement, run)[3]]

    def finding(self, code, statement, run=0):
        found = [finding for finding in self.explain(statement, run)[3] if finding.startswith(code + ": ")]
        self.assertTrue(found, f"{code} not found in {statement}")
        return found[0]

    def lacks(self, code, statement):
        for run in (0, 1):
            self.assertNotIn(code, self.codes(statement, run), statement)

    def details(self, nodes):
        return [text for node in nodes for text in [node["detail"], *self.details(node.get("children", []))]]

    def test_plan_only(self):
        for statement in ("SELECT * FROM t WHERE half = 1 AND a = 3", "SELECT x.s FROM t x JOIN small USING (id) ORDER BY x.s",
                          "DELETE FROM t WHERE id = 1", "SELECT * FROM t WHERE id = ?"):
            plan, planning, execution, _ = self.explain(statement)
            own = [row[3] for row in self.rows("EXPLAIN QUERY PLAN " + statement, *([1] if "?" in statement else []))]
            self.assertEqual(self.details(plan), own)
            self.assertGreater(planning, 0)
            self.assertIsNone(execution)
        self.explain("INSERT INTO small VALUES (99, 1)")
        self.assertEqual(self.value("SELECT count(*) FROM small"), 20)

    def test_run(self):
        plan, planning, execution, _ = self.explain("SELECT * FROM t WHERE s LIKE '%7'", 1)
        self.assertEqual(self.details(plan), ["SCAN t"])
        self.assertGreater(planning, 0)
        self.assertGreater(execution, 0)
        self.explain("SELECT random(), datetime('now'), lower('A'), json('[1]'); -- comment", 1)
        self.assertEqual(os.listdir(self.folder), ["app.db"])

    def test_run_sees_what_is_committed_in_files(self):
        other = str(self.folder / "other.db")
        self.db.execute("ATTACH ? AS other", (other,))
        self.db.execute("CREATE TABLE other.o AS SELECT * FROM t")
        self.finding("whole_table_scan", "SELECT * FROM o WHERE a = 7", 1)
        self.db.execute("CREATE TEMP TABLE mine(a)")
        self.explain("SELECT * FROM mine")
        self.refuses("no such table: mine where the statement would be run", "SELECT * FROM upkeep_explain_statement(?, 1)",
                     "SELECT * FROM mine")
        self.db.create_function("of_mine", 1, lambda value: value)
        self.refuses("no such function: of_mine where", "SELECT * FROM upkeep_explain_statement(?, 1)",
                     "SELECT of_mine(a) FROM t")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO small VALUES (500, 1)")
        self.explain("SELECT * FROM small", 1)
        self.assertEqual(self.value("SELECT count(*) FROM small"), 21)
        self.db.execute("COMMIT")
        memory = host.connect(isolation_level=None)
        memory.execute("CREATE TABLE m(a)")
        with self.assertRaises(sqlite3.Error) as caught:
            memory.execute("SELECT * FROM upkeep_explain_statement('SELECT * FROM m', 1)").fetchall()
        self.assertIn("in memory cannot be read by a second connection", str(caught.exception))
        self.assertEqual(len(memory.execute("SELECT * FROM upkeep_explain_statement('SELECT * FROM m')").fetchall()), 1)
        memory.close()

    def test_a_locked_file_is_an_error_soon(self):
        self.db.execute("BEGIN EXCLUSIVE")
        self.refuses("locked", "SELECT * FROM upkeep_explain_statement('SELECT * FROM small', 1)")
        self.db.execute("ROLLBACK")
        self.explain("SELECT * FROM small", 1)

    def test_a_file_that_may_not_be_written(self):
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("INSERT INTO small VALUES (77, 1)")
        self.explain("SELECT * FROM small", 1)
        db = host.connect(database=f"file:{self.path}?mode=ro", uri=True)
        self.assertEqual(len(db.execute("SELECT * FROM upkeep_explain_statement('SELECT 1 FROM small', 1)").fetchall()), 1)
        db.close()

    def test_effects_are_refused(self):
        writes = ("INSERT INTO small VALUES (98, 1)", "UPDATE t SET a = 1", "DELETE FROM t", "REPLACE INTO small VALUES (1, 1)",
                  "INSERT INTO small VALUES (1, 1) ON CONFLICT DO NOTHING RETURNING id")
        for statement in writes:
            self.refuses("that writes is planned, never run", "SELECT * FROM upkeep_explain_statement(?, 1)", statement)
        self.refuses("function load_extension may have effects", "SELECT * FROM upkeep_explain_statement(?, 1)",
                     "SELECT load_extension('x')")
        for statement in ("ATTACH 'x' AS x", "PRAGMA user_version = 5", "PRAGMA journal_mode = WAL", "VACUUM", "BEGIN",
                          "CREATE TABLE z(a)", "DETACH main", "EXPLAIN SELECT 1", "ANALYZE"):
            for run in (0, 1):
                self.refuses("(hint: ", "SELECT * FROM upkeep_explain_statement(?, ?)", statement, run)
        self.refuses("table-valued function upkeep_statements", "SELECT * FROM upkeep_explain_statement(?, 1)",
                     "SELECT * FROM upkeep_statements")
        self.assertEqual(self.value("PRAGMA user_version"), 0)
        self.assertEqual(self.value("SELECT count(*) FROM t"), 20000)
        self.assertEqual(self.value("SELECT count(*) FROM small"), 20)

    def test_virtual_tables(self):
        self.db.executescript("CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('one'), ('two');"
                              "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1); INSERT INTO boxes VALUES (1, 2, 3)")
        for statement in ("SELECT * FROM json_each('[1, 2]')", "SELECT id FROM t WHERE a IN (SELECT value FROM json_each('[1]'))",
                          "SELECT name FROM pragma_table_info('t')", "SELECT count(*) FROM dbstat",
                          "SELECT name FROM pragma_index_list('t')"):
            self.assertIsNone(self.explain(statement)[2])
            self.assertGreater(self.explain(statement, 1)[2], 0, statement)
        for statement in ("SELECT * FROM words WHERE words MATCH 'one'", "SELECT * FROM boxes WHERE x0 > 1"):
            try:
                self.assertGreater(self.explain(statement, 1)[2], 0, statement)
            except sqlite3.Error as error:
                self.assertIn("cannot be copied for planning", str(error))
        self.refuses("PRAGMA optimize may have effects", "SELECT * FROM upkeep_explain_statement(?, 1)",
                     "SELECT * FROM pragma_optimize")
        for statement in ("INSERT INTO small SELECT value, 1 FROM json_each('[97]')", "DELETE FROM words"):
            self.refuses("", "SELECT * FROM upkeep_explain_statement(?, 1)", statement)
        self.assertEqual(self.value("SELECT count(*) FROM small"), 20)
        self.assertEqual(self.value("SELECT count(*) FROM words"), 2)

    def test_bad_input(self):
        for run in (0, 1):
            for statement, wanted in (("SELECT 1; DROP TABLE t", "several statements"), ("", "empty"), ("-- x", "no statement"),
                                      ("SELECT * FROM nowhere", "no such table"), ("SELEC 1", "syntax error")):
                self.refuses(wanted, "SELECT * FROM upkeep_explain_statement(?, ?)", statement, run)
        for mark in ("?", "?2", ":x", "@x", "$x"):
            self.refuses("with parameters cannot be run", "SELECT * FROM upkeep_explain_statement(?, 1)",
                         f"SELECT * FROM t WHERE id = {mark}")
            self.explain(f"SELECT * FROM t WHERE id = {mark}")

    def test_an_interrupt_ends_it(self):
        threading.Timer(0.5, self.db.interrupt).start()
        start = time.monotonic()
        self.refuses("interrupted", "SELECT * FROM upkeep_explain_statement(?, 1)", SLOW)
        self.assertLess(time.monotonic() - start, 10)
        self.explain("SELECT 1", 1)

    @unittest.skipIf(host.UNDER_ASAN, "waits half a minute")
    def test_the_limit_ends_it(self):
        start = time.monotonic()
        self.refuses("was stopped after 30 s", "SELECT * FROM upkeep_explain_statement(?, 1)", SLOW)
        self.assertAlmostEqual(time.monotonic() - start, 30, delta=3)

    def test_the_applications_own_handlers_stay(self):
        asked = []
        self.db.set_progress_handler(lambda: asked.append(1) and None, 100)
        self.explain("SELECT count(*) FROM t", 1)
        asked.clear()
        self.value("SELECT count(*) FROM t WHERE s > 'a'")
        self.assertGreater(len(asked), 10)
        self.db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_DELETE else sqlite3.SQLITE_OK)
        self.explain("SELECT count(*) FROM t", 1)
        self.refuses("not authorized", "DELETE FROM t")

    # --- findings: each on a plan that has it and on one that has not

    def test_whole_table_scan(self):
        for run in (0, 1):
            found = self.finding("whole_table_scan", "SELECT * FROM t WHERE a = 7", run)
            self.assertIn("SCAN t reads about 20,000 rows and keeps about", found)
            self.assertIn("a = …", found)
            self.finding("whole_table_scan", "SELECT x.* FROM t AS x WHERE x.s = 'text 5'", run)
            self.finding("whole_table_scan", "SELECT count(*) FROM plain WHERE b = 9", run)
        self.assertIn("stepped through 19,999 rows in whole scans and returned 20",
                      self.finding("whole_table_scan", "SELECT * FROM t WHERE a = 7", 1))
        for statement in ("SELECT * FROM t", "SELECT * FROM t WHERE half = 1 AND a = 3", "SELECT * FROM t WHERE id = 7",
                          "SELECT * FROM small WHERE a = 7", "SELECT * FROM t WHERE a > 200"):
            self.lacks("whole_table_scan", statement)

    def test_temp_btree(self):
        for run in (0, 1):
            self.finding("temp_btree", "SELECT * FROM t ORDER BY s", run)
            self.finding("temp_btree", "SELECT s, count(*) FROM t GROUP BY s", run)
            self.finding("temp_btree", "SELECT DISTINCT s FROM t", run)
        for statement in ("SELECT * FROM t ORDER BY id", "SELECT * FROM t ORDER BY half, a", "SELECT * FROM small ORDER BY a"):
            self.lacks("temp_btree", statement)

    def test_automatic_index(self):
        for run in (0, 1):
            self.finding("automatic_index", "SELECT * FROM plain x JOIN plain y ON x.a = y.b", run)
            self.finding("automatic_index", "SELECT * FROM small JOIN plain ON plain.b = small.a", run)
            self.finding("automatic_index", "SELECT * FROM t LEFT JOIN plain ON plain.a = t.a", run)
        for statement in ("SELECT * FROM small x JOIN t y ON x.a = y.id", "SELECT * FROM plain", "SELECT * FROM t WHERE a = 1"):
            self.lacks("automatic_index", statement)

    def test_correlated_subquery(self):
        for run in (0, 1):
            self.finding("correlated_subquery", "SELECT (SELECT max(a) FROM small s WHERE s.id = t.half) FROM t", run)
            self.finding("correlated_subquery", "SELECT * FROM t WHERE a < (SELECT avg(a) FROM small s WHERE s.id < t.a)", run)
            self.finding("correlated_subquery", "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM small s WHERE s.a = t.a)", run)
        for statement in ("SELECT (SELECT max(a) FROM small) FROM t", "SELECT * FROM t WHERE id IN (SELECT a FROM small)",
                          "SELECT * FROM t JOIN small USING (id)"):
            self.lacks("correlated_subquery", statement)


if __name__ == "__main__":
    unittest.main()
