# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.max_statements=100
# cluster: upkeep.text_memory=1MB
"""Metrics against promtool, against the statements that were run and across evictions; the report as
a page; who may read them and what is refused."""
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

import psycopg2
import psycopg2.extras

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from exposition import parse  # noqa: E402
from host import Asks, connect  # noqa: E402


class PublishTest(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, """CREATE TABLE orders (id int PRIMARY KEY, total int);
            CREATE TABLE "we""ird\\ é
table" (id int); INSERT INTO orders SELECT g, g FROM generate_series(1, 100) g""")

    def metrics(self, *arguments):
        call = ", ".join(["%s"] * len(arguments))
        return self.value(f"SELECT upkeep.metrics({call})", *arguments)

    def test_promtool_accepts_it(self):
        self.assertTrue(shutil.which("promtool"), "promtool is missing: ./dev check installs it")
        for i in range(5):
            self.rows("SELECT * FROM orders WHERE id = %s", i)
        self.rows('SELECT count(*) FROM "we""ird\\ é\ntable"')
        for prefix in ("upkeep", "autopr_db"):
            done = subprocess.run(["promtool", "check", "metrics"], input=self.metrics(prefix).encode(),
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual((done.returncode, done.stdout.decode()), (0, ""))
        # the oracle does object to what is wrong
        broken = self.metrics("upkeep").replace("_bucket{", "_bucket(", 1)
        self.assertNotEqual(subprocess.run(["promtool", "check", "metrics"], input=broken.encode(),
                                           capture_output=True, check=False).returncode, 0)

    def test_rows_and_text_are_the_same(self):
        families = ["build_info", "connections_max", "database_size_bytes"]
        text = parse(self.metrics("upkeep", families))
        rows = {(name, tuple(sorted(labels.items()))): value for name, labels, value in
                self.rows("SELECT name, labels, value FROM upkeep.metric_samples")}
        self.assertEqual(len(text.samples), 3)
        for key, value in text.samples.items():
            self.assertEqual(rows[key], value)
        self.assertEqual(set(text.types), {"upkeep_" + name for name in families})
        everything = parse(self.metrics())
        self.assertGreaterEqual({name for name, _ in everything.samples}, {name for name, _ in rows})
        types = dict(self.rows("SELECT DISTINCT name, type FROM upkeep.metric_samples"))
        self.assertEqual(types["upkeep_statement_duration_seconds_bucket"], "histogram")
        self.assertEqual(types["upkeep_statements_total"], "counter")
        self.assertEqual(types["upkeep_connections"], "gauge")

    def test_statements_by_operation_table_and_status(self):
        def counted():
            parsed = parse(self.metrics("autopr_db", ["queries_total", "query_duration_seconds"]))
            ok, error = (parsed.value("autopr_db_queries_total", operation="update", table="orders", status=s)
                         for s in ("ok", "error"))
            labels = {"operation": "update", "table": "orders"}
            return (ok, error, parsed.value("autopr_db_query_duration_seconds_count", **labels),
                    parsed.value("autopr_db_query_duration_seconds_bucket", **labels, le="1"),
                    parsed.value("autopr_db_query_duration_seconds_sum", **labels))
        for _ in range(7):
            self.rows("UPDATE orders SET total = total + 1 WHERE id = 1")
        # known before it fails: an error's handler cannot look up which tables a new statement names
        self.rows("UPDATE orders SET total = 1 / (id - 1) WHERE id = 9")
        before = counted()
        for _ in range(5):
            self.rows("UPDATE orders SET total = total + 1 WHERE id = 1")
        self.rows("UPDATE orders SET total = total + 1 FROM (SELECT pg_sleep(1.1)) s WHERE id = 2")
        self.refusal("UPDATE orders SET total = 1 / (id - 1) WHERE id = 1")
        after = counted()
        self.assertEqual(after[0] - before[0], 6)
        self.assertEqual((before[1], after[1]), (None, 1))
        self.assertEqual(after[2] - before[2], 6)
        self.assertEqual(after[3] - before[3], 5)  # one took more than a second
        self.assertTrue(1.1 <= after[4] - before[4] < 10, after)

    def test_counters_do_not_fall_when_statements_are_evicted(self):
        def counters():
            parsed = parse(self.metrics())
            return {key: value for key, value in parsed.samples.items()
                    if parsed.type_of(key[0]) in ("counter", "histogram")}
        for _ in range(20):
            self.rows("SELECT total FROM orders WHERE id = 3")
        earlier = counters()
        start = earlier
        for storm in range(4):
            for n in range(1, 120):
                self.rows(f"SELECT {', '.join(['id'] * (storm * 120 + n))} FROM orders WHERE id = 0")
            now = counters()
            for key, value in earlier.items():
                self.assertGreaterEqual(now[key], value, key)
            earlier = now
        evicted = ("upkeep_capture_evictions_total", ())
        self.assertGreater(earlier[evicted] - start[evicted], 300)
        selects = ("upkeep_statements_total", (("operation", "select"), ("status", "ok"), ("table", "orders")))
        self.assertEqual(earlier[selects] - start[selects], 4 * 119)
        self.assertLess(self.value("SELECT sum(calls) FROM upkeep.statements WHERE 'orders' = ANY (tables)"),
                        earlier[selects])

    def test_connections_and_locks(self):
        def counts():
            parsed = parse(self.metrics("autopr_db", ["connections", "locks_waiting", "pool_connections"]))
            return (parsed.value("autopr_db_connections", state="idle in transaction"),
                    parsed.value("autopr_db_locks_waiting"),
                    parsed.value("autopr_db_pool_connections", state="used"),
                    parsed.value("autopr_db_pool_connections", state="idle"))
        idle = connect(self.database)
        before = counts()
        holder = connect(self.database)
        self.run_on(holder, "BEGIN; LOCK TABLE orders")
        waiter = psycopg2.connect(dbname=self.database, async_=True)
        psycopg2.extras.wait_select(waiter)
        waiter.cursor().execute("SELECT 1 FROM orders")
        for _ in range(200):
            if self.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                break
        after = counts()
        self.assertEqual([a - (b or 0) for a, b in zip(after, before)], [1, 1, 2, 0])
        self.assertEqual(before[3], 1)
        self.rows("SET statement_timeout = '60s'")  # neither waits for the locked table for long
        page = self.value("SELECT upkeep.report('text')")
        self.assertIn("lock timeout", page)
        self.assertIn("upkeep_locks_waiting 1\n", self.metrics())
        self.rows("RESET statement_timeout")
        self.assertIn(str(holder.info.backend_pid), page)
        self.run_on(holder, "ROLLBACK")
        for connection in (idle, holder, waiter):
            connection.close()

    def test_workflows_are_absent_until_there_are_tables(self):
        self.assertNotIn("workflow_executions{", self.metrics())
        self.assertIn("not known:", self.value("SELECT upkeep.report('text')").split("Workflows, last 24 hours")[1])
        self.rows("SELECT * FROM upkeep.install_workflow_schema()")
        self.rows("""INSERT INTO workflows (id, name, status) VALUES (gen_random_uuid(), 'nightly', 'active')""")
        self.rows("""INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at)
            SELECT gen_random_uuid(), w.id, 'e' || g, CASE WHEN g <= 3 THEN 'completed' ELSE 'failed' END,
                now() - interval '1 hour', now() - interval '1 hour' + interval '2 s'
            FROM workflows w, generate_series(1, 4) g""")
        parsed = parse(self.metrics())
        self.assertEqual(parsed.value("upkeep_workflow_executions", status="completed"), 3)
        self.assertEqual(parsed.value("upkeep_workflow_executions", status="failed"), 1)
        self.assertEqual(parsed.value("upkeep_workflow_success_ratio"), 0.75)
        self.assertAlmostEqual(parsed.value("upkeep_workflow_p95_duration_seconds"), 2, delta=0.04)
        self.assertIn("75.0 %", self.value("SELECT upkeep.report('text')"))

    def test_health_and_database(self):
        parsed = parse(self.metrics())
        found = dict(self.rows("SELECT status, count(*) FROM upkeep.check_health() GROUP BY status"))
        for status in ("ok", "unknown", "manual"):
            self.assertEqual(parsed.value("upkeep_health_checks", status=status), found.get(status, 0))
        size = self.value("SELECT pg_database_size(current_database())")
        self.assertAlmostEqual(parsed.value("upkeep_database_size_bytes", database=self.database), size,
                               delta=1 << 20)

    def test_report(self):
        for i in range(30):
            self.rows("SELECT total FROM orders WHERE total = %s", i)
        page = self.value("SELECT upkeep.report('text', %s)", "orders \u202e\x1b[31m\nof <today>")
        lines = page.splitlines()
        self.assertEqual(lines[0], "orders [31m of <today>")
        self.assertLessEqual(max(map(len, lines)), 100)
        for title in ("Findings", "Statements by total time", "Connections by state", "Locks", "Index findings",
                      "Foreign keys without an index", "Workflows, last 24 hours",
                      "Settings that differ from the advice"):
            self.assertIn(title, lines)
        self.assertIn("SELECT total FROM orders WHERE total = ", page)
        order = [line.split()[0] for line in page.split("Findings")[1].split("Statements by")[0].splitlines()
                 if line.startswith(("fail ", "warn "))][1:]
        self.assertEqual(order, sorted(order))
        self.assertLess(len(lines), 200)

    def test_bad_input(self):
        for prefix in ("", "1up", "up keep", "up-keep", "up\nkeep", "é", "a" * 65):
            self.refuses("22023", "prefix must be", "SELECT upkeep.metrics(%s)", prefix)
        self.refuses("22023", "prefix", "SELECT upkeep.metrics(NULL)")
        error = self.refuses("22023", 'no family of metrics is named "nosuch"',
                             "SELECT upkeep.metrics('upkeep', ARRAY['connections', 'nosuch'])")
        self.assertIn("connections, connections_max", error.diag.message_hint)
        self.assertNotIn("pool_connections", error.diag.message_hint)
        self.refuses("22023", "queries_total", "SELECT upkeep.metrics('upkeep', ARRAY['queries_total'])")
        self.refuses("22023", "null elements", "SELECT upkeep.metrics('upkeep', ARRAY[NULL::text])", hint=False)
        self.assertEqual(self.value("SELECT upkeep.metrics('upkeep', '{}')"), "")
        for call in ("report()", "report('html')", "report('json')"):
            error = self.refuses("0A000", "does not make the report", f"SELECT upkeep.{call}")
            self.assertIn("report('text')", error.diag.message_hint)
        self.refuses("22023", 'named "pdf"', "SELECT upkeep.report('pdf')")
        self.refuses("22023", "format", "SELECT upkeep.report(NULL)")

    def test_roles(self):
        self.rows("DROP ROLE IF EXISTS watcher, stranger, guest")
        self.rows("CREATE ROLE watcher; GRANT pg_monitor TO watcher; CREATE ROLE stranger; CREATE ROLE guest;"
                  "GRANT EXECUTE ON FUNCTION upkeep.metrics(text, text[]) TO guest")
        self.rows("SELECT * FROM orders LIMIT 1")
        with contextlib.closing(connect(self.database)) as other:
            self.run_on(other, "SET ROLE watcher")
            self.assertIn('table="orders"', self.run_on(other, "SELECT upkeep.metrics()")[0][0])
            self.assertTrue(self.run_on(other, "SELECT * FROM upkeep.metric_samples"))
            self.assertIn("Findings", self.run_on(other, "SELECT upkeep.report('text')")[0][0])
            self.run_on(other, "SET ROLE stranger")
            for call in ("SELECT upkeep.metrics()", "SELECT * FROM upkeep.metric_samples",
                         "SELECT upkeep.report('text')"):
                self.assertEqual(self.refusal(call, connection=other).pgcode, "42501")
            # someone who was let in without pg_monitor learns no names, and what he may not read is absent
            self.run_on(other, "SET ROLE guest")
            text = self.run_on(other, "SELECT upkeep.metrics()")[0][0]
            self.assertNotIn("orders", text)
            self.assertIn("<insufficient privilege>", text)
            self.assertNotIn("upkeep_health_checks", text)
        self.rows("REVOKE ALL ON FUNCTION upkeep.metrics(text, text[]) FROM guest;"
                  "DROP ROLE watcher, stranger, guest")

    def test_no_statement_text_is_a_label(self):
        self.rows("SELECT 'secret-in-a-text', total FROM orders WHERE id = 4")
        labels = [json.dumps(row[0]) for row in self.rows("SELECT labels FROM upkeep.metric_samples")]
        self.assertFalse([label for label in labels if "secret" in label or "SELECT" in label])


if __name__ == "__main__":
    unittest.main()
