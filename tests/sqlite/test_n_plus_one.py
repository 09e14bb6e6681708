"""Repeated reads of real applications in SQLite: SQLAlchemy, open cursors, the state file."""
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import unittest

from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

import host

sys.path.append(str(pathlib.Path(__file__).parent.parent))
import n_plus_one_scenes as scenes  # noqa: E402

FINDINGS = "SELECT parent_query, child_query, kind, total_repeats FROM upkeep_n_plus_one"


def table_of(query):
    return re.search(r"\bfrom (\w+)", query, re.IGNORECASE).group(1)


class NPlusOne(host.Asks, unittest.TestCase):
    score = scenes.Score()

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.sample = os.path.join(cls.folder.name, "sample.db")
        scenes.fill(create_engine(f"sqlite:///{cls.sample}"))

    @classmethod
    def tearDownClass(cls):
        print(cls.score)
        cls.folder.cleanup()

    def setUp(self):
        self.path = os.path.join(self.folder.name, "app.db")
        for path in (self.path, self.path + "-upkeep"):
            pathlib.Path(path).unlink(missing_ok=True)
        shutil.copy(self.sample, self.path)
        self.db = self.open()
        self.addCleanup(self.restore)
        self.reset()

    def restore(self):
        self.db.execute("SELECT upkeep_set('n_plus_one_threshold', '5')").fetchall()
        self.db.execute("SELECT upkeep_capture(0)").fetchall()

    def open(self, **options):
        db = host.connect(database=self.path, check_same_thread=False, **options)
        db.execute("SELECT upkeep_capture(1)").fetchall()
        self.addCleanup(db.close)
        return db

    def engine(self):
        # A connection per session, as SQLAlchemy does with files: nothing else in SQLite tells where a
        # transaction that only reads ends.
        return create_engine("sqlite://", creator=self.open, poolclass=NullPool)

    def reset(self):
        self.value("SELECT upkeep_reset_statements()")

    def found(self):
        return {(table_of(parent), table_of(child), kind, repeats)
                for parent, child, kind, repeats in self.rows(FINDINGS)}

    def play_all(self, left_out=()):
        for name, expected, play in scenes.SCENES:
            if name in left_out:
                continue
            self.reset()
            with self.subTest(name):
                with Session(self.engine()) as session:
                    play(session)
                    got = self.found()  # while the session is still there
                self.score.add(expected, got)
                self.assertEqual(got, expected)
                self.assertEqual(self.found(), expected)  # now out of the state file

    def test_scenes(self):
        self.play_all()

    def expect(self, name, expected):
        with self.subTest(name):
            got = self.found()
            self.score.add(expected, got)
            self.assertEqual(got, expected)
        self.reset()

    def test_open_cursors(self):
        db = self.open(isolation_level=None)
        for key, in db.execute("SELECT id FROM executions ORDER BY id LIMIT 20"):
            self.assertEqual(len(db.execute("SELECT id FROM logs WHERE execution_id = ?", (key,)).fetchall()), 4)
        self.expect("the parent is read on while they run", {("executions", "logs", "n_plus_one", 20)})
        for workflow, in db.execute("SELECT id FROM workflows"):
            for key, in db.execute("SELECT id FROM executions WHERE workflow_id = ?", (workflow,)):
                db.execute("SELECT id FROM logs WHERE execution_id = ?", (key,)).fetchone()
        self.expect("two open ones, one in the other", {("workflows", "executions", "n_plus_one", 10),
                                                        ("executions", "logs", "n_plus_one", 60)})
        for _ in db.execute("SELECT id FROM logs"):
            pass
        self.expect("a loop alone", set())
        for key, in db.execute("SELECT id FROM workflows"):
            db.execute("INSERT INTO jobs(status) VALUES (?)", (str(key),))
        self.expect("a loop that writes", set())

    def test_literals_and_values(self):
        db = self.open(isolation_level=None)
        for key, in db.execute("SELECT id FROM executions LIMIT 20").fetchall():
            db.execute(f"SELECT id FROM logs WHERE execution_id = {key}").fetchall()
        self.expect("values in the text", {("executions", "logs", "n_plus_one", 20)})
        for _ in db.execute("SELECT id FROM executions LIMIT 20").fetchall():
            db.execute("SELECT id FROM logs WHERE execution_id = 100").fetchall()
        self.expect("the same values in the text", {("executions", "logs", "repeated_read", 20)})
        db.execute("BEGIN")
        for key, in db.execute("SELECT id FROM executions LIMIT 20").fetchall():
            db.execute("SELECT id FROM logs WHERE execution_id = :key AND id > 0", {"key": key}).fetchall()
        db.execute("COMMIT")
        self.expect("in a transaction", {("executions", "logs", "n_plus_one", 20)})
        db.execute("SELECT id FROM executions").fetchall()
        for key in range(20):
            db.execute("BEGIN")
            db.execute("SELECT id FROM logs WHERE execution_id = ?", (key,)).fetchall()
            db.execute("COMMIT")
        self.expect("transactions of their own", set())

    def lazy(self, db, endpoint=""):
        db.execute("SELECT upkeep_set_endpoint(?)", (endpoint,)).fetchall()
        for key, in db.execute("SELECT id FROM executions ORDER BY id LIMIT 6").fetchall():
            db.execute("SELECT message FROM logs WHERE execution_id = ?", (key,)).fetchall()

    def test_row_and_endpoints(self):
        db = self.open(isolation_level=None)
        self.lazy(db, "/list")
        self.db.row_factory = sqlite3.Row
        row = dict(self.rows("SELECT * FROM upkeep_n_plus_one")[0])
        self.db.row_factory = None
        self.assertEqual(row["parent_query"], "select id from executions order by id limit ?")
        self.assertEqual(row["child_query"], "select message from logs where execution_id = ?")
        self.assertEqual((row["endpoint"], row["occurrences"], row["max_repeats"]), ("/list", 1, 6))
        self.assertEqual(row["database_name"], os.path.realpath(self.path))
        for what in ("executions", "join logs", "execution_id IN (?, …)", "selectinload"):
            self.assertIn(what, row["suggestion"])
        calls, total = self.rows("SELECT calls, total_ms FROM upkeep_statements WHERE fingerprint = ?",
                                 row["child_fingerprint"])[0]
        self.assertEqual(calls, 6)
        self.assertAlmostEqual(row["total_ms"], total, places=6)
        self.lazy(db, "/list")
        self.lazy(db, "/other")
        wanted = [("/list", 2), ("/other", 1)]
        sql = "SELECT endpoint, n_plus_one_count FROM upkeep_endpoints WHERE endpoint IS NOT NULL ORDER BY 1"
        self.assertEqual(self.rows(sql), wanted)
        self.value("SELECT upkeep_save()")
        self.assertEqual(self.rows(sql), wanted)
        self.lazy(db, "/other")
        self.assertEqual(self.rows(sql), [("/list", 2), ("/other", 2)])  # file and memory

    def test_threshold(self):
        db = self.open(isolation_level=None)
        for value, count in ((0, 0), (7, 0), (6, 1), (0, 1)):
            self.value("SELECT upkeep_set('n_plus_one_threshold', ?)", str(value))
            self.lazy(db)
            self.assertEqual(len(self.found()), count, value)
        self.assertEqual(self.rows("SELECT DISTINCT n_plus_one_count FROM upkeep_endpoints"), [(None,)])
        self.refuses("n_plus_one_threshold", "SELECT upkeep_set('n_plus_one_threshold', '-1')")

    def test_processes_merge(self):
        program = textwrap.dedent("""
            import sys
            sys.path.insert(0, "tests/sqlite")
            import host
            db = host.connect(database=sys.argv[1], isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            for key, in db.execute("SELECT id FROM executions ORDER BY id LIMIT " + sys.argv[2]).fetchall():
                db.execute("SELECT message FROM logs WHERE execution_id = ?", (key,)).fetchall()
            db.close()
        """)
        for limit in ("6", "9"):
            subprocess.run([sys.executable, "-c", program, self.path, limit], check=True)
        self.assertEqual(self.rows("SELECT occurrences, max_repeats, total_repeats FROM upkeep_n_plus_one"),
                         [(2, 9, 15)])
        self.assertEqual(self.found(), {("executions", "logs", "n_plus_one", 15)})
        self.reset()
        self.assertEqual(self.found(), set())

    def test_a_file_of_the_first_format(self):
        db = self.open(isolation_level=None)
        db.execute("SELECT id FROM jobs").fetchall()
        self.value("SELECT upkeep_save()")
        state = sqlite3.connect(self.path + "-upkeep")
        self.addCleanup(state.close)
        state.executescript("DROP TABLE n_plus_one; PRAGMA user_version = 1")
        self.assertEqual(self.found(), set())
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_statements WHERE query LIKE '%jobs%'"), 1)
        self.lazy(db)
        self.assertEqual(self.found(), {("executions", "logs", "n_plus_one", 6)})
        self.value("SELECT upkeep_save()")
        self.assertEqual(state.execute("PRAGMA user_version").fetchone(), (2,))
        self.assertEqual(self.found(), {("executions", "logs", "n_plus_one", 6)})
        state.executescript("DROP TABLE n_plus_one")
        self.refuses("tables are missing", FINDINGS)


if __name__ == "__main__":
    unittest.main()
