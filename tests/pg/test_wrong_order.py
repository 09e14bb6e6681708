# cluster: shared_preload_libraries=upkeep_preload
# cluster: autovacuum=off
"""index_findings from captured statements: wrong_order, where it is right and all that must not give it."""
import unittest

from host import Asks, connect

SETUP = """
DROP TABLE IF EXISTS runs CASCADE;
DROP TABLE IF EXISTS hours;
CREATE TABLE runs (id int PRIMARY KEY, ts int NOT NULL, status text NOT NULL, note text NOT NULL);
INSERT INTO runs SELECT g, g, CASE WHEN g % 500 = 0 THEN 'failedxq' ELSE 'donexq' END, repeat('n', 100)
    FROM generate_series(1, 60000) AS g;
CREATE INDEX runs_ts ON runs (ts, status);
VACUUM ANALYZE runs;
"""
RANGE = "SELECT * FROM runs WHERE status = 'failedxq' AND ts > 20000"


class WrongOrderTest(Asks):
    def setUp(self):
        for statement in SETUP.strip().split(";\n"):
            self.rows(statement)
        self.rows("SELECT upkeep.reset_statements()")

    def found(self):
        return self.dicts("SELECT * FROM upkeep.index_findings WHERE code = 'wrong_order'")

    def names(self):
        return [row["index_name"] for row in self.found()]

    def test_equality_behind_a_range(self):
        """The guide's (ts, status) for `status = ? AND ts > ?`."""
        self.rows(RANGE)
        [row] = self.found()
        self.assertEqual((row["table_name"], row["index_name"], row["covered_by"]), ("runs", "runs_ts", None))
        self.assertEqual(row["size_bytes"], self.value("SELECT pg_relation_size('runs_ts')"))
        self.assertIn("1 captured statement compares status by equality and ts not", row["evidence"])
        self.assertNotIn("without values", row["evidence"])
        self.assertNotIn("failedxq", str(row))
        self.assertEqual(row["fix_sql"],
                         "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_runs_status_ts ON runs (status, ts)")
        before = self.value(f"EXPLAIN (FORMAT JSON) {RANGE}")[0]["Plan"]["Total Cost"]
        self.rows(row["fix_sql"])
        after = self.value(f"EXPLAIN (FORMAT JSON) {RANGE}")[0]["Plan"]["Total Cost"]
        self.assertLess(after, before / 2)
        self.assertEqual(self.found(), [])
        self.rows(row["undo_sql"])
        self.assertEqual(self.names(), ["runs_ts"])

    def test_without_a_sample(self):
        """A text too long to be kept with its values is planned without them."""
        self.rows("UPDATE runs SET status = 's' || id % 1000")
        self.rows("VACUUM ANALYZE runs")
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("SELECT * FROM runs WHERE status = 's7' AND ts > 20000 AND note <> '" + "y" * 5000 + "'")
        [row] = self.found()
        self.assertIn("planned without values", row["evidence"])

    def test_other_statements_that_want_it(self):
        for sql in ("SELECT * FROM runs WHERE status = 'failedxq'",
                    "SELECT * FROM runs WHERE status = 'failedxq' ORDER BY ts LIMIT 5",
                    "UPDATE runs SET note = note WHERE status = 'failedxq' AND ts < 20000"):
            with self.subTest(sql):
                self.rows("SELECT upkeep.reset_statements()")
                self.rows(sql)
                self.assertEqual(self.names(), ["runs_ts"])

    def test_one_statement_keeps_the_order(self):
        for sql in ("SELECT * FROM runs WHERE ts = 5", "SELECT * FROM runs WHERE ts = 5 AND status = 'donexq'",
                    "SELECT * FROM runs WHERE ts IN (5, 7)", "SELECT * FROM runs WHERE ts > 59990",
                    "SELECT * FROM runs ORDER BY ts LIMIT 3", "SELECT max(ts) FROM runs",
                    "SELECT ts, count(*) FROM runs GROUP BY ts", "SELECT * FROM runs WHERE id = 4 OR ts = 4",
                    "SELECT a.id FROM runs a JOIN runs b ON b.ts = a.id WHERE a.id = 9",
                    "DELETE FROM runs WHERE ts = 5"):
            with self.subTest(sql):
                self.rows("SELECT upkeep.reset_statements()")
                self.rows(RANGE)
                self.assertEqual(self.names(), ["runs_ts"])
                self.rows(sql)
                self.assertEqual(self.names(), [])

    def test_nothing_captured(self):
        self.assertEqual(self.names(), [])

    def test_the_planner_would_not_use_it(self):
        self.rows("SELECT * FROM runs WHERE status = 'donexq' AND ts > 20000")
        self.assertEqual(self.names(), [])

    def test_indexes_that_stay_as_they_are(self):
        for name, sql in (
                ("nothing of that", "CREATE INDEX other ON runs (ts, status)"),
                ("unique", "CREATE UNIQUE INDEX other ON runs (ts, status)"),
                ("constraint", "ALTER TABLE runs ADD CONSTRAINT other UNIQUE (ts, status)"),
                ("replica identity", "CREATE UNIQUE INDEX other ON runs (ts, status);"
                                     "ALTER TABLE runs REPLICA IDENTITY USING INDEX other"),
                ("clustered", "CREATE INDEX other ON runs (ts, status); ALTER TABLE runs CLUSTER ON other"),
                ("partial", "CREATE INDEX other ON runs (ts, status) WHERE id > 0"),
                ("expression", "CREATE INDEX other ON runs (abs(ts), status)"),
                ("method", "CREATE INDEX other ON runs USING brin (ts, status)"),
                ("operator class", "CREATE INDEX other ON runs (ts, status text_pattern_ops)"),
                ("other order is there", "CREATE INDEX other ON runs (ts, status); CREATE INDEX more ON runs (status)"),
                ("foreign key", "CREATE INDEX other ON runs (ts, status); CREATE TABLE hours (h int PRIMARY KEY);"
                                "INSERT INTO hours SELECT ts FROM runs;"
                                "ALTER TABLE runs ADD FOREIGN KEY (ts) REFERENCES hours")):
            with self.subTest(name):
                self.setUp()
                self.rows("DROP INDEX runs_ts")
                self.rows(sql)
                self.rows("SELECT upkeep.reset_statements()")
                self.rows(RANGE)
                self.assertEqual(self.names(), ["other"] if name == "nothing of that" else [])

    def test_it_takes_the_place_of_unused(self):
        self.rows("ALTER TABLE runs ALTER status TYPE text USING repeat(status, 3)")
        self.rows("VACUUM ANALYZE runs")
        sql = "SELECT code FROM upkeep.index_findings WHERE index_name = 'runs_ts'"
        self.rows("SELECT upkeep.reset_statements()")
        self.assertEqual(self.rows(sql), [("unused",)])
        self.rows(RANGE.replace("failedxq", "failedxq" * 3))
        self.assertEqual(self.rows(sql), [("wrong_order",)])

    def test_others_statements_count_only_for_who_may_run_them(self):
        self.rows("DROP ROLE IF EXISTS onlooker; CREATE ROLE onlooker LOGIN; GRANT pg_monitor TO onlooker;"
                  "GRANT USAGE ON SCHEMA upkeep TO onlooker; GRANT SELECT ON runs TO onlooker")
        self.rows(RANGE)
        with connect(self.database) as other:
            self.run_on(other, "SET ROLE onlooker")
            sql = "SELECT index_name FROM upkeep.index_findings WHERE code = 'wrong_order'"
            self.assertEqual(self.run_on(other, sql), [])
            self.run_on(other, RANGE)
            self.assertEqual(self.run_on(other, sql), [("runs_ts",)])


if __name__ == "__main__":
    unittest.main()
