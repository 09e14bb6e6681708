# cluster: shared_preload_libraries=upkeep_preload
# cluster: max_connections=30
"""What advise_pool says, put to the test: as many connections as it advises can be opened, as many as the guide's formula
gives cannot; the measured concurrency is that of sessions whose work is known."""
import threading
import unittest

import psycopg2

from sessions_base import SessionsTest, connect, set_up

# The guide's environments and the numbers of its table; each "worker" is a process with such a pool.
GUIDE = {"development": (2, 5, 10), "staging": (8, 10, 20), "production": (20, 20, 40), "high_load": (24, 30, 50)}


def setUpModule():
    set_up()
    db = connect()
    with db.cursor() as cursor:
        cursor.execute("CREATE ROLE r_app LOGIN IN ROLE pg_monitor")
    db.close()


class AdviceTest(SessionsTest):
    def advise(self, *arguments, db=None):
        places = ", ".join(["%s"] * len(arguments))
        return {row["parameter"]: row for row in
                self.rows(f"SELECT * FROM upkeep.advise_pool({places})", *arguments, db=db)}

    def as_application(self, *arguments):
        """What it says to the application's role, whose session then ends."""
        db = connect("r_app", "asker of r_app")
        try:
            return self.advise(*arguments, db=db)
        finally:
            db.close()
            self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'r_app')")

    def can_open(self, count):
        """How many of `count` connections the application gets."""
        opened = []
        try:
            for _ in range(count):
                opened.append(connect("r_app", "pool"))
        except psycopg2.OperationalError as error:
            self.assertIn("connection", str(error))
        finally:
            for db in opened:
                db.close()
        self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'r_app')")
        return len(opened)

    def limit_role(self, number):
        self.do(self.db, f"ALTER ROLE r_app CONNECTION LIMIT {number}")
        self.addCleanup(lambda: self.do(connect(), "ALTER ROLE r_app CONNECTION LIMIT -1"))

    def test_five_environments_against_thirty_connections(self):
        for environment, (processes, size, overflow) in GUIDE.items():
            with self.subTest(environment):
                rows = self.as_application(processes, 1, 1, environment)
                guide = processes * (size + overflow)
                self.assertEqual(rows["guide_total_connections"]["value"], str(guide))
                self.assertEqual(rows["guide_total_connections"]["verdict"], "exceeds")
                self.assertLess(self.can_open(guide), guide)
                advised = int(rows["total_connections"]["value"])
                if rows["total_connections"]["verdict"] == "ok":
                    self.assertEqual(self.can_open(advised), advised)
                else:
                    self.assertGreater(processes, int(rows["total_connections"]["limit_value"]))
        self.assertEqual(self.as_application(4, 1, 1, "test")["pool_size"]["verdict"], "not_used")

    def test_a_role_with_a_connection_limit(self):
        self.limit_role(10)
        rows = self.as_application(3, 4)
        self.assertEqual(rows["pool_size"]["value"], "DB_POOL_SIZE=2")  # (10 - 3) / 3
        self.assertIn("role limit 10", rows["pool_size"]["limit_value"])
        advised = int(rows["total_connections"]["value"])
        self.assertEqual(self.can_open(advised), advised)
        self.assertEqual(self.can_open(11), 10)
        self.assertEqual((rows["pooler"]["verdict"], rows["pooler_pool_size"]["value"], rows["pooler_clients"]["value"]),
                         ("needed", "default_pool_size=7", "max_client_conn=12"))
        self.assertEqual(rows["pooler_from_processes"]["value"], "2")

    def test_a_database_with_a_connection_limit(self):
        self.do(self.db, "ALTER DATABASE postgres CONNECTION LIMIT 12")
        self.addCleanup(lambda: self.do(connect(), "ALTER DATABASE postgres CONNECTION LIMIT -1"))
        rows = self.as_application(2, 4)
        self.assertIn("database limit 12", rows["pool_size"]["limit_value"])
        advised = int(rows["total_connections"]["value"])
        self.assertEqual(self.can_open(advised), advised)
        self.assertLess(self.can_open(13), 13)

    def test_max_connections_exceeded(self):
        rows = self.as_application(40)
        self.assertEqual({rows[name]["verdict"] for name in ("pool_size", "max_overflow", "total_connections")}, {"exceeds"})
        self.assertEqual(rows["pooler"]["verdict"], "needed")
        self.assertLess(self.can_open(40), 40)

    def test_measured_concurrency_is_little_s_law(self):
        self.do(self.db, "SELECT upkeep.reset_statements()")
        self.assertEqual(self.advise(4)["measured_concurrency"]["verdict"], "unknown")
        self.do(self.db, "SELECT 1 AS first_of_all")
        sessions = [self.open() for _ in range(3)]
        threads = [threading.Thread(target=self.do, args=(db, f"SELECT pg_sleep(11) AS s{i}"))
                   for i, db in enumerate(sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        row = self.advise(4)["measured_concurrency"]
        self.assertAlmostEqual(float(row["value"]), 3.0, delta=0.3)
        self.assertEqual(row["verdict"], "ok")
        self.assertIn("Little's law", row["explanation"])
        self.assertEqual(self.advise(1)["measured_concurrency"]["verdict"], "exceeds")  # 1 + 1 connections for three

    def test_reported_pools(self):
        self.do(self.db, "SELECT upkeep.report_pool('w', 20, 23, 3, 2)")
        row = self.advise(4)["reported_pools"]
        self.assertEqual((row["value"], row["verdict"]), ("23 of 20 checked out", "limited"))
        self.do(self.db, "SELECT upkeep.report_pool('w', 30, 1, 0, 0)")
        self.assertEqual(self.advise(4)["reported_pools"]["verdict"], "exceeds")


if __name__ == "__main__":
    unittest.main()
