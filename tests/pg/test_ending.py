"""Ending sessions of PostgreSQL, against real second sessions. Oracle: what becomes of them.

Run inside tests/pg/with_cluster.sh.
"""
import subprocess
import threading
import time
import unittest

import psycopg2
import psycopg2.errors
import psycopg2.extras

from sessions_base import APP, SessionsTest, connect, set_up


def setUpModule():
    set_up()


class EndSessionTest(SessionsTest):
    def end(self, pid, mode="cancel", dry_run=False, db=None):
        row, = self.rows("SELECT * FROM upkeep.end_session(%s, %s, %s)", pid, mode, dry_run, db=db)
        return row

    def test_cancel(self):
        victim = self.open()
        thread, error = self.start(victim, "SELECT pg_sleep(20)")
        self.wait_state(victim, "active")
        pid = victim.info.backend_pid
        row, = self.rows("SELECT * FROM upkeep.end_session(%s)", pid)  # dry run is the default
        self.assertEqual((row["pid"], row["user_name"], row["application_name"], row["state"],
                          row["action"]), (pid, APP, "victim", "active", "would_cancel"))
        self.assertEqual(error, [])
        self.assertEqual(self.end(pid)["action"], "cancelled")
        thread.join()
        self.assertEqual(error[0].pgcode, "57014")
        self.assertTrue(self.is_alive(victim))

    def test_end(self):
        victim = self.open()
        pid = victim.info.backend_pid
        self.wait_state(victim, "idle")
        self.assertEqual(self.end(pid, "end", True)["action"], "would_end")
        self.assertTrue(self.is_alive(victim))
        self.assertEqual(self.end(pid, "end")["action"], "ended")
        self.assertFalse(self.is_alive(victim))

    def test_sqlstate_of_the_end(self):
        psql = subprocess.Popen(["psql", "-qX", "-v", "VERBOSITY=verbose", "-c",
                                 "SELECT pg_sleep(20)"], stderr=subprocess.PIPE, text=True)
        row, = self.wait_for("SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'"
                             " AND state = 'active'")
        self.assertEqual(self.end(row["pid"], "end")["action"], "ended")
        self.assertIn("FATAL:  57P01: ", psql.communicate(timeout=10)[1])

    def test_nothing_to_cancel(self):
        victim = self.open()
        self.wait_state(victim, "idle")
        self.assertEqual(self.end(victim.info.backend_pid)["action"], "skipped")
        self.do(victim, "BEGIN")
        self.wait_state(victim, "idle in transaction")
        row = self.end(victim.info.backend_pid)
        self.assertEqual(row["action"], "skipped")
        self.assertIn("mode end", row["reason"])
        self.assertTrue(self.is_alive(victim))

    def test_own_session_and_unknown_ones(self):
        row, = self.rows("SELECT * FROM upkeep.end_session(pg_backend_pid(), 'end', false)")
        self.assertEqual((row["action"], row["reason"]), ("refused", "your own session"))
        self.refuses("42704", "no session has the pid 1", "SELECT * FROM upkeep.end_session(1)")
        self.refuses("42704", "no session has the pid 0", "SELECT * FROM upkeep.end_session(0)")
        background, = self.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        self.refuses("42704", "no session", "SELECT * FROM upkeep.end_session(%s)", background["pid"])

    def test_replication_is_left_alone(self):
        sender = psycopg2.connect(user="postgres", dbname="postgres", application_name="standby",
                                  connection_factory=psycopg2.extras.LogicalReplicationConnection)
        self.stack.callback(sender.close)
        pid = sender.info.backend_pid
        row, = self.rows("SELECT backend_type FROM upkeep.connections WHERE pid = %s", pid)
        self.assertEqual(row["backend_type"], "walsender")
        row = self.end(pid, "end")
        self.assertEqual(row["action"], "refused")
        self.assertIn("replication", row["reason"])

    def test_superusers_are_for_superusers(self):
        victim = self.open("postgres")
        signal = self.open("r_signal")
        row = self.end(victim.info.backend_pid, "end", db=signal)
        self.assertEqual(row["action"], "refused")
        self.assertIn("only a superuser", row["reason"])
        self.assertTrue(self.is_alive(victim))
        self.assertEqual(self.end(victim.info.backend_pid, "end")["action"], "ended")

    def test_bad_input(self):
        call = "SELECT * FROM upkeep.end_session(%s, %s, %s)"
        pid = self.open().info.backend_pid
        self.refuses("22023", "use cancel or end", call, pid, "kill", False)
        self.refuses("22023", "must not be null", call, None, "cancel", False)
        self.refuses("22023", "must not be null", call, pid, None, False)
        self.refuses("22023", "must not be null", call, pid, "end", None)


class RulesWithoutPreloadTest(SessionsTest):
    """upkeep.database is not defined then: its default counts. test_reap_rules.py has the rest."""

    def test_rules_are_kept_in_the_default_database(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name) VALUES ('a')")
        self.assertIn("nothing applies them while upkeep.reaper is off", self.db.notices[-1])
        self.refuses("22023", "idle_for", "UPDATE upkeep.reap_rules SET idle_for = '-1 s'")
        self.do(self.db, "DELETE FROM upkeep.reap_rules")

    def test_and_nowhere_else(self):
        self.do(self.db, "CREATE DATABASE other")
        other = self.open("postgres", "writer", database="other")
        self.do(other, "CREATE EXTENSION upkeep")
        self.refuses("0A000", "rules are kept in database postgres",
                     "INSERT INTO upkeep.reap_rules (name) VALUES ('a')", db=other)


class ReapTest(SessionsTest):
    def reap(self, db=None, **arguments):
        sql = ", ".join(f"{name} => %s" for name in arguments)
        return self.rows(f"SELECT * FROM upkeep.reap_sessions({sql})", *arguments.values(), db=db)

    def actions(self, db=None, **arguments):
        return {row["pid"]: row["action"] for row in self.reap(db, **arguments)}

    def idle(self, **options):
        db = self.open(**options)
        self.wait_state(db, "idle")
        return db

    def test_dry_run_is_the_default_and_changes_nothing(self):
        victim = self.idle()
        row, = self.reap(idle_for="0 s", match_application="victim")
        self.assertEqual((row["pid"], row["user_name"], row["state"], row["action"]),
                         (victim.info.backend_pid, APP, "idle", "would_end"))
        self.assertGreaterEqual(row["state_ms"], 0)
        self.assertTrue(self.is_alive(victim))

    def test_ends_the_idle_and_only_them(self):
        victim, other = self.idle(), self.idle(name="other")
        busy = self.open()
        self.start(busy, "SELECT pg_sleep(10)")
        self.wait_state(busy, "active")
        young = self.idle()
        time.sleep(0.5)
        self.do(young, "SELECT 1")
        found = {row["pid"]: row for row in
                 self.reap(idle_for="400 ms", match_application="vic%", dry_run=False)}
        self.assertEqual({pid: row["action"] for pid, row in found.items()},
                         {victim.info.backend_pid: "ended", young.info.backend_pid: "skipped"})
        self.assertIn("idle_for is 400 ms", found[young.info.backend_pid]["reason"])
        self.assertFalse(self.is_alive(victim))
        self.assertTrue(self.is_alive(young))
        self.assertTrue(self.is_alive(other))
        self.assertEqual(self.rows("SELECT state FROM pg_stat_activity WHERE pid = %s",
                                   busy.info.backend_pid), [{"state": "active"}])
        busy.cancel()

    def test_clock_is_the_change_of_state(self):
        victim = self.open()
        self.do(victim, "SELECT pg_sleep(1)")
        self.wait_state(victim, "idle")
        self.assertEqual(self.actions(idle_for="900 ms", match_application="victim", dry_run=False),
                         {victim.info.backend_pid: "skipped"})
        self.assertTrue(self.is_alive(victim))

    def test_states(self):
        aborted = self.open()
        aborted.autocommit = False
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            self.do(aborted, "SELECT 1/0")
        self.wait_state(aborted, "idle in transaction (aborted)")
        held = self.open()
        self.do(held, "BEGIN")
        self.wait_state(held, "idle in transaction")
        common = {"idle_for": "0", "match_application": "victim"}
        self.assertEqual(self.actions(match_state="idle in transaction", **common),
                         {held.info.backend_pid: "would_end"})
        self.assertEqual(self.actions(match_state="idle in transaction (aborted)", **common),
                         {aborted.info.backend_pid: "would_end"})
        self.assertEqual(self.actions(**common), {})

    def test_keep_at_least(self):
        victims = []
        for _ in range(4):
            victims.append(self.idle())
            time.sleep(0.01)
        found = self.reap(idle_for="0", match_application="victim", keep_at_least=3, dry_run=False)
        self.assertEqual([(row["pid"], row["action"]) for row in found],
                         [(db.info.backend_pid, "skipped" if i else "ended")
                          for i, db in enumerate(victims)])  # the longest idle goes
        self.assertIn("3 of 4", found[1]["reason"])
        self.assertEqual([self.is_alive(db) for db in victims], [False, True, True, True])

    def test_only_blocking(self):
        harmless, blocker, holder = self.open(), self.open(), self.open()
        self.do(harmless, "BEGIN")
        self.do(blocker, "BEGIN; LOCK TABLE t IN SHARE MODE")
        self.do(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM t")
        waiter = self.open(name="waiter")
        self.start(waiter, "UPDATE t SET x = 0 WHERE id = 5")
        self.wait_for("SELECT 1 WHERE cardinality(pg_blocking_pids(%s)) > 0",
                      waiter.info.backend_pid)
        found = self.actions(idle_for="0", match_state="idle in transaction",
                             match_application="victim", only_blocking=True, dry_run=False)
        self.assertEqual(found, {harmless.info.backend_pid: "skipped",
                                 blocker.info.backend_pid: "ended",
                                 holder.info.backend_pid: "ended"})
        self.assertTrue(self.is_alive(harmless))

    def test_superusers_only_by_name(self):
        victim = self.idle(user="postgres")
        found = self.reap(idle_for="0", match_application="victim", dry_run=False)
        self.assertEqual([row["action"] for row in found], ["refused"])
        self.assertIn("superuser", found[0]["reason"])
        self.assertEqual(self.actions(idle_for="0", match_application="victim", dry_run=False,
                                      match_user="postgre_"), {victim.info.backend_pid: "refused"})
        self.assertTrue(self.is_alive(victim))
        self.assertEqual(self.actions(idle_for="0", match_application="victim", dry_run=False,
                                      match_user="postgres"), {victim.info.backend_pid: "ended"})

    def test_sessions_between_nodes_are_spared(self):
        victim = self.idle(name="citus_internal gpid=1")
        self.assertEqual(self.actions(idle_for="0", match_application="citus%", dry_run=False),
                         {victim.info.backend_pid: "refused"})
        self.assertTrue(self.is_alive(victim))

    def test_patterns(self):
        self.do(self.db, 'CREATE DATABASE "o_d é"')
        self.addCleanup(lambda: self.do(connect(), 'DROP DATABASE "o_d é" WITH (FORCE)'))
        here, there = self.idle(name="50%_\\"), self.idle(name="50%_\\", database="o_d é")
        h, t = here.info.backend_pid, there.info.backend_pid
        common = {"idle_for": "0", "match_application": "50\\%\\_\\\\"}
        self.assertEqual(self.actions(**common), {h: "would_end"})
        self.assertEqual(self.actions(match_database="o__ _", **common), {t: "would_end"})
        self.assertEqual(self.actions(match_database="%", **common),
                         {h: "would_end", t: "would_end"})
        self.assertEqual(self.actions(match_user=APP, **common), {h: "would_end"})
        self.assertEqual(self.actions(match_user="nobody", **common), {})
        self.assertEqual(self.actions(idle_for="0", match_application="50x%"), {})

    def test_who_cannot_see_is_told_so(self):
        victim = self.idle()
        signal = self.open("r_signal", "signaller")
        found = self.reap(signal, idle_for="0", match_application="victim", dry_run=False)
        self.assertEqual([(row["pid"], row["state"], row["action"]) for row in found],
                         [(victim.info.backend_pid, None, "skipped")])
        self.assertIn("pg_read_all_stats", found[0]["reason"])
        self.assertIn("1 matching sessions have a state that you may not see", signal.notices[-1])
        self.assertTrue(self.is_alive(victim))
        both = self.open("r_both", "signaller")
        self.assertEqual(self.actions(both, idle_for="0", match_application="victim",
                                      dry_run=False), {victim.info.backend_pid: "ended"})
        self.assertEqual(both.notices, [])

    def test_a_snapshot_taken_before_is_not_believed(self):
        victim = self.idle()
        self.do(self.db, "BEGIN")
        self.rows("SELECT count(*) FROM pg_stat_activity")
        time.sleep(0.3)
        self.do(victim, "SELECT 1")
        self.assertEqual(self.actions(idle_for="250 ms", match_application="victim", dry_run=False),
                         {victim.info.backend_pid: "skipped"})
        self.do(self.db, "ROLLBACK")
        self.assertTrue(self.is_alive(victim))

    def test_sessions_that_woke_up_are_not_ended(self):
        """Sessions that flip between idle and active all the time: between the look and the second
        look some have changed. Those are skipped, and live on."""
        stop = threading.Event()
        failed = {}

        def flip(db):
            while not stop.is_set():
                try:
                    self.do(db, "SELECT 1")
                except psycopg2.Error as error:
                    failed[db.info.backend_pid] = error
                    return

        woke = 0
        for _ in range(40):
            stop.clear()
            failed.clear()
            flippers = [self.open(name="flipper") for _ in range(12)]
            pids = {db.info.backend_pid: db for db in flippers}  # asked while they live
            threads = [threading.Thread(target=flip, args=(db,)) for db in flippers]
            for thread in threads:
                thread.start()
            time.sleep(0.02)
            found = self.reap(idle_for="0", match_application="flipper", dry_run=False)
            time.sleep(0.02)
            stop.set()
            for thread in threads:
                thread.join()
            skipped = [row for row in found if row["action"] == "skipped"]
            for row in skipped:
                self.assertIn("it woke up", row["reason"])
            alive = {pid for pid, db in pids.items() if self.is_alive(db)}
            ended = {row["pid"] for row in found if row["action"] == "ended"}
            self.assertEqual(alive, set(pids) - ended)
            woke += len(skipped)
            for db in flippers:
                db.close()
            if woke >= 5:
                return
        self.fail(f"only {woke} sessions woke up in time: the second look was hardly tried")

    def test_bad_input(self):
        for arguments, wanted in (({"match_state": "active"}, "use idle, idle in transaction"),
                                  ({"match_state": "Idle"}, "match_state must not be Idle"),
                                  ({"idle_for": "-1 s"}, "idle_for must not be negative"),
                                  ({"keep_at_least": -1}, "keep_at_least must not be negative"),
                                  ({"match_application": "a\\"}, "escape character"),
                                  ({"match_user": "\\\\\\"}, "match_user must not end"),
                                  ({"idle_for": None}, "must not be null"),
                                  ({"match_state": None}, "must not be null"),
                                  ({"match_user": None}, "must not be null"),
                                  ({"match_database": None}, "must not be null"),
                                  ({"only_blocking": None}, "must not be null"),
                                  ({"dry_run": None}, "must not be null")):
            with self.subTest(arguments):
                names = ", ".join(f"{name} => %s" for name in arguments)
                self.refuses("22023", wanted, f"SELECT * FROM upkeep.reap_sessions({names})",
                             *arguments.values())


if __name__ == "__main__":
    unittest.main()
