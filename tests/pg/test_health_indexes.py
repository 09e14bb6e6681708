"""indexes, index_findings, unindexed_foreign_keys: golden lists, fixes that work and can be undone, and what
must not be proposed."""
import pathlib
import unittest

import psycopg2

from host import Asks, connect, run_script

SCENARIOS = pathlib.Path(__file__).parents[1] / "scenarios"
REDUNDANT = "SELECT index_name FROM upkeep.index_findings WHERE code IN ('duplicate', 'redundant_prefix')"
BARE = "SELECT table_name || '.' || array_to_string(columns, '+') FROM upkeep.unindexed_foreign_keys"
DEFINITIONS = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"

ENGINE_REDUNDANT = {
    "idx_workflow_executions_workflow_id", "idx_workflow_executions_execution_id",
    "idx_workflow_actions_workflow_id", "idx_workflow_actions_order",
    "idx_execution_logs_execution_id", "idx_allowed_commenters_username"}
GUIDE_REDUNDANT = {
    "idx_workflow_executions_workflow_id", "idx_workflow_executions_execution_id",
    "idx_integration_events_integration_id"}


class Lists(Asks):
    def listed(self, sql):
        names = [name for (name,) in self.rows(sql)]
        self.assertEqual(len(names), len(set(names)), names)
        return set(names)


class EngineListTest(Lists):
    """The engine's own 46 indexes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        run_script(cls.db, SCENARIOS / "engine_schema.postgres.sql")

    def test_1_golden_lists(self):
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.indexes"), 46)
        self.assertEqual(self.listed(REDUNDANT), ENGINE_REDUNDANT)
        self.assertEqual(self.listed(BARE), {"workflow_executions.parent_execution_id",
                                             "execution_logs.action_id"})

    def test_2_what_covers_stays(self):
        rows = self.rows("SELECT index_name, covered_by FROM upkeep.index_findings WHERE covered_by IS NOT NULL")
        self.assertEqual(len(rows), 6)
        self.assertFalse({covered_by for _, covered_by in rows} & ENGINE_REDUNDANT)

    def test_3_nobodys_operators_come_in_between(self):
        self.rows("CREATE SCHEMA evil")
        self.rows("CREATE FUNCTION evil.never(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false'")
        self.rows("CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.never)")
        self.rows("CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'DROP' $$")
        self.rows("SET search_path = evil, pg_catalog, public")
        try:
            found = self.rows("SELECT code, index_name, fix_sql FROM upkeep.index_findings")
            self.assertEqual({name for code, name, _ in found if code != "unused"}, ENGINE_REDUNDANT)
            self.assertTrue(all(fix.startswith("DROP INDEX CONCURRENTLY ") for _, _, fix in found), found)
            self.assertEqual(self.value("SHOW search_path"), "evil, pg_catalog, public")
        finally:
            self.rows("RESET search_path")

    def test_4_fix_and_undo(self):
        before = self.rows(DEFINITIONS)
        advice = self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings WHERE covered_by IS NOT NULL")
        keys = self.rows("SELECT create_sql, undo_sql FROM upkeep.unindexed_foreign_keys")
        for fix, _ in advice + keys:
            self.rows(fix)
        self.assertEqual((self.listed(REDUNDANT), self.listed(BARE)), (set(), set()))
        for _, undo in advice + keys:
            self.rows(undo)
        self.assertEqual(self.rows(DEFINITIONS), before)


class GuideListTest(Lists):
    def test_guide_profile(self):
        self.rows("SELECT * FROM upkeep.install_workflow_schema('public', 'guide')")
        self.assertEqual(self.listed(REDUNDANT), GUIDE_REDUNDANT)
        self.assertEqual(self.listed(BARE), {"workflow_executions.parent_execution_id"})


class CorrectedListTest(Lists):
    def test_corrected_profile_has_neither(self):
        self.rows("SELECT * FROM upkeep.install_workflow_schema('public', 'corrected')")
        self.assertGreater(self.value("SELECT count(*) FROM upkeep.indexes"), 20)
        self.assertEqual((self.listed(REDUNDANT), self.listed(BARE)), (set(), set()))


class FindingsTest(Lists):
    def setUp(self):
        self.rows("DROP SCHEMA IF EXISTS s CASCADE; CREATE SCHEMA s; SET search_path = s, public")

    def findings(self):
        return {(code, name) for code, name in self.rows("SELECT code, index_name FROM upkeep.index_findings")}

    def test_only_what_is_the_same(self):
        self.rows("""
            CREATE TABLE t (a text, b int, c int, CONSTRAINT t_key UNIQUE (b));
            CREATE INDEX plain ON t (a); CREATE INDEX other_collation ON t (a COLLATE "C");
            CREATE INDEX other_opclass ON t (a text_pattern_ops); CREATE INDEX hashed ON t USING hash (a);
            CREATE INDEX partial ON t (a) WHERE b > 5; CREATE INDEX lowered ON t (lower(a));
            CREATE INDEX nulls ON t (c NULLS FIRST); CREATE INDEX no_nulls ON t (c);
            CREATE UNIQUE INDEX rule ON t (a, c)""")
        self.assertEqual(self.findings(), {("redundant_prefix", "plain")})
        self.assertEqual(self.value("SELECT covered_by FROM upkeep.index_findings"), "rule")

    def test_directions_and_included_columns(self):
        self.rows("""
            CREATE TABLE t (a int, b int, c int);
            CREATE INDEX up ON t (a); CREATE INDEX down ON t (a DESC); CREATE INDEX mixed ON t (b, c DESC);
            CREATE INDEX straight ON t (b, c); CREATE INDEX with_c ON t (c) INCLUDE (a); CREATE INDEX just_c ON t (c)""")
        self.assertEqual(self.findings(), {("duplicate", "up"), ("duplicate", "just_c")})

    def test_constraints_and_replica_identity_are_left_alone(self):
        self.rows("""
            CREATE TABLE p (id int NOT NULL); ALTER TABLE p ADD CONSTRAINT one UNIQUE (id);
            ALTER TABLE p ADD CONSTRAINT two UNIQUE (id);
            CREATE UNIQUE INDEX identity ON p (id); ALTER TABLE p REPLICA IDENTITY USING INDEX identity;
            CREATE TABLE target (id int); CREATE UNIQUE INDEX target_id ON target (id);
            CREATE TABLE child (id int REFERENCES target (id)); CREATE INDEX child_id ON child (id);
            CREATE TABLE e (r int4range, EXCLUDE USING gist (r WITH &&));
            ALTER TABLE e ADD EXCLUDE USING gist (r WITH &&)""")
        self.assertEqual(self.findings(), set())
        self.assertEqual(self.rows("SELECT index_name FROM upkeep.indexes WHERE schema_name = 's' AND backs_constraint"
                                   " ORDER BY 1"),
                         [("e_r_excl",), ("e_r_excl1",), ("one",), ("target_id",), ("two",)])

    def test_partitions(self):
        self.rows("""
            CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
            CREATE INDEX p_a ON p (a); CREATE INDEX p_ab ON p (a, b)""")
        self.assertEqual(self.findings(), {("redundant_prefix", "p_a")})
        fix, undo = self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings")[0]
        before = self.value("SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I')")
        self.rows(fix)
        self.assertEqual(self.value("SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I')"), before - 2)
        self.rows(undo)
        self.assertEqual(self.value("SELECT count(*) FROM pg_class WHERE relkind IN ('i', 'I')"), before)

    def test_invalid(self):
        self.rows("CREATE TABLE t AS SELECT 1 AS a UNION ALL SELECT 1")
        with self.assertRaises(psycopg2.Error):
            self.rows("CREATE UNIQUE INDEX CONCURRENTLY broken ON t (a)")
        self.assertEqual(self.findings(), {("invalid", "broken")})
        self.rows(self.value("SELECT fix_sql FROM upkeep.index_findings"))
        self.assertEqual(self.findings(), set())

    def test_unused_is_a_candidate_without_a_drop(self):
        self.rows("""CREATE TABLE t AS SELECT g AS a, g AS b, g AS c FROM generate_series(1, 60000) g;
            CREATE INDEX idle ON t (a); CREATE INDEX busy ON t (b); CREATE UNIQUE INDEX rule ON t (c);
            CREATE INDEX small ON t (a) WHERE a < 10""")
        self.rows("SELECT pg_stat_force_next_flush()")
        self.rows("ANALYZE t")
        self.rows("SET enable_seqscan = off; SELECT * FROM t WHERE b = 5; RESET enable_seqscan")
        self.rows("SELECT pg_stat_force_next_flush()")
        self.assertEqual(self.findings(), {("unused", "idle")})
        severity, evidence, fix = self.rows("SELECT severity, evidence, fix_sql FROM upkeep.index_findings")[0]
        self.assertEqual((severity, fix), ("info", None))
        self.assertRegex(evidence, r"candidate: 0 scans in [0-9.]+ (s|min) of counting")
        self.assertEqual(self.value("SELECT scans FROM upkeep.indexes WHERE index_name = 'busy'"), 1)

    def test_statistics(self):
        self.rows("CREATE TABLE t (a int) WITH (autovacuum_enabled = off);"
                  "INSERT INTO t SELECT generate_series(1, 5000)")
        self.rows("SELECT pg_stat_force_next_flush()")
        code = "SELECT code FROM upkeep.index_findings WHERE table_name = 't'"
        self.assertEqual(self.rows(code), [("never_analysed",)])
        self.rows(self.value("SELECT fix_sql FROM upkeep.index_findings"))
        self.assertEqual(self.rows(code), [])
        self.rows("INSERT INTO t SELECT generate_series(1, 5000)")
        self.rows("SELECT pg_stat_force_next_flush()")
        self.assertEqual(self.rows(code), [("needs_analyze",)])

    def test_foreign_keys(self):
        self.rows("""
            CREATE TABLE parent (a int, b int, PRIMARY KEY (a, b), UNIQUE (a));
            CREATE TABLE bare (a int NOT NULL, b int, FOREIGN KEY (a, b) REFERENCES parent);
            CREATE TABLE turned (a int, b int, c int, FOREIGN KEY (a, b) REFERENCES parent);
            CREATE INDEX ON turned (b, a, c);
            CREATE TABLE half (a int, b int, FOREIGN KEY (a, b) REFERENCES parent); CREATE INDEX ON half (a);
            CREATE TABLE partial (a int REFERENCES parent (a)); CREATE INDEX ON partial (a) WHERE a IS NOT NULL;
            CREATE TABLE other (a int REFERENCES parent (a)); CREATE INDEX ON other (a) WHERE a > 5;
            CREATE TABLE split (a int REFERENCES parent (a)) PARTITION BY RANGE (a);
            CREATE TABLE split1 PARTITION OF split FOR VALUES FROM (0) TO (10)""")
        self.assertEqual(self.listed(BARE), {"bare.a+b", "half.a+b", "other.a", "split.a"})
        for create, in self.rows("SELECT create_sql FROM upkeep.unindexed_foreign_keys"):
            self.rows(create)
        self.assertEqual(self.listed(BARE), set())

    def test_severity_follows_rows_and_deletes(self):
        self.rows("""CREATE TABLE parent (id int PRIMARY KEY) WITH (autovacuum_enabled = off);
            INSERT INTO parent SELECT generate_series(1, 1000);
            CREATE TABLE child (id int REFERENCES parent);
            INSERT INTO child SELECT 1 FROM generate_series(1, 2000); ANALYZE child""")
        wanted = "SELECT child_rows, severity FROM upkeep.unindexed_foreign_keys"
        self.assertEqual(self.rows(wanted), [(2000, "low")])
        self.rows("DELETE FROM parent WHERE id > 500")
        self.rows("SELECT pg_stat_force_next_flush()")
        self.assertEqual(self.rows(wanted), [(2000, "medium")])
        self.assertEqual(self.value("SELECT parent_deletes FROM upkeep.unindexed_foreign_keys"), 500)

    def test_names_with_quotes_and_letters(self):
        self.rows('''CREATE SCHEMA "Schéma ""x"""; CREATE TABLE "Schéma ""x"""."Père; --" ("Ü" int PRIMARY KEY);
            CREATE TABLE "Schéma ""x"""."Kind" ("Ü' ref" int REFERENCES "Schéma ""x"""."Père; --", "b" int);
            CREATE INDEX "Eins" ON "Schéma ""x"""."Kind" ("b"); CREATE INDEX "Zwei ""z""" ON "Schéma ""x"""."Kind" ("b")''')
        self.addCleanup(self.rows, 'DROP SCHEMA "Schéma ""x""" CASCADE')
        self.assertEqual(self.rows("SELECT table_name, index_name FROM upkeep.index_findings"),
                         [('"Schéma ""x"""."Kind"', 'Zwei "z"')])
        for fix, undo in self.rows("SELECT fix_sql, undo_sql FROM upkeep.index_findings"
                                   " UNION ALL SELECT create_sql, undo_sql FROM upkeep.unindexed_foreign_keys"):
            self.rows(fix)
            self.rows(undo)
            self.rows(fix)
        self.assertEqual((self.findings(), self.listed(BARE)), (set(), set()))

    def test_indexes_against_the_catalog(self):
        self.rows("CREATE TABLE t (a int PRIMARY KEY, b int); CREATE INDEX ON t USING hash (b)")
        self.assertEqual(
            self.rows("SELECT schema_name, table_name, index_name, definition, scans, size_bytes FROM upkeep.indexes"
                      " WHERE schema_name = 's' ORDER BY 3"),
            self.rows("SELECT s.schemaname, s.relname, s.indexrelname, d.indexdef, s.idx_scan,"
                      " pg_relation_size(s.indexrelid) FROM pg_stat_user_indexes s JOIN pg_indexes d"
                      " ON (d.schemaname, d.indexname) = (s.schemaname, s.indexrelname)"
                      " WHERE s.schemaname = 's' ORDER BY 3"))
        self.assertEqual(self.rows("SELECT index_name, kind, is_unique, is_primary, backs_constraint FROM"
                                   " upkeep.indexes WHERE schema_name = 's' ORDER BY 1"),
                         [("t_b_idx", "hash", False, False, False), ("t_pkey", "btree", True, True, True)])
        self.assertTrue(self.value("SELECT bool_and(counters_since_at <= now()) FROM upkeep.indexes"))

    def test_another_sessions_temporary_table(self):
        other = connect(self.database)
        self.addCleanup(other.close)
        self.run_on(other, "CREATE TEMP TABLE x (a int); CREATE INDEX ON x (a); CREATE INDEX ON x (a)")
        self.assertEqual(self.findings(), set())


if __name__ == "__main__":
    unittest.main()
