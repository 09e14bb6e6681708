"""upkeep_verify_indexes: a useful, a useless and a harmful index are told apart on a private copy; the caller's file is
never written, no file is left, and what it cannot build or run it says."""
import hashlib
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

import autopr
import host

# `big` is spread over many pages in an order that is not that of `half`.
SETUP = """
CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, half INTEGER, s TEXT, b INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
INSERT INTO t SELECT i, i % 1000, (i * 7919) % 2, 'text ' || i || printf('%100d', i), i % 1000 FROM n;
CREATE INDEX t_b ON t(b);
CREATE TABLE small(id INTEGER PRIMARY KEY, a INTEGER);
INSERT INTO small SELECT id, id * 7 FROM t WHERE id <= 20;
"""
USEFUL, QUERY = "CREATE INDEX IF NOT EXISTS t_a ON t(a)", "SELECT count(s) FROM t WHERE a = 7"
# Without statistics an equality is thought to keep fewer rows than a range; this one keeps half of them, the range forty.
HARMFUL, HARMED = "CREATE INDEX t_half ON t(half)", "SELECT sum(length(s)) FROM t WHERE half = 1 AND b >= 999"
SLOW = "SELECT count(*) FROM t x, t y WHERE x.s < y.s"
CALL = "SELECT * FROM upkeep_verify_indexes(?, ?) WHERE confirm = 1"


class Verify(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(SETUP)
        self.before = self.state()
        self.checks_state = True

    def tearDown(self):
        if self.checks_state:
            self.assertEqual(self.state(), self.before)

    def state(self):
        """The file's bytes, and every file there is beside it or that this process holds open."""
        held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                if os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")]
        return (hashlib.sha256(pathlib.Path(self.path).read_bytes()).hexdigest(), sorted(os.listdir(self.folder)),
                sorted(name for name in held if "etilqs" in name or name.startswith(str(self.folder))))

    def verify(self, indexes, statements, db=None):
        found = (db or self.db).execute(CALL, (json.dumps(indexes), json.dumps(statements))).fetchall()
        self.assertEqual([row[0] for row in found], statements)
        return found

    def one(self, index, statement, db=None):
        (_, before, after, ratio, changed, verdict), = self.verify([index], [statement], db)
        if before:
            self.assertAlmostEqual(ratio, after / before)
        return before, after, changed, verdict

    def clock(self, statement):
        """The best of five runs on the caller's own connection, in milliseconds."""
        def once():
            start = time.perf_counter()
            self.rows(statement)
            return (time.perf_counter() - start) * 1000
        return min(once() for _ in range(5))

    def test_a_useful_index_is_better(self):
        before, after, changed, verdict = self.one(USEFUL, QUERY)
        self.assertEqual((changed, verdict), (1, "better"))
        self.assertGreater(before, 2 * after)

    def test_a_useless_index_is_same(self):
        for statement in (HARMED, "SELECT count(*) FROM small", "SELECT 1", "SELECT s FROM t WHERE id = 5"):
            before, after, changed, verdict = self.one(USEFUL, statement)
            self.assertEqual((changed, verdict), (0, "same"), statement)
            self.assertIsNotNone(before)
            self.assertIsNotNone(after)

    def test_a_harmful_index_is_worse(self):
        before, after, changed, verdict = self.one(HARMFUL, HARMED)
        self.assertEqual((changed, verdict), (1, "worse"), (before, after))
        self.assertGreater(after, before)
        # The oracle: the same index on a database of its own, by its own clock.
        self.checks_state = False
        scanned = self.clock(HARMED)
        self.db.execute(HARMFUL)
        self.assertGreater(self.clock(HARMED), scanned)

    def test_statistics_are_those_of_the_next_analyze(self):
        """Where the table was analysed the fresh index is, too, and planned as after the next ANALYZE."""
        self.checks_state = False
        self.db.execute("CREATE INDEX t_a ON t(a)")
        statement = "SELECT s FROM t WHERE half = 1 AND a = 3"  # without statistics the index made last
        for _ in range(2):
            changed = self.one(HARMFUL, statement)[2]
            self.db.execute(HARMFUL)
            if self.value("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'"):
                self.db.execute("ANALYZE")
            used = "t_half" in str(self.rows(f"EXPLAIN QUERY PLAN {statement}"))
            self.assertEqual(changed, int(used))
            self.db.execute("DROP INDEX t_half")
            self.db.execute("ANALYZE")
        self.assertFalse(used)  # by now it is known to keep half of the rows

    def test_several(self):
        found = self.verify([USEFUL, HARMFUL], [QUERY, HARMED, "SELECT max(id) FROM t"])
        self.assertEqual([row[5] for row in found], ["better", "worse", "same"])
        script = self.db.execute(CALL, (f"{USEFUL};\n{HARMFUL};", f"{QUERY}; {HARMED}")).fetchall()
        self.assertEqual([row[5] for row in script], ["better", "worse"])

    def test_what_has_effects_is_only_planned(self):
        for statement in ("DELETE FROM t WHERE a = 7", "UPDATE t SET half = 0 WHERE a = 7", "SELECT * FROM t WHERE a = ?"):
            self.assertEqual(self.one(USEFUL, statement), (None, None, 1, "not_testable_now"), statement)
        self.assertEqual(self.one(USEFUL, "SELECT load_extension('x') FROM t"), (None, None, None, "not_testable_now"))
        self.db.create_function("of_mine", 1, lambda value: value)
        self.assertEqual(self.one(USEFUL, "SELECT of_mine(a) FROM t"), (None, None, None, "not_testable_now"))
        self.assertEqual(self.value("SELECT count(*) FROM t"), 40000)

    def test_in_memory(self):
        memory = host.connect(isolation_level=None)
        memory.executescript(SETUP)
        before, after, changed, verdict = self.one(USEFUL, QUERY, memory)
        self.assertEqual((changed, verdict), (1, "better"))
        self.assertGreater(before, after)
        self.assertEqual(memory.execute("SELECT count(*) FROM sqlite_schema").fetchall(), [(3,)])
        memory.execute("BEGIN IMMEDIATE")
        memory.execute("DELETE FROM small")
        with self.assertRaises(sqlite3.Error) as caught:
            self.one(USEFUL, QUERY, memory)
        self.assertIn("is being written and cannot be copied (hint: end the transaction", str(caught.exception))
        memory.execute("ROLLBACK")
        self.assertEqual(self.one(USEFUL, QUERY, memory)[3], "better")
        memory.close()

    def test_wal_and_transactions(self):
        self.checks_state = False
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO small VALUES (500, 1)")
        self.assertEqual(self.one(USEFUL, QUERY)[3], "better")
        self.db.execute("COMMIT")
        self.assertEqual(self.value("SELECT count(*) FROM small"), 21)
        self.assertEqual(self.value("SELECT count(*) FROM sqlite_schema"), 3)
        self.assertEqual(self.value("PRAGMA integrity_check"), "ok")

    def test_other_kinds(self):
        self.checks_state = False
        self.db.executescript("CREATE TABLE w(k TEXT PRIMARY KEY, a, s) WITHOUT ROWID; INSERT INTO w SELECT s, a, s FROM t;"
                              "CREATE VIRTUAL TABLE words USING fts5(word); INSERT INTO words VALUES ('one'), ('two');"
                              "CREATE VIEW seen AS SELECT * FROM t WHERE half = 1")
        for index, statement in (("CREATE INDEX w_a ON w(a)", "SELECT count(s) FROM w WHERE a = 7"),
                                 ("CREATE INDEX t_x ON t(a * 2)", "SELECT count(s) FROM t WHERE a * 2 = 14"),
                                 ("CREATE INDEX t_p ON t(a) WHERE half = 1", QUERY + " AND half = 1"),
                                 ("CREATE INDEX main.t_n ON t(s COLLATE NOCASE)", "SELECT * FROM t WHERE s = 'x' COLLATE NOCASE"),
                                 ("CREATE INDEX t_v ON t(a)", "SELECT count(s) FROM seen WHERE a = 7"),
                                 ("CREATE INDEX t_j ON t(a)", "SELECT count(s) FROM json_each('[7, 8]') j JOIN t ON t.a = j.value")):
            with self.subTest(index):
                self.assertEqual(self.one(index, statement)[2:], (1, "better"))

    def test_a_shared_memory_database_and_a_read_only_file(self):
        shared = host.connect(database="file:shared_one?mode=memory&cache=shared", uri=True, isolation_level=None)
        shared.executescript(SETUP)
        self.assertEqual(self.one(USEFUL, QUERY, shared)[3], "better")
        shared.close()
        self.checks_state = False
        for mode in ("DELETE", "WAL"):
            self.db.execute(f"PRAGMA journal_mode = {mode}")
            db = host.connect(database=f"file:{self.path}?mode=ro", uri=True, isolation_level=None)
            self.assertEqual(self.one(USEFUL, QUERY, db)[3], "better")
            db.close()

    def test_writers_of_a_wal_database_do_not_wait(self):
        self.checks_state = False
        self.db.execute("PRAGMA journal_mode = WAL")
        other = sqlite3.connect(self.path, isolation_level=None, timeout=0, check_same_thread=False)
        written, stop = [], threading.Event()

        def write():
            while not stop.is_set():
                other.execute("INSERT INTO small(a) VALUES (1)")
                written.append(1)
                time.sleep(0.002)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.assertEqual(self.one(USEFUL, QUERY)[3], "better")
        finally:
            stop.set()
            writer.join()
        self.assertGreater(len(written), 5)
        self.assertEqual(self.value("SELECT count(*) FROM small"), 20 + len(written))
        other.close()

    def test_attached(self):
        other = str(self.folder / "other.db")
        self.db.execute("ATTACH ? AS other", (other,))
        self.db.execute("CREATE TABLE other.o AS SELECT * FROM t")
        self.before = self.state()
        index, statement = "CREATE INDEX other.o_a ON o(a)", "SELECT count(o.s) FROM o JOIN small ON small.a = o.a"
        self.assertEqual(self.verify([index], [statement, QUERY])[0][4], 1)
        self.db.execute("CREATE TEMP TABLE mine(a)")
        self.refuses("temporary tables are not copied (hint: ", CALL, json.dumps(["CREATE INDEX temp.x ON mine(a)"]), '["SELECT 1"]')
        self.assertEqual(self.one(USEFUL, "SELECT * FROM mine")[3], "not_testable_now")

    def test_bad_input(self):
        for index, wanted in (("DROP TABLE t", ""), ("SELECT 1", ""), ("", "empty"), ("CREATE TABLE x(a)", ""),
                              ("CREATE INDEX x ON nowhere(a)", "no such table"), ("CREATE INDEX x ON t(nothing)", "nothing"),
                              ("CREATE INDEX", ""), ("CREATE UNIQUE INDEX u ON t(a)", "UNIQUE constraint failed"),
                              ("CREATE INDEX small ON t(a)", "already"), ("CREATE INDEX x ON t(random())", "non-deterministic")):
            with self.subTest(index):
                self.refuses("(hint: ", CALL, json.dumps([index]), '["SELECT 1"]')
                self.refuses(wanted, CALL, json.dumps([index]), '["SELECT 1"]')
        for statement, wanted in (("SELEC", "syntax error"), ("", "empty"), ("VACUUM", ""), ("SELECT * FROM nowhere", "no such table"),
                                  ("ATTACH 'x' AS x", ""), ("PRAGMA user_version = 5", "")):
            with self.subTest(statement):
                self.refuses("(hint: ", CALL, json.dumps([USEFUL]), json.dumps([statement]))
                self.refuses(wanted, CALL, json.dumps([USEFUL]), json.dumps([statement]))
        self.refuses("statement 2: ", CALL, json.dumps([USEFUL]), '["SELECT 1", "SELEC"]')
        self.refuses("given twice", CALL, json.dumps([USEFUL, USEFUL]), '["SELECT 1"]')
        for condition, wanted in (("runs = 0", "runs must be"), ("runs = 101", "runs must be"), ("time_limit_ms = 0", "time_limit"),
                                  ("max_table_bytes = 0", "max_table_bytes must"), ("max_table_bytes = 5", "max_table_bytes is 5")):
            self.refuses(wanted, f"{CALL} AND {condition}", json.dumps([USEFUL]), '["SELECT 1"]')
            self.refuses("(hint: ", f"{CALL} AND {condition}", json.dumps([USEFUL]), '["SELECT 1"]')
        self.refuses("wants a yes (hint: the whole database is copied", "SELECT * FROM upkeep_verify_indexes(?, ?)",
                     json.dumps([USEFUL]), '["SELECT 1"]')
        self.refuses("statements is empty", CALL, json.dumps([USEFUL]), "[]")
        self.refuses("create_sql is empty", CALL, "[]", '["SELECT 1"]')
        self.refuses("nothing has been captured", "SELECT * FROM upkeep_verify_indexes(?) WHERE confirm = 1", json.dumps([USEFUL]))
        self.checks_state = False
        self.db.execute("CREATE VIEW via AS SELECT * FROM upkeep_verify_indexes('[]', '[]')")
        self.refuses("unsafe use", "SELECT * FROM via")

    def test_an_interrupt_ends_it(self):
        sent = []
        threading.Timer(1, lambda: (sent.append(time.monotonic()), self.db.interrupt())).start()
        self.refuses("interrupted", CALL, json.dumps([USEFUL]), json.dumps([SLOW]))
        self.assertLess(time.monotonic() - sent[0], 0.5)
        self.assertEqual(self.one(USEFUL, QUERY)[3], "better")

    def test_the_time_limit(self):
        start = time.monotonic()
        found = self.rows(f"{CALL} AND time_limit_ms = 2000", json.dumps([USEFUL]), json.dumps([QUERY, SLOW, "SELECT 1"]))
        self.assertLess(time.monotonic() - start, 5)
        self.assertEqual([row[5] for row in found], ["better", "not_testable_now", "not_testable_now"])
        self.refuses("not built within time_limit (hint: ", f"{CALL} AND time_limit_ms = 1", json.dumps([USEFUL]), json.dumps([QUERY]))

    def test_a_full_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True,
                              check=False).returncode != 0:
                self.skipTest("no mount here")
            try:
                code = ("import host, sys\n"
                        f"db = host.connect(database={self.path!r})\n"
                        "try:\n"
                        f"    db.execute({CALL!r}, ({json.dumps([USEFUL])!r}, {json.dumps([QUERY])!r})).fetchall()\n"
                        "except Exception as error:\n"
                        "    print(error)\n")
                said = subprocess.run(["/usr/bin/python3", "-c", code], env=dict(
                    os.environ, SQLITE_TMPDIR=folder, PYTHONPATH=str(pathlib.Path(host.__file__).parent)),
                    capture_output=True, text=True, check=True).stdout
                self.assertIn("full (hint: ", said)
                self.assertEqual(os.listdir(folder), [])
            finally:
                subprocess.run(["umount", folder], check=True)

    def test_a_locked_file(self):
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        self.refuses("locked", CALL, json.dumps([USEFUL]), json.dumps([QUERY]))
        self.assertLess(time.monotonic() - start, 8)
        other.execute("ROLLBACK")
        other.close()
        self.assertEqual(self.one(USEFUL, QUERY)[3], "better")

    def test_captured_statements(self):
        self.checks_state = False
        self.db.execute("SELECT upkeep_capture(1)")
        self.addCleanup(self.db.execute, "SELECT upkeep_capture(0)")
        for _ in range(3):
            self.rows(QUERY)
        self.rows("SELECT count(*) FROM small")
        found = self.rows("SELECT * FROM upkeep_verify_indexes(?) WHERE confirm = 1", json.dumps([USEFUL]))
        self.assertEqual([row[0] for row in found], ["select count(s) from t where a = ?"])
        self.assertEqual(found[0][4:], (1, "better"))
        # Its own runs were not counted.
        self.assertEqual(self.value("SELECT sum(calls) FROM upkeep_statements WHERE query LIKE '%count(s)%'"), 3)
        self.db.execute("CREATE TABLE unread(a)")
        self.refuses("no captured one reads these tables", "SELECT * FROM upkeep_verify_indexes(?) WHERE confirm = 1",
                     json.dumps(["CREATE INDEX none ON unread(a)"]))


class AdvisedSet(unittest.TestCase):
    def test_what_is_advised_is_confirmed_and_what_is_planted_is_caught(self):
        with tempfile.TemporaryDirectory() as folder:
            db = autopr.create(pathlib.Path(folder) / "autopr.db", 20000)
            reads = json.dumps([one.sql for one in autopr.workload() if one.kind == "read"])
            advised = [row[0] for row in db.execute("SELECT create_sql FROM upkeep_advise_indexes(?)", (reads,))]
            self.assertGreater(len(advised), 2)
            found = db.execute("SELECT verdict, statement, before_ms, after_ms FROM upkeep_verify_indexes(?, ?, 5)"
                               " WHERE confirm = 1 AND time_limit_ms = 300000", (json.dumps(advised), reads)).fetchall()
            verdicts = [row[0] for row in found]
            self.assertGreaterEqual(verdicts.count("better"), 5, found)
            # Whether advice harms a statement is a test of the advice; without statistics one is harmed here.
            self.assertLessEqual(verdicts.count("worse"), 1, found)
            self.assertNotIn("not_testable_now", verdicts, found)
            self.assertLess(sum(row[3] for row in found), sum(row[2] for row in found))
            # Planted: most rows are of one status, and without statistics an equality is thought to keep fewer than a range.
            db.execute("CREATE INDEX by_start ON workflow_executions(started_at)")
            late, = db.execute("SELECT started_at FROM workflow_executions ORDER BY 1 DESC LIMIT 1 OFFSET 50").fetchone()
            found = db.execute("SELECT verdict, plan_changed, before_ms, after_ms FROM upkeep_verify_indexes(?, ?, 5)"
                               " WHERE confirm = 1", (json.dumps(["CREATE INDEX planted ON workflow_executions(status)"]), json.dumps(
                                   ["SELECT sum(length(execution_id)) FROM workflow_executions WHERE status = 'completed'"
                                    f" AND started_at >= '{late}'"]))).fetchall()
            self.assertEqual(found[0][:2], ("worse", 1), found)
            db.close()


if __name__ == "__main__":
    unittest.main()
