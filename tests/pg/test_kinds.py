"""Kinds beyond plain B-trees: what is advised is built, and the planner uses it in that statement; what would
be useless is not advised."""
# cluster: autovacuum=off
import unittest

from host import Asks
from test_what_if import indexes_of

ROWS = 100000
# Entries are known from a sample, pages fill as the build happens to split them.
SIZE_ERROR = 0.30


class Kinds(Asks):
    """Advice on one table, and the truth once it is built."""

    setup = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for statement in cls.setup:
            cls.run_on(cls.db, statement)

    def advise(self, statements, kinds, **more):
        statements = [statements] if isinstance(statements, str) else statements
        return self.dicts(
            "SELECT * FROM upkeep.advise_indexes(%s, kinds => %s, min_saving_ratio => %s)",
            statements, kinds, more.get("min_saving_ratio", 0.01))

    def built(self, row, statement, by_steps=False):
        """Builds the row's index, names those of the statement's plan, says the real size, drops it."""
        for step in row["steps"] if by_steps else [row["create_sql"]]:
            self.run_on(self.db, step)
        self.run_on(self.db, "SET enable_seqscan = on")
        plan = self.value("EXPLAIN (FORMAT JSON) " + statement)[0]["Plan"]
        size = self.value(
            "SELECT sum(pg_relation_size(c.oid))::bigint FROM pg_class c WHERE c.oid = ANY("
            "  SELECT relid FROM pg_partition_tree(%s::regclass)) OR c.oid = %s::regclass",
            self.name_of(row), self.name_of(row))
        self.run_on(self.db, row["drop_sql"])
        return plan, indexes_of(plan), size

    def name_of(self, row):
        return row["drop_sql"].split(" EXISTS ")[1]

    def expect(self, statement, kind, contains, kinds=None, size_within=None):
        """One row of this kind whose text contains that, and that the statement really uses."""
        rows = self.advise(statement, kinds or [kind])
        self.assertEqual([row["kind"] for row in rows], [kind], rows)
        row = rows[0]
        self.assertIn(contains, row["create_sql"])
        self.assertLessEqual(len(self.name_of(row)), 63)
        plan, names, size = self.built(row, statement)
        self.assertIn(self.name_of(row), names)
        # A real GIN tells the planner how its pages divide; an assumed one cannot.
        slack = 8 if kind in ("gin", "trigram") else 1
        self.assertAlmostEqual(row["cost_after"], plan["Total Cost"], delta=0.05 * plan["Total Cost"] + slack)
        if size_within is not None:
            print(f"measured: {self.name_of(row)}: {row['size_bytes'] / size:.3f} of the real size")
            self.assertAlmostEqual(row["size_bytes"], size, delta=size_within * size, msg=row["create_sql"])
        what_if = self.dicts("SELECT * FROM upkeep.what_if(%s, %s)", statement,
                             [row["create_sql"].replace(" CONCURRENTLY", "")])[0]
        self.assertEqual(what_if["used_indexes"], [self.name_of(row)])
        self.assertAlmostEqual(what_if["cost_after"], row["cost_after"], delta=0.01)
        return row

    def expect_rejection(self, statement, kind, because):
        rows = self.dicts("SELECT * FROM upkeep.explain_rejections(%s)", [statement])
        self.assertTrue(any(row["kind"] == kind and because in row["rejected_because"] for row in rows), rows)

    def expect_none(self, statement, kinds):
        self.assertEqual([row["create_sql"] for row in self.advise(statement, kinds)], [])


class Partial(Kinds):
    setup = (
        "CREATE TABLE jobs (id bigint PRIMARY KEY, status text NOT NULL, urgent boolean NOT NULL, parent bigint,"
        " created_at timestamptz NOT NULL, note text)",
        "INSERT INTO jobs SELECT i, CASE WHEN i % 100 = 0 THEN 'pending' WHEN i % 50 = 1 THEN 'failed'"
        " ELSE 'done' END, i % 200 = 0, CASE WHEN i % 20 = 0 THEN i / 2 END,"
        " '2024-01-01'::timestamptz + (i * 7919 % 1000003) * interval '1 second', repeat('n', 60)"
        f" FROM generate_series(1, {ROWS}) AS i",
        "ALTER TABLE jobs ALTER status SET STATISTICS 1000",  # all rows: the size of a few pages is no matter of luck
        "VACUUM ANALYZE jobs",
    )

    def test_rare_value_with_an_order(self):
        row = self.expect("SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10", "partial",
                          "(created_at) WHERE (status = 'pending'::text)", size_within=0.10)
        self.assertIn("status = 'pending'", row["reason"])
        self.assertIn("order by created_at", row["reason"])
        self.assertTrue(any("parameter" in warning for warning in row["warnings"]), row["warnings"])
        self.assertIn("_where_status_", row["create_sql"])

    def test_rare_list(self):
        self.expect("SELECT id FROM jobs WHERE status IN ('pending', 'failed') AND created_at > '2024-01-11'",
                    "partial", "WHERE (status = ANY (ARRAY['pending'::text, 'failed'::text]))", size_within=0.10)

    def test_boolean(self):
        self.expect("SELECT * FROM jobs WHERE urgent ORDER BY created_at LIMIT 5", "partial", "WHERE urgent",
                    size_within=0.10)

    def test_column_of_many_nulls_serves_any_value(self):
        row = self.expect("SELECT * FROM jobs WHERE parent = 4711", "partial", "(parent) WHERE parent IS NOT NULL",
                          size_within=0.10)
        self.assertFalse(any("constants" in warning for warning in row["warnings"]), row["warnings"])
        rows = self.advise("SELECT * FROM jobs WHERE parent = $1", ["partial"])
        self.assertEqual(len(rows), 1)

    def test_not_for_a_constant_that_names_one_thing(self):
        self.expect_none("SELECT * FROM jobs WHERE created_at = '2024-01-11'", ["partial"])

    def test_not_for_a_frequent_value(self):
        self.expect_none("SELECT * FROM jobs WHERE status = 'done' ORDER BY note LIMIT 10", ["partial"])

    def test_not_for_a_parameter(self):
        """A generic plan may meet any value: nothing may be assumed of it."""
        self.expect_none("SELECT * FROM jobs WHERE status = $1 ORDER BY created_at LIMIT 10", ["partial"])
        price = self.dicts("SELECT * FROM upkeep.what_if(%s, %s)",
                           "SELECT * FROM jobs WHERE status = $1 ORDER BY created_at LIMIT 10",
                           ["CREATE INDEX jp ON jobs (created_at) WHERE status = 'pending'"])[0]
        self.assertEqual(price["used_indexes"], [])
        self.assertEqual(price["cost_before"], price["cost_after"])

    def test_not_for_a_volatile_condition(self):
        self.expect_none("SELECT * FROM jobs WHERE status = (random() * 5)::int::text", ["partial"])

    def test_another_value_is_not_served(self):
        rows = self.advise(["SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10",
                            "SELECT * FROM jobs WHERE status = 'failed' ORDER BY created_at LIMIT 10"], ["partial"])
        self.assertEqual(len(rows), 2)
        self.assertTrue(all(len(row["fingerprints"]) == 1 for row in rows), rows)

    def test_kinds_are_honoured(self):
        statement = "SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10"
        for kinds in (["btree"], ["expression"], ["gin"]):
            self.assertLessEqual({row["kind"] for row in self.advise(statement, kinds)}, set(kinds))

    def test_more_kinds_are_never_worse(self):
        statements = ["SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10",
                      "SELECT count(*) FROM jobs WHERE created_at > '2024-01-11' AND status = 'failed'",
                      "SELECT * FROM jobs WHERE parent = 12 OR urgent",
                      "SELECT * FROM jobs WHERE lower(note) = 'x'",
                      "UPDATE jobs SET status = 'done' WHERE status = 'pending' AND id < 500"]
        btree = self.advise(statements, ["btree"])
        all_kinds = self.advise(statements, None)
        self.assertLessEqual(all_kinds[-1]["cost_after"], btree[-1]["cost_after"] * 1.0001)


class Expression(Kinds):
    setup = (
        "CREATE TABLE people (id bigint PRIMARY KEY, email text NOT NULL, joined_at timestamp NOT NULL,"
        " seen_at timestamptz NOT NULL, data jsonb NOT NULL)",
        "INSERT INTO people SELECT i, 'User' || i || '@Example.org', '2024-01-01'::timestamp + i * interval '1 min',"
        " '2024-01-01'::timestamptz + i * interval '1 min', jsonb_build_object('k', i % 5000, 'v', repeat('x', 30))"
        f" FROM generate_series(1, {ROWS}) AS i",
        "CREATE FUNCTION shaky(text) RETURNS text LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END'",
        "VACUUM ANALYZE people",
    )

    def test_lower(self):
        row = self.expect("SELECT * FROM people WHERE lower(email) = 'user5@example.org'", "expression",
                          "(lower(email))", size_within=0.10)
        self.assertTrue(any("ANALYZE people" in warning for warning in row["warnings"]), row["warnings"])
        self.assertIn("lower(email) = ...", row["reason"])

    def test_date_trunc(self):
        self.expect("SELECT * FROM people WHERE date_trunc('day', joined_at) = '2024-02-01'", "expression",
                    "date_trunc('day'::text, joined_at)", size_within=0.10)

    def test_json_text(self):
        self.expect("SELECT * FROM people WHERE data ->> 'k' = '17'", "expression", "(data ->> 'k'::text)",
                    size_within=0.10)

    def test_a_parameter_beside_the_expression(self):
        rows = self.advise("SELECT * FROM people WHERE lower(email) = $1", ["expression"])
        self.assertEqual(len(rows), 1)

    def test_not_where_the_result_may_change(self):
        self.expect_none("SELECT * FROM people WHERE date_trunc('day', seen_at) = '2024-02-01'", ["expression"])
        self.expect_none("SELECT * FROM people WHERE shaky(email) = 'x'", ["expression"])
        self.expect_rejection("SELECT * FROM people WHERE shaky(email) = 'x'", "expression", "not every function")

    def test_not_for_a_key_that_a_parameter_names(self):
        self.expect_none("SELECT * FROM people WHERE data ->> $1 = '17'", ["expression"])

    def test_not_where_a_column_alone_is_compared(self):
        self.expect_none("SELECT * FROM people WHERE email = 'User5@Example.org'", ["expression"])


class Gin(Kinds):
    setup = (
        "CREATE TABLE docs (id bigint PRIMARY KEY, doc jsonb NOT NULL, plain json NOT NULL, tags int[] NOT NULL,"
        " body text NOT NULL, found tsvector NOT NULL)",
        "INSERT INTO docs SELECT i, d, d, ARRAY[i % 1000, i % 777 + 5000, i % 3], w, to_tsvector('simple', w) FROM ("
        " SELECT i, jsonb_build_object('customer', i % 2000, 'state', i % 7, 'note', md5(i::text)) AS d,"
        " 'word' || i % 5000 || ' ' || md5((i * 3)::text) || ' text of ' || i % 311 AS w"
        " FROM generate_series(1, 30000) AS i) AS s",
        "VACUUM ANALYZE docs",
    )

    def test_containment_takes_the_smaller_class(self):
        row = self.expect("SELECT * FROM docs WHERE doc @> '{\"customer\": 17}'", "gin",
                          "USING gin (doc jsonb_path_ops)", size_within=SIZE_ERROR)
        self.assertIn("doc @> ...", row["reason"])

    def test_key_existence_needs_the_default_class(self):
        self.expect("SELECT * FROM docs WHERE doc ? 'absent'", "gin", "USING gin (doc)", size_within=SIZE_ERROR)

    def test_arrays(self):
        self.expect("SELECT * FROM docs WHERE tags @> ARRAY[17]", "gin", "USING gin (tags)", size_within=SIZE_ERROR)
        self.expect("SELECT * FROM docs WHERE tags && ARRAY[5001, 5002]", "gin", "USING gin (tags)")

    def test_text_search(self):
        self.expect("SELECT * FROM docs WHERE found @@ to_tsquery('simple', 'word17')", "gin", "USING gin (found)",
                    size_within=SIZE_ERROR)
        self.expect("SELECT * FROM docs WHERE to_tsvector('simple', body) @@ to_tsquery('simple', 'word17')", "gin",
                    "USING gin ((to_tsvector('simple'::regconfig, body)))", size_within=SIZE_ERROR)

    def test_one_index_for_two_operators(self):
        rows = self.advise(["SELECT * FROM docs WHERE doc @> '{\"customer\": 17}'",
                            "SELECT * FROM docs WHERE doc ? 'absent'"], ["gin"])
        self.assertTrue(any("USING gin (doc)" in row["create_sql"] for row in rows), rows)

    def test_a_parameter(self):
        rows = self.advise("SELECT * FROM docs WHERE doc @> $1", ["gin"])
        self.assertEqual(len(rows), 1)

    def test_not_where_a_btree_serves(self):
        self.expect_none("SELECT * FROM docs WHERE tags = ARRAY[1, 2]", ["gin"])
        self.expect_none("SELECT * FROM docs WHERE doc = '{}'", ["gin"])

    def test_not_where_the_type_has_no_operator_class(self):
        self.expect_none("SELECT * FROM docs WHERE plain::text = '{}'", ["gin"])

    def test_not_for_any_of_a_column(self):
        """No index of the server serves it, so it is never a row."""
        self.expect_none("SELECT * FROM docs WHERE 17 = ANY (tags)", ["gin"])
        self.expect_rejection("SELECT * FROM docs WHERE 17 = ANY (tags)", "gin", "write tags @> ARRAY[...]")

    def test_not_for_a_configuration_that_may_change(self):
        self.expect_none("SELECT * FROM docs WHERE to_tsvector(body) @@ to_tsquery('word17')", ["gin"])

    def test_not_where_everything_matches(self):
        self.expect_none("SELECT * FROM docs WHERE tags && ARRAY[0, 1, 2]", ["gin"])


class Trigram(Kinds):
    setup = (
        "CREATE TABLE names (id bigint PRIMARY KEY, name text NOT NULL)",
        "INSERT INTO names SELECT i, md5(i::text) || ' ' || md5((i + 1)::text) FROM generate_series(1, 30000) AS i",
        "VACUUM ANALYZE names",
    )

    def test_says_what_is_missing(self):
        self.run_on(self.db, "DROP EXTENSION IF EXISTS pg_trgm")
        statement = "SELECT * FROM names WHERE name LIKE '%abcdef%'"
        self.refuses("0A000", "pg_trgm is not installed", "SELECT * FROM upkeep.advise_indexes(%s, kinds => %s)",
                     [statement], ["btree", "trigram"])
        self.expect_none(statement, None)
        self.expect_rejection(statement, "trigram", "CREATE EXTENSION pg_trgm")

    def test_infix(self):
        self.run_on(self.db, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
        row = self.expect("SELECT * FROM names WHERE name LIKE '%abcdef%'", "trigram",
                          "USING gin (name gin_trgm_ops)", size_within=SIZE_ERROR)
        self.assertIn("name LIKE '...'", row["reason"])
        self.expect("SELECT * FROM names WHERE name ILIKE '%ABCdef%'", "trigram", "USING gin (name gin_trgm_ops)")

    def test_in_another_schema(self):
        self.run_on(self.db, "DROP EXTENSION IF EXISTS pg_trgm")
        self.run_on(self.db, 'CREATE SCHEMA IF NOT EXISTS "Ext"')
        self.run_on(self.db, 'CREATE EXTENSION pg_trgm SCHEMA "Ext"')
        self.expect("SELECT * FROM names WHERE name LIKE '%abcdef%'", "trigram",
                    'USING gin (name "Ext".gin_trgm_ops)')
        self.run_on(self.db, "DROP EXTENSION pg_trgm")

    def test_not_for_patterns_without_three_letters(self):
        self.run_on(self.db, "CREATE EXTENSION IF NOT EXISTS pg_trgm")
        self.expect_none("SELECT * FROM names WHERE name LIKE '%ab%'", ["trigram"])
        self.expect_none("SELECT * FROM names WHERE name LIKE '%a_b_c%'", ["trigram"])


class Brin(Kinds):
    setup = (
        "CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, shuffled int NOT NULL, pad text)",
        "INSERT INTO events SELECT i, '2024-01-01'::timestamptz + i * interval '1 second', i::bigint * 7919 % 400009,"
        " repeat('p', 80) FROM generate_series(1, 400000) AS i",
        "VACUUM ANALYZE events",
        "CREATE TABLE few (at timestamptz NOT NULL)",
        "INSERT INTO few SELECT '2024-01-01'::timestamptz + i * interval '1 second' FROM generate_series(1, 9000) AS i",
        "VACUUM ANALYZE few",
    )
    hour = "SELECT count(pad) FROM events WHERE at BETWEEN '2024-01-02' AND '2024-01-02 01:00'"

    def test_rows_in_the_order_of_time(self):
        row = self.expect(self.hour, "brin", "USING brin (at)", size_within=SIZE_ERROR)
        self.assertIn("correlation", row["reason"])

    def test_the_budget_decides(self):
        """A B-tree is faster and a hundred times as large."""
        row = self.dicts("SELECT * FROM upkeep.advise_indexes(%s, budget_bytes => 1000000)", [self.hour])[0]
        self.assertEqual(row["kind"], "brin")

    def test_not_for_rows_in_any_order(self):
        self.expect_none("SELECT * FROM events WHERE shuffled BETWEEN 5 AND 10", ["brin"])

    def test_not_for_a_small_table(self):
        self.expect_none("SELECT * FROM few WHERE at BETWEEN '2024-01-01' AND '2024-01-01 00:01'", ["brin"])


class Partitioned(Kinds):
    setup = (
        "CREATE SCHEMA parts",
        "CREATE TABLE logs (id bigint NOT NULL, level text NOT NULL, at date NOT NULL, who text NOT NULL)"
        " PARTITION BY RANGE (at)",
        "CREATE TABLE logs_old PARTITION OF logs FOR VALUES FROM ('2020-01-01') TO ('2024-01-01')",
        "CREATE TABLE logs_new PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2026-01-01')"
        " PARTITION BY LIST (level)",
        "CREATE TABLE parts.logs_new_error PARTITION OF logs_new FOR VALUES IN ('error')",
        # Another order of columns: what is planned on a partition must know that.
        "CREATE TABLE logs_new_other (who text NOT NULL, gone int, at date NOT NULL, id bigint NOT NULL,"
        " level text NOT NULL)",
        "ALTER TABLE logs_new_other DROP COLUMN gone",
        "ALTER TABLE logs_new ATTACH PARTITION logs_new_other DEFAULT",
        "INSERT INTO logs SELECT i, CASE WHEN i % 49 = 0 THEN 'error' ELSE 'info' END,"
        " '2020-01-01'::date + (i % 2000)::int, 'User' || i % 9000 FROM generate_series(1, 120000) AS i",
        "ANALYZE logs",
        "VACUUM ANALYZE logs_old", "VACUUM ANALYZE parts.logs_new_error", "VACUUM ANALYZE logs_new_other",
    )

    def check(self, statement, kind, contains, size_within):
        rows = self.advise(statement, [kind])
        self.assertEqual([row["kind"] for row in rows], [kind])
        row = rows[0]
        self.assertIn(contains, row["create_sql"])
        self.assertNotIn("CONCURRENTLY", row["create_sql"])
        self.assertTrue(any("partitioned" in warning for warning in row["warnings"]), row["warnings"])
        self.assertIn(" ON ONLY logs", row["steps"][0])
        self.assertEqual(sum("CONCURRENTLY" in step for step in row["steps"]), 3)
        self.assertEqual(sum("ATTACH PARTITION" in step for step in row["steps"]), 4)
        for by_steps in (False, True):
            for step in row["steps"] if by_steps else [row["create_sql"]]:
                self.run_on(self.db, step)
            self.assertTrue(self.value("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass",
                                       self.name_of(row)))
            plan = self.value("EXPLAIN (FORMAT JSON) " + statement)[0]["Plan"]
            size = self.value("SELECT sum(pg_relation_size(relid))::bigint FROM pg_partition_tree(%s::regclass)",
                              self.name_of(row))
            parts = self.rows("SELECT relid::regclass::text FROM pg_partition_tree(%s::regclass) WHERE isleaf",
                              self.name_of(row))
            self.run_on(self.db, row["drop_sql"])
            self.assertEqual(len(parts), 3)
            self.assertTrue(indexes_of(plan))
            self.assertAlmostEqual(row["cost_after"], plan["Total Cost"], delta=0.05 * plan["Total Cost"] + 1)
            self.assertAlmostEqual(row["size_bytes"], size, delta=size_within * size + 4 * 8192)

    def test_btree(self):
        self.check("SELECT * FROM logs WHERE who = 'User17'", "btree", "ON logs (who)", 0.10)

    def test_expression(self):
        self.check("SELECT * FROM logs WHERE lower(who) = 'user17'", "expression", "ON logs ((lower(who)))", 0.10)

    def test_partial(self):
        self.check("SELECT * FROM logs WHERE level = 'error' AND who = 'User49'", "partial",
                   "WHERE (level = 'error'::text)", 0.10)


class BesideForeign(Kinds):
    """A partition that is a foreign table can have no index; the others get theirs without blocking anybody."""
    setup = (
        "CREATE EXTENSION postgres_fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw",
        "CREATE TABLE runs (id bigint NOT NULL, who text NOT NULL, at date NOT NULL) PARTITION BY RANGE (at)",
        "CREATE TABLE runs_a PARTITION OF runs FOR VALUES FROM ('2020-01-01') TO ('2023-01-01')",
        "CREATE TABLE runs_b PARTITION OF runs FOR VALUES FROM ('2023-01-01') TO ('2026-01-01') PARTITION BY RANGE (at)",
        "CREATE TABLE runs_b1 PARTITION OF runs_b DEFAULT",
        "INSERT INTO runs SELECT i, 'User' || i % 9000, '2020-01-01'::date + (i % 2000)::int FROM generate_series(1, 60000) i",
        "CREATE FOREIGN TABLE runs_far PARTITION OF runs FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') SERVER far",
        "VACUUM ANALYZE runs_a", "VACUUM ANALYZE runs_b1",
    )

    def test_steps(self):
        [row] = self.advise("SELECT * FROM runs WHERE who = 'User17' AND at < '2026-01-01'", ["btree"])
        self.assertTrue(any("foreign tables get no index" in warning for warning in row["warnings"]), row["warnings"])
        self.assertEqual(["CONCURRENTLY" in step for step in row["steps"]], [True, True, False])
        for step in row["steps"]:
            self.run_on(self.db, step)
        parts = self.rows("SELECT relid::regclass::text, isleaf FROM pg_partition_tree(%s::regclass) ORDER BY isleaf, 1",
                          self.name_of(row))
        self.assertEqual([leaf for _, leaf in parts], [False, False, True, True])  # the leaves' own, taken as its parts
        made = [step.split("IF NOT EXISTS ")[1].split(" ")[0] for step in row["steps"]]
        self.assertEqual({name for name, leaf in parts if leaf}, set(made[:2]))
        self.assertTrue(self.value("SELECT bool_and(indisvalid) FROM pg_index WHERE indexrelid IN"
                                   " (SELECT relid FROM pg_partition_tree(%s::regclass))", self.name_of(row)))
        self.run_on(self.db, row["drop_sql"])
        self.assertEqual(self.value("SELECT count(*) FROM pg_index WHERE indrelid IN"
                                    " (SELECT relid FROM pg_partition_tree('runs'))"), 0)


class MoreKinds(Kinds):
    """All kinds together are never worse than plain and covering B-trees alone, whatever the budget."""
    setup = (
        "CREATE TABLE orders (id bigint, state text, customer int, note text, made date)",
        "INSERT INTO orders SELECT i, CASE WHEN i % 97 = 0 THEN 'open' ELSE 'done' END, i * 7919 % 5000,"
        " 'note ' || i % 3000, '2020-01-01'::date + i / 60 FROM generate_series(1, 90000) AS i",
        "VACUUM ANALYZE orders",
    )
    statements = [
        "SELECT id FROM orders WHERE state = 'open' AND customer = 17",
        "SELECT * FROM orders WHERE customer = 18 ORDER BY made DESC LIMIT 10",
        "SELECT count(*) FROM orders WHERE state = 'open' AND made > '2023-01-01'",
        "SELECT customer FROM orders WHERE lower(note) = 'note 5'",
        "SELECT made, count(*) FROM orders WHERE made BETWEEN '2021-01-01' AND '2021-02-01' GROUP BY made",
    ]

    def test_never_worse(self):
        budgets = [100_000, 700_000, 1_500_000, 3_000_000, 100_000_000]

        def costs(kinds):
            rows = self.dicts("SELECT * FROM upkeep.advise_budget_curve(%s, NULL, %s::bigint[], 3, '60 s', kinds => %s)",
                              self.statements, budgets, kinds)
            for row in rows:
                self.assertLessEqual(row["size_bytes"], row["budget_bytes"])
            return [row["cost_after"] for row in rows]

        plain, every = costs(["btree", "covering"]), costs(None)
        for at_most, cost in zip(plain, every):
            self.assertLessEqual(cost, at_most * (1 + 1e-9))
        self.assertLess(every[0], plain[0] * 0.99)  # or the other kinds have not been tried

    def test_never_worse_without_budget(self):
        last = {}
        for name, kinds in (("plain", ["btree", "covering"]), ("all", None)):
            rows = self.dicts("SELECT cost_after FROM upkeep.advise_indexes(%s, kinds => %s, min_saving_ratio => 0)",
                              self.statements, kinds)
            last[name] = rows[-1]["cost_after"]
        self.assertLess(last["all"], last["plain"])


if __name__ == "__main__":
    unittest.main()
