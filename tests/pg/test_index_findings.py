"""index_findings code by code: a case that gives it, cases that must not, and an undo that restores exactly."""
import unittest

from host import Asks, connect

SHAPE = """SELECT i.relname, pg_get_indexdef(i.oid), obj_description(i.oid, 'pg_class'), x.indisclustered, s.spcname,
    (SELECT array_agg(attstattarget ORDER BY attnum) FROM pg_attribute WHERE attrelid = i.oid)
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
    WHERE i.relnamespace = 's'::regnamespace ORDER BY 1"""


class FindingCodesTest(Asks):
    def setUp(self):
        self.rows("DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; SET search_path = s, public")

    def findings(self, *codes):
        self.rows("SELECT pg_stat_force_next_flush()")
        return {(code, name) for code, name in self.rows("SELECT code, index_name FROM upkeep.index_findings")
                if not codes or code in codes}

    def run_all(self, script):
        for statement in script.split(";\n"):
            self.rows(statement)

    def test_redundant_partial(self):
        self.rows("""CREATE TABLE t AS SELECT g AS a, g % 100 AS b, g AS c FROM generate_series(1, 5000) g;
            CREATE INDEX whole ON t (a, c); CREATE INDEX most ON t (a) WHERE b > 0; CREATE INDEX few ON t (a) WHERE b = 0;
            CREATE INDEX other ON t (c) WHERE b > 0; CREATE UNIQUE INDEX rule ON t (a) WHERE b > 1; ANALYZE t""")
        self.assertEqual(self.findings("redundant_partial", "duplicate", "redundant_prefix"), {("redundant_partial", "most")})
        before = self.rows(SHAPE)
        fix, undo, covered, evidence = self.rows(
            "SELECT fix_sql, undo_sql, covered_by, evidence FROM upkeep.index_findings WHERE code = 'redundant_partial'")[0]
        self.assertEqual(covered, "whole")
        self.assertIn("about 4950 of the 5000 entries", evidence)
        self.run_all(fix)
        self.assertEqual(self.findings("redundant_partial"), set())
        self.run_all(undo)
        self.assertEqual(self.rows(SHAPE), before)

    def test_undo_restores_options_comment_cluster_and_targets(self):
        self.rows("""CREATE TABLE t (a text, b int); CREATE INDEX wide ON t (lower(a) text_pattern_ops, b);
            CREATE INDEX "Nar'row" ON t (lower(a) text_pattern_ops) WITH (fillfactor = 70);
            COMMENT ON INDEX "Nar'row" IS 'it''s mine'; ALTER TABLE t CLUSTER ON "Nar'row";
            ALTER INDEX "Nar'row" ALTER COLUMN 1 SET STATISTICS 500""")
        before = self.rows(SHAPE)
        fix, undo = self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings WHERE code = 'redundant_prefix'")[0]
        self.run_all(fix)
        self.assertNotEqual(self.rows(SHAPE), before)
        self.run_all(undo)
        self.assertEqual(self.rows(SHAPE), before)

    def test_undo_restores_the_tablespace(self):
        self.rows("SET allow_in_place_tablespaces = on")
        self.rows("CREATE TABLESPACE elsewhere LOCATION ''")
        self.addCleanup(self.rows, "DROP TABLESPACE elsewhere")
        self.addCleanup(self.rows, "DROP SCHEMA s CASCADE; CREATE SCHEMA s")
        self.rows("CREATE TABLE t (a int, b int); CREATE INDEX one ON t (a) TABLESPACE elsewhere WHERE b > 0;"
                  "CREATE INDEX two ON t (a, b) WHERE b > 0")
        before = self.rows(SHAPE)
        fix, undo = self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings")[0]
        self.assertIn(" TABLESPACE elsewhere WHERE ", undo)
        self.run_all(fix)
        self.run_all(undo)
        self.assertEqual(self.rows(SHAPE), before)

    def test_a_deferrable_constraint_does_not_replace_an_immediate_one(self):
        self.rows("CREATE TABLE t (a int CONSTRAINT late UNIQUE DEFERRABLE); CREATE UNIQUE INDEX now ON t (a)")
        self.assertEqual(self.findings(), set())
        self.rows("CREATE INDEX plain ON t (a)")
        self.assertEqual(self.findings(), {("duplicate", "plain")})

    def test_what_a_foreign_key_needs_is_not_unused(self):
        self.rows("""CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
            CREATE TABLE c AS SELECT 1 AS p_id, g AS a FROM generate_series(1, 200000) g;
            ALTER TABLE c ADD FOREIGN KEY (p_id) REFERENCES p NOT VALID;
            CREATE INDEX needed ON c (p_id, a); CREATE INDEX idle ON c (a)""")
        self.assertEqual(self.findings("unused"), {("unused", "idle")})

    def test_costs_more_than_it_saves(self):
        self.rows("""CREATE TABLE t (a int, b int, c int) WITH (autovacuum_enabled = off);
            CREATE INDEX heavy ON t (a); CREATE INDEX busy ON t (b); CREATE UNIQUE INDEX rule ON t (c);
            INSERT INTO t SELECT g, g, g FROM generate_series(1, 40000) g; ANALYZE t;
            CREATE INDEX late ON t (a) WHERE c > 1""")
        self.rows("SET enable_seqscan = off; SET enable_bitmapscan = off")
        self.addCleanup(self.rows, "RESET ALL; SET search_path = s, public")
        self.rows("SELECT * FROM t WHERE a = 5")
        for i in range(150):
            self.rows("SELECT * FROM t WHERE b = %s", i)
        found = self.findings("costs_more_than_it_saves")
        self.assertEqual(found, {("costs_more_than_it_saves", "heavy")})  # `late` was made after the writes
        evidence, fix = self.rows("SELECT evidence, fix_sql FROM upkeep.index_findings WHERE index_name = 'heavy'")[0]
        self.assertRegex(evidence, "up to 40000 entries written, about 40000 units; 1 scans in .* save at most [0-9]+ units")
        self.assertIsNone(fix)  # the counters are young

    def test_small_table(self):
        self.rows("""CREATE TABLE t AS SELECT g AS a, g AS b FROM generate_series(1, 50) g;
            CREATE INDEX idle ON t (a); CREATE UNIQUE INDEX rule ON t (b); ANALYZE t;
            CREATE TABLE unread AS SELECT 1 AS a; CREATE INDEX quiet ON unread (a); ANALYZE unread""")
        for _ in range(120):
            self.rows("SELECT * FROM t WHERE a = 5")
        self.assertEqual(self.findings(), {("small_table", "idle")})

    def test_low_cardinality(self):
        self.rows("""CREATE TABLE t AS SELECT g % 4 AS even, CASE WHEN g % 1000 = 0 THEN 1 ELSE 0 END AS skewed, g AS many
            FROM generate_series(1, 20000) g;
            CREATE INDEX i_even ON t (even); CREATE INDEX i_skewed ON t (skewed); CREATE INDEX i_many ON t (many);
            CREATE INDEX i_two ON t (even, many); ANALYZE t; DROP INDEX i_two""")
        self.assertEqual(self.findings("low_cardinality"), {("low_cardinality", "i_even")})
        self.assertIn("has 4 values in about 20000 rows, the rarest in 2",
                      self.value("SELECT evidence FROM upkeep.index_findings WHERE code = 'low_cardinality'"))

    def test_bloated(self):
        self.rows("""CREATE TABLE t (a int, b int, c int) WITH (autovacuum_enabled = off);
            CREATE INDEX holes ON t (a); CREATE INDEX same ON t (b); CREATE INDEX roomy ON t (c) WITH (fillfactor = 30);
            INSERT INTO t SELECT g, 1, g FROM generate_series(1, 200000) g; ANALYZE t""")
        self.assertEqual(self.findings("bloated"), set())
        self.rows("DELETE FROM t WHERE a % 10 <> 0")
        self.rows("VACUUM ANALYZE t")
        self.assertIn(("bloated", "holes"), self.findings("bloated"))
        before = self.rows(SHAPE)
        for fix, in self.rows("SELECT fix_sql FROM upkeep.index_findings WHERE code = 'bloated'"):
            self.rows(fix)
        self.assertEqual((self.findings("bloated"), self.rows(SHAPE)), (set(), before))

    def test_bloated_by_what_pgstattuple_measures(self):
        self.rows("""CREATE TABLE t (a int, b int) WITH (autovacuum_enabled = off); CREATE INDEX "Ho'l\\es" ON t (a);
            CREATE INDEX full_ ON t (b);
            INSERT INTO t SELECT g, g FROM generate_series(1, 200000) g; DELETE FROM t WHERE a % 10 <> 0""")
        self.rows("VACUUM ANALYZE t")
        ask = "SELECT evidence FROM upkeep.index_findings WHERE code = 'bloated' AND index_name = 'Ho''l\\es'"
        self.assertIn("an estimate from the statistics", self.value(ask))
        self.rows("CREATE SCHEMA \"Ex tra\"; CREATE EXTENSION pgstattuple SCHEMA \"Ex tra\"")
        self.addCleanup(self.rows, "DROP EXTENSION pgstattuple; DROP SCHEMA \"Ex tra\"")
        density = self.value("SELECT avg_leaf_density FROM \"Ex tra\".pgstatindex('\"Ho''l\\es\"'::regclass)")
        self.assertIn(f"measured: pgstattuple, by which its leaf pages are {density:.0f} % full", self.value(ask))
        self.rows("DROP ROLE IF EXISTS reader_of_findings; CREATE ROLE reader_of_findings IN ROLE pg_monitor;"
                  "GRANT SELECT ON t TO reader_of_findings")
        self.addCleanup(self.rows, "DROP OWNED BY reader_of_findings; DROP ROLE reader_of_findings")
        self.rows("REVOKE ALL ON FUNCTION \"Ex tra\".pgstatindex(regclass) FROM pg_stat_scan_tables")
        self.rows("GRANT USAGE ON SCHEMA s TO reader_of_findings; SET ROLE reader_of_findings")
        try:
            self.assertIn("an estimate from the statistics", self.value(ask))  # he may not call it
        finally:
            self.rows("RESET ROLE")

    def test_statistics_that_mislead_are_corrected(self):
        """ANALYZE took a table of few rows for what has many: the estimate is too small, the pages are full."""
        self.rows("""CREATE TABLE t (a text) WITH (autovacuum_enabled = off); CREATE INDEX i ON t (a);
            INSERT INTO t SELECT repeat('x', 5) || g FROM generate_series(1, 200000) g; ANALYZE t""")
        self.rows("UPDATE pg_class SET reltuples = 20000 WHERE oid = 's.t'::regclass")
        self.rows("UPDATE pg_class SET relpages = relpages WHERE oid = 's.t'::regclass")
        self.rows("UPDATE pg_statistic SET stawidth = 1, stadistinct = 2 WHERE starelid = 's.t'::regclass")
        self.assertEqual(self.findings("bloated"), {("bloated", "i")})
        self.rows("CREATE EXTENSION pgstattuple")
        self.addCleanup(self.rows, "DROP EXTENSION pgstattuple")
        self.assertEqual(self.findings("bloated"), set())

    def test_an_invalid_index_of_a_constraint_is_rebuilt(self):
        self.rows("CREATE TABLE t (a int CONSTRAINT k PRIMARY KEY)")
        self.rows("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.k'::regclass")
        self.assertEqual(self.findings(), {("invalid", "k")})
        fix, undo = self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings")[0]
        self.assertEqual((fix, undo), ("REINDEX INDEX CONCURRENTLY s.k", None))
        self.rows(fix)
        self.assertEqual(self.findings(), set())

    def test_who_may_not_read_the_table_sees_no_error(self):
        self.rows("""CREATE TABLE t AS SELECT g % 4 AS a FROM generate_series(1, 200000) g; CREATE INDEX i ON t (a);
            CREATE INDEX j ON t (a); ANALYZE t; DROP ROLE IF EXISTS reader_of_findings;
            CREATE ROLE reader_of_findings IN ROLE pg_monitor""")
        self.addCleanup(self.rows, "DROP ROLE reader_of_findings")
        other = connect(self.database)
        self.addCleanup(other.close)
        self.run_on(other, "SET ROLE reader_of_findings")
        self.assertIn(("duplicate",), self.run_on(other, "SELECT code FROM upkeep.index_findings"))


if __name__ == "__main__":
    unittest.main()
