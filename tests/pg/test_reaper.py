# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.reaper=on
# cluster: upkeep.database=postgres
# cluster: listen_addresses=127.0.0.21
"""The reaper: rules of reap_rules applied by the worker to the sessions of all databases, and what its log tells.

Run inside tests/pg/with_cluster.sh.
"""
import contextlib
import os
import signal
import time
import unittest

import psycopg2
import psycopg2.extras

import libpq
from sessions_base import APP, SessionsTest, connect, set_up

# without what a session answers that is on its way into or out of the wait for its client: it is asked again
LOG = ("SELECT * FROM upkeep.reap_log WHERE rule = %s AND outcome !~"
       " '^refused: (it does not wait|its state has|its locks cannot)' ORDER BY at")


def setUpModule():
    set_up()
    db = connect()
    with db.cursor() as cursor:
        cursor.execute("CREATE DATABASE elsewhere")
    db.close()


class ReaperTest(SessionsTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.no_rules)
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND datname = 'postgres'")

    def no_rules(self):
        db = connect()
        self.do(db, "DELETE FROM upkeep.reap_rules")
        db.close()

    def rule(self, name, **fields):
        fields = {"name": name, "match_application": "victim", "idle_for": "200 ms", **fields}
        with self.db.cursor() as cursor:
            cursor.execute(f"INSERT INTO upkeep.reap_rules ({', '.join(fields)}) VALUES"
                           f" ({', '.join(['%s'] * len(fields))})", list(fields.values()))

    def gone(self, victim, seconds=5):
        self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)",
                      victim.info.backend_pid, seconds=seconds)

    def log(self, rule, count=1):
        rows = self.wait_for(f"SELECT * FROM ({LOG}) l WHERE (SELECT count(*) FROM ({LOG}) m) >= %s", rule, rule, count)
        self.assertEqual(len(rows), count, rows)
        return rows

    def error(self, victim, sql="SELECT 1"):
        with self.assertRaises(psycopg2.Error) as caught:
            self.do(victim, sql)
        return caught.exception

    def test_idle(self):
        victim = self.open()
        self.do(victim, "SELECT 'a secret'")
        self.rule("r_idle")
        self.gone(victim)
        row = self.log("r_idle")[0]
        self.assertEqual([row[c] for c in ("pid", "user_name", "application_name", "client_addr", "state",
                                           "last_query", "action")],
                         [victim.info.backend_pid, APP, "victim", None, "idle", "SELECT ?", "end"])
        self.assertRegex(row["outcome"], "^ended: idle for ")
        self.assertGreaterEqual(row["state_ms"], 200)
        self.assertLess(row["state_ms"], 5000)

    def test_sqlstates_of_libpq_and_psycopg2(self):
        for sql, state, code in (("SELECT 1", "idle", "57P05"), ("BEGIN", "idle in transaction", "25P03"),
                                 ("BEGIN; SELECT 1/0", "idle in transaction (aborted)", "25P03")):
            with self.subTest(sql):
                victim, other = libpq.Connection(application_name="victim", user="r_plain"), self.open()
                self.stack.callback(victim.close)
                victim.run(sql)
                with contextlib.suppress(psycopg2.Error):
                    self.do(other, sql)
                self.rule("r " + code, match_state=state)
                self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'victim')")
                errors = victim.run("SELECT 2")
                self.assertEqual(errors[0][0], code)
                self.assertRegex(errors[0][1], f'^terminating connection: idle.* for [0-9]+ ms, ended by rule "r {code}"$')
                self.assertIn("No command was under way", errors[0][2])
                self.assertIsInstance(self.error(other), psycopg2.OperationalError)
                self.assertEqual(other.closed, 2)
                self.do(self.db, "DELETE FROM upkeep.reap_rules")

    def test_idle_over_tcp_in_another_database(self):
        victim = self.open(database="elsewhere", host="127.0.0.21")
        self.rule("r_tcp", match_database="else%", match_address="127.0.0.0/8")
        self.gone(victim)
        self.assertEqual(self.log("r_tcp")[0]["client_addr"], "127.0.0.1")

    def test_what_does_not_match_stays(self):
        others = [self.open(name="other"), self.open(database="elsewhere"), self.open("r_plain"),
                  self.open(host="127.0.0.21")]
        victim = self.open()
        self.rule("r_match", match_database="postgres", match_user=APP, match_address="local")
        self.gone(victim)
        time.sleep(0.5)
        self.assertEqual([self.is_alive(db) for db in others], [True] * 4)
        self.log("r_match")

    def test_superusers_and_others_are_never_ended(self):
        victims = [self.open("postgres"), self.open(name="citus_internal gpid=1")]
        self.rule("r_never", match_application="%", idle_for="0 s", match_user="%")
        ordinary = self.open()
        self.gone(ordinary)
        time.sleep(0.5)
        self.assertEqual([self.is_alive(db) for db in [*victims, self.db]], [True] * 3)
        self.assertEqual({row["pid"] for row in self.log("r_never")}, {ordinary.info.backend_pid})
        self.rule("r_named", match_user="postgres")
        self.gone(victims[0])

    def test_idle_in_transaction_and_aborted(self):
        victims = [self.open(), self.open()]
        self.do(victims[0], "BEGIN; INSERT INTO t VALUES (1000, 0)")
        with self.assertRaises(psycopg2.Error):
            self.do(victims[1], "BEGIN; SELECT 1/0")
        with self.assertRaises(psycopg2.Error):
            self.do(victims[1], "SELECT 1")
        self.rule("r_tx", match_state="idle in transaction")
        self.rule("r_aborted", match_state="idle in transaction (aborted)")
        for victim, rule in zip(victims, ("r_tx", "r_aborted")):
            self.gone(victim)
            self.assertEqual(self.log(rule)[0]["action"], "end")
        self.assertEqual(self.rows("SELECT * FROM t WHERE id = 1000"), [])

    def test_only_blocking(self):
        harmless, harmful = self.open(), self.open()
        self.do(harmless, "BEGIN")
        self.do(harmful, "BEGIN; UPDATE t SET x = 1 WHERE id = 1")
        self.rule("r_block", match_state="idle in transaction", only_blocking=True)
        waiter = self.open(name="waiter")
        thread, errors = self.start(waiter, "UPDATE t SET x = 2 WHERE id = 1")
        self.gone(harmful)
        thread.join(5)
        self.assertEqual(errors, [])
        time.sleep(0.5)
        self.assertTrue(self.is_alive(harmless))
        self.log("r_block")

    def test_spared(self):
        holders = {"listening": ("LISTEN x", "UNLISTEN *", "it listens"),
                   "session_lock": ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock_all()", "advisory lock"),
                   "held_cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c", "cursor with hold"),
                   "temp_table": ("CREATE TEMP TABLE mine (x int)", None, "temporary table")}
        victims = {}
        for word, (take, _, _) in holders.items():
            victims[word] = self.open(name="victim " + word)
            self.do(victims[word], take)
        for word in holders:
            self.rule("s_" + word, match_application="victim " + word)
        for word, (_, leave, why) in holders.items():
            row = self.log("s_" + word)[0]
            self.assertRegex(row["outcome"], "^refused: spared: .*" + why)
            self.assertTrue(self.is_alive(victims[word]))
            if leave:
                self.do(victims[word], leave)
                self.gone(victims[word])
            else:
                self.do(self.db, f"UPDATE upkeep.reap_rules SET spare = '{{}}' WHERE name = 's_{word}'")
                self.gone(victims[word])

    def test_a_rolled_back_unlisten_still_listens(self):
        victim = self.open()
        self.do(victim, "LISTEN x")
        self.do(victim, "BEGIN; UNLISTEN *; ROLLBACK")
        self.rule("r_unlisten")
        self.assertIn("listens", self.log("r_unlisten")[0]["outcome"])

    def test_keep_at_least(self):
        victims = []
        for _ in range(5):
            victims.append(self.open())
            time.sleep(0.02)
        self.rule("r_keep", keep_at_least=2)
        for victim in victims[:3]:
            self.gone(victim)
        time.sleep(1.5)
        self.assertEqual([self.is_alive(db) for db in victims[3:]], [True] * 2)
        self.log("r_keep", 3)
        another = self.open()  # two are to stay, and now there are three
        self.gone(victims[3])
        self.assertTrue(self.is_alive(another))

    def test_usage(self):
        victims = [self.open() for _ in range(10)]
        used = self.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend'")[0]["n"]
        self.rule("r_usage", only_above_usage_ratio=(used - 3.5) / 50)
        self.log("r_usage", 4)
        time.sleep(1.5)
        self.log("r_usage", 4)
        self.assertEqual(sum(self.is_alive(victim) for victim in victims), 6)

    def test_max_per_minute(self):
        victims = [self.open() for _ in range(6)]
        self.rule("r_max", max_per_minute=2)
        self.log("r_max", 2)
        time.sleep(2.5)
        self.log("r_max", 2)
        self.assertEqual(sum(self.is_alive(victim) for victim in victims), 4)

    def test_max_per_minute_outlives_the_worker(self):
        self.rule("r_minute", max_per_minute=2)
        victims = [self.open() for _ in range(4)]
        self.log("r_minute", 2)
        worker = self.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep reaper'")[0]["pid"]
        self.do(self.db, f"SELECT pg_terminate_backend({worker})")
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND pid <> %s", worker,
                      seconds=15)
        time.sleep(1.5)
        self.log("r_minute", 2)
        self.assertEqual(sum(self.is_alive(victim) for victim in victims), 2)

    def test_walsenders_are_never_ended(self):
        self.do(self.db, "CREATE ROLE sender LOGIN REPLICATION")
        sender = psycopg2.connect(user="sender", dbname="postgres", application_name="victim",
                                  connection_factory=psycopg2.extras.LogicalReplicationConnection)
        self.stack.callback(sender.close)
        kind = self.rows("SELECT backend_type FROM pg_stat_activity WHERE usename = 'sender'")[0]["backend_type"]
        self.assertEqual(kind, "walsender")
        self.rule("r_sender", idle_for="0 s")
        victim = self.open()
        self.gone(victim)
        time.sleep(0.5)
        with sender.cursor() as cursor:
            cursor.execute("IDENTIFY_SYSTEM")
        self.assertEqual({row["pid"] for row in self.log("r_sender")}, {victim.info.backend_pid})

    def test_ladder(self):
        victim = self.open()
        self.do(victim, "BEGIN")
        self.rule("l_log", match_state="idle in transaction", action="log", idle_for="100 ms")
        self.rule("l_end", match_state="idle in transaction", idle_for="1500 ms")
        self.log("l_log")
        self.assertEqual(self.rows(LOG, "l_end"), [])
        self.gone(victim)
        self.assertEqual(self.log("l_log")[0]["outcome"][:8], "logged: ")
        self.log("l_end")

    def test_cancel(self):
        victim = self.open()
        self.rule("r_cancel", match_state="active", action="cancel")
        error = self.error(victim, "SELECT pg_sleep(20)")
        self.assertEqual(error.pgcode, "57014")
        self.assertIn('canceling statement due to rule "r_cancel"', str(error))
        self.assertTrue(self.is_alive(victim))
        self.assertRegex(self.log("r_cancel")[0]["outcome"], "^cancelled: active for ")
        thread, errors = self.start(victim, "SELECT pg_sleep(20)")
        self.wait_state(victim, "active")
        self.do(self.db, "SELECT upkeep.end_session(%d, 'cancel', false)" % victim.info.backend_pid)
        thread.join(10)
        self.assertIn(errors[0].pgcode, ("57014",))

    def test_a_priority_shields(self):
        shielded, victim = self.open(name="shielded"), self.open()
        self.rule("p_shield", match_application="shielded", priority=1, idle_for="1 h")
        self.rule("p_all", match_application="%", match_user=APP)
        self.gone(victim)
        time.sleep(0.4)
        self.assertTrue(self.is_alive(shielded))

    def test_a_policy_changed_while_idle(self):
        victim = self.open()
        self.rule("r_change", idle_for="1 h")
        row = self.wait_for("SELECT rule, reap_in_ms FROM upkeep.connections WHERE pid = %s AND rule IS NOT NULL",
                            victim.info.backend_pid)[0]
        self.assertEqual(row["rule"], "r_change")
        self.assertTrue(3_500_000 < row["reap_in_ms"] <= 3_600_000, row)
        self.do(self.db, "UPDATE upkeep.reap_rules SET idle_for = '10 ms' WHERE name = 'r_change'")
        self.gone(victim, seconds=2)
        self.do(self.db, "TRUNCATE upkeep.reap_rules")
        another = self.open()
        time.sleep(0.5)
        self.assertTrue(self.is_alive(another))
        self.assertEqual(self.rows("SELECT 1 FROM upkeep.connections WHERE rule IS NOT NULL"), [])

    def test_a_disabled_rule_counts_for_nothing(self):
        victim = self.open()
        self.rule("r_off", enabled=False, idle_for="0 s")
        time.sleep(0.6)
        self.assertTrue(self.is_alive(victim))

    def test_no_notice_while_the_reaper_is_on(self):
        self.db.notices.clear()
        self.rule("r_notice", idle_for="1 h")
        self.assertEqual(self.db.notices, [])

    def test_the_users_own_timeout_changes_nothing(self):
        victim = self.open()
        self.do(victim, "SET idle_session_timeout = 0")
        self.rule("r_set")
        self.gone(victim)

    def test_a_command_in_the_socket_saves_the_session(self):
        victim = self.open()
        self.do(victim, "SELECT 1")
        pid = victim.info.backend_pid
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'ClientRead'", pid)
        os.kill(pid, signal.SIGSTOP)
        try:
            thread, errors = self.start(victim, "INSERT INTO t VALUES (2000, 0)")
            time.sleep(0.2)
            self.rule("r_saved", idle_for="0 s", max_per_minute=1)
            time.sleep(0.5)
        finally:
            os.kill(pid, signal.SIGCONT)
        thread.join(10)
        self.assertEqual(errors, [])
        self.assertEqual(len(self.rows("SELECT * FROM t WHERE id = 2000")), 1)

    def test_a_session_that_does_not_answer_is_logged(self):
        victim = self.open()
        pid = victim.info.backend_pid
        os.kill(pid, signal.SIGSTOP)
        try:
            self.rule("r_stopped", idle_for="0 s")
            self.assertIn("refused: it did not answer within a second", self.log("r_stopped")[0]["outcome"])
        finally:
            os.kill(pid, signal.SIGCONT)
        self.gone(victim)

    def test_the_worker_ends_and_nothing_is_missing(self):
        victims = [self.open() for _ in range(20)]
        self.rule("r_term", idle_for="0 s")
        worker = self.rows("SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep reaper'")[0]["pid"]
        self.do(self.db, f"SELECT pg_terminate_backend({worker})")
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND pid <> %s", worker,
                      seconds=15)
        for victim in victims:
            self.gone(victim)
        rows = self.wait_for("SELECT pid FROM upkeep.reap_log WHERE rule = 'r_term' AND outcome LIKE 'ended: %%'"
                             " AND (SELECT count(*) FROM upkeep.reap_log WHERE rule = 'r_term'"
                             " AND outcome LIKE 'ended: %%') = 20")
        self.assertEqual({row["pid"] for row in rows}, {victim.info.backend_pid for victim in victims})

    def test_calls_have_rows_as_well(self):
        victims = [self.open(name="called") for _ in range(3)]
        both = self.open("r_both", "caller")
        self.rows("SELECT * FROM upkeep.end_session(%s, 'end', false)", victims[0].info.backend_pid, db=both)
        self.rows("SELECT * FROM upkeep.reap_sessions('0 s', match_application => 'called', dry_run => true)", db=both)
        self.rows("SELECT * FROM upkeep.reap_sessions('0 s', match_application => 'called', dry_run => false)", db=both)
        rows = self.wait_for("SELECT * FROM upkeep.reap_log WHERE application_name = 'called' AND"
                             " (SELECT count(*) FROM upkeep.reap_log WHERE application_name = 'called') >= 3")
        self.assertEqual({row["pid"] for row in rows}, {victim.info.backend_pid for victim in victims})
        self.assertEqual(len(rows), 3)
        for row in rows:
            self.assertEqual((row["rule"], row["action"]), (None, "end"))
            self.assertEqual(row["outcome"], f"ended: called by r_both, process {both.info.backend_pid}")

    def test_rights(self):
        for role, may in (("r_monitor", True), ("r_plain", False)):
            db = self.open(role, "reader")
            if may:
                self.rows("SELECT * FROM upkeep.reap_log", db=db)
            else:
                self.refuses("42501", "reap_log", "SELECT * FROM upkeep.reap_log", db=db)
            for sql in ("DELETE FROM upkeep.reap_log", "INSERT INTO upkeep.reap_log_rows (number, at, action, outcome)"
                        " VALUES (1, now(), 'end', 'x')", "SELECT * FROM upkeep.reap_log_rows"):
                self.refuses("42501", "reap_log", sql, db=db)


if __name__ == "__main__":
    unittest.main()
