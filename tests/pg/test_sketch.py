"""Type sketch, its aggregates and functions in PostgreSQL: exact merging, near percentiles, the same
bytes as ever, NULLs, frames, parallel plans, hostile bytes."""
import io
import pathlib
import random
import struct
import sys
import unittest

import psycopg2

from host import Asks

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from workflow_rows import BYTES, NUMBERS, near  # noqa: E402

QUANTILES = (0, 0.01, 0.25, 0.5, 0.95, 0.99, 1)


class Sketches(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, """
            CREATE TABLE m AS SELECT n, n % 7 AS part, CASE WHEN n % 50 > 0 THEN exp((n * 7919 % 20000) / 1500.0) END AS v
                FROM generate_series(1, 30000) AS n;
            ANALYZE m; SET search_path = public, upkeep""")

    def sketch(self, numbers):
        return self.value("SELECT percentile_sketch(x)::text FROM unnest(%s::float8[]) AS x", list(numbers))

    def test_bytes_are_for_ever(self):
        self.assertEqual(self.sketch(NUMBERS), "\\x" + BYTES)
        self.assertEqual(self.sketch(reversed(NUMBERS)), "\\x" + BYTES)
        self.assertEqual(self.value(f"SELECT '\\x{BYTES}'::sketch::bytea = '\\x{BYTES}'::bytea"), True)
        self.assertEqual(self.value(f"SELECT sketch_count('\\x{BYTES}'::bytea::sketch)"), len(NUMBERS))

    def test_percentiles_are_near(self):
        for q in QUANTILES:
            found, wanted = self.rows("SELECT sketch_quantile(percentile_sketch(v), %s),"
                                      " percentile_cont(%s) WITHIN GROUP (ORDER BY v) FROM m", q, q)[0]
            self.assertTrue(near(found, wanted, 0.016), (q, found, wanted))

    def test_merging_is_exact(self):
        self.assertEqual(self.rows("""
            SELECT (SELECT percentile_sketch(v)::bytea FROM m) =
                   (SELECT merge_sketches(s)::bytea FROM (SELECT percentile_sketch(v) AS s FROM m GROUP BY part) AS parts),
                   (SELECT sketch_count(percentile_sketch(v)) = count(v) FROM m)"""), [(True, True)])

    def test_bytes_in_a_users_table(self):
        self.rows("CREATE TABLE kept (part int, durations bytea); INSERT INTO kept SELECT part, percentile_sketch(v)"
                  " FROM m GROUP BY 1")
        self.assertEqual(self.value("SELECT merge_sketches(durations::sketch)::bytea = (SELECT percentile_sketch(v)::bytea"
                                    " FROM m) FROM kept"), True)
        self.rows("CREATE TABLE typed (s sketch); INSERT INTO typed SELECT durations FROM kept")
        self.assertEqual(self.value("SELECT sum(sketch_count(s)) FROM typed"), 29400)
        self.refuses("22023", "these bytes are no sketch", "INSERT INTO typed VALUES ('\\x00'::bytea)")

    def test_nulls_and_nothing(self):
        for sql in ("percentile_sketch(v) FROM m WHERE false", "percentile_sketch(v) FROM m WHERE v IS NULL",
                    "percentile_sketch(v) FILTER (WHERE n < 0) FROM m", "merge_sketches(NULL) FROM m",
                    "merge_sketches(NULL::sketch) FROM m WHERE false", "sketch_quantile(NULL, 0.5)", "sketch_count(NULL)",
                    "sketch_quantile(percentile_sketch(v), NULL) FROM m", "NULL::bytea::sketch"):
            self.assertIsNone(self.value("SELECT " + sql), sql)
        empty = "'\\x5501000000'::sketch"
        self.assertEqual(self.rows(f"SELECT sketch_count({empty}), sketch_quantile({empty}, 0.5),"
                                   f" sketch_count(merge_sketches({empty}))"), [(0, None, 0)])

    def test_moving_frames_equal_fresh_sketches(self):
        for frame in ("ROWS BETWEEN 3 PRECEDING AND CURRENT ROW", "ROWS BETWEEN 2 FOLLOWING AND 5 FOLLOWING",
                      "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"):
            for name, argument in (("percentile_sketch", "v"), ("merge_sketches", "s")):
                wrong = self.value(f"""
                    SELECT count(*) FROM (
                        SELECT {name}({argument}) OVER w::bytea AS moving, array_agg(v) OVER w AS members FROM (
                            SELECT n, v, percentile_sketch(v) AS s FROM m WHERE n BETWEEN 30 AND 330 GROUP BY n, v) AS one
                        WINDOW w AS (ORDER BY n {frame})) AS f
                    WHERE moving IS DISTINCT FROM (SELECT percentile_sketch(x)::bytea FROM unnest(members) AS x)""")
                self.assertEqual(wrong, 0, (frame, name))

    def test_parallel_and_spilling_plans_give_the_same_bytes(self):
        query = "SELECT part, percentile_sketch(v)::text FROM m GROUP BY part ORDER BY part"
        merged = "SELECT merge_sketches(s)::text FROM parts"
        self.rows("CREATE TABLE parts AS SELECT percentile_sketch(v) AS s FROM m GROUP BY n; ANALYZE parts")
        plain = self.rows(query), self.rows(merged)
        self.rows("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
        self.addCleanup(self.rows, "RESET ALL; SET search_path = public, upkeep")
        for sql in (query, merged):
            plan = "\n".join(row[0] for row in self.rows("EXPLAIN " + sql))
            self.assertIn("Partial", plan)
        self.assertEqual((self.rows(query), self.rows(merged)), plain)
        self.rows("SET max_parallel_workers_per_gather = 0; SET work_mem = '64kB'; SET enable_sort = off")
        self.assertEqual(self.value("SELECT sum(sketch_count(s)) FROM (SELECT n, percentile_sketch(v) AS s FROM m GROUP BY n) g"),
                         29400)

    def test_numbers_that_no_sketch_holds(self):
        for number in ("-1", "-0.0001", "'NaN'", "'infinity'", "'-infinity'", "144115188075856", "1e300"):
            self.refuses("22023", "a sketch holds numbers from 0", f"SELECT percentile_sketch({number}::float8)")
        self.assertEqual(self.value("SELECT sketch_quantile(percentile_sketch(-0.0::float8), 1)"), 0)

    def test_bad_quantiles(self):
        for q in ("-0.1", "1.1", "'NaN'", "95"):
            self.refuses("22023", "q must be between 0 and 1", f"SELECT sketch_quantile('\\x{BYTES}', {q})")

    def test_hostile_bytes_are_refused_and_never_crash(self):
        whole = bytes.fromhex(BYTES)
        chooser = random.Random(11)
        for text in ("", "\\x", "\\x55", "\\x5501", "\\x5502000000", "\\x5601000000", "\\x550100000000",
                     "\\x5501010101010001ff", "\\x5501ffffffffffffffffff01000101ffffffffffffffffff01", "hello", "\\xzz"):
            self.refusal("SELECT %s::sketch", text)
        accepted = 0
        for _ in range(1500):
            damaged = bytearray(whole)
            for _ in range(chooser.randint(1, 3)):
                damaged[chooser.randrange(len(damaged))] = chooser.randrange(256)
            damaged = bytes(damaged[:chooser.randint(1, len(damaged))] if chooser.random() < 0.3 else damaged)
            try:
                back = self.rows("SELECT s::bytea, sketch_count(s), sketch_quantile(s, 0.5), merge_sketches(s)::bytea"
                                 " FROM (SELECT %s::bytea::sketch AS s) AS t GROUP BY s::bytea, 2, 3",
                                 psycopg2.Binary(damaged))[0]
                self.assertEqual(bytes(back[0]), damaged)
                self.assertEqual(bytes(back[3]), damaged)
                accepted += 1
            except psycopg2.errors.InvalidParameterValue as error:
                self.assertTrue(error.diag.message_hint)
        self.assertGreater(accepted, 0)  # a count that was changed twice over

    def test_counts_beyond_a_bigint_are_refused(self):
        # one bucket with 2^63 - 1 members is the largest sketch there is
        full = "\\x5501" + "ffffffffffffffff7f" + "00" + "01" + "00" + "ffffffffffffffff7f"
        self.assertEqual(self.value("SELECT sketch_count(%s::sketch)", full), 2**63 - 1)
        self.refuses("22023", "more values than a bigint counts",
                     "SELECT merge_sketches(s) FROM (VALUES (%s::sketch), (%s::sketch)) AS v (s)", full, full)
        self.refuses("22023", "these bytes are no sketch", "SELECT %s::sketch",
                     "\\x5501" + "80808080808080808001" + "00" + "01" + "00" + "80808080808080808001")

    def test_binary_form(self):
        self.rows("CREATE TABLE binary_form (s sketch)")
        def message(data):
            return (b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0) + struct.pack(">hi", 1, len(data)) + data
                    + struct.pack(">h", -1))
        with self.db.cursor() as cursor:
            cursor.copy_expert("COPY binary_form FROM STDIN BINARY", io.BytesIO(message(bytes.fromhex(BYTES))))
            out = io.BytesIO()
            cursor.copy_expert("COPY binary_form TO STDOUT BINARY", out)
            self.assertIn(bytes.fromhex(BYTES), out.getvalue())
            with self.assertRaises(psycopg2.errors.InvalidParameterValue):
                cursor.copy_expert("COPY binary_form FROM STDIN BINARY", io.BytesIO(message(b"U\1hello")))

    def test_support_functions_do_nothing_by_hand(self):
        for call in ("percentile_sketch_add(NULL, 1)", "merge_sketches_add(NULL, NULL)", "sketch_state_final(NULL)",
                     "sketch_state_combine(NULL, NULL)"):
            self.refusal("SELECT " + call)

    def test_ten_thousand_groups_in_one_aggregate(self):
        self.assertEqual(self.value("SELECT count(*) FROM (SELECT n % 10000, percentile_sketch(v) FROM m GROUP BY 1) g"),
                         10000)


if __name__ == "__main__":
    unittest.main()
