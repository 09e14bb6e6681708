"""The main job on tables of a million rows: the advised index is the one that the planner then uses, and
its size is the predicted one."""
# cluster: autovacuum=off
# cluster: maintenance_work_mem=256MB
# cluster: max_wal_size=4GB
import json
import unittest

from host import Asks
from test_what_if import indexes_of

ROWS = 1000000
# Partial indexes and expressions are looked at in test_kinds.py.
BTREES = "'{btree,covering}'"


class MillionRows(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, f"""
            CREATE UNLOGGED TABLE jobs AS SELECT g AS id,
                CASE WHEN g % 1000 = 0 THEN 'failed' WHEN g % 100 = 1 THEN 'running' ELSE 'completed' END AS status,
                'owner ' || (g * 7919::bigint % 5000) AS owner,
                '2026-01-01'::timestamptz + g * interval '30 second' AS made_at,
                md5(g::text) || md5((g + 1)::text) || md5((g + 2)::text) AS wide,
                (g % 5000)::numeric AS price,
                CASE WHEN g % 5 = 0 THEN g % 2000 END AS sparse,
                (g * 104729::bigint % {ROWS})::int AS shuffled,
                g % 30011 AS pairs
            FROM generate_series(1, {ROWS}) AS g;
            CREATE TABLE owners AS SELECT DISTINCT owner, md5(owner) AS mail FROM jobs;
            ANALYZE""")

    def advise(self, *statements, **options):
        given = "".join(f", {name} => {value}" for name, value in options.items())
        return self.dicts(f"SELECT * FROM upkeep.advise_indexes(%s::text[]{given})", list(statements))

    def explain(self, statement):
        plan = self.value("EXPLAIN (FORMAT JSON) " + statement)
        return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]

    def test_the_advised_index_is_used_and_has_the_predicted_size(self):
        off = {}
        for statement, columns in (
                ("SELECT * FROM jobs WHERE id = 777", ["id"]),
                ("SELECT * FROM jobs WHERE status = 'failed'", ["status"]),
                ("SELECT * FROM jobs WHERE owner = 'owner 17'", ["owner"]),
                ("SELECT * FROM jobs WHERE wide = 'x'", ["wide"]),
                ("SELECT * FROM jobs WHERE price = 17", ["price"]),
                ("SELECT * FROM jobs WHERE sparse = 15", ["sparse"]),
                ("SELECT * FROM jobs WHERE shuffled = 15", ["shuffled"]),
                ("SELECT * FROM jobs WHERE pairs = 15", ["pairs"]),
                ("SELECT * FROM jobs WHERE made_at > '2026-12-13'", ["made_at"]),
                ("SELECT * FROM jobs ORDER BY made_at DESC LIMIT 10", ["made_at"]),
                ("SELECT * FROM jobs WHERE owner = 'owner 17' ORDER BY made_at DESC LIMIT 10", ["owner", "made_at"]),
                ("SELECT * FROM jobs WHERE owner = 'owner 17' AND status = 'running'", ["owner", "status"]),
                ("SELECT * FROM jobs WHERE owner = 'owner 17' AND price > 4000", ["owner", "price"]),
                ("SELECT * FROM jobs WHERE wide LIKE 'x%' AND sparse = 15", ["sparse"])):
            with self.subTest(statement):
                rows = self.advise(statement, kinds=BTREES)
                self.assertEqual([row["columns"] for row in rows], [columns])
                row = rows[0]
                self.run_on(self.db, row["create_sql"])
                try:
                    name = row["create_sql"].split(" ON ")[0].split()[-1]
                    plan = self.explain(statement)
                    self.assertEqual(indexes_of(plan), {name})
                    self.assertAlmostEqual(row["cost_after"], plan["Total Cost"], delta=0.1 * plan["Total Cost"])
                    size = self.value("SELECT pg_relation_size(%s::regclass)", name)
                    off["+".join(columns)] = row["size_bytes"] / size - 1
                    self.assertAlmostEqual(row["size_bytes"], size, delta=0.10 * size)
                finally:
                    self.run_on(self.db, row["drop_sql"])
        print("size off by", ", ".join(f"{columns} {share:+.1%}" for columns, share in off.items()))

    def test_a_join(self):
        statement = "SELECT j.id, o.mail FROM jobs j JOIN owners o USING (owner) WHERE o.mail = md5('owner 17')"
        rows = self.advise(statement)
        self.assertIn(["owner"], [row["columns"] for row in rows if row["table_name"] == "jobs"])
        for row in rows:
            self.run_on(self.db, row["create_sql"])
        try:
            used = indexes_of(self.explain(statement))
            self.assertEqual(used, {row["create_sql"].split(" ON ")[0].split()[-1] for row in rows})
        finally:
            for row in rows:
                self.run_on(self.db, row["drop_sql"])

    def test_nothing_where_no_index_helps(self):
        for statement in ("SELECT count(*) FROM jobs", "SELECT * FROM jobs", "SELECT * FROM jobs WHERE status = 'completed'",
                          "SELECT * FROM jobs WHERE md5(wide) = 'x'", "SELECT * FROM jobs WHERE wide LIKE '%x'",
                          "SELECT sum(price) FROM jobs GROUP BY owner", "SELECT * FROM jobs WHERE id <> 7"):
            with self.subTest(statement):
                self.assertEqual(self.advise(statement, kinds=BTREES), [])

    def test_budget(self):
        statements = ["SELECT * FROM jobs WHERE id = 777", "SELECT * FROM jobs WHERE wide = 'x'",
                      "SELECT * FROM jobs WHERE status = 'failed'"]
        everything = self.advise(*statements)
        # the planner takes any of equally cheap indexes; the narrowest is advised, not (id, status)
        self.assertEqual(sorted(row["columns"] for row in everything), [["id"], ["status"], ["wide"]])
        total = sum(row["size_bytes"] for row in everything)
        self.assertEqual(len(self.advise(*statements, budget_bytes=total)), 3)
        last = 0
        for budget in (1000000, 8000000, 31000000, 150000000, total - 1):
            rows = self.advise(*statements, budget_bytes=budget)
            self.assertLessEqual(sum(row["size_bytes"] for row in rows), budget)
            saving = rows[-1]["saving_ratio"] if rows else 0
            self.assertGreaterEqual(saving, last - 1e-9)
            last = saving
        self.assertLess(last, everything[-1]["saving_ratio"])

    def test_budget_curve(self):
        """One call answers every budget; what it says holds once the set is built."""
        statements = ["SELECT * FROM jobs WHERE id = 777", "SELECT * FROM jobs WHERE wide = 'x'",
                      "SELECT * FROM jobs WHERE status = 'failed'"]
        rows = self.dicts("SELECT * FROM upkeep.advise_budget_curve(%s::text[], NULL, %s::bigint[])", statements,
                          [400000000, 1000, 8000000, 31000000])
        self.assertEqual([row["budget_bytes"] for row in rows], [400000000, 1000, 8000000, 31000000])
        self.assertEqual([len(row["create_sqls"]) for row in rows], [3, 0, 1, 2])
        self.assertEqual(rows[1]["cost_after"], rows[1]["cost_before"])
        for row in rows:
            self.assertLessEqual(row["size_bytes"], row["budget_bytes"])
            self.assertAlmostEqual(row["saving_ratio"], 1 - row["cost_after"] / row["cost_before"])
            names = [sql.split(" ON ")[0].split()[-1] for sql in row["create_sqls"]]
            for sql in row["create_sqls"]:
                self.run_on(self.db, sql)
            try:
                cost = sum(self.explain(statement)["Total Cost"] for statement in statements)
                self.assertAlmostEqual(row["cost_after"], cost, delta=0.05 * cost)
                built = sum(self.value("SELECT pg_relation_size(%s::regclass)", name) for name in names)
                self.assertLessEqual(built, row["budget_bytes"])
            finally:
                for name in names:
                    self.run_on(self.db, f"DROP INDEX {name}")
        for budgets, words in (("'{}'", "budgets is empty"), ("'{0}'", "above 0"), ("NULL", "budgets must not be null"),
                               ("'{1,NULL}'", "budgets")):
            with self.assertRaisesRegex(Exception, words):
                self.dicts(f"SELECT * FROM upkeep.advise_budget_curve(%s::text[], NULL, {budgets})", statements)

    def test_rejections(self):
        """What is not advised has its reason; what is advised is not there."""
        self.run_on(self.db, "CREATE INDEX jobs_there ON jobs (shuffled)")
        self.addCleanup(self.run_on, self.db, "DROP INDEX jobs_there")
        statements = ["SELECT * FROM jobs WHERE id = 777", "SELECT * FROM jobs WHERE status = 'completed'",
                      "SELECT * FROM jobs WHERE shuffled = 5", "SELECT * FROM jobs WHERE wide = 'x'"]
        ask = "SELECT * FROM upkeep.explain_rejections(%s::text[], budget_bytes => 31000000)"
        rows = self.dicts(ask, statements)
        because = {tuple(row["columns"]): row["rejected_because"] for row in rows if row["kind"] == "btree"}
        self.assertEqual(because[("status",)], "the planner does not use it: status has about 3 values, of many rows each")
        self.assertIn("jobs_there", because[("shuffled",)])
        self.assertRegex(because[("wide",)], "^over budget")
        self.assertNotIn(("id",), because)
        self.assertEqual(rows, self.dicts(ask, statements))
        self.assertLess(rows[0]["cost_after"], rows[0]["cost_before"])
        with self.assertRaisesRegex(Exception, "budget_bytes"):
            self.dicts("SELECT * FROM upkeep.explain_rejections(%s::text[], budget_bytes => 0)", statements)

    def test_weights_and_max_columns(self):
        statements = ["SELECT * FROM jobs WHERE id = 777", "SELECT * FROM jobs WHERE shuffled = 5"]
        for weights, first in (([1, 100], ["shuffled"]), ([100, 1], ["id"])):
            rows = self.dicts("SELECT * FROM upkeep.advise_indexes(%s::text[], %s::float8[])", statements, weights)
            self.assertEqual(rows[0]["columns"], first)
        statement = "SELECT * FROM jobs WHERE owner = 'owner 17' AND status = 'running' AND made_at > '2026-06-01'"
        for most in (1, 2, 3):
            self.assertLessEqual(max(len(row["columns"]) for row in self.advise(statement, max_columns=most)), most)
        self.assertEqual(self.advise(statement, kinds=BTREES)[0]["columns"], ["owner", "status", "made_at"])

    def test_the_row_as_a_reader_sees_it(self):
        row = self.advise("SELECT * FROM jobs WHERE owner = 'owner 17' ORDER BY made_at DESC LIMIT 10")[0]
        self.assertEqual(row["reason"], "owner = ..., then order by made_at desc; used by 1 statement")
        self.assertEqual(row["steps"], [row["create_sql"]])
        self.assertEqual(row["warnings"], [])
        self.assertEqual(row["drop_sql"], "DROP INDEX CONCURRENTLY IF EXISTS idx_jobs_owner_made_at")
        self.assertEqual((row["rank"], row["kind"], row["table_name"]), (1, "btree", "jobs"))
        self.assertAlmostEqual(row["saving_ratio"], 1 - row["cost_after"] / row["cost_before"])

    def test_names_that_need_quotes_and_schemas(self):
        self.run_on(self.db, """CREATE SCHEMA "My Schema";
            CREATE TABLE "My Schema"."Odd ""Table" AS SELECT id AS "Order", owner AS "select" FROM jobs LIMIT 50000;
            ANALYZE "My Schema"."Odd ""Table" """)
        statement = 'SELECT * FROM "My Schema"."Odd ""Table" WHERE "select" = \'owner 17\''
        row = self.advise(statement)[0]
        self.run_on(self.db, row["create_sql"])
        self.assertTrue(indexes_of(self.explain(statement)))
        self.run_on(self.db, row["drop_sql"])
        self.assertFalse(indexes_of(self.explain(statement)))


if __name__ == "__main__":
    unittest.main()
