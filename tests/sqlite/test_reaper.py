"""The reaper of SQLite: a thread that applies the rules of upkeep_reap_rules, and its log.

Oracles: what is in the tables, what the owners are told, the kernel's list of threads.
"""
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import host
from raw_sqlite import NOMUTEX, OK, Raw

IN_TRANSACTION = "idle in transaction"
ABORTED = "idle in transaction (aborted)"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
SECONDS = 3 if host.UNDER_ASAN else 6


def tasks():
    return set(os.listdir("/proc/self/task"))


class Base(host.Asks, unittest.TestCase):
    interval_ms = 20

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "app.db")
        self.db = host.connect(database=self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(self.db.close)
        self.rows("PRAGMA journal_mode = wal")
        self.rows("CREATE TABLE t(x, y)")
        self.value("SELECT upkeep_capture(1)")
        self.addCleanup(self.value, "SELECT upkeep_capture(0)")
        self.set("reaper_interval", self.interval_ms)
        self.addCleanup(self.set, "reaper_interval", 1000)
        self.addCleanup(self.set, "reaper", "off")

    def set(self, name, value):
        return self.value("SELECT upkeep_set(?, ?)", name, value)

    def add(self, name, db=None, **columns):
        columns = {"name": name, "match_state": IN_TRANSACTION, "idle_for": 50, **columns}
        (db or self.db).execute(
            f"INSERT INTO upkeep_reap_rules ({', '.join(columns)})"
            f" VALUES ({', '.join('?' * len(columns))})", tuple(columns.values()))

    def opened(self, path=None):
        db = sqlite3.connect(path or self.path, isolation_level=None, check_same_thread=False,
                             timeout=20)
        self.addCleanup(db.close)
        return db, self.newest()

    def newest(self):
        return self.value("SELECT max(pid) FROM upkeep_connections WHERE backend_type = 'connection'")

    def begun(self, path=None):
        db, pid = self.opened(path)
        db.execute("BEGIN")
        return db, pid

    def state(self, pid):
        return self.value("SELECT state FROM upkeep_connections WHERE pid = ?", pid)

    def log(self, columns="rule, pid, state, action, outcome"):
        return self.rows(f"SELECT {columns} FROM upkeep_reap_log")

    def wait(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def settle(self):
        time.sleep(0.05 + 5 * self.interval_ms / 1000)


class ReaperTest(Base):
    def test_off_by_default(self):
        self.assertEqual(self.value("SELECT value FROM upkeep_settings WHERE name = 'reaper'"), "off")
        before = tasks()
        self.add("a")
        _, pid = self.begun()
        self.settle()
        self.assertEqual((self.state(pid), self.log()), (IN_TRANSACTION, []))
        self.assertEqual(tasks(), before)
        self.assertEqual(self.rows("SELECT rule, reap_in_ms FROM upkeep_connections WHERE pid = ?",
                                   pid), [(None, None)])

    def test_ends_by_rule_and_logs(self):
        self.add("leaked", idle_for=150)
        db, pid = self.begun()
        db.execute("INSERT INTO t VALUES ('half', 0)")
        self.set("reaper", "on")
        rule, in_ms = self.rows("SELECT rule, reap_in_ms FROM upkeep_connections WHERE pid = ?",
                                pid)[0]
        self.assertEqual((rule, 0 <= in_ms <= 150), ("leaked", True))
        self.wait(lambda: self.state(pid) == ABORTED)
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            db.execute("COMMIT")
        db.execute("ROLLBACK")
        self.wait(lambda: self.log() != [])
        (row,) = self.rows("SELECT * FROM upkeep_reap_log")
        at, *rest = row
        self.assertRegex(at, r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertEqual(rest[:3], ["leaked", pid, None])
        self.assertEqual(rest[4], f"process {os.getpid()} thread {threading.get_native_id()}")
        self.assertEqual(rest[5], IN_TRANSACTION)
        self.assertGreaterEqual(rest[6], 150)
        self.assertEqual(rest[7:10], [None, None, "end"])
        self.assertRegex(rest[10], r"^ended: idle in transaction for \d+ ms; its transaction is rolled")
        self.settle()
        self.assertEqual((self.rows("SELECT * FROM t"), len(self.log())), ([], 1))

    def test_interrupts_an_open_statement_once(self):
        self.rows("INSERT INTO t VALUES (1, 0), (2, 0)")
        db, pid = self.opened()
        cursor = db.execute("SELECT x FROM t WHERE y = 0 AND x <> 'secret'")
        cursor.fetchone()
        self.add("open")
        self.set("reaper", "on")
        self.wait(lambda: self.log() != [])
        self.settle()
        rows = self.log("rule, pid, last_query, substr(outcome, 1, 12)")
        self.assertEqual(rows[0], ("open", pid, "select x from t where y = ? and x <> ?",
                                   "interrupted:"))
        self.assertEqual([row[3][:7] for row in rows[1:]], ["refused"])  # and that once
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            cursor.fetchall()

    def test_cancels_what_runs_too_long(self):
        db, pid = self.opened()
        errors = []

        def run():
            try:
                db.execute(ENDLESS).fetchall()
            except sqlite3.Error as error:
                errors.append(str(error))
        thread = threading.Thread(target=run)
        self.add("slow", match_state="active", action="cancel", idle_for=100)
        self.set("reaper", "on")
        thread.start()
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual(errors, ["interrupted"])
        self.wait(lambda: self.log() != [])
        self.assertEqual(self.log("rule, pid, state, action"), [("slow", pid, "active", "cancel")])
        self.assertTrue(self.log("outcome")[0][0].startswith("cancelled: active for "))

    def test_escalation_and_log_only(self):
        self.add("tell", action="log", idle_for=30)
        self.add("end", idle_for=250)
        self.set("reaper", "on")
        _, pid = self.begun()
        self.wait(lambda: self.state(pid) == ABORTED)
        self.wait(lambda: len(self.log()) == 2)
        self.assertEqual(self.log("rule, action"), [("tell", "log"), ("end", "end")])
        self.assertTrue(self.log("outcome")[0][0].startswith("logged: idle in transaction for"))

    def test_keep_at_least_and_priority_shield(self):
        pids = [self.begun()[1] for _ in range(3)]
        self.add("rest", keep_at_least=2)  # of four: with the one that asks
        self.set("reaper", "on")
        self.wait(lambda: len(self.log()) == 2)
        self.settle()
        self.assertEqual(sorted(self.state(pid) for pid in pids),
                         [IN_TRANSACTION, ABORTED, ABORTED])
        self.add("shield", priority=1, enabled=1, action="log", idle_for=100_000)
        _, pid = self.begun()
        self.settle()
        self.assertEqual(self.state(pid), IN_TRANSACTION)

    def test_max_per_minute(self):
        pids = [self.begun()[1] for _ in range(3)]
        self.add("few", max_per_minute=1)
        self.set("reaper", "on")
        self.wait(lambda: self.log() != [])
        self.settle()
        self.assertEqual(sorted(self.state(pid) for pid in pids),
                         [IN_TRANSACTION, IN_TRANSACTION, ABORTED])

    def test_rules_that_change_and_those_of_another_file(self):
        other = host.connect(database=self.path + "2", isolation_level=None)
        self.addCleanup(other.close)
        self.add("theirs", other)
        self.set("reaper", "on")
        _, here = self.begun()
        _, there = self.begun(self.path + "2")
        self.wait(lambda: self.state(there) == ABORTED)
        self.settle()
        self.assertEqual(self.state(here), IN_TRANSACTION)
        program = ("import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                   "db.enable_load_extension(True); db.load_extension(sys.argv[2])\n"
                   "db.execute(\"INSERT INTO upkeep_reap_rules (name, match_state, idle_for)"
                   " VALUES ('by another process', 'idle in transaction', 50)\")\n")
        subprocess.run([sys.executable, "-c", program, self.path, str(host.BUILD / "upkeep")],
                       check=True)
        self.wait(lambda: self.state(here) == ABORTED)
        self.wait(lambda: self.log() != [])
        self.assertEqual(self.log("rule"), [("by another process",)])

    def test_refusals_are_told_once(self):
        self.add("a")
        raw = Raw(self.path, flags=NOMUTEX)
        self.addCleanup(raw.close)
        raw.run("BEGIN")
        raw.run("INSERT INTO t VALUES ('whole', 1)")
        self.set("reaper", "on")
        self.wait(lambda: self.log() != [])
        self.settle()
        (row,) = self.log("outcome")
        self.assertRegex(row[0], "^refused: it was opened without a mutex")
        self.assertEqual(raw.run("COMMIT"), OK)
        self.assertEqual(self.rows("SELECT x FROM t"), [("whole",)])

    def test_an_error_that_may_be_unread_is_waited_for(self):
        self.add("a")
        raw = Raw(self.path)
        self.addCleanup(raw.close)
        raw.run("BEGIN")
        raw.run("INSERT INTO nowhere VALUES (1)")
        self.set("reaper", "on")
        self.wait(lambda: self.log() != [])
        self.settle()
        ((outcome,),) = self.log("outcome")
        self.assertRegex(outcome, "^skipped: its last call failed a moment ago")
        if not host.UNDER_ASAN:
            self.wait(lambda: self.state(self.newest()) == ABORTED)
            self.wait(lambda: len(self.log()) == 2)

    def test_in_memory(self):
        memory = host.connect(isolation_level=None, check_same_thread=False)
        self.addCleanup(memory.close)
        self.add("m", memory, match_application="python%")
        self.addCleanup(memory.execute, "DELETE FROM upkeep_reap_rules")
        db, pid = self.begun(":memory:")
        self.set("reaper", "on")
        self.wait(lambda: self.state(pid) == ABORTED)
        self.wait(lambda: memory.execute("SELECT rule FROM upkeep_reap_log").fetchall() == [("m",)])
        self.assertEqual(self.log(), [])


class LogTest(Base):
    def test_bounded(self):
        self.add("a", action="log", idle_for=0)
        self.set("reaper", "on")
        self.begun()
        self.wait(lambda: self.log() != [])
        self.set("reaper", "off")
        with contextlib.closing(sqlite3.connect(self.path + "-upkeep")) as state, state:
            state.execute("INSERT INTO reap_log (at, rule) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL"
                          " SELECT x + 1 FROM c LIMIT 10050) SELECT x, 'old' FROM c")
        self.set("reaper", "on")
        _, pid = self.begun()
        self.wait(lambda: self.rows("SELECT * FROM upkeep_reap_log WHERE pid = ?", pid) != [])
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_reap_log"), 10000)

    def test_what_cannot_be_written_waits(self):
        self.add("a", action="log", idle_for=0)
        with contextlib.closing(sqlite3.connect(self.path + "-upkeep",
                                                isolation_level=None)) as state:
            state.execute("BEGIN IMMEDIATE")
            self.set("reaper", "on")
            self.begun()
            self.wait(lambda: self.log() != [])  # from memory
            self.assertEqual(state.execute("SELECT 1 FROM sqlite_schema WHERE name = 'reap_log'")
                             .fetchall(), [])
            state.execute("ROLLBACK")
            self.wait(lambda: state.execute("SELECT count(*) FROM sqlite_schema"
                                            " WHERE name = 'reap_log'").fetchall() == [(1,)])
            self.wait(lambda: state.execute("SELECT count(*) FROM reap_log").fetchall() == [(1,)])
            self.assertEqual(len(self.log()), 1)

    def test_empty_and_read_only(self):
        self.assertEqual(self.log(), [])
        self.refuses("may not be modified", "DELETE FROM upkeep_reap_log")


class SettingTest(Base):
    def test_bad_input(self):
        self.refuses("allowed: on, off", "SELECT upkeep_set('reaper', 'maybe')")
        for value in (0, 9, -1, 3600001, "soon"):
            self.refuses("between 10 and 3600000 ms", "SELECT upkeep_set('reaper_interval', ?)", value)
        self.assertEqual(self.value("SELECT value FROM upkeep_settings"
                                    " WHERE name = 'reaper_interval'"), "20")

    def test_one_thread_that_goes_again(self):
        before = tasks()
        for _ in range(3):
            self.set("reaper", "on")
            self.set("reaper", "on")
            self.wait(lambda: len(tasks() - before) == 1)
            self.set("reaper", "off")
            self.wait(lambda: tasks() == before)

    def run_program(self, program, seconds=20):
        program = ("import os, sqlite3, sys, time\n"
                   "def connect():\n"
                   "    db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                   "    db.enable_load_extension(True); db.load_extension(sys.argv[2])\n"
                   "    return db\n"
                   "def threads(): return len(os.listdir('/proc/self/task'))\n"
                   "db = connect()\n"
                   "db.execute('SELECT upkeep_capture(1)')\n"
                   "db.execute(\"SELECT upkeep_set('reaper_interval', 10)\")\n"
                   "db.execute(\"SELECT upkeep_set('reaper', 'on')\")\n") + program
        return subprocess.run([sys.executable, "-c", program, self.path, str(host.BUILD / "upkeep")],
                              capture_output=True, text=True, timeout=seconds)

    def test_exit_joins(self):
        self.add("a", idle_for=0)
        for _ in range(5):
            done = self.run_program("other = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                                    "other.execute('BEGIN'); other.execute('SELECT * FROM t')\n"
                                    "time.sleep(0.03)\n")
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    @unittest.skipIf(host.UNDER_ASAN, "g++ 12's ASan takes its own allocator's lock into a forked child")
    def test_a_child_starts_without_and_gets_its_own(self):
        self.add("a")
        done = self.run_program(
            "for turn in range(20):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        alone = threads()\n"
            "        other = connect(); other.execute('SELECT upkeep_capture(1)')\n"
            "        leaked = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
            "        leaked.execute('BEGIN')\n"
            "        end = time.monotonic() + 15\n"
            "        while other.execute(\"SELECT count(*) FROM upkeep_connections WHERE state LIKE"
            " '%(aborted)'\").fetchall() != [(1,)]:\n"
            "            if time.monotonic() > end: os._exit(3)\n"
            "            time.sleep(0.01)\n"
            "        os._exit(0 if alone == 1 and threads() == 2 else 4)\n"
            "    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, turn\n"
            "assert threads() == 2\n", seconds=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_costs_next_to_nothing_when_nothing_is_due(self):
        for i in range(10):
            self.add(f"r{i}", idle_for=3_600_000)
        for _ in range(50):
            self.begun()
        before = tasks()
        self.set("reaper_interval", 1000)
        self.set("reaper", "on")
        self.wait(lambda: len(tasks() - before) == 1)
        (task,) = tasks() - before

        def used_ns():
            with open(f"/proc/self/task/{task}/schedstat") as file:
                return int(file.read().split()[0])
        self.wait(lambda: used_ns() > 0)
        time.sleep(1)
        start, began = used_ns(), time.monotonic()
        time.sleep(6)
        share = (used_ns() - start) / 1e9 / (time.monotonic() - began)
        print(f"measured: the reaper uses {share:.4%} of a core for 50 connections and 10 rules")
        if not host.UNDER_ASAN:
            self.assertLess(share, 0.002)


class StressTest(Base):
    def worker(self, number, stop, log):
        rng = random.Random(number)
        db = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        turn = 0
        while not stop.is_set():
            turn += 1
            key = number * 1000000 + turn
            try:
                db.execute("BEGIN IMMEDIATE")
                for part in range(2):
                    db.execute("INSERT INTO t VALUES (?, ?)", (key, part))
                    time.sleep(rng.choice((0, 0, 0.002, 0.03)))
                db.execute("COMMIT")
                log["committed"].add(key)
            except sqlite3.OperationalError as error:
                log["errors"][str(error)] = log["errors"].get(str(error), 0) + 1
                if db.in_transaction:
                    db.rollback()
            if turn % 20 == 0:  # others come and go
                db.close()
                db = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        db.close()

    def test_sixteen_threads(self):
        self.add("stress", idle_for=10)
        self.set("reaper_interval", 10)
        self.set("reaper", "on")
        stop = threading.Event()
        logs = [{"committed": set(), "errors": {}} for _ in range(16)]
        threads = [threading.Thread(target=self.worker, args=(i, stop, log))
                   for i, log in enumerate(logs)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                self.rows("SELECT * FROM upkeep_connections")
                time.sleep(0.05)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.set("reaper", "off")
        committed = set().union(*(log["committed"] for log in logs))
        parts = self.rows("SELECT x, count(*) FROM t GROUP BY x")
        self.assertEqual([row for row in parts if row[1] != 2], [])
        self.assertEqual({row[0] for row in parts}, committed)
        self.assertLessEqual({error for log in logs for error in log["errors"]},
                             {"interrupted", "database is locked"})
        told = sum(log["errors"].get("interrupted", 0) for log in logs)
        ended = self.value("SELECT count(*) FROM upkeep_reap_log WHERE outcome LIKE 'ended:%'")
        print(f"measured: the reaper ended {ended}, told {told}, {len(committed)} committed whole")
        self.assertGreater(ended, 5)
        self.assertLessEqual(abs(told - ended), 16)


if __name__ == "__main__":
    unittest.main()
