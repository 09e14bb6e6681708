"""This process's connections, other processes by their locks, ending statements, pool advice.

Oracles: what becomes of the connections, `PRAGMA wal_checkpoint`, the second process itself.
"""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import host

COLUMNS = "pid, database_name, state, holds_xmin, query, visible, backend_type"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


class SessionsTest(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "é %_'.db")
        self.db = host.connect(database=self.path, isolation_level=None, timeout=0.2)
        self.addCleanup(self.db.close)
        self.rows("PRAGMA journal_mode = wal")
        self.rows("CREATE TABLE t(x)")
        self.rows("INSERT INTO t WITH RECURSIVE c(x) AS"
                  " (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5000) SELECT x FROM c")
        self.own = self.value("SELECT pid FROM upkeep_connections WHERE state = 'active'")

    def open(self, path=None, **options):
        db = sqlite3.connect(path or self.path, isolation_level=None, check_same_thread=False,
                             **options)
        self.addCleanup(db.close)
        return db

    def opened(self, path=None):
        """A connection and its pid."""
        before = {row[0] for row in self.rows("SELECT pid FROM upkeep_connections")}
        db = self.open(path)
        (pid,) = {row[0] for row in self.rows("SELECT pid FROM upkeep_connections")} - before
        return db, pid

    def seen(self, pid):
        return self.rows(f"SELECT {COLUMNS} FROM upkeep_connections WHERE pid = ?", pid)[0]

    def run_endless(self, db, pid):
        errors = []

        def run():
            try:
                db.execute(ENDLESS).fetchall()
            except sqlite3.Error as error:
                errors.append(str(error))
        thread = threading.Thread(target=run)
        thread.start()
        end = time.monotonic() + 10
        while self.seen(pid)[2] != "active":
            self.assertLess(time.monotonic(), end)
        return thread, errors


class ConnectionsTest(SessionsTest):
    def test_own_and_later_connections(self):
        self.assertEqual(self.seen(self.own)[1:3], (self.path, "active"))
        db, pid = self.opened()
        self.assertEqual(self.seen(pid), (pid, self.path, "idle", 0, None, 1, "connection"))
        row, = self.rows("SELECT application_name, client_addr, user_name, wait_event, rule,"
                         " reap_in_ms, blocks_count FROM upkeep_connections WHERE pid = ?", pid)
        name = pathlib.Path("/proc/self/comm").read_text().strip()
        self.assertEqual(row, (name, f"process {os.getpid()} thread {threading.get_native_id()}",
                               None, None, None, None, None))
        db.close()
        self.assertEqual(self.rows("SELECT * FROM upkeep_connections WHERE pid = ?", pid), [])

    def test_in_memory_and_thread_of_opening(self):
        made = []
        thread = threading.Thread(target=lambda: made.append(
            (threading.get_native_id(), sqlite3.connect(":memory:", check_same_thread=False))))
        thread.start()
        thread.join()
        self.addCleanup(made[0][1].close)
        found = self.rows("SELECT database_name FROM upkeep_connections WHERE client_addr LIKE ?",
                          f"%thread {made[0][0]}")
        self.assertEqual(found, [(":memory:",)])

    def test_a_connection_that_closes_late_stays_until_then(self):
        db, pid = self.opened()
        cursor = db.execute("SELECT x FROM t")
        cursor.fetchone()
        db.close()  # Python finalizes its statements; the connection goes with the last of them
        del cursor
        self.assertEqual(self.rows("SELECT * FROM upkeep_connections WHERE pid = ?", pid), [])

    def test_upkeeps_own_connections_are_not_listed(self):
        before = self.rows("SELECT count(*) FROM upkeep_connections")
        self.rows("SELECT * FROM upkeep_what_if('SELECT * FROM t WHERE x = 1', '[]')")
        self.rows("SELECT * FROM upkeep_capabilities")
        _, pid = self.opened()
        self.assertEqual(self.rows("SELECT count(*) FROM upkeep_connections WHERE pid < ?", pid),
                         before)

    def test_states(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        self.assertEqual(self.seen(pid)[2:4], ("idle in transaction", 0))
        db.execute("SELECT x FROM t LIMIT 1").fetchall()
        self.assertEqual(self.seen(pid)[2:4], ("idle in transaction", 1))
        self.assertEqual(self.rows("SELECT pid, mode, relation, state FROM upkeep_lock_tree"),
                         [(pid, "read", self.path, "idle in transaction")])
        db.execute("INSERT INTO t VALUES (0)")
        self.assertEqual(self.rows("SELECT pid, mode FROM upkeep_lock_tree"), [(pid, "write")])
        db.execute("ROLLBACK")
        self.assertEqual(self.seen(pid)[2:4], ("idle", 0))
        self.assertEqual(self.rows("SELECT * FROM upkeep_lock_tree"), [])
        cursor = db.execute("SELECT x FROM t -- é")
        cursor.fetchone()
        self.assertEqual(self.seen(pid)[2:6], ("idle in transaction", 1, "SELECT x FROM t -- é", 1))
        depth, path, root, blocked_by, action = self.rows(
            "SELECT depth, path, root_pid, blocked_by, suggested_action FROM upkeep_lock_tree")[0]
        self.assertEqual((depth, json.loads(path), root, blocked_by), (0, [pid], pid, None))
        self.assertIn("end_session", action)
        cursor.close()
        self.assertEqual(self.seen(pid)[2:4], ("idle", 0))

    def test_running_statements_and_summary(self):
        self.assertEqual(self.rows("SELECT * FROM upkeep_running_statements"), [])  # not this one
        db, pid = self.opened()
        thread, errors = self.run_endless(db, pid)
        self.assertEqual(self.rows("SELECT pid, blocked_by, query FROM upkeep_running_statements"),
                         [(pid, None, None)])
        counts = dict(self.rows("SELECT state, sum(count) FROM upkeep_connection_summary"
                                " WHERE database_name = ? GROUP BY 1", self.path))
        self.assertEqual(counts, {"active": 2})
        while thread.is_alive():  # how often it takes is another test's matter
            db.interrupt()
            thread.join(0.1)
        self.assertEqual(len(errors), 1)

    def test_limits(self):
        used = self.value("SELECT count(*) FROM upkeep_connections")
        self.assertEqual(self.rows("SELECT * FROM upkeep_connection_limits"),
                         [(None, None, None, used, None, None, None)])

    def test_many_threads_open_and_close(self):
        before = self.value("SELECT count(*) FROM upkeep_connections")
        stop = threading.Event()
        failures = []

        def work():
            try:
                while not stop.is_set():
                    db = sqlite3.connect(self.path)
                    db.execute("SELECT count(*) FROM t").fetchall()
                    db.close()
            except sqlite3.Error as error:
                failures.append(error)
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(50):
            self.rows("SELECT * FROM upkeep_connections")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.value("SELECT count(*) FROM upkeep_connections"), before)


class OtherProcessTest(SessionsTest):
    def second(self, *statements):
        """A second process that runs the statements, keeps the last cursor open, and waits."""
        program = ("import sqlite3, sys\n"
                   "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                   "for sql in sys.argv[2:]:\n    cursor = db.execute(sql); cursor.fetchone()\n"
                   "print('ready', flush=True)\nsys.stdin.read()\n")
        child = subprocess.Popen([sys.executable, "-c", program, self.path, *statements],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(child.communicate)
        self.assertEqual(child.stdout.readline(), "ready\n")
        return child

    def test_a_second_process_that_pins_a_snapshot_is_named(self):
        child = self.second("SELECT x FROM t")
        self.rows("INSERT INTO t VALUES (-1)")
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 1)  # busy
        self.assertEqual(self.seen(child.pid),
                         (child.pid, self.path, "in transaction", 1, None, 1, "other process"))
        self.assertEqual(self.rows("SELECT pid, mode FROM upkeep_lock_tree"), [(child.pid, "read")])
        for call in ("upkeep_end_session(?, 'cancel', 0)", "upkeep_end_session(?, 'end', 0)"):
            action, reason = self.rows(f"SELECT action, reason FROM {call}", child.pid)[0]
            self.assertEqual(action, "refused")
            self.assertIn("another process", reason)
        self.assertIsNone(child.poll())
        child.communicate()
        self.assertEqual(self.rows("SELECT * FROM upkeep_lock_tree"), [])
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 0)

    def test_what_it_keeps_from_being_checkpointed(self):
        child = self.second("SELECT x FROM t")
        for i in range(50):
            self.rows("INSERT INTO t VALUES (?)", "x" * 3000)
        busy, frames, done = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        self.assertEqual(busy, 1)
        self.assertGreater(frames, done)
        (action,) = self.rows("SELECT suggested_action FROM upkeep_lock_tree WHERE pid = ?",
                              child.pid)[0]
        self.assertIn(f"it sees the WAL up to frame {done} of {frames}, so {frames - done} frames"
                      f" ({(frames - done) * 4} kB) cannot be checkpointed", action)
        child.communicate()
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0], (0, 0, 0))

    def test_what_a_connection_of_ours_keeps_from_being_checkpointed(self):
        db, pid = self.opened()
        cursor = db.execute("SELECT x FROM t")
        cursor.fetchone()
        for i in range(50):
            self.rows("INSERT INTO t VALUES (?)", "x" * 3000)
        busy, frames, done = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0]
        (action,) = self.rows("SELECT suggested_action FROM upkeep_lock_tree WHERE pid = ?", pid)[0]
        self.assertIn(f"up to frame {done} of {frames}", action)

    def test_looking_makes_no_shared_memory(self):
        for setup in ("PRAGMA journal_mode = delete", "PRAGMA locking_mode = exclusive"):
            path = self.path + str(len(setup))
            db = host.connect(database=path, isolation_level=None)
            self.addCleanup(db.close)
            db.execute(setup).fetchall()
            db.execute("PRAGMA journal_mode = wal" if "exclusive" in setup else setup).fetchall()
            db.execute("CREATE TABLE t(x)")
            db.execute("SELECT * FROM upkeep_lock_tree").fetchall()
            self.assertFalse(os.path.exists(path + "-shm"), setup)

    def test_a_writer(self):
        child = self.second("BEGIN IMMEDIATE")
        self.assertEqual(self.rows("SELECT pid, mode FROM upkeep_lock_tree"), [(child.pid, "write")])

    def test_looking_keeps_our_own_locks(self):
        self.rows("BEGIN IMMEDIATE")
        self.rows("SELECT * FROM upkeep_connections")
        program = ("import sqlite3, sys\nsqlite3.connect(sys.argv[1], timeout=0,"
                   " isolation_level=None).execute('BEGIN IMMEDIATE')\n")
        child = subprocess.run([sys.executable, "-c", program, self.path], capture_output=True,
                               text=True)
        self.assertIn("database is locked", child.stderr)
        self.rows("ROLLBACK")

    def test_a_process_that_is_only_connected_and_one_without_a_wal(self):
        child = self.second("SELECT 1 FROM t LIMIT 1", "SELECT 1")
        self.assertEqual(self.seen(child.pid)[2:4], ("connected", 0))
        child.communicate()
        self.rows("PRAGMA journal_mode = delete")
        child = self.second("SELECT x FROM t")
        self.assertEqual(self.rows("SELECT pid, mode FROM upkeep_lock_tree"), [(child.pid, "read")])


class EndingTest(SessionsTest):
    def reap(self, **arguments):
        where = " AND ".join(f"{name} = :{name}" for name in arguments)
        return [row for row in self.db.execute(
            "SELECT pid, action, reason FROM upkeep_reap_sessions"
            + (f" WHERE {where}" if where else ""), arguments).fetchall()]

    def test_cancel_interrupts_a_running_statement(self):
        db, pid = self.opened()
        thread, errors = self.run_endless(db, pid)
        self.assertEqual(self.rows("SELECT action FROM upkeep_end_session(?)", pid),
                         [("would_cancel",)])
        time.sleep(0.1)
        self.assertEqual(errors, [])
        self.assertEqual(self.rows("SELECT action, state FROM upkeep_end_session(?, 'cancel', 0)",
                                   pid), [("cancelled", "active")])
        thread.join(20)
        self.assertFalse(thread.is_alive())
        self.assertEqual(errors, ["interrupted"])
        self.assertEqual(db.execute("SELECT 1").fetchall(), [(1,)])

    def test_what_end_session_refuses(self):
        db, pid = self.opened()
        action, reason = self.rows("SELECT action, reason FROM upkeep_end_session(?, 'end', 0)", pid)[0]
        self.assertEqual(action, "refused")
        self.assertIn("only its owner", reason)
        self.assertEqual(self.rows("SELECT action FROM upkeep_end_session(?, 'cancel', 0)", pid),
                         [("skipped",)])
        self.assertEqual(self.rows("SELECT action FROM upkeep_end_session(?, 'cancel', 0)", self.own),
                         [("refused",)])
        self.refuses("no session has the pid 99999999", "SELECT * FROM upkeep_end_session(99999999)")
        self.refuses("use cancel or end", "SELECT * FROM upkeep_end_session(?, 'kill')", pid)
        self.refuses("must not be null", "SELECT * FROM upkeep_end_session(NULL)")
        self.refuses("needs the argument session_pid", "SELECT * FROM upkeep_end_session")
        self.assertEqual(db.execute("SELECT 1").fetchall(), [(1,)])

    def test_reap_interrupts_an_open_statement(self):
        db, pid = self.opened()
        cursor = db.execute("SELECT x FROM t")
        cursor.fetchone()
        self.rows("INSERT INTO t VALUES (-1)")
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 1)
        wanted = {"match_state": "idle in transaction", "idle_for_ms": 0}
        self.assertEqual([row[:2] for row in self.reap(**wanted)], [(pid, "would_end")])
        self.assertIsNotNone(cursor.fetchone())
        found = self.reap(dry_run=0, **wanted)
        self.assertEqual([row[:2] for row in found], [(pid, "ended")])
        self.assertIn("SQLITE_INTERRUPT", found[0][2])
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            cursor.fetchall()
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 0)
        self.assertEqual(self.reap(dry_run=0, **wanted), [])

    def test_reap_never_half_commits(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES ('half')")
        found = self.reap(match_state="idle in transaction", idle_for_ms=0, dry_run=0)
        self.assertEqual([row[:2] for row in found], [(pid, "refused")])
        self.assertIn("not captured", found[0][2])
        db.execute("ROLLBACK")
        self.assertEqual(self.rows("SELECT * FROM t WHERE x = 'half'"), [])

    def test_reap_leaves_idle_connections_and_unknown_ages(self):
        db, pid = self.opened()
        self.assertEqual([row[:2] for row in self.reap(idle_for_ms=0, dry_run=0)], [(pid, "refused")])
        found = self.reap(dry_run=0)
        self.assertEqual([row[:2] for row in found], [(pid, "skipped")])
        self.assertIn("since when is not known", found[0][2])
        self.assertEqual(db.execute("SELECT 1").fetchall(), [(1,)])

    def test_reap_patterns(self):
        _, here = self.opened()
        _, there = self.opened(self.path + "2")
        self.assertEqual([row[0] for row in self.reap()], [here])  # the current file
        self.assertEqual({row[0] for row in self.reap(match_database="%")}, {here, there})
        self.assertEqual([row[0] for row in self.reap(match_database="%.db2")], [there])
        self.assertEqual(self.reap(match_database="%", match_application="nobody"), [])
        self.assertEqual(self.reap(match_user="root"), [])  # there are no users

    def test_keep_at_least_and_only_blocking(self):
        cursors = []
        for _ in range(2):
            db, _ = self.opened()
            cursors.append(db.execute("SELECT x FROM t"))
            cursors[-1].fetchone()
        begun, pid = self.opened()
        begun.execute("BEGIN")
        wanted = {"match_state": "idle in transaction", "idle_for_ms": 0}
        actions = [row[1] for row in self.reap(keep_at_least=3, **wanted)]  # of 4, with this one
        self.assertEqual(sorted(actions), ["refused", "skipped", "would_end"])
        row, = [row for row in self.reap(only_blocking=1, **wanted) if row[0] == pid]
        self.assertEqual((row[1], row[2]), ("skipped", "blocks nobody and holds back no cleaning up"))

    def test_bad_input(self):
        for sql, wanted in (("match_state = 'active'", "use idle, idle in transaction"),
                            ("idle_for_ms = -1", "must not be negative"),
                            ("keep_at_least = -1", "must not be negative"),
                            ("match_application = 'a\\'", "escape character"),
                            ("match_database IS NULL AND match_database = NULL", "must not be null"),
                            ("dry_run = 'maybe'", "dry_run")):
            self.refuses(wanted, f"SELECT * FROM upkeep_reap_sessions WHERE {sql}")

    def test_direct_only(self):
        self.rows("CREATE VIEW v AS SELECT * FROM upkeep_reap_sessions")
        self.refuses("unsafe use", "SELECT * FROM v")


class AdvisePoolTest(SessionsTest):
    def test_a_file_has_one_writer(self):
        rows = {row[0]: row[1:] for row in self.rows("SELECT * FROM upkeep_advise_pool(4, 2)")}
        self.assertEqual(rows["pool_size"][0], "DB_POOL_SIZE=2")
        self.assertEqual(rows["max_overflow"][0], "DB_MAX_OVERFLOW=0")
        self.assertIn("one writer", rows["max_overflow"][4])
        self.assertEqual(rows["total_connections"][0], "8")
        self.assertEqual(rows["pre_ping"][0], "DB_POOL_PRE_PING=false")
        self.assertEqual(rows["pooler"][3], "not_needed")
        self.assertEqual(rows["reported_pools"][3], "unknown")

    def test_evidence(self):
        self.rows("SELECT upkeep_report_pool('w', 4, 3, 0, 1)")
        self.rows("SELECT upkeep_capture(1)")
        self.addCleanup(lambda: self.rows("SELECT upkeep_capture(0)"))
        self.rows("SELECT count(*) FROM t")
        rows = {row[0]: row[1:] for row in self.rows("SELECT * FROM upkeep_advise_pool(4, 2)")}
        self.assertEqual((rows["reported_pools"][0], rows["reported_pools"][3]), ("3 of 4 checked out", "limited"))
        self.assertEqual(rows["measured_concurrency"][3], "unknown")  # of a moment only
        self.rows("SELECT upkeep_save()")
        saved = sqlite3.connect(self.path + "-upkeep")
        with saved:  # as if it had been captured for twenty seconds, half of them busy
            saved.execute("UPDATE statements SET first_seen_us = last_seen_us - 20000000, total_ns = 0")
            saved.execute("UPDATE statements SET total_ns = 10000000000 WHERE rowid = 1")
        saved.close()
        row = self.rows("SELECT value, verdict FROM upkeep_advise_pool(4, 2) WHERE parameter = 'measured_concurrency'")
        self.assertEqual(row, [("0.50", "ok")])

    def test_null_pool_in_memory_loses_the_tables(self):
        rows = {row[0]: row[1:] for row in self.rows("SELECT * FROM upkeep_advise_pool(1, 1, 1, 'test')")}
        self.assertEqual(rows["environment"][0], "ENVIRONMENT=test")
        self.assertIn("new empty database", rows["environment"][4])
        self.assertEqual(rows["pool_size"][3], "not_used")

    def test_bad_input(self):
        self.refuses("must be between", "SELECT * FROM upkeep_advise_pool(0)")
        self.refuses("use development, staging", "SELECT * FROM upkeep_advise_pool(1, 1, 1, 'prod')")
        self.refuses("must not be null", "SELECT * FROM upkeep_advise_pool(NULL)")
        self.refuses("needs the argument processes", "SELECT * FROM upkeep_advise_pool")


if __name__ == "__main__":
    unittest.main()
