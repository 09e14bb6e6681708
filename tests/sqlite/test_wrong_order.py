"""upkeep_index_findings from captured statements: wrong_order, where it is right and all that must not give it."""
import pathlib
import tempfile
import unittest

import host

RANGE = "SELECT * FROM runs WHERE status = 'failedxq' AND ts > 3000"


class WrongOrderTest(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "app.db")
        self.db = host.connect(database=self.path, isolation_level=None, cached_statements=0)
        self.addCleanup(self.db.close)
        self.db.executescript("""
            PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
            CREATE TABLE hours(h INTEGER PRIMARY KEY);
            CREATE TABLE runs(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, status TEXT NOT NULL, note TEXT NOT NULL);
            WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 20000)
            INSERT INTO runs SELECT g, g, CASE WHEN g % 500 = 0 THEN 'failedxq' ELSE 'donexq' END, printf('%.100c', 'n') FROM n;
            CREATE INDEX runs_ts ON runs(ts, status);
            ANALYZE;
            """)
        self.addCleanup(self.value, "SELECT upkeep_capture(0)")
        self.value("SELECT upkeep_capture(1)")
        self.forget()

    def forget(self):
        self.value("SELECT upkeep_reset_statements()")

    def run_sql(self, sql):
        return self.db.execute(sql).fetchall()

    def found(self):
        cursor = self.db.execute("SELECT * FROM upkeep_index_findings WHERE code = 'wrong_order'")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def names(self):
        return [row["index_name"] for row in self.found()]

    def test_equality_behind_a_range(self):
        """The guide's (ts, status) for `status = ? AND ts > ?`."""
        self.run_sql(RANGE)
        [row] = self.found()
        self.assertEqual((row["table_name"], row["index_name"], row["covered_by"]), ("runs", "runs_ts", None))
        self.assertIn("1 captured statement compares status by equality and ts not", row["evidence"])
        self.assertNotIn("failedxq", str(row))
        self.assertEqual(row["fix_sql"], "CREATE INDEX IF NOT EXISTS idx_runs_status_ts ON runs (status, ts)")
        self.run_sql(row["fix_sql"])
        self.run_sql("ANALYZE")
        plan = self.run_sql("EXPLAIN QUERY PLAN " + RANGE)
        self.assertIn("idx_runs_status_ts (status=? AND ts>?)", plan[0][3])
        self.assertEqual(self.found(), [])
        self.run_sql(row["undo_sql"])
        self.assertEqual(self.names(), ["runs_ts"])

    def test_bound_parameters(self):
        self.db.execute("SELECT * FROM runs WHERE status = ? AND ts > ?", ("failedxq", 3000)).fetchall()
        self.assertEqual(self.names(), ["runs_ts"])

    def test_other_statements_that_want_it(self):
        for sql in ("SELECT * FROM runs WHERE status = 'failedxq'",
                    "UPDATE runs SET note = note WHERE status = 'failedxq' AND ts < 9000"):
            with self.subTest(sql):
                self.forget()
                self.run_sql(sql)
                self.assertEqual(self.names(), ["runs_ts"])

    def test_one_statement_keeps_the_order(self):
        for sql in ("SELECT * FROM runs WHERE ts = 5", "SELECT * FROM runs WHERE ts = 5 AND status = 'donexq'",
                    "SELECT * FROM runs WHERE ts IN (5, 7)", "SELECT * FROM runs WHERE ts > 19990",
                    "SELECT * FROM runs ORDER BY ts LIMIT 3", "SELECT max(ts) FROM runs",
                    "SELECT ts, count(*) FROM runs GROUP BY ts", "SELECT * FROM runs WHERE id = 4 OR ts = 4",
                    "SELECT a.id FROM runs a JOIN runs b ON b.ts = a.id WHERE a.id = 9",
                    "SELECT * FROM runs INDEXED BY runs_ts WHERE status = 'donexq' AND ts > 19990",
                    "DELETE FROM runs WHERE ts = 5"):
            with self.subTest(sql):
                self.forget()
                self.run_sql(RANGE)
                self.assertEqual(self.names(), ["runs_ts"])
                self.run_sql(sql)
                self.assertEqual(self.names(), [])

    def test_nothing_captured(self):
        self.assertEqual(self.names(), [])

    def test_indexes_that_stay_as_they_are(self):
        for name, sql in (("nothing of that", "CREATE INDEX other ON runs(ts, status)"),
                          ("unique", "CREATE UNIQUE INDEX other ON runs(ts, status)"),
                          ("partial", "CREATE INDEX other ON runs(ts, status) WHERE id > 0"),
                          ("expression", "CREATE INDEX other ON runs(abs(ts), status)"),
                          ("collation", "CREATE INDEX other ON runs(ts, status COLLATE nocase)"),
                          ("other order is there",
                           "CREATE INDEX other ON runs(ts, status); CREATE INDEX more ON runs(status)"),
                          ("constraint", "ALTER TABLE runs RENAME TO old; CREATE TABLE runs(id INTEGER PRIMARY KEY,"
                           " ts, status TEXT, note, UNIQUE(ts, status)); INSERT INTO runs SELECT * FROM old"),
                          ("foreign key", "ALTER TABLE runs RENAME TO old; CREATE TABLE runs(id INTEGER PRIMARY KEY,"
                           " ts REFERENCES hours(h), status TEXT, note); INSERT INTO runs SELECT * FROM old;"
                           "CREATE INDEX other ON runs(ts, status)")):
            with self.subTest(name):
                self.db.executescript("DROP INDEX IF EXISTS runs_ts; DROP INDEX IF EXISTS other; DROP INDEX IF EXISTS more;"
                                      f"BEGIN; {sql}; ANALYZE")
                self.forget()
                self.run_sql(RANGE)
                self.assertEqual(self.names(), ["other"] if name == "nothing of that" else [])
                self.run_sql("ROLLBACK")

    def test_no_database_file(self):
        db = host.connect(isolation_level=None)
        self.addCleanup(db.close)
        db.executescript("CREATE TABLE runs(id INTEGER PRIMARY KEY, ts, status); CREATE INDEX runs_ts ON runs(ts, status)")
        db.execute("SELECT * FROM runs WHERE status = 1 AND ts > 4").fetchall()
        self.assertEqual(db.execute("SELECT code FROM upkeep_index_findings").fetchall(), [])


if __name__ == "__main__":
    unittest.main()
