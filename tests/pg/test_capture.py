# cluster: shared_preload_libraries=pg_stat_statements,upkeep_preload
# cluster: track_io_timing=on
"""Captured statements against pg_stat_statements, the clients' own counts and exact percentiles."""
import contextlib
import os
import random
import shutil
import subprocess
import threading
import unittest

import psycopg2

from host import Asks, connect

PGBENCH = shutil.which("pgbench") or "/usr/lib/postgresql/15/bin/pgbench"
SECONDS = os.environ.get("UPKEEP_PGBENCH_SECONDS", "10")

# What differs between the two, of the statements that both ought to have.
DIFFERENCES = """
SELECT coalesce(s.query, u.query), s.queryid, s.calls, u.calls, s.rows, u.rows,
       s.hits, u.hits, s.temps, u.temps, s.wals, u.wals
FROM (SELECT queryid, toplevel, min(query) AS query, sum(calls) AS calls, sum(rows) AS rows,
             sum(shared_blks_hit + shared_blks_read) AS hits, sum(temp_blks_written) AS temps,
             sum(wal_bytes) AS wals
      FROM pg_stat_statements WHERE query !~ 'pg_stat_statements|upkeep' GROUP BY 1, 2) s
FULL JOIN (SELECT fingerprint, is_top_level, min(query) AS query, sum(calls) AS calls,
             sum(rows) AS rows, sum(hit_blocks + read_blocks) AS hits,
             sum(temp_written_blocks) AS temps, sum(wal_bytes) AS wals
      FROM upkeep.statements WHERE query !~ 'pg_stat_statements|upkeep' GROUP BY 1, 2
      HAVING sum(calls) > 0) u
  ON (s.queryid, s.toplevel) = (u.fingerprint, u.is_top_level)
WHERE (s.calls, s.rows, s.hits, s.temps, s.wals) IS DISTINCT FROM
      (u.calls, u.rows, u.hits, u.temps, u.wals)
"""

SETUP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (id int PRIMARY KEY, v text, n int);
INSERT INTO t SELECT g, 'v' || g, g % 10 FROM generate_series(1, 5000) AS g;
CREATE VIEW t_view AS SELECT * FROM t WHERE n < 5;
CREATE TABLE parted (id int, n int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
CREATE FUNCTION twice(i int) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN RETURN (SELECT count(*) FROM t WHERE id <= i) + (SELECT count(*) FROM t WHERE n = i); END $$;
CREATE FUNCTION swallow(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN RETURN 1 / i; EXCEPTION WHEN division_by_zero THEN RETURN -1; END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO t VALUES (90001, 'p', 1); COMMIT; DELETE FROM t WHERE id = 90001; COMMIT; END $$;
ANALYZE;
"""

MIXED = [
    "SELECT * FROM t WHERE id = 7", "SELECT * FROM t WHERE id = 8",
    "SELECT v, 'literal', -1.5e3, true, NULL, E'x\\'y', $$dollar$$, B'101' FROM t WHERE id IN (1, 2, 3)",
    "SELECT\n  count(*)\nFROM t   WHERE v LIKE 'v1%' AND n BETWEEN 2 AND 4", "SELECT 'a'\n 'b', - 5",
    "INSERT INTO t VALUES (10001, 'new', 1), (10002, 'new', 2) RETURNING id",
    "UPDATE t SET v = 'changed' WHERE n = 3", "DELETE FROM t WHERE id > 10000",
    "MERGE INTO t USING (VALUES (1, 'm')) AS s(i, w) ON t.id = s.i WHEN MATCHED THEN UPDATE SET v = w",
    "WITH w AS (DELETE FROM t WHERE id = 4999 RETURNING *) INSERT INTO parted SELECT 5, n FROM w",
    "SELECT twice(5)", "SELECT swallow(0)", "CALL commits()", "DO $$ BEGIN PERFORM twice(9); END $$",
    "SELECT count(*) FROM t_view", "SELECT count(*) FROM parted WHERE id < 150",
    "CREATE TABLE made AS SELECT * FROM t", "TRUNCATE made", "DROP TABLE made",
    "PREPARE p AS SELECT count(*) FROM t WHERE n = $1 AND v <> 'q'", "EXECUTE p(1)", "EXECUTE p(2)",
    "DEALLOCATE p", "BEGIN", "DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id", "FETCH 10 FROM c",
    "FETCH 5 FROM c", "CLOSE c", "COMMIT", "COPY (SELECT * FROM t WHERE n = 1) TO '/dev/null'",
    "EXPLAIN SELECT * FROM t", "EXPLAIN ANALYZE SELECT * FROM t WHERE n = 2",
    "BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "ROLLBACK", "VALUES (1), (2)", "TABLE t",
    "SET work_mem = '64kB'", "SELECT count(*) FROM (SELECT DISTINCT v || g FROM t, generate_series(1, 20) g) x",
    "RESET work_mem", "SELECT 1; SELECT 2, 3; SELECT 'x'", "SET ROLE pg_monitor", "SELECT 5 + 5", "RESET ROLE",
    "SET parallel_setup_cost = 0", "SET parallel_tuple_cost = 0", "SET min_parallel_table_scan_size = 0",
    "SELECT sum(n), count(*) FROM t", "RESET ALL", "", ";", "-- nothing", "/* only a comment */",
]
FAILING = [
    ("SELECT 1 / (n - n) FROM t", "22012"), ("SELECT 1 / 0", "22012"),
    ("INSERT INTO t VALUES (1, 'double', 1)", "23505"), ("SELECT twice(id), 1 / (id - 3) FROM t", "22012"),
    ("UPDATE t SET id = 1 WHERE id = 2", "23505"), ("DROP TABLE no_such_table", "42P01"),
    ("DO $$ BEGIN RAISE EXCEPTION 'own'; END $$", "P0001"), ("COPY t FROM '/no/such/file'", "58P01"),
]


class Captured(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("RESET ALL")
        self.reset()

    def reset(self):
        self.rows("SELECT upkeep.reset_statements(), pg_stat_statements_reset()")

    def run_all(self, statements):
        for statement in statements:
            with self.db.cursor() as cursor:
                try:
                    cursor.execute(statement)
                except psycopg2.ProgrammingError as error:
                    self.assertIn("empty query", str(error))

    def test_equals_pg_stat_statements_over_a_mixed_run(self):
        for track in ("top", "all"):
            self.rows(f"SET pg_stat_statements.track = '{track}'")
            self.rows(f"SET upkeep.capture = '{track}'")
            self.reset()
            settings = [f"SET pg_stat_statements.track = '{track}'", f"SET upkeep.capture = '{track}'"]
            for statement in MIXED + settings + ["SELECT 1"]:
                self.run_all([statement])
                if statement == "RESET ALL":
                    self.run_all(settings)
            self.assertEqual(self.rows(DIFFERENCES), [], track)
            nested = self.value("SELECT count(*) FROM upkeep.statements WHERE NOT is_top_level")
            self.assertEqual(nested > 0, track == "all")

    def test_texts_are_those_of_pg_stat_statements_without_utility_literals(self):
        self.run_all(MIXED[:16])
        self.assertEqual(self.rows("""
            SELECT s.query, u.query FROM pg_stat_statements s JOIN upkeep.statements u ON u.fingerprint = s.queryid
            WHERE u.operation <> 'UTILITY' AND u.query IS DISTINCT FROM s.query"""), [])
        self.assertGreater(self.value("SELECT count(*) FROM upkeep.statements WHERE operation <> 'UTILITY'"), 12)
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.statements WHERE query ~ 'PERFORM'"), 0)

    def test_errors_are_the_clients_own_count(self):
        seen = 0
        for statement, sqlstate in FAILING * 3:
            with self.assertRaises(psycopg2.Error) as caught:
                self.rows(statement)
            self.assertEqual(caught.exception.pgcode, sqlstate)
            seen += 1
        self.assertEqual(self.value("SELECT sum(errors) FROM upkeep.statements"), seen)
        self.assertEqual(self.rows("""SELECT query, calls, errors FROM upkeep.statements
                                      WHERE query ~ '^(INSERT|DROP)' ORDER BY 1"""),
                         [("DROP TABLE no_such_table", 0, 3), ("INSERT INTO t VALUES ($1, $2, $3)", 0, 3)])
        self.rows("SELECT swallow(0)")
        self.assertEqual(self.value("SELECT sum(errors) FROM upkeep.statements"), seen, "it was caught")

    def test_the_text_of_a_failed_call_is_the_callers(self):
        # where it fails, the procedure's owner is still in force
        self.rows("CREATE ROLE definer")
        self.rows("CREATE PROCEDURE fails() LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RAISE $$no$$; END'")
        self.rows("ALTER PROCEDURE fails() OWNER TO definer")
        self.addCleanup(lambda: self.rows("DROP PROCEDURE fails(); DROP ROLE definer"))
        self.reset()
        with self.assertRaises(psycopg2.errors.RaiseException):
            self.rows("CALL fails()")
        self.assertEqual(self.rows("SELECT user_name, query, calls, errors FROM upkeep.statements WHERE errors > 0"),
                         [("postgres", "CALL fails()", 0, 1)])

    def test_a_cancelled_statement_is_an_error_and_a_slow_one(self):
        self.rows("SET upkeep.slow_threshold = 50")
        self.rows("SET statement_timeout = 200")
        with self.assertRaises(psycopg2.errors.QueryCanceled):
            self.rows("SELECT pg_sleep(10)")
        self.rows("RESET statement_timeout")
        self.assertEqual(self.rows("SELECT calls, errors, slow_calls FROM upkeep.statements WHERE query ~ 'pg_sleep'"),
                         [(0, 1, 1)])
        (code, duration, plan), = self.rows(
            "SELECT error_code, duration_ms, plan FROM upkeep.slow_statements WHERE query ~ 'pg_sleep'")
        self.assertEqual((code, plan["Unfinished"], plan["Plan"]["Node Type"]), ("57014", True, "Result"))
        self.assertTrue(150 < duration < 5000, duration)

    def test_pgbench_with_two_clients(self):
        subprocess.run([PGBENCH, "-i", "-s", "1", "-q", self.database], check=True, capture_output=True)
        for protocol in ("simple", "extended", "prepared"):
            self.reset()
            out = subprocess.run([PGBENCH, "-n", "-c", "2", "-T", SECONDS, "-M", protocol, self.database],
                                 check=True, capture_output=True, text=True).stdout
            done = int(out.split("number of transactions actually processed: ")[1].split()[0])
            # pg_stat_statements 15 loses BEGIN and END after a prepared one's first execution: it sets
            # the query id of the cached statement to 0. The client knows how many there were.
            ends = dict(self.rows("SELECT query, calls FROM upkeep.statements WHERE query IN ('BEGIN', 'END')"))
            self.assertEqual(ends, {"BEGIN": done, "END": done}, protocol)
            self.assertEqual([row for row in self.rows(DIFFERENCES) if protocol != "prepared" or row[0] not in ends],
                             [], protocol)
            calls = dict(self.rows("SELECT query, calls FROM upkeep.statements WHERE query ~ '^(UPDATE|INSERT|SELECT abal)'"))
            self.assertEqual(set(calls.values()), {done}, protocol)
            self.assertEqual(len(calls), 5)
            print(f"pgbench -c 2 -T {SECONDS} -M {protocol}: {done} transactions, all equal")

    def test_percentiles_are_within_three_percent_of_exact(self):
        self.rows("SET upkeep.slow_threshold = 0")
        self.rows("SET upkeep.capture_plans = off")
        chosen = random.Random(5)
        for _ in range(900):
            self.rows(f"SELECT count(*) FROM generate_series(1, {int(chosen.paretovariate(0.7) * 10) % 20000})")
        self.rows("SET upkeep.slow_threshold = -1")
        fingerprint, calls = self.rows("""SELECT fingerprint, calls FROM upkeep.statements
            WHERE query ~ 'generate_series'""")[0]
        self.assertEqual(calls, 900)
        for q in (0, 0.05, 0.5, 0.9, 0.95, 0.99, 0.999, 1):
            exact, got = self.rows("""SELECT percentile_cont(%s) WITHIN GROUP (ORDER BY duration_ms),
                upkeep.percentile(%s, %s) FROM upkeep.slow_statements WHERE fingerprint = %s""",
                                   q, fingerprint, q, fingerprint)[0]
            self.assertAlmostEqual(got, exact, delta=exact * 0.03, msg=f"q {q}")
        row, = self.dicts("SELECT * FROM upkeep.statements WHERE fingerprint = %s", fingerprint)
        exact, = self.rows("""SELECT min(duration_ms), max(duration_ms), avg(duration_ms),
            stddev_pop(duration_ms), sum(duration_ms) FROM upkeep.slow_statements WHERE fingerprint = %s""", fingerprint)
        got = [row[name] for name in ("min_ms", "max_ms", "mean_ms", "stddev_ms", "total_ms")]
        for value, wanted in zip(got, exact):
            self.assertAlmostEqual(value, wanted, delta=wanted * 1e-6)
        self.assertEqual(row["slow_calls"], 900)

    def test_endpoints_by_setting(self):
        for endpoint, times in (("GET /a", 3), ("POST /b", 2), ("", 1)):
            self.rows("SET upkeep.endpoint = %s", endpoint)
            for _ in range(times):
                self.rows("SELECT 1 + 1")
        with self.db.cursor() as cursor:
            cursor.execute("BEGIN; SET LOCAL upkeep.endpoint = 'local'; SELECT 1 + 1; COMMIT; SELECT 1 + 1")
        fingerprint = self.value("SELECT fingerprint FROM upkeep.statements WHERE query ~ '1 . .2' OR query ~ 'SELECT .1 . .2' LIMIT 1")
        found = dict(self.rows("SELECT endpoint, calls FROM upkeep.statements WHERE fingerprint = %s", fingerprint))
        self.assertEqual(found, {"GET /a": 3, "POST /b": 2, "local": 1, None: 2})
        merged, one = self.rows("SELECT upkeep.percentile(%s, 1), upkeep.percentile(%s, 1, 'GET /a')",
                                fingerprint, fingerprint)[0]
        self.assertTrue(0 < one <= merged)
        self.assertIsNone(self.value("SELECT upkeep.percentile(%s, 0.5, 'no such')", fingerprint))
        rows = self.dicts("SELECT * FROM upkeep.endpoints WHERE endpoint = 'GET /a'")
        self.assertEqual(len(rows), 1)
        self.assertGreaterEqual(rows[0]["calls"], 3)
        self.assertEqual(rows[0]["database_name"], self.database)

    def test_slow_statements_have_plans_without_literals(self):
        self.rows("SET upkeep.slow_threshold = 0")
        self.rows("SET application_name = 'the app'")
        self.rows("SELECT * FROM t WHERE v = 'marked_secret' AND n > 4242")
        row = self.dicts("SELECT * FROM upkeep.slow_statements WHERE query ~ 'FROM t WHERE'")[0]
        self.assertEqual(row["plan"]["Plan"]["Node Type"], "Seq Scan")
        self.assertNotIn("marked_secret", str(row))
        self.assertNotIn("4242", str(row))
        self.assertEqual((row["application_name"], row["pid"], row["database_name"], row["parameters"]),
                         ("the app", self.db.get_backend_pid(), self.database, None))
        self.rows("SET upkeep.capture_parameters = on")
        self.rows("PREPARE with_value AS SELECT * FROM t WHERE v = $1 AND n > 4242")
        self.rows("EXECUTE with_value('marked_secret')")
        self.rows("DEALLOCATE with_value")
        row = self.dicts("SELECT * FROM upkeep.slow_statements WHERE query ~ '^PREPARE'")[0]
        self.assertIn("marked_secret", row["parameters"])
        self.assertIn("4242", str(row["plan"]))
        self.rows("SET upkeep.capture_plans = off")
        self.rows("SELECT 1 AS without_plan")
        self.assertIsNone(self.value("SELECT plan FROM upkeep.slow_statements WHERE query ~ 'without_plan'"))
        self.rows("SET upkeep.slow_threshold = -1")
        self.rows("SELECT 1 AS not_slow")
        self.assertEqual(self.rows("SELECT 1 FROM upkeep.slow_statements WHERE query ~ 'not_slow'"), [])

    def test_no_password_and_no_literal_is_kept(self):
        secret = "marked_secret_7"
        for statement in (f"CREATE ROLE keeper PASSWORD '{secret}'", f"ALTER ROLE keeper PASSWORD '{secret}'",
                          f"ALTER ROLE keeper SET search_path = '{secret}'", "DROP ROLE keeper",
                          f"SET my.own = '{secret}'", f"DO $$ BEGIN PERFORM '{secret}'; END $$",
                          f"SELECT '{secret}' /* {secret} */ -- {secret}",
                          f"/* {secret} */ SELECT '{secret}'::text, E'{secret}', $x${secret}$x$",
                          f"COPY (SELECT '{secret}') TO '/dev/null'"):
            self.rows(statement)
        for statement in (f"SELECT '{secret}'::int", f"ALTER ROLE no_such PASSWORD '{secret}'"):
            with self.assertRaises(psycopg2.Error):
                self.rows(statement)
        self.rows("SET standard_conforming_strings = off")
        self.rows(f"SELECT 'it\\'s {secret}'")
        self.rows("RESET standard_conforming_strings")
        self.rows("SELECT 1 AS something_kept")
        texts = [row[0] for row in self.rows("SELECT query FROM upkeep.statements")]
        self.assertIn("SELECT $1 AS something_kept", texts)
        self.assertIn("CREATE ROLE", texts)
        self.assertEqual([text for text in texts if secret in text], [])

    def test_roles_see_what_they_may(self):
        self.rows("SELECT count(*) AS of_owner FROM t")
        self.rows("CREATE ROLE reader LOGIN; CREATE ROLE monitor LOGIN IN ROLE pg_monitor; CREATE ROLE plain LOGIN")
        self.rows("GRANT SELECT ON ALL TABLES IN SCHEMA upkeep TO reader")
        self.rows("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA upkeep TO reader")
        self.rows("REVOKE EXECUTE ON FUNCTION upkeep.reset_statements() FROM reader")
        fingerprint = self.value("SELECT fingerprint FROM upkeep.statements WHERE query ~ 'of_owner'")
        try:
            reader, monitor, plain = (connect(self.database, user=name) for name in ("reader", "monitor", "plain"))
            self.run_on(reader, "SELECT 'mine' AS of_reader")
            rows = self.run_on(reader, "SELECT user_name, query, fingerprint, tables, calls FROM upkeep.statements")
            for user, query, number, tables, calls in rows:
                if user == "reader":
                    self.assertIn("of_reader", query)
                    self.assertIsNotNone(number)
                else:
                    self.assertEqual((query, number, tables), ("<insufficient privilege>", None, None))
                    self.assertIsNotNone(calls)
            self.assertEqual({row[0] for row in rows}, {"reader", "postgres"})
            ask = f"SELECT upkeep.percentile({fingerprint}, 0.5)"
            self.assertEqual(self.run_on(reader, ask), [(None,)])
            self.assertIsNotNone(self.run_on(monitor, ask)[0][0])
            self.assertEqual(self.run_on(monitor, "SELECT count(*) FROM upkeep.statements WHERE query ~ 'of_owner'"), [(1,)])
            for who, statement in ((plain, "SELECT * FROM upkeep.statements"), (plain, "SELECT * FROM upkeep.slow_statements"),
                                   (plain, "SELECT * FROM upkeep.endpoints"), (plain, ask),
                                   (monitor, "SELECT upkeep.reset_statements()"), (reader, "SET upkeep.capture = none"),
                                   (reader, "SET upkeep.slow_threshold = 0"), (monitor, "SET upkeep.capture_parameters = on")):
                with self.assertRaises(psycopg2.errors.InsufficientPrivilege):
                    self.run_on(who, statement)
            self.run_on(plain, "SET upkeep.endpoint = 'anyone may'")
        finally:
            for connection in (reader, monitor, plain):
                connection.close()
            self.rows("DROP OWNED BY reader; DROP ROLE reader, monitor, plain")

    def test_reset_forgets_and_capture_none_counts_nothing(self):
        self.rows("SELECT 1 AS before_reset")
        self.reset()
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query !~ 'reset'"), [])
        self.rows("SET upkeep.capture = none")
        self.rows("SELECT 1 AS uncounted")
        self.rows("SET upkeep.capture = top")
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query ~ 'uncounted'"), [])

    def test_odd_input_leaves_the_server_up(self):
        start = self.value("SELECT pg_postmaster_start_time()")
        self.rows("SELECT '" + "x" * 1000000 + "' AS long_literal")
        self.rows("SELECT " + ", ".join(["1"] * 1600))
        self.rows("SELECT 1 " + " + 1" * 2000)
        self.rows("SELECT " + ", ".join(["v AS some_rather_long_name_for_a_column_of_t"] * 1600) + " FROM t LIMIT 0")
        self.rows("SELECT 1 /* " + "c" * 1000000 + " */ AS long_comment")
        for statement in ("SELEC 1", "SELECT 'unterminated", "SELECT FROM WHERE", "\x01", "SELECT $1", "SELECT \"" + "q" * 100000):
            with self.assertRaises(psycopg2.Error):
                self.rows(statement)
        self.rows("SET upkeep.endpoint = %s", "é" * 5000)
        self.rows("SELECT 1, 2 AS odd_endpoint")
        self.assertEqual(self.value("SELECT endpoint FROM upkeep.statements WHERE query ~ 'odd_endpoint'"), "é" * 64)
        cut = self.value("SELECT query FROM upkeep.statements WHERE query ~ 'cut \*/$'")
        self.assertTrue(cut.endswith(" /* cut */"))
        self.assertEqual(len(cut), 65536 + len(" /* cut */"))
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.statements WHERE query ~ 'long_comment'"), 1)
        self.assertEqual(self.value("SELECT pg_postmaster_start_time()"), start)
        with self.assertRaises(psycopg2.errors.InvalidParameterValue) as caught:
            self.rows("SELECT upkeep.percentile(1, 1.5)")
        self.assertIn("95th percentile", caught.exception.diag.message_hint)
        for unknown in ("1, 0.5", "NULL, 0.5", "1, NULL", "1, 0.5, 'nowhere'"):
            self.assertIsNone(self.value(f"SELECT upkeep.percentile({unknown})"))
        for bad in ("SET upkeep.capture = some", "SET upkeep.slow_threshold = -2", "SET upkeep.max_statements = 200"):
            with self.assertRaises(psycopg2.Error):
                self.rows(bad)

    def test_what_a_statement_is(self):
        self.run_all(["SELECT * FROM t WHERE n = 3 ORDER BY v", "SELECT count(*) FROM t_view", "DELETE FROM parted WHERE id = 1",
                      "TRUNCATE parted", "INSERT INTO parted SELECT 6, id FROM t WHERE id = 1"])
        found = {row[0][:12]: row[1:] for row in self.rows("SELECT query, operation, tables, full_scans, sorts FROM upkeep.statements")}
        self.assertEqual(found["SELECT * FRO"], ("SELECT", ["t"], 1, 1))
        self.assertEqual(found["SELECT count"][:3], ("SELECT", ["t"], 1))
        self.assertEqual(found["DELETE FROM "][:2], ("DELETE", ["parted"]))
        self.assertEqual(found["TRUNCATE par"][:2], ("UTILITY", ["parted"]))
        self.assertEqual(found["INSERT INTO "][:3], ("INSERT", ["parted", "t"], 0))

    def test_planning_time_is_apart(self):
        self.run_all(["SELECT count(*) FROM t a, t b, t c WHERE a.id = b.id AND b.id = c.id AND a.n = 1"] * 5)
        total, plan = self.rows("SELECT total_ms, plan_total_ms FROM upkeep.statements WHERE query ~ 'FROM t a'")[0]
        self.assertTrue(0.05 < plan < 1000, plan)
        self.assertGreater(total, 0)

    def test_capabilities_say_so(self):
        available, tier, reason = self.rows("""SELECT available, tier, reason FROM upkeep.capabilities
            WHERE feature = 'statement_capture'""")[0]
        self.assertEqual((available, tier), (True, "preloaded"))
        self.assertNotIn("failures of our own", reason)

    def test_advice_comes_from_what_was_captured(self):
        for number in range(30):
            self.rows(f"SELECT * FROM t WHERE v = 'v{number}'")
        rows = self.dicts("SELECT * FROM upkeep.advise_indexes()")
        self.assertEqual([row["columns"] for row in rows if row["table_name"] == "t"][:1], [["v"]])
        reason = self.value("SELECT reason FROM upkeep.capabilities WHERE feature = 'captured_workload'")
        self.assertIn("upkeep", reason)
        self.rows("DROP EXTENSION pg_stat_statements")
        try:
            own = self.dicts("SELECT * FROM upkeep.advise_indexes()")
        finally:
            self.rows("CREATE EXTENSION pg_stat_statements")
        self.assertEqual([row["columns"] for row in own if row["table_name"] == "t"][:1], [["v"]])
        self.rows("SELECT upkeep.reset_statements()")
        with self.assertRaises(psycopg2.errors.FeatureNotSupported):
            self.rows("SELECT * FROM upkeep.advise_indexes()")

    def test_own_statements_are_left_out(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("SET upkeep.capture = 'all'")
        self.addCleanup(self.rows, "RESET upkeep.capture; RESET upkeep.slow_threshold")
        self.rows("SET upkeep.slow_threshold = 0")
        for sql in ("SELECT count(*) FROM upkeep.statements", 'SELECT * FROM "upkeep".connections',
                    "SELECT upkeep.metrics()", "SELECT * FROM upkeep.check_health()",
                    "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM upkeep.indexes", "CLOSE c"):
            self.rows(sql)
        self.rows("SELECT 'upkeep.statements' AS of_the_user")
        seen = [row[0] for row in self.rows("SELECT query FROM upkeep.statements WHERE query !~ '^(SET|RESET|CLOSE)'")]
        self.assertEqual(seen, ["SELECT $1 AS of_the_user"])
        slow = [row[0] for row in self.rows("SELECT query FROM upkeep.slow_statements WHERE query !~ '^(SET|RESET|CLOSE)'")]
        self.assertEqual(slow, ["SELECT $1 AS of_the_user"])

    def test_captured_statements_are_planned_as_who_ran_them(self):
        """Planning calls immutable functions: a stranger's must not run with an administrator's rights."""
        self.rows("CREATE ROLE mallory LOGIN")
        self.rows("CREATE ROLE monitor LOGIN IN ROLE pg_monitor")
        self.addCleanup(self.rows, "DROP OWNED BY mallory; DROP ROLE mallory; DROP ROLE monitor")
        self.rows("CREATE SCHEMA AUTHORIZATION mallory")
        with contextlib.closing(connect(self.database, user="mallory")) as other, other.cursor() as cursor:
            cursor.execute("""CREATE TABLE mallory.seen (who text);
                CREATE FUNCTION mallory.note() RETURNS void LANGUAGE plpgsql
                    AS $$ BEGIN INSERT INTO mallory.seen VALUES (current_user); END $$;
                CREATE FUNCTION mallory.evil() RETURNS text IMMUTABLE LANGUAGE plpgsql
                    AS $$ BEGIN PERFORM mallory.note(); RETURN 'x'; END $$;
                CREATE TABLE mallory.big AS SELECT 'v' || i AS v, i FROM generate_series(1, 20000) i""")
            cursor.execute("SELECT upkeep.version()")
            for _ in range(20):
                cursor.execute("SELECT * FROM mallory.big WHERE v = mallory.evil()")
        self.rows("ANALYZE mallory.big; DELETE FROM mallory.seen")
        rows = self.dicts("SELECT * FROM upkeep.advise_indexes()")
        self.assertIn("mallory.big", [row["table_name"] for row in rows])
        self.assertEqual(self.rows("SELECT DISTINCT who FROM mallory.seen"), [("mallory",)])
        self.assertEqual(self.value("SELECT current_user"), "postgres")
        self.rows("DELETE FROM mallory.seen")
        with contextlib.closing(connect(self.database, user="monitor")) as other, other.cursor() as cursor:
            with self.assertRaisesRegex(psycopg2.errors.FeatureNotSupported, "you may see and run"):
                cursor.execute("SELECT * FROM upkeep.advise_indexes()")
        self.assertEqual(self.rows("SELECT who FROM mallory.seen"), [])


class ManyClients(Asks):
    def test_concurrent_clients_lose_nothing(self):
        self.rows("SELECT upkeep.reset_statements()")

        def work(seed):
            with contextlib.closing(connect(self.database)) as connection, connection.cursor() as cursor:
                for i in range(500):
                    cursor.execute(f"SELECT {', '.join(['1'] * (1 + (i * seed) % 7))}")
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.value("SELECT sum(calls) FROM upkeep.statements WHERE query ~ '^SELECT .1(, .[0-9])*$'"), 3000)


if __name__ == "__main__":
    unittest.main()
