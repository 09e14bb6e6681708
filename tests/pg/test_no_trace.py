# cluster: autovacuum=off
"""advise_indexes and what_if leave no trace: catalogs, settings, locks, statements, memory are the same
before and after, also when the call is cancelled in the middle or fails."""
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

CATALOGS = ("pg_class", "pg_index", "pg_attribute", "pg_statistic", "pg_depend", "pg_type", "pg_namespace", "pg_proc",
            "pg_constraint", "pg_settings", "pg_prepared_statements", "pg_cursors", "pg_listening_channels()")

TABLES = 9
SETUP = "".join(f"""
CREATE TABLE t{n} AS SELECT g AS id, g % 100 AS a, g % 1000 AS b, g % 7 AS c, md5(g::text) AS d
FROM generate_series(1, 3000) AS g;""" for n in range(TABLES)) + "ANALYZE;"

# Joins of nine tables: each takes the planner long enough that a cancel arrives in the middle.
LONG = ["SELECT * FROM " + ", ".join(f"t{n}" for n in range(TABLES)) + " WHERE "
        + " AND ".join(f"t{n}.a = t{n + 1}.b AND t{n}.b = t{n + 1}.id" for n in range(TABLES - 1))
        + f" AND t0.c = {k % 7} AND t{k % TABLES}.a = {k} ORDER BY t{(k + 1) % TABLES}.b" for k in range(40)]
SHORT = ["SELECT * FROM t0 WHERE a = 7", "SELECT * FROM t1 JOIN t2 USING (id) WHERE t1.b = 7 ORDER BY t2.a",
         "UPDATE t3 SET c = 1 WHERE a = 7", "DELETE FROM t4 USING t5 WHERE t4.id = t5.id AND t5.a = 7",
         "INSERT INTO t6 SELECT * FROM t7 WHERE b = 7", "SELECT * FROM t8 WHERE a = 7 FOR UPDATE"]
ADVISE = "SELECT create_sql FROM upkeep.advise_indexes(%s::text[])"
ADVISE_LONG = "SELECT create_sql FROM upkeep.advise_indexes(%s::text[], time_limit => '10 min')"
WHAT_IF = "SELECT used_indexes FROM upkeep.what_if(%s, %s)"


class NoTrace(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)
        cls.other = connect(cls.database)

    @classmethod
    def tearDownClass(cls):
        cls.other.close()
        super().tearDownClass()

    def snapshot(self):
        """Count and digest of what the session sees of itself and the catalogs."""
        seen = {}
        for name in CATALOGS:
            is_table = name.startswith("pg_") and "(" not in name and name not in (
                "pg_settings", "pg_prepared_statements", "pg_cursors")
            row = "x.ctid::text || x.xmin || ' ' || x.xmax || x::text" if is_table else "x::text"
            seen[name] = self.rows(f"SELECT count(*), md5(coalesce(string_agg({row}, ' ' ORDER BY {row}), '')) FROM {name} AS x")
        seen["role"] = self.rows("SELECT current_user, session_user, current_schemas(true)")
        seen["plan"] = self.rows("EXPLAIN SELECT * FROM t0 WHERE a = 7")
        seen["contexts"] = self.rows("SELECT name FROM pg_backend_memory_contexts WHERE name LIKE 'upkeep%' ORDER BY 1")
        return seen

    def assert_untouched(self, call):
        for name in CATALOGS:
            self.rows(f"SELECT count(*) FROM {name}")
        self.rows("SELECT upkeep.version()")
        before = self.snapshot()
        call()
        after = self.snapshot()
        for name, value in before.items():
            self.assertEqual(after[name], value, name)

    def test_advice(self):
        self.assert_untouched(lambda: self.assertTrue(self.rows(ADVISE, SHORT)))

    def test_what_if(self):
        self.assert_untouched(lambda: self.assertEqual(
            self.rows(WHAT_IF, SHORT[0], ["CREATE INDEX here ON t0 (a)"]), [(["here"],)]))

    def test_an_error(self):
        self.assert_untouched(lambda: self.refusal(ADVISE, SHORT + ["SELECT * FROM nowhere"]))
        self.assert_untouched(lambda: self.refusal(WHAT_IF, SHORT[0], ["CREATE INDEX ON t0 (a)", "CREATE INDEX ON t0 (no)"]))

    def test_locks_and_transaction(self):
        """Inside a transaction: no transaction id, no lock but AccessShareLock, no savepoint left."""
        self.run_on(self.db, "BEGIN")
        try:
            self.rows(ADVISE, SHORT)
            self.rows(WHAT_IF, SHORT[2], ["CREATE INDEX ON t3 (a)"])
            self.assertEqual(self.value("SELECT pg_current_xact_id_if_assigned()"), None)
            modes = self.rows("SELECT DISTINCT mode, locktype FROM pg_locks WHERE pid = pg_backend_pid()"
                              " AND locktype <> 'virtualxid'")
            self.assertEqual(modes, [("AccessShareLock", "relation")])
        finally:
            self.run_on(self.db, "ROLLBACK")

    def test_the_caller_s_own_statements_are_kept(self):
        self.run_on(self.db, "PREPARE mine AS SELECT 1; SET work_mem = '7MB'")
        self.rows(ADVISE, SHORT)
        self.assertEqual(self.rows("EXECUTE mine"), [(1,)])
        self.assertEqual(self.value("SHOW work_mem"), "7MB")
        self.run_on(self.db, "DEALLOCATE mine; RESET work_mem")

    def test_a_read_only_transaction_is_enough(self):
        self.run_on(self.db, "BEGIN READ ONLY")
        try:
            self.assertTrue(self.rows(ADVISE, SHORT))
        finally:
            self.run_on(self.db, "ROLLBACK")

    def test_others_plans_do_not_see_it(self):
        """Neither another session nor a cached plan of this one."""
        self.run_on(self.db, "PREPARE cached AS SELECT * FROM t0 WHERE a = 7; SET plan_cache_mode = force_generic_plan")
        self.rows("EXECUTE cached")
        self.rows(WHAT_IF, "SELECT * FROM t0 WHERE a = 7", ["CREATE INDEX assumed ON t0 (a)"])
        plans = [self.rows("EXPLAIN EXECUTE cached"), self.rows("EXPLAIN SELECT * FROM t0 WHERE a = 7"),
                 self.run_on(self.other, "EXPLAIN SELECT * FROM t0 WHERE a = 7")]
        for plan in plans:
            self.assertNotIn("assumed", str(plan))
            self.assertIn("Seq Scan", str(plan))
        self.run_on(self.db, "DEALLOCATE cached; RESET plan_cache_mode")

    def test_statement_timeout_in_the_middle(self):
        def call():
            self.run_on(self.db, "SET statement_timeout = '300ms'")
            start = time.monotonic()
            error = self.refusal(ADVISE_LONG, LONG)
            late = time.monotonic() - start - 0.3
            self.run_on(self.db, "RESET statement_timeout")
            self.assertEqual(error.pgcode, "57014")
            self.assertIn("statement timeout", str(error))
            self.assertLess(late, 1.0)

        self.assert_untouched(call)

    def test_cancel_by_another_session(self):
        pid = self.db.get_backend_pid()
        latencies = []

        def call():
            for after in (0.05, 0.2, 0.5):
                errors = []
                thread = threading.Thread(target=lambda: errors.append(self.refusal(ADVISE_LONG, LONG)))
                thread.start()
                time.sleep(after)
                start = time.monotonic()
                self.run_on(self.other, "SELECT pg_cancel_backend(%s)", [pid])
                thread.join(20)
                latencies.append(time.monotonic() - start)
                self.assertEqual([error.pgcode for error in errors], ["57014"])
            self.assertLess(max(latencies), 1.0)

        self.assert_untouched(call)
        print("cancel latencies in ms:", [round(latency * 1000) for latency in latencies])

    def test_time_limit_ends_with_the_best_found(self):
        start = time.monotonic()
        rows = self.rows("SELECT create_sql FROM upkeep.advise_indexes(%s::text[], time_limit => '1 s')", LONG)
        self.assertLess(time.monotonic() - start, 3.0)
        self.assertIsInstance(rows, list)

    def test_end_of_the_session_in_the_middle(self):
        victim = connect(self.database)
        pid = victim.get_backend_pid()
        errors = []

        def call():
            try:
                self.run_on(victim, ADVISE_LONG, [LONG])
            except psycopg2.Error as error:
                errors.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        time.sleep(0.2)
        self.run_on(self.other, "SELECT pg_terminate_backend(%s, 5000)", [pid])
        thread.join(20)
        self.assertEqual(len(errors), 1)
        self.assertEqual(self.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid), 0)
        self.assertEqual(self.value("SELECT pg_postmaster_start_time() < now() - interval '0'"), True)

    def test_a_lock_that_is_not_to_be_had_is_the_server_s_own_error(self):
        self.run_on(self.other, "BEGIN; LOCK TABLE t0 IN ACCESS EXCLUSIVE MODE")
        self.run_on(self.db, "SET lock_timeout = '100ms'")
        try:
            self.refuses("55P03", "canceling statement due to lock timeout", ADVISE, SHORT)
        finally:
            self.run_on(self.db, "RESET lock_timeout")
            self.run_on(self.other, "ROLLBACK")

    def test_many_calls_need_no_more_memory(self):
        def total():
            return self.value("SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts")

        call = ("SELECT count(*) FROM generate_series(1, %s) AS g, LATERAL upkeep.what_if("
                "'SELECT * FROM t0 JOIN t1 USING (id) WHERE t0.a = ' || g, ARRAY['CREATE INDEX ON t0 (a)'])")
        self.rows(call, 100)
        before = total()
        self.rows(call, 2000)
        self.assertLess(total() - before, 300000)


if __name__ == "__main__":
    unittest.main()
