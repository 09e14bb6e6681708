"""The truth of prices and sizes: for random (statement, index set) pairs the price with hypothetical indexes
against EXPLAIN with the same indexes built, and their estimated sizes against the built ones.
UPKEEP_TRUTH_PAIRS pairs (default 40), UPKEEP_TRUTH_SEED (default 1); `make bench-prices` takes 200."""
# cluster: autovacuum=off
import json
import os
import unittest

import price_cases
from host import Asks

PAIRS = int(os.environ.get("UPKEEP_TRUTH_PAIRS", "40"))
SEED = int(os.environ.get("UPKEEP_TRUTH_SEED", "1"))
PER_SCHEMA = 20
SHOWN = int(os.environ.get("UPKEEP_TRUTH_SHOWN", "3"))


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


class PriceTruth(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "CREATE EXTENSION upkeep_guard_test")

    def real_cost(self, statement):
        plan = self.value("EXPLAIN (FORMAT JSON) " + statement)
        return (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Total Cost"]

    def compare(self, statement, indexes):
        row = self.dicts("SELECT * FROM upkeep.what_if(%s, %s)", statement, indexes)[0]
        sizes = [self.value("SELECT estimated_index_bytes(%s)", index) for index in indexes]
        for index in indexes:
            self.run_on(self.db, index)
        try:
            cost = self.real_cost(statement)
            self.costs.append((abs(row["cost_after"] - cost) / max(cost, 0.01), row["cost_after"], cost, row["used_indexes"],
                               statement, indexes))
            for position, index in enumerate(indexes):
                size = self.value("SELECT pg_relation_size(%s::regclass)", f"i{position}")
                # Of an index of a page or two the estimate is off by a page or not at all.
                off = abs(sizes[position] - size)
                self.sizes.append((off / size if size > 10 * 8192 else max(0, off - 8192) / size,
                                   sizes[position], size, index))
        finally:
            for position in range(len(indexes)):
                self.run_on(self.db, f"DROP INDEX IF EXISTS i{position}")

    def show(self, what, found):
        off = [row[0] for row in found]
        print(f"{what}: {len(off)} compared, off by {quantile(off, 0.5):.2%} (median), {quantile(off, 0.95):.2%} (95th"
              f" percentile), {max(off):.2%} (worst)")
        for row in sorted(found, key=lambda row: -row[0])[:SHOWN]:
            print("   ", *row)
        return quantile(off, 0.5), quantile(off, 0.95)

    def test_random_pairs(self):
        self.costs, self.sizes = [], []
        for number in range((PAIRS + PER_SCHEMA - 1) // PER_SCHEMA):
            cases = price_cases.Cases(SEED * 1000 + number)
            for sql in cases.create():
                self.run_on(self.db, sql)
            for _ in range(min(PER_SCHEMA, PAIRS - number * PER_SCHEMA)):
                self.compare(*cases.pair())
            for table in cases.tables:
                self.run_on(self.db, f"DROP TABLE {table.name}")
        self.show("prices", self.costs)
        costs = self.show("prices, an assumed index is used", [row for row in self.costs if row[3]])
        sizes = self.show("sizes", self.sizes)
        self.assertGreater(sum(1 for row in self.costs if row[3]), PAIRS // 3)
        self.assertLessEqual(costs[0], 0.01)
        self.assertLessEqual(costs[1], 0.05)
        self.assertLessEqual(sizes[0], 0.03)
        self.assertLessEqual(sizes[1], 0.10)


if __name__ == "__main__":
    unittest.main()
