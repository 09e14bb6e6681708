"""Random tables, data and statements: is advice ever harmful, useless in a part, over its budget, or another
one the second time? Oracle: EXPLAIN with the advised indexes really built, one taken away at a time.

UPKEEP_RANDOM_ROUNDS rounds (a few in CI; `make check-random`: 500) from UPKEEP_RANDOM_SEED on. A failure names
its seed; UPKEEP_RANDOM_ROUNDS=1 UPKEEP_RANDOM_SEED=<it> UPKEEP_RANDOM_SHOW=1 shows that case alone.
"""
# cluster: autovacuum=off
import io
import os
import pathlib
import re
import statistics
import sys
import unittest

from host import Asks

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from random_workload import Case  # noqa: E402

ROUNDS = int(os.environ.get("UPKEEP_RANDOM_ROUNDS", "10"))
SEED = int(os.environ.get("UPKEEP_RANDOM_SEED", "1"))
SHOW = os.environ.get("UPKEEP_RANDOM_SHOW") == "1"
FUZZ = 0.01  # of the workload's cost: the planner's own, which drops paths that differ by less
ADVICE = ("SELECT create_sql, size_bytes, cost_before, cost_after, write_cost, row_to_json(a)::text"
          " FROM upkeep.advise_indexes(%s, %s, %s, kinds => %s, time_limit => '10 min', min_saving_ratio => %s) a")


def copy_text(value):
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def without_counts(advice):
    """A warning names the scans of an existing index, and each plan that looks up the ends of a column is one more."""
    return [row[:-1] + (re.sub(r"\d+ scans of it", "scans of it", row[-1]),) for row in advice]


class RandomAdvice(Asks):
    def build(self, case):
        self.rows("DROP SCHEMA IF EXISTS \"S ö\" CASCADE")
        self.rows("DROP SCHEMA public CASCADE")
        self.rows("CREATE SCHEMA public")
        self.rows("CREATE EXTENSION pg_trgm")
        if case.schema:
            self.rows(f'CREATE SCHEMA "{case.schema}"')
        for table in case.tables:
            self.rows(case.create(table))
            data = "".join("\t".join(map(copy_text, row)) + "\n" for row in table.rows)
            with self.db.cursor() as cursor:
                cursor.copy_expert(f"COPY {table.sql} FROM STDIN", io.StringIO(data))
        for sql in case.existing:
            self.rows(sql)
        self.rows("VACUUM ANALYZE" if case.rng.random() < 0.5 else "ANALYZE")

    def cost(self, case):
        """What the planner makes of each statement with what is there now."""
        costs = [self.explain(text) for text in case.statements]
        return sum(weight * cost for weight, cost in zip(case.weights, costs)), costs

    def explain(self, text):
        with self.db.cursor() as cursor:
            cursor.execute("EXPLAIN (FORMAT JSON) " + text)
            return cursor.fetchone()[0][0]["Plan"]["Total Cost"]

    def arguments(self, case, number):
        """All kinds and B-trees alone, with and without a budget, in turn."""
        table_bytes = sum(self.value("SELECT pg_relation_size(%s::regclass)", table.sql) for table in case.tables)
        budget = int(table_bytes * case.rng.choice([0.05, 0.2, 0.5, 1])) if number % 4 >= 2 else None
        kinds = ["btree"] if number % 2 else None
        return [case.statements, case.weights, budget, kinds, case.rng.choice([0.01, 0.01, 0])]

    def one_round(self, seed):
        case = Case(seed, "postgres")
        self.build(case)
        arguments = self.arguments(case, seed)
        baseline, before = self.cost(case)
        advice = self.rows(ADVICE, *arguments)
        again = self.rows(ADVICE, *arguments)
        self.assertNotIn("time_limit ended", str(advice) + str(again), "too slow a machine to compare answers")
        self.assertEqual(without_counts(again), without_counts(advice), "the same call, another answer")
        writes = [row[4] or 0 for row in advice]
        if SHOW:
            self.show(case, arguments, before, advice)
        if not advice:
            return
        self.assertAlmostEqual(advice[0][2] / baseline, 1, delta=FUZZ, msg="cost_before")
        names = self.built(advice)
        after, now = self.cost(case)
        after += sum(writes)
        if SHOW:
            print("built:", after, now)
        self.assertLessEqual(after, baseline * (1 + FUZZ), "the advice makes the workload dearer")
        self.truth.append(abs(advice[-1][3] - after) / baseline)
        sizes = [self.value("SELECT pg_relation_size(%s::regclass)", name) for name in names]
        if arguments[2] is not None:
            self.assertLessEqual(sum(row[1] for row in advice), arguments[2], "over budget by its own estimate")
            self.assertLessEqual(sum(sizes), arguments[2], "over budget when built")
            self.over_budget.append(sum(sizes) / arguments[2])
        for name, write, row in zip(names, writes, advice):
            self.rows("BEGIN")
            self.rows(f"DROP INDEX {name}")
            without = self.cost(case)[0] + sum(writes) - write
            self.rows("ROLLBACK")
            if SHOW:
                print("without", name, without)
            self.assertGreaterEqual(without, after - baseline * FUZZ, f"better without {row[0]}")
        self.indexes += len(advice)

    def built(self, advice):
        known = set(self.rows("SELECT indexrelid::regclass::text FROM pg_index"))
        names = []
        for row in advice:
            self.rows(row[0])
            new = set(self.rows("SELECT indexrelid::regclass::text FROM pg_index")) - known
            self.assertEqual(len(new), 1, row[0])
            names += [name for name, in new]
            known |= new
        return names

    def show(self, case, arguments, before, advice):
        print(arguments)
        for table in case.tables:
            print(table.row_count, case.create(table))
        print(*case.existing, sep="\n")
        for text, weight, cost in zip(case.statements, case.weights, before):
            print(weight, cost, text[:400])
        for row in advice:
            print(row[:5])
            print("   ", row[5])

    def test_rounds(self):
        self.indexes, self.truth, self.over_budget = 0, [], []
        for seed in range(SEED, SEED + ROUNDS):
            with self.subTest(seed=seed):
                self.rows("ROLLBACK")  # of a round that failed
                self.one_round(seed)
        print(f"measured: {ROUNDS} rounds, {self.indexes} indexes; cost_after off by (median)"
              f" {statistics.median(self.truth or [0]):.5f}, at most {max(self.truth, default=0):.5f} of the baseline, more than 0.05 in"
              f" {sum(off > 0.05 for off in self.truth)}; built bytes per"
              f" budget at most {max(self.over_budget, default=0):.3f}")
        self.assertGreater(self.indexes, ROUNDS // 2, "or the rounds have tested nothing")


if __name__ == "__main__":
    unittest.main()
