# cluster: max_prepared_transactions=4
"""Sessions, locks and pools of PostgreSQL, and who may call what, against real second sessions.

Oracles: pg_stat_activity, pg_blocking_pids and the catalogs asked directly. Run inside
tests/pg/with_cluster.sh.
"""
import unittest

import psycopg2
import psycopg2.errors

from sessions_base import SessionsTest, connect, set_up

READERS = ("connections", "connection_summary", "connection_limits", "running_statements",
           "lock_tree")
CALLS = {name: f"SELECT * FROM upkeep.{name}" for name in READERS}
CALLS["advise_pool"] = "SELECT * FROM upkeep.advise_pool(2)"
CALLS["end_session"] = "SELECT * FROM upkeep.end_session(pg_backend_pid())"
CALLS["reap_sessions"] = "SELECT * FROM upkeep.reap_sessions()"


def setUpModule():
    set_up()


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
