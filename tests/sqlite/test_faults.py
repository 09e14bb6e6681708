"""What goes wrong with the state file: statements run on, nothing but statistics is lost, one line of
SQLite's log says so."""
import ctypes
import os
import pathlib
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

import host

# A program whose SQLite logs to a list, which has to be arranged before SQLite is used first.
LOGGING = """
import ctypes
lines = []
library = ctypes.CDLL("libsqlite3.so.0")
kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
def note(_, code, text):
    if text.startswith(b"upkeep"):
        lines.append((code, text.decode()))
keep = kind(note)
assert library.sqlite3_config(16, keep, None) == 0
"""


class FaultCase(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")
        self.state = self.path + "-upkeep"
        db = sqlite3.connect(self.path)
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.commit()
        db.close()

    def script(self, text, logging=False):
        head = f"import sys, os\nsys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\npath = {self.path!r}\n"
        begin = "import host, sqlite3\ndb = host.connect(database=path, isolation_level=None)\n" \
                "db.execute('SELECT upkeep_capture(1)').fetchall()\n"
        end = "\ndb.close()\nsys.stdout.flush()\nos._exit(0)\n" if logging else ""  # no log into a half-dead python
        return ["/usr/bin/python3", "-B", "-c", head + (LOGGING if logging else "") + begin + textwrap.dedent(text) + end]

    def run_(self, text, logging=True, **options):
        done = subprocess.run(self.script(text, logging), capture_output=True, text=True, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), text)
        return done.stdout

    def calls(self):
        """By text, as another process reads them."""
        return dict(self.read("SELECT query, calls FROM upkeep_statements"))

    def read(self, sql):
        db = host.connect(database=self.path)
        self.addCleanup(db.close)
        return db.execute(sql).fetchall()

    def works(self):
        """Whatever the file is like: statements run, and the trouble is said once and in `capabilities`."""
        out = self.run_("""
            for round_ in range(3):
                other = sqlite3.connect(path, isolation_level=None)
                for i in range(20):
                    assert other.execute("SELECT ?", (i,)).fetchall() == [(i,)]
                other.execute("INSERT INTO t(v) VALUES(1)")
                other.close()
            print(len(lines), lines[0][1] if lines else "")
            print(db.execute("SELECT reason FROM upkeep_capabilities WHERE feature = 'statement_capture'").fetchone()[0])
            try:
                db.execute("SELECT upkeep_save()").fetchall()
                print("saved")
            except sqlite3.Error as e:
                print(e)
            """)
        self.assertEqual(sqlite3.connect(self.path).execute("PRAGMA integrity_check").fetchone(), ("ok",))
        return out.splitlines()


class FaultTest(FaultCase):
    def test_killed_in_the_middle_of_a_flush(self):
        pace = random.Random(7)
        for _ in range(12):
            writer = subprocess.Popen(self.script("""
                print("on", flush=True)
                while True:
                    for i in range(200):
                        db.execute(f"SELECT {i} AS c{i}").fetchall()
                    db.execute("SELECT upkeep_save()").fetchall()
                """), stdout=subprocess.PIPE, text=True)
            writer.stdout.readline()
            time.sleep(pace.random() * 0.15)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            writer.stdout.close()
            calls = self.calls()
            if os.path.exists(self.state):
                state = sqlite3.connect(self.state)
                self.assertEqual(state.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                state.close()
            # A flush is there whole or not at all: the 200 texts of a round stand alike.
            self.assertLessEqual(len({count for text, count in calls.items() if " as c" in text}), 1, calls)
        self.assertGreater(max(self.calls().values()), 0)

    def many_flush_at_once(self, processes):
        running = [subprocess.Popen(self.script("""
            left = 0
            for i in range(30):
                for j in range(10):
                    db.execute("SELECT count(*) FROM t WHERE v = ?", (j,)).fetchall()
                try:
                    db.execute("SELECT upkeep_save()").fetchall()
                except sqlite3.OperationalError as e:
                    assert "locked" in str(e), e
            for i in range(200):
                try:
                    db.execute("SELECT upkeep_save()").fetchall()
                    break
                except sqlite3.OperationalError:
                    pass
            """)) for _ in range(processes)]
        for one in running:
            self.assertEqual(one.wait(), 0)
        rows = self.read("SELECT calls, rows FROM upkeep_statements WHERE query LIKE 'select count%'")
        self.assertEqual(rows, [(300 * processes, 300 * processes)])

    def test_two_flush_at_once(self):
        self.many_flush_at_once(2)

    def test_eight_flush_at_once(self):
        self.many_flush_at_once(8)

    def test_a_damaged_file(self):
        self.run_("for i in range(300): db.execute(f'SELECT {i} AS a{i}').fetchall()\n")
        whole = pathlib.Path(self.state).read_bytes()
        chance = random.Random(11)
        for number in range(60):
            content = bytearray(whole)
            if number % 2:
                del content[chance.randrange(len(content)):]
            else:
                for _ in range(chance.choice([1, 1, 20])):
                    content[chance.randrange(len(content) if number % 4 else 200)] = chance.randrange(256)
            pathlib.Path(self.state).write_bytes(content)
            db = host.connect(database=self.path, isolation_level=None)
            try:
                db.execute("SELECT upkeep_capture(1)").fetchall()
                for sql in ("SELECT * FROM upkeep_statements", "SELECT * FROM upkeep_slow_statements",
                            "SELECT * FROM upkeep_indexes", "SELECT upkeep_save()"):
                    self.assertEqual(db.execute("SELECT 4711").fetchall(), [(4711,)])
                    try:
                        db.execute(sql).fetchall()
                    except sqlite3.Error as e:  # says which file it is about, and nothing else happens
                        self.assertIn(self.state, str(e), (number, sql))
            finally:
                db.execute("SELECT upkeep_capture(0)").fetchall()
                db.close()
            for leftover in self.folder.glob("app.db-upkeep-*"):
                leftover.unlink()
        pathlib.Path(self.state).write_bytes(b"")  # emptied: made anew
        self.assertEqual(self.works()[0], "0 ")

    def test_one_line_in_the_log(self):
        pathlib.Path(self.state).write_bytes(b"x" * 8192)
        said, reason, saved = self.works()
        self.assertTrue(said.startswith("1 upkeep: statistics not saved: state file " + self.state), said)
        self.assertIn("not saved: ", reason)
        self.assertIn("it may be deleted", saved)
        self.assertEqual(pathlib.Path(self.state).read_bytes(), b"x" * 8192)
        os.remove(self.state)
        self.assertEqual(self.works()[0], "0 ")

    def test_a_newer_version(self):
        self.run_("db.execute('SELECT 1').fetchall()")
        state = sqlite3.connect(self.state, isolation_level=None)
        state.execute("PRAGMA user_version = 1000")
        state.close()
        before = pathlib.Path(self.state).read_bytes()
        said, reason, saved = self.works()
        self.assertIn("a newer upkeep made it", said)
        self.assertIn("a newer upkeep made it", reason)
        self.assertIn("load that version", saved)
        self.assertEqual(pathlib.Path(self.state).read_bytes(), before)

    def test_a_link_is_not_followed(self):
        for target in ("nowhere.db", "others.db"):
            aim = self.folder / target
            if target == "others.db":
                aim.write_bytes(b"")
            os.symlink(aim, self.state)
            said, reason, saved = self.works()
            self.assertIn("it is a symbolic link", said)
            self.assertIn("it is a symbolic link", reason)
            self.assertIn("it is a symbolic link (hint: move it away", saved)
            self.assertEqual(aim.exists() and aim.stat().st_size, 0 if target == "others.db" else False)
            os.remove(self.state)
        # The database itself behind a link: its state file is beside the real one.
        os.symlink(self.path, self.folder / "link.db")
        real, self.path = self.path, str(self.folder / "link.db")
        self.assertEqual(self.works()[0], "0 ")
        self.assertTrue(os.path.exists(real + "-upkeep"))
        self.assertFalse(os.path.lexists(self.path + "-upkeep"))

    def test_capabilities_before_the_first_failure(self):
        os.mkdir(self.state)
        self.assertIn("cannot be saved: ", self.run_(
            "print(db.execute(\"SELECT reason FROM upkeep_capabilities WHERE feature = 'statement_capture'\").fetchall())"))

    def test_full_disk(self):
        """As far as a limit of the size of files can play one: the writes of the state file fail."""
        db = sqlite3.connect(self.path)
        db.executemany("INSERT INTO t(v) VALUES(?)", [("y" * 100,)] * 1000)
        db.commit()
        db.close()
        out = self.run_("""
            import resource, signal
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
            for round_ in range(3):
                other = sqlite3.connect(path, isolation_level=None)
                for i in range(200):
                    assert other.execute(f"SELECT {i} AS a{i}").fetchall() == [(i,)]
                assert other.execute("SELECT count(*) FROM t").fetchall() == [(1000,)]
                other.close()
            print(len(lines), lines[0][1])
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            db.execute("SELECT upkeep_save()").fetchall()
            """)
        self.assertTrue(out.startswith("1 upkeep: statistics not saved: state file "), out)
        self.assertEqual(self.calls()["select count(*) from t"], 3)  # nothing was lost meanwhile

    @unittest.skipIf(os.geteuid() == 0 and not shutil.which("setpriv"), "root may write anywhere")
    def test_a_folder_that_cannot_be_written(self):
        os.chmod(self.folder, 0o555)
        os.chmod(self.path, 0o444)
        try:
            command = self.script("""
                for i in range(5):
                    assert db.execute("SELECT ?", (i,)).fetchall() == [(i,)]
                print(db.execute("SELECT reason FROM upkeep_capabilities WHERE feature = 'statement_capture'").fetchone()[0])
                other = sqlite3.connect(path, isolation_level=None)
                other.execute("SELECT count(*) FROM t").fetchall()
                other.close()
                print(len(lines), lines[0][1])
                print(db.execute("SELECT calls FROM upkeep_statements WHERE query = 'select ?'").fetchall())
                """, logging=True)
            if os.geteuid() == 0:
                reachable = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "test", "-r",
                                            str(host.BUILD / "upkeep.so")]).returncode == 0
                if not reachable:
                    self.skipTest("another user cannot read the module")
                command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + command
            done = subprocess.run(command, capture_output=True, text=True)
        finally:
            os.chmod(self.folder, 0o755)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        reason, said, calls = done.stdout.splitlines()
        self.assertIn("cannot be saved: ", reason)
        self.assertTrue(said.startswith("1 upkeep: statistics not saved"), said)
        self.assertEqual(calls, "[(5,)]")
        self.assertFalse(os.path.exists(self.state))

    def test_locked_for_long(self):
        self.run_("db.execute('SELECT 1').fetchall()")
        holder = sqlite3.connect(self.state, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        said, reason, saved = self.works()
        took = time.monotonic() - began
        holder.execute("ROLLBACK")
        holder.close()
        self.assertTrue(said.startswith("1 "), said)
        self.assertIn("database is locked", said)
        self.assertIn("not saved: ", reason)
        self.assertIn("database is locked", saved)
        self.assertLess(took, 10)  # three closes and a save wait a quarter of a second each
        before = self.calls().get("select ?", 0)
        self.works()
        self.assertGreaterEqual(self.calls()["select ?"], before + 60)


class TextTest(FaultCase):
    def test_texts_that_are_not_utf8(self):
        self.run_("""
            other = ctypes.c_void_p()
            assert library.sqlite3_open(path.encode(), ctypes.byref(other)) == 0
            for sql in (b"SELECT v AS \\xff\\xfe FROM t WHERE v = 'x\\xff'", b"SELECT v FROM t WHERE v = 5 /* \\xff */"):
                assert library.sqlite3_exec(other, sql, None, None, None) == 0
            for save in (False, True):
                assert len(db.execute("SELECT query FROM upkeep_statements WHERE query LIKE '% from t %'").fetchall()) == 2
                db.execute("SELECT * FROM upkeep_advise_indexes").fetchall()
                db.execute("SELECT upkeep_save()").fetchall()
            """)
        self.assertEqual(self.calls()["select v as \ufffd\ufffd from t where v = ?"], 1)


class CloseTest(FaultCase):
    def test_closed_with_open_statements(self):
        """sqlite3_close refuses, sqlite3_close_v2 waits for the last statement: what ran is saved then."""
        self.run_("""
            at = ctypes.c_void_p
            other, statement, second = at(), at(), at()
            assert library.sqlite3_open(path.encode(), ctypes.byref(other)) == 0
            library.sqlite3_exec(other, b"SELECT 1 AS before", None, None, None)
            library.sqlite3_prepare_v2(other, b"SELECT 1 AS one UNION ALL SELECT 2", -1, ctypes.byref(statement), None)
            assert library.sqlite3_step(statement) == 100
            assert library.sqlite3_close(other) == 5
            assert library.sqlite3_close_v2(other) == 0  # a zombie
            assert not os.path.exists(path + "-upkeep")
            assert library.sqlite3_step(statement) == 100
            assert library.sqlite3_step(statement) == 101
            assert library.sqlite3_finalize(statement) == 0
            assert os.path.exists(path + "-upkeep")
            """)
        self.assertEqual(self.calls()["select ? as before"], 1)
        self.assertEqual(self.calls()["select ? as one union all select ?"], 1)

    def test_closed_by_another_thread(self):
        self.run_("""
            import threading
            for round_ in range(20):
                other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                other.execute("SELECT 'x' AS there").fetchall()
                closer = threading.Thread(target=other.close)
                closer.start()
                closer.join()
            """)
        self.assertEqual(self.calls()["select ? as there"], 20)

    def test_the_slot_taken_before_and_after_us(self):
        out = self.run_("""
            reason = "SELECT reason, how_to_enable FROM upkeep_capabilities WHERE feature = 'statement_capture'"
            seen = []
            other = host.connect(database=path, isolation_level=None)
            other.execute("SELECT 1 AS counted").fetchall()
            other.set_trace_callback(seen.append)             # takes ours
            other.execute("SELECT 1 AS uncounted").fetchall()
            print(*other.execute(reason).fetchone(), sep="|")
            other.set_trace_callback(None)                    # ends: ours does not come back by itself
            print(*other.execute(reason).fetchone(), sep="|")
            other.execute("SELECT upkeep_capture(1)").fetchall()
            other.execute("SELECT 1 AS counted").fetchall()
            print(*other.execute(reason).fetchone(), sep="|")
            other.set_trace_callback(seen.append)
            other.close()                                     # and is saved all the same
            """)
        lines = out.splitlines()
        for line in lines[:2]:
            self.assertIn("another trace has taken this connection's only place for one", line)
            self.assertTrue(line.endswith("|end that trace, then SELECT upkeep_capture(1)"))
        self.assertTrue(lines[2].startswith("this connection's statements are counted"))
        self.assertEqual((self.calls()["select ? as counted"], self.calls().get("select ? as uncounted")), (2, None))

    def test_multiprocessing(self):
        script = self.folder / "pool.py"
        script.write_text(textwrap.dedent(f"""
            import multiprocessing, sqlite3, sys
            sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
            import host
            path = {self.path!r}
            def work(number):
                db = sqlite3.connect(path, isolation_level=None, timeout=30)  # captured: inherited by the fork
                for i in range(50):
                    db.execute("SELECT ? AS child", (i,)).fetchall()
                db.close()
                return number
            if __name__ == "__main__":
                db = host.connect(database=path, isolation_level=None)
                db.execute("SELECT upkeep_capture(1)").fetchall()
                db.execute("SELECT 1 AS parent").fetchall()
                with multiprocessing.get_context("fork").Pool(4) as pool:
                    assert sorted(pool.map(work, range(12))) == list(range(12))
                    pool.close()
                    pool.join()
                db.execute("SELECT 1 AS parent").fetchall()
                db.close()
            """))
        done = subprocess.run(["/usr/bin/python3", "-B", str(script)], capture_output=True, text=True,
                              env={**os.environ, "UPKEEP_BUILD": str(host.BUILD)}, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        calls = self.calls()
        self.assertEqual((calls["select ? as child"], calls["select ? as parent"]), (600, 2))


if __name__ == "__main__":
    unittest.main()
