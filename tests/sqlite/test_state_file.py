"""What was captured is kept in a file beside the database: written at close, added up over processes, bounded, and never
in the way of the database."""
import os
import pathlib
import shutil
import sqlite3
import threading
import unittest

import host
from test_capture import Captures, busy


class StateFileTest(Captures):
    def test_the_shell_sees_what_another_process_did(self):
        self.db.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.python("""
            db = host.connect(database=path, isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            db.execute("SELECT upkeep_set('slow_threshold', 0)").fetchall()
            db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
            for i in range(9):
                db.execute("INSERT INTO t VALUES(?)", (i,))
            db.execute("SELECT upkeep_save()").fetchall()
            for i in range(4):
                db.execute("SELECT * FROM t WHERE id = ?", (i,)).fetchall()
            """)
        self.assertEqual(self.shell("SELECT query, calls, rows FROM upkeep_statements ORDER BY calls"),
                         "create table t(id integer primary key)|1|0\n"
                         "select * from t where id = ?|4|4\ninsert into t values (?)|9|9")
        self.assertEqual(self.shell("SELECT count(*), count(plan) FROM upkeep_slow_statements"), "14|4")  # INSERT has none
        self.assertEqual(self.shell("SELECT json_extract(plan, '$[0].detail') FROM upkeep_slow_statements LIMIT 1"),
                         "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)")

    def test_saved_and_not_yet_saved_are_added_once(self):
        for round_ in range(4):
            for i in range(5):
                self.rows("SELECT ?", i)
            self.assertEqual(self.captured()["select ?"]["calls"], 5 * (round_ + 1))
            self.value("SELECT upkeep_save()")
            self.assertEqual(self.captured()["select ?"]["calls"], 5 * (round_ + 1))
            self.assertEqual(self.shell("SELECT calls FROM upkeep_statements WHERE query = 'select ?'"),
                             str(5 * (round_ + 1)))
        state = sqlite3.connect(self.state)
        self.addCleanup(state.close)
        self.assertEqual(state.execute("PRAGMA user_version").fetchone(), (2,))
        self.assertEqual(state.execute("PRAGMA integrity_check").fetchone(), ("ok",))

    def test_two_processes_merge(self):
        script = """
            import time
            db = host.connect(database=path, isolation_level=None, timeout=60)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            for i in range(40):
                for j in range(25):
                    db.execute("SELECT count(*) FROM t WHERE v = ?", (j,)).fetchall()
                try:
                    db.execute("SELECT upkeep_save()").fetchall()
                except Exception:
                    print("busy")
            """
        threads = [threading.Thread(target=self.python, args=(script,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        row = self.captured()["select count(*) from t where v = ?"]
        self.assertEqual((row["calls"], row["rows"]), (3000, 3000))

    def test_a_forked_child_saves_only_its_own(self):
        self.python("""
            db = host.connect(database=path, isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            for i in range(10):
                db.execute("SELECT 'both' AS a").fetchall()
            child = os.fork()
            if child == 0:
                mine = host.sqlite3.connect(path, isolation_level=None)
                for i in range(3):
                    mine.execute("SELECT 'child' AS b").fetchall()
                mine.close()
                db.close()
                os._exit(0)
            os.waitpid(child, 0)
            db.close()
            """)
        seen = {query: row["calls"] for query, row in self.captured().items()}
        self.assertEqual(seen, {"select ? as a": 10, "select ? as b": 3})

    def test_threads(self):
        def work():
            for _ in range(5):
                db = sqlite3.connect(self.path, isolation_level=None)  # captured: opened later
                for i in range(100):
                    db.execute("SELECT ? + 1", (i,)).fetchall()
                db.close()
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            self.captured()
        for thread in threads:
            thread.join()
        self.assertEqual(self.captured()["select ? + ?"]["calls"], 3000)

    def test_reset_forgets_here_and_in_the_file(self):
        self.set("slow_threshold", "0")
        self.rows("SELECT 1")
        self.value("SELECT upkeep_save()")
        self.rows("SELECT 2")
        self.assertEqual(self.captured()["select ?"]["calls"], 2)
        self.value("SELECT upkeep_reset_statements()")
        self.assertEqual(self.rows("SELECT * FROM upkeep_statements"), [])
        self.assertEqual(self.rows("SELECT * FROM upkeep_slow_statements"), [])
        self.assertEqual(self.shell("SELECT count(*) FROM upkeep_statements"), "0")
        self.rows("SELECT 3")
        self.assertEqual(self.captured()["select ?"]["calls"], 1)

    def test_persist_off_writes_nothing(self):
        self.set("persist", "off")
        self.rows("SELECT 1")
        self.refuses("setting persist is off", "SELECT upkeep_save()")
        self.assertEqual(self.captured()["select ?"]["calls"], 1)
        self.db.close()
        self.assertFalse(os.path.exists(self.state))

    def test_memory_databases_have_no_file(self):
        db = host.connect(isolation_level=None)
        self.addCleanup(db.close)
        db.execute("SELECT upkeep_reset_statements()").fetchall()
        db.execute("SELECT 1").fetchall()
        with self.assertRaisesRegex(sqlite3.Error, "a database in memory has no state file"):
            db.execute("SELECT upkeep_save()").fetchall()
        self.assertEqual(self.captured(db)["select ?"]["database_name"], ":memory:")
        self.assertEqual(self.captured()["select ?"]["calls"] if self.captured() else 0, 0)

    def test_permissions_are_the_databases(self):
        os.chmod(self.path, 0o600)
        self.rows("SELECT 1")
        self.value("SELECT upkeep_save()")
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o600)

    def test_a_file_that_cannot_be_made(self):
        os.mkdir(self.state)  # also root cannot write it as a file
        self.rows("SELECT 1")
        self.refuses("state file " + self.state, "SELECT upkeep_save()")
        other = sqlite3.connect(self.path)
        other.execute("SELECT 1").fetchall()
        other.close()  # quietly
        self.assertIn("not saved: ", self.value("SELECT reason FROM upkeep_capabilities"
                                                " WHERE feature = 'statement_capture'"))
        kept = "SELECT available, reason, how_to_enable FROM upkeep_capabilities WHERE feature = 'saved_statistics'"
        available, reason, advice = self.rows(kept)[0]
        self.assertEqual((available, advice), (0, f"make {self.state} writable, or remove it"))
        self.assertIn("not saved: ", reason)
        os.rmdir(self.state)
        self.assertEqual(self.captured()["select ?"]["calls"], 2)
        self.value("SELECT upkeep_save()")
        self.assertEqual(self.shell("SELECT calls FROM upkeep_statements"), "2")
        self.assertEqual(self.rows(kept)[0], (1, f"at the close of connections and by upkeep_save(), in {self.state}", None))

    def test_damaged_and_foreign_files(self):
        for name, content in (("no database", b"x" * 5000), ("another program's", None)):
            with self.subTest(name):
                if os.path.exists(self.state):
                    os.remove(self.state)
                if content is None:
                    foreign = sqlite3.connect(self.state)
                    foreign.execute("CREATE TABLE mine(x)")
                    foreign.close()
                else:
                    pathlib.Path(self.state).write_bytes(content)
                before = pathlib.Path(self.state).read_bytes()
                self.rows("SELECT 1")
                self.refuses("state file ", "SELECT upkeep_save()")
                self.refuses("state file ", "SELECT * FROM upkeep_statements")
                self.assertEqual(pathlib.Path(self.state).read_bytes(), before)
        os.remove(self.state)
        self.assertEqual(self.captured()["select ?"]["calls"], 2)

    def test_what_to_do_about_a_damaged_file_is_not_about_the_database(self):
        def not_ours():
            pathlib.Path(self.state).write_bytes(b"x" * 5000)

        def tables_gone():
            state = sqlite3.connect(self.state)
            state.executescript("PRAGMA application_id = 1970301808; CREATE TABLE t(x)")
            state.close()

        def pages_gone():
            self.rows("SELECT 1")
            self.value("SELECT upkeep_save()")
            state = sqlite3.connect(self.state, isolation_level=None)
            page = state.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'statements'").fetchone()[0]
            size = state.execute("PRAGMA page_size").fetchone()[0]
            state.close()
            with open(self.state, "r+b") as file:
                file.seek((page - 1) * size)
                file.write(b"x" * size)

        for damage in (not_ours, tables_gone, pages_gone):
            with self.subTest(damage.__name__):
                if os.path.exists(self.state):
                    os.remove(self.state)
                damage()
                for sql in ("SELECT * FROM upkeep_statements", "SELECT upkeep_save()"):
                    self.rows("SELECT 2")
                    with self.assertRaises(sqlite3.Error) as caught:
                        self.rows(sql)
                    self.assertIn("state file " + self.state + ": ", str(caught.exception))
                    self.assertIn("it may be deleted", str(caught.exception))
                    self.assertNotIn("restore", str(caught.exception))
        os.remove(self.state)

    def test_one_databases_trouble_is_not_anothers(self):
        os.mkdir(self.state)
        other = sqlite3.connect(self.path)
        other.execute("SELECT 1").fetchall()
        other.close()
        reason = "SELECT reason FROM upkeep_capabilities WHERE feature = 'statement_capture'"
        self.assertIn("not saved: ", self.value(reason))
        elsewhere = host.connect(database=str(self.folder / "other.db"))
        self.addCleanup(elsewhere.close)
        self.assertIn("kept in ", elsewhere.execute(reason).fetchone()[0])
        os.rmdir(self.state)

    def test_a_close_leaves_no_wal_behind(self):
        self.set("slow_threshold", "0")
        path = str(self.folder / "wal.db")
        db = sqlite3.connect(path)
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.execute("CREATE TABLE t(x)")
        db.execute("SELECT * FROM t").fetchall()
        db.close()
        self.assertEqual(sorted(name for name in os.listdir(self.folder) if name.startswith("wal.db")),
                         ["wal.db", "wal.db-upkeep"])

    def test_a_newer_state_file_is_left_alone(self):
        self.rows("SELECT 1")
        self.value("SELECT upkeep_save()")
        state = sqlite3.connect(self.state)
        state.execute("PRAGMA user_version = 99")
        state.close()
        self.refuses("a newer upkeep made it", "SELECT * FROM upkeep_statements")

    def test_altered_numbers_do_not_break_the_reader(self):
        self.rows("SELECT 1")
        self.value("SELECT upkeep_save()")
        state = sqlite3.connect(self.state, isolation_level=None)
        state.execute("UPDATE statements SET calls = -5, operation = 77, durations = x'01ffff',"
                      " total_ns = 9223372036854775807, tables = x'ff00'")
        state.close()
        self.assertEqual(self.rows("SELECT calls, operation, p50_ms FROM upkeep_statements"), [(0, "OTHER", None)])

    def test_the_file_stays_bounded(self):
        self.set("max_statements", "100")
        self.set("max_slow_statements", "10")
        self.python("""
            db = host.connect(database=path, isolation_level=None)
            for name, value in (("max_statements", 100), ("max_slow_statements", 10), ("slow_threshold", 0)):
                db.execute("SELECT upkeep_set(?, ?)", (name, value)).fetchall()
            db.execute("SELECT upkeep_capture(1)").fetchall()
            for i in range(300):
                db.execute(f"SELECT 1 AS a{i}").fetchall()
                if i % 50 == 0:
                    db.execute("SELECT upkeep_save()").fetchall()
            """)
        self.assertEqual(self.shell("SELECT (SELECT count(*) FROM upkeep_statements) <= 100,"
                                    " (SELECT count(*) FROM upkeep_slow_statements)"), "1|10")


if __name__ == "__main__":
    unittest.main()
