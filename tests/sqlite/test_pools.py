"""What applications report of their pools: in this process, in the state file, what is refused.

Oracles: what was reported, a second process, the state file read directly.
"""
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

import host

NAME = pathlib.Path("/proc/self/comm").read_text(encoding="utf-8").strip()
NUMBERS = "pool, size, idle, checked_out, overflow, waiting, timeouts, wait_ms"


class PoolsTest(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(lambda: self.db.close())  # pylint: disable=unnecessary-lambda
        self.addCleanup(lambda: self.rows("SELECT upkeep_set('persist', 'on')"))
        self.rows("CREATE TABLE t (x)")

    def pools(self):
        return self.rows(f"SELECT {NUMBERS} FROM upkeep_pools")

    def elsewhere(self, sql):
        """Rows of another process."""
        program = ("import sys; sys.path.insert(0, sys.argv[1]); import host\n"
                   "print(host.connect(database=sys.argv[2], isolation_level=None).execute(sys.argv[3]).fetchall())")
        return eval(subprocess.run(  # pylint: disable=eval-used
            [sys.executable, "-B", "-c", program, os.path.dirname(os.path.abspath(__file__)), self.path, sql],
            check=True, capture_output=True, text=True).stdout)

    def test_what_is_reported_is_seen_here_and_elsewhere(self):
        self.assertEqual(self.pools(), [])
        self.rows("SELECT upkeep_report_pool('web:1', 5, 7, 2, 3, 11, 1.5)")
        self.rows("SELECT upkeep_report_pool('web:0', 5, 1, 0, 0)")
        wanted = [("web:0", 5, 4, 1, 0, 0, 0, 0.0), ("web:1", 5, 0, 7, 2, 3, 11, 1.5)]
        self.assertEqual(self.pools(), wanted)
        self.assertEqual(self.elsewhere(f"SELECT {NUMBERS} FROM upkeep_pools"), wanted)
        self.assertEqual(self.rows("SELECT DISTINCT application_name FROM upkeep_pools"), [(NAME,)])
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_pools WHERE abs(julianday('now') -"
                                    " julianday(reported_at)) * 86400 < 60"), 2)
        self.rows("SELECT upkeep_report_pool('web:1', 9, 0, 0, 0)")
        self.assertEqual(self.elsewhere("SELECT size FROM upkeep_pools WHERE pool = 'web:1'"), [(9,)])

    def test_the_newer_of_two_processes_counts(self):
        self.rows("SELECT upkeep_report_pool('p', 1, 0, 0, 0)")
        # another process of the same name as ours: the interpreter's
        self.elsewhere("SELECT upkeep_report_pool('p', 2, 0, 0, 0)")
        self.assertEqual(self.rows("SELECT size FROM upkeep_pools"), [(2,)])

    def test_in_memory_and_without_persist(self):
        self.rows("SELECT upkeep_set('persist', 'off')")
        self.rows("SELECT upkeep_report_pool('p', 3, 1, 0, 0)")
        self.assertEqual(len(self.pools()), 1)
        self.assertFalse(os.path.exists(self.path + "-upkeep"))
        self.assertEqual(self.elsewhere("SELECT * FROM upkeep_pools"), [])
        reason = "SELECT reason FROM upkeep_capabilities WHERE feature = 'pool_reports'"
        self.assertIn("setting persist is off", self.value(reason))
        self.rows("SELECT upkeep_set('persist', 'on')")
        self.assertIn(self.path + "-upkeep", self.value(reason))
        self.rows("SELECT upkeep_report_pool('q', 3, 1, 0, 0)")
        self.assertEqual(len(self.elsewhere("SELECT * FROM upkeep_pools")), 2)  # the first went with it
        memory = host.connect()
        self.addCleanup(memory.close)
        memory.execute("SELECT upkeep_report_pool('m', 3, 1, 0, 0)")
        self.assertEqual(memory.execute("SELECT pool FROM upkeep_pools").fetchall(), [("m",)])
        self.assertEqual(len(self.pools()), 2)

    def test_a_state_file_that_is_busy_does_not_fail_the_application(self):
        self.rows("SELECT upkeep_report_pool('p', 3, 1, 0, 0)")
        blocker = sqlite3.connect(self.path + "-upkeep", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        self.rows("SELECT upkeep_report_pool('p', 3, 2, 0, 0)")
        self.assertEqual(self.pools()[0][3], 2)
        blocker.execute("COMMIT")
        blocker.close()
        self.assertEqual(self.elsewhere("SELECT checked_out FROM upkeep_pools"), [(1,)])
        self.rows("SELECT upkeep_report_pool('q', 3, 0, 0, 0)")
        self.assertEqual(self.elsewhere("SELECT pool, checked_out FROM upkeep_pools"), [("p", 2), ("q", 0)])

    def test_inside_a_transaction_of_the_application(self):
        self.rows("BEGIN IMMEDIATE")
        self.rows("INSERT INTO t VALUES (1)")
        self.rows("SELECT upkeep_report_pool('p', 3, 1, 0, 0)")
        self.rows("ROLLBACK")
        self.assertEqual(self.rows("SELECT * FROM t"), [])
        self.assertEqual(len(self.pools()), 1)

    def test_what_somebody_wrote_into_the_file_is_checked(self):
        self.rows("SELECT upkeep_report_pool('p', 3, 1, 0, 0)")
        other = sqlite3.connect(self.path + "-upkeep")
        with other:
            other.execute("INSERT INTO pools SELECT 'x', 'bad' || n, n, 5, 9, -1, 0, 0, reported_us FROM pools,"
                          " (SELECT 0 AS n UNION SELECT -1 UNION SELECT 9999999999)")
            other.execute("UPDATE pools SET reported_us = reported_us - 25 * 3600 * 1000000 WHERE pool = 'p'")
            other.execute("INSERT INTO pools VALUES ('x', 'good', 2, 0, 0, 0, 0, 0, (SELECT max(reported_us) FROM pools))")
        other.close()
        self.assertEqual({row[0] for row in self.pools()}, {"p", "good"})  # p is this process's: in memory it is fresh
        self.assertEqual(self.elsewhere("SELECT pool FROM upkeep_pools"), [("good",)])

    def test_another_program_s_file_is_an_error_of_the_reader_only(self):
        pathlib.Path(self.path + "-upkeep").write_text("not a database, but long enough to be looked at " * 40,
                                                       encoding="utf-8")
        self.rows("SELECT upkeep_report_pool('p', 3, 1, 0, 0)")
        self.refuses("state file", "SELECT * FROM upkeep_pools")
        # what is made of many calls leaves this one out
        status, evidence = self.rows("SELECT status, evidence FROM upkeep_check_health WHERE code = 'pool_metrics'")[0]
        self.assertEqual(status, "unknown")
        self.assertIn("state file", evidence)
        self.assertNotIn("reported_pool", self.value("SELECT upkeep_metrics()"))

    def test_bounded(self):
        self.rows("SELECT upkeep_set('persist', 'off')")
        self.rows("WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1500)"
                  " SELECT upkeep_report_pool('p' || i, 5, 1, 0, 0) FROM c")
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_pools"), 1000)
        self.rows("SELECT upkeep_set('persist', 'on')")
        self.rows("SELECT upkeep_report_pool('last', 5, 1, 0, 0)")
        self.assertEqual(self.elsewhere("SELECT count(*) FROM upkeep_pools"), [(1000,)])

    def test_metrics(self):
        self.rows("SELECT upkeep_report_pool('p', 5, 7, 2, 3)")
        text = self.value("SELECT upkeep_metrics('upkeep', '[\"reported_pool_connections\"]')")
        self.assertIn('upkeep_reported_pool_connections{state="idle"} 0\n', text)
        self.assertIn('upkeep_reported_pool_connections{state="used"} 7\n', text)

    def test_threads(self):
        def run(number):
            db = host.connect(database=self.path, isolation_level=None)
            for i in range(1, 41):
                db.execute("SELECT upkeep_report_pool(?, ?, 0, 0, 0)", (f"t{number}", i))
            db.close()
        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.rows("SELECT pool, size FROM upkeep_pools"), [(f"t{i}", 40) for i in range(8)])

    def test_bad_input(self):
        for wanted, arguments in (
                ("size must be between", "'p', 0, 0, 0, 0"),
                ("overflow must be between", "'p', 5, 0, -5, 0"),
                ("overflow must not exceed checked_out", "'p', 5, 1, 2, 0"),
                ("waiting must be between", "'p', 5, 1, 0, -1"),
                ("wait_ms must be a number", "'p', 5, 1, 0, 0, 0, 9e999"),
                ("pool must be a name of 1 to 63 bytes", "''  , 5, 1, 0, 0"),
                ("pool must be a name of 1 to 63 bytes", "printf('%064d', 0), 5, 1, 0, 0"),
                ("pool must not be null", "NULL, 5, 1, 0, 0"),
                ("wait_ms must not be null", "'p', 5, 1, 0, 0, 0, NULL"),
                ("size must be an integer", "'p', 'x', 1, 0, 0"),
                ("checked_out must be an integer of 32 bits", "'p', 5, 9999999999, 0, 0"),
                ("wrong number of arguments", "'p', 5, 1, 0")):
            with self.subTest(arguments):
                self.refuses(wanted, f"SELECT upkeep_report_pool({arguments})")
        self.assertEqual(self.pools(), [])
        self.assertFalse(os.path.exists(self.path + "-upkeep"))

    def test_only_called_directly(self):
        self.rows("CREATE VIEW v AS SELECT upkeep_report_pool('p', 5, 1, 0, 0)")
        self.refuses("unsafe use", "SELECT * FROM v")

    def test_health(self):
        def check():
            return dict(self.rows("SELECT code, status FROM upkeep_check_health WHERE code IN ('pool_size', 'pool_metrics')"))
        self.assertEqual(check(), {"pool_size": "manual", "pool_metrics": "unknown"})
        self.rows("SELECT upkeep_report_pool('p', 5, 1, 0, 0)")
        self.assertEqual(check(), {"pool_size": "ok", "pool_metrics": "ok"})
        self.rows("SELECT upkeep_report_pool('p', 5, 5, 0, 2)")
        self.assertEqual(check(), {"pool_size": "warn", "pool_metrics": "ok"})


if __name__ == "__main__":
    unittest.main()
