"""Every registered call, also those to come: where there is little to see or nothing may be written
it returns rows or one clear error with a hint, and what only reads changes nothing."""
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import unittest

import host
from test_module import described_calls

# What a call gets that needs an argument, by the name of the parameter. A new call whose parameter
# is not here gets a value by its type.
ARGUMENTS = {
    "statement": "SELECT 1", "indexes": "[]", "workload": "SELECT 1", "name": "slow_threshold",
    "value": "1000", "q": 0.5, "enabled": 0, "session_pid": 2147483647, "processes": 3,
}
BY_TYPE = {"TEXT": "x", "INTEGER": 1, "REAL": 0.5, "BLOB": b"x"}
# Errors of SQLite itself pass through; upkeep has nothing to add to these.
HOSTS_OWN = ("attempt to write a readonly database",)


def readers():
    """Names of the calls that may stand in a view: who acts is direct only."""
    db = host.connect()
    flags = dict(db.execute("SELECT name, flags FROM pragma_function_list WHERE name LIKE 'upkeep_%'"))
    found = []
    for name, rows in described_calls().items():
        if rows[0]["kind"] in ("scalar", "aggregate"):
            direct_only = flags["upkeep_" + name] & 0x80000
        else:
            direct_only = is_direct_only(db, name)
        if not direct_only:
            found.append(name)
    db.close()
    return found


def is_direct_only(db, name):
    db.execute(f"CREATE VIEW via_{name} AS SELECT 1 FROM upkeep_{name}")
    try:
        db.execute(f"EXPLAIN SELECT * FROM via_{name}").fetchall()
        return False
    except sqlite3.OperationalError as error:
        return "unsafe use" in str(error)
    finally:
        db.execute(f"DROP VIEW via_{name}")


def call_of(name, rows):
    """The statement that makes the call with what it needs, and its values."""
    values = []
    for row in rows:
        if row["role"] == "param" and row["default"] == "" and row["sl_default"] == "":
            values.append(ARGUMENTS.get(row["item"], BY_TYPE[row["sl_type"]]))
    marks = ", ".join("?" * len(values))
    if rows[0]["kind"] in ("scalar", "aggregate"):
        return f"SELECT upkeep_{name}({marks})", values
    return f"SELECT * FROM upkeep_{name}" + (f"({marks})" if values else ""), values


class EveryCallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.calls = {name: call_of(name, rows) for name, rows in described_calls().items()}
        cls.readers = set(readers())

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")

    def open(self, database, **options):
        db = host.connect(database=database, isolation_level=None, **options)
        self.addCleanup(db.close)
        return db

    def call(self, db, name):
        """Rows, or None after an error that says what to do."""
        sql, values = self.calls[name]
        try:
            return db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            if str(error) not in HOSTS_OWN:
                self.assertIn("(hint: ", str(error), name)
            return None

    def make_file(self):
        db = self.open(self.path)
        db.executescript("""
            CREATE TABLE parent(id INTEGER PRIMARY KEY);
            CREATE TABLE child(id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES parent(id));
            INSERT INTO parent VALUES (1), (2);
            INSERT INTO child VALUES (1, 1), (2, 2);""")
        return db

    def test_there_are_calls_of_both_kinds(self):
        self.assertTrue({"statements", "what_if", "check_health", "version"} <= self.readers)
        self.assertFalse({"set", "capture", "install_workflow_schema"} & self.readers)

    def test_an_empty_database_in_memory(self):
        for name in self.calls:
            with self.subTest(name):
                self.call(self.open(":memory:"), name)

    def test_a_read_only_file(self):
        self.make_file().close()
        content = pathlib.Path(self.path).read_bytes()
        for name in self.calls:
            with self.subTest(name):
                self.call(self.open(f"file:{self.path}?mode=ro", uri=True), name)
        self.assertEqual(pathlib.Path(self.path).read_bytes(), content)

    def test_inside_an_open_write_transaction(self):
        self.make_file().close()
        for name in self.calls:
            with self.subTest(name):
                db = self.open(self.path)
                db.execute("BEGIN IMMEDIATE")
                db.execute("INSERT INTO parent VALUES (3)")
                self.call(db, name)
                self.assertTrue(db.in_transaction)
                self.assertEqual(db.execute("SELECT count(*) FROM parent").fetchone(), (3,))
                db.execute("ROLLBACK")
                self.assertEqual(db.execute("SELECT count(*) FROM parent").fetchone(), (2,))

    def test_while_another_connection_writes(self):
        writer = self.make_file()
        db = self.open(self.path, timeout=0)
        writer.execute("PRAGMA journal_mode = WAL")  # else not even the host's own SELECT would start
        writer.execute("BEGIN EXCLUSIVE")
        for name in self.calls:
            with self.subTest(name):
                self.call(db, name)
                self.assertFalse(db.in_transaction)

    def test_readers_change_nothing(self):
        db = self.make_file()
        other = self.open(self.path)

        def state():
            return (db.total_changes, db.execute("SELECT * FROM sqlite_schema").fetchall(),
                    db.execute("SELECT * FROM sqlite_temp_schema").fetchall(),
                    other.execute("PRAGMA data_version").fetchall(),
                    db.execute("PRAGMA database_list").fetchall(), sorted(os.listdir(self.folder)))

        before = state()
        for name in sorted(self.readers):
            with self.subTest(name):
                self.call(db, name)
                self.assertEqual(state(), before)

    def test_a_reader_joins_limits_and_repeats(self):
        db = self.make_file()
        for name in sorted(self.readers):
            sql, values = self.calls[name]
            if not sql.startswith("SELECT * FROM") or self.call(db, name) is None:
                continue
            with self.subTest(name):
                source = sql.removeprefix("SELECT * FROM ")
                count = db.execute(f"SELECT count(*) FROM {source}", values).fetchone()[0]
                self.assertEqual(db.execute(
                    f"SELECT count(*) FROM (SELECT * FROM {source} LIMIT 1)", values).fetchone()[0],
                    min(count, 1))
                self.assertEqual(db.execute(f"SELECT count(*) FROM parent LEFT JOIN {source} AS c ON 1",
                                            values).fetchone()[0], 2 * max(count, 1))

    def test_nothing_is_left_behind_in_the_process(self):
        script = ("import host, sqlite3, sys\n"
                  "db = host.connect()\n"
                  "for sql, values in eval(sys.stdin.read()):\n"
                  "    try:\n"
                  "        db.execute(sql, values).fetchall()\n"
                  "    except sqlite3.Error:\n"
                  "        pass\n"
                  "db.close()\n"
                  "print('ended')\n")
        ran = subprocess.run(["/usr/bin/python3", "-c", script], input=repr(list(self.calls.values())),
                             capture_output=True, text=True, check=False,
                             env={**os.environ, "PYTHONPATH": os.path.dirname(host.__file__)})
        self.assertEqual((ran.returncode, ran.stdout), (0, "ended\n"), ran.stderr)


if __name__ == "__main__":
    unittest.main()
