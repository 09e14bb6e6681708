# cluster: shared_preload_libraries=upkeep_preload
# cluster: deadlock_timeout=100ms
"""Errors: those of a statement with it, all others under <not executed> per SQLSTATE, each once."""
import contextlib
import ctypes
import ctypes.util
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

SETUP = """
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE t (id int PRIMARY KEY, n int);
INSERT INTO t SELECT g, g % 5 FROM generate_series(1, 1000) g;
CREATE FUNCTION swallow(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN PERFORM 1 / i FROM t; RETURN 0; EXCEPTION WHEN division_by_zero THEN RETURN -1; END $$;
CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN PERFORM n / i FROM t; RETURN 0; END $$;
CREATE FUNCTION parses_badly() RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE 'SELEC 1'; RETURN 0; EXCEPTION WHEN syntax_error THEN RETURN -1; END $$;
"""

# fingerprint of a row without a statement -> SQLSTATE, as the reference says
NOT_EXECUTED = """
SELECT convert_from(decode(to_hex(fingerprint), 'hex'), 'SQL_ASCII'), sum(errors)::int FROM upkeep.statements
WHERE query = '<not executed>' GROUP BY 1"""


class Errors(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("RESET ALL")
        self.rows("SELECT upkeep.reset_statements()")

    def ends_in(self, sql, sqlstate, connection=None):
        error = self.refusal(sql, connection=connection)
        self.assertEqual(error.pgcode, sqlstate, sql)

    def not_executed(self):
        return dict(self.rows(NOT_EXECUTED))

    def errors_of(self, pattern):
        """(calls, errors) of the top-level statements whose text matches."""
        return self.rows("""SELECT sum(calls)::int, sum(errors)::int FROM upkeep.statements
                            WHERE query ~ %s AND is_top_level""", pattern)[0]

    def test_what_never_became_a_statement_counts_per_sqlstate(self):
        for sql, sqlstate in (("SELEC 1", "42601"), ("SELECT 'open", "42601"), ("SELECT no_column FROM t", "42703"),
                              ("SELECT * FROM no_table", "42P01"), ("EXECUTE no_such_name", "26000"),
                              ("DEALLOCATE no_such_name", "26000"), ("PREPARE p AS SELECT * FROM no_table", "42P01"),
                              ("SELECT no_function(1)", "42883"), ("SELECT 'marked_secret'::int", "22P02")):
            self.ends_in(sql, sqlstate)
        self.assertEqual(self.not_executed(), {"42601": 2, "42703": 1, "42P01": 2, "26000": 2, "42883": 1, "22P02": 1})
        rows = self.dicts("SELECT * FROM upkeep.statements WHERE query = '<not executed>'")
        for row in rows:
            self.assertEqual((row["operation"], row["tables"], row["calls"], row["rows"], row["total_ms"], row["p50_ms"],
                              row["is_top_level"], row["user_name"], row["database_name"]),
                             ("OTHER", [], 0, 0, 0, None, True, "postgres", self.database))
        self.assertNotIn("marked_secret", str(rows))
        first = {row["fingerprint"] for row in rows}
        self.rows("SELECT upkeep.reset_statements()")
        self.ends_in("SELEC 2", "42601")
        self.assertIn(self.value("SELECT fingerprint FROM upkeep.statements WHERE query = '<not executed>'"), first)

    def test_what_failed_as_a_statement_is_not_counted_again(self):
        for sql, sqlstate, text in (("SELECT 1 / (id - 7) FROM t", "22012", "FROM t"), ("SELECT 1 / 0", "22012", "^SELECT .1 / .2$"),
                                    ("INSERT INTO t VALUES (1, 1)", "23505", "^INSERT"), ("SELECT fails(0)", "22012", "fails"),
                                    ("DROP TABLE no_table", "42P01", "^DROP"), ("COPY t FROM '/no/such'", "58P01", "^COPY"),
                                    ("DO $$ BEGIN RAISE 'x'; END $$", "P0001", "^DO"), ("LOCK TABLE t IN SHARE MODE", "25P01", "^LOCK")):
            self.ends_in(sql, sqlstate)
            self.assertEqual(self.errors_of(text), (0, 1), sql)
        self.assertEqual(self.not_executed(), {})
        self.assertEqual(self.value("SELECT sum(errors) FROM upkeep.statements"), 8)

    def test_caught_errors_are_the_nested_statements(self):
        self.rows("SET upkeep.capture = 'all'")
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("SELECT swallow(0)")
        self.rows("SELECT parses_badly()")
        self.assertEqual(self.not_executed(), {})
        self.assertEqual(self.errors_of("swallow|parses"), (2, 0))
        self.assertEqual(self.rows("SELECT query, errors, is_top_level FROM upkeep.statements WHERE errors > 0"),
                         [("SELECT $2 / i FROM t", 1, False)])
        self.ends_in("SELEC 1", "42601")
        self.ends_in("SELECT fails(0)", "22012")
        self.assertEqual(self.not_executed(), {"42601": 1})
        self.assertEqual(self.errors_of("fails"), (0, 1))
        self.rows("SET upkeep.capture = 'top'")
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("SELECT swallow(0)")
        self.ends_in("SELECT fails(0)", "22012")
        self.assertEqual(self.rows("SELECT query, calls, errors FROM upkeep.statements WHERE query ~ 'fails|swallow|/' ORDER BY 1"),
                         [("SELECT fails($1)", 0, 1), ("SELECT swallow($1)", 1, 0)])

    def test_errors_at_commit(self):
        self.ends_in("INSERT INTO child VALUES (1, 99)", "23503")  # its own transaction ends with the message
        self.assertEqual((self.errors_of("^INSERT INTO child"), self.not_executed()), ((1, 0), {"23503": 1}))
        self.rows("BEGIN")
        self.rows("INSERT INTO child VALUES (1, 99)")
        self.ends_in("COMMIT", "23503")
        self.assertEqual((self.errors_of("^COMMIT"), self.not_executed()), ((1, 0), {"23503": 2}))
        self.rows("BEGIN")
        self.ends_in("SELECT 1 / 0", "22012")
        self.ends_in("SELECT 1", "25P02")
        self.rows("ROLLBACK")
        self.assertEqual(self.not_executed(), {"23503": 2, "25P02": 1})

    def test_serialization_failures(self):
        with contextlib.closing(connect(self.database)) as other:
            for connection, mine, its in ((self.db, 1, 2), (other, 2, 1)):
                self.run_on(connection, "BEGIN ISOLATION LEVEL SERIALIZABLE")
                self.run_on(connection, f"SELECT n FROM t WHERE id = {its}")
                self.run_on(connection, f"UPDATE t SET n = n WHERE id = {mine}")
            self.rows("COMMIT")
            self.ends_in("COMMIT", "40001", other)
        self.assertEqual(self.not_executed(), {"40001": 1})

    def test_cancels_timeouts_deadlocks_say_what_they_waited_for(self):
        self.rows("SET upkeep.slow_threshold = 20; SET upkeep.capture_plans = off")
        self.rows("SET statement_timeout = 50")
        self.ends_in("SELECT pg_sleep(10)", "57014")
        self.rows("SET statement_timeout = 0; SET lock_timeout = 50")
        with contextlib.closing(connect(self.database)) as other:
            self.run_on(other, "SET upkeep.slow_threshold = 20; BEGIN; UPDATE t SET n = 0 WHERE id = 1")
            self.ends_in("UPDATE t SET n = 1 WHERE id = 1", "55P03")
            self.ends_in("SELECT * FROM t WHERE id = 1 FOR UPDATE NOWAIT", "55P03")
            self.rows("SET lock_timeout = 0")
            self.rows("BEGIN")
            self.rows("UPDATE t SET n = 2 WHERE id = 2")
            outcome = []

            def wait():
                try:
                    self.run_on(other, "UPDATE t SET n = 2 WHERE id = 2")
                    outcome.append(None)
                except psycopg2.Error as error:
                    outcome.append(error.pgcode)

            thread = threading.Thread(target=wait)
            thread.start()
            try:
                self.rows("UPDATE t SET n = 3 WHERE id = 1")
                outcome.append(None)
            except psycopg2.Error as error:
                outcome.append(error.pgcode)
            self.rows("ROLLBACK")
            thread.join()
            self.assertEqual(sorted(outcome, key=str), ["40P01", None])
        self.assertEqual(self.errors_of("^UPDATE"), (3, 2))
        self.assertEqual(self.errors_of("pg_sleep|NOWAIT"), (0, 2))
        self.assertEqual(self.not_executed(), {})
        slow = self.rows("SELECT error_code, wait_event FROM upkeep.slow_statements WHERE error_code IS NOT NULL ORDER BY 1")
        self.assertEqual(slow, [("40P01", "Lock"), ("55P03", "Lock"), ("57014", None)])

    def test_sessions_that_are_ended(self):
        with contextlib.closing(connect(self.database)) as other:
            pid = other.get_backend_pid()

            def end():
                while not self.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND query ~ 'sleep'", pid):
                    time.sleep(0.01)
                self.rows("SELECT pg_terminate_backend(%s)", pid)

            thread = threading.Thread(target=end)
            thread.start()
            with self.assertRaisesRegex(psycopg2.OperationalError, "administrator command|closed the connection"):
                self.run_on(other, "SELECT pg_sleep(30)")
            thread.join()
        self.assertEqual((self.errors_of("pg_sleep"), self.not_executed()), ((0, 1), {}))
        with contextlib.closing(connect(self.database)) as other:
            self.rows("SELECT pg_terminate_backend(%s, 5000)", other.get_backend_pid())
        self.assertEqual(self.not_executed(), {"57P01": 1})
        for bad in ({"user": "nobody_here"}, {"dbname": "no_such_database"}):
            with self.assertRaises(psycopg2.OperationalError):
                psycopg2.connect(**bad)
        self.assertEqual(self.not_executed(), {"57P01": 1}, "a refused login is no statement")

    def test_the_extended_protocol(self):
        libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
        for name in ("PQconnectdb", "PQexecParams", "PQprepare", "PQexecPrepared"):
            getattr(libpq, name).restype = ctypes.c_void_p
        libpq.PQresultErrorField.restype = ctypes.c_char_p
        connection = ctypes.c_void_p(libpq.PQconnectdb(f"dbname={self.database}".encode()))
        self.addCleanup(libpq.PQfinish, connection)

        def state(result):
            found = libpq.PQresultErrorField(ctypes.c_void_p(result), ord("C"))
            libpq.PQclear(ctypes.c_void_p(result))
            return found and found.decode()

        def run(sql, *values):
            given = (ctypes.c_char_p * max(len(values), 1))(*[value.encode() for value in values])
            return state(libpq.PQexecParams(connection, sql.encode(), len(values), None, given, None, None, 0))

        self.assertEqual(run("SELECT n FROM t WHERE id = $1", "3"), None)
        self.assertEqual(run("SELECT n FROM t WHERE id = $1", "marked_secret"), "22P02")  # at Bind
        self.assertEqual(run("SELECT n FROM t WHERE id = $1"), "08P01")
        self.assertEqual(run("SELEC $1", "1"), "42601")
        self.assertEqual(run("SELECT n / $1::int FROM t", "0"), "22012")
        self.assertEqual(run("INSERT INTO child VALUES ($1, 98)", "5"), "23503")  # at Sync
        self.assertEqual(state(libpq.PQexecPrepared(connection, b"unknown", 0, None, None, None, 0)), "26000")
        self.assertEqual(self.not_executed(), {"22P02": 1, "08P01": 1, "42601": 1, "23503": 1, "26000": 1})
        self.assertEqual(self.errors_of("n / "), (0, 1))
        self.assertEqual(self.errors_of("^SELECT n FROM t"), (1, 0))

    def test_permission_denied(self):
        self.rows("CREATE ROLE plain")
        self.addCleanup(self.rows, "RESET ROLE; DROP ROLE plain")
        self.rows("SET ROLE plain")
        self.ends_in("SELECT * FROM t", "42501")
        self.ends_in("SELEC 1", "42601")
        self.rows("RESET ROLE")
        self.assertEqual(self.rows("SELECT user_name, query, errors FROM upkeep.statements WHERE errors > 0 ORDER BY 2"),
                         [("plain", "<not executed>", 1), ("plain", "SELECT * FROM t", 1)])

    def test_capture_none_counts_none_and_metrics_count_all(self):
        counted = """SELECT coalesce(sum(value), 0) FROM upkeep.metric_samples
            WHERE name ~ 'statements_total' AND labels ->> 'operation' = 'other' AND labels ->> 'status' = 'error'"""
        self.assertEqual(self.value(counted), 0)
        self.ends_in("SELEC 1", "42601")
        self.assertEqual(self.value(counted), 1)
        self.rows("SET upkeep.capture = none")
        self.ends_in("SELEC 1", "42601")
        self.rows("SET upkeep.capture = top")
        self.assertEqual((self.value(counted), self.not_executed()), (1, {"42601": 1}))

    def test_what_the_log_hides_capabilities_tell(self):
        ask = "SELECT reason ~ 'log_min_messages', how_to_enable FROM upkeep.capabilities WHERE feature = 'statement_capture'"
        self.assertEqual(self.rows(ask), [(False, None)])
        for level in ("log", "fatal", "panic"):
            self.rows(f"SET log_min_messages = {level}")
            self.assertEqual(self.rows(ask), [(True, "set log_min_messages to error or lower")], level)
            self.ends_in("SELEC 1", "42601")
            self.ends_in("SELECT fails(0)", "22012")
        self.assertEqual((self.not_executed(), self.errors_of("fails")), ({}, (0, 3)))
        self.rows("SET log_min_messages = warning")
        self.ends_in("SELEC 1", "42601")
        self.assertEqual(self.not_executed(), {"42601": 1}, "what was counted while hidden does not swallow it")

    def test_many_errors_in_one_session(self):
        with self.db.cursor() as cursor:
            for _ in range(3000):
                for sql in ("SELEC 1", "SELECT 1 / (n - n) FROM t"):
                    with self.assertRaises(psycopg2.Error):
                        cursor.execute(sql)
        self.assertEqual((self.not_executed(), self.errors_of("n - n")), ({"42601": 3000}, (0, 3000)))
        self.assertEqual(self.value("SELECT reason FROM upkeep.capabilities WHERE feature = 'statement_capture'").find("failures"), -1)


if __name__ == "__main__":
    unittest.main()
