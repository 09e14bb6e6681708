"""Sessions, locks and pools of PostgreSQL, against real second sessions.

Oracles: pg_stat_activity, pg_blocking_pids and the catalogs asked directly, and what becomes of the
sessions. Run inside tests/pg/with_cluster.sh.
"""
import contextlib
import subprocess
import threading
import time
import unittest

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

APP = 'app "é'  # a role whose name has to be quoted
READERS = ("connections", "connection_summary", "connection_limits", "running_statements",
           "lock_tree")
CALLS = {name: f"SELECT * FROM upkeep.{name}" for name in READERS}
CALLS["advise_pool"] = "SELECT * FROM upkeep.advise_pool(2)"
CALLS["end_session"] = "SELECT * FROM upkeep.end_session(pg_backend_pid())"
CALLS["reap_sessions"] = "SELECT * FROM upkeep.reap_sessions()"


def connect(user="postgres", name="test_sessions", database="postgres", **options):
    connection = psycopg2.connect(user=user, application_name=name, dbname=database, **options)
    connection.autocommit = True
    return connection


def setUpModule():
    db = connect()
    cursor = db.cursor()
    cursor.execute("CREATE EXTENSION IF NOT EXISTS upkeep")
    for role, memberships in (("r_monitor", "pg_monitor"), ("r_signal", "pg_signal_backend"),
                              ("r_stats", "pg_read_all_stats"),
                              ("r_both", "pg_monitor, pg_signal_backend"), ("r_plain", None),
                              (APP, None)):
        quoted = psycopg2.extensions.quote_ident(role, db)
        cursor.execute(f"CREATE ROLE {quoted} LOGIN")
        if memberships:
            cursor.execute(f"GRANT {memberships} TO {quoted}")
    cursor.execute("CREATE TABLE t (id int PRIMARY KEY, x int)")
    cursor.execute("INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) i")
    cursor.execute(f"GRANT ALL ON t TO PUBLIC")
    db.close()


class SessionsTest(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.addCleanup(self.end_all)  # runs first: no thread waits for a lock when it is joined
        self.db = self.open("postgres", "asker")

    def end_all(self):
        db = connect()
        self.do(db, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
        db.close()

    def open(self, user=APP, name="victim", **options):
        connection = connect(user, name, **options)
        self.stack.callback(connection.close)
        return connection

    def rows(self, sql, *parameters, db=None):
        with (db or self.db).cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
            cursor.execute(sql, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def do(self, db, sql):
        with db.cursor() as cursor:
            cursor.execute(sql)

    def start(self, db, sql):
        """Runs `sql` in a thread; returns (thread, box): box holds the error, if any."""
        box = []

        def run():
            try:
                self.do(db, sql)
            except psycopg2.Error as error:
                box.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        self.stack.callback(thread.join, 20)
        return thread, box

    def wait_for(self, sql, *parameters, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.rows(sql, *parameters)
            if found:
                return found
            time.sleep(0.01)
        self.fail(f"nothing after {seconds} s: {sql}")

    def wait_state(self, db, state):
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = %s",
                      db.info.backend_pid, state)

    def is_alive(self, db):
        try:
            self.do(db, "SELECT 1")
            return True
        except psycopg2.Error:
            return False

    def refuses(self, sqlstate, wanted, sql, *parameters, db=None):
        with self.assertRaises(psycopg2.Error) as caught:
            self.rows(sql, *parameters, db=db)
        self.assertEqual(caught.exception.pgcode, sqlstate, caught.exception)
        self.assertIn(wanted, str(caught.exception))


class ReadersTest(SessionsTest):
    def test_connections_are_those_of_pg_stat_activity(self):
        self.open(name='na"me é%')
        aborted = self.open(name="aborted")
        aborted.autocommit = False
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            self.do(aborted, "SELECT 1/0")
        idle = self.open(name="in transaction")
        idle.autocommit = False
        self.do(idle, "SELECT 1")
        self.wait_state(aborted, "idle in transaction (aborted)")
        self.wait_state(idle, "idle in transaction")
        differing = self.rows("""
            SELECT c.*, a.* FROM upkeep.connections c
            FULL JOIN (SELECT * FROM pg_stat_activity WHERE datid IS NOT NULL) a USING (pid)
            WHERE (c.database_name, c.user_name, c.application_name, c.backend_type, c.state, c.query,
                   c.client_addr, c.wait_event)
               IS DISTINCT FROM (a.datname, a.usename, a.application_name, a.backend_type, a.state,
                   a.query, host(a.client_addr), a.wait_event)""")
        self.assertEqual(differing, [])
        states = {row["state"] for row in self.rows("SELECT state FROM upkeep.connections")}
        self.assertLessEqual({"active", "idle", "idle in transaction",
                              "idle in transaction (aborted)"}, states)

    def test_clocks(self):
        victim = self.open()
        self.do(victim, "SELECT pg_sleep(1)")  # ended now: by query_start it would be old
        self.wait_state(victim, "idle")
        row, = self.rows("SELECT *, (SELECT extract(epoch FROM clock_timestamp() - query_start)"
                         " * 1000 FROM pg_stat_activity a WHERE a.pid = c.pid) AS wrong"
                         " FROM upkeep.connections c WHERE pid = %s", victim.info.backend_pid)
        self.assertLess(row["state_ms"], 900)
        self.assertGreater(row["wrong"], 1000)
        self.assertIsNone(row["transaction_ms"])
        self.assertTrue(row["visible"])
        self.assertFalse(row["holds_xmin"])

    def test_transactions_count_from_their_start(self):
        victim = self.open()
        self.do(victim, "BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.do(victim, "SELECT pg_sleep(0.5) FROM t LIMIT 1")
        self.wait_state(victim, "idle in transaction")
        row, = self.rows("SELECT * FROM upkeep.connections WHERE pid = %s", victim.info.backend_pid)
        self.assertGreater(row["transaction_ms"], 500)
        self.assertLess(row["state_ms"], row["transaction_ms"] - 400)
        self.assertTrue(row["holds_xmin"])

    def test_a_transaction_does_not_freeze_the_view(self):
        self.do(self.db, "BEGIN")
        self.rows("SELECT count(*) FROM pg_stat_activity")
        late = self.open(name="late")
        found = self.rows("SELECT pid FROM upkeep.connections WHERE application_name = 'late'")
        self.assertEqual(found, [{"pid": late.info.backend_pid}])
        self.do(self.db, "ROLLBACK")

    def test_summary(self):
        for _ in range(3):
            self.open(name="pool")
        wanted = """
            SELECT application_name, datname, usename, state, count(*)
            FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
            GROUP BY 1, 2, 3, 4"""
        found = self.rows("SELECT application_name, database_name, user_name, state, count,"
                          " oldest_state_ms FROM upkeep.connection_summary"
                          " WHERE state IS DISTINCT FROM 'active'")
        self.assertIn(3, [row["count"] for row in found if row["application_name"] == "pool"])
        self.assertTrue(all(row["oldest_state_ms"] >= 0 for row in found))
        self.assertEqual(sorted(map(str, ([*row.values()][:5] for row in found))),
                         sorted(str([*row.values()]) for row in self.rows(wanted)))

    def test_limits(self):
        self.do(self.db, "ALTER ROLE r_monitor CONNECTION LIMIT 4")
        self.addCleanup(lambda: self.do(connect(), "ALTER ROLE r_monitor CONNECTION LIMIT -1"))
        monitor = self.open("r_monitor")
        row, = self.rows("SELECT * FROM upkeep.connection_limits", db=monitor)
        used, = self.rows("SELECT count(*) AS n FROM pg_stat_activity"
                          " WHERE backend_type = 'client backend'")
        self.assertEqual(row, {"max_connections": 50, "superuser_reserved": 3, "reserved": 0,
                               "used": used["n"], "role_limit": 4, "database_limit": None,
                               "available": 3})
        for _ in range(3):
            self.open("r_monitor")
        with self.assertRaises(psycopg2.OperationalError):
            self.open("r_monitor")
        row, = self.rows("SELECT available FROM upkeep.connection_limits", db=monitor)
        self.assertEqual(row["available"], 0)
        row, = self.rows("SELECT available, role_limit FROM upkeep.connection_limits")
        self.assertEqual(row, {"available": 50 - used["n"] - 3, "role_limit": None})

    def test_running_statements(self):
        victim = self.open()
        self.start(victim, "SELECT pg_sleep(5)")
        self.wait_state(victim, "active")
        found = self.rows("SELECT * FROM upkeep.running_statements")
        self.assertEqual([row["pid"] for row in found], [victim.info.backend_pid])  # and not own
        self.assertEqual(found[0]["wait_event"], "PgSleep")
        self.assertEqual(found[0]["blocked_by"], [])
        self.assertEqual(found[0]["query"], "SELECT pg_sleep(5)")
        self.assertIsNone(found[0]["progress"])
        victim.cancel()

    def test_progress_and_blockers_of_an_index_build(self):
        writer = self.open()
        writer.autocommit = False
        self.do(writer, "UPDATE t SET x = 1 WHERE id = 9")
        builder = self.open("postgres", "builder")
        self.start(builder, "CREATE INDEX CONCURRENTLY t_x ON t (x)")
        row, = self.wait_for("SELECT * FROM upkeep.running_statements"
                             " WHERE application_name = 'builder' AND progress IS NOT NULL"
                             " AND cardinality(blocked_by) > 0")
        self.assertEqual(row["blocked_by"], [writer.info.backend_pid])
        self.assertIn("waiting for writers", row["progress"])
        writer.rollback()
        self.wait_for("SELECT 1 FROM pg_index i WHERE indexrelid = to_regclass('t_x') AND indisvalid")
        self.do(self.db, "DROP INDEX t_x")

    def test_readers_write_nothing(self):
        self.do(self.db, "SET default_transaction_read_only = on")
        self.do(self.db, "BEGIN")
        for name in (*READERS, "advise_pool"):
            self.rows(CALLS[name])
        row, = self.rows("SELECT pg_current_xact_id_if_assigned() AS x")
        self.assertIsNone(row["x"])
        self.do(self.db, "ROLLBACK")

    def test_names_are_not_taken_from_the_callers_search_path(self):
        self.do(self.db, "CREATE SCHEMA evil CREATE VIEW pg_stat_activity AS SELECT 1 AS pid")
        self.addCleanup(lambda: self.do(connect(), "DROP SCHEMA evil CASCADE"))
        self.do(self.db, "SET search_path = evil, pg_catalog")
        self.assertGreater(len(self.rows("SELECT * FROM upkeep.connections")), 0)


class LockTreeTest(SessionsTest):
    def hold(self, *ids, **options):
        """A session that holds the rows `ids` and is idle in its transaction."""
        db = self.open(**options)
        db.autocommit = False
        for one in ids:
            self.do(db, f"UPDATE t SET x = x + 1 WHERE id = {one}")
        return db

    def wait_blocked(self, *dbs):
        for db in dbs:
            self.wait_for("SELECT 1 WHERE cardinality(pg_blocking_pids(%s)) > 0",
                          db.info.backend_pid)

    def tree(self):
        return self.rows("SELECT * FROM upkeep.lock_tree")

    def test_chain_of_three(self):
        a, b, c = self.hold(1), self.hold(2), self.hold(3)
        self.start(b, "UPDATE t SET x = 0 WHERE id = 1")
        self.wait_blocked(b)
        self.start(c, "UPDATE t SET x = 0 WHERE id = 2")
        self.wait_blocked(c)
        pids = [db.info.backend_pid for db in (a, b, c)]
        rows = self.tree()
        self.assertEqual([row["pid"] for row in rows], pids)
        self.assertEqual([row["depth"] for row in rows], [0, 1, 2])
        self.assertEqual([row["path"] for row in rows], [pids[:1], pids[:2], pids])
        self.assertEqual({row["root_pid"] for row in rows}, {pids[0]})
        for row in rows:
            oracle, = self.rows("SELECT pg_blocking_pids(%s) AS pids", row["pid"])
            self.assertEqual(row["blocked_by"], oracle["pids"])
        self.assertEqual([row["state"] for row in rows],
                         ["idle in transaction", "active", "active"])
        self.assertEqual([row["relation"] for row in rows], [None, "public.t", "public.t"])
        self.assertEqual([row["mode"] for row in rows], [None, "ShareLock", "ShareLock"])
        self.assertIsNone(rows[0]["waits_ms"])
        oracle, = self.rows("SELECT extract(epoch FROM clock_timestamp() - waitstart) * 1000 AS ms"
                            " FROM pg_locks WHERE pid = %s AND NOT granted", pids[1])
        self.assertLessEqual(rows[1]["waits_ms"], float(oracle["ms"]))
        self.assertGreater(rows[1]["waits_ms"], rows[2]["waits_ms"])
        counts = {row["pid"]: row["blocks_count"] for row in
                  self.rows("SELECT pid, blocks_count FROM upkeep.connections")}
        self.assertEqual([counts[pid] for pid in pids], [2, 1, 0])

        # the advice as it stands in the row: a lasting limit for the role, and a call for now
        prevent, now = rows[0]["suggested_action"].split("; now: end it: ")
        self.do(self.db, "BEGIN")
        self.do(self.db, prevent)
        self.do(self.db, "ROLLBACK")
        self.assertEqual(self.rows(now)[0]["action"], "ended")
        self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM upkeep.lock_tree WHERE pid = %s)",
                      pids[0])
        self.assertEqual([row["pid"] for row in self.tree()], pids[1:])

    def test_active_root_is_to_be_cancelled_not_ended(self):
        a = self.hold(1)
        self.start(a, "SELECT pg_sleep(10)")
        self.wait_state(a, "active")
        b = self.open(name="waiter")
        self.start(b, "UPDATE t SET x = 0 WHERE id = 1")
        self.wait_blocked(b)
        row = self.tree()[0]
        self.assertIn("statement_timeout", row["suggested_action"])
        call = row["suggested_action"].split("cancel its statement: ")[1]
        self.assertEqual(self.rows(call)[0]["action"], "cancelled")
        a.rollback()

    def test_advisory_locks_and_other_databases(self):
        self.do(self.db, 'CREATE DATABASE "other db"')
        self.addCleanup(lambda: self.do(connect(), 'DROP DATABASE "other db" WITH (FORCE)'))
        a, b = (self.open(database="other db") for _ in range(2))
        self.do(self.open("postgres", database="other db"), "CREATE TABLE far (x int);"
                "GRANT ALL ON far TO PUBLIC")
        self.do(a, "SELECT pg_advisory_lock(7)")
        self.start(b, "SELECT pg_advisory_lock(7)")
        self.wait_blocked(b)
        rows = self.tree()
        self.assertEqual([row["pid"] for row in rows], [a.info.backend_pid, b.info.backend_pid])
        self.assertEqual(rows[1]["relation"], "(advisory)")
        self.assertEqual(rows[1]["mode"], "ExclusiveLock")
        self.do(a, "BEGIN; LOCK TABLE far")
        c = self.open(database="other db")
        self.start(c, "SELECT * FROM far")
        self.wait_blocked(c)
        row, = [row for row in self.tree() if row["pid"] == c.info.backend_pid]
        self.assertIn("of another database", row["relation"])
        self.assertEqual(row["mode"], "AccessShareLock")

    def test_prepared_transaction_as_root(self):
        if self.rows("SHOW max_prepared_transactions")[0]["max_prepared_transactions"] == "0":
            self.skipTest("max_prepared_transactions is 0 here")
        a = self.hold(1)
        self.do(a, "PREPARE TRANSACTION 'it''s'")
        self.stack.callback(lambda: self.do(connect(), "ROLLBACK PREPARED 'it''s'"))
        b = self.open()
        self.start(b, "UPDATE t SET x = 0 WHERE id = 1")
        self.wait_blocked(b)
        rows = self.tree()
        self.assertEqual([row["pid"] for row in rows], [0, b.info.backend_pid])
        self.assertEqual((rows[0]["query"], rows[0]["state"]), ("it's", "prepared"))
        self.assertIn("prepared", rows[0]["suggested_action"])

    def test_nobody_waits(self):
        self.hold(1)
        self.assertEqual(self.tree(), [])


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


class AdvisePoolTest(SessionsTest):
    def advise(self, *arguments, db=None):
        places = ", ".join(["%s"] * len(arguments))
        return {row["parameter"]: row for row in
                self.rows(f"SELECT * FROM upkeep.advise_pool({places})", *arguments, db=db)}

    def test_counts_processes_and_replicas(self):
        rows = self.advise(4, 2, 2)
        self.assertEqual(rows["pool_size"]["value"], "DB_POOL_SIZE=2")
        self.assertEqual(rows["max_overflow"]["value"], "DB_MAX_OVERFLOW=2")
        self.assertEqual(rows["total_connections"]["value"], str(4 * 2 * (2 + 2)))
        self.assertEqual(rows["total_connections"]["limit_value"], str(50 - 3 - 5))
        self.assertEqual((rows["guide_total_connections"]["value"],
                          rows["guide_total_connections"]["verdict"]), (str(8 * 60), "exceeds"))
        self.assertEqual(rows["pooler"]["verdict"], "not_needed")

    def test_a_role_with_a_connection_limit(self):
        self.do(self.db, "ALTER ROLE r_monitor CONNECTION LIMIT 10")
        self.addCleanup(lambda: self.do(connect(), "ALTER ROLE r_monitor CONNECTION LIMIT -1"))
        rows = self.advise(4, 4, db=self.open("r_monitor"))
        self.assertEqual(rows["pool_size"]["value"], "DB_POOL_SIZE=1")  # (10 - 3) / 4
        self.assertEqual(rows["pool_size"]["verdict"], "limited")
        self.assertIn("role limit 10", rows["pool_size"]["limit_value"])
        self.assertEqual(rows["pooler"]["verdict"], "needed")

    def test_recycle_stays_below_the_servers_timeout(self):
        self.do(self.db, "SET idle_session_timeout = '10min'")
        self.assertEqual(self.advise(1)["pool_recycle"]["value"], "DB_POOL_RECYCLE=480")

    def test_bad_input(self):
        for arguments in ((0,), (1, -1), (1, 1, 0), (1000001,)):
            self.refuses("22023", "must be between", "SELECT * FROM upkeep.advise_pool("
                         + ", ".join(map(str, arguments)) + ")")
        self.refuses("22023", "use development, staging",
                     "SELECT * FROM upkeep.advise_pool(1, environment => 'Prod')")
        self.refuses("22023", "must not be null", "SELECT * FROM upkeep.advise_pool(NULL)")


class RolesTest(SessionsTest):
    """Who may call what: reading is pg_monitor's, ending pg_signal_backend's."""

    def test_table(self):
        reads = {*READERS, "advise_pool"}
        ends = {"end_session", "reap_sessions"}
        for role, wanted in (("postgres", reads | ends), ("r_monitor", reads), ("r_signal", ends),
                             ("r_stats", set()), ("r_both", reads | ends), ("r_plain", set())):
            db = self.open(role, "asker")
            for name, sql in CALLS.items():
                with self.subTest(role=role, call=name):
                    if name in wanted:
                        self.rows(sql, db=db)
                    else:
                        self.refuses("42501", "permission denied", sql, db=db)

    def test_what_was_granted_beyond_that_shows_no_more_than_the_server_does(self):
        self.do(self.db, "GRANT SELECT ON upkeep.connections, upkeep.connection_summary TO r_plain;"
                "GRANT EXECUTE ON FUNCTION upkeep.connections(), upkeep.connection_summary(),"
                " upkeep.reap_sessions TO r_plain")
        self.addCleanup(lambda: self.do(
            connect(), "REVOKE ALL ON ALL TABLES IN SCHEMA upkeep FROM r_plain;"
                       "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA upkeep FROM r_plain"))
        victim = self.open()
        plain, own = self.open("r_plain", "asker"), self.open("r_plain", "own")
        self.wait_state(victim, "idle")
        self.wait_state(own, "idle")
        rows = {row["pid"]: row for row in self.rows("SELECT * FROM upkeep.connections", db=plain)}
        hidden, seen = rows[victim.info.backend_pid], rows[own.info.backend_pid]
        self.assertEqual((hidden["visible"], hidden["state"], hidden["state_ms"], hidden["query"],
                          hidden["holds_xmin"]), (False, None, None, "<insufficient privilege>", None))
        self.assertEqual((seen["visible"], seen["state"]), (True, "idle"))
        self.assertIn("hidden from you", plain.notices[-1])
        states = {row["application_name"]: row["state"] for row in
                  self.rows("SELECT * FROM upkeep.connection_summary", db=plain)}
        self.assertEqual((states["victim"], states["own"]), (None, "idle"))
        # its own sessions it may end, as the server lets it; others' it does not even see idle
        found = {row["pid"]: row["action"] for row in self.rows(
            "SELECT * FROM upkeep.reap_sessions('0', dry_run => false)", db=plain)}
        self.assertEqual((found[victim.info.backend_pid], found[own.info.backend_pid]),
                         ("skipped", "ended"))
        self.assertTrue(self.is_alive(victim))
        self.assertFalse(self.is_alive(own))


if __name__ == "__main__":
    unittest.main()
