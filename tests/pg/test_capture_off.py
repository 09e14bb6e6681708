# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.capture=none
"""A server that starts with capture off pays for no query ids, until somebody turns capture on."""
import unittest

from host import Asks, connect

QUERY_ID = "SELECT query_id FROM pg_stat_activity WHERE pid = pg_backend_pid()"
SEEN = "SELECT calls FROM upkeep.statements WHERE query ~ 'AS probe'"


class CaptureOff(Asks):
    def test_a_session_that_turns_it_on_is_captured(self):
        self.assertEqual(self.rows(QUERY_ID), [(None,)])
        self.rows("SELECT 1 AS probe")
        self.assertEqual(self.rows(SEEN), [])
        self.rows("SET upkeep.capture = top")
        self.rows("SELECT 1 AS probe")
        self.rows("SELECT 2 AS probe")
        self.assertEqual(self.rows(SEEN), [(2,)])
        self.assertIsNotNone(self.rows(QUERY_ID)[0][0])
        self.rows("SET upkeep.capture = none")
        self.rows("SELECT 3 AS probe")
        self.assertEqual(self.rows(SEEN), [(2,)])

    def test_statements_prepared_before_are_captured_too(self):
        self.rows("SET upkeep.capture = none")
        session = connect(self.database)
        self.addCleanup(session.close)
        self.run_on(session, "PREPARE early AS SELECT 1 AS early, 2, 3, 4, 5")
        self.run_on(session, "EXECUTE early")
        self.run_on(session, "SET upkeep.capture = top")
        for _ in range(7):  # custom plans, then the generic one
            self.run_on(session, "EXECUTE early")
        self.assertEqual(self.rows("SELECT calls, errors FROM upkeep.statements WHERE query ~ 'early'"), [(7, 0)])

    def test_levels_are_right_where_it_changes_on_the_way(self):
        self.rows("""CREATE FUNCTION loud() RETURNS int LANGUAGE plpgsql SET upkeep.capture = top
                     AS $$ DECLARE x int; BEGIN SELECT 1 AS nested INTO x; RETURN x; END $$""")
        self.rows("""CREATE FUNCTION quiet() RETURNS int LANGUAGE plpgsql SET upkeep.capture = none
                     AS $$ DECLARE x int; BEGIN SELECT 1 AS nested INTO x; RETURN x; END $$""")
        self.rows("SET upkeep.capture = none")
        self.rows("SELECT loud()")
        self.rows("SET upkeep.capture = top")
        self.rows("SELECT quiet()")
        self.assertEqual(self.rows("SELECT query, calls FROM upkeep.statements WHERE query ~ 'nested|loud|quiet'"),
                         [("SELECT quiet()", 1)])

    def test_other_sessions_are_left_alone(self):
        self.rows("SET upkeep.capture = top")
        self.assertIsNotNone(self.rows(QUERY_ID)[0][0])
        other = connect()
        try:
            with other.cursor() as cursor:
                cursor.execute(QUERY_ID)
                self.assertEqual(cursor.fetchall(), [(None,)])
        finally:
            other.close()


if __name__ == "__main__":
    unittest.main()
