"""Whatever is asked of advise_indexes and what_if: an answer, or one clear error with a hint; and
nothing changed either way."""
import json
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import host

SCHEMA = """
CREATE TABLE t(a INTEGER, b TEXT, c REAL);
CREATE TABLE w(k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;
CREATE TABLE g(a INTEGER, d INTEGER GENERATED ALWAYS AS (a * 2) STORED,
               e TEXT GENERATED ALWAYS AS (a || 'x'));
CREATE TABLE u(id INTEGER PRIMARY KEY, n INTEGER UNIQUE, s TEXT);
CREATE TABLE c(x TEXT COLLATE backwards, y INTEGER);
CREATE INDEX c_mine ON c(mine(y));
CREATE TABLE "odd name"("a col" INTEGER, "select" TEXT, "quo""te" TEXT);
CREATE VIEW v AS SELECT a, b FROM t WHERE c > 1;
CREATE VIRTUAL TABLE f USING fts5(body);
CREATE TEMP TABLE tt(x INTEGER, y TEXT);
ATTACH ':memory:' AS aux;
CREATE TABLE aux.far(x INTEGER, y TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO t SELECT i % 300, 'b' || i, i FROM n;
INSERT INTO w SELECT b, a FROM t;
INSERT INTO g(a) SELECT a FROM t;
INSERT INTO u SELECT rowid, rowid, b FROM t;
INSERT INTO c SELECT b, rowid FROM t;
INSERT INTO "odd name" SELECT rowid, b, b FROM t;
INSERT INTO f SELECT b FROM t;
INSERT INTO tt SELECT a, b FROM t;
INSERT INTO aux.far SELECT a, b FROM t;
"""
ONE_STATEMENT = "(hint: give one SELECT, INSERT, UPDATE or DELETE statement)"
NO_INDEX = "(hint: give statements that read tables which can have indexes)"


class InputTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.create_collation("backwards", lambda x, y: (y > x) - (y < x))
        self.db.create_function("mine", 1, lambda x: x, deterministic=True)
        self.db.executescript(SCHEMA)
        self.state = self.everything()

    def tearDown(self):
        self.assertEqual(self.everything(), self.state)

    def everything(self):
        return (self.db.total_changes, self.db.in_transaction, self.value("PRAGMA user_version"),
                *[self.rows(f"SELECT * FROM {schema}.sqlite_schema")
                  for schema in ("main", "temp", "aux")], self.rows("PRAGMA database_list"))

    def advice(self, workload, *more):
        marks = ", ?" * len(more)
        return self.rows("SELECT create_sql, table_name, reason, warnings, size_bytes"
                         f" FROM upkeep_advise_indexes(?{marks})", workload, *more)

    def what_if(self, statement, *indexes):
        return self.rows("SELECT cost_before, cost_after, used_indexes FROM upkeep_what_if(?, ?)",
                         statement, json.dumps(indexes))[0]

    def refuses_both(self, statement, *wanted):
        for text in wanted:
            self.refuses(text, "SELECT * FROM upkeep_what_if(?, '[]')", statement)
            self.refuses(text, "SELECT * FROM upkeep_advise_indexes(?)", statement)

    def advises(self, statement, *wanted):
        """The first proposal, and what_if agrees that the planner uses it."""
        rows = self.advice(statement)
        self.assertEqual([row[0] for row in rows[:1]], list(wanted), statement)
        before, after, used = self.what_if(statement, rows[0][0].replace("IF NOT EXISTS ", ""))
        self.assertLess(after, before)
        self.assertEqual(len(json.loads(used)), 1)
        return rows[0]

    def test_not_sql(self):
        self.refuses_both("hello world", 'near "hello": syntax error', ONE_STATEMENT)
        self.refuses_both("SELECT * FROM t WHERE", "incomplete input", ONE_STATEMENT)
        self.refuses_both("SELECT 'open", "unrecognized token", ONE_STATEMENT)
        for text in ("", "   ", "\n", ";;"):
            self.refuses_both(text, "statement is empty (hint: ")
        for text in ("-- nothing", "/* x */ ;", "; -- nothing"):
            self.refuses_both(text, "there is no statement in the text", ONE_STATEMENT)

    def test_other_kinds_of_statement(self):
        for text in ("PRAGMA user_version = 5", "PRAGMA journal_mode", "ATTACH 'x.db' AS x", "BEGIN",
                     "COMMIT", "SAVEPOINT s", "CREATE TABLE z(a)", "DROP TABLE t", "VACUUM",
                     "ANALYZE", "REINDEX t", "ALTER TABLE t RENAME TO z", "DETACH aux",
                     "CREATE INDEX i ON t(a)", "CREATE TEMP TABLE z AS SELECT 1"):
            self.refuses_both(text, "this kind of statement has no plan", ONE_STATEMENT)
        self.refuses_both("EXPLAIN SELECT 1", "statement is an EXPLAIN already (hint: ")
        self.refuses_both("EXPLAIN QUERY PLAN SELECT 1", "statement is an EXPLAIN already (hint: ")

    def test_several_statements(self):
        two = "SELECT * FROM t WHERE a = 1; SELECT * FROM t WHERE b = 'x'"
        self.refuses("there are several statements in the text (hint: ",
                     "SELECT * FROM upkeep_what_if(?, '[]')", two)
        self.assertEqual(len(self.advice(two)), 2)
        self.assertEqual(self.advice(two), self.advice(json.dumps(two.split("; "))))
        self.refuses('statement 2: near "nonsense": syntax error',
                     "SELECT * FROM upkeep_advise_indexes('SELECT 1 FROM t; nonsense; SELECT 2')")

    def test_missing_names(self):
        self.refuses_both("SELECT * FROM nope", "no such table: nope (hint: check the name")
        self.refuses_both("SELECT * FROM aux.nope", "no such table: aux.nope (hint: check the name")
        self.refuses_both("SELECT * FROM nodb.t", "no such table: nodb.t (hint: check the name")
        self.refuses_both("SELECT nope FROM t", "no such column: nope (hint: check the name")
        self.refuses_both("SELECT nope(a) FROM t", "no such function: nope (hint: register")
        self.refuses_both("SELECT * FROM t INDEXED BY nope", "no such index: nope (hint: check")
        self.refuses_both("INSERT INTO t(z) VALUES (1)", "has no column named z (hint: check")

    def test_bad_indexes(self):
        for text, wanted in (
                ("CREATE INDEX i ON nope(a)", "no such table: main.nope (hint: check"),
                ("CREATE INDEX i ON t(nope)", "no such column: nope (hint: check"),
                ("CREATE INDEX i ON v(a)", "views may not be indexed (hint: only ordinary"),
                ("CREATE INDEX i ON f(body)", "virtual tables may not be indexed (hint: only"),
                ("CREATE INDEX i ON sqlite_schema(name)", "may not be indexed (hint: only"),
                ("CREATE INDEX c_mine ON t(a)", "index c_mine already exists (hint: give it another"),
                ("CREATE INDEX IF NOT EXISTS c_mine ON t(a)", "exists already (hint: give it another"),
                ("CREATE INDEX i ON t(random())", "non-deterministic functions prohibited"),
                ("CREATE INDEX i ON t(a); CREATE INDEX j ON t(b)", "there are several statements"),
                ("SELECT 1", "statement is not a CREATE INDEX (hint: "),
                ("DROP INDEX c_mine", "this kind of statement has no plan (hint: "),
                ("-- no", "there is no statement in the text (hint: "),
                ("", "index is empty (hint: "), ("nonsense", 'near "nonsense": syntax error (hint: ')):
            self.refuses(wanted, "SELECT * FROM upkeep_what_if('SELECT a FROM t', ?)",
                         json.dumps([text]))
        self.refuses("index 2: index I is given twice (hint: ",
                     "SELECT * FROM upkeep_what_if('SELECT a FROM t', ?)",
                     json.dumps(["CREATE INDEX i ON t(a)", "CREATE INDEX I ON t(b)"]))
        self.refuses("index 2: ", "SELECT * FROM upkeep_what_if('SELECT a FROM t', ?)",
                     json.dumps(["CREATE INDEX i ON t(a)", "CREATE INDEX j ON nope(b)"]))

    def test_bad_bytes(self):
        for call in ("upkeep_what_if({}, '[]')", "upkeep_advise_indexes({})",
                     "upkeep_what_if('SELECT 1', {})"):
            self.refuses("is not valid UTF-8 (hint: ",
                         f"SELECT * FROM {call.format('CAST(x' + repr('53ff') + ' AS TEXT)')}")
            self.refuses("must not contain NUL characters (hint: ",
                         f"SELECT * FROM {call.format(repr('SELECT 1') + ' || char(0, 65)')}")

    def test_huge_statements(self):
        comment = "SELECT /* " + "x" * 1000000 + " */ * FROM t WHERE a = 1"
        self.assertEqual(len(self.advice(comment)), 1)
        long_list = "SELECT * FROM t WHERE a IN (" + ",".join(map(str, range(150000))) + ")"
        self.assertGreater(len(long_list), 900000)
        start = time.monotonic()
        self.assertEqual(self.what_if(long_list, "CREATE INDEX i ON t(a)")[0] > 0, True)
        self.advice(long_list)
        self.assertLess(time.monotonic() - start, 20)
        deep = "SELECT " + "(" * 2000 + "1" + ")" * 2000
        self.refuses_both(deep, "(hint: ")

    def test_tables_without_advice(self):
        for statement, wanted in (
                ("SELECT * FROM tt WHERE x = 1", '"temp".tt: it is a temporary table'),
                ("SELECT * FROM f WHERE body MATCH 'b7'", "f: it is a virtual table"),
                ("SELECT * FROM f WHERE body = 'b7'", "f: it is a virtual table"),
                ("SELECT * FROM f_data WHERE id = 3", "f_data: it belongs to a virtual table"),
                ("SELECT * FROM json_each('[1]')", "json_each: it is a virtual table"),
                ("SELECT * FROM sqlite_schema WHERE name = 't'", "sqlite_master: it is a table of SQLite itself")):
            self.refuses("no index can be proposed for " + wanted,
                         "SELECT * FROM upkeep_advise_indexes(?)", statement)
            self.refuses(NO_INDEX, "SELECT * FROM upkeep_advise_indexes(?)", statement)
            self.assertGreater(self.what_if(statement)[0], 0)
        self.refuses_both("SELECT * FROM upkeep_settings WHERE name = 'x'",
                          "table-valued function upkeep_settings cannot be planned here (hint: ask")

    def test_tables_with_advice(self):
        create = "CREATE INDEX IF NOT EXISTS "
        self.advises("SELECT * FROM t WHERE a = 1", create + "idx_t_a ON t (a)")
        self.advises("SELECT * FROM w WHERE v = 1", create + "idx_w_v ON w (v)")
        self.advises("SELECT * FROM g WHERE d = 4", create + "idx_g_d ON g (d)")
        self.advises("SELECT * FROM g WHERE e = '4x'", create + "idx_g_e ON g (e)")
        self.advises("SELECT * FROM c WHERE x = 'b5'", create + "idx_c_x ON c (x)")
        row = self.advises("SELECT * FROM aux.far WHERE x = 1",
                           create + "aux.idx_far_x ON far (x)")
        self.assertEqual(row[1], "aux.far")
        self.advises('SELECT * FROM "odd name" WHERE "select" = \'b5\'',
                     create + '"idx_odd name_select" ON "odd name" ("select")')
        # A view: its table.
        row = self.advice("SELECT * FROM v WHERE a = 1")[0]
        self.assertEqual(row[1], "t")

    def test_forms_of_statements(self):
        on_a = "CREATE INDEX IF NOT EXISTS idx_t_a ON t (a)"
        for statement in (
                "SELECT * FROM t WHERE a = ?1", "SELECT * FROM t WHERE a = :name",
                "SELECT * FROM t WHERE a = ?", "SELECT * FROM t WHERE a = @x AND 1 = $y",
                "WITH x AS (SELECT * FROM t WHERE a = 3) SELECT * FROM x",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)"
                " SELECT * FROM n JOIN t ON t.a = n.i",
                "SELECT sum(c) OVER () FROM t WHERE a = 7",
                "DELETE FROM t WHERE a = 3", "DELETE FROM t WHERE a = 3 RETURNING b",
                "UPDATE t SET c = 1 WHERE a = 9", "UPDATE t SET c = 1 WHERE a = 9 RETURNING *",
                "INSERT INTO u(n) SELECT c FROM t WHERE a = 4 ON CONFLICT(n) DO UPDATE SET s = 'x'",
                "INSERT INTO u(n) SELECT c FROM t WHERE a = 4 RETURNING id",
                "REPLACE INTO u(n) SELECT c FROM t WHERE a = 4",
                "SELECT a FROM t WHERE a = 2 UNION SELECT n FROM u WHERE id = 1",
                "SELECT mine(b) FROM t WHERE a = 5", "  SELECT * FROM t WHERE a = 1 ; -- end"):
            self.assertEqual([row[0] for row in self.advice(statement)], [on_a], statement)
        for statement in ("INSERT INTO u(n, s) VALUES (1, 'x') ON CONFLICT(n) DO NOTHING",
                          "INSERT INTO u(n) VALUES (7) RETURNING id", "SELECT 1", "VALUES (1), (2)",
                          "SELECT * FROM t NOT INDEXED WHERE a = 1",
                          "SELECT * FROM c INDEXED BY c_mine WHERE mine(y) = 5",
                          "SELECT * FROM u WHERE id = 3", "SELECT * FROM c WHERE mine(y) = 5"):
            self.assertEqual(self.advice(statement), [], statement)
            self.assertGreater(self.what_if(statement)[0], 0)

    def test_functions_unknown_in_the_replica(self):
        """The planner decides as the caller's would; how many rows match is not known."""
        before, after, used = self.what_if("SELECT * FROM c WHERE mine(y) = 5")
        self.assertEqual((json.loads(used), before), (["c_mine"], after))
        _, _, used = self.what_if("SELECT * FROM t WHERE mine(b) = 5",
                                  "CREATE INDEX i ON t(mine(b))")
        self.assertEqual(json.loads(used), ["i"])
        _, _, used = self.what_if("SELECT * FROM t WHERE b = 'b5' AND mine(a)",
                                  "CREATE INDEX i ON t(b) WHERE mine(a)")
        self.assertEqual(json.loads(used), ["i"])

    def test_an_empty_table(self):
        self.db.execute("CREATE TABLE e(x, y)")
        self.state = self.everything()
        for row in self.advice("SELECT * FROM e WHERE x = 1"):
            self.assertIn("table is small (about 0 rows)", row[3])
        self.assertGreater(self.what_if("SELECT * FROM e WHERE x = 1", "CREATE INDEX i ON e(x)")[0], 0)


HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


class FileTest(host.Asks, unittest.TestCase):
    """Database files: locked, broken, read-only, written meanwhile."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "x.db"
        self.make()

    def make(self):
        db = sqlite3.connect(self.path, isolation_level=None)
        db.execute("PRAGMA page_size = 1024")
        db.execute("CREATE TABLE t(a INTEGER, b TEXT)")
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
                   " INSERT INTO t SELECT i % 1000, 'text ' || i FROM n")
        db.close()

    def open(self, options=""):
        self.db = host.connect(database=f"file:{self.path}{options}", uri=True, isolation_level=None,
                               timeout=0.5)
        self.addCleanup(self.db.close)
        return self.db

    def advice(self):
        return self.rows("SELECT create_sql FROM upkeep_advise_indexes("
                         "'SELECT b FROM t WHERE a = 5')")

    def answers(self):
        self.assertEqual(self.advice(), [("CREATE INDEX IF NOT EXISTS idx_t_a ON t (a)",)])
        self.assertEqual(self.value("SELECT used_indexes FROM upkeep_what_if("
                                    "'SELECT b FROM t WHERE a = 5', 'CREATE INDEX i ON t(a)')"),
                         '["i"]')

    def waits_and_refuses(self, wanted):
        start = time.monotonic()
        self.refuses(wanted, "SELECT * FROM upkeep_advise_indexes('SELECT b FROM t WHERE a = 5')")
        waited = time.monotonic() - start
        self.assertGreater(waited, 0.4)
        self.assertLess(waited, 2)
        self.assertFalse(self.db.in_transaction)

    def test_locked_by_another_process(self):
        attached = host.connect(isolation_level=None, timeout=0.5)
        self.addCleanup(attached.close)
        attached.execute("ATTACH ? AS x", (str(self.path),))
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(self.path)],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.stdin.close)
        self.assertEqual(holder.stdout.readline(), "held\n")
        self.open()
        self.waits_and_refuses("database is locked")  # SQLite's own: before any call of ours
        self.db = attached
        self.waits_and_refuses(
            "database is locked (hint: try again when the other transaction has ended)")
        self.open()
        holder.stdin.write("\n")
        holder.stdin.flush()
        holder.wait()
        self.answers()

    def test_corrupted(self):
        content = bytearray(self.path.read_bytes())
        content[2048:] = b"\xaa" * (len(content) - 2048)
        self.path.write_bytes(content)
        self.open()
        self.refuses("malformed (hint: run PRAGMA integrity_check",
                     "SELECT * FROM upkeep_advise_indexes('SELECT b FROM t WHERE a = 5')")
        self.path.write_bytes(b"no database" * 1000)
        self.open()  # fails before any call of ours
        self.refuses("file is not a database",
                     "SELECT * FROM upkeep_advise_indexes('SELECT b FROM t WHERE a = 5')")

    def test_read_only(self):
        self.path.chmod(0o400)
        content = self.path.read_bytes()
        for options in ("?mode=ro", "?immutable=1", "?mode=ro&immutable=1"):
            self.open(options)
            self.answers()
        self.assertEqual(self.path.read_bytes(), content)
        self.assertEqual([p.name for p in self.path.parent.iterdir()], ["x.db"])

    def test_query_only(self):
        self.open()
        self.db.execute("PRAGMA query_only = 1")
        self.answers()
        self.assertEqual(self.value("PRAGMA query_only"), 1)

    def test_wal_with_a_writer(self):
        writer = self.open()
        self.assertEqual(writer.execute("PRAGMA journal_mode = WAL").fetchone(), ("wal",))
        self.open()
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (-1, 'not yet')")
        self.answers()
        writer.execute("COMMIT")
        writer.execute("CREATE TABLE more(x INTEGER)")
        self.answers()
        self.assertEqual(self.rows("SELECT * FROM upkeep_advise_indexes('SELECT * FROM more')"), [])
        # Nothing is pinned: the log can be emptied.
        self.assertEqual(writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0], 0)

    def test_inside_a_write_transaction(self):
        """What the transaction did is seen, and only there."""
        self.open()
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("CREATE INDEX mine ON t(a)")
        self.assertEqual(self.advice(), [])
        self.db.execute("ROLLBACK")
        self.answers()


if __name__ == "__main__":
    unittest.main()
