"""Index advice for 100 report statements over a snowflake of 25 tables, the advised indexes built for real.

`bench.py load`: tables, keys, statistics. `bench.py`: with the arguments' own defaults, with a limit that ends nothing, and
with plain kinds; each printed with its time, planner calls, cache hits, and the cost that EXPLAIN gives once all is built."""
import os
import pathlib
import re
import sys
import time

import psycopg2

from statements import NAMED, foreign_keys, statements

BAR_SECONDS = 60
CASES = [("defaults", ""), ("time_limit 10 min", ", time_limit => '10 min'"),
         ("btree, covering", ", kinds => ARRAY['btree', 'covering']"), ("budget 30 MB", ", budget_bytes => 30000000")]


class Bench:
    def __init__(self):
        self.connection = psycopg2.connect("")
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def run(self, sql, *values):
        self.cursor.execute(sql, values or None)
        return self.cursor.fetchall() if self.cursor.description else []

    def load(self, facts):
        text = pathlib.Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        self.run(re.sub(r":facts\b", str(facts), text))
        for table in [*NAMED, "incomes", "days", "sales", "returns", "shipments"]:
            self.run(f"ALTER TABLE {table} SET (autovacuum_enabled = off); ALTER TABLE {table} ADD PRIMARY KEY (id)")
        for table, column, target in foreign_keys():
            self.run(f"ALTER TABLE {table} ADD FOREIGN KEY ({column}) REFERENCES {target}")
        self.run("VACUUM (FREEZE, ANALYZE)")

    def cpu(self):
        """Seconds that the backend has worked: on a busy machine these count, not the time that passes."""
        pid = self.run("SELECT pg_backend_pid()")[0][0]
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cost(self, texts):
        return sum(self.run("EXPLAIN (FORMAT JSON) " + text)[0][0][0]["Plan"]["Total Cost"] for text in texts)

    def advise(self, name, arguments, texts, baseline):
        """True if within the bar, and no dearer than without."""
        self.run("SET client_min_messages = debug1")
        self.connection.notices.clear()
        worked, started = self.cpu(), time.monotonic()
        rows = self.run(f"SELECT create_sql, size_bytes, cost_before, cost_after, warnings::text FROM upkeep.advise_indexes(%s{arguments})",
                        texts)
        seconds = time.monotonic() - started
        worked = self.cpu() - worked
        told = [notice.strip() for notice in self.connection.notices if "planner calls" in notice]
        self.run("SET client_min_messages = notice")
        before = {row[0] for row in self.run("SELECT indexrelid FROM pg_index")}
        for row in rows:
            self.run(row[0].replace(" CONCURRENTLY", ""))
        made = self.run("SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index"
                        " WHERE NOT indexrelid = ANY(%s::oid[])", list(before))
        after = self.cost(texts)
        for index, _ in made:
            self.run(f"DROP INDEX {index}")
        said = rows[-1][3] if rows else baseline
        cut = " (cut short)" if any("time_limit" in row[4] for row in rows) else ""
        print(f"{name}: {seconds:.1f} s{cut}, {worked:.1f} s CPU; {len(rows)} indexes, {sum(size for _, size in made) / 1e6:.1f} MB built"
              f" ({sum(row[1] for row in rows) / 1e6:.1f} said); cost {after / baseline:.4f} built ({said / baseline:.4f} said)\n"
              f"    {told[-1] if told else 'nothing told'}", flush=True)
        if os.environ.get("UPKEEP_STAR_SHOW"):
            print(*[row[0] for row in rows], sep="\n")
        return seconds <= BAR_SECONDS and after <= baseline


def main():
    bench = Bench()
    if sys.argv[1:] == ["load"]:
        bench.load(int(os.environ.get("UPKEEP_STAR_FACTS", "1000000")))
        return 0
    texts = statements()
    bench.run("SET jit = off; SET maintenance_work_mem = '256MB'")
    baseline = bench.cost(texts)
    print(f"{len(texts)} statements, cost without the advised indexes {baseline:,.0f}", flush=True)
    wanted = os.environ.get("UPKEEP_STAR_CASES")
    kept = [case for i, case in enumerate(CASES) if not wanted or str(i) in wanted]
    return 0 if all([bench.advise(name, arguments, texts, baseline) for name, arguments in kept]) else 1


if __name__ == "__main__":
    sys.exit(main())
