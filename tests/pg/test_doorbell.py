# cluster: shared_preload_libraries=upkeep_preload
# cluster: listen_addresses=127.0.0.9
"""Sessions that end themselves when upkeep.reap_sessions asks them, and refuse when they have work. The moments that
matter are made, not met: a backend is stopped, so that a command lies unread in its socket when it is rung.

Run inside tests/pg/with_cluster.sh.
"""
import os
import signal
import struct
import subprocess
import threading
import time
import unittest

import psycopg2

from sessions_base import APP, SessionsTest, set_up


def setUpModule():
    set_up()


class DoorbellTest(SessionsTest):
    def reap(self, idle_for="0 s", state="idle", db=None):
        return {row["pid"]: row for row in self.rows(
            "SELECT * FROM upkeep.reap_sessions(idle_for => %s, match_state => %s, match_application => 'victim',"
            " dry_run => false)", idle_for, state, db=db)}

    def idle(self, state="idle", sql="SELECT 1", **options):
        victim = self.open(**options)
        self.do(victim, sql)
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = %s AND wait_event = 'ClientRead'",
                      victim.info.backend_pid, state)
        return victim

    def stop(self, victim):
        pid = victim.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.go_on, pid)
        return pid

    def go_on(self, pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def test_sqlstates_and_texts(self):
        for state, sql, code in (("idle", "SELECT 1", "57P05"), ("idle", "SET idle_session_timeout = 0", "57P05"),
                                 ("idle in transaction", "BEGIN", "25P03"),
                                 ("idle in transaction (aborted)", "BEGIN; SELECT 1/0", "25P03")):
            with self.subTest(sql):
                client = subprocess.Popen(["psql", "-qX", "-U", APP, "-v", "VERBOSITY=verbose", "-d",
                                           "dbname=postgres application_name=victim"], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                client.stdin.write(sql + ";\n")
                client.stdin.flush()
                pid = self.wait_for("SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'"
                                    " AND state = %s AND query <> ''", state)[0]["pid"]
                self.assertEqual(self.reap(state=state)[pid]["action"], "ended")
                self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)", pid)
                shown, _ = client.communicate("SELECT 2;\n", timeout=20)
                self.assertRegex(shown, f"FATAL:  {code}: terminating connection: idle( in transaction)? for [0-9]+ ms, ended by upkeep")
                self.assertIn("No command was under way", shown)

    def test_a_command_in_the_socket_saves_the_session(self):
        victim = self.idle()
        pid = self.stop(victim)
        thread, errors = self.start(victim, "INSERT INTO t VALUES (100)")
        time.sleep(0.2)  # the command lies in the socket; the state still says idle
        self.assertEqual(self.rows("SELECT state FROM pg_stat_activity WHERE pid = %s", pid), [{"state": "idle"}])
        timer = threading.Timer(0.3, self.go_on, [pid])
        timer.start()
        row = self.reap()[pid]
        self.assertEqual((row["action"], row["reason"]), ("skipped", "a command has reached it"))
        thread.join(10)
        self.assertEqual(errors, [])
        self.assertEqual(self.rows("SELECT id FROM t WHERE id = 100"), [{"id": 100}])
        self.assertTrue(self.is_alive(victim))
        self.do(self.db, "DELETE FROM t WHERE id = 100")

    def test_who_does_not_answer_is_left_alone_for_good(self):
        victim = self.idle()
        pid = self.stop(victim)
        row = self.reap()[pid]
        self.assertEqual((row["action"], row["reason"]), ("skipped", "it did not answer within a second"))
        self.go_on(pid)  # only now the signal arrives, and the order is withdrawn
        time.sleep(0.3)
        self.assertTrue(self.is_alive(victim))
        self.wait_state(victim, "idle")
        self.assertEqual(self.reap()[pid]["action"], "ended")
        self.assertFalse(self.is_alive(victim))

    def test_half_a_message_saves_the_session(self):
        """60 kB on a Unix socket, 100 bytes over TCP: each announced longer than it is."""
        for size, options in ((60_000, {}), (200, {"host": "127.0.0.9"})):
            with self.subTest(options):
                victim = self.idle(**options)
                time.sleep(0.3)
                text = b"SELECT 1 " + b" " * (size - 14) + b"\0"
                message = b"Q" + struct.pack("!I", len(text) + 4) + text
                half = len(message) // 2
                self.assertEqual(os.write(victim.fileno(), message[:half]), half)
                time.sleep(0.1)
                row = self.reap(idle_for="100 ms")[victim.info.backend_pid]
                self.assertEqual((row["action"], row["reason"]), ("skipped", "half of a command has reached it"))
                self.assertEqual(os.write(victim.fileno(), message[half:]), len(message) - half)
                self.wait_for("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND query ~ '^SELECT 1  '",
                              victim.info.backend_pid)
                victim.close()

    def test_over_tcp_the_idle_end(self):
        victim = self.idle(host="127.0.0.9")
        time.sleep(0.2)
        self.assertEqual(self.reap()[victim.info.backend_pid]["action"], "ended")
        self.assertFalse(self.is_alive(victim))

    def test_rights_are_the_servers(self):
        superuser = self.idle(user="postgres")
        plain = self.idle()
        both = self.open("r_both", "asker")
        found = self.reap(db=both)
        self.assertEqual(found[superuser.info.backend_pid]["action"], "refused")
        self.assertEqual(found[plain.info.backend_pid]["action"], "ended")
        self.assertTrue(self.is_alive(superuser))
        self.refuses("42501", "reap_sessions", "SELECT * FROM upkeep.reap_sessions()", db=self.open("r_plain", "asker"))

    def test_the_tier_is_told(self):
        row, = self.rows("SELECT tier, reason FROM upkeep.capabilities WHERE feature = 'reaping'")
        self.assertEqual(row["tier"], "preloaded")
        self.assertIn("refuses itself", row["reason"])

    def test_nothing_that_was_begun_is_lost(self):
        """Clients that write at the very moment at which they are to be ended: what failed was never done."""
        self.do(self.db, "CREATE TABLE done (id int PRIMARY KEY)")
        self.do(self.db, "GRANT ALL ON done TO PUBLIC")
        self.addCleanup(self.do, self.db, "DROP TABLE done")
        failed, stop, lock, last = [], threading.Event(), threading.Lock(), [0]

        def client():
            db = None
            while not stop.is_set():
                if db is None or db.closed:
                    db = psycopg2.connect(user=APP, dbname="postgres", application_name="victim")
                    db.autocommit = True
                with lock:
                    last[0] += 1
                    number = last[0]
                try:
                    self.do(db, f"INSERT INTO done VALUES ({number})")
                    time.sleep(0.018 + number % 5 * 0.001)
                except psycopg2.OperationalError:
                    failed.append(number)
            if db is not None:
                db.close()

        threads = [threading.Thread(target=client) for _ in range(6)]
        for thread in threads:
            thread.start()
        ended = 0
        until = time.monotonic() + 4
        while time.monotonic() < until:
            ended += sum(row["action"] == "ended" for row in self.reap(idle_for="18 ms").values())
        stop.set()
        for thread in threads:
            thread.join(20)
        self.assertGreater(ended, 10)
        self.assertEqual(self.rows("SELECT id FROM done WHERE id = ANY (%s)", failed), [])
        with open(os.path.join(os.path.dirname(os.environ["UPKEEP_PGDATA"]), "log"), encoding="utf-8") as log:
            text = log.read()
        self.assertIn("called upkeep.reap_sessions", text)
        self.assertNotRegex(text, r"FATAL:  terminating connection: idle for [^\n]*\n(?:[^\n]*(?:DETAIL|HINT)[^\n]*\n)*[^\n]*STATEMENT")


if __name__ == "__main__":
    unittest.main()
