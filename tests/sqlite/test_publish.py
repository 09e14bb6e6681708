"""Metrics against promtool and against the statements that were run, the report as a page, what is
refused; and that what SQLite cannot know is absent."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from exposition import parse  # noqa: E402
from host import Asks, connect  # noqa: E402


class PublishTest(Asks, unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "o'r d\u00e9r.db")
        self.db = connect(database=self.path, isolation_level=None)
        self.db.executescript("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INT);"
                              "INSERT INTO orders VALUES (1, 1), (2, 2);")

    def tearDown(self):
        self.rows("SELECT upkeep_capture(0)")
        self.db.close()
        self.folder.cleanup()

    def metrics(self, *arguments):
        return self.value(f"SELECT upkeep_metrics({', '.join('?' * len(arguments))})", *arguments)

    def test_promtool_accepts_it(self):
        self.assertTrue(shutil.which("promtool"), "promtool is missing: ./dev check installs it")
        self.rows("SELECT upkeep_capture(1)")
        self.rows("SELECT * FROM orders")
        for prefix in ("upkeep", "autopr_db"):
            done = subprocess.run(["promtool", "check", "metrics"], input=self.metrics(prefix).encode(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual((done.returncode, done.stdout.decode()), (0, ""))

    def test_rows_and_text_are_the_same(self):
        text = parse(self.metrics("upkeep", json.dumps(["build_info", "database_size_bytes", "health_checks"])))
        rows = {(name, tuple(sorted(json.loads(labels).items()))): value for name, labels, value in
                self.rows("SELECT name, labels, value FROM upkeep_metric_samples")}
        self.assertEqual({key: rows[key] for key in text.samples}, text.samples)
        self.assertEqual(set(text.types), {"upkeep_build_info", "upkeep_database_size_bytes", "upkeep_health_checks"})
        self.assertEqual(text.value("upkeep_database_size_bytes", database="main"), os.path.getsize(self.path))

    def test_what_it_cannot_know_is_absent(self):
        names = {row[0] for row in self.rows("SELECT name FROM upkeep_metric_samples")}
        for absent in ("locks_waiting", "connections_max", "database_commits_total", "database_deadlocks_total",
                       "workflow_executions", "database_wraparound_ratio"):
            self.assertNotIn("upkeep_" + absent, names)
        self.assertIn("upkeep_connections", names)

    def test_statements_by_operation_table_and_status(self):
        def counted(status):
            name = "autopr_db_queries_total"
            return parse(self.metrics("autopr_db")).value(name, operation="update", table="orders", status=status) or 0
        self.rows("SELECT upkeep_capture(1)")
        before = counted("ok"), counted("error")
        for i in range(5):
            self.rows("UPDATE orders SET total = ? WHERE id = 1", 10 + i)
        self.rows("PRAGMA busy_timeout = 0")
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            self.refuses("locked", "UPDATE orders SET total = ? WHERE id = 1", 2)
        self.assertEqual((counted("ok") - before[0], counted("error") - before[1]), (5, 1))
        parsed = parse(self.metrics("autopr_db"))
        count = parsed.value("autopr_db_query_duration_seconds_count", operation="update", table="orders")
        self.assertEqual(count, counted("ok"))

    def test_counters_do_not_fall_when_statements_are_evicted(self):
        def counters():
            parsed = parse(self.metrics())
            return {key: value for key, value in parsed.samples.items()
                    if parsed.type_of(key[0]) in ("counter", "histogram")}
        self.rows("SELECT upkeep_capture(1)")
        self.rows("SELECT total FROM orders")
        start = earlier = counters()
        limit = int(parse(self.metrics()).value("upkeep_capture_statements_max"))
        for n in range(limit + 600):
            self.rows(f"SELECT id AS n{n} FROM orders WHERE id = 0")
            if n % 1500 == 0:
                now = counters()
                for key, value in earlier.items():
                    self.assertGreaterEqual(now[key], value, key)
                earlier = now
        now = counters()
        self.assertGreater(now[("upkeep_capture_evictions_total", ())], 0)
        selects = ("upkeep_statements_total", (("operation", "select"), ("status", "ok"), ("table", "orders")))
        self.assertEqual(now[selects] - start[selects], limit + 600)

    def test_workflows(self):
        self.assertIn("not known:", self.value("SELECT upkeep_report('text')").split("Workflows, last 24 hours")[1])
        self.rows("SELECT * FROM upkeep_install_workflow_schema()")
        self.rows("INSERT INTO workflows (id, name, status) VALUES ('w', 'nightly', 'active')")
        for i, status in enumerate(("completed", "completed", "completed", "failed")):
            self.rows("INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at)"
                      " VALUES (?, 'w', ?, ?, datetime('now', '-1 hour'), datetime('now', '-1 hour', '+2 seconds'))",
                      f"i{i}", f"e{i}", status)
        parsed = parse(self.metrics())
        self.assertEqual(parsed.value("upkeep_workflow_executions", status="completed"), 3)
        self.assertEqual(parsed.value("upkeep_workflow_success_ratio"), 0.75)
        self.assertIn("75.0 %", self.value("SELECT upkeep_report('text')"))

    def test_report(self):
        self.rows("CREATE INDEX first ON orders (total)")
        self.rows("CREATE INDEX second ON orders (total)")
        page = self.value("SELECT upkeep_report('text', ?)", "a\x1b[31m\n\u202eb")
        lines = page.splitlines()
        self.assertEqual(lines[0], "a [31m b")
        self.assertLessEqual(max(map(len, lines)), 100)
        for title in ("Findings", "Statements by total time", "Connections by state", "Locks", "Index findings",
                      "Foreign keys without an index", "Settings that differ from the advice"):
            self.assertIn(title, lines)
        self.assertIn("duplicate", page)
        self.assertIn("upkeep report on o'r d\u00e9r.db", self.value("SELECT upkeep_report('text')"))

    def test_bad_input(self):
        for prefix in ("", "1up", "up keep", "up-keep", "up\nkeep", "\u00e9", "a" * 65):
            self.refuses("prefix must be", "SELECT upkeep_metrics(?)", prefix)
        self.refuses("prefix", "SELECT upkeep_metrics(NULL)")
        self.refuses('no family of metrics is named "nosuch" (hint: families: build_info',
                     "SELECT upkeep_metrics('upkeep', '[\"nosuch\"]')")
        self.refuses("families", "SELECT upkeep_metrics('upkeep', 'no json')")
        self.assertEqual(self.metrics("upkeep", "[]"), "")
        for call in ("upkeep_report()", "upkeep_report('html')", "upkeep_report('json')"):
            self.refuses("(hint: write report('text'))", f"SELECT {call}")
        self.refuses('named "pdf"', "SELECT upkeep_report('pdf')")
        self.refuses("format", "SELECT upkeep_report(NULL)")

    def test_nothing_is_written(self):
        before = self.value("SELECT total_changes()"), os.path.getsize(self.path)
        self.metrics()
        self.value("SELECT upkeep_report('text')")
        self.assertEqual((self.value("SELECT total_changes()"), os.path.getsize(self.path)), before)


if __name__ == "__main__":
    unittest.main()
