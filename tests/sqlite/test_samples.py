"""What captured statements ran with: used to plan them, shown and saved nowhere; advice joins what was
captured and is weighted by measured time."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import host

QUERY = "SELECT * FROM jobs WHERE status = ? ORDER BY priority, note"
SECRET, COMMON = "pendingxq", "completedxq"


class Sampled(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "app.db")
        self.db = self.open()
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("CREATE TABLE jobs(id INTEGER PRIMARY KEY, status TEXT, priority INT, note TEXT)")
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO jobs VALUES (?, ?, ?, ?)", (
            (i, SECRET if i % 200 == 0 else COMMON, i % 50, "x" * 60) for i in range(1, 20001)))
        self.db.execute("COMMIT")
        self.db.execute("ANALYZE")
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")
        self.addCleanup(self.value, "SELECT upkeep_capture(0)")

    def open(self):
        db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(db.close)
        return db

    def advice(self):
        cursor = self.db.execute("SELECT * FROM upkeep_advise_indexes(NULL)")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    @staticmethod
    def is_generic(rows):
        return any("parameters without values" in row["warnings"] for row in rows)

    def one_cost(self, sql):
        """What the advisor says that one execution of this very text costs."""
        return self.value("SELECT cost_before FROM upkeep_what_if(?, '[]')", sql)

    def select_ms(self):
        return self.value("SELECT sum(total_ms) FROM upkeep_statements WHERE operation = 'SELECT'"
                          " AND query LIKE '%jobs%'")

    def test_a_bound_value_changes_the_estimate_to_the_truth(self):
        costs = {}
        for value in (SECRET, COMMON):
            self.value("SELECT upkeep_reset_statements()")
            self.rows(QUERY, value)
            rows = self.advice()
            self.assertFalse(self.is_generic(rows), rows)
            costs[value] = self.one_cost(QUERY.replace("?", f"'{value}'"))
            if rows:
                self.assertAlmostEqual(rows[0]["cost_before"], costs[value], delta=costs[value] * 1e-6)
            if value == SECRET:
                self.assertIn("status", json.loads(rows[0]["columns"])[0])
        self.assertGreater(costs[COMMON], costs[SECRET])

    def test_without_a_sample_it_is_generic_and_says_so(self):
        self.rows("SELECT id FROM jobs WHERE priority = ? AND note <> ?", 7, "y" * 5000)
        rows = self.advice()
        self.assertTrue(rows)
        self.assertTrue(self.is_generic(rows), rows)

    def test_another_process_has_no_samples_and_the_file_holds_none(self):
        self.rows(QUERY, SECRET)
        self.value("SELECT upkeep_save()")
        self.assertNotIn(SECRET.encode(), pathlib.Path(self.path + "-upkeep").read_bytes())
        told = subprocess.run(
            [sys.executable, "-c", "import host, sys\nprint(host.connect(database=sys.argv[1]).execute("
             "'SELECT * FROM upkeep_advise_indexes(NULL)').fetchall())", self.path],
            cwd=pathlib.Path(__file__).parent, env={**os.environ, "UPKEEP_BUILD": str(host.BUILD)}, capture_output=True, text=True, check=True).stdout
        self.assertIn("jobs", told)
        self.assertNotIn(SECRET, told)
        self.assertIn("parameters without values", told)

    def test_nothing_shows_the_value(self):
        self.rows(QUERY, SECRET)
        for view in ("statements", "slow_statements", "capabilities", "metric_samples", "endpoints"):
            self.assertNotIn(SECRET, str(self.rows(f"SELECT * FROM upkeep_{view}")), view)
        self.assertNotIn(SECRET, str(self.advice()))

    def test_advice_joins_statements(self):
        for priority in range(3):
            self.rows(f"SELECT id FROM jobs WHERE priority = {priority} AND note = 'a'")
        self.rows(QUERY, SECRET)
        named = {f for row in self.advice() for f in json.loads(row["fingerprints"])}
        captured = {row[0] for row in self.rows("SELECT fingerprint FROM upkeep_statements")}
        self.assertTrue(named)
        self.assertLessEqual(named, captured)

    def test_weights_are_shares_of_the_measured_time(self):
        """All together cost what their executions cost; of that each has its part of the time."""
        texts = ["SELECT id FROM jobs WHERE priority = 7", "SELECT count(*) FROM jobs WHERE note = 'b'"]
        for text, times in zip(texts, (20, 3)):
            for _ in range(times):
                self.rows(text)
        costs = [self.one_cost(text) for text in texts]
        total = 20 * costs[0] + 3 * costs[1]
        ms = [self.value("SELECT sum(total_ms) FROM upkeep_statements WHERE query LIKE ?", f"%{word}%jobs%")
              for word in ("SELECT id", "count(*)")]
        rows = self.advice()
        self.assertAlmostEqual(rows[0]["cost_before"], total, delta=total * 1e-6)
        row = next(row for row in rows if json.loads(row["columns"]) == ["priority"])
        after = self.value("SELECT cost_after FROM upkeep_what_if(?, ?)", texts[0], json.dumps([row["create_sql"]]))
        self.assertAlmostEqual(row["cost_before"] - row["cost_after"],
                               total * ms[0] / sum(ms) * (1 - after / costs[0]), delta=total * 1e-6)

    def test_large_values_are_not_even_written_out(self):
        self.db.execute("CREATE TABLE b(id INTEGER PRIMARY KEY, x BLOB)")
        self.rows("SELECT id FROM b WHERE x = ? AND id > 0", b"q" * 2_000_000)
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_statements WHERE query LIKE '%from b%'"), 1)
        self.db.execute("INSERT INTO b VALUES (1, ?)", (b"q" * 2_000_000,))
        self.assertEqual(self.value("SELECT length(x) FROM b"), 2_000_000)


if __name__ == "__main__":
    unittest.main()
