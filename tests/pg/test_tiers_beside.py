"""Tiers where pg_stat_statements is preloaded: a session that captures for itself counts what it counts."""
# cluster: shared_preload_libraries=pg_stat_statements
import unittest

from host import Asks, connect


class Beside(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "CREATE EXTENSION pg_stat_statements; CREATE TABLE t(id int, n int);"
                           "INSERT INTO t SELECT i, i FROM generate_series(1, 20000) i; ANALYZE t")

    def setUp(self):
        self.connection = connect(self.database)
        self.addCleanup(self.connection.close)

    def ask(self, sql):
        return self.run_on(self.connection, sql)

    def test_both_count_the_same(self):
        self.ask("LOAD 'upkeep'")
        self.ask("SELECT pg_stat_statements_reset()")
        for number in range(4):
            self.ask(f"SELECT n FROM t WHERE id = {number}")
        self.ask("PREPARE p(int) AS SELECT id FROM t WHERE n < $1")
        for _ in range(3):
            self.ask("EXECUTE p(10)")
        same = self.ask("""SELECT s.query, s.calls, s.rows, p.calls, p.rows FROM upkeep.statements s
            JOIN pg_stat_statements p ON p.queryid = s.fingerprint WHERE s.query LIKE '%FROM t WHERE%'""")
        self.assertEqual(len(same), 2)
        for query, calls, rows, their_calls, their_rows in same:
            self.assertEqual((calls, rows), (their_calls, their_rows), query)

    def test_advice_prefers_what_this_session_ran(self):
        other = connect(self.database)
        for number in range(5):
            self.run_on(other, f"SELECT id FROM t WHERE n = {number}")
        other.close()
        columns = "SELECT columns::text FROM upkeep.advise_indexes() ORDER BY 1"
        self.ask("LOAD 'upkeep'")
        self.assertIn("{n}", str(self.ask(columns)), "nothing captured yet: pg_stat_statements is asked")
        for number in range(5):
            self.ask(f"SELECT n FROM t WHERE id = {number}")
        self.assertEqual(self.ask(columns), [("{id}",)])

    def test_without_load_it_is_pg_stat_statements(self):
        self.ask("SELECT upkeep.version()")
        self.ask("SELECT n FROM t WHERE id = 1")
        self.assertEqual(self.ask("SELECT count(*) FROM upkeep.statements"), [(0,)])
        reason, = self.ask("SELECT reason FROM upkeep.capabilities WHERE feature = 'captured_workload'")[0]
        self.assertEqual(reason, "pg_stat_statements is installed in this database")


if __name__ == "__main__":
    unittest.main()
