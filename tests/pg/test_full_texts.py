# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.max_statements=100
# cluster: upkeep.text_memory=1MB
"""With the memory for texts full, a text is kept when its statement runs again, took long or failed."""
import unittest

import psycopg2

from host import Asks, connect

NOT_KEPT = "<text not kept>"


class FullTexts(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "CREATE TABLE wide (id int PRIMARY KEY, a int, b int, c int)")

    def setUp(self):
        self.rows("SELECT upkeep.reset_statements()")
        for n in range(1, 260):  # more than the 200 texts there is room for
            self.rows(f"SELECT {', '.join(['a'] * n)} FROM wide")

    def texts(self, alias):
        """Texts and calls of the statements whose tables or text name this."""
        return self.rows("SELECT query, calls FROM upkeep.statements WHERE %s = ANY (tables) ORDER BY calls DESC", alias)

    def test_one_that_comes_once_is_counted_without_its_text(self):
        self.rows("CREATE TABLE once (a int)")
        self.rows("SELECT a AS first_time FROM once WHERE a = 17")
        self.assertEqual(self.texts("once"), [(NOT_KEPT, 1)])
        self.rows("SELECT a AS first_time FROM once WHERE a = 18")
        self.assertEqual(self.texts("once"), [("SELECT a AS first_time FROM once WHERE a = $1", 2)])
        self.rows("DROP TABLE once")

    def test_prepared_and_run_again(self):
        self.rows("CREATE TABLE prepared_once (a int)")
        self.rows("PREPARE p AS SELECT a AS again FROM prepared_once WHERE a = $1 AND a <> 17")
        for n in range(3):
            self.rows(f"EXECUTE p({n})")
        ((query, calls),) = self.texts("prepared_once")
        self.assertEqual(calls, 3)
        self.assertIn("again FROM prepared_once", query)
        self.assertNotIn("17", query)
        self.rows("DEALLOCATE p; DROP TABLE prepared_once")

    def test_one_that_took_long_is_kept_at_once(self):
        self.rows("CREATE TABLE long_once (a int); INSERT INTO long_once VALUES (1)")
        self.rows("SELECT a, pg_sleep(0.02) FROM long_once WHERE a = 1")
        self.assertIn(("SELECT a, pg_sleep($1) FROM long_once WHERE a = $2", 1), self.texts("long_once"))
        self.rows("DROP TABLE long_once")

    def test_one_that_failed_is_kept_at_once(self):
        self.rows("CREATE TABLE failed_once (a int); INSERT INTO failed_once VALUES (1)")
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            self.rows("SELECT 17 / (a - 1) AS fails FROM failed_once")
        self.assertEqual(self.rows("SELECT query, errors FROM upkeep.statements WHERE 'failed_once' = ANY (tables)"
                                   " AND errors > 0"), [("SELECT $1 / (a - $2) AS fails FROM failed_once", 1)])
        self.rows("DROP TABLE failed_once")

    def test_our_own_calls_are_not_counted(self):
        for _ in range(3):
            self.rows("SELECT count(*) AS how_many FROM upkeep.statements")
        self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query LIKE '%how_many%'"), [])

    def test_another_session_knows_it_too(self):
        self.rows("CREATE TABLE elsewhere (a int)")
        self.rows("SELECT a AS there FROM elsewhere")
        self.run_on(connect(self.database), "SELECT a AS there FROM elsewhere")
        self.assertEqual(self.texts("elsewhere"), [("SELECT a AS there FROM elsewhere", 2)])
        self.rows("DROP TABLE elsewhere")


if __name__ == "__main__":
    unittest.main()
