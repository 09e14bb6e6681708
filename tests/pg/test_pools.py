# cluster: shared_preload_libraries=upkeep_preload
"""What applications report of their pools: who sees it, what is refused, how much is kept.

Oracles: what was reported, pg_shmem_allocations, a second session.
"""
import threading
import unittest

import psycopg2

from sessions_base import SessionsTest, connect, set_up
from server import Server

PLACES = 1000


def setUpModule():
    set_up()


class PoolsTest(SessionsTest):
    def report(self, pool, *numbers, db=None):
        places = ", ".join(["%s"] * (1 + len(numbers)))
        self.rows(f"SELECT upkeep.report_pool({places})", pool, *numbers, db=db)

    def pools(self, application="reporter", db=None):
        return self.rows("SELECT * FROM upkeep.pools WHERE application_name = %s", application, db=db)

    def test_what_is_reported_is_seen(self):
        plain = self.open("r_plain", "seen")
        self.report("web:1", 5, 7, 2, 3, 11, 1.5, db=plain)
        self.report("web:0", 5, 1, 0, 0, db=plain)
        first, second = self.pools("seen")
        self.assertEqual([first[name] for name in ("pool", "size", "idle", "checked_out", "overflow",
                                                   "waiting", "timeouts", "wait_ms")],
                         ["web:0", 5, 4, 1, 0, 0, 0, 0.0])
        self.assertEqual([second[name] for name in ("pool", "size", "idle", "checked_out", "overflow",
                                                    "waiting", "timeouts", "wait_ms")],
                         ["web:1", 5, 0, 7, 2, 3, 11, 1.5])
        age, = self.rows("SELECT extract(epoch FROM clock_timestamp() - reported_at) AS s FROM upkeep.pools"
                         " WHERE pool = 'web:1'")
        self.assertLess(age["s"], 30)
        self.report("web:1", 9, 0, 0, 0, db=plain)
        self.assertEqual([(row["pool"], row["size"]) for row in self.pools("seen")],
                         [("web:0", 5), ("web:1", 9)])

    def test_a_pool_is_its_database_role_application_and_name(self):
        for role, name in (("r_plain", "reporter"), ("r_stats", "reporter"), ("r_plain", "another")):
            self.report("one", 3, 0, 0, 0, db=self.open(role, name))
        self.assertEqual(len([row for row in self.pools() if row["pool"] == "one"]), 2)
        self.assertEqual(len(self.pools("another")), 1)
        self.do(self.db, "CREATE DATABASE elsewhere")
        self.addCleanup(lambda: self.do(connect(), "DROP DATABASE elsewhere WITH (FORCE)"))
        other = self.open("postgres", "reporter", database="elsewhere")
        self.do(other, "CREATE EXTENSION upkeep")
        self.report("far", 3, 0, 0, 0, db=other)
        self.assertEqual([row["pool"] for row in self.pools(db=other)], ["far"])
        self.assertNotIn("far", [row["pool"] for row in self.pools()])

    def test_rights(self):
        plain = self.open("r_plain", "reporter")
        self.report("mine", 3, 0, 0, 0, db=plain)
        self.refuses("42501", "permission denied", "SELECT * FROM upkeep.pools", db=plain)
        self.assertIn("mine", [row["pool"] for row in self.pools(db=self.open("r_monitor"))])
        # granted beyond that it sees its own roles' only
        self.do(self.db, "GRANT SELECT ON upkeep.pools TO r_plain; GRANT EXECUTE ON FUNCTION upkeep.pools() TO r_plain")
        self.addCleanup(lambda: self.do(connect(), "REVOKE ALL ON upkeep.pools FROM r_plain;"
                                                   "REVOKE ALL ON FUNCTION upkeep.pools() FROM r_plain"))
        self.report("theirs", 3, 0, 0, 0)
        seen = [row["pool"] for row in self.rows("SELECT * FROM upkeep.pools", db=plain)]
        self.assertIn("mine", seen)
        self.assertNotIn("theirs", seen)

    def test_it_is_no_part_of_a_transaction_and_works_in_a_read_only_one(self):
        db = self.open("r_plain", "reporter")
        self.do(db, "BEGIN READ ONLY")
        self.report("rolled back", 4, 0, 0, 0, db=db)
        row, = self.rows("SELECT pg_current_xact_id_if_assigned() AS x", db=db)
        self.assertIsNone(row["x"])
        self.do(db, "ROLLBACK")
        self.assertIn("rolled back", [row["pool"] for row in self.pools()])

    def test_bad_input_changes_nothing(self):
        self.report("kept", 5, 1, 0, 0)
        before = self.rows("SELECT * FROM upkeep.pools ORDER BY 1, 2")
        for wanted, arguments in (
                ("size must be between", "'kept', 0, 0, 0, 0"),
                ("size must be between", "'kept', -1, 0, 0, 0"),
                ("checked_out must be between", "'kept', 5, -1, 0, 0"),
                ("overflow must be between", "'kept', 5, 0, -5, 0"),
                ("overflow must not exceed checked_out", "'kept', 5, 1, 2, 0"),
                ("checked_out must not exceed size plus overflow", "'kept', 5, 6, 0, 0"),
                ("waiting must be between", "'kept', 5, 1, 0, -1"),
                ("timeouts must not be negative", "'kept', 5, 1, 0, 0, -1"),
                ("wait_ms must be a number", "'kept', 5, 1, 0, 0, 0, 'NaN'"),
                ("wait_ms must be a number", "'kept', 5, 1, 0, 0, 0, 'Infinity'"),
                ("wait_ms must be a number", "'kept', 5, 1, 0, 0, 0, -1"),
                ("pool must be a name of 1 to 63 bytes", "'', 5, 1, 0, 0"),
                ("pool must be a name of 1 to 63 bytes", "repeat('é', 32), 5, 1, 0, 0"),
                ("pool must not be null", "NULL, 5, 1, 0, 0"),
                ("size must not be null", "'kept', NULL, 1, 0, 0"),
                ("wait_ms must not be null", "'kept', 5, 1, 0, 0, 0, NULL")):
            with self.subTest(arguments):
                with self.assertRaises(psycopg2.Error) as caught:
                    self.rows(f"SELECT upkeep.report_pool({arguments})")
                self.assertEqual(caught.exception.pgcode, "22023")
                self.assertIn(wanted, caught.exception.diag.message_primary)
                self.assertTrue(caught.exception.diag.message_hint)
        self.refuses("22003", "out of range", "SELECT upkeep.report_pool('kept', 5, 1, 0, 2147483648::bigint::int)")
        self.assertEqual(self.rows("SELECT * FROM upkeep.pools ORDER BY 1, 2"), before)

    def test_memory_is_bounded_and_nobody_drives_the_others_out(self):
        size, = self.rows("SELECT size FROM pg_shmem_allocations WHERE name = 'upkeep pools'")
        self.assertEqual(size["size"], PLACES * 176)
        self.report("steady", 5, 1, 0, 0)
        flood = self.open("r_plain", "flood")
        self.do(flood, f"SELECT count(upkeep.report_pool('p' || i, 5, 1, 0, 0)) FROM generate_series(1, {2 * PLACES}) i")
        total, = self.rows("SELECT count(*) AS n FROM upkeep.pools")
        self.assertLessEqual(total["n"], PLACES)
        self.assertIn("steady", [row["pool"] for row in self.pools("asker")])
        names = {row["pool"] for row in self.pools("flood")}
        self.assertIn(f"p{2 * PLACES}", names)
        self.assertNotIn("p1", names)

    def test_many_at_once(self):
        sessions = [self.open("r_plain", "crowd") for _ in range(8)]

        def run(number, db):
            for i in range(200):
                self.report(f"c{number}", 1 + i, 0, 0, 0, db=db)
                if i % 20 == 0:
                    self.rows("SELECT count(*) FROM pg_stat_activity", db=db)
        threads = [threading.Thread(target=run, args=item) for item in enumerate(sessions)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            for row in self.pools("crowd"):
                self.assertEqual(row["idle"], row["size"])
        for thread in threads:
            thread.join(60)
        self.assertEqual([(row["pool"], row["size"]) for row in self.pools("crowd")],
                         [(f"c{i}", 200) for i in range(8)])

    def test_metrics(self):
        Server().restart()
        self.db = self.open("postgres", "asker")
        self.report("a", 5, 7, 2, 3, 1, 250)
        self.report("b", 5, 1, 0, 0)
        row, = self.rows("SELECT upkeep.metrics('upkeep', ARRAY['reported_pool_connections', 'reported_pool_wait_seconds']) AS text")
        self.assertIn('upkeep_reported_pool_connections{state="idle"} 4\n', row["text"])
        self.assertIn('upkeep_reported_pool_connections{state="used"} 8\n', row["text"])
        self.assertIn("upkeep_reported_pool_wait_seconds 0.25\n", row["text"])

    def test_reports_are_no_statements_of_the_application(self):
        self.report("unseen", 5, 1, 0, 0)
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query LIKE '%%report_pool%%'"), [])


class HealthTest(SessionsTest):
    """The checks that pools are the evidence of; first the server is started anew, so that nothing is kept."""

    def check(self):
        return {row["code"]: row for row in self.rows(
            "SELECT * FROM upkeep.check_health() WHERE code LIKE 'pool%%'")}

    def setUp(self):
        Server().restart()
        super().setUp()

    def report(self, *arguments):
        self.rows("SELECT upkeep.report_pool(%s, %s, %s, %s, %s)", *arguments)

    def test_from_nothing_to_too_much(self):
        self.assertEqual(self.rows("SELECT * FROM upkeep.pools"), [])
        found = self.check()
        self.assertEqual((found["pool_size"]["status"], found["pool_metrics"]["status"]), ("manual", "unknown"))
        self.assertIn("no pool has reported", found["pool_metrics"]["evidence"])
        self.report("a", 20, 4, 0, 0)
        found = self.check()
        self.assertEqual((found["pool_size"]["status"], found["pool_metrics"]["status"]), ("ok", "ok"))
        self.assertIn("1 pools are set to 20 connections: 4 checked out", found["pool_size"]["evidence"])
        self.assertIn("ordinary roles may have 47", found["pool_size"]["evidence"])  # 50 - 3
        self.report("a", 20, 21, 1, 5)
        self.assertEqual(self.check()["pool_size"]["status"], "warn")
        self.report("b", 28, 0, 0, 0)
        found = self.check()
        self.assertEqual(found["pool_size"]["status"], "fail")
        self.assertIn("processes x", found["pool_size"]["advice"])
        self.assertEqual(found["pool_pre_ping"]["status"], "manual")  # no report tells of it

    def test_capability(self):
        row, = self.rows("SELECT * FROM upkeep.capabilities WHERE feature = 'pool_reports'")
        self.assertEqual((row["available"], row["tier"], row["how_to_enable"]), (True, "preloaded", None))


if __name__ == "__main__":
    unittest.main()
