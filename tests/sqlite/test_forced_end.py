"""What a transaction that was left open is ended with, and what becomes of its owner.

Oracles: what is in the table afterwards, what the owner is told, and the two failures of the naive
way, shown beside it: half a transaction that commits, and rows that come twice.
"""
import os
import random
import sqlite3
import tempfile
import threading
import time
import unittest

import host
from raw_sqlite import DONE, ERROR, INTERRUPT, NOMUTEX, OK, ROW, Raw

IN_TRANSACTION = "idle in transaction"
ABORTED = "idle in transaction (aborted)"
END = "SELECT action, reason FROM upkeep_end_session(?, 'end', 0)"
SECONDS = 3 if host.UNDER_ASAN else 6


class Base(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "app.db")
        self.db = host.connect(database=self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(self.db.close)
        self.rows("PRAGMA journal_mode = wal")
        self.rows("CREATE TABLE t(x, y)")
        self.capture(1)

    def capture(self, on):
        self.value("SELECT upkeep_capture(?)", on)
        if on:
            self.addCleanup(self.capture, 0)

    def newest(self):
        return self.value("SELECT max(pid) FROM upkeep_connections WHERE backend_type = 'connection'")

    def opened(self):
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self.addCleanup(db.close)
        return db, self.newest()

    def opened_raw(self, **options):
        raw = Raw(self.path, **options)
        self.addCleanup(raw.close)
        return raw, self.newest()

    def state(self, pid):
        return self.value("SELECT state FROM upkeep_connections WHERE pid = ?", pid)

    def reap(self, **arguments):
        arguments = {"match_state": IN_TRANSACTION, "idle_for_ms": 0, "dry_run": 0, **arguments}
        where = " AND ".join(f"{name} = :{name}" for name in arguments)
        return self.db.execute(
            f"SELECT pid, action, reason FROM upkeep_reap_sessions WHERE {where}",
            arguments).fetchall()

    def all(self):
        return self.rows("SELECT x FROM t ORDER BY rowid")

    def interrupted(self, db, *statements):
        for sql in statements:
            with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted", msg=sql):
                db.execute(sql).fetchall()

class ForcedEndTest(Base):
    # --- the naive way ----------------------------------------------------------------------------

    def test_the_naive_rollback_commits_half_a_transaction(self):
        raw, _ = self.opened_raw()
        raw.run("BEGIN")
        raw.run("INSERT INTO t VALUES ('first half', 0)")
        thread = threading.Thread(target=raw.run, args=("ROLLBACK",))  # as a reaper would
        thread.start()
        thread.join()
        self.assertEqual(raw.run("INSERT INTO t VALUES ('second half', 0)"), OK)
        self.assertEqual(self.all(), [("second half",)])

    def test_the_naive_reset_repeats_rows(self):
        self.rows("INSERT INTO t VALUES (1, 0), (2, 0), (3, 0)")
        raw, _ = self.opened_raw()
        stmt = raw.prepare("SELECT x FROM t ORDER BY rowid")
        self.addCleanup(raw.finalize, stmt)
        seen = []
        for i in range(3):
            self.assertEqual(raw.step(stmt), ROW)
            seen.append(raw.number(stmt))
            if i == 1:
                thread = threading.Thread(target=raw.reset, args=(stmt,))
                thread.start()
                thread.join()
        self.assertEqual(seen, [1, 2, 1])

    # --- ours -------------------------------------------------------------------------------------

    def test_what_the_owner_sends_fails_until_rollback(self):
        raw, pid = self.opened_raw()
        raw.run("BEGIN")
        raw.run("INSERT INTO t VALUES ('half', 0)")
        self.assertEqual([row[:2] for row in self.reap(dry_run=1)], [(pid, "would_end")])
        self.assertEqual(self.state(pid), IN_TRANSACTION)
        (found,) = self.reap()
        self.assertEqual(found[:2], (pid, "ended"))
        self.assertIn("rolled back", found[2])
        self.assertEqual(self.state(pid), ABORTED)
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 0)  # nothing is pinned
        self.rows("INSERT INTO t VALUES ('of another', 0)")  # nor locked
        for sql in ("INSERT INTO t VALUES ('rest', 0)", "COMMIT", "SELECT 1", "DELETE FROM t",
                    "END TRANSACTION", "BEGIN", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s",
                    "/* ROLLBACK */ COMMIT", "CREATE TABLE u(x)", "PRAGMA user_version", "VACUUM"):
            self.assertEqual((raw.run(sql), raw.is_in_transaction()), (INTERRUPT, True), sql)
        self.assertEqual(self.state(pid), ABORTED)
        self.assertEqual(raw.run("-- enough\n ;; Rollback transaction;"), OK)
        self.assertEqual((self.state(pid), raw.is_in_transaction()), ("idle", False))
        self.assertEqual(raw.run("INSERT INTO t VALUES ('new', 0)"), OK)
        self.assertEqual(self.all(), [("of another",), ("new",)])

    def test_statements_prepared_before_fail_as_well(self):
        raw, pid = self.opened_raw()
        insert = raw.prepare("INSERT INTO t VALUES ('rest', 0)")
        commit = raw.prepare("COMMIT")
        rollback = raw.prepare("ROLLBACK")
        for stmt in (insert, commit, rollback):
            self.addCleanup(raw.finalize, stmt)
        raw.run("BEGIN")
        self.assertEqual((raw.step(insert), raw.reset(insert)), (DONE, OK))
        self.assertEqual(self.reap()[0][1], "ended")
        for _ in range(2):
            for stmt in (insert, commit):
                self.assertEqual((raw.step(stmt), raw.reset(stmt)), (INTERRUPT, INTERRUPT))
        self.assertEqual((raw.step(rollback), raw.reset(rollback)), (DONE, OK))
        self.assertEqual((raw.step(insert), raw.reset(insert)), (DONE, OK))
        self.assertEqual(self.all(), [("rest",)])

    def test_pythons_own_commit_and_rollback(self):
        # They send nothing where the library says that there is no transaction.
        db, pid = self.opened()
        db.isolation_level = ""
        db.execute("INSERT INTO t VALUES ('half', 0)")
        self.assertEqual(self.rows(END, pid)[0][0], "ended")
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            db.commit()
        self.interrupted(db, "INSERT INTO t VALUES ('rest', 0)")
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            db.commit()
        db.rollback()
        db.execute("INSERT INTO t VALUES ('new', 0)")
        db.commit()
        self.assertEqual(self.all(), [("new",)])

    def test_with_block_recovers(self):
        db, pid = self.opened()
        db.isolation_level = ""
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            with db:
                db.execute("INSERT INTO t VALUES ('half', 0)")
                self.assertEqual(self.rows(END, pid)[0][0], "ended")
                db.execute("INSERT INTO t VALUES ('rest', 0)")
        with db:
            db.execute("INSERT INTO t VALUES ('new', 0)")
        self.assertEqual(self.all(), [("new",)])

    def test_a_transaction_that_only_reads_lets_go_of_its_snapshot(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        db.execute("SELECT * FROM t").fetchall()
        self.rows("INSERT INTO t VALUES (1, 0)")
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 1)
        self.assertEqual(self.reap(only_blocking=1)[0][:2], (pid, "ended"))
        self.assertEqual(self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0], 0)
        self.interrupted(db, "SELECT * FROM t")
        db.execute("ROLLBACK")
        self.assertEqual(db.execute("SELECT x FROM t").fetchall(), [(1,)])

    def test_closing_instead_of_rollback(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES ('half', 0)")
        self.assertEqual(self.reap()[0][1], "ended")
        db.close()
        self.assertEqual(self.rows("SELECT * FROM upkeep_connections WHERE pid = ?", pid), [])
        self.assertEqual(self.all(), [])

    def test_query_only_is_as_it_was(self):
        for value in (0, 1):
            db, pid = self.opened()
            db.execute(f"PRAGMA query_only = {value}")
            db.execute("BEGIN")
            self.assertEqual(self.rows(END, pid)[0][0], "ended")
            db.execute("ROLLBACK")
            self.assertEqual(db.execute("PRAGMA query_only").fetchall(), [(value,)])
            db.close()

    def test_a_trace_taken_after_the_end_writes_nothing(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES ('half', 0)")
        self.assertEqual(self.rows(END, pid)[0][0], "ended")
        db.set_trace_callback(lambda sql: None)
        with self.assertRaisesRegex(sqlite3.OperationalError, "readonly"):
            db.execute("INSERT INTO t VALUES ('rest', 0)")
        db.execute("COMMIT")
        self.assertEqual(self.all(), [])

    def test_open_statement_is_interrupted_and_its_transaction_goes_next(self):
        self.rows("INSERT INTO t VALUES (1, 0), (2, 0)")
        db, pid = self.opened()
        db.execute("BEGIN")
        cursor = db.execute("SELECT x FROM t")
        cursor.fetchone()
        (found,) = self.reap()
        self.assertEqual(found[:2], (pid, "ended"))
        self.assertIn("open statement fails", found[2])
        (found,) = self.reap()
        self.assertEqual(found[:2], (pid, "refused"))
        self.assertIn("interrupted already", found[2])
        with self.assertRaisesRegex(sqlite3.OperationalError, "interrupted"):
            cursor.fetchall()
        action, why = self.reap()[0][1:]
        self.assertEqual((action, "failed a moment ago" in why), ("skipped", True))
        db.execute("SELECT 1").fetchall()
        self.assertEqual(self.reap()[0][1], "ended")

    # --- what is not forced, and why --------------------------------------------------------------

    def refusal(self, pid, wanted):
        for action, reason in (self.rows(END, pid)[0], self.reap()[0][1:]):
            self.assertEqual(action, "refused")
            self.assertIn(wanted, reason)

    def test_without_a_mutex_nothing_is_forced(self):
        raw, pid = self.opened_raw(flags=NOMUTEX)
        raw.run("BEGIN")
        raw.run("INSERT INTO t VALUES ('whole', 1)")
        self.assertEqual(self.state(pid), IN_TRANSACTION)  # its own events say so
        self.refusal(pid, "opened without a mutex")
        self.assertEqual(raw.run("INSERT INTO t VALUES ('whole', 2)"), OK)
        self.assertEqual(raw.run("COMMIT"), OK)
        self.assertEqual(self.all(), [("whole",), ("whole",)])

    def test_without_capture_nothing_is_forced(self):
        self.capture(0)
        raw, pid = self.opened_raw()
        raw.run("BEGIN")
        raw.run("INSERT INTO t VALUES ('whole', 1)")
        self.refusal(pid, "not captured")
        self.assertEqual(raw.run("COMMIT"), OK)
        self.assertEqual(self.all(), [("whole",)])

    def test_where_another_trace_has_the_slot_nothing_is_forced(self):
        db, pid = self.opened()
        db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES ('whole', 1)")
        db.set_trace_callback(lambda sql: None)
        self.refusal(pid, "another trace")
        db.execute("COMMIT")
        self.assertEqual(self.all(), [("whole",)])
        self.assertEqual(db.execute("PRAGMA query_only").fetchall(), [(0,)])

    def test_where_the_owner_may_still_read_an_error_it_waits(self):
        raw, pid = self.opened_raw()
        raw.run("BEGIN")
        self.assertEqual(raw.run("INSERT INTO nowhere VALUES (1)"), ERROR)
        action, reason = self.rows(END, pid)[0]
        self.assertEqual((action, self.state(pid)), ("skipped", IN_TRANSACTION))
        self.assertIn("reading why", reason)

    def test_idle_and_own_connections(self):
        _, pid = self.opened()
        action, reason = self.rows(END, pid)[0]
        self.assertEqual((action, "only its owner can close it" in reason), ("refused", True))
        self.rows("BEGIN")
        self.assertEqual([row[1] for row in self.reap()], [])  # it asks, so it is active
        own = self.value("SELECT pid FROM upkeep_connections WHERE state = 'active'")
        self.assertEqual(self.rows(END, own)[0], ("refused", "your own session"))
        self.rows("ROLLBACK")


class StressTest(Base):
    """Sixteen threads under a reaper that takes all that has been still for two milliseconds."""

    def writer(self, number, stop, log):
        rng = random.Random(number)
        db = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        db.execute("PRAGMA synchronous = off")
        for turn in range(100000):
            if stop.is_set():
                break
            key = number * 100000 + turn
            try:
                db.execute("BEGIN IMMEDIATE" if turn % 2 else "BEGIN")
                for part in range(3):
                    db.execute("INSERT INTO t VALUES (?, ?)", (key, part))
                    time.sleep(rng.choice((0, 0, 0.001, 0.004)))
                db.execute("COMMIT")
                log["committed"].add(key)
            except sqlite3.OperationalError as error:
                log[str(error)] = log.get(str(error), 0) + 1
                if db.in_transaction:
                    db.rollback()
        db.close()

    def reader(self, number, stop, log):
        rng = random.Random(number)
        db = sqlite3.connect(self.path, isolation_level=None, timeout=20)
        while not stop.is_set():
            last = 0
            try:
                for (row,) in db.execute("SELECT x FROM seen ORDER BY x"):
                    if row != last + 1:
                        log["wrong"].append((last, row))
                    last = row
                    time.sleep(rng.choice((0, 0, 0, 0.003)))
                log["whole"] += last == 50
                log["cut"] += last != 50
            except sqlite3.OperationalError as error:
                log[str(error)] = log.get(str(error), 0) + 1
        db.close()

    def test_no_half_commits_and_no_row_twice(self):
        self.rows("CREATE TABLE seen(x INTEGER PRIMARY KEY)")
        self.rows("INSERT INTO seen WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
                  " LIMIT 50) SELECT x FROM c")
        stop = threading.Event()
        written = [{"committed": set()} for _ in range(8)]
        read = [{"wrong": [], "whole": 0, "cut": 0} for _ in range(8)]
        threads = [threading.Thread(target=self.writer, args=(i, stop, log))
                   for i, log in enumerate(written)]
        threads += [threading.Thread(target=self.reader, args=(i, stop, log))
                    for i, log in enumerate(read)]
        for thread in threads:
            thread.start()
        actions = {}
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end:
                for _, action, _ in self.reap(idle_for_ms=2):
                    actions[action] = actions.get(action, 0) + 1
                time.sleep(0.002)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        committed = set().union(*(log.pop("committed") for log in written))
        parts = self.rows("SELECT x, count(*), count(DISTINCT y) FROM t GROUP BY x")
        self.assertEqual([row for row in parts if row[1:] != (3, 3)], [])
        self.assertEqual({row[0] for row in parts}, committed)
        self.assertEqual([row for log in read for row in log["wrong"]], [])
        self.assertEqual(sum(log["cut"] for log in read), 0)
        told = sum(log.get("interrupted", 0) for log in written + read)
        print(f"measured: {actions} of which told {told}, {len(committed)} committed whole,"
              f" {sum(log['whole'] for log in read)} read whole")
        self.assertGreater(actions.get("ended", 0), 20)
        self.assertGreaterEqual(told, actions["ended"] - len(threads))
        self.assertGreater(len(committed), 20)
        self.assertLessEqual({key for log in written for key in log}
                             - {"interrupted", "database is locked"}, set())


if __name__ == "__main__":
    unittest.main()
