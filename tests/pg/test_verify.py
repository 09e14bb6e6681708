# cluster: shared_preload_libraries=upkeep_preload
# cluster: autovacuum=off
"""verify_indexes: a useful, a useless and a harmful index are told apart; nothing is left of any of them, however the
call ends; what it may not build, run or use it says."""
import os
import subprocess
import tempfile
import threading
import time
import unittest

import psycopg2

import scenario
from host import Asks, connect
from server import Server
from standby import Standby

SETUP = """
CREATE TABLE t AS SELECT g AS id, g % 1000 AS a, g % 2 AS half, repeat('x', 100) AS filler FROM generate_series(1, 100000) AS g;
CREATE TABLE late AS SELECT g AS id, (g > 180000) AS wanted, hashint4(g) AS shuffled, repeat('x', 100) AS filler
    FROM generate_series(1, 200000) AS g;
UPDATE late SET shuffled = CASE WHEN wanted THEN 2147483647 ELSE shuffled END;
CREATE TABLE empty_one (a int);
CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO empty_one VALUES (1); RETURN 1; END $$;
CREATE ROLE verifies LOGIN; CREATE TABLE own_one AS SELECT g AS a FROM generate_series(1, 1000) AS g;
ALTER TABLE own_one OWNER TO verifies; GRANT CREATE ON SCHEMA public TO verifies;
VACUUM ANALYZE;
ALTER TABLE late SET (autovacuum_enabled = off);
CREATE INDEX late_wanted ON late (id) WHERE wanted;
UPDATE late SET wanted = false WHERE id > 180020;
VACUUM late;
"""
USEFUL, QUERY = "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a)", "SELECT count(filler) FROM t WHERE a = 7"
HARMFUL = "CREATE INDEX late_shuffled ON late (shuffled)"
HARMED = "SELECT * FROM late WHERE wanted ORDER BY shuffled LIMIT 10"
CALL = "SELECT * FROM upkeep.verify_indexes(%s, %s, confirm => true)"


class Verify(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for statement in SETUP.rstrip().rstrip(";").split(";\n"):
            cls.run_on(cls.db, statement)
        cls.server = Server()

    def setUp(self):
        self.files = self.state()

    def tearDown(self):
        """Whatever the test did: no index, no relation, no file, no lock is left."""
        self.assertEqual(self.state(), self.files)

    def state(self):
        self.rows("CHECKPOINT")
        names = self.rows("SELECT relname FROM pg_class WHERE relkind IN ('i', 'I') AND relnamespace = 'public'::regnamespace")
        folder = self.server.data / "base" / str(self.value("SELECT oid FROM pg_database WHERE datname = current_database()"))
        # Of our own tables: toast and catalogs grow by themselves.
        files = sorted(file.name for file in folder.iterdir() if file.name.isdigit())
        locks = self.rows("SELECT count(*) FROM pg_locks WHERE mode = 'ShareLock' AND locktype = 'relation'")
        return names, files, locks

    def verify(self, indexes, statements, connection=None):
        found = self.run_on(connection or self.db, CALL, (indexes, statements))
        self.assertEqual([row[0] for row in found], statements)
        return found

    def one(self, index, statement):
        (_, before, after, ratio, changed, verdict), = self.verify([index], [statement])
        if before:
            self.assertAlmostEqual(ratio, after / before)
        return before, after, changed, verdict

    def test_a_useful_index_is_better(self):
        before, after, changed, verdict = self.one(USEFUL, QUERY)
        self.assertEqual((changed, verdict), (True, "better"))
        self.assertGreater(before, 2 * after)
        # The oracle: the same index, built to stay, and the server's own times.
        self.rows("CREATE INDEX t_a ON t (a)")
        built = min(self.value(f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERY}")[0]["Execution Time"] for _ in range(5))
        self.rows("DROP INDEX t_a")
        scanned = min(self.value(f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERY}")[0]["Execution Time"] for _ in range(5))
        self.assertLess(built, scanned / 2)
        self.assertLess(before, scanned * 10)
        self.assertLess(after, scanned)

    def test_a_useless_index_is_same(self):
        for statement in ("SELECT count(*) FROM t WHERE half = 1", "SELECT count(*) FROM late", "SELECT 1"):
            before, after, changed, verdict = self.one("CREATE INDEX ON t (id)", statement)
            self.assertEqual((changed, verdict), (False, "same"), statement)
            self.assertIsNotNone(before)
            self.assertIsNotNone(after)

    def test_a_harmful_index_is_worse(self):
        """The planner expects many wanted rows, everywhere in the order; they are few, at its end. Without the index it reads
        these few, so the harm is many times any noise."""
        before, after, changed, verdict = self.one(HARMFUL, HARMED)
        self.assertEqual((changed, verdict), (True, "worse"), (before, after))
        self.assertGreater(after, before)

    def test_several(self):
        found = self.verify([USEFUL, HARMFUL], [QUERY, HARMED, "SELECT max(half) FROM t"])
        self.assertEqual([row[5] for row in found], ["better", "worse", "same"])

    def test_functions_plan_anew(self):
        self.rows("CREATE FUNCTION counts() RETURNS bigint LANGUAGE plpgsql STABLE AS"
                  " $$ BEGIN RETURN (SELECT count(filler) FROM t WHERE a = 7); END $$")
        before, after, _, _ = self.one(USEFUL, "SELECT counts()")
        self.assertGreater(before, 2 * after)  # its plan is none of the statement's, its time is
        self.rows("SELECT counts(); DROP FUNCTION counts()")

    def test_what_has_effects_is_only_planned(self):
        for statement in ("DELETE FROM t WHERE a = 7", "SELECT note()", "SELECT * FROM t WHERE a = 7 FOR UPDATE",
                          "UPDATE t SET half = 0 WHERE a = 7", "SELECT * FROM t WHERE a = $1"):
            self.db.notices.clear()
            before, after, changed, verdict = self.one(USEFUL, statement)
            self.assertEqual((before, after, verdict), (None, None, "not_testable_now"), statement)
            self.assertEqual(changed, "a =" in statement, statement)
            self.assertIn("was only planned", "".join(self.db.notices))
        self.assertEqual(self.value("SELECT count(*) FROM t"), 100000)
        self.assertEqual(self.value("SELECT count(*) FROM empty_one"), 0)

    def test_an_old_snapshot_with_hot_updates(self):
        self.rows("CREATE TABLE hot (id int, v int, filler text) WITH (fillfactor = 50);"
                  "INSERT INTO hot SELECT g, g, repeat('x', 50) FROM generate_series(1, 20000) AS g; ANALYZE hot")
        old = connect(self.database)
        old.autocommit = False
        self.run_on(old, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        self.run_on(old, "SELECT count(*) FROM hot")
        self.rows("UPDATE hot SET v = v + 1 WHERE id % 3 = 0")
        statement = "SELECT filler FROM hot WHERE v = 77"
        self.db.notices.clear()
        found = self.verify(["CREATE INDEX ON hot (v)", USEFUL], [statement, QUERY])
        self.assertEqual(found[0][1:], (None, None, None, None, "not_testable_now"))
        self.assertEqual(found[1][5], "better")
        self.assertIn("older transactions", "".join(self.db.notices))
        # The oracle: in the transaction that builds it, the server itself does not use it either.
        db = connect(self.database)
        db.autocommit = False
        self.run_on(db, "CREATE INDEX hot_v ON hot (v)")
        self.assertEqual(self.run_on(db, "SELECT indcheckxmin FROM pg_index WHERE indexrelid = 'hot_v'::regclass"), [(True,)])
        self.assertIn("Seq Scan", str(self.run_on(db, f"EXPLAIN {statement}")))
        db.rollback()
        db.close()
        old.rollback()
        old.close()
        self.rows("VACUUM hot")
        self.assertEqual(self.verify(["CREATE INDEX ON hot (v)"], [statement])[0][4:], (True, "better"))
        self.rows("DROP TABLE hot")

    def test_partitions(self):
        self.rows("CREATE TABLE parted (id int, a int, filler text) PARTITION BY RANGE (id);"
                  "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (50000);"
                  "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50000) TO (200000);"
                  "INSERT INTO parted SELECT id, a, filler FROM t; ANALYZE parted")
        for statement in ("SELECT count(filler) FROM parted WHERE a = 7", "SELECT count(filler) FROM parted_2 WHERE a = 7"):
            self.assertEqual(self.verify(["CREATE INDEX ON parted (a)"], [statement])[0][4:], (True, "better"))
        self.refuses("0A000", "only the root", CALL, ["CREATE INDEX ON ONLY parted (a)"], ["SELECT 1"])
        self.refuses("54000", "max_table_bytes is 1000000", "SELECT * FROM upkeep.verify_indexes(%s, %s, max_table_bytes =>"
                     " 1000000, confirm => true)", ["CREATE INDEX ON parted (a)"], ["SELECT 1"])
        self.rows("DROP TABLE parted")

    def test_bad_input(self):
        for index, state, wanted in (
                ("DROP TABLE t", "22023", "not one CREATE INDEX"), ("SELECT 1", "22023", "not one CREATE INDEX"),
                ("CREATE INDEX ON t (a); DROP TABLE t", "22023", "not one CREATE INDEX"), ("", "22023", "empty"),
                ("CREATE TABLE x ()", "22023", "not one CREATE INDEX"), ("REINDEX TABLE t", "22023", "not one CREATE INDEX"),
                ("CREATE INDEX", "42601", "syntax error"), ("CREATE INDEX ON nowhere (a)", "42P01", "does not exist"),
                ("CREATE INDEX ON t (nothing)", "42703", "does not exist"), ("CREATE INDEX ON t (random())", "42P17", "IMMUTABLE"),
                ("CREATE INDEX t ON t (a)", "42P07", "already exists"), ("CREATE INDEX ON pg_class (relpages)", "42501", "denied"),
                ("CREATE UNIQUE INDEX ON t (a)", "23505", "could not create unique index"),
                ("CREATE INDEX ON t USING nothing (a)", "42704", "does not exist")):
            self.refuses(state, wanted, CALL, [index], ["SELECT 1"])
        for statement, state, wanted in (("SELEC", "22023", "syntax error"), ("", "22023", "empty"), ("VACUUM", "22023", "no plan"),
                                         ("SELECT * FROM nowhere", "42704", "does not exist"),
                                         ("SELECT 1; SELECT 2", "22023", "2 statements")):
            self.refuses(state, wanted, CALL, [USEFUL], [statement])
        self.refuses("22023", "statement 2: ", CALL, [USEFUL], ["SELECT 1", "SELEC"])
        for arguments, wanted in (("'{}'", "create_sql is empty"), ("NULL", "create_sql"), ("ARRAY[%s], '{}'", "statements is empty"),
                                  ("ARRAY[%s], runs => 0", "runs"), ("ARRAY[%s], runs => 101", "runs"),
                                  ("ARRAY[%s], time_limit => '0 s'", "time_limit"),
                                  ("ARRAY[%s], max_table_bytes => 0", "max_table_bytes"),
                                  ("ARRAY[NULL, %s]", "null elements")):
            self.refuses("22023", wanted, f"SELECT * FROM upkeep.verify_indexes({arguments}, confirm => true)",
                         *([USEFUL] if "%s" in arguments else []))
        error = self.refuses("22023", "wants a yes", "SELECT * FROM upkeep.verify_indexes(ARRAY[%s], '{SELECT 1}')", USEFUL)
        self.assertIn("writers of the tables", error.diag.message_hint)
        self.refuses("54000", "max_table_bytes is 5", "SELECT * FROM upkeep.verify_indexes(ARRAY[%s], max_table_bytes => 5,"
                     " confirm => true)", USEFUL)
        self.refuses("22023", "division by zero", CALL, [USEFUL], ["SELECT 1 / (id - 5) FROM t"])
        self.rows("BEGIN READ ONLY")
        self.refuses("25006", "read-only", CALL, [USEFUL], [QUERY])
        self.rows("ROLLBACK")
        self.refuses("55006", "being used", "SELECT * FROM t, " + CALL[14:] + " LIMIT 1", [USEFUL], [QUERY])

    def test_rights_are_the_callers(self):
        verifies = connect(self.database, user="verifies")
        found = self.verify(["CREATE INDEX ON own_one (a)"], ["SELECT * FROM own_one WHERE a = 7"], verifies)
        self.assertIn(found[0][5], ("better", "same"))
        self.refuses("42501", "must be owner of table t", CALL, [USEFUL], ["SELECT 1"], connection=verifies)
        self.refuses("42501", "denied", CALL, ["CREATE INDEX ON own_one (a)"], [QUERY], connection=verifies)
        # Not even a lock is waited for.
        holder = connect(self.database)
        self.run_on(holder, "BEGIN; LOCK TABLE t")
        start = time.monotonic()
        self.refuses("42501", "must be owner", CALL, [USEFUL], ["SELECT 1"], connection=verifies)
        self.assertLess(time.monotonic() - start, 0.9)
        holder.close()
        verifies.close()

    def test_a_lock_that_cannot_be_had(self):
        holder = connect(self.database)
        for lock in ("ROW EXCLUSIVE", "ACCESS EXCLUSIVE"):
            self.run_on(holder, f"BEGIN; LOCK TABLE t IN {lock} MODE")
            start = time.monotonic()
            error = self.refuses("55P03", "lock timeout", CALL, [HARMFUL, USEFUL], ["SELECT 1"])
            self.assertIn("another transaction holds", error.diag.message_hint)
            self.assertLess(time.monotonic() - start, 3)
            self.run_on(holder, "ROLLBACK")
        holder.close()
        self.assertEqual(self.value("SHOW lock_timeout"), "0")

    def test_a_statement_that_waits_for_another_lock_is_not_testable(self):
        holder = connect(self.database)
        self.run_on(holder, "BEGIN; LOCK TABLE own_one")
        found = self.rows("SELECT verdict FROM upkeep.verify_indexes(%s, %s, time_limit => '10 s', confirm => true)",
                          [USEFUL], [QUERY])
        self.assertEqual(found, [("better",)])
        self.run_on(holder, "ROLLBACK")
        threading.Timer(1.5, lambda: self.run_on(holder, "BEGIN; LOCK TABLE own_one")).start()
        slow = "SELECT count(*) FROM (SELECT pg_sleep(0.5) FROM generate_series(1, 3)) AS s"
        found = self.rows("SELECT verdict FROM upkeep.verify_indexes(%s, %s, runs => 1, confirm => true)",
                          [USEFUL], [slow, "SELECT count(*) FROM own_one"])
        self.assertEqual(found, [("same",), ("not_testable_now",)])
        self.run_on(holder, "ROLLBACK")
        holder.close()

    def test_many_runs_take_no_more_memory(self):
        self.rows("SELECT * FROM upkeep.verify_indexes(%s, %s, runs => 2, confirm => true)", [USEFUL], ["SELECT 1"])
        used = []
        for runs in (5, 100):
            db = connect(self.database)
            statements = ["SELECT " + ", ".join(f"max(a + {i})" for i in range(200)) + " FROM own_one"] * 3
            self.run_on(db, "SELECT * FROM upkeep.verify_indexes(%s, %s, runs => %s, confirm => true)", ([USEFUL], statements, runs))
            status = open(f"/proc/{db.get_backend_pid()}/status", encoding="utf-8").read()
            used.append(int(status.split("VmHWM:")[1].split()[0]))
            db.close()
        self.assertLess(used[1], used[0] + 8 * 1024, used)  # kB

    def test_other_kinds(self):
        self.rows("CREATE MATERIALIZED VIEW seen AS SELECT * FROM t; CREATE TABLE parent (a int, s text);"
                  "CREATE TABLE child () INHERITS (parent); INSERT INTO child SELECT a, filler FROM t;"
                  "CREATE TEMP TABLE mine AS SELECT * FROM t; ANALYZE seen; ANALYZE child; ANALYZE mine; ANALYZE parent")
        for index, statement in (("CREATE INDEX ON seen (a)", "SELECT count(filler) FROM seen WHERE a = 7"),
                                 ("CREATE INDEX ON child (a)", "SELECT count(s) FROM parent WHERE a = 7"),
                                 ("CREATE INDEX ON mine (a)", "SELECT count(filler) FROM mine WHERE a = 7"),
                                 ("CREATE INDEX ON t USING hash (a)", QUERY), ("CREATE INDEX ON t ((a * 2))", QUERY.replace("a = 7", "a * 2 = 14")),
                                 ("CREATE INDEX ON t (a) WHERE half = 1", QUERY + " AND half = 1"),
                                 ("CREATE INDEX ON t USING brin (id)", "SELECT count(filler) FROM t WHERE id < 50"),
                                 ("CREATE INDEX ON t (a) INCLUDE (half)", "SELECT sum(half) FROM t WHERE a = 7")):
            with self.subTest(index):
                self.assertEqual(self.one(index, statement)[2:], (True, "better"))
        self.rows("DROP MATERIALIZED VIEW seen; DROP TABLE parent CASCADE; DROP TABLE mine")

    def test_a_cancel_ends_it(self):
        slow = "SELECT count(*) FROM t x, t y WHERE x.id + y.id < 0"
        db = connect(self.database)
        cancelled = []
        threading.Timer(2, lambda: (cancelled.append(time.monotonic()), db.cancel())).start()
        with self.assertRaises(psycopg2.errors.QueryCanceled) as caught:
            self.run_on(db, CALL, ([USEFUL], [slow]))
        self.assertLess(time.monotonic() - cancelled[0], 0.5)
        self.assertIn("user request", caught.exception.diag.message_primary)
        # During the build: a function that takes its time.
        self.run_on(db, "CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
                        " $$ BEGIN PERFORM pg_sleep(0.01); RETURN $1; END $$")
        threading.Timer(1, db.cancel).start()
        with self.assertRaises(psycopg2.errors.QueryCanceled):
            self.run_on(db, CALL, (["CREATE INDEX ON t (slowly(a))"], ["SELECT 1"]))
        error = self.refuses("57014", "not built within time_limit", "SELECT * FROM upkeep.verify_indexes(%s, %s, time_limit =>"
                             " '500 ms', confirm => true)", ["CREATE INDEX ON t (slowly(a))"], ["SELECT 1"])
        self.assertIn("longer time_limit", error.diag.message_hint)
        self.run_on(db, "DROP FUNCTION slowly")
        db.close()

    def test_the_time_limit(self):
        slow = "SELECT count(*) FROM t x, t y WHERE x.id + y.id < 0"
        start = time.monotonic()
        found = self.rows("SELECT verdict, before_ms FROM upkeep.verify_indexes(%s, %s, time_limit => '3 s', confirm => true)",
                          [USEFUL], [QUERY, slow, "SELECT 1"])
        self.assertLess(time.monotonic() - start, 6)
        self.assertEqual([row[0] for row in found], ["better", "not_testable_now", "not_testable_now"])
        self.assertIsNone(found[1][1])
        self.verify([USEFUL], [QUERY])

    def test_a_full_disk(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", folder], capture_output=True, check=False)
            if mounted.returncode != 0:
                self.skipTest("no mount here")
            try:
                os.chown(folder, self.server.owner.pw_uid, self.server.owner.pw_gid)
                self.rows(f"CREATE TABLESPACE tiny LOCATION '{folder}'")
                error = self.refuses("53100", "extend file", CALL, ["CREATE INDEX ON t (a, id) TABLESPACE tiny"], [QUERY])
                self.assertTrue(error.diag.message_hint)
                self.rows("CHECKPOINT")
                self.assertEqual([name for _, _, names in os.walk(folder) for name in names if name != "PG_VERSION"], [])
                self.rows("DROP TABLESPACE tiny")
            finally:
                subprocess.run(["umount", folder], check=True)

    def test_the_callers_transaction_goes_on(self):
        db = connect(self.database)
        db.autocommit = False
        self.run_on(db, "INSERT INTO empty_one VALUES (5)")
        self.assertEqual(self.verify([USEFUL], [QUERY], db)[0][5], "better")
        self.assertEqual(self.run_on(db, "SHOW transaction_read_only"), [("off",)])
        self.assertEqual(self.run_on(db, "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'ShareLock'"), [(0,)])
        self.run_on(db, "SAVEPOINT s")
        with self.assertRaises(psycopg2.Error):
            self.verify(["CREATE UNIQUE INDEX ON t (a)"], [QUERY], db)
        self.run_on(db, "ROLLBACK TO s")
        self.run_on(db, "INSERT INTO empty_one VALUES (6)")
        self.run_on(db, "DO $$ BEGIN PERFORM upkeep.verify_indexes('{CREATE UNIQUE INDEX ON t (a)}', '{SELECT 1}', confirm => true);"
                        " EXCEPTION WHEN unique_violation THEN INSERT INTO empty_one VALUES (7); END $$")
        self.assertEqual(self.run_on(db, "SELECT array_agg(a) FROM empty_one"), [([5, 6, 7],)])
        self.assertIn("Seq Scan", str(self.run_on(db, f"EXPLAIN {QUERY}")))
        db.rollback()
        db.close()

    def test_it_is_not_captured(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.verify([USEFUL], [QUERY])
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query ~ 'filler|INDEX'"), [])

    def test_captured_statements(self):
        self.rows("SELECT upkeep.reset_statements()")
        self.refuses("0A000", "no captured ones can be used", "SELECT * FROM upkeep.verify_indexes(%s, confirm => true)",
                     ["CREATE INDEX ON own_one (a)"])
        self.rows("SELECT count(*) FROM late")
        self.refuses("0A000", "reads these tables", "SELECT * FROM upkeep.verify_indexes(%s, confirm => true)",
                     ["CREATE INDEX ON own_one (a)"])
        for _ in range(3):
            self.rows(QUERY)
        found = self.rows("SELECT * FROM upkeep.verify_indexes(%s, confirm => true)", [USEFUL])
        self.assertEqual([row[0] for row in found], ["SELECT count(filler) FROM t WHERE a = $1"])
        self.assertEqual(found[0][4:], (True, "better"))

    def test_on_a_standby(self):
        with Standby() as standby:
            db = standby.connect(self.database)
            error = self.refuses("25006", "read-only", CALL, [USEFUL], [QUERY], connection=db)
            self.assertIn("primary", error.diag.message_hint)
            db.close()


class AdvisedSet(Asks):
    def test_what_is_advised_is_confirmed_and_what_is_planted_is_caught(self):
        scenario.build(self.db, 20000)
        reads = [row["postgres"] for row in scenario.workload() if row["kind"] == "read"]
        advised = [row[0] for row in self.rows("SELECT create_sql FROM upkeep.advise_indexes(%s)", reads)]
        self.assertGreater(len(advised), 2)
        found = self.rows("SELECT verdict, statement, before_ms, after_ms FROM upkeep.verify_indexes(%s, %s, runs => 5,"
                          " time_limit => '5 min', confirm => true)", advised, reads)
        verdicts = [row[0] for row in found]
        self.assertGreaterEqual(verdicts.count("better"), 5, found)
        self.assertNotIn("worse", verdicts, found)
        self.assertEqual({row[1] for row in found if row[0] == "not_testable_now"},
                         {statement for statement in reads if "FOR UPDATE" in statement})
        found = [row for row in found if row[0] != "not_testable_now"]
        self.assertLess(sum(row[3] for row in found), sum(row[2] for row in found))
        # Planted: the rows wanted are few by now and at the end of the order, which no statistics tell.
        self.rows("ALTER TABLE execution_logs ADD COLUMN wanted bool, ADD COLUMN shuffled text;"
                  "ALTER TABLE execution_logs SET (autovacuum_enabled = off);"
                  "UPDATE execution_logs SET shuffled = md5(id::text), wanted = md5(id::text) > 'f'")
        self.rows("VACUUM FULL ANALYZE execution_logs")
        self.rows("CREATE INDEX wanted_logs ON execution_logs (id) WHERE wanted;"
                  "UPDATE execution_logs SET wanted = false WHERE shuffled < 'fff'")
        self.rows("VACUUM execution_logs")
        found = self.rows("SELECT verdict, plan_changed, before_ms, after_ms FROM upkeep.verify_indexes(%s, %s, runs => 5,"
                          " confirm => true)", ["CREATE INDEX planted ON execution_logs (shuffled)"],
                          ["SELECT * FROM execution_logs WHERE wanted ORDER BY shuffled LIMIT 5"])
        self.assertEqual(found[0][:2], ("worse", True), found)


if __name__ == "__main__":
    unittest.main()
