"""Health in SQLite: golden lists of findings, each check with a state that warns and one that is ok, sizes,
settings advice."""
import os
import pathlib
import sqlite3
import tempfile
import unittest

import host

SCENARIOS = pathlib.Path(__file__).resolve().parents[1] / "scenarios"
REDUNDANT = "SELECT index_name FROM upkeep_index_findings WHERE code IN ('duplicate', 'redundant_prefix')"
BARE = "SELECT table_name || '.' || columns FROM upkeep_unindexed_foreign_keys"
SCHEMA = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'index' ORDER BY 1"


class HealthCase(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(lambda: self.db.close())

    def open_file(self, **options):
        """self.db becomes a connection to a new file; its path."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "h.db")
        self.db.close()
        self.db = host.connect(database=path, isolation_level=None, **options)
        return path

    def listed(self, sql):
        names = [name for (name,) in self.rows(sql)]
        self.assertEqual(len(names), len(set(names)), names)
        return set(names)

    def findings(self):
        return set(self.rows("SELECT code, index_name FROM upkeep_index_findings"))


class GoldenListsTest(HealthCase):
    def test_engine(self):
        self.db.executescript((SCENARIOS / "engine_schema.sqlite.sql").read_text(encoding="utf-8"))
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_indexes"), 45)  # 46 less the GIN index
        self.assertEqual(self.listed(REDUNDANT), {
            "idx_workflow_executions_workflow_id", "idx_workflow_executions_execution_id",
            "idx_workflow_actions_workflow_id", "idx_workflow_actions_order",
            "idx_execution_logs_execution_id", "idx_allowed_commenters_username"})
        self.assertEqual(self.listed(BARE), {'workflow_executions.["parent_execution_id"]',
                                             'execution_logs.["action_id"]'})
        before = self.rows(SCHEMA)
        findings = self.rows("SELECT fix_sql, undo_sql FROM upkeep_index_findings WHERE covered_by IS NOT NULL")
        keys = self.rows("SELECT create_sql, undo_sql FROM upkeep_unindexed_foreign_keys")
        for fix, _ in findings + keys:
            self.rows(fix)
        self.assertEqual((self.listed(REDUNDANT), self.listed(BARE)), (set(), set()))
        for _, undo in findings + keys:
            self.rows(undo)
        self.assertEqual(self.rows(SCHEMA), before)

    def test_guide_profile(self):
        self.rows("SELECT * FROM upkeep_install_workflow_schema('main', 'guide')")
        self.assertEqual(self.listed(REDUNDANT), {
            "idx_workflow_executions_workflow_id", "idx_workflow_executions_execution_id",
            "idx_integration_events_integration_id"})
        self.assertEqual(self.listed(BARE), {'workflow_executions.["parent_execution_id"]'})

    def test_corrected_profile_has_neither(self):
        self.rows("SELECT * FROM upkeep_install_workflow_schema('main', 'corrected')")
        self.assertEqual((self.listed(REDUNDANT), self.listed(BARE)), (set(), set()))


class FindingsTest(HealthCase):
    def test_only_what_is_the_same(self):
        self.db.executescript("""
            CREATE TABLE t(a TEXT, b INTEGER UNIQUE, c INTEGER);
            CREATE INDEX plain ON t(a); CREATE INDEX other_collation ON t(a COLLATE NOCASE);
            CREATE INDEX some ON t(a) WHERE b > 5; CREATE INDEX lowered ON t(lower(a));
            CREATE INDEX up ON t(c); CREATE INDEX down ON t(c DESC); CREATE INDEX mixed ON t(b, c DESC);
            CREATE INDEX straight ON t(b, c); CREATE UNIQUE INDEX rule ON t(a, c)""")
        self.assertEqual(self.findings(), {("redundant_prefix", "plain"), ("duplicate", "up")})
        self.assertEqual(self.rows("SELECT covered_by FROM upkeep_index_findings ORDER BY 1"), [("down",), ("rule",)])

    def test_expressions_and_predicates_are_compared(self):
        self.db.executescript("""
            CREATE TABLE t(a TEXT, b INTEGER);
            CREATE INDEX e1 ON t(lower(a)); CREATE INDEX e2 ON t(lower(a)); CREATE INDEX e3 ON t(upper(a));
            CREATE INDEX p1 ON t(b) WHERE a = 'x'; CREATE INDEX p2 ON t(b) WHERE a = 'x'; CREATE INDEX p3 ON t(b) WHERE a = 'y'""")
        self.assertEqual(self.findings(), {("duplicate", "e2"), ("duplicate", "p2")})

    def test_constraints_and_unique_indexes_are_left_alone(self):
        self.db.executescript("""
            CREATE TABLE t(a TEXT PRIMARY KEY, b TEXT, UNIQUE (a, b)); CREATE UNIQUE INDEX u ON t(b);
            CREATE INDEX wide ON t(b, a);
            CREATE TABLE w(a TEXT PRIMARY KEY, b TEXT) WITHOUT ROWID; CREATE INDEX w_a ON w(a)""")
        self.assertEqual(self.findings(), {("duplicate", "w_a")})

    def test_foreign_keys(self):
        self.db.executescript("""
            CREATE TABLE parent(a INTEGER, b INTEGER, PRIMARY KEY (a, b)); CREATE TABLE one(id INTEGER PRIMARY KEY);
            CREATE TABLE bare(a INTEGER NOT NULL, b INTEGER, FOREIGN KEY (a, b) REFERENCES parent);
            CREATE TABLE turned(a INTEGER, b INTEGER, c, FOREIGN KEY (A, B) REFERENCES parent); CREATE INDEX t1 ON turned(b, a, c);
            CREATE TABLE same(id INTEGER PRIMARY KEY REFERENCES one);
            CREATE TABLE partial(x INTEGER REFERENCES one); CREATE INDEX p1 ON partial(x) WHERE x IS NOT NULL;
            CREATE TABLE other(x INTEGER REFERENCES one); CREATE INDEX o1 ON other(x) WHERE x > 5""")
        self.assertEqual(self.listed(BARE), {'bare.["a","b"]', 'other.["x"]'})
        for create, in self.rows("SELECT create_sql FROM upkeep_unindexed_foreign_keys"):
            self.rows(create)
        self.assertEqual(self.listed(BARE), set())

    def test_the_partial_index_that_is_advised_serves_deletes(self):
        self.db.executescript("PRAGMA foreign_keys = ON; CREATE TABLE one(id INTEGER PRIMARY KEY);"
                              "CREATE TABLE child(x INTEGER REFERENCES one)")
        delete = "EXPLAIN DELETE FROM one WHERE id = 1"
        opened = lambda: {row[3] for row in self.rows(delete) if row[1] == "OpenRead"}
        self.rows(self.value("SELECT create_sql FROM upkeep_unindexed_foreign_keys"))
        root = self.value("SELECT rootpage FROM sqlite_schema WHERE name = 'idx_child_x'")
        self.assertIn(root, opened())

    def test_names_with_quotes_and_letters(self):
        self.rows("ATTACH ':memory:' AS \"an'dere\"")
        self.db.executescript("""
            CREATE TABLE "an'dere"."Père; --"("Ü" INTEGER PRIMARY KEY);
            CREATE TABLE "an'dere"."select"("Ü ""ref" INTEGER REFERENCES "Père; --", b INTEGER);
            CREATE INDEX "an'dere"."Eins" ON "select"(b DESC, "Ü ""ref") WHERE b > 0;
            CREATE INDEX "an'dere"."Zwei ""z" ON "select"(b DESC, "Ü ""ref") WHERE b > 0""")
        self.assertEqual(self.findings(), {("duplicate", 'Zwei "z')})
        before = self.rows("SELECT name FROM \"an'dere\".sqlite_schema ORDER BY 1")
        advice = self.rows("SELECT fix_sql, undo_sql FROM upkeep_index_findings"
                           " UNION ALL SELECT create_sql, undo_sql FROM upkeep_unindexed_foreign_keys")
        self.assertEqual(len(advice), 2)
        for fix, _ in advice:
            self.rows(fix)
        self.assertEqual((self.findings(), self.listed(BARE)), (set(), set()))
        for _, undo in advice:
            self.rows(undo)
        self.assertEqual(self.rows("SELECT name FROM \"an'dere\".sqlite_schema ORDER BY 1"), before)
        self.assertEqual(self.findings(), {("duplicate", 'Zwei "z')})

    def filled(self, indexes, rows=20000):
        self.db.executescript(f"""CREATE TABLE t(a INTEGER, b INTEGER, c TEXT); {indexes};
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
            INSERT INTO t SELECT i, i % 4, 'text ' || i FROM n; ANALYZE""")

    def fixed_and_undone(self, code, is_dropped=True):
        before = self.rows(SCHEMA)
        fix, undo = self.rows("SELECT fix_sql, undo_sql FROM upkeep_index_findings WHERE code = ?", code)[0]
        self.rows(fix)
        self.assertEqual(self.rows("SELECT * FROM upkeep_index_findings WHERE code = ?", code), [])
        if is_dropped:
            self.rows(undo)
        self.assertEqual(self.rows(SCHEMA), before)

    def test_redundant_partial(self):
        self.filled("CREATE INDEX whole ON t(a, c); CREATE INDEX most ON t(a) WHERE a > 5; CREATE INDEX few ON t(a) WHERE a < 5;"
                    "CREATE UNIQUE INDEX rule ON t(a) WHERE a > 6")
        self.assertEqual(self.findings(), {("redundant_partial", "most")})
        self.assertEqual(self.value("SELECT covered_by FROM upkeep_index_findings"), "whole")
        self.fixed_and_undone("redundant_partial")

    def test_low_cardinality(self):
        self.filled("CREATE INDEX few ON t(b); CREATE INDEX many ON t(a); CREATE INDEX two ON t(b, c); DROP INDEX two")
        self.assertEqual(self.findings(), {("low_cardinality", "few")})
        evidence, fix = self.rows("SELECT evidence, fix_sql FROM upkeep_index_findings")[0]
        self.assertIn("has 4 values in about 20000 rows, and whether one of them is rare is not known", evidence)
        self.assertIsNone(fix)

    def test_bloated(self):
        self.open_file()
        self.filled("CREATE INDEX holes ON t(c)", 200000)
        self.assertEqual(self.findings(), set())
        self.rows("DELETE FROM t WHERE a % 5 < 3")
        self.assertIn(("bloated", "holes"), self.findings())
        self.fixed_and_undone("bloated", is_dropped=False)

    def test_statistics(self):
        self.db.executescript("CREATE TABLE t(a INTEGER); CREATE INDEX i ON t(a); CREATE TABLE no_index(a);"
                              "CREATE TABLE small(a INTEGER); CREATE INDEX s ON small(a); INSERT INTO small VALUES (1)")
        fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO %s SELECT i FROM n"
        self.rows(fill % "t")
        self.rows(fill % "no_index")
        codes = "SELECT code, table_name FROM upkeep_index_findings"
        self.assertEqual(self.rows(codes), [("never_analysed", "t")])
        self.rows(self.value("SELECT fix_sql FROM upkeep_index_findings"))
        self.assertEqual(self.rows(codes), [])
        self.rows(fill % "t")
        self.assertEqual(self.rows(codes), [("needs_analyze", "t")])

    def test_indexes(self):
        self.db.executescript("CREATE TABLE t(a TEXT PRIMARY KEY, b INTEGER UNIQUE); CREATE UNIQUE INDEX u ON t(a, b);"
                              "CREATE INDEX i ON t(b) WHERE b > 5")
        self.assertEqual(
            self.rows("SELECT index_name, kind, is_unique, is_primary, backs_constraint FROM upkeep_indexes ORDER BY 1"),
            [("i", "btree", 0, 0, 0), ("sqlite_autoindex_t_1", "btree", 1, 1, 1),
             ("sqlite_autoindex_t_2", "btree", 1, 0, 1), ("u", "btree", 1, 0, 0)])
        self.assertEqual(self.value("SELECT definition FROM upkeep_indexes WHERE index_name = 'i'"),
                         "CREATE INDEX i ON t(b) WHERE b > 5")
        self.assertEqual(self.value("SELECT sum(size_bytes) FROM upkeep_indexes"), 4 * 4096)
        self.assertEqual(self.rows("SELECT DISTINCT scans, last_used_at, counters_since_at FROM upkeep_indexes"),
                         [(None, None, None)])

    def test_nothing_to_find(self):
        for view in ("indexes", "index_findings", "unindexed_foreign_keys", "table_sizes"):
            self.assertEqual(self.rows(f"SELECT * FROM upkeep_{view}"), [])


class ChecksTest(HealthCase):
    def check(self, code):
        cursor = self.db.execute("SELECT * FROM upkeep_check_health WHERE code = ?", (code,))
        names = [column[0] for column in cursor.description]
        (row,) = cursor.fetchall()
        return dict(zip(names, row))

    def expect(self, code, status, evidence=""):
        row = self.check(code)
        self.assertEqual(row["status"], status, row)
        self.assertIn(evidence, row["evidence"])
        self.assertEqual(row["advice"] is None, status == "ok", row)
        return row

    def fixed(self, code, status, evidence=""):
        """It has this status, its fix runs, and then it is ok."""
        for statement in self.expect(code, status, evidence)["fix_sql"].split(";\n"):
            self.rows(statement)
        self.expect(code, "ok")

    def test_fresh_file(self):
        self.open_file()
        rows = self.rows("SELECT section, code, status, title, evidence FROM upkeep_check_health")
        self.assertGreaterEqual(len(rows), 30)
        status = {row[1]: row[2] for row in rows}
        self.assertEqual([code for code, is_ in status.items() if is_ == "fail"], [])
        for row in rows:
            self.assertTrue(all(row), row)
        for code in ("daily_backup", "backups_verified", "backups_off_site", "recovery_tested",
                     "backup_retention", "point_in_time_recovery", "slow_statement_log"):
            self.assertEqual(status[code], "unknown", code)
        for code in ("pool_size", "connection_headroom", "statement_timeout", "integrity", "database_size"):
            self.assertEqual(status[code], "manual", code)

    def test_in_memory(self):
        for code in ("journal_mode", "synchronous", "wal_size", "file_permissions", "freelist"):
            self.expect(code, "ok")

    def test_pragmas_of_the_connection(self):
        self.open_file()
        self.rows("PRAGMA busy_timeout = 0")
        self.fixed("busy_timeout", "warn", "busy_timeout = 0 ms (warn below 1000 ms)")
        self.rows("PRAGMA trusted_schema = ON")
        self.fixed("trusted_schema", "warn")
        self.rows("PRAGMA wal_autocheckpoint = 0")
        self.fixed("wal_autocheckpoint", "warn")
        self.rows("PRAGMA synchronous = OFF")
        self.fixed("synchronous", "fail", "synchronous = off with journal_mode = delete")
        self.rows("PRAGMA synchronous = NORMAL")
        self.expect("synchronous", "warn")  # without WAL
        self.fixed("journal_mode", "warn", "journal_mode = delete")
        self.expect("synchronous", "ok", "journal_mode = wal")
        self.rows("PRAGMA journal_mode = OFF")
        self.rows("PRAGMA journal_mode = MEMORY")
        self.expect("journal_mode", "fail")

    def test_foreign_keys(self):
        self.open_file()
        self.expect("foreign_keys_enforced", "ok", "0 foreign keys declared")
        self.db.executescript("CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY REFERENCES p)")
        self.expect("foreign_key_violations", "ok")
        self.rows("INSERT INTO c VALUES (1), (2)")
        self.fixed("foreign_keys_enforced", "fail", "foreign_keys = off on this connection, 1 foreign keys declared")
        self.expect("foreign_key_violations", "fail", "2 rows without their parent: c (2)")
        self.rows("INSERT INTO p VALUES (1), (2)")
        self.expect("foreign_key_violations", "ok")
        self.db.executescript("PRAGMA foreign_keys = OFF; CREATE TABLE lost(a REFERENCES p(nowhere)); INSERT INTO lost VALUES (1)")
        self.expect("foreign_key_violations", "unknown", "foreign key mismatch")

    def test_indexes(self):
        self.db.executescript("CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(x INTEGER REFERENCES p, a, b);"
                              "CREATE INDEX one ON c(a); CREATE INDEX two ON c(a, b)")
        self.fixed("unindexed_foreign_keys", "warn", "1 of 1 foreign keys have no index: c (x)")
        self.fixed("redundant_indexes", "warn", ": one ")
        self.expect("unused_indexes", "unknown", "too little was captured")
        self.expect("stale_statistics", "ok")
        self.rows("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO c(a) SELECT i FROM n")
        self.fixed("stale_statistics", "warn", "1 of 1 tables have no current statistics: c")

    def test_free_pages(self):
        self.open_file()
        self.db.executescript("CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
                              " INSERT INTO t SELECT zeroblob(1000) FROM n")
        self.expect("freelist", "ok", "0 of ")
        self.rows("DELETE FROM t WHERE rowid > 2500")
        self.expect("freelist", "warn")
        self.rows("DELETE FROM t")
        self.expect("auto_vacuum", "warn", "auto_vacuum = none")
        self.fixed("freelist", "fail")
        self.fixed_auto_vacuum()

    def fixed_auto_vacuum(self):
        self.db.executescript("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)"
                              " INSERT INTO t SELECT zeroblob(1000) FROM n; DELETE FROM t")
        self.fixed("auto_vacuum", "warn")
        self.assertEqual(self.value("PRAGMA auto_vacuum"), 2)

    def test_little_free_space_does_not_matter(self):
        self.open_file()
        self.db.executescript("CREATE TABLE t(b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                              " INSERT INTO t SELECT zeroblob(1000) FROM n; DELETE FROM t")
        self.expect("freelist", "ok", "too few to matter")
        self.expect("auto_vacuum", "ok")

    def test_wal_size(self):
        path = self.open_file()
        self.rows("PRAGMA journal_mode = WAL")
        self.db.executescript("CREATE TABLE t(b); PRAGMA wal_autocheckpoint = 0;"
                              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70)"
                              " INSERT INTO t SELECT zeroblob(1000000) FROM n")
        self.assertGreater(os.stat(path + "-wal").st_size, 64 << 20)
        self.fixed("wal_size", "warn", f"the WAL file has {os.stat(path + '-wal').st_size} bytes")
        self.expect("foreign_key_violations", "unknown", "run PRAGMA foreign_key_check in a quiet hour")  # over 64 MB

    def test_file_permissions(self):
        path = self.open_file()
        self.rows("CREATE TABLE t(a)")
        for mode, status in ((0o600, "ok"), (0o660, "ok"), (0o666, "fail")):
            os.chmod(path, mode)
            self.expect("file_permissions", status)

    def test_page_size_and_types(self):
        self.open_file()
        self.rows("PRAGMA page_size = 1024")
        self.rows("CREATE TABLE strict_one(a INTEGER) STRICT")
        self.expect("page_size", "warn", "page_size = 1024")
        self.expect("strict_tables", "ok", "0 of 1 tables are not STRICT")
        self.rows("CREATE TABLE loose(a INTEGER)")
        self.expect("strict_tables", "warn", "1 of 2 tables are not STRICT: loose")
        self.open_file()
        self.rows("CREATE TABLE t(a)")
        self.expect("page_size", "ok")

    def test_sequences(self):
        self.expect("sequences_near_end", "ok", "no AUTOINCREMENT")
        self.rows("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)")
        self.rows("INSERT INTO t VALUES (5)")
        self.expect("sequences_near_end", "ok", "highest AUTOINCREMENT is 5, of t")
        self.rows("INSERT INTO t VALUES (?)", 2 ** 63 - 1000)
        self.expect("sequences_near_end", "fail")

    def test_nothing_is_written(self):
        path = self.open_file()
        self.db.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        before = pathlib.Path(path).read_bytes()
        changes = self.db.total_changes
        for call in ("check_health", "index_findings", "unindexed_foreign_keys", "indexes", "database_stats",
                     "table_sizes", "advise_settings"):
            self.rows(f"SELECT * FROM upkeep_{call}")
        self.assertEqual((pathlib.Path(path).read_bytes(), self.db.total_changes), (before, changes))

    def test_read_only_connection(self):
        path = self.open_file()
        self.db.executescript("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
        self.db.close()
        self.db = host.connect(database=f"file:{path}?mode=ro", uri=True)
        self.assertGreaterEqual(len(self.rows("SELECT * FROM upkeep_check_health")), 30)
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_table_sizes"), 1)


class SizesTest(HealthCase):
    def fill(self):
        self.open_file()
        self.db.executescript("CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX i ON t(b);"
                              "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                              " INSERT INTO t SELECT i, 'row number ' || i FROM n")

    def test_measured(self):
        self.fill()
        size = lambda name: self.value("SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = 1", name)
        self.assertEqual(self.rows("SELECT table_name, rows_estimate, table_bytes, index_bytes, total_bytes FROM upkeep_table_sizes"),
                         [("t", 5000, size("t"), size("i"), size("t") + size("i"))])
        self.assertLess(self.value("SELECT bloat_ratio FROM upkeep_table_sizes"), 0.1)
        self.rows("DELETE FROM t WHERE a % 4 <> 0")
        self.assertGreater(self.value("SELECT bloat_ratio FROM upkeep_table_sizes"), 0.2)

    def test_estimated_without_dbstat(self):
        self.fill()
        measured = self.rows("SELECT table_bytes, index_bytes FROM upkeep_table_sizes")[0]
        # dbstat that may not be read is as good as none
        self.db.set_authorizer(lambda action, one, *_: sqlite3.SQLITE_DENY
                               if action == sqlite3.SQLITE_READ and one == "dbstat" else sqlite3.SQLITE_OK)
        table, index, bloat = self.rows("SELECT table_bytes, index_bytes, bloat_ratio FROM upkeep_table_sizes")[0]
        self.assertIsNone(bloat)
        self.assertAlmostEqual(table / measured[0], 1, delta=0.3)
        self.assertAlmostEqual(index / measured[1], 1, delta=0.6)
        self.assertEqual(self.rows("SELECT size_bytes FROM upkeep_indexes"), [(None,)])

    def test_database_stats(self):
        self.fill()
        self.rows("ATTACH ':memory:' AS other")
        self.rows("CREATE TABLE other.x(a)")
        rows = {row[0]: row[1:] for row in self.rows("SELECT * FROM upkeep_database_stats")}
        self.assertEqual(set(rows), {"main", "other"})
        size = self.value("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        self.assertEqual(rows["main"][11], size)
        self.assertTrue(0 < rows["main"][7] <= 1)
        for place in (*range(0, 7), 8, 9, 10, 12, 13, 14):
            self.assertIsNone(rows["main"][place])


class SettingsTest(HealthCase):
    def settings(self, call=""):
        cursor = self.db.execute(f"SELECT * FROM upkeep_advise_settings{call}")
        names = [column[0] for column in cursor.description]
        return {row[0]: dict(zip(names, row)) for row in cursor}

    def test_all_of_it_runs(self):
        self.open_file()
        self.rows("CREATE TABLE t(a)")
        rows = self.settings("(17179869184)")
        self.assertEqual(rows["journal_mode"]["current_value"], "delete")
        self.assertEqual(rows["foreign_keys"]["advised_value"], "on")
        self.assertEqual(rows["cache_size"]["advised_value"], "-2048")
        for row in rows.values():
            if row["set_sql"]:
                self.rows(row["set_sql"])
        self.assertEqual({name for name, row in self.settings("(17179869184)").items() if row["set_sql"]} - {"mmap_size"},
                         {"optimize"})

    def test_a_large_file_gets_a_larger_cache(self):
        self.open_file()
        self.rows("CREATE TABLE t(a)")
        self.rows("INSERT INTO t VALUES (zeroblob(20000000))")
        self.assertLess(int(self.settings("(17179869184)")["cache_size"]["advised_value"]), -19000)

    def test_detected_ram(self):
        self.assertIn("RAM ", self.settings()["cache_size"]["evidence"])
        self.assertIn("(given)", self.settings("(17179869184)")["cache_size"]["evidence"])
        self.assertEqual(self.settings()["mmap_size"]["advised_value"], "0")  # no file

    def test_bad_input(self):
        for call, wanted in (("(-1)", "ram_bytes must be between"), ("('much')", "ram_bytes must be an integer"),
                             ("(NULL, 0)", "cpus must be between"), ("(NULL, NULL, 'tape')", 'unknown storage "tape"'),
                             ("(NULL, NULL, NULL)", "storage must not be null"),
                             ("(NULL, NULL, 'ssd', 'OLTP')", 'unknown workload "OLTP"'),
                             ("(NULL, NULL, 'ssd', 'oltp', 0)", "max_connections must be between")):
            self.refuses(wanted, f"SELECT * FROM upkeep_advise_settings{call}")


if __name__ == "__main__":
    unittest.main()
