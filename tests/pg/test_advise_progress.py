"""Who watches advice sees how far it is, and sees nothing of it once it is over, whatever way it ended."""
# cluster: shared_preload_libraries=upkeep_preload
# cluster: autovacuum=off
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

ROLES = ("progress_asker", "progress_other", "progress_watcher")
PHASES = ["analysing", "collecting", "searching", "pricing", "explaining", "done"]
LOOK = ("SELECT pid, phase, statements_done, statements_total, planner_calls, cache_hits, best_saving_ratio,"
        " elapsed_ms FROM upkeep.advise_progress")


class Progress(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for i in range(6):
            cls.run_on(cls.db, f"CREATE TABLE t{i} AS SELECT g AS id, g % 97 AS a, g % 13 AS b, g % 7 AS c"
                               " FROM generate_series(1, 5000) g")
        cls.run_on(cls.db, "ANALYZE")
        for role in ROLES:
            cls.run_on(cls.db, f"CREATE ROLE {role}")
            cls.run_on(cls.db, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        cls.run_on(cls.db, "GRANT pg_monitor TO progress_watcher")

    @classmethod
    def tearDownClass(cls):
        for role in ROLES:
            cls.run_on(cls.db, f"DROP OWNED BY {role}")
            cls.run_on(cls.db, f"DROP ROLE {role}")
        super().tearDownClass()

    @staticmethod
    def workload(count=400):
        return [f"SELECT count(*) FROM t{i % 6} x JOIN t{(i + 1) % 6} y ON x.id = y.a JOIN t{(i + 2) % 6} z ON z.b = y.c"
                f" WHERE x.a = {i} AND y.b > {i % 13} AND z.c = {i % 7}" for i in range(count)]

    def session(self, role=None):
        connection = connect(self.database)
        self.addCleanup(connection.close)
        if role:
            self.run_on(connection, f"SET SESSION AUTHORIZATION {role}")
        return connection

    def start(self, connection, call="advise_indexes", workload=None):
        """Runs it in a thread; returns the thread and what it will have ended with."""
        ended = []

        def run():
            try:
                ended.append(self.run_on(connection, f"SELECT * FROM upkeep.{call}(%s::text[], time_limit => '20 s')",
                                         (workload or self.workload(),)))
            except psycopg2.Error as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread, ended

    def look(self, connection=None):
        return self.run_on(connection or self.db, LOOK)

    def wait_for(self, what, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rows = self.look()
            if what(rows):
                return rows
            time.sleep(0.005)
        self.fail(f"not seen in {seconds} s: {rows}")

    def end(self, connection, thread):
        connection.cancel()
        thread.join()

    def test_it_moves_and_then_is_gone(self):
        self.assertEqual(self.look(), [])
        asker = self.session()
        thread, ended = self.start(asker, "explain_rejections", self.workload(120))
        seen = []
        while thread.is_alive():
            seen += self.look()
            time.sleep(0.002)
        self.assertIsInstance(ended[0], list, ended[0])
        self.assertEqual(self.look(), [])
        self.assertEqual({row[0] for row in seen}, {asker.info.backend_pid})
        self.assertGreater(len({row[4] for row in seen}), 20, "planner_calls stand still")
        self.assertEqual(seen, sorted(seen, key=lambda row: (row[4], row[7])), "time and calls go on")
        phases = [PHASES.index(row[1]) for row in seen]
        self.assertEqual(phases, sorted(phases))
        self.assertTrue({"collecting", "searching"} <= {row[1] for row in seen}, {row[1] for row in seen})
        for _, _, done, total, _, hits, best, elapsed in seen:
            self.assertEqual(total, 120)
            self.assertTrue(0 <= done <= total)
            self.assertTrue(0 <= best <= 1)
            self.assertTrue(hits >= 0 and elapsed >= 0)
        self.assertGreater(seen[-1][6], 0.05, "what was found is not told")
        self.assertEqual([row[6] for row in seen], sorted(row[6] for row in seen))

    def test_who_sees_it(self):
        asker = self.session("progress_asker")
        thread, _ = self.start(asker)
        try:
            self.wait_for(lambda rows: rows)
            self.assertEqual(len(self.look(self.session("progress_asker"))), 1, "his own")
            self.assertEqual(self.look(self.session("progress_other")), [], "another's")
            self.assertEqual(len(self.look(self.session("progress_watcher"))), 1, "with pg_monitor")
        finally:
            self.end(asker, thread)

    def test_two_at_a_time(self):
        sessions = [self.session(), self.session()]
        threads = [self.start(session)[0] for session in sessions]
        rows = self.wait_for(lambda rows: len(rows) == 2)
        self.assertEqual({row[0] for row in rows}, {session.info.backend_pid for session in sessions})
        for session, thread in zip(sessions, threads):
            self.end(session, thread)
        self.assertEqual(self.look(), [])

    def test_gone_after_a_cancel(self):
        asker = self.session()
        thread, ended = self.start(asker)
        self.wait_for(lambda rows: rows and rows[0][4] > 50)
        self.end(asker, thread)
        self.assertIsInstance(ended[0], psycopg2.errors.QueryCanceled)
        self.assertEqual(self.look(), [])
        self.run_on(asker, "SELECT 1")  # and the session lives

    def test_gone_after_an_error(self):
        asker = self.session()
        thread, ended = self.start(asker, workload=self.workload(300) + ["SELECT 1 / 0 FROM t0"])
        self.wait_for(lambda rows: rows)
        thread.join()
        self.assertIsInstance(ended[0], psycopg2.Error)
        self.assertEqual(self.look(), [])

    def test_gone_with_its_session(self):
        asker = self.session()
        thread, ended = self.start(asker)
        self.wait_for(lambda rows: rows and rows[0][4] > 50)
        self.rows("SELECT pg_terminate_backend(%s)", asker.info.backend_pid)
        thread.join()
        self.assertIsInstance(ended[0], psycopg2.Error)
        self.wait_for(lambda rows: rows == [], 2)
        # the next session in its place is not taken for it, and can be shown itself
        following = self.session()
        self.assertEqual(self.look(), [])
        thread, _ = self.start(following)
        rows = self.wait_for(lambda rows: rows)
        self.assertEqual(rows[0][0], following.info.backend_pid)
        self.end(following, thread)

    def test_plans_without_advice_are_not_shown(self):
        asker = self.session()
        stop = threading.Event()

        def run():
            while not stop.is_set():
                self.run_on(asker, "SELECT * FROM upkeep.what_if('SELECT * FROM t0 WHERE a = 1',"
                                   " ARRAY['CREATE INDEX ON t0 (a)'])")

        thread = threading.Thread(target=run)
        thread.start()
        seen = [self.look() for _ in range(50)]
        stop.set()
        thread.join()
        self.assertEqual(seen, [[]] * 50)


if __name__ == "__main__":
    unittest.main()
