"""Partial indexes and indexes on expressions: what is advised is built, and the planner uses it in that
statement; what would be useless is not advised. Kinds that SQLite has not are refused by name."""
import json
import re
import unittest

import host

ROWS = """
CREATE TABLE jobs(id INTEGER PRIMARY KEY, status TEXT NOT NULL, parent INTEGER, created_at TEXT NOT NULL,
                  email TEXT NOT NULL, data TEXT NOT NULL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO jobs SELECT i, CASE WHEN i % 100 = 0 THEN 'pending' WHEN i % 50 = 1 THEN 'it''s' ELSE 'done' END,
    CASE WHEN i % 20 = 0 THEN i / 2 END, datetime(1700000000 + i * 7919 % 600011, 'unixepoch'),
    'User' || i || '@Example.org', json_object('k', i % 3000, 'v', 'xxxxxxxxxxxxxxxx'), 'some note of a job' FROM n;
"""


class KindsTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(ROWS)

    def advise(self, workload, kinds=None):
        if not isinstance(workload, str):
            workload = json.dumps(workload)
        rows = self.db.execute("SELECT * FROM upkeep_advise_indexes(?, NULL, NULL, 3, 30000, 0.01, ?)",
                               (workload, kinds and json.dumps(kinds)))
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row)) for row in rows]

    def expect(self, statement, kind, contains):
        """One row of this kind that the statement really uses, of the size that was said."""
        rows = self.advise(statement, [kind])
        self.assertEqual([row["kind"] for row in rows], [kind], rows)
        row = rows[0]
        self.assertIn(contains, row["create_sql"])
        name = re.search(r"EXISTS (\w+) ON", row["create_sql"]).group(1)
        what_if = self.rows("SELECT cost_after, used_indexes FROM upkeep_what_if(?, ?)", statement,
                            json.dumps([row["create_sql"]]))[0]
        self.assertEqual(json.loads(what_if[1]), [name])
        self.assertAlmostEqual(what_if[0], row["cost_after"], delta=0.01)
        for analysed in (False, True):
            self.db.execute(row["create_sql"])
            if analysed:
                self.db.execute("ANALYZE")
            plan = " ".join(r[3] for r in self.rows("EXPLAIN QUERY PLAN " + statement))
            self.assertRegex(plan, rf"USING (COVERING )?INDEX {name}\b")
            real = self.value("SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = 1", name)
            self.assertAlmostEqual(row["size_bytes"], real, delta=0.10 * real + 4096)
            self.db.execute(row["drop_sql"])
        return row

    def expect_none(self, statement, kinds):
        self.assertEqual([row["create_sql"] for row in self.advise(statement, kinds)], [])

    def test_partial_on_a_rare_value_with_an_order(self):
        row = self.expect("SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10", "partial",
                          "(created_at) WHERE status = 'pending'")
        self.assertIn("status = 'pending'", row["reason"])
        self.assertTrue(any("parameter" in warning for warning in json.loads(row["warnings"])), row["warnings"])

    def test_partial_quotes_its_constant(self):
        self.expect("SELECT * FROM jobs WHERE status = 'it''s' ORDER BY created_at LIMIT 10", "partial",
                    "WHERE status = 'it''s'")

    def test_partial_on_a_list(self):
        self.expect("SELECT * FROM jobs WHERE status IN ('pending', 'it''s') ORDER BY created_at LIMIT 10", "partial",
                    "WHERE status IN ('pending', 'it''s')")

    def test_partial_on_a_column_of_many_nulls_serves_any_value(self):
        self.expect("SELECT * FROM jobs WHERE parent = 4711", "partial", "(parent) WHERE parent IS NOT NULL")
        self.assertEqual(len(self.advise("SELECT * FROM jobs WHERE parent = ?", ["partial"])), 1)

    def test_no_partial_index_where_it_would_be_useless(self):
        self.expect_none("SELECT * FROM jobs WHERE status = 'done' ORDER BY note LIMIT 10", ["partial"])
        self.expect_none("SELECT * FROM jobs WHERE status = ? ORDER BY created_at LIMIT 10", ["partial"])
        self.expect_none("SELECT * FROM jobs WHERE email = 'User7@Example.org'", ["partial"])

    def test_a_parameter_is_not_assumed_to_be_the_constant(self):
        before, after, used = self.rows(
            "SELECT cost_before, cost_after, used_indexes FROM upkeep_what_if(?, ?)",
            "SELECT * FROM jobs WHERE status = ? ORDER BY created_at LIMIT 10",
            json.dumps(["CREATE INDEX jp ON jobs(created_at) WHERE status = 'pending'"]))[0]
        self.assertEqual((before, json.loads(used)), (after, []))

    def test_expression(self):
        row = self.expect("SELECT * FROM jobs WHERE lower(email) = 'user5@example.org'", "expression",
                          "lower(email)")
        self.assertIn("lower(email) = …", row["reason"])
        self.assertTrue(any("ANALYZE jobs" in warning for warning in json.loads(row["warnings"])), row["warnings"])

    def test_expression_behind_an_alias(self):
        self.expect("SELECT j.id FROM jobs AS j WHERE lower(j.email) = 'user5@example.org' AND j.id > 3",
                    "expression", "lower(email)")

    def test_json_expression(self):
        self.expect("SELECT * FROM jobs WHERE data ->> '$.k' = 17", "expression", "data->>'$.k'")
        self.expect("SELECT * FROM jobs WHERE json_extract(data, '$.k') = 17", "expression",
                    "json_extract(data, '$.k')")

    def test_no_expression_where_the_result_may_change(self):
        self.db.create_function("shaky", 1, lambda text: text)
        self.expect_none("SELECT * FROM jobs WHERE shaky(email) = 'x'", ["expression"])
        self.expect_none("SELECT * FROM jobs WHERE datetime(created_at, 'localtime') = 'x'", ["expression"])
        self.expect_none("SELECT * FROM jobs WHERE json_extract(data, ?) = 17", ["expression"])
        self.expect_none("SELECT * FROM jobs WHERE email = 'x'", ["expression"])

    def test_kinds_are_honoured(self):
        statement = "SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10"
        self.assertEqual({row["kind"] for row in self.advise(statement, ["btree"])}, {"btree"})
        self.expect_none(statement, ["expression"])

    def test_more_kinds_are_never_worse(self):
        statements = ["SELECT * FROM jobs WHERE status = 'pending' ORDER BY created_at LIMIT 10",
                      "SELECT count(*) FROM jobs WHERE created_at > '2023-11-16' AND status = 'it''s'",
                      "SELECT * FROM jobs WHERE parent = 12 OR lower(email) = 'user9@example.org'",
                      "UPDATE jobs SET status = 'done' WHERE status = 'pending' AND id < 500"]
        self.assertLessEqual(self.advise(statements)[-1]["cost_after"],
                             self.advise(statements, ["btree"])[-1]["cost_after"] * 1.0001)

    def test_says_which_kinds_it_has_not(self):
        for kind in ("gin", "brin", "trigram"):
            self.refuses("SQLite has B-tree indexes only: no gin, brin or trigram",
                         "SELECT * FROM upkeep_advise_indexes('SELECT 1 FROM jobs', NULL, NULL, 3, 30000, 0.01, ?)",
                         json.dumps(["btree", kind]))


if __name__ == "__main__":
    unittest.main()
