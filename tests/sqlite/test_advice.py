"""Is the advice good? On a table of a million rows and on the AutoPR workload: the planner uses what
is proposed once it is created, sizes are right, and the measured cost of the workload falls."""
import json
import pathlib
import re
import shutil
import tempfile
import unittest

import autopr
import host

MILLION = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, status TEXT NOT NULL,
                    ordered_at TEXT NOT NULL, amount REAL, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
INSERT INTO orders SELECT i, i * 7919 % 50021, CASE WHEN i % 50 = 0 THEN 'open' ELSE 'shipped' END,
    datetime(1700000000 + i * 31, 'unixepoch'), i % 1000 / 10.0,
    CASE WHEN i % 3 = 0 THEN NULL ELSE 'note ' || (i % 977) END FROM n;
"""


class MillionRowsTest(host.Asks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.path = pathlib.Path(folder.name) / "million.db"
        db = host.connect(database=str(cls.path), isolation_level=None)
        db.executescript(MILLION)
        db.close()

    def setUp(self):
        self.db = host.connect(database=str(self.path), isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("PRAGMA synchronous = OFF")

    def try_out(self, statement, columns):
        """Advice for one statement is created; the planner names it; its size is as said."""
        rows = self.rows("SELECT create_sql, drop_sql, columns, size_bytes, table_name"
                         " FROM upkeep_advise_indexes(?)", statement)
        self.assertEqual(len(rows), 1, statement)
        create, drop, found, size, table = rows[0]
        self.assertEqual((json.loads(found), table), (columns, "orders"))
        name = re.search(r"EXISTS (\w+) ON", create).group(1)
        self.db.execute(create)
        try:
            plan = " ".join(row[3] for row in self.rows("EXPLAIN QUERY PLAN " + statement))
            self.assertRegex(plan, rf"USING (COVERING )?INDEX {name}\b")
            real = self.value("SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = 1", name)
            print(f"measured: {name}: {size} bytes estimated, {size / real:.3f} of the real size")
            self.assertLess(abs(size / real - 1), 0.15)
        finally:
            self.db.execute(drop)
        self.assertNotIn(name, str(self.rows("SELECT * FROM sqlite_schema")))

    def test_budget_curve(self):
        statements = "SELECT * FROM orders WHERE customer = 4711; SELECT * FROM orders WHERE note = 'note 7'"
        rows = self.rows("SELECT * FROM upkeep_advise_budget_curve(?, NULL, ?)", statements,
                         "[200000000, 1000, 20000000]")
        self.assertEqual([row[0] for row in rows], [200000000, 1000, 20000000])
        self.assertEqual([len(json.loads(row[5])) for row in rows], [2, 0, 1])
        for budget, size, before, after, saving, _ in rows:
            self.assertLessEqual(size, budget)
            self.assertAlmostEqual(saving, 1 - after / before)
        self.assertLess(rows[0][3], rows[2][3])
        self.assertEqual(rows[1][2], rows[1][3])
        for budgets, words in (("[]", "budgets is empty"), ("[0]", "above 0"), (None, "budgets must not be null"),
                               ("x", "budgets")):
            with self.assertRaisesRegex(Exception, words):
                self.rows("SELECT * FROM upkeep_advise_budget_curve(?, NULL, ?)", statements, budgets)

    def test_rejections(self):
        statements = ("SELECT * FROM orders WHERE customer = 4711; SELECT * FROM orders WHERE note = 'note 7';"
                      "SELECT * FROM orders WHERE ordered_at > '1990'")
        ask = "SELECT * FROM upkeep_explain_rejections(?, NULL, 20000000)"
        rows = self.rows(ask, statements)
        because = {tuple(json.loads(row[1])): row[6] for row in rows}
        advised = [tuple(json.loads(row[0])) for row in
                   self.rows("SELECT columns FROM upkeep_advise_indexes(?, NULL, 20000000)", statements)]
        self.assertEqual(len(advised), 1)
        self.assertNotIn(advised[0], because)
        other = {("customer",), ("note",)} - {advised[0][:1]}
        self.assertRegex(because[other.pop()], "^over budget")
        self.assertIn(("ordered_at",), because)
        self.assertEqual(rows, self.rows(ask, statements))
        with self.assertRaisesRegex(Exception, "budget_bytes"):
            self.rows("SELECT * FROM upkeep_explain_rejections(?, NULL, 0)", statements)

    def test_what_is_proposed_is_used(self):
        self.try_out("SELECT * FROM orders WHERE customer = 4711", ["customer"])
        self.try_out("SELECT * FROM orders WHERE customer = 4711 ORDER BY ordered_at DESC LIMIT 5",
                     ["customer", "ordered_at"])
        self.try_out("SELECT sum(amount) FROM orders WHERE ordered_at >= '2024-10-30'",
                     ["ordered_at"])
        self.try_out("SELECT * FROM orders WHERE note = 'note 5' AND status = 'open'",
                     ["note", "status"])

    def test_the_same_when_analysed(self):
        self.db.execute("ANALYZE")
        self.addCleanup(self.db.execute, "DROP TABLE sqlite_stat1")
        self.test_what_is_proposed_is_used()

    def test_nothing_to_gain(self):
        for statement in ("SELECT * FROM orders WHERE id = 5", "SELECT count(*) FROM orders WHERE 1",
                          "SELECT * FROM orders WHERE status = 'shipped'",
                          "SELECT * FROM orders WHERE amount >= 0"):
            self.assertEqual(self.rows("SELECT create_sql FROM upkeep_advise_indexes(?)", statement),
                             [], statement)

    def test_budget(self):
        workload = json.dumps(["SELECT * FROM orders WHERE customer = 4711",
                               "SELECT * FROM orders WHERE note = 'note 5'"])
        advice = "SELECT columns, size_bytes FROM upkeep_advise_indexes(?, NULL, ?)"
        both = self.rows(advice, workload, None)
        self.assertEqual(len(both), 2)
        smaller = min(size for _, size in both)
        self.assertEqual(len(self.rows(advice, workload, sum(size for _, size in both))), 2)
        one = self.rows(advice, workload, sum(size for _, size in both) - 1)
        self.assertEqual(len(one), 1)
        self.assertEqual(self.rows(advice, workload, smaller - 1), [])

    def test_weights_decide(self):
        workload = json.dumps(["SELECT * FROM orders WHERE customer = 4711",
                               "SELECT * FROM orders WHERE note = 'note 5'"])
        for weights, wanted in (("[1, 1000]", ["note"]), ("[1000, 1]", ["customer"])):
            self.assertEqual(json.loads(self.rows(
                "SELECT columns FROM upkeep_advise_indexes(?, ?)", workload, weights)[0][0]), wanted)


class AutoprTest(host.Asks, unittest.TestCase):
    """The whole workload, measured by the sqlite3 shell before and after."""

    SCALE = 20000 if host.UNDER_ASAN else 50000

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        autopr.create(cls.folder / "autopr.db", cls.SCALE).close()
        cls.statements = autopr.workload()

    def advise_and_measure(self, analyse):
        path = self.folder / "measured.db"
        shutil.copy(self.folder / "autopr.db", path)
        self.db = host.connect(database=str(path), isolation_level=None)
        self.addCleanup(self.db.close)
        if analyse:
            self.db.execute("ANALYZE")
        self.advice = self.rows(
            "SELECT rank, create_sql, size_bytes, cost_before, cost_after, saving_ratio, reason,"
            " warnings, steps FROM upkeep_advise_indexes(?, ?)",
            json.dumps([s.sql for s in self.statements]),
            json.dumps([s.weight for s in self.statements]))
        indexes = json.dumps([row[1].replace("IF NOT EXISTS ", "") for row in self.advice])
        self.priced = {s.name: self.rows("SELECT cost_before, cost_after FROM upkeep_what_if(?, ?)",
                                         s.sql, indexes)[0] for s in self.statements}
        self.before = autopr.measure(path, self.statements)
        for row in self.advice:
            self.db.execute(row[1])
        if analyse:
            self.db.execute("ANALYZE")
        self.after = autopr.measure(path, self.statements)

    @staticmethod
    def cost(measured):
        return measured[0] + 5 * measured[1]

    def check(self, what):
        total = [sum(s.weight * self.cost(side[s.name]) for s in self.statements)
                 for side in (self.before, self.after)]
        steps = [sum(s.weight * side[s.name][0] for s in self.statements)
                 for side in (self.before, self.after)]
        print(f"measured: AutoPR at {self.SCALE}, {what}: {len(self.advice)} indexes,"
              f" {sum(row[2] for row in self.advice) / 1e6:.1f} MB; VM steps {steps[0]:.3g} ->"
              f" {steps[1]:.3g}, steps + 5 pages {total[0]:.3g} -> {total[1]:.3g}")
        # The bar is that of a workload whose indexes are all missing.
        self.assertLess(steps[1], 0.1 * steps[0])
        self.assertLess(total[1], 0.1 * total[0])
        self.check_rows(total)
        self.check_no_silent_harm()
        self.check_prices()

    def check_rows(self, total):
        costs = [row[3] for row in self.advice] + [self.advice[-1][4]]
        self.assertEqual(costs, sorted(costs, reverse=True))
        for rank, row in enumerate(self.advice, 1):
            self.assertEqual(row[0], rank)
            self.assertRegex(row[6], r"used by \d+ statements?$")
            self.assertTrue(row[1] in json.loads(row[8]))
        # What was promised for the whole workload came true, within the model's truth.
        self.assertLess(abs(self.advice[-1][5] - (1 - total[1] / total[0])), 0.1)

    def check_no_silent_harm(self):
        warnings = " ".join(row[7] for row in self.advice)
        for number, statement in enumerate(self.statements, 1):
            before, after = self.before[statement.name], self.after[statement.name]
            if self.cost(after) > 1.05 * self.cost(before) or after[0] > 1.05 * before[0]:
                self.assertIn(f"makes statement {number} ", warnings, (statement.name, before, after))

    def check_prices(self):
        """Estimated against measured, both before and after: within a factor of 3."""
        ratios = []
        for statement in self.statements:
            if statement.kind == "write":
                continue
            for side, price in zip((self.before, self.after), self.priced[statement.name]):
                ratios.append((price / self.cost(side[statement.name]), statement.name))
        ratios.sort()
        print(f"measured: price / measured cost: least {ratios[0]}, median"
              f" {ratios[len(ratios) // 2][0]:.2f}, greatest {ratios[-1]}")
        if not host.UNDER_ASAN:  # on its smaller data one price is a tenth of the cost: see docs/known-gaps.md
            self.assertGreater(ratios[0][0], 1 / 3)
        self.assertLess(ratios[-1][0], 3)

    def test_never_analysed(self):
        self.advise_and_measure(analyse=False)
        self.check("never analysed")

    def test_analysed(self):
        self.advise_and_measure(analyse=True)
        self.check("analysed")


if __name__ == "__main__":
    unittest.main()
