# cluster: shared_preload_libraries=upkeep_preload
# cluster: jit=off
"""Plans of slow statements: whose nodes are counted, what is kept of those that failed; tables of
statements that fail before they were ever counted."""
import contextlib
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, n int);
INSERT INTO t SELECT g, g % 5 FROM generate_series(1, 1000) g;
CREATE TABLE u AS SELECT * FROM t;
CREATE FUNCTION slow(seconds float8) RETURNS int LANGUAGE plpgsql VOLATILE AS
  $$ BEGIN PERFORM pg_sleep(seconds); RETURN 1; END $$;
ANALYZE;
"""


def nodes(plan):
    """The plan's nodes, a node before its children."""
    found = [plan]
    for child in plan.get("Plans", []):
        found += nodes(child)
    return found


class Plans(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.session = connect(self.database)
        self.addCleanup(self.session.close)
        self.ask("SET upkeep.slow_threshold = 100")
        self.rows("SELECT upkeep.reset_statements()")

    def ask(self, sql, session=None):
        return self.run_on(session or self.session, sql)

    def slow(self, pattern):
        return self.dicts("SELECT * FROM upkeep.slow_statements WHERE query ~ %s ORDER BY captured_at", pattern)

    def counted(self, pattern):
        """Of each slow one, oldest first: are its nodes counted?"""
        return ["Actual Rows" in row["plan"]["Plan"] for row in self.slow(pattern)]

    def test_nodes_are_counted_where_the_history_nears_the_threshold(self):
        sql = "SELECT count(*) FROM t, (SELECT slow({})) AS s WHERE n = 3"
        self.ask(sql.format(0.12))
        self.assertEqual(self.counted("slow"), [False], "without a history nothing is paid")
        self.ask(sql.format(0.12))
        self.assertEqual(self.counted("slow"), [False, True])
        for node in nodes(self.slow("slow")[1]["plan"]["Plan"]):
            self.assertIn("Actual Rows", node)
            self.assertIn("Actual Total Time", node)
            self.assertIn("Shared Hit Blocks", node)
        scan, = [node for node in nodes(self.slow("slow")[1]["plan"]["Plan"]) if node["Node Type"] == "Seq Scan"]
        self.assertEqual((scan["Actual Rows"], scan["Rows Removed by Filter"], scan["Actual Loops"]), (200, 800, 1))
        with contextlib.closing(connect(self.database)) as other:  # the history is shared
            self.ask("SET upkeep.slow_threshold = 100", other)
            self.ask(sql.format(0.12), other)
        self.assertEqual(self.counted("slow"), [False, True, True])
        self.ask("SET upkeep.slow_threshold = 5000")
        self.ask(sql.format(0.01))
        self.ask("SET upkeep.slow_threshold = 100")
        self.assertEqual(self.value("SELECT slow_calls FROM upkeep.statements WHERE query ~ 'slow'"), 3)

    def test_half_the_threshold_is_near_a_fifth_is_not(self):
        for name, seconds, expected in (("near", 0.06, True), ("far", 0.02, False)):
            sql = f"SELECT slow({{}}) AS {name}, {'1' if name == 'near' else '1, 2'}"
            for _ in range(3):
                self.ask(sql.format(seconds))
            self.assertEqual(self.slow(name), [])
            self.ask(sql.format(0.12))
            self.assertEqual(self.counted(name), [expected], name)

    def test_one_in_a_hundred_keeps_it_near(self):
        self.ask("PREPARE q AS SELECT slow($1) FROM t WHERE id = 5")
        for _ in range(250):
            self.ask("EXECUTE q(0)")
        for _ in range(4):
            self.ask("EXECUTE q(0.12)")
        self.assertEqual(self.counted("slow"), [False, False, False, True], "1 of 251, 2 of 252, 3 of 253 are less")

    def test_one_execution_in_1024_is_a_sample(self):
        self.ask("PREPARE q AS SELECT slow($1) FROM t WHERE id = 6")
        with self.session.cursor() as cursor:
            for _ in range(1023):
                cursor.execute("EXECUTE q(0)")
        self.ask("EXECUTE q(0.12)")
        self.ask("EXECUTE q(0.12)")
        self.assertEqual(self.counted("slow"), [True, False])

    def test_explain_analyze_stays_as_it_was_asked_for(self):
        self.ask("SET upkeep.slow_threshold = 0")
        out = self.ask("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, COSTS OFF, BUFFERS OFF) SELECT count(*) FROM t WHERE n = 1")
        self.assertEqual([row[0].strip() for row in out],
                         ["Aggregate (actual rows=1 loops=1)", "->  Seq Scan on t (actual rows=200 loops=1)", "Filter: (n = 1)",
                          "Rows Removed by Filter: 800"])
        out = self.ask("EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE n = 1")
        self.assertEqual([row[0].strip() for row in out], ["Aggregate", "->  Seq Scan on t", "Filter: (n = 1)"])

    def test_parallel_plans_and_cursors(self):
        self.ask("SET upkeep.slow_threshold = 0")
        self.ask("""SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
                    SET parallel_leader_participation = off""")
        self.ask("SELECT count(*) AS by_workers FROM t WHERE n < 2")
        plan = self.slow("by_workers")[0]["plan"]["Plan"]
        self.assertIn("Gather", [node["Node Type"] for node in nodes(plan)])
        scan, = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
        self.assertAlmostEqual(scan["Actual Rows"] * scan["Actual Loops"], 400, delta=2)
        self.ask("RESET ALL; SET upkeep.slow_threshold = 0")
        self.ask("BEGIN; DECLARE c CURSOR FOR SELECT id AS by_cursor FROM t ORDER BY id; FETCH 7 FROM c; COMMIT")
        self.assertEqual([row["rows"] for row in self.slow("^FETCH|^DECLARE") if row["plan"]], [])

    def test_no_threshold_no_plans_no_counts(self):
        for setting in ("upkeep.slow_threshold = -1", "upkeep.capture_plans = off"):
            self.ask("SET upkeep.slow_threshold = 0; SET upkeep.capture_plans = on; SET " + setting)
            self.ask("SELECT n AS unplanned FROM t LIMIT 3")
            self.assertEqual([row["plan"] for row in self.slow("unplanned")], [] if "-1" in setting else [None])

    def test_big_plans_lose_details_before_they_are_lost(self):
        self.ask("SET upkeep.slow_threshold = 0")
        union = " UNION ALL ".join(["SELECT id FROM t WHERE n = 1"] * 14)
        self.ask(f"SELECT count(*) AS big FROM ({union}) x")
        plan = self.slow("AS big")[0]["plan"]
        self.assertNotIn("not_kept", plan)
        self.assertEqual(sum(node["Node Type"] == "Seq Scan" for node in nodes(plan["Plan"])), 14)
        self.assertTrue(all("Actual Rows" in node and "Plan Width" not in node for node in nodes(plan["Plan"])))

    def cancelled(self, sql, milliseconds=150, **settings):
        for name, value in settings.items():
            self.ask(f"SET {name} = {value}")
        self.ask(f"SET statement_timeout = {milliseconds}")
        self.assertEqual(self.refusal(sql, connection=self.session).pgcode, "57014")
        self.ask("SET statement_timeout = 0")

    def test_what_was_cancelled_shows_its_nodes(self):
        sql = """SELECT count(*) FROM u JOIN t ON t.id = u.id CROSS JOIN LATERAL (SELECT slow(0.01 + t.id * 0)) s
                 WHERE u.n = 4 AND u.id <> 4711"""
        self.cancelled(sql, enable_hashjoin="off", enable_mergejoin="off", enable_seqscan="on")
        first, = self.slow("LATERAL")
        plan = first["plan"]
        self.assertIs(plan["Unfinished"], True)
        found = {node["Node Type"]: node for node in nodes(plan["Plan"])}
        self.assertEqual(plan["Plan"]["Node Type"], "Aggregate")
        self.assertEqual(found["Seq Scan"]["Relation Name"], "u")
        self.assertEqual((found["Index Scan"]["Relation Name"] if "Index Scan" in found else "t"), "t")
        self.assertIn("t_pkey", str(plan))
        self.assertNotIn("Rows So Far", str(plan), "not instrumented: no rows are made up")
        self.assertNotIn("4711", str(first))
        self.assertEqual((first["error_code"], first["rows"]), ("57014", 0))
        self.assertGreater(first["hit_blocks"], 0)
        self.cancelled(sql)  # it has a history now, if only of failures
        plan = self.slow("LATERAL")[1]["plan"]
        scan = [node for node in nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"][0]
        self.assertTrue(1 <= scan["Rows So Far"] <= 40, scan)
        self.assertEqual((scan["Loops So Far"], scan["Plan Rows"]), (1, 200))
        self.assertEqual(self.rows("SELECT calls, errors, slow_calls, tables FROM upkeep.statements WHERE query ~ 'LATERAL'"),
                         [(0, 2, 2, ["u", "t"])])

    def test_writes_subplans_and_rows_so_far(self):
        self.cancelled("INSERT INTO u SELECT id, slow(0.01) FROM t WHERE n = (SELECT max(n) FROM u)")
        plan = self.slow("^INSERT")[0]["plan"]["Plan"]
        self.assertEqual((plan["Node Type"], plan["Operation"], plan["Relation Name"]), ("ModifyTable", "Insert", "u"))
        self.assertEqual(sorted(node.get("Relation Name", "") for node in nodes(plan) if "Scan" in node["Node Type"]), ["t", "u"])
        self.cancelled("SELECT id, slow(0.01) AS one_by_one FROM t")
        self.assertTrue(1 <= self.slow("one_by_one")[0]["rows"] <= 15, self.slow("one_by_one"))

    def test_names_are_those_of_now(self):
        self.ask("CREATE TABLE gone (id int); CREATE SCHEMA other; CREATE TABLE other.kept (id int)")
        self.ask("INSERT INTO gone VALUES (1); INSERT INTO other.kept VALUES (1)")
        self.cancelled("SELECT slow(1) FROM gone CROSS JOIN other.kept")
        names = lambda: sorted(node["Relation Name"] for node in nodes(self.slow("gone")[0]["plan"]["Plan"]) if "Relation Name" in node)
        self.assertEqual(names(), ["gone", "other.kept"])
        self.ask("ALTER TABLE other.kept RENAME TO renamed")
        oid = self.ask("SELECT 'gone'::regclass::oid")[0][0]
        self.ask("DROP TABLE gone")
        self.assertEqual(names(), [f"<dropped: {oid}>", "other.renamed"])
        self.ask("DROP SCHEMA other CASCADE")
        with contextlib.closing(connect("postgres")) as elsewhere:
            self.run_on(elsewhere, "CREATE EXTENSION IF NOT EXISTS upkeep")
            plan, = self.run_on(elsewhere, "SELECT plan FROM upkeep.slow_statements WHERE query ~ 'gone'")
            self.assertIn(f"<in another database: {oid}>", str(plan))

    def test_only_with_plans_on_and_for_those_who_may(self):
        self.cancelled("SELECT slow(1) AS planless FROM t", **{"upkeep.capture_plans": "off"})
        self.assertIsNone(self.slow("planless")[0]["plan"])
        self.ask("SET upkeep.capture_plans = on")
        self.cancelled("SELECT slow(1), 2 AS with_plan FROM t")
        self.assertIn("t", str(self.slow("with_plan")[0]["plan"]))
        self.rows("CREATE ROLE nosy LOGIN; GRANT SELECT ON upkeep.slow_statements TO nosy;"
                  "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA upkeep TO nosy")
        self.addCleanup(self.rows, "DROP OWNED BY nosy; DROP ROLE nosy")
        with contextlib.closing(connect(self.database, user="nosy")) as other:
            seen = self.run_on(other, "SELECT query, plan FROM upkeep.slow_statements")
            self.assertEqual(set(seen), {("<insufficient privilege>", None)})

    def test_other_ends_leave_no_plan_behind(self):
        """Before there is a plan, of a utility, of a session that is ended: no plan, no crash."""
        self.ask("SET upkeep.slow_threshold = 0")
        for sql in ("SELECT 1 / 0 AS in_planner", "DO $$ BEGIN RAISE 'x'; END $$", "SELECT * FROM pg_authid, t"):
            if "authid" in sql:
                self.rows("DROP ROLE IF EXISTS plain; CREATE ROLE plain")
                self.addCleanup(self.rows, "DROP ROLE plain")
                self.ask("SET ROLE plain")
            self.refusal(sql, connection=self.session)
        self.assertEqual([row["plan"] for row in self.slow("in_planner|^DO|authid")], [None] * 3)
        self.ask("RESET ROLE")
        pid = self.session.get_backend_pid()
        thread = threading.Thread(target=lambda: (time.sleep(0.3), self.rows("SELECT pg_terminate_backend(%s)", pid)))
        thread.start()
        with self.assertRaises(psycopg2.OperationalError):
            self.ask("SELECT slow(5) AS ended")
        thread.join()
        row, = self.slow("AS ended")
        self.assertEqual((row["error_code"], row["plan"]), ("57P01", None))
        self.assertGreater(row["duration_ms"], 100)

    def test_deep_and_wide_plans_have_a_bound(self):
        wide = " UNION ALL ".join(["SELECT slow(id * 0 + 0.01) FROM t"] * 150)
        self.cancelled(f"SELECT count(*) AS wide FROM ({wide}) x")
        plan = self.slow("AS wide")[0]["plan"]
        self.assertEqual((len(nodes(plan["Plan"])), plan["Nodes Left Out"]), (64, 302 - 64))
        deep = "SELECT 1 AS a"
        for _ in range(70):
            deep = f"SELECT a FROM ({deep} OFFSET 0) x LIMIT 5"
        self.cancelled(f"SELECT slow(a + 5) AS deep FROM ({deep}) x", 600)
        plan = self.slow("AS deep")[0]["plan"]
        self.assertEqual(len(nodes(plan["Plan"])), 64)


class FirstMet(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def labels(self):
        return dict(self.rows("""SELECT labels ->> 'table', value::int FROM upkeep.metric_samples
            WHERE name ~ 'statements_total' AND labels ->> 'status' = 'error'"""))

    def test_a_first_failure_knows_its_tables(self):
        cases = [("INSERT INTO t VALUES (1, 1)", "23505", ["t"]), ("SELECT 1 / (n - n), 'x' FROM u", "22012", ["u"]),
                 ("SELECT 1 / 0 FROM u JOIN t USING (id)", "22012", ["u", "t"]),  # the planner fails
                 ("SELECT (SELECT 1 / 0 FROM t LIMIT 1) FROM u", "22012", ["u", "t"]),
                 ("WITH w AS (SELECT id FROM t) SELECT 1 / (id - id) FROM w", "22012", ["t"]),
                 ("UPDATE t SET id = 1 WHERE id = 2", "23505", ["t"]), ("COPY t FROM '/no/such'", "58P01", ["t"])]
        for sql, sqlstate, tables in cases:
            self.rows("SELECT upkeep.reset_statements()")
            self.assertEqual(self.refusal(sql).pgcode, sqlstate)
            found, = self.rows("SELECT tables, calls, errors FROM upkeep.statements WHERE errors > 0")
            self.assertEqual(found, (tables, 0, 1), sql)
            self.assertEqual(self.labels(), {tables[0]: 1})

    def test_so_does_one_under_a_new_endpoint_or_role(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("CREATE ROLE somebody; GRANT SELECT ON t TO somebody")
        self.addCleanup(self.rows, "DROP OWNED BY somebody; DROP ROLE somebody")
        self.rows("PREPARE q AS SELECT 1 / $1::int FROM t LIMIT 1")
        for _ in range(12):
            self.rows("EXECUTE q(1)")
        for number in range(20):  # others push it out of the last few that were new
            self.rows("SELECT " + ", ".join(["1"] * (number + 2)))
        for change in ("SET upkeep.endpoint = 'other'", "SET ROLE somebody"):
            self.rows(change)
            self.assertEqual(self.refusal("EXECUTE q(0)").pgcode, "22012")
            self.rows("RESET ROLE")
        self.rows("RESET upkeep.endpoint")
        self.assertEqual(self.rows("SELECT DISTINCT tables, operation, errors FROM upkeep.statements WHERE errors > 0"),
                         [(["t"], "SELECT", 1)])
        self.assertEqual(self.labels(), {"t": 2})

    def test_names_stay_right_when_a_statement_is_well_afterwards(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.rows("PREPARE later AS SELECT n / $1::int FROM u JOIN t USING (id, n)")
        self.assertEqual(self.refusal("EXECUTE later(0)").pgcode, "22012")
        self.rows("EXECUTE later(1)")
        self.assertEqual(self.rows("SELECT tables, calls, errors FROM upkeep.statements WHERE query ~ 'later'"),
                         [(["u", "t"], 1, 1)])


if __name__ == "__main__":
    unittest.main()
