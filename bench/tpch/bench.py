"""Index advice on TPC-H against a greedy advisor of our own making, both built for real.

Reads schema.sql and q*.sql from the folder that UPKEEP_TPCH names; the tables are loaded and analysed (load.sh). Asks
advise_budget_curve for four budgets, builds each set, and compares really built bytes and the workload's EXPLAIN cost
with the promise. Beside it "Extend" (Schlosser, Kossmann, Boissier, ICDE 2019): from nothing, add the single column or
append the column to a chosen index that saves most per byte, two columns at most; prices by what_if, sizes as built."""
import glob
import json
import os
import re
import sys
import time

import psycopg2

BUDGETS = [100, 250, 500, 1000]
MB = 10 ** 6
LEAST = 1.003  # Extend's own threshold: what a step must save, as a factor


class Bench:
    def __init__(self, folder):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.queries = [open(path, encoding="utf-8").read() for path in sorted(glob.glob(folder + "/q*.sql"))]
        self.run("SET jit = off; SET max_parallel_maintenance_workers = 2; SET maintenance_work_mem = '512MB'")
        self.prices, self.sizes, self.calls = {}, {}, 0
        self.columns = {}
        words = [set(re.findall(r"\w+", query)) for query in self.queries]
        for table, column in self.run("SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
                                      " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0"):
            if any(column in those for those in words):
                self.columns.setdefault(table, []).append(column)
        self.tables = [{table for table in self.columns if table in those} for those in words]

    def run(self, sql, *values):
        self.cursor.execute(sql, values or None)
        return self.cursor.fetchall() if self.cursor.description else []

    def workload_cost(self):
        return sum(self.run("EXPLAIN (FORMAT JSON) " + query)[0][0][0]["Plan"]["Total Cost"] for query in self.queries)

    def built(self, create_sqls):
        """Cost and bytes with the indexes really there."""
        before = {row[0] for row in self.run("SELECT indexrelid FROM pg_index")}
        for sql in create_sqls:
            self.run(sql.replace(" CONCURRENTLY", ""))
        made = self.run("SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index"
                        " WHERE NOT indexrelid = ANY(%s::oid[])", list(before))
        try:
            return self.workload_cost(), sum(size for _, size in made)
        finally:
            for name, _ in made:
                self.run(f"DROP INDEX {name}")

    def advise(self, name, kinds, baseline):
        """Is a set over its budget, and each budget's cost with the set built, as a share of the baseline."""
        self.run("SET client_min_messages = debug1")
        started = time.monotonic()
        curve = self.run("SELECT budget_bytes, size_bytes, cost_after, create_sqls FROM upkeep.advise_budget_curve("
                         "%s, NULL, %s::bigint[], 3, '60 s', kinds => %s)", self.queries, [mb * MB for mb in BUDGETS], kinds)
        print(f"advise_budget_curve, {name}: {time.monotonic() - started:.2f} s;", self.connection.notices[-1].strip(), flush=True)
        self.run("SET client_min_messages = notice")
        is_over, shares = False, {}
        for budget, said, cost, sqls in curve:
            real, size = self.built(sqls)
            shares[budget] = real / baseline
            is_over = is_over or size > budget
            print(f"{budget // MB:5} MB: {real / baseline:.4f} built ({cost / baseline:.4f} said), {size / MB:.1f} MB built"
                  f" ({said / MB:.1f} said), {len(sqls)} indexes", flush=True)
            if "--show" in sys.argv:
                print(*sqls, sep="\n", flush=True)
        return is_over, shares

    # Extend
    def price(self, number, indexes):
        mine = tuple(sorted(index for index in indexes if index[0] in self.tables[number]))
        if (number, mine) not in self.prices:
            self.calls += 1
            texts = [f"CREATE INDEX i{k} ON {table} ({', '.join(columns)})" for k, (table, columns) in enumerate(mine)]
            self.prices[number, mine] = self.run("SELECT cost_after FROM upkeep.what_if(%s, %s)",
                                                 self.queries[number], texts)[0][0]
        return self.prices[number, mine]

    def cost(self, indexes):
        return sum(self.price(number, indexes) for number in range(len(self.queries)))

    def size(self, index):
        if index not in self.sizes:
            table, columns = index
            self.run(f"CREATE INDEX size_of_it ON {table} ({', '.join(columns)})")
            self.sizes[index] = self.run("SELECT pg_relation_size('size_of_it')")[0][0]
            self.run("DROP INDEX size_of_it")
        return self.sizes[index]

    def steps(self, chosen):
        for table, columns in self.columns.items():
            for column in columns:
                if (table, (column,)) not in chosen:
                    yield None, (table, (column,))
                for index in chosen:
                    if index[0] == table and len(index[1]) == 1 and column not in index[1]:
                        yield index, (table, index[1] + (column,))

    def extend(self, budget):
        chosen, cost, used = set(), self.cost(set()), 0
        while True:
            best = None
            for old, new in self.steps(chosen):
                following = (chosen - {old}) | {new}
                after = self.cost(following)
                if cost < after * LEAST:
                    continue
                more = self.size(new) - (self.size(old) if old else 0)
                if used + more <= budget and (best is None or (cost - after) / max(more, 1) > best[0]):
                    best = (cost - after) / max(more, 1), following, after, more
            if best is None:
                return chosen
            _, chosen, cost, more = best
            used += more


def main():
    bench = Bench(os.environ["UPKEEP_TPCH"])
    baseline = bench.workload_cost()
    print(f"{len(bench.queries)} statements, cost without indexes {baseline:,.0f}", flush=True)
    failed, ours = bench.advise("btree, covering", ["btree", "covering"], baseline)
    if "--plain" not in sys.argv:
        over, with_all = bench.advise("all kinds", None, baseline)
        worse = [budget // MB for budget in ours if with_all[budget] > ours[budget]]
        print(f"all kinds are worse than plain ones at: {worse or 'no budget'}", flush=True)
        failed = failed or over or bool(worse)
    cache = os.environ.get("UPKEEP_TPCH_SIZES")
    if cache and os.path.exists(cache):
        bench.sizes = {(table, tuple(columns)): size for table, columns, size in json.load(open(cache, encoding="utf-8"))}
    for mb in BUDGETS if "--alone" not in sys.argv else []:
        chosen = bench.extend(mb * MB)
        real, size = bench.built([f"CREATE INDEX ON {table} ({', '.join(columns)})" for table, columns in chosen])
        bound = 1.005 if mb == 100 else 1
        is_good = ours[mb * MB] <= real / baseline * bound
        failed = failed or not is_good
        print(f"Extend {mb:5} MB: {real / baseline:.4f}, {size / MB:.1f} MB, {len(chosen)} indexes, {bench.calls} calls so"
              f" far; ours is {'' if is_good else 'NOT '}within the bound: {ours[mb * MB] * baseline / real:.4f}", flush=True)
        if cache:
            with open(cache, "w", encoding="utf-8") as file:
                json.dump([[table, columns, size] for (table, columns), size in bench.sizes.items()], file)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
