"""capabilities tells the truth about how the library came into the session."""
import ctypes
import ctypes.util
import os
import time
import unittest

import psycopg2

from host import Asks, connect


PARALLEL = ("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
            "SET max_parallel_workers_per_gather = 2")


class Tiers(Asks):
    def library(self, connection):
        rows = self.run_on(connection, "SELECT tier, reason, how_to_enable FROM upkeep.capabilities WHERE feature = 'library'")
        tiers = self.run_on(connection, "SELECT DISTINCT tier FROM upkeep.capabilities"
                                        " WHERE tier <> 'best_effort'")
        self.assertEqual(tiers, [(rows[0][0],)], "one tier for the whole session, but for what is best effort")
        if rows[0][0] != "preloaded":
            self.assertIn("shared_preload_libraries", rows[0][2])
        advice = self.run_on(connection, "SELECT feature FROM upkeep.capabilities WHERE feature <> 'library'"
                                         " AND available = (how_to_enable IS NOT NULL)")
        self.assertEqual(advice, [], "what is there needs no advice, what is not there has some")
        return rows[0][0]

    def counted(self, connection):
        """Calls of `SELECT 42 * 17 * 4 AS marker` that this session's readers see."""
        return self.run_on(connection, "SELECT coalesce(sum(calls), 0)::int FROM upkeep.statements"
                                       " WHERE query LIKE 'SELECT $1 * $2 * $3 AS marker'")[0][0]

    def mark(self, connection, times=1):
        for _ in range(times):
            self.run_on(connection, "SELECT 42 * 17 * 4 AS marker")

    def assert_captures(self, connection, tier):
        self.assertEqual(self.library(connection), tier)
        before = self.counted(connection)
        self.mark(connection, 3)
        self.assertEqual(self.counted(connection), before + 3)
        self.assertTrue(self.capture_row(connection)[0])

    def assert_captures_nothing(self, connection):
        self.assertEqual(self.library(connection), "created")
        self.mark(connection, 3)
        connection.notices.clear()
        self.assertEqual(self.counted(connection), 0)
        said = "".join(connection.notices)
        self.assertIn("statements are not captured", said)
        self.assertIn("shared_preload_libraries", said)
        self.assertIn("LOAD 'upkeep'", said)
        available, reason, advice = self.capture_row(connection)
        self.assertFalse(available)
        self.assertIn("not preloaded", reason)
        self.assertIn("LOAD 'upkeep'", advice)
        self.assertEqual(self.private_memory(connection), 0)

    def capture_row(self, connection):
        return self.run_on(connection, "SELECT available, reason, how_to_enable FROM upkeep.capabilities"
                                       " WHERE feature = 'statement_capture'")[0]

    def private_memory(self, connection):
        return self.run_on(connection, "SELECT coalesce(sum(total_bytes), 0)::int FROM pg_backend_memory_contexts"
                                       " WHERE name = 'upkeep capture'")[0][0]

    def test_created(self):
        for first in ("SELECT upkeep.version()", "SELECT count(*) FROM upkeep.capabilities",
                      "SELECT count(*) FROM upkeep.advise_indexes(ARRAY['SELECT 1'])",
                      "DO $$BEGIN PERFORM upkeep.version(); END$$", "SELECT 1 WHERE upkeep.version() IS NULL",
                      "PREPARE p AS SELECT upkeep.version(); EXECUTE p", "SELECT * FROM upkeep.statements",
                      "EXPLAIN SELECT upkeep.version()",
                      "DECLARE c CURSOR WITH HOLD FOR SELECT upkeep.version(); FETCH c",
                      "LOAD 'auto_explain'; SELECT upkeep.version()",
                      "SELECT upkeep.version(); LOAD 'upkeep'"):
            with self.subTest(first=first):
                connection = connect(self.database)
                self.run_on(connection, first)
                self.assert_captures_nothing(connection)
                connection.close()

    def test_loaded(self):
        connection = connect(self.database)
        self.run_on(connection, "LOAD 'upkeep'")
        self.assert_captures(connection, "loaded")
        reason = self.capture_row(connection)[1]
        self.assertIn("this session only", reason)
        self.assertIn("500 statements, 1 MB of texts", reason)
        # other sessions see nothing of it
        other = connect(self.database)
        self.assert_captures_nothing(other)
        # and it is gone with the session
        connection.close()
        again = connect(self.database)
        self.run_on(again, "LOAD 'upkeep'")
        self.assertEqual(self.counted(again), 0)
        for ended in (other, again):
            ended.close()

    def test_loaded_in_the_message_of_other_statements(self):
        connection = connect(self.database)
        self.run_on(connection, "SELECT 1; LOAD 'upkeep'; SELECT 42 * 17 * 4 AS marker; SELECT upkeep.version()")
        self.assertEqual(self.counted(connection), 1, "counted from the next statement on")
        self.assert_captures(connection, "loaded")
        connection.close()

    def test_loaded_inside_a_transaction_that_fails(self):
        connection = connect(self.database)
        with self.assertRaises(psycopg2.Error):
            self.run_on(connection, "BEGIN; LOAD 'upkeep'; SELECT 1/0")
        self.run_on(connection, "ROLLBACK")
        self.assert_captures(connection, "loaded")
        self.assertGreaterEqual(self.run_on(connection, "SELECT sum(errors) FROM upkeep.statements")[0][0], 1)
        connection.close()

    def test_loaded_every_reader_works(self):
        connection = connect(self.database)
        # Before LOAD: what it costs to fill an index would be more than five reads of it save.
        self.run_on(connection, "CREATE TABLE IF NOT EXISTS loaded(id int, note text)")
        self.run_on(connection, "INSERT INTO loaded SELECT i, 'n' FROM generate_series(1, 20000) i; ANALYZE loaded")
        self.run_on(connection, "LOAD 'upkeep'")
        self.run_on(connection, "SET upkeep.endpoint = 'GET /loaded'; SET upkeep.slow_threshold = 0")
        for number in range(5):
            self.run_on(connection, "SELECT note FROM loaded WHERE id = %s", (number,))
        self.run_on(connection, "RESET upkeep.endpoint; RESET upkeep.slow_threshold")
        ask = lambda sql: self.run_on(connection, sql)  # noqa: E731
        fingerprint = ask("SELECT fingerprint FROM upkeep.statements WHERE query LIKE 'SELECT note%' AND calls = 5")[0][0]
        self.assertGreater(ask(f"SELECT upkeep.percentile({fingerprint}, 0.5)")[0][0], 0)
        self.assertGreaterEqual(ask("SELECT count(*) FROM upkeep.slow_statements WHERE plan IS NOT NULL")[0][0], 5)
        self.assertEqual(ask("SELECT calls FROM upkeep.endpoints WHERE endpoint = 'GET /loaded'")[0][0] >= 5, True)
        self.assertEqual([row[0] for row in ask("SELECT columns::text FROM upkeep.advise_indexes()")], ["{id}"])
        self.assertGreater(ask("SELECT count(*) FROM upkeep.check_health()")[0][0], 10)
        self.assertIn("loaded", ask("SELECT upkeep.report('text')")[0][0])
        self.assertEqual(ask("SELECT count(*) FROM upkeep.metric_samples WHERE name LIKE '%capture%'")[0][0], 0,
                         "one session's counts are not the server's")
        ask("SELECT upkeep.reset_statements()")
        self.assertEqual(ask("SELECT count(*) FROM upkeep.statements WHERE query LIKE 'SELECT note%'")[0][0], 0)
        self.assertEqual(ask("SELECT reason FROM upkeep.capabilities WHERE feature = 'saved_statistics'")[0][0],
                         "what this session captures ends with it")
        connection.close()

    def test_loaded_memory_is_fixed(self):
        connection = connect(self.database)
        self.run_on(connection, "LOAD 'upkeep'")
        before = self.private_memory(connection)
        self.assertLess(before, 5_000_000)
        self.assertGreater(before, 3_000_000)
        with connection.cursor() as cursor:
            for number in range(700):
                cursor.execute(f"SELECT 1{' + 1' * number} /* {'x' * 3000} */")
        self.assertEqual(self.private_memory(connection), before)
        kept = self.run_on(connection, "SELECT count(*) FROM upkeep.statements")[0][0]
        self.assertTrue(400 < kept <= 500, kept)
        self.assertIn("gave way to others", self.capture_row(connection)[1])
        connection.close()

    def test_loaded_with_capture_none_it_waits(self):
        connection = connect(self.database)
        self.run_on(connection, "SET upkeep.capture = none")
        self.run_on(connection, "LOAD 'upkeep'")
        self.mark(connection)
        self.assertEqual(self.counted(connection), 0)
        self.assertEqual(self.capture_row(connection)[2], "set upkeep.capture to top or all")
        self.run_on(connection, "SET upkeep.capture = top")
        self.mark(connection, 2)
        self.assertEqual(self.counted(connection), 2)
        connection.close()

    def test_loaded_beside_other_modules(self):
        """Loaded before or after: both see every statement. (pg_stat_statements: test_tiers_beside.py)"""
        for modules in (("auto_explain", "upkeep"), ("upkeep", "auto_explain")):
            connection = connect(self.database)
            for module in modules:
                self.run_on(connection, f"LOAD '{module}'")
            self.run_on(connection, "SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;"
                                    "SET client_min_messages = log")
            self.assert_captures(connection, "loaded")
            connection.notices.clear()
            self.mark(connection)
            self.assertIn("marker", "".join(connection.notices))
            connection.close()

    def test_loaded_parallel_workers_count_nothing(self):
        connection = connect(self.database)
        self.run_on(connection, "LOAD 'upkeep'")
        self.run_on(connection, "CREATE TABLE IF NOT EXISTS wide AS SELECT i FROM generate_series(1, 100000) i")
        self.run_on(connection, PARALLEL)
        self.assertIn("Gather", str(self.run_on(connection, "EXPLAIN SELECT count(*) FROM wide WHERE i > 5")))
        for _ in range(3):
            self.run_on(connection, "SELECT count(*) FROM wide WHERE i > 5")
        self.assertEqual(self.run_on(connection, "SELECT calls, errors, rows::int FROM upkeep.statements"
                                                 " WHERE query LIKE 'SELECT count(*) FROM wide%'"), [(3, 0, 3)])
        connection.close()

    def test_created_in_a_parallel_worker(self):
        """The worker loads what its leader has: it must not take that for a session's start."""
        connection = connect(self.database)
        self.run_on(connection, "CREATE TABLE IF NOT EXISTS wide AS SELECT i FROM generate_series(1, 100000) i")
        self.run_on(connection, PARALLEL)
        self.run_on(connection, "SELECT upkeep.sketch_count(upkeep.percentile_sketch(i::float8)) FROM wide")
        self.assert_captures_nothing(connection)
        connection.close()

    def test_created_by_a_fastpath_call(self):
        """It has neither a portal nor a text; psycopg2 does not speak it, so libpq is asked itself."""
        oid = self.value("SELECT 'upkeep.version()'::regprocedure::oid::int")
        libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
        for function in ("PQconnectdb", "PQfn", "PQexec", "PQgetvalue"):
            getattr(libpq, function).restype = ctypes.c_char_p if function == "PQgetvalue" else ctypes.c_void_p
        connection = ctypes.c_void_p(libpq.PQconnectdb(f"dbname={self.database}".encode()))
        room, length = ctypes.create_string_buffer(100), ctypes.c_int()
        self.assertTrue(libpq.PQfn(connection, oid, room, ctypes.byref(length), 0, None, 0))
        self.assertGreater(length.value, 0)
        result = ctypes.c_void_p(libpq.PQexec(connection, b"SELECT tier FROM upkeep.capabilities WHERE feature = 'library'"))
        self.assertEqual(libpq.PQgetvalue(result, 0, 0), b"created")
        libpq.PQfinish(connection)

    def test_created_by_a_background_process(self):
        """autovacuum calls ours for an index expression: it has neither portal nor text, too."""
        self.run_on(self.db, "CREATE TABLE swept(n int) WITH (autovacuum_analyze_threshold = 1,"
                             " autovacuum_analyze_scale_factor = 0);"
                             "CREATE FUNCTION swept_f(n int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
                             " $$BEGIN RETURN (SELECT tier FROM upkeep.capabilities WHERE feature = 'library') || n % 5; END$$;"
                             "CREATE INDEX ON swept(swept_f(n)); INSERT INTO swept SELECT generate_series(1, 200)")
        self.run_on(self.db, "ALTER SYSTEM SET autovacuum_naptime = 1")
        self.run_on(self.db, "SELECT pg_reload_conf()")
        seen = []
        for _ in range(300):
            seen = self.rows("SELECT most_common_vals::text FROM pg_stats WHERE tablename = 'swept_swept_f_idx'")
            if seen:
                break
            time.sleep(0.1)
        self.run_on(self.db, "ALTER SYSTEM RESET autovacuum_naptime")
        self.run_on(self.db, "SELECT pg_reload_conf()")
        self.assertTrue(seen, "autovacuum did not come in 30 s")
        self.assertIn("created", seen[0][0])
        self.assertNotIn("loaded", seen[0][0])

    def test_loaded_too_late(self):
        """A LOAD after a call of ours finds the library there: the session stays what it was."""
        connection = connect(self.database)
        self.run_on(connection, "SELECT upkeep.version()")
        self.run_on(connection, "LOAD 'upkeep'")
        self.assertEqual(self.library(connection), "created")
        connection.close()

    def test_session_preload_libraries(self):
        self.run_on(self.db, f"ALTER DATABASE {self.database} SET session_preload_libraries = 'upkeep'")
        try:
            connection = connect(self.database)
            self.assert_captures(connection, "loaded")
            connection.close()
            # as an ordinary role: its own statements, by the same rules
            self.run_on(self.db, "DROP ROLE IF EXISTS tiers_own; CREATE ROLE tiers_own LOGIN; GRANT pg_monitor TO tiers_own")
            connection = connect(self.database, user="tiers_own")
            self.assert_captures(connection, "loaded")
            connection.close()
        finally:
            self.run_on(self.db, f"ALTER DATABASE {self.database} RESET session_preload_libraries")

    def test_local_preload_libraries(self):
        """Anybody may name libraries there, but only of $libdir/plugins, where upkeep is not unless an
        administrator puts it there."""
        with self.assertRaises(psycopg2.OperationalError) as refused:
            connect(self.database, options="-c local_preload_libraries=upkeep")
        self.assertIn("$libdir/plugins/upkeep", str(refused.exception))

    def test_loaded_by_an_ordinary_role_it_is_refused(self):
        self.run_on(self.db, "DROP ROLE IF EXISTS tiers_plain; CREATE ROLE tiers_plain LOGIN")
        connection = connect(self.database, user="tiers_plain")
        library = os.path.join(os.environ["UPKEEP_LIBDIR"], "upkeep.so")
        self.assertEqual(self.refusal(f"LOAD '{library}'", connection=connection).pgcode, "42501")
        self.assertEqual(self.library(connection), "created")
        connection.close()

    def test_a_workload_from_pg_stat_statements_needs_it(self):
        row = self.rows("SELECT available, how_to_enable FROM upkeep.capabilities WHERE feature = 'captured_workload'")[0]
        if not row[0]:
            self.assertIn("add upkeep to shared_preload_libraries", row[1])
            error = self.refusal("SELECT * FROM upkeep.advise_indexes()")
            self.assertIn("add upkeep to shared_preload_libraries", error.diag.message_hint)


if __name__ == "__main__":
    unittest.main()
