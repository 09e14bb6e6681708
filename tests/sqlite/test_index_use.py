"""Index use from captured statements: what each view says equals what EXPLAIN QUERY PLAN said as the
statements ran, or is NULL."""
import collections
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import tempfile
import textwrap
import unittest

import host


class IndexUseCase(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "app.db")
        self.db = self.open()
        self.db.executescript("""
            PRAGMA synchronous = OFF;
            CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c TEXT, d);
            CREATE INDEX ta ON t(a); CREATE INDEX tb ON t(b); CREATE INDEX tc ON t(c); CREATE INDEX td ON t(d, a);
            CREATE TABLE u(id INTEGER PRIMARY KEY, t_id INTEGER, x);
            CREATE INDEX ux ON u(x); CREATE INDEX ut ON u(t_id);
            CREATE TABLE p(id INTEGER PRIMARY KEY, s, v);
            CREATE INDEX ps ON p(s) WHERE s = 'failed'; CREATE INDEX pv ON p(v);
            CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
            CREATE VIEW seen AS SELECT a FROM t WHERE b = 5;
            """)
        self.addCleanup(self.stop)
        self.start()

    def start(self):
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")

    def stop(self):
        self.value("SELECT upkeep_capture(0)")

    def open(self):
        db = host.connect(database=self.path, isolation_level=None, cached_statements=0)
        self.addCleanup(db.close)
        return db

    def scans(self, db=None):
        return dict((db or self.db).execute("SELECT index_name, scans FROM upkeep_indexes").fetchall())

    def python(self, script):
        head = f"import sys, os\nsys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\nimport host\n" \
               f"path = {self.path!r}\n"
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", head + textwrap.dedent(script)], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), script)
        return done.stdout


class IndexUseTest(IndexUseCase):
    def test_calls_of_the_statements_that_use_it(self):
        for i in range(5):
            self.rows("SELECT * FROM t WHERE a = ?", i)
        self.rows("SELECT * FROM t WHERE a = 17")
        self.rows("SELECT * FROM t CROSS JOIN u ON u.t_id = t.id WHERE t.b = 3")
        self.rows("SELECT * FROM u WHERE x = 1 OR t_id = 2")
        scans = self.scans()
        self.assertEqual({name: scans[name] for name in ("ta", "tb", "ut", "ux", "tc", "td")},
                         {"ta": 6, "tb": 1, "ut": 2, "ux": 1, "tc": 0, "td": 0})
        self.assertIsNone(scans["sqlite_autoindex_w_1"])  # the table itself: not told apart
        used, unused = (self.rows("SELECT last_used_at, counters_since_at FROM upkeep_indexes WHERE index_name = ?", name)[0]
                        for name in ("ta", "td"))
        self.assertIsNone(unused[0])
        self.assertLessEqual(used[1], used[0])

    def test_writes_that_search_and_triggers(self):
        self.db.executescript("CREATE TABLE log(k, n); CREATE INDEX lk ON log(k); CREATE TRIGGER tr AFTER INSERT ON u"
                              " BEGIN UPDATE log SET n = n + 1 WHERE k = new.x; END")
        self.start()
        self.db.execute("UPDATE t SET b = 1 WHERE a = 5")
        self.db.execute("DELETE FROM t WHERE c = 'x'")
        for i in range(3):
            self.db.execute("INSERT INTO t(a, b) VALUES(?, ?)", (i, i))  # maintains, does not use
        self.db.execute("INSERT INTO u(x) VALUES(7)")
        scans = self.scans()
        self.assertEqual([scans[name] for name in ("ta", "tc", "tb", "lk")], [1, 1, 0, 1])

    def test_null_where_the_plan_depends_on_values(self):
        self.rows("SELECT * FROM p WHERE s = 'failed'")
        self.assertEqual((self.scans()["ps"], self.scans()["pv"]), (1, 0))
        self.rows("SELECT * FROM p WHERE s = 'done'")  # one kept text, two plans
        self.assertIsNone(self.scans()["ps"])
        self.assertIsNotNone(self.value("SELECT last_used_at FROM upkeep_indexes WHERE index_name = 'ps'"))
        self.start()
        self.rows("SELECT * FROM p WHERE s = ? AND v > 5", "failed")  # bound: the planner may look
        self.rows("SELECT * FROM t WHERE c LIKE ?", "abc%")
        scans = self.scans()
        self.assertEqual([scans[name] for name in ("ps", "pv", "tc")], [None] * 3)
        self.assertEqual([scans[name] for name in ("ux", "ut")], [0, 0])

    def test_null_through_a_view_that_nobody_can_plan(self):
        self.rows("SELECT * FROM seen")
        self.assertEqual(self.scans()["tb"], 1)
        self.db.create_function("mine", 1, lambda x: x)
        self.rows("SELECT mine(a) FROM seen")
        self.assertIsNone(self.scans()["tb"])

    def test_many_texts_of_one_statement(self):
        for i in range(50):
            self.rows(f"SELECT * FROM t WHERE a = {i}")
            self.rows(f"SELECT * FROM t JOIN u ON u.x = t.d WHERE t.c = 'v{i}' ORDER BY t.b LIMIT {i}")
        scans = self.scans()
        self.assertEqual((scans["ut"], scans["tb"]), (None, None))  # a join in 50 texts: four were planned
        self.start()
        for i in range(50):
            self.rows(f"SELECT * FROM t WHERE a = {i}")
        self.assertEqual((self.scans()["ta"], self.scans()["tb"]), (50, 0))

    def test_a_changed_schema_begins_anew(self):
        self.rows("SELECT * FROM t WHERE a = 1")
        self.assertEqual(self.scans()["ta"], 1)
        self.value("SELECT upkeep_save()")
        before = self.value("SELECT min(counters_since_at) FROM upkeep_indexes")
        self.rows("SELECT * FROM t WHERE a = 1")
        self.db.execute("CREATE INDEX tab ON t(a, b)")
        self.assertEqual(set(self.scans().values()) - {None}, {0})  # not told apart: dropped
        self.value("SELECT upkeep_save()")
        self.assertGreater(self.value("SELECT min(counters_since_at) FROM upkeep_indexes"), before)
        self.rows("SELECT * FROM t WHERE a = 1 AND b = 2")
        self.assertEqual(self.scans()["tab"], 1)
        self.db.execute("ANALYZE")  # other statistics, other plans
        self.assertEqual(set(self.scans().values()) - {None}, {0})

    def test_processes_add_up(self):
        self.value("SELECT upkeep_save()")
        script = """
            db = host.connect(database=path, isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            for i in range(9):
                db.execute("SELECT * FROM t WHERE a = ?", (i,)).fetchall()
            db.close()
            """
        self.python(script)
        self.python(script)
        self.rows("SELECT * FROM t WHERE a = 1")
        self.assertEqual((self.scans()["ta"], self.scans()["tb"]), (19, 0))
        self.value("SELECT upkeep_save()")
        shell = subprocess.run(["/usr/bin/sqlite3", "-batch", "-cmd", f".load {host.BUILD / 'upkeep'}", self.path,
                                "SELECT scans FROM upkeep_indexes WHERE index_name IN ('ta', 'tb') ORDER BY index_name"],
                               capture_output=True, text=True)
        self.assertEqual(shell.stdout, "19\n0\n")

    def test_against_the_planner_as_the_statements_ran(self):
        chance = random.Random(4)
        columns = {"t": "abcd", "u": ["t_id", "x"], "p": "v"}
        wanted = collections.Counter()
        for _ in range(300):
            table = chance.choice("tup")
            conditions = [f"{column} {chance.choice(['=', '>', '='])} {chance.choice(['?', '5', '0'])}"
                          for column in chance.sample(list(columns[table]), chance.randint(1, len(columns[table])))]
            sql = f"SELECT * FROM {table} WHERE {chance.choice([' AND ', ' OR ']).join(conditions)}" + \
                  chance.choice(["", " ORDER BY id", f" ORDER BY {columns[table][0]} LIMIT 3"])
            values = [chance.randint(0, 9) for _ in range(sql.count("?"))]
            self.rows(sql, *values)
            plan = " ".join(row[3] for row in self.rows("EXPLAIN QUERY PLAN " + sql, *values))
            wanted.update(set(re.findall(r"INDEX (\w+)", plan)) - {"PRIMARY"})
        known = {name: count for name, count in self.scans().items() if count is not None}
        self.assertEqual(known, {name: wanted[name] for name in known})
        self.assertGreater(len(known), 3)

    def test_an_unused_index_is_found(self):
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO t(a, b, c) VALUES(?, ?, ?)", [(i, i, "x" * 200) for i in range(8000)])
        self.db.execute("COMMIT")
        self.start()
        for i in range(5):
            self.rows("SELECT * FROM t WHERE a = ?", i)
        found = self.rows("SELECT index_name, evidence, fix_sql FROM upkeep_index_findings WHERE code = 'unused'")
        self.assertEqual([(row[0], row[2]) for row in found], [("tc", None)])  # too early for a fix
        self.assertIn("candidate: 0 scans in", found[0][1])
        self.rows("SELECT c FROM t WHERE c = 'x'")
        self.assertEqual(self.rows("SELECT index_name FROM upkeep_index_findings WHERE code = 'unused'"), [])

    def test_in_memory_and_without_capture_nothing_is_known(self):
        memory = host.connect()
        self.addCleanup(memory.close)
        memory.executescript("CREATE TABLE t(a); CREATE INDEX i ON t(a)")
        memory.execute("SELECT upkeep_capture(1)").fetchall()
        memory.execute("SELECT * FROM t WHERE a = 1").fetchall()
        self.assertEqual(self.scans(memory), {"i": None})
        other = host.connect(database=self.path + "2")
        self.addCleanup(other.close)
        other.executescript("CREATE TABLE t(a); CREATE INDEX i ON t(a)")
        self.assertEqual(other.execute("SELECT scans, last_used_at, counters_since_at FROM upkeep_indexes").fetchall(),
                         [(None, None, None)])


if __name__ == "__main__":
    unittest.main()
