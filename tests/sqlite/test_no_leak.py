"""What a statement carries (constants, comments, bound values, keys) is found nowhere in what we show, keep
or save. Every statement holds a secret of its own; all secrets have one beginning, per kind."""
import os
import pathlib
import random
import re
import sqlite3
import tempfile
import unittest

import host

SEED = int(os.environ.get("UPKEEP_SEED", "20"))
ROUNDS = int(os.environ.get("UPKEEP_LEAK_ROUNDS", "40"))

WORD, NUMBER, HEX = "zqxleak", "973157248", "9d3c7f51e2"
MARKERS = re.compile("|".join((WORD, NUMBER, HEX, WORD.encode().hex())), re.IGNORECASE)

SETUP = """
CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE, n NUMERIC, b BLOB, j TEXT, CHECK (n <> 77));
CREATE INDEX t_n ON t(n);
CREATE TABLE u(t_id INTEGER REFERENCES t, x INTEGER NOT NULL);
CREATE TABLE log(what TEXT);
CREATE TRIGGER t_changed AFTER UPDATE ON t BEGIN INSERT INTO log VALUES (NEW.v || 'changed'); END;
CREATE VIEW seen AS SELECT * FROM t WHERE n > 5;
CREATE VIRTUAL TABLE words USING fts5(w);
"""


class Secrets:
    """Secrets of every kind, no two alike."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0

    def word(self):
        self.count += 1
        return f"{WORD}{self.count}x{self.random.randrange(10**6)}"

    def number(self):
        self.count += 1
        return NUMBER + str(self.random.randrange(10**6))

    def constant(self):
        w = self.word()
        return self.random.choice([
            f"'{w}'", f"'it''s {w}'", f"'{w} -- '", f"'/* {w}'", f"X'{w.encode().hex()}'", f"x'{HEX}'",
            f"cast('{w}' AS text)", f"upper('{w}')", f"'{w}' COLLATE NOCASE", f"json_extract('{{\"{w}\":1}}', '$.{w}')",
            f"printf('%s', '{w}')", f"'a' || '{w}'", f"coalesce(NULL, '{w}')", f"('{w}')", f"'\n{w}'",
            f'"{w}"', f'("{w}")', f'"it""s {w}"', f'upper("{w}")',
        ])

    def numeral(self):
        n = self.number()
        return self.random.choice([n, f"-{n}", f"+{n}", f"{n}.5", f"{n}e2", f".{n}", f"0x{HEX}", f"- {n}", f"({n})"])

    def comment(self):
        w = self.word()
        return self.random.choice([f"/* {w} */", f"-- {w}\n", f"/*{w}='x'*/", f"/* a -- {w}\n */"])


def statements(s):
    """Templates of one round: everything that SQLite runs, well or badly."""
    c, n, w, k = s.constant, s.numeral, s.word, s.count
    return [
        f"SELECT {c()}, {n()}, {c()}", f"SELECT * FROM t WHERE v = {c()} {s.comment()} AND n <> {n()}",
        f"{s.comment()} SELECT count(*) FROM t WHERE v IN ({c()}, {c()}, {c()}) {s.comment()}",
        f"SELECT id FROM t WHERE n BETWEEN {n()} AND {n()} ORDER BY v = {c()} LIMIT {n()} OFFSET {n()}",
        f"SELECT j ->> '$.{w()}', j -> '{w()}' FROM t",
        f"SELECT * FROM t WHERE v LIKE '{w()}%' ESCAPE '!' OR v GLOB '{w()}*'",
        f"WITH w(x) AS (VALUES ({c()}), ({c()})) SELECT * FROM w JOIN t ON t.v = w.x",
        f"WITH RECURSIVE r(i, x) AS (SELECT 1, {c()} UNION ALL SELECT i + 1, x FROM r WHERE i < 3) SELECT * FROM r",
        f"SELECT * FROM (VALUES ({n()}, {c()})) WHERE column2 <> {c()}",
        f"SELECT CASE v WHEN {c()} THEN {c()} ELSE {c()} END FROM t LIMIT 3",
        f"SELECT sum(n) FILTER (WHERE v > {c()}) OVER (ORDER BY n + {n()}) FROM t GROUP BY v HAVING v > {c()}",
        f"SELECT * FROM words WHERE words MATCH '{w()}' AND rank < {n()}", f"INSERT INTO words VALUES ('{w()}')",
        f"INSERT INTO t(id, v, n) VALUES ({1000 + k}, {c()}, {n()})",
        f"REPLACE INTO t(id, v) VALUES ({1000 + k}, {c()}) RETURNING {c()}",
        f"INSERT INTO t(id, v) VALUES ({1000 + k}, {c()}) ON CONFLICT (id) DO UPDATE SET v = {c()} WHERE v <> {c()}",
        f"UPDATE t SET v = {c()} || id, b = x'{HEX}' WHERE id = {1000 + k}", f"DELETE FROM t WHERE v = {c()} AND n = {n()}",
        f"UPDATE t SET v = {c()} WHERE id IN (SELECT id FROM seen WHERE v = {c()})", "SAVEPOINT s",
        f"SELECT {c()}", "RELEASE s",
        f"INSERT INTO t(id, n) VALUES (-1, 77 + 0 * {n()})", f"INSERT INTO t(id, v) VALUES (1, '{w()}')", "BEGIN",
        f"SELECT {n()}", "ROLLBACK",
        f"INSERT INTO u VALUES ({k}, NULL) -- {w()}", f"SELECT raise_{k}({c()})", f"SELECT * FROM no_{k} WHERE x = {c()}",
        f"SELECT {c()} FROM FROM", f"SELECT '{w()}", f"SELEKT {c()}", f"/* {w()}", f"SELECT {c()} )", f"SELECT x'{HEX}zz'",
        f"SELECT abs(-9223372036854775808), {c()}", f"SELECT zeroblob(1e12), '{w()}'", f"SELECT json('{w()}')",
        f"SELECT load_extension('/no/{w()}')",
        f"CREATE TABLE d{k}(a TEXT DEFAULT {c()}, b NUMERIC DEFAULT {s.number()} CHECK (b <> {n()}))",
        f"CREATE TABLE e{k} AS SELECT {c()} AS a",
        f"CREATE TABLE f{k}(a TEXT, b AS (a || '{w()}'))", f"CREATE VIEW v{k} AS SELECT {c()} AS a",
        f"CREATE TEMP TABLE g{k}(a DEFAULT '{w()}')",
        f"CREATE TRIGGER tr{k} AFTER INSERT ON u WHEN NEW.x = {n()} BEGIN INSERT INTO log VALUES ('{w()}'); END",
        f"DROP TRIGGER tr{k}",
        f"ALTER TABLE d{k} ADD COLUMN c TEXT DEFAULT '{w()}'", f"CREATE INDEX i{k} ON u(x) WHERE x <> {s.number()}",
        f"DROP INDEX i{k}",
        f"PRAGMA key = '{w()}'", f"PRAGMA rekey='{w()}'", f"PRAGMA hexkey = '{HEX}'", f"PRAGMA main.key('{w()}')",
        f"PRAGMA key = {w()}", f"PRAGMA main.rekey = {w()}", f"PRAGMA textkey({w()})", f"PRAGMA key = \"{w()}\"",
        f"ATTACH 'file:{w()}?mode=memory' AS a{k}", f"ATTACH ':memory:' AS b{k} KEY '{w()}'",
        f"ATTACH 'x' AS c{k} KEY {w()}", f"DETACH a{k}", f"DETACH b{k}",
        f"VACUUM INTO '/no/such/{w()}'", f"EXPLAIN SELECT {c()}",
        f"EXPLAIN QUERY PLAN SELECT * FROM t WHERE v = {c()}", f"ANALYZE no_{k} -- {w()}",
        f"SELECT * FROM pragma_table_info('{w()}')", f"SELECT * FROM json_each('[\"{w()}\"]') WHERE value = {c()}",
        f"SELECT * FROM t WHERE v = {c()} AND rowid IN (SELECT value FROM json_each('[{s.number()}]'))",
        f"SELECT * FROM (SELECT v, {c()} AS k FROM t UNION ALL SELECT v, {c()} FROM t) WHERE k > {c()} LIMIT 2",
    ]


class NoLeak(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")
        self.state = pathlib.Path(self.path + "-upkeep")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(SETUP)
        self.set("slow_threshold", "0")
        self.set("capture", "all")
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")
        self.addCleanup(self.restore)

    def restore(self):
        self.value("SELECT upkeep_capture(0)")
        for name, value in (("slow_threshold", "1000"), ("capture", "top"), ("capture_parameters", "off")):
            self.set(name, value)

    def set(self, name, value):
        self.value("SELECT upkeep_set(?, ?)", name, value)

    def send(self, statement, *parameters):
        try:
            self.db.execute(statement, parameters).fetchall()
            return True
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError):
            return False

    def shown(self):
        """Everything that our calls say, by call. The definition of an index that exists is in the schema
        for all to read (indexes, index_findings); what runs now shows itself by its own rules."""
        calls = [row[0] for row in self.rows("SELECT name FROM pragma_module_list WHERE name LIKE 'upkeep!_%' ESCAPE '!'")]
        self.assertIn("upkeep_statements", calls)
        skipped = re.compile("indexes$|index_findings|running|lock_tree|connections|reap|end_session|install|workflow|execution|integration")
        texts = {}
        for call in calls:
            if call == "upkeep_advise_indexes" or not skipped.search(call):
                try:
                    texts[call] = "\n".join(str(row) for row in self.rows(f"SELECT * FROM {call}"))
                except sqlite3.Error as error:
                    texts[call] = str(error)
        try:
            texts["report"] = self.value("SELECT upkeep_report('text')")
        except sqlite3.Error as error:
            texts["report"] = str(error)
        return texts

    def assert_clean(self, texts):
        for place, text in texts.items():
            found = [text[max(0, m.start() - 120):m.end() + 60] for m in MARKERS.finditer(text)]
            self.assertEqual(found[:5], [], f"{len(found)} secrets in {place} (seed {SEED})")

    def test_nothing_of_what_statements_carry_is_shown_or_saved(self):
        secrets = Secrets(SEED)
        ran = failed = 0
        for _ in range(ROUNDS):
            for statement in statements(secrets):
                ran += 1
                failed += 0 if self.send(statement) else 1
                if self.db.in_transaction and statement not in ("BEGIN", "SAVEPOINT s") and not statement.startswith("SELECT"):
                    self.send("ROLLBACK")
            for values in (("?", "?"), (":a", ":b"), ("@a", "@b"), ("$a", "$b"), ("?2", "?1")):
                self.send(f"SELECT * FROM t WHERE v = {values[0]} AND n = {values[1]}", secrets.word(), secrets.number())
            self.send("INSERT INTO t(v, n, b) VALUES (?, ?, ?)", secrets.word(), float(secrets.number()),
                      secrets.word().encode())
        self.assertGreater(ran, ROUNDS * 60)
        self.assertGreater(failed, ROUNDS * 10)
        texts = self.shown()
        self.assertGreater(len(texts["upkeep_statements"]), 5000)
        self.assert_clean(texts)
        self.value("SELECT upkeep_save()")
        self.assertTrue(self.state.exists())
        self.assert_clean({path.name: path.read_bytes().decode("latin-1")
                           for path in self.folder.iterdir() if "upkeep" in path.name})
        self.assert_clean(self.shown())

    def test_a_string_in_double_quotes_is_a_string(self):
        secret = Secrets(SEED).word()
        self.send(f'SELECT * FROM t WHERE v = "{secret}"')
        self.assertIn("select * from t where v = ?", self.shown()["upkeep_statements"])
        self.assert_clean(self.shown())

    def test_switched_on_parameters_are_kept_where_promised(self):
        self.set("capture_parameters", "on")
        secrets = Secrets(SEED + 1)
        bound, literal = secrets.word(), secrets.word()
        self.rows(f"SELECT * FROM t WHERE v = ? AND n <> '{literal}'", bound)
        kept = self.rows("SELECT parameters, query FROM upkeep_slow_statements WHERE query LIKE '%from t where v%'")
        self.assertTrue(any(bound in (row[0] or "") and literal in row[0] for row in kept), kept)
        self.assertNotIn(literal, "".join(row[1] for row in kept))
        texts = self.shown()
        del texts["upkeep_slow_statements"]
        self.assert_clean(texts)


if __name__ == "__main__":
    unittest.main()
