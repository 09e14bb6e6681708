"""upkeep.save: what was captured is there again after a clean restart, and only then."""
# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.slow_threshold=40
import re
import time
import unittest

from host import Asks, connect
from server import Server

COUNTED = ("fingerprint, database_name, user_name, endpoint, operation, tables, query, calls, errors, rows, total_ms,"
           " mean_ms, min_ms, max_ms, p50_ms, p95_ms, p99_ms, plan_total_ms, hit_blocks, read_blocks, temp_written_blocks,"
           " wal_bytes, full_scans, sorts, slow_calls, first_seen_at, last_seen_at, is_top_level")
SLOW = ("captured_at, duration_ms, pid, database_name, user_name, application_name, client_addr, endpoint, fingerprint,"
        " query, rows, error_code, wait_event, hit_blocks, read_blocks")

FINDINGS = ("parent_query, child_query, kind, total_repeats, occurrences, max_repeats, total_ms, suggestion, endpoint,"
            " parent_fingerprint, child_fingerprint, last_seen_at")


class Saved(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server()

    def setUp(self):
        self.reconnect()
        self.set_for_all("RESET ALL")
        self.rows("SELECT upkeep.reset_statements()")

    def reconnect(self):
        type(self).db = connect(self.database)

    def set_for_all(self, change):
        """ALTER SYSTEM, in force in the postmaster when this returns: new sessions inherit its value."""
        self.rows(f"ALTER SYSTEM {change}")
        self.rows("SELECT pg_reload_conf()")
        wanted = re.search(r"SET (\S+) = (\S+)", change)
        for _ in range(100):
            with connect(self.database).cursor() as cursor:
                cursor.execute(f"SHOW {wanted[1] if wanted else 'upkeep.save'}")
                if cursor.fetchone()[0] == (wanted[2] if wanted else "on"):
                    return
            time.sleep(0.05)
        raise AssertionError(f"{change} is not in force")

    def restart(self, *options, mode="fast"):
        self.db.close()
        self.server.restart(*options, mode=mode)
        self.reconnect()

    def workload(self, statements=30):
        with connect(self.database).cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS orders(id int PRIMARY KEY, note text);"
                           "INSERT INTO orders SELECT i, 'n' FROM generate_series(1, 100) i ON CONFLICT DO NOTHING")
            for i in range(statements):
                cursor.execute(f"SELECT id{' + id' * i} FROM orders WHERE id = %s", (i,))
            cursor.execute("SET upkeep.endpoint = 'GET /orders'")
            for _ in range(5):
                cursor.execute("SELECT note FROM orders WHERE id < 50 ORDER BY note")
            cursor.execute("SELECT pg_sleep(0.05)")
            try:
                cursor.execute("INSERT INTO orders VALUES (1, 'twice')")
            except Exception:
                pass

    def repeated_reads(self):
        """One list, and a read for each of its rows."""
        with connect(self.database).cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS lines(id int PRIMARY KEY, order_id int, note text);"
                           "INSERT INTO lines SELECT i, i, 'l' FROM generate_series(1, 100) i ON CONFLICT DO NOTHING")
            cursor.execute("SET upkeep.endpoint = 'GET /repeated'")
            cursor.execute("BEGIN; SELECT id FROM orders ORDER BY id LIMIT 20")
            for (order,) in cursor.fetchall():
                cursor.execute("SELECT note FROM lines WHERE order_id = %s", (order,))
            cursor.execute("COMMIT")

    def statements(self):
        """All but errors without a statement: a restart that ends a session is one."""
        return self.rows(f"SELECT {COUNTED} FROM upkeep.statements WHERE query <> '<not executed>'"
                         " ORDER BY fingerprint, endpoint, is_top_level")

    def counters(self):
        return {(name, str(labels)): value for name, labels, value in self.rows(
            "SELECT name, labels, value FROM upkeep.metric_samples WHERE type = 'counter'"
            " AND (name LIKE '%statement%' OR name LIKE '%quer%')")}

    def persistence(self):
        return self.rows("SELECT available, reason FROM upkeep.capabilities WHERE feature = 'saved_statistics'")[0]

    def test_everything_comes_back(self):
        self.workload()
        before, slow = self.statements(), self.rows(f"SELECT {SLOW} FROM upkeep.slow_statements ORDER BY 1, 2")
        spread = self.rows("SELECT fingerprint, stddev_ms FROM upkeep.statements WHERE calls > 4 ORDER BY 1")
        endpoints = self.rows("SELECT * FROM upkeep.endpoints WHERE endpoint IS NOT NULL")
        plans = self.rows("SELECT plan FROM upkeep.slow_statements WHERE plan IS NOT NULL")
        counters = self.counters()
        self.assertGreater(len(before), 32)
        self.assertTrue(slow and plans and spread and counters)
        self.assertIn("GET /orders", [row[0] for row in endpoints])
        since = self.server.log_size()
        self.restart()
        self.assertEqual(self.statements(), before)
        self.assertEqual(self.rows(f"SELECT {SLOW} FROM upkeep.slow_statements ORDER BY 1, 2"), slow)
        self.assertEqual(self.rows("SELECT plan FROM upkeep.slow_statements WHERE plan IS NOT NULL"), plans)
        self.assertEqual(self.rows("SELECT * FROM upkeep.endpoints WHERE endpoint IS NOT NULL"), endpoints)
        for old, new in zip(spread, self.rows("SELECT fingerprint, stddev_ms FROM upkeep.statements WHERE calls > 4"
                                              " ORDER BY 1")):
            self.assertAlmostEqual(old[1], new[1], delta=old[1] * 1e-6)
        after = self.counters()
        for key, value in counters.items():
            self.assertGreaterEqual(after[key], value, key)
        self.assertEqual(self.server.log_lines(since), [], "nothing to say about what went well")
        available, reason = self.persistence()
        self.assertTrue(available)
        self.assertRegex(reason, r"\d+ statements saved at ")
        self.assertFalse(self.server.saved.exists(), "removed, so that a crash does not bring it back")

    def test_findings_come_back_and_go_on(self):
        findings = (f"SELECT {FINDINGS} FROM upkeep.n_plus_one WHERE database_name = current_database()"
                    " ORDER BY child_fingerprint")
        self.workload(1)
        self.repeated_reads()
        before = self.rows(findings)
        self.assertEqual([(row[2], row[3], row[4], row[5], row[8]) for row in before],
                         [("n_plus_one", 20, 1, 20, "GET /repeated")])
        self.assertIn("FROM orders", before[0][0])
        self.assertIn("FROM lines", before[0][1])
        self.restart()
        self.assertEqual(self.rows(findings), before)
        self.repeated_reads()
        self.assertEqual([row[3:6] for row in self.rows(findings)], [(40, 2, 20)])

    def test_the_plan_of_a_cancelled_statement_comes_back(self):
        self.workload(1)
        plan = "SELECT plan FROM upkeep.slow_statements WHERE error_code = '57014'"
        with connect(self.database).cursor() as cursor:
            cursor.execute("SET statement_timeout = 200")
            try:
                cursor.execute("SELECT id, pg_sleep(10) FROM orders")
            except Exception:
                pass
        before = self.rows(plan)
        self.assertEqual((before[0][0]["Unfinished"], before[0][0]["Plan"]["Relation Name"]), (True, "orders"))
        self.restart()
        self.assertEqual(self.rows(plan), before)
        self.rows("DROP TABLE orders CASCADE")
        self.assertIn("<dropped: ", self.rows(plan)[0][0]["Plan"]["Relation Name"])

    def test_counting_goes_on_where_it_was(self):
        self.workload(3)
        calls = "SELECT calls, slow_calls FROM upkeep.statements WHERE query LIKE '%note FROM orders%' AND endpoint IS NOT NULL"
        self.assertEqual(self.rows(calls), [(5, 0)])
        for runs in (10, 15):
            self.restart()
            self.workload(3)
            self.assertEqual(self.rows(calls), [(runs, 0)])

    def test_the_time_of_the_reset_stays(self):
        self.workload(1)
        reset = "SELECT value FROM upkeep.metric_samples WHERE name LIKE '%reset%'"
        first = self.value(reset)
        self.restart()
        self.assertEqual(self.value(reset), first)
        self.rows("SELECT upkeep.reset_statements()")
        self.assertGreater(self.value(reset), first)
        self.restart()
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.statements WHERE query LIKE '%orders%'"), 0)

    def test_every_way_of_ending_in_order(self):
        for mode in ("smart", "fast", "immediate"):
            self.workload(2)
            before = self.statements()
            self.restart(mode=mode)
            self.assertEqual(self.statements(), before, mode)

    def test_off_nothing_is_written_or_read(self):
        self.workload(2)
        self.set_for_all("SET upkeep.save = off")
        self.restart()
        self.assertFalse(self.server.saved.exists())
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.statements WHERE query LIKE '%orders%'"), 0)
        available, reason = self.persistence()
        self.assertFalse(available)
        self.assertIn("upkeep.save is off", reason)
        # switched on while the server runs: written at its end
        self.workload(2)
        before = self.statements()
        self.set_for_all("SET upkeep.save = on")
        self.restart()
        self.assertEqual([row for row in self.statements() if "orders" in row[6]],
                         [row for row in before if "orders" in row[6]])

    def test_a_smaller_table_keeps_the_most_used(self):
        self.workload(250)
        for _ in range(3):
            self.workload(40)
        total = self.value("SELECT count(*) FROM upkeep.statements")
        self.assertGreater(total, 250)
        top = [row[0] for row in self.rows("SELECT fingerprint FROM upkeep.statements ORDER BY total_ms"
                                           " + 0.001 * (calls + errors) DESC LIMIT 60")]
        self.restart("-c upkeep.max_statements=100")
        kept = {row[0] for row in self.rows("SELECT fingerprint FROM upkeep.statements")}
        self.assertLessEqual(len(kept), 110)
        self.assertEqual([fingerprint for fingerprint in top if fingerprint not in kept], [])
        self.assertIn("found no room", self.persistence()[1])
        self.restart()

    def test_no_literal_reaches_the_file(self):
        self.set_for_all("SET upkeep.capture_parameters = on")
        with connect(self.database).cursor() as cursor:
            cursor.execute("SET upkeep.slow_threshold = 0")
            for marker in ("hunter2secret", "hunter3secret"):
                cursor.execute("SELECT count(*) FROM pg_class WHERE relname = %s", (marker,))
            cursor.execute("PREPARE p(text) AS SELECT count(*) FROM pg_class WHERE relname = $1")
            cursor.execute("EXECUTE p('hunter4secret')")
        self.assertGreater(self.value("SELECT count(*) FROM upkeep.slow_statements WHERE plan::text LIKE '%hunter%'"
                                      " OR parameters::text LIKE '%hunter%'"), 0, "in memory it was asked for")
        self.db.close()
        self.server.stop()
        content = self.server.saved.read_bytes()
        self.server.start()
        self.reconnect()
        self.assertIn(b"relname", content)
        self.assertNotIn(b"hunter", content)

    def test_no_sample_reaches_the_file(self):
        self.workload(1)
        self.rows("SET upkeep.capture = none")  # filling an index costs more than three reads save
        self.rows("CREATE TABLE IF NOT EXISTS papers(name text); INSERT INTO papers SELECT 'p' || i"
                  " FROM generate_series(1, 20000) i; ANALYZE papers")
        self.rows("RESET upkeep.capture")
        with connect(self.database).cursor() as cursor:
            for _ in range(3):
                cursor.execute("SELECT count(*) FROM papers WHERE name = 'hunter5secret'")
        self.assertTrue(self.rows("SELECT * FROM upkeep.advise_indexes() WHERE table_name = 'papers'"),
                        "planned with its sample")
        self.db.close()
        self.server.stop()
        content = self.server.saved.read_bytes()
        self.server.start()
        self.reconnect()
        self.assertIn(b"FROM papers", content)
        self.assertNotIn(b"hunter", content)

    def test_the_file_is_the_servers_own(self):
        self.workload(1)
        self.db.close()
        self.server.stop()
        stat = self.server.saved.stat()
        leftovers = [path.name for path in self.server.saved.parent.iterdir() if "upkeep" in path.name]
        self.server.start()
        self.reconnect()
        self.assertEqual((stat.st_uid, stat.st_mode & 0o777), (self.server.owner.pw_uid, 0o600))
        self.assertEqual(leftovers, ["upkeep.stat"])


if __name__ == "__main__":
    unittest.main()
