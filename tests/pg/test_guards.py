"""The boundary guards against what only another session or a timer can do: cancels, timeouts and ends of
sessions in the middle of core code. The rest: sql/guards.sql."""
import threading
import time
import unittest

import psycopg2

from host import Asks, connect


class Guards(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "CREATE EXTENSION upkeep_guard_test; CREATE TABLE rows (n int)")
        cls.other = connect(cls.database)

    @classmethod
    def tearDownClass(cls):
        cls.other.close()
        super().tearDownClass()

    def assert_nothing_alive(self):
        self.assertEqual(self.value("SELECT guard_alive()"), 0)

    def test_many_statement_timeouts(self):
        self.run_on(self.db, "SET statement_timeout = '2ms'")
        before = 0
        for i in range(400):
            kind = ("wait", "run SELECT pg_sleep(60)", "try SELECT pg_sleep(60)")[i % 3]
            self.assertEqual(self.refusal("SELECT guard_throw(%s)", kind).pgcode, "57014")
            if i == 50:
                before = self.kilobytes()
        grown = self.kilobytes() - before
        self.run_on(self.db, "RESET statement_timeout")
        self.assert_nothing_alive()
        self.assertLess(grown, 1024)

    def kilobytes(self):
        pid = self.db.get_backend_pid()
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4

    def test_cancels_by_another_session(self):
        pid = self.db.get_backend_pid()
        for i in range(60):
            kind = ("wait", "run SELECT pg_sleep(60)", "try SELECT pg_sleep(60)")[i % 3]
            errors = []
            thread = threading.Thread(
                target=lambda kind=kind: errors.append(self.refusal("SELECT guard_throw(%s)", kind)))
            thread.start()
            start = time.monotonic()
            # a cancel that comes before the statement has begun is nobody's: again until it ends
            while thread.is_alive() and time.monotonic() - start < 10:
                time.sleep(0.005)
                self.run_on(self.other, "SELECT pg_cancel_backend(%s)", [pid])
            thread.join()
            self.assertEqual([error.pgcode for error in errors], ["57014"])
            self.assertIn("user request", str(errors[0]))
            try:  # the last cancel may have come after the end
                self.value("SELECT 1")
            except psycopg2.Error:
                pass
        self.assert_nothing_alive()

    def test_lock_timeout_and_deadlock(self):
        self.run_on(self.other, "BEGIN; LOCK TABLE rows")
        self.run_on(self.db, "SET lock_timeout = '50ms'")
        for kind in ("run SELECT * FROM rows", "run LOCK TABLE rows"):
            self.assertEqual(self.refusal("SELECT guard_throw(%s)", kind).pgcode, "55P03")
        # after a lock timeout the core may go on: it is a value
        self.assertIn("did not run: canceling statement due to lock timeout",
                      self.value("SELECT guard_throw('try LOCK TABLE rows')"))
        self.run_on(self.db, "RESET lock_timeout")
        self.run_on(self.other, "ROLLBACK")
        self.run_on(self.db, "CREATE TABLE more (n int)")
        self.run_on(self.other, "SET deadlock_timeout = '10s'; BEGIN; LOCK TABLE more")
        self.run_on(self.db, "SET deadlock_timeout = '50ms'; BEGIN; LOCK TABLE rows")
        thread = threading.Thread(target=lambda: self.run_on(self.other, "LOCK TABLE rows"))
        thread.start()
        time.sleep(0.2)
        error = self.refusal("SELECT guard_throw('try LOCK TABLE more')")  # never a value: others wait for us
        self.assertEqual(error.pgcode, "40P01")
        self.run_on(self.db, "ROLLBACK; RESET deadlock_timeout")
        thread.join()
        self.run_on(self.other, "ROLLBACK; RESET deadlock_timeout")
        self.assert_nothing_alive()

    def test_the_end_of_a_session(self):
        started = self.value("SELECT pg_postmaster_start_time()")
        for kind in ("wait", "run SELECT pg_sleep(60)", "try SELECT pg_sleep(60)"):
            victim = connect(self.database)
            pid = victim.get_backend_pid()
            errors = []

            def call(victim=victim, kind=kind, errors=errors):
                try:
                    self.run_on(victim, "SELECT guard_throw(%s)", [kind])
                except psycopg2.Error as error:
                    errors.append(error)

            thread = threading.Thread(target=call)
            thread.start()
            time.sleep(0.1)
            self.assertTrue(self.value("SELECT pg_terminate_backend(%s, 5000)", pid))
            thread.join(10)
            self.assertEqual(len(errors), 1)
        # no crash: the server did not restart
        self.assertEqual(self.value("SELECT pg_postmaster_start_time()"), started)

    def test_savepoints_of_the_caller_survive(self):
        self.run_on(self.db, "TRUNCATE rows; BEGIN; INSERT INTO rows VALUES (1); SAVEPOINT mine; INSERT INTO rows VALUES (2)")
        self.value("SELECT guard_throw('try INSERT INTO rows VALUES (3); SELECT 1/0')")
        self.value("SELECT guard_throw('try INSERT INTO rows VALUES (4)')")
        self.assertEqual(self.rows("SELECT n FROM rows ORDER BY n"), [(1,), (2,), (4,)])
        self.run_on(self.db, "ROLLBACK TO mine")
        self.assertEqual(self.rows("SELECT n FROM rows"), [(1,)])
        self.run_on(self.db, "COMMIT")


if __name__ == "__main__":
    unittest.main()
