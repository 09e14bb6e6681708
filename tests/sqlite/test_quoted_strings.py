"""Words in double quotes: strings unless somebody named them so; and the look at the schema that tells which
leaves nothing on the application's connection."""
import ctypes
import ctypes.util
import unittest

import host

SETUP = """CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT UNIQUE, "odd name" TEXT);
INSERT INTO t VALUES (1, 'one', 'x'), (2, 'two', 'y');
CREATE TABLE other(w TEXT);"""


class Texts(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(SETUP)
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")
        self.addCleanup(lambda: self.value("SELECT upkeep_capture(0)"))

    def shown(self):
        return sorted(row[0] for row in self.rows("SELECT query FROM upkeep_statements WHERE calls > 0"))

    def test_a_string_is_masked_and_a_column_is_not(self):
        for value in ("red", "green", "it\"\"s"):
            self.rows(f'SELECT "v", "odd name" FROM "t" WHERE "v" <> "{value}"')
        self.assertEqual(self.shown(), ['select "v", "odd name" from "t" where "v" <> ?'])
        self.assertEqual(self.value("SELECT calls FROM upkeep_statements"), 3)

    def test_names_that_the_statement_makes(self):
        statements = ['select v as "label" from t order by "label"', 'select count(*) "many" from t having "many" > ?',
                      'with "c"("d") as (select v from t) select "d" from "c"',
                      'select "a"."v" from t "a" join other as "b" on "a"."v" = "b"."w"']
        for statement in statements:
            self.rows(statement.replace("?", "1"))
        self.assertEqual(self.shown(), sorted(statements))

    def test_the_column_may_be_another_tables(self):
        self.rows('SELECT v FROM t WHERE v = "w"')
        self.rows('SELECT v FROM t, other WHERE v = "w"')
        self.assertEqual(self.shown(), ['select v from t where v = ?', 'select v from t, other where v = "w"'])

    def test_the_fingerprint_is_the_masked_ones(self):
        self.rows('SELECT v FROM t WHERE v = "red"')
        self.rows("SELECT v FROM t WHERE v = 'green'")
        self.assertEqual(self.rows("SELECT query, calls FROM upkeep_statements"), [("select v from t where v = ?", 2)])

    def test_what_is_new_to_the_store_again_is_masked_too(self):
        for _ in range(3):
            self.rows('INSERT INTO other VALUES ("red")')  # no row: kept back as a possible false start
            self.rows('SELECT w FROM other WHERE w = "green"')
            self.value("SELECT upkeep_reset_statements()")
        self.rows('SELECT w FROM other WHERE w = "nobody"')
        self.rows('DELETE FROM other WHERE w = "nobody"')
        self.assertEqual(self.shown(), ["delete from other where w = ?", "select w from other where w = ?"])


class Raw:
    """A connection without Python's own look at the error."""

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("sqlite3"))
        self.lib.sqlite3_errmsg.restype = ctypes.c_char_p
        self.lib.sqlite3_errmsg.argtypes = [ctypes.c_void_p]
        for name in ("sqlite3_step", "sqlite3_reset", "sqlite3_finalize", "sqlite3_errcode", "sqlite3_close",
                     "sqlite3_extended_errcode", "sqlite3_error_offset"):
            getattr(self.lib, name).argtypes = [ctypes.c_void_p]
        self.db = ctypes.c_void_p()
        assert self.lib.sqlite3_open(b":memory:", ctypes.byref(self.db)) == 0
        self.exec(SETUP)

    def exec(self, sql):
        assert self.lib.sqlite3_exec(self.db, sql.encode(), None, None, None) == 0, self.state()

    def capture(self):
        assert self.lib.sqlite3_enable_load_extension(self.db, 1) == 0
        assert self.lib.sqlite3_load_extension(self.db, str(host.BUILD / "upkeep").encode(), None, None) == 0
        self.exec("SELECT upkeep_capture(1)")

    def state(self):
        return (self.lib.sqlite3_errcode(self.db), self.lib.sqlite3_extended_errcode(self.db),
                self.lib.sqlite3_errmsg(self.db).decode(), self.lib.sqlite3_error_offset(self.db))

    def prepare(self, sql):
        stmt = ctypes.c_void_p()
        code = self.lib.sqlite3_prepare_v2(self.db, sql.encode(), -1, ctypes.byref(stmt), None)
        return stmt, code

    def run(self, sql):
        """The error state of the connection after each of the application's calls."""
        stmt, code = self.prepare(sql)
        seen = [(code, self.state())]
        if code == 0:
            for _ in range(4):
                seen.append((self.lib.sqlite3_step(stmt), self.state()))
            seen.append((self.lib.sqlite3_reset(stmt), self.state()))
            seen.append((self.lib.sqlite3_finalize(stmt), self.state()))
        return seen

    def close(self):
        assert self.lib.sqlite3_close(self.db) == 0


class ErrorState(unittest.TestCase):
    STATEMENTS = [
        'SELECT v FROM t WHERE v <> "nobody{0}"', 'SELECT "nobody{0}", "v" FROM "t"', 'SELECT "nobody{0}"',
        'INSERT INTO t(id, v) VALUES (1, "nobody{0}")', 'INSERT INTO t(id, v) VALUES (7{0}, "one")',
        'UPDATE t SET id = "nobody{0}"', 'SELECT abs(-9223372036854775808), "nobody{0}"',
        'SELECT "nobody{0}" FROM no_such_table', 'SELECT "nobody{0}" FROM FROM', 'COMMIT',
    ]

    def test_it_is_what_it_is_without_capture(self):
        without, captured = Raw(), Raw()
        self.addCleanup(without.close)
        self.addCleanup(captured.close)
        plain = [without.run(statement.format(i)) for i, statement in enumerate(self.STATEMENTS * 2)]
        captured.capture()
        traced = [captured.run(statement.format(i)) for i, statement in enumerate(self.STATEMENTS * 2)]
        texts = {state[1][2] for states in plain for state in states}
        self.assertIn("another row available", texts)
        self.assertIn("UNIQUE constraint failed: t.id", texts)
        self.assertEqual(plain, traced)
        captured.exec("SELECT upkeep_capture(0)")


if __name__ == "__main__":
    unittest.main()
