# cluster: shared_preload_libraries=upkeep_preload
"""What captured statements ran with: used to plan them, shown to nobody. Advice joins what was captured."""
import json
import unittest

import psycopg2

from host import Asks, connect

SETUP = """
CREATE TABLE jobs (id int PRIMARY KEY, status text NOT NULL, priority int NOT NULL, note text);
INSERT INTO jobs SELECT g, CASE WHEN g % 200 = 0 THEN 'pendingxq' ELSE 'completedxq' END, g % 50, repeat('x', 60)
FROM generate_series(1, 40000) AS g;
CREATE ROLE worker; CREATE ROLE stranger; GRANT SELECT ON jobs TO worker;
ANALYZE jobs;
"""


class Sampled(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("SELECT upkeep.reset_statements()")

    def advice(self):
        return self.dicts("SELECT * FROM upkeep.advise_indexes(NULL)")

    def baseline(self):
        """Price of one execution of the only captured query, by the first row of its advice."""
        rows = self.advice()
        calls = self.value("SELECT sum(calls) FROM upkeep.statements WHERE operation = 'SELECT'")
        self.assertEqual(len({row["rank"] for row in rows}), len(rows))
        return rows[0]["cost_before"] / float(calls) if rows else None

    def cost(self, sql):
        return self.value("EXPLAIN (FORMAT JSON) " + sql)[0]["Plan"]["Total Cost"]

    def is_generic(self, rows):
        return any("parameters without values" in warning for row in rows for warning in row["warnings"])

    QUERY = "SELECT * FROM jobs WHERE status = '{}' ORDER BY priority, note"

    def test_a_literal_changes_the_estimate_to_the_truth(self):
        for value in ("pendingxq", "completedxq"):
            self.rows("SELECT upkeep.reset_statements()")
            sql = self.QUERY.format(value)
            self.rows(sql)
            rows = self.advice()
            self.assertFalse(self.is_generic(rows), rows)
            if value == "pendingxq":
                self.assertAlmostEqual(self.baseline(), self.cost(sql), delta=0.01)  # EXPLAIN prints two digits
                self.assertEqual(rows[0]["columns"][0], "status")
            else:  # 99.5 % of the rows: an index on the status alone would serve nobody
                self.assertNotIn(["status"], [row["columns"] for row in rows])

    def test_without_a_sample_it_is_generic_and_says_so(self):
        sql = "SELECT id FROM jobs WHERE priority = 7 AND note <> '{}'"
        self.rows(sql.format("y" * 5000))
        rows = self.advice()
        self.assertTrue(rows)
        self.assertTrue(self.is_generic(rows), rows)
        self.rows("SELECT upkeep.reset_statements()")
        self.rows(sql.format("y"))
        rows = self.advice()
        self.assertTrue(rows)
        self.assertFalse(self.is_generic(rows), rows)

    def test_bound_parameters_are_values_too(self):
        self.rows("SET plan_cache_mode = force_generic_plan")
        with connect(self.database) as other, other.cursor() as cursor:
            cursor.execute("PREPARE q (text) AS " + self.QUERY.format("{}").replace("'{}'", "$1"))
            cursor.execute("EXECUTE q('pendingxq')")
        self.rows("RESET plan_cache_mode")
        # The kept text is that of PREPARE, which cannot be planned; a driver's prepared statement is a
        # text of its own: as libpq's PQexecParams sends it.
        self.rows("SELECT upkeep.reset_statements()")
        with connect(self.database) as other:
            pg_query(other, "SELECT * FROM jobs WHERE status = $1 AND priority >= $2 ORDER BY priority, note",
                     ["pendingxq", "0"])
        rows = self.advice()
        self.assertTrue(rows)
        self.assertFalse(self.is_generic(rows), rows)
        sql = "SELECT * FROM jobs WHERE status = 'pendingxq' AND priority >= 0 ORDER BY priority, note"
        self.assertAlmostEqual(self.baseline(), self.cost(sql), delta=0.01)  # EXPLAIN prints two digits

    def test_every_type_of_parameter_comes_back(self):
        for kind, value in (("bpchar", "pendingxq"), ("varchar", "it's \\ \"odd\""), ("int[]", "{1,2}"), ("bytea", "\\x00ff"),
                            ("jsonb", '{"a": "\'"}'), ("bit(4)", "0101"), ("timestamptz", "2024-01-01"), ("\"char\"", "x")):
            self.rows("SELECT upkeep.reset_statements()")
            with connect(self.database) as other:
                pg_query(other, f"SELECT id FROM jobs WHERE priority = 7 AND note <> ($1::{kind})::text", [value])
            rows = self.advice()
            self.assertTrue(rows, kind)
            self.assertFalse(self.is_generic(rows), kind)

    def test_a_later_slow_execution_replaces_the_sample(self):
        slept = "SELECT * FROM jobs, (SELECT pg_sleep({})) AS s WHERE status = '{}'"
        self.rows(slept.format(0, "completedxq"))
        self.assertNotIn(["status"], [row["columns"] for row in self.advice()])
        self.rows(slept.format(5.1, "pendingxq"))
        self.assertIn(["status"], [row["columns"] for row in self.advice()])

    def test_nothing_shows_the_value(self):
        self.rows(self.QUERY.format("pendingxq"))


        for view in ("statements", "slow_statements", "capabilities", "metric_samples", "endpoints"):
            self.assertNotIn("pendingxq", str(self.rows(f"SELECT x::text FROM upkeep.{view} AS x")), view)
        self.assertNotIn("pendingxq", json.dumps(self.advice(), default=str))
        self.assertNotIn("pendingxq", self.value("SELECT upkeep.report('text')"))

    def test_an_error_of_a_sample_is_not_told(self):
        self.rows("CREATE OR REPLACE FUNCTION picky(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
                  " $$ BEGIN RETURN t; END $$")
        self.rows("SELECT * FROM jobs WHERE status = picky('pendingxq')")
        self.rows("CREATE OR REPLACE FUNCTION picky(t text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS"
                  " $$ BEGIN RAISE EXCEPTION 'no %', t; END $$")
        try:
            told = json.dumps(self.advice(), default=str)
        except psycopg2.Error as error:
            told = str(error)
        self.assertNotIn("pendingxq", told)

    def test_values_are_of_the_role_that_ran_them(self):
        with connect(self.database) as other, other.cursor() as cursor:
            cursor.execute("SET ROLE worker")
            cursor.execute(self.QUERY.format("pendingxq"))
        self.assertFalse(self.is_generic(self.advice()))
        self.rows("SET ROLE stranger")
        try:
            self.refuses("0A000", "that you may see", "SELECT * FROM upkeep.advise_indexes(NULL)")
        finally:
            self.rows("RESET ROLE")

    def test_advice_joins_statements(self):
        for priority in range(3):
            self.rows(f"SELECT id FROM jobs WHERE priority = {priority} AND note = 'a'")
        self.rows(self.QUERY.format("pendingxq"))
        joined = self.rows(
            "SELECT count(*), count(s.fingerprint) FROM upkeep.advise_indexes(NULL) a, unnest(a.fingerprints) f"
            " LEFT JOIN upkeep.statements s ON s.fingerprint = f AND s.tables @> ARRAY['jobs']")
        self.assertGreater(joined[0][0], 0)
        self.assertEqual(joined[0][0], joined[0][1])

    def test_a_part_of_the_time_is_that_part_of_the_cost(self):
        one = "SELECT id FROM jobs WHERE priority = 1 AND note = 'a'"
        for _ in range(20):
            self.rows(one)
        self.rows("SELECT pg_sleep(0.2)")  # costs the planner nothing
        times = dict(self.rows("SELECT query LIKE '%%priority = %%', sum(total_ms) FROM upkeep.statements"
                               " WHERE operation = 'SELECT' GROUP BY 1"))
        rows = self.dicts("SELECT * FROM upkeep.advise_indexes(NULL, min_saving_ratio => 0, kinds => '{btree}')")
        self.assertAlmostEqual(rows[0]["cost_before"], 20 * self.cost(one) + self.cost("SELECT pg_sleep(0.2)"), delta=0.5)
        share = times[True] / (times[True] + times[False])
        left = self.value("SELECT cost_after / cost_before FROM upkeep.what_if(%s, %s)",
                          one, [row["create_sql"] for row in rows])
        self.assertAlmostEqual(rows[-1]["saving_ratio"], share * (1 - left), delta=0.001)
        self.assertLess(share, 0.9)


def pg_query(connection, sql, values):
    """PQexecParams, which psycopg2 does not have: through libpq itself."""
    import ctypes
    import ctypes.util
    libpq = ctypes.CDLL(ctypes.util.find_library("pq"))
    libpq.PQexecParams.restype = ctypes.c_void_p
    libpq.PQresultStatus.argtypes = libpq.PQclear.argtypes = [ctypes.c_void_p]
    texts = (ctypes.c_char_p * len(values))(*[value.encode() for value in values])
    result = libpq.PQexecParams(ctypes.c_void_p(connection.pgconn_ptr), sql.encode(), len(values), None, texts,
                                None, None, 0)
    if libpq.PQresultStatus(result) != 2:
        raise AssertionError("the statement failed")
    libpq.PQclear(result)


if __name__ == "__main__":
    unittest.main()
