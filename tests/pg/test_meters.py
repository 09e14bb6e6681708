# cluster: shared_preload_libraries=pg_stat_statements,upkeep_preload
"""More executions under way at a time than there are meters: each is counted as pg_stat_statements counts it."""
import unittest

import psycopg2

from host import Asks
from test_capture import DIFFERENCES

SETUP = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE t (id int PRIMARY KEY, n int);
INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 2000) AS g;
CREATE FUNCTION deep(level int) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
  IF level = 0 THEN RETURN 0; END IF;
  RETURN (SELECT count(*) + deep(level - 1) FROM t WHERE id <= level);
END $$;
CREATE FUNCTION many_cursors(count int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE c refcursor[]; one refcursor; i int; round int; x int; sum int := 0;
BEGIN
  FOR i IN 1..count LOOP
    one := NULL;
    OPEN one FOR EXECUTE format('SELECT id AS c%s FROM t ORDER BY id', i);
    c := c || one;
  END LOOP;
  FOR round IN 1..3 LOOP
    FOR i IN 1..count LOOP
      one := c[i];
      FETCH one INTO x;
      sum := sum + x;
    END LOOP;
  END LOOP;
  FOR i IN 1..count LOOP one := c[i]; CLOSE one; END LOOP;
  RETURN sum;
END $$;
CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / i; END $$;
CREATE FUNCTION many_errors(count int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r record; caught int := 0;
BEGIN
  FOR r IN SELECT id FROM t WHERE id <= count LOOP
    BEGIN PERFORM fails(n - n) FROM t WHERE id = r.id;
    EXCEPTION WHEN division_by_zero THEN caught := caught + 1; END;
  END LOOP;
  RETURN caught;
END $$;
ANALYZE;
"""


class Meters(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("SET pg_stat_statements.track = 'all'")
        self.rows("SET upkeep.capture = 'all'")
        self.rows("SELECT upkeep.reset_statements(), pg_stat_statements_reset()")

    def test_deep_nesting(self):
        self.assertEqual(self.value("SELECT deep(150)"), sum(range(151)))
        self.assertEqual(self.rows(DIFFERENCES), [])
        self.assertEqual(self.value("SELECT sum(calls) FROM upkeep.statements WHERE query ~ 'deep.level'"), 150)

    def test_cursors_that_run_in_turns(self):
        self.assertEqual(self.value("SELECT many_cursors(150)"), 6 * 150)
        self.assertEqual(self.rows(DIFFERENCES), [])
        self.assertEqual(self.rows("SELECT sum(rows), sum(calls) FROM upkeep.statements WHERE query ~ 'AS c[0-9]'"),
                         [(150, 150)], "as the peer: the rows of the last FETCH")

    def test_a_failure_gives_its_meter_back(self):
        self.assertEqual(self.value("SELECT many_errors(500)"), 500)
        self.assertEqual(self.rows(DIFFERENCES), [])
        self.assertEqual(self.value("SELECT sum(errors) FROM upkeep.statements WHERE query ~ 'fails.n - n'"), 500)
        self.assertGreater(self.value("SELECT max(max_ms) FROM upkeep.statements WHERE query ~ 'many_errors'"),
                           self.value("SELECT max(max_ms) FROM upkeep.statements WHERE query ~ '1 / i' AND calls > 0")
                           or 0)

    def test_time_is_that_of_the_execution(self):
        self.rows("SELECT pg_sleep(0.2)")
        self.rows("SELECT n, pg_sleep(0.1) FROM t WHERE id < 3")
        for query, low in (("SELECT pg_sleep.\\$1.", 200), ("SELECT n, pg_sleep", 200)):
            for took in self.rows("SELECT total_ms, max_ms FROM upkeep.statements WHERE query ~ %s", query)[0]:
                self.assertGreaterEqual(took, low)
                self.assertLess(took, low + 150)

    def test_planning_waits_for_its_own_execution_only(self):
        # evaluated by the planner, 0.1 s each time
        self.rows("CREATE FUNCTION constant() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1 FROM pg_sleep(0.1)'")
        self.addCleanup(self.rows, "DROP FUNCTION constant()")
        planned = """SELECT sum(plan_total_ms), sum(total_ms) FROM upkeep.statements
                     WHERE operation = 'SELECT' AND query ~ %s"""
        self.rows("SELECT constant()")
        plan_ms, run_ms = self.rows(planned, "constant")[0]
        self.assertGreater(plan_ms, 90)
        self.assertLess(run_ms, 90)
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            self.rows("SELECT constant(), 1 / (n - n) FROM t")  # fails after its planning
        self.rows("EXPLAIN (SUMMARY off) SELECT constant(), 7")
        self.rows("SELECT count(*) FROM t a")
        self.assertGreater(self.rows(planned, "constant.* FROM t")[0][0] or 0, 90)
        self.assertLess(self.rows(planned, "FROM t a")[0][0], 90)


if __name__ == "__main__":
    unittest.main()
