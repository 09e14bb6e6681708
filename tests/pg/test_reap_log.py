# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.reaper=on
"""The reaper's log when something goes wrong: crashes, restarts, errors of the worker, a missing extension.

Run inside tests/pg/with_cluster.sh.
"""
import contextlib
import os
import signal
import threading
import time
import unittest

import psycopg2

from server import Server
from sessions_base import APP, SessionsTest, connect, set_up
from standby import Standby

server = Server()
WORKER = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND datname = 'postgres'"
GAPS = "SELECT * FROM upkeep.reap_log WHERE action = 'gap' ORDER BY at"


def setUpModule():
    set_up()


class LogTest(SessionsTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.clear)
        self.wait_for(WORKER)
        self.do(self.db, "DELETE FROM upkeep.reap_rules; DELETE FROM upkeep.reap_log_rows")

    def clear(self):
        db = connect()
        self.do(db, "CREATE EXTENSION IF NOT EXISTS upkeep; DELETE FROM upkeep.reap_rules")
        db.close()

    def rule(self, name, more="", db=None):
        self.do(db or self.db, "INSERT INTO upkeep.reap_rules (name, match_application, idle_for) VALUES"
                               f" ('{name}', 'victim', '0 s')" + more)

    def again(self):
        server.wait().close()
        self.db = self.open("postgres", "asker")
        self.wait_for(WORKER, seconds=20)

    def ended(self, rule, count, seconds=10):
        rows = self.wait_for("SELECT * FROM upkeep.reap_log WHERE rule = %s AND outcome LIKE 'ended: %%' AND %s ="
                             " (SELECT count(*) FROM upkeep.reap_log WHERE rule = %s AND outcome LIKE 'ended: %%')",
                             rule, count, rule, seconds=seconds)
        return {row["pid"] for row in rows}

    def test_after_a_crash_the_gap_is_a_row(self):
        crashed = self.open(name="other").info.backend_pid
        os.kill(crashed, signal.SIGKILL)
        time.sleep(0.5)
        self.again()
        row = self.wait_for(GAPS)[0]
        self.assertEqual((row["rule"], row["pid"], row["state_ms"], row["blocked_count"]), (None, None, None, None))
        self.assertIn("restarted after a crash", row["outcome"])
        worker = self.rows(WORKER)[0]["pid"]
        os.kill(worker, signal.SIGKILL)  # the worker itself
        time.sleep(0.5)
        self.again()
        self.assertEqual(len(self.wait_for(GAPS + " OFFSET 1")), 1)
        self.rule("after")
        victim = self.open()
        self.assertEqual(self.ended("after", 1), {victim.info.backend_pid})
        self.assertEqual(len(self.rows(GAPS)), 2)

    def test_a_restart_in_order_leaves_no_gap_and_another_does(self):
        victims = [self.open() for _ in range(20)]
        pids = {victim.info.backend_pid for victim in victims}
        self.rule("restart")
        self.wait_for("SELECT 1 WHERE (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'victim') < 20")
        server.restart()
        self.again()
        self.assertEqual(self.rows(GAPS), [])
        with open(server.log, encoding="utf-8") as log:
            said = [line for line in log if 'ended by rule "restart"' in line]
        told = {int(line.split("[")[1].split("]")[0]) for line in said}
        self.assertTrue(told)
        logged = {row["pid"] for row in self.rows("SELECT pid FROM upkeep.reap_log WHERE rule = 'restart'"
                                                  " AND outcome LIKE 'ended: %%'")}
        self.assertTrue(told <= logged <= pids, (told, logged))  # the server's own end may come first
        server.restart(mode="immediate")
        self.again()
        self.assertIn("not shut down in order", self.wait_for(GAPS)[0]["outcome"])

    def test_it_is_bounded(self):
        self.do(self.db, "INSERT INTO upkeep.reap_log_rows (number, at, action, outcome)"
                         " SELECT i, now(), 'log', 'logged: ' || i FROM generate_series(1, 10050) i")
        self.open()
        self.rule("bounded")
        self.ended("bounded", 1)
        self.assertEqual(self.rows("SELECT count(*) AS n FROM upkeep.reap_log"), [{"n": 10000}])
        self.assertEqual(self.rows("SELECT 1 FROM upkeep.reap_log WHERE outcome = 'logged: 51'"), [])

    def test_an_error_of_the_worker_loses_nothing(self):
        victims = [self.open() for _ in range(5)]
        locker = self.open("postgres", "locker")
        self.do(locker, "BEGIN; LOCK TABLE upkeep.reap_log_rows")
        since = server.log_size()
        self.rule("locked")
        for victim in victims:
            self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", victim.info.backend_pid)
        time.sleep(2.5)
        self.assertTrue(server.log_lines(since, "canceling statement due to lock timeout"))
        self.do(locker, "COMMIT")
        self.assertEqual(self.ended("locked", 5), {victim.info.backend_pid for victim in victims})

    def test_turned_off_and_on(self):
        worker = self.rows(WORKER)[0]["pid"]
        self.do(self.db, "ALTER SYSTEM SET upkeep.reaper = off")
        self.do(self.db, "SELECT pg_reload_conf()")
        self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", worker)
        self.db.notices.clear()
        self.rule("off")
        self.assertIn("nothing applies them while upkeep.reaper is off", self.db.notices[0])
        victim = self.open()
        time.sleep(6)  # it is there again, unconnected
        self.assertEqual(self.rows(WORKER), [])
        self.assertTrue(self.is_alive(victim))
        self.do(self.db, "ALTER SYSTEM RESET upkeep.reaper")
        self.do(self.db, "SELECT pg_reload_conf()")
        self.wait_for(WORKER)
        self.ended("off", 1)

    def test_a_rule_that_nobody_checked_is_skipped(self):
        since = server.log_size()
        self.do(self.db, "SET session_replication_role = replica")
        self.rule("bad", ", ('worse', 'victim', '-1 s')")
        self.do(self.db, "UPDATE upkeep.reap_rules SET match_state = 'nonsense' WHERE name = 'bad'; RESET session_replication_role")
        self.rule("good")
        self.open()
        self.ended("good", 1)
        lines = server.log_lines(since, "upkeep's reaper skips a rule")
        self.assertEqual(len(lines), 2, lines)
        self.assertTrue(any("match_state must not be nonsense" in line for line in lines))

    def test_without_the_extension(self):
        self.rule("gone")
        self.do(self.db, "DROP EXTENSION upkeep")
        victim = self.open()
        time.sleep(0.5)
        self.assertTrue(self.is_alive(victim))
        # anybody's table of that name rules nobody, nor is anything of it run
        self.do(self.db, "CREATE SCHEMA upkeep; CREATE FUNCTION upkeep.f() RETURNS int LANGUAGE plpgsql AS"
                         " 'BEGIN RAISE LOG ''planted''; RETURN 1; END';"
                         " CREATE VIEW upkeep.reap_rules AS SELECT 'planted' AS name, upkeep.f() AS priority, true AS enabled")
        since = server.log_size()
        self.do(self.db, f"SELECT pg_terminate_backend({self.rows(WORKER)[0]['pid']})")
        time.sleep(6)
        self.wait_for(WORKER)
        self.assertEqual(server.log_lines(since, "planted"), [])
        self.assertTrue(server.log_lines(since, "the extension is not installed"))
        self.do(self.db, "DROP SCHEMA upkeep CASCADE; CREATE EXTENSION upkeep")
        self.rule("back")
        self.ended("back", 1)

    def test_on_a_standby_nobody_reaps(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name, match_application, idle_for) VALUES ('far', 'victim', '1 h')")
        with Standby() as standby:
            db = standby.connect("postgres")
            with db.cursor() as cursor:
                cursor.execute("SELECT count(*) FILTER (WHERE backend_type = 'upkeep reaper'), count(*) > 1 FROM pg_stat_activity")
                self.assertEqual(cursor.fetchone(), (0, True))
                cursor.execute("SELECT count(*), count(rule) FROM upkeep.connections")
                self.assertEqual(cursor.fetchone()[1], 0)
                cursor.execute("SELECT count(*) FROM upkeep.reap_log")
            db.close()

    def test_limits_hold_while_others_log_in(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name, match_application, idle_for, keep_at_least)"
                         " VALUES ('keep', 'victim', '50 ms', 5)")
        stop = time.monotonic() + 6
        seen = []

        def log_in_and_stay():
            mine = []
            while time.monotonic() < stop:
                with contextlib.suppress(psycopg2.Error):
                    mine.append(connect(APP, "victim"))
                time.sleep(0.02)
                mine = mine[-8:]  # who leaves by himself is old; mostly he was ended before
            seen.append(mine)
        threads = [threading.Thread(target=log_in_and_stay) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        least = 99
        while time.monotonic() < stop:
            least = min(least, self.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'victim'")[0]["n"])
        for thread in threads:
            thread.join()
        self.assertGreaterEqual(least, 5)
        time.sleep(1.5)
        self.assertEqual(self.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'victim'")[0]["n"], 5)
        for connection in sum(seen, []):
            connection.close()
        self.assertGreater(self.rows("SELECT count(*) AS n FROM upkeep.reap_log WHERE rule = 'keep'")[0]["n"], 50)


if __name__ == "__main__":
    unittest.main()
