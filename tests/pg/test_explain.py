# cluster: shared_preload_libraries=upkeep_preload
# cluster: max_prepared_transactions=2
"""explain_statement: each finding on a real plan and its opposite, nothing is left behind by a run, whoever calls it,
and what could have an effect is refused."""
import threading
import time
import unittest

import psycopg2

from host import Asks, connect
from standby import Standby

SETUP = """
CREATE TABLE t AS SELECT g AS id, g % 1000 AS a, g % 1000 AS b, g % 2 AS half, 'text ' || g AS s
    FROM generate_series(1, 100000) AS g;
CREATE TABLE small AS SELECT g AS id, g * 7 AS a FROM generate_series(1, 50) AS g;
CREATE INDEX t_half ON t (half); CREATE INDEX t_id ON t (id);
CREATE SEQUENCE counter; CREATE TABLE written (what text);
CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO written VALUES ('x'); RETURN 1; END $$;
CREATE FUNCTION sly_note() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM note(); RETURN 1; END $$;
CREATE FUNCTION sly_next() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN nextval('counter'); END $$;
CREATE FUNCTION random() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN public.note(); END $$;
CREATE VIEW noting AS SELECT note() AS n;
CREATE ROLE explains LOGIN; GRANT SELECT ON small TO explains;
ANALYZE;
CREATE TABLE fresh (id int, a int) WITH (autovacuum_enabled = off);
ANALYZE fresh; INSERT INTO fresh SELECT g, 1 FROM generate_series(1, 100000) AS g;
"""


class Explain(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("RESET ALL")

    def explain(self, statement, run=False, connection=None):
        found = self.run_on(connection or self.db,
                            "SELECT plan, planning_ms, execution_ms, findings FROM upkeep.explain_statement(%s, %s)",
                            (statement, run))
        self.assertEqual(len(found), 1)
        return found[0]

    def codes(self, statement, run=False):
        return [finding.split(":")[0] for finding in self.explain(statement, run)[3]]

    def finding(self, code, statement, run=True):
        """The sentence of this finding; it has to be there."""
        found = [finding for finding in self.explain(statement, run)[3] if finding.startswith(code + ": ")]
        self.assertTrue(found, f"{code} not found in {statement}")
        return found[0]

    def lacks(self, code, statement, run=True):
        self.assertNotIn(code, self.codes(statement, run), statement)

    def test_plan_only(self):
        plan, planning, execution, _ = self.explain("SELECT * FROM t WHERE id = 7")
        own = self.value("EXPLAIN (FORMAT JSON) SELECT * FROM t WHERE id = 7")[0]["Plan"]
        self.assertEqual(plan["Plan"], own)
        self.assertGreater(planning, 0)
        self.assertIsNone(execution)
        for statement in ("INSERT INTO written VALUES ('x')", "UPDATE t SET a = 1", "DELETE FROM t", "SELECT note()",
                          "WITH w AS (DELETE FROM t RETURNING id) SELECT * FROM w", "SELECT nextval('counter')",
                          "SELECT * FROM t WHERE id = $1 AND a > $2", "SELECT * FROM t FOR UPDATE"):
            self.assertIn("Plan", self.explain(statement)[0])
        self.assertEqual(self.value("SELECT count(*) FROM written"), 0)
        self.assertFalse(self.value("SELECT is_called FROM counter"))
        self.assertEqual(self.value("SELECT count(*) FROM t"), 100000)

    def test_run(self):
        plan, planning, execution, _ = self.explain("SELECT count(*) FROM t WHERE half = 0", True)
        self.assertEqual(plan["Plan"]["Actual Rows"], 1)
        self.assertIn("Shared Hit Blocks", plan["Plan"])
        self.assertEqual((planning, execution), (plan["Planning Time"], plan["Execution Time"]))
        self.explain("SELECT clock_timestamp(), pg_catalog.random(), now(), gen_random_uuid(), pg_sleep(0)", True)
        self.explain("SELECT * FROM pg_locks, pg_stat_activity, pg_settings", True)
        self.explain("SELECT 'Execution Time: 5', \"s\" FROM t LIMIT 1 -- and a comment", True)
        self.explain("(SELECT 1) UNION ALL (SELECT 2);", True)

    def test_effects_are_refused(self):
        for statement in ("SELECT note()", "SELECT * FROM noting", "SELECT nextval('counter')", "SELECT public.random()",
                          "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)", "SELECT lo_create(0)",
                          "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_xact_lock(1)",
                          "SELECT set_config('work_mem', '1MB', false)", "SELECT pg_notify('a', 'b')",
                          "SELECT setval('counter', 9)", "SELECT query_to_xml('DELETE FROM t', true, true, '')",
                          "SELECT pg_read_file('x')", "SELECT 1 FROM t WHERE note() = 1 OR id = 1",
                          "SELECT * FROM t ORDER BY note()", "SELECT max(note()) OVER () FROM t",
                          "SELECT (SELECT note())", "WITH w AS (SELECT note()) SELECT 1", "SELECT 1 LIMIT note()",
                          "SELECT * FROM generate_series(1, note())", "VALUES (note())", "SELECT pg_stat_reset()",
                          "SELECT upkeep.reset_statements()"):
            self.refuses("22023", "volatile and may have effects", "SELECT * FROM upkeep.explain_statement(%s, true)",
                         statement)
        for statement in ("INSERT INTO written VALUES ('x')", "UPDATE t SET a = 1", "DELETE FROM t",
                          "MERGE INTO t USING small s ON t.id = s.id WHEN MATCHED THEN DELETE",
                          "WITH w AS (DELETE FROM t RETURNING id) SELECT * FROM w"):
            self.refuses("22023", "that writes is planned, never run",
                         "SELECT * FROM upkeep.explain_statement(%s, true)", statement)
        for lock in ("FOR UPDATE", "FOR NO KEY UPDATE", "FOR SHARE", "FOR KEY SHARE SKIP LOCKED"):
            self.refuses("22023", "that locks rows", "SELECT * FROM upkeep.explain_statement(%s, true)",
                         f"SELECT * FROM t {lock}")
        # Behind a promise of being stable: the transaction is read-only.
        self.refusal("SELECT * FROM upkeep.explain_statement('SELECT sly_note()', true)")
        self.refuses("25006", "nextval()", "SELECT * FROM upkeep.explain_statement('SELECT sly_next()', true)", hint=False)
        self.assertEqual(self.value("SELECT count(*) FROM written"), 0)
        self.assertFalse(self.value("SELECT is_called FROM counter"))
        self.assertEqual(self.value("SELECT count(*) FROM t"), 100000)
        self.assertEqual(self.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0)

    def test_effects_behind_aggregates_and_domains_are_refused(self):
        self.rows("""
            CREATE FUNCTION add_note(int, int) RETURNS int LANGUAGE sql AS 'SELECT public.note()';
            CREATE FUNCTION end_note(int) RETURNS int LANGUAGE sql AS 'SELECT public.note()';
            CREATE AGGREGATE notes (int) (SFUNC = add_note, STYPE = int, INITCOND = '0');
            CREATE AGGREGATE ends (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0', FINALFUNC = end_note);
            CREATE AGGREGATE adds (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
            CREATE FUNCTION noted(int) RETURNS bool LANGUAGE sql AS 'SELECT public.note() > 0';
            CREATE DOMAIN noted_int AS int CHECK (noted(VALUE));
            CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0)""")
        for statement in ("SELECT notes(a) FROM small", "SELECT notes(a) OVER () FROM small", "SELECT ends(a) FROM small",
                          "SELECT a::noted_int FROM small"):
            self.refuses("22023", "volatile and may have effects", "SELECT * FROM upkeep.explain_statement(%s, true)",
                         statement)
        self.explain("SELECT adds(a), count(*), array_agg(a), (2 * min(id))::even FROM small", True)

    def test_a_run_inside_a_run_is_refused(self):
        self.rows("CREATE FUNCTION inner_run() RETURNS text LANGUAGE sql STABLE AS $$"
                  "SELECT findings::text FROM upkeep.explain_statement('SELECT pg_sleep(0)', true) $$")
        error = self.refusal("SELECT * FROM upkeep.explain_statement('SELECT inner_run()', true)")
        self.assertIn("cannot run another", error.diag.message_primary)
        self.explain("SELECT 1", True)

    def test_rules(self):
        self.rows("""
            CREATE TABLE ruled (a int);
            CREATE RULE nothing AS ON DELETE TO ruled DO INSTEAD NOTHING;
            CREATE RULE notices AS ON UPDATE TO ruled DO INSTEAD NOTIFY ruled;
            CREATE RULE also AS ON INSERT TO ruled DO ALSO NOTIFY ruled""")
        for statement in ("DELETE FROM ruled", "UPDATE ruled SET a = 1"):
            self.assertEqual(self.explain(statement)[0], [])
            self.refuses("22023", "writes", "SELECT * FROM upkeep.explain_statement(%s, true)", statement)
        self.assertEqual(self.explain("INSERT INTO ruled VALUES (1)")[0]["Plan"]["Node Type"], "ModifyTable")
        for statement in ("UPDATE ruled SET a = 1", "INSERT INTO ruled VALUES (1)"):
            self.rows("SELECT * FROM upkeep.what_if(%s, ARRAY['CREATE INDEX ON small (a)'])", statement)
            self.rows("SELECT * FROM upkeep.advise_indexes(ARRAY[%s])", statement)

    def test_bad_input(self):
        for run in ("false", "true"):
            for statement, wanted in (("SELECT 1; DROP TABLE t", "2 statements"), ("", "empty"), ("-- x", "no statement"),
                                      ("VACUUM", "has no plan"), ("COPY t TO STDOUT", "has no plan"),
                                      ("EXPLAIN SELECT 1", "has no plan"), ("DO $$ BEGIN END $$", "has no plan"),
                                      ("SELECT * INTO u FROM t", "has no plan"), ("CREATE TABLE u AS SELECT 1", "has no plan"),
                                      ("SELECT * FROM nowhere", "does not exist"), ("SELEC 1", "syntax error"),
                                      ("EXECUTE p", "has no plan"), ("DECLARE c CURSOR FOR SELECT 1", "has no plan")):
                error = self.refusal(f"SELECT * FROM upkeep.explain_statement(%s, {run})", statement)
                self.assertIn(wanted, error.diag.message_primary, statement)
                self.assertTrue(error.diag.message_hint, statement)
        self.refuses("22023", "parameters", "SELECT * FROM upkeep.explain_statement('SELECT * FROM t WHERE id = $1', true)")
        self.refuses("22012", "division by zero", "SELECT * FROM upkeep.explain_statement(%s, true)",
                     "SELECT 1 / (id - 5) FROM t", hint=False)
        self.rows("CREATE TABLE still_writable (); DROP TABLE still_writable")

    def test_nothing_is_left_of_a_run(self):
        db = connect(self.database)
        db.autocommit = False
        self.run_on(db, "INSERT INTO written VALUES ('mine')")
        self.explain("SELECT * FROM written", True, db)
        self.assertEqual(self.run_on(db, "SHOW transaction_read_only"), [("off",)])
        locks = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'small'::regclass AND mode ~ 'Row'"
        self.explain("SELECT * FROM small FOR UPDATE", False, db)
        self.assertEqual(self.run_on(db, locks), [(0,)])
        with self.assertRaises(psycopg2.Error):
            self.run_on(db, "SAVEPOINT s; SELECT * FROM upkeep.explain_statement('SELECT sly_next()', true)")
        self.run_on(db, "ROLLBACK TO s; INSERT INTO written VALUES ('more')")
        self.assertEqual(self.run_on(db, "SELECT count(*) FROM written"), [(2,)])
        db.rollback()
        db.close()

    def test_rights_are_the_callers(self):
        explains = connect(self.database, user="explains")
        self.assertEqual(self.explain("SELECT count(*) FROM small", True, explains)[0]["Plan"]["Actual Rows"], 1)
        for run in ("false", "true"):
            error = self.refusal(f"SELECT * FROM upkeep.explain_statement('SELECT * FROM t', {run})", connection=explains)
            self.assertEqual(error.pgcode, "42501")
        explains.close()

    def test_it_is_not_captured(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.explain("SELECT count(*) FROM t WHERE a = 11", True)
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query ~ 'count'"), [])

    def test_a_cancel_and_statement_timeout_end_it(self):
        slow = "SELECT count(*) FROM t x, t y WHERE x.s < y.s || 'a'"
        db = connect(self.database)
        threading.Timer(0.5, db.cancel).start()
        start = time.monotonic()
        with self.assertRaises(psycopg2.errors.QueryCanceled) as caught:
            self.explain(slow, True, db)
        self.assertIn("user request", caught.exception.diag.message_primary)
        self.run_on(db, "SET statement_timeout = '300ms'")
        with self.assertRaises(psycopg2.errors.QueryCanceled) as caught:
            self.explain(slow, True, db)
        self.assertIn("statement timeout", caught.exception.diag.message_primary)
        self.assertLess(time.monotonic() - start, 10)
        self.run_on(db, "SET statement_timeout = 0")
        self.explain("SELECT 1", True, db)
        db.close()

    def test_the_limit_ends_it(self):
        start = time.monotonic()
        error = self.refuses("57014", "was stopped after 30 s",
                             "SELECT * FROM upkeep.explain_statement('SELECT pg_sleep(100)', true)")
        self.assertAlmostEqual(time.monotonic() - start, 30, delta=3)
        self.assertIn("statement_timeout", error.diag.message_hint)
        self.explain("SELECT pg_sleep(0.2)", True)

    def test_on_a_standby(self):
        with Standby() as standby:
            db = standby.connect(self.database)
            self.assertIn("whole_table_scan", str(self.explain("SELECT * FROM t WHERE a = 7", True, db)))
            self.assertIn("Plan", self.explain("SELECT * FROM t WHERE a = 7", False, db)[0])
            db.close()

    # --- findings: each on a plan that has it and on one that has not

    def test_whole_table_scan(self):
        found = self.finding("whole_table_scan", "SELECT * FROM t WHERE a = 7")
        self.assertIn("threw away 99,900 of 100,000 rows by (a = 7)", found)
        self.assertIn("to keep about", self.finding("whole_table_scan", "SELECT * FROM t WHERE a = 7", run=False))
        self.assertIn("expected", self.finding("whole_table_scan", "SELECT * FROM t WHERE a = $1", run=False))
        self.rows("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
        self.finding("whole_table_scan", "SELECT count(*) FROM t WHERE a = 7")
        self.rows("RESET ALL")
        for run in (False, True):
            for statement in ("SELECT * FROM t", "SELECT * FROM t WHERE a > 200", "SELECT * FROM t WHERE id = 7",
                              "SELECT * FROM small WHERE a = 7"):
                self.lacks("whole_table_scan", statement, run)

    def test_row_estimate(self):
        self.assertIn("run ANALYZE fresh", self.finding("row_estimate", "SELECT * FROM fresh WHERE a = 1 AND id > 0"))
        self.finding("row_estimate", "SELECT * FROM t WHERE a < 10 AND b < 10")
        self.finding("row_estimate", "SELECT * FROM t WHERE a < 100 AND a + b < 200 AND b * 2 < 200 AND a::text <> 'x'"
                                     " AND (a + 1)::text = (b + 1)::text")
        for statement in ("SELECT * FROM t WHERE a = 7", "SELECT * FROM t WHERE id < 500", "SELECT * FROM t LIMIT 5",
                          "SELECT count(*) FROM t", "SELECT * FROM t WHERE a = 7 AND EXISTS (SELECT 1 FROM small)"):
            self.lacks("row_estimate", statement)

    def test_sort_spilled(self):
        self.rows("SET work_mem = '64kB'")
        self.assertIn("by s wrote", self.finding("sort_spilled", "SELECT * FROM t ORDER BY s"))
        self.finding("sort_spilled", "SELECT DISTINCT s, a FROM t ORDER BY a, s")
        self.finding("sort_spilled", "SELECT row_number() OVER (ORDER BY s) FROM t")
        self.lacks("sort_spilled", "SELECT * FROM t ORDER BY id")
        self.lacks("sort_spilled", "SELECT * FROM small ORDER BY a")
        self.rows("SET work_mem = '100MB'")
        self.lacks("sort_spilled", "SELECT * FROM t ORDER BY s")

    def test_hash_spilled(self):
        join = "SELECT count(*) FROM t x JOIN t y USING (s)"
        self.rows("SET enable_mergejoin = off; SET max_parallel_workers_per_gather = 0; SET work_mem = '64kB'")
        self.assertIn("batches", self.finding("hash_spilled", join))
        self.finding("hash_spilled", "SELECT * FROM t x JOIN t y ON x.s = y.s")
        self.rows("SET enable_sort = off")
        self.assertIn("groups", self.finding("hash_spilled", "SELECT s, count(*) FROM t GROUP BY s"))
        self.lacks("hash_spilled", "SELECT half, count(*) FROM t GROUP BY half")
        self.lacks("hash_spilled", "SELECT count(*) FROM t JOIN small USING (id)")
        self.rows("SET work_mem = '200MB'")
        self.lacks("hash_spilled", join)

    def test_nested_loop(self):
        self.rows("SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off; SET jit = off;"
                  "SET max_parallel_workers_per_gather = 0")
        found = self.finding("nested_loop", "SELECT count(*) FROM t x JOIN t y ON y.id BETWEEN x.a AND x.a + 20")
        self.assertIn("ran 100,000 times", found)
        self.finding("nested_loop", "SELECT count(*) FROM t x JOIN t y ON y.id BETWEEN x.id AND x.id + 20 WHERE x.half = 1")
        # Twenty rows a run: the time of one that reads a single row is near EXPLAIN's rounding to a microsecond.
        self.finding("nested_loop", "SELECT count(*) FROM t x LEFT JOIN t y ON y.id BETWEEN x.b AND x.b + 20 WHERE x.half = 1")
        self.lacks("nested_loop", "SELECT count(*) FROM small x JOIN t y ON y.id = x.a")
        self.rows("RESET ALL; SET enable_nestloop = off")
        self.lacks("nested_loop", "SELECT count(*) FROM t x JOIN t y ON y.id = x.a")
        self.lacks("nested_loop", "SELECT count(*) FROM t")

    def test_index_filter(self):
        self.rows("SET enable_seqscan = off; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0")
        self.assertIn("threw away", self.finding("index_filter", "SELECT * FROM t WHERE half = 1 AND a = 7"))
        self.finding("index_filter", "SELECT * FROM t WHERE id > 100 AND a = 7")
        self.rows("SET enable_bitmapscan = on; SET enable_indexscan = off")
        self.finding("index_filter", "SELECT * FROM t WHERE half = 1 AND a = 7")
        for statement in ("SELECT * FROM t WHERE id = 7", "SELECT * FROM t WHERE half = 1 AND a > 100",
                          "SELECT * FROM t WHERE id < 100 AND a = 7"):
            self.lacks("index_filter", statement)

    def test_lossy_bitmap(self):
        self.rows("SET enable_seqscan = off; SET enable_indexscan = off; SET max_parallel_workers_per_gather = 0;"
                  "CREATE TABLE wide AS SELECT g % 50 AS a, repeat('x', 2000) AS s FROM generate_series(1, 60000) AS g;"
                  "CREATE INDEX ON wide (a); ANALYZE wide; SET work_mem = '64kB'")
        self.assertIn("in vain", self.finding("lossy_bitmap", "SELECT count(s) FROM wide WHERE a < 10"))
        self.finding("lossy_bitmap", "SELECT max(s) FROM wide WHERE a BETWEEN 5 AND 20")
        self.finding("lossy_bitmap", "SELECT count(s) FROM wide WHERE a = 1 OR a = 2 OR a = 30")
        self.lacks("lossy_bitmap", "SELECT * FROM t WHERE id = 7")
        self.lacks("lossy_bitmap", "SELECT * FROM t WHERE id < 100")
        self.rows("SET work_mem = '64MB'")
        self.lacks("lossy_bitmap", "SELECT count(s) FROM wide WHERE a < 10")

    def test_correlated_subquery(self):
        each = "SELECT (SELECT max(a) FROM small s WHERE s.id = t.half) FROM t"
        self.assertIn("ran 100,000 times", self.finding("correlated_subquery", each))
        self.assertIn("expected to run once for each", self.finding("correlated_subquery", each, run=False))
        for run in (False, True):
            self.finding("correlated_subquery", "SELECT * FROM t WHERE a < (SELECT avg(a) FROM small s WHERE s.id < t.a)", run)
            for statement in ("SELECT (SELECT max(a) FROM small) FROM t", "SELECT * FROM t WHERE id IN (SELECT id FROM small)",
                              "SELECT * FROM t WHERE id NOT IN (SELECT id FROM small)",
                              "WITH w AS MATERIALIZED (SELECT * FROM small) SELECT * FROM t JOIN w USING (id)",
                              "SELECT (SELECT max(a) FROM small s WHERE s.id = x.id) FROM small x"):
                self.lacks("correlated_subquery", statement, run)

    def test_jit(self):
        if not self.value("SELECT pg_jit_available()"):
            self.skipTest("this server has no JIT")
        self.rows("SET jit = on; SET jit_above_cost = 0; SET jit_optimize_above_cost = 0; SET jit_inline_above_cost = 0")
        for statement in ("SELECT count(*) FROM small WHERE a > 3", "SELECT a + id * 2, a % 3 FROM small WHERE a > 3",
                          "SELECT sum(a), avg(id) FROM small"):
            self.assertIn("jit_above_cost", self.finding("jit", statement))
        self.rows("SET jit = off")
        self.lacks("jit", "SELECT count(*) FROM small WHERE a > 3")
        self.rows("SET jit = on; SET jit_above_cost = 1e9")
        self.lacks("jit", "SELECT count(*) FROM t WHERE a > 3")
        self.lacks("jit", "SELECT 1")


if __name__ == "__main__":
    unittest.main()
