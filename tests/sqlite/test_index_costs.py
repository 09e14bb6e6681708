"""upkeep_index_findings: costs_more_than_it_saves and small_table, from the programs of captured statements."""
import pathlib
import sqlite3
import tempfile
import unittest

import host

WEEK_US = 8 * 86400 * 1000000


class IndexCostsTest(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "app.db")
        self.db = host.connect(database=self.path, isolation_level=None, cached_statements=0)
        self.addCleanup(lambda: self.db.close())
        self.db.executescript("""
            PRAGMA synchronous = OFF;
            CREATE TABLE parent(id INTEGER PRIMARY KEY);
            CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c, p_id REFERENCES parent(id));
            CREATE INDEX heavy ON t(a); CREATE UNIQUE INDEX rule ON t(c); CREATE INDEX needed ON t(p_id);
            CREATE INDEX some ON t(b) WHERE b > 5;
            CREATE TABLE log(n); CREATE INDEX trail ON log(n);
            CREATE TABLE small(k INTEGER PRIMARY KEY, v, w UNIQUE); CREATE INDEX idle ON small(v);
            INSERT INTO small VALUES(1, 1, 1), (2, 2, 2);
            CREATE TABLE unread(v); CREATE INDEX quiet ON unread(v); INSERT INTO unread VALUES(1);
            """)
        self.addCleanup(lambda: self.value("SELECT upkeep_capture(0)"))
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")

    def found(self, code, db=None):
        cursor = (db or self.db).execute("SELECT * FROM upkeep_index_findings WHERE code = ?", (code,))
        names = [column[0] for column in cursor.description]
        return {row["index_name"]: row for row in (dict(zip(names, row)) for row in cursor.fetchall())}

    def insert(self, count, start=0):
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO t(a, b, c) VALUES(?, ?, ?)", [(i, i, i) for i in range(start, start + count)])
        self.db.execute("COMMIT")

    def test_writes_without_reads(self):
        self.insert(9000)
        self.assertEqual(self.found("costs_more_than_it_saves"), {})
        self.db.execute("UPDATE t SET a = a + 1 WHERE id <= 1000")  # an entry removed, one made
        [(name, row)] = self.found("costs_more_than_it_saves").items()  # not the unique, partial one, nor the key's
        self.assertEqual((name, row["table_name"], row["severity"]), ("heavy", "t", "low"))
        self.assertRegex(row["evidence"], "at least 11000 entries made or removed, about 132000 units; 0 scans in .* counting")
        self.assertIn("too early to drop it", row["evidence"])
        self.assertIsNone(row["fix_sql"])

    def test_what_does_not_touch_the_index_is_no_write(self):
        self.insert(5000)
        for _ in range(3):
            self.db.execute("UPDATE t SET b = b + 1")
        self.db.execute("INSERT INTO t(id, a) SELECT id, 1 FROM t WHERE 1 ON CONFLICT DO UPDATE SET b = 1")
        self.assertEqual(self.found("costs_more_than_it_saves"), {})
        self.db.execute("DELETE FROM t WHERE id > 0")
        self.assertIn("at least 10000 entries", self.found("costs_more_than_it_saves")["heavy"]["evidence"])

    def test_reads_pay_for_it(self):
        self.insert(12000)
        self.assertIn("heavy", self.found("costs_more_than_it_saves"))
        for i in range(4):
            self.rows("SELECT * FROM t WHERE a = ?", i)
        self.assertEqual(self.found("costs_more_than_it_saves"), {})

    def test_rows_of_triggers_are_not_guessed(self):
        self.db.execute("DROP INDEX some")  # else what a trigger with values reads is not known
        self.db.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.a); END")
        self.value("SELECT upkeep_reset_statements()")
        self.insert(12000)
        self.assertEqual(set(self.found("costs_more_than_it_saves")), {"heavy"})

    def test_after_a_week_the_fix_runs_and_is_undone(self):
        self.insert(12000)
        for _ in range(120):
            self.rows("SELECT * FROM small WHERE v + 0 = 1")
        self.value("SELECT upkeep_capture(0)")
        self.value("SELECT upkeep_save()")
        with sqlite3.connect(self.path + "-upkeep") as state:
            state.execute("UPDATE index_use_since SET since_us = since_us - ?", (WEEK_US,))
            state.execute("UPDATE index_use_more SET since_us = since_us - ?", (WEEK_US,))
        state.close()
        self.db.close()
        self.db = host.connect(database=self.path, isolation_level=None)
        shape = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' ORDER BY 1"
        before = self.rows(shape)
        fixes = {}
        for code, name in (("costs_more_than_it_saves", "heavy"), ("small_table", "idle")):
            [(found, row)] = self.found(code).items()
            self.assertEqual(found, name)
            fixes[name] = row["fix_sql"], row["undo_sql"]
        for fix, _ in fixes.values():
            self.db.execute(fix)
        self.assertNotEqual(self.rows(shape), before)
        for _, undo in fixes.values():
            self.db.execute(undo)
        self.assertEqual(self.rows(shape), before)
        self.assertEqual(self.found("small_table"), {})  # the evidence began anew

    def test_counts_of_another_beginning_are_not_taken(self):
        self.insert(12000)
        self.value("SELECT upkeep_save()")
        with sqlite3.connect(self.path + "-upkeep") as state:  # as an older upkeep would leave it
            state.execute("UPDATE index_use_since SET since_us = since_us + 1")
        state.close()
        self.assertEqual(self.found("costs_more_than_it_saves"), {})

    def test_small_table(self):
        for i in range(99):
            self.rows("SELECT * FROM small WHERE w + 0 = ?", i)
        self.assertEqual(self.found("small_table"), {})
        self.rows("SELECT * FROM small WHERE w + 0 = ?", 1)
        [(name, row)] = self.found("small_table").items()
        self.assertEqual((name, row["severity"], row["fix_sql"]), ("idle", "info", None))
        self.assertRegex(row["evidence"], "the table has 1 pages and was read whole 100 times; 0 scans in")
        self.rows("SELECT * FROM small WHERE v = 1")
        self.assertEqual(self.found("small_table"), {})

    def test_a_large_table_is_not_small(self):
        self.insert(5000)
        for _ in range(120):
            self.rows("SELECT * FROM t WHERE b + 0 = -1")
        self.assertEqual(self.found("small_table"), {})


if __name__ == "__main__":
    unittest.main()
