"""Random tables, data and statements: is advice ever harmful, useless in a part, over its budget, or another
one the second time? Oracle: the price of each statement with the advised indexes really built, one taken away
at a time, in databases with and without ANALYZE (those with it are analysed again).

UPKEEP_RANDOM_ROUNDS rounds (a few in CI; `make check-random`: 500) from UPKEEP_RANDOM_SEED on. A failure names
its seed; UPKEEP_RANDOM_ROUNDS=1 UPKEEP_RANDOM_SEED=<it> UPKEEP_RANDOM_SHOW=1 shows that case alone.
"""
import json
import os
import pathlib
import statistics
import sys
import tempfile
import unittest

import host

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from random_workload import Case, quoted  # noqa: E402

ROUNDS = int(os.environ.get("UPKEEP_RANDOM_ROUNDS", "10"))
SEED = int(os.environ.get("UPKEEP_RANDOM_SEED", "1"))
SHOW = os.environ.get("UPKEEP_RANDOM_SHOW") == "1"
FUZZ = 0.01  # of the workload's cost
SIZE_TRUTH = 1.10  # built size beside the estimate
SMALL_BYTES = 3 * 4096  # by which small indexes may differ beyond that
ADVICE = """SELECT create_sql, size_bytes, cost_before, cost_after, write_cost, drop_sql, steps, columns, kind, reason,
    warnings, fingerprints, saving_ratio FROM upkeep_advise_indexes(?, ?, ?, 3, 600000, ?, ?)"""


class SqliteCase(Case):
    """Without schemas; the index's name stands where SQLite wants it."""

    def __init__(self, seed):
        super().__init__(seed, "sqlite", most_rows=5000)

    @staticmethod
    def on(table):
        return "ON " + quoted(table.name)

    def create(self, table):
        text = super().create(table)
        return text.replace('"id" integer', '"id" INTEGER PRIMARY KEY') if table.row_count % 2 else text


class RandomAdviceTest(host.Asks, unittest.TestCase):
    def build(self, case, path, number):
        self.db = host.connect(database=path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("BEGIN")
        for table in case.tables:
            self.db.execute(case.create(table))
            self.db.executemany(f"INSERT INTO {table.sql} VALUES ({', '.join('?' * len(table.columns))})", table.rows)
        for sql in case.existing:
            self.db.execute(sql)
        self.db.execute("COMMIT")
        if number % 3:
            self.db.execute("ANALYZE")

    def cost(self, case):
        """Of indexes that exist the price of a write counts the upkeep, so write_cost is in it."""
        costs = [self.value("SELECT cost_before FROM upkeep_what_if(?, '[]')", text) for text in case.statements]
        return sum(weight * cost for weight, cost in zip(case.weights, costs)), costs

    def arguments(self, case, number):
        """All kinds and B-trees alone, with and without a budget, in turn."""
        table_bytes = self.value("PRAGMA page_count") * 4096
        budget = int(table_bytes * case.rng.choice([0.05, 0.2, 0.5])) if number % 4 >= 2 else None
        kinds = json.dumps(["btree"]) if number % 2 else None
        return [json.dumps(case.statements), json.dumps(case.weights), budget, case.rng.choice([0.01, 0.01, 0]), kinds]

    def one_round(self, seed, path):
        case = SqliteCase(seed)
        self.build(case, path, seed)
        arguments = self.arguments(case, seed)
        baseline, before = self.cost(case)
        advice = self.rows(ADVICE, *arguments)
        again = self.rows(ADVICE, *arguments)
        self.assertNotIn("time_limit ended", str(advice) + str(again), "too slow a machine to compare answers")
        self.assertEqual(again, advice, "the same call, another answer")
        if SHOW:
            self.show(case, arguments, before, advice)
        if not advice:
            return
        self.assertAlmostEqual(advice[0][2] / baseline, 1, delta=0.001, msg="cost_before")
        start = self.value("PRAGMA page_count")
        for row in advice:
            for step in json.loads(row[6]):
                self.db.execute(step)
        if seed % 3:  # prices suppose it: without it the planner guesses about the new indexes
            self.db.execute("ANALYZE")
        after, now = self.cost(case)
        if SHOW:
            print("built:", after, now)
        self.assertLessEqual(after, baseline * (1 + FUZZ), "the advice makes the workload dearer")
        self.truth.append(abs(advice[-1][3] - after) / baseline)
        built = (self.value("PRAGMA page_count") - start) * 4096
        if arguments[2] is not None:
            self.assertLessEqual(sum(row[1] for row in advice), arguments[2], "over budget by its own estimate")
            self.assertLessEqual(built, arguments[2] * SIZE_TRUTH + SMALL_BYTES, "over budget when built")
            self.over_budget.append(built / arguments[2])
        for row in advice:
            self.db.execute("BEGIN")
            self.db.execute(row[5])
            if seed % 3:  # the table's row count goes with its last full index
                self.db.execute("ANALYZE")
            without = self.cost(case)[0]
            self.db.execute("ROLLBACK")
            if SHOW:
                print("without", row[0], without)
            self.assertGreaterEqual(without, after - baseline * FUZZ, f"better without {row[0]}")
        self.indexes += len(advice)

    def show(self, case, arguments, before, advice):
        print(arguments)
        for table in case.tables:
            print(table.row_count, case.create(table))
        print(*case.existing, sep="\n")
        for text, weight, cost in zip(case.statements, case.weights, before):
            print(weight, cost, text[:400])
        for row in advice:
            print(row)

    def test_rounds(self):
        self.indexes, self.truth, self.over_budget = 0, [], []
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(SEED, SEED + ROUNDS):
                with self.subTest(seed=seed):
                    self.one_round(seed, f"{folder}/{seed}.db")
                self.db.close()
                os.unlink(f"{folder}/{seed}.db")
        print(f"measured: {ROUNDS} rounds, {self.indexes} indexes; cost_after off by (median)"
              f" {statistics.median(self.truth or [0]):.5f}, at most {max(self.truth, default=0):.5f} of the baseline; built bytes per"
              f" budget at most {max(self.over_budget, default=0):.3f}")
        self.assertGreater(self.indexes, ROUNDS // 2, "or the rounds have tested nothing")


if __name__ == "__main__":
    unittest.main()
