"""The main job on a sample database: slow statements, advice with its SQL, and what it brings.

Run by `./dev demo`. SQLite needs no server; with --postgres the caller has started a throw-away
cluster (PGHOST and PGPORT point to it). Everything shown is measured in this run.
"""
import argparse
import csv
import os
import pathlib
import shutil
import statistics
import sys
import textwrap
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
SCENARIO = TOP / "tests" / "scenarios" / "autopr"
RUNS = 3  # each statement is run this often; the median is shown
WIDTH = min(shutil.get_terminal_size((120, 40)).columns, 120)


def say(text=""):
    print(text, flush=True)


def heading(number, text):
    say()
    say(f"── {number}. {text} " + "─" * max(0, WIDTH - len(text) - 7))


def show_sql(sql):
    say("  " + sql.strip().replace("\n", "\n  "))
    say()


def table(headers, rows, limits=None):
    """Prints rows as columns; numbers right-aligned, long cells cut with an ellipsis."""
    limits = limits or {}
    cells = [[("" if value is None else str(value)) for value in row] for row in rows]
    for row in cells:
        for i, limit in limits.items():
            if len(row[i]) > limit:
                row[i] = row[i][: limit - 1] + "…"
    widths = [max([len(h)] + [len(row[i]) for row in cells]) for i, h in enumerate(headers)]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(headers))]
    say("  " + "  ".join(h.rjust(w) if n else h.ljust(w) for h, w, n in zip(headers, widths, numeric)).rstrip())
    say("  " + "  ".join("─" * w for w in widths))
    for row in cells:
        say("  " + "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric)).rstrip())


def _is_number(text):
    return text == "" or text.replace(".", "", 1).replace("%", "").replace("×", "").replace(" ", "").replace(",", "").isdigit()


def load_workload(host):
    with open(SCENARIO / "workload.tsv", newline="", encoding="utf-8") as file:
        return [
            {"name": row["name"], "kind": row["kind"], "weight": float(row["weight"]), "sql": row[host]}
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def human_bytes(count):
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000


class Progress:
    """A line that is rewritten on a terminal and left out elsewhere."""

    def __init__(self, what, total):
        self.what, self.total, self.done = what, total, 0

    def step(self):
        self.done += 1
        if sys.stdout.isatty():
            end = "\n" if self.done == self.total else ""
            print(f"\r  {self.what}: {self.done}/{self.total}{end}", end="", flush=True)


class Sqlite:
    name = "sqlite"
    prefix = "upkeep_"

    def __init__(self, scale):
        import sqlite3

        self.sqlite3 = sqlite3
        folder = TOP / "build" / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "autopr.db"
        self.copy_path = folder / "autopr-advised.db"
        for path in (self.path, self.copy_path):
            for suffix in ("", "-wal", "-shm", "-journal"):
                pathlib.Path(str(path) + suffix).unlink(missing_ok=True)
        self.connection = self._open(self.path)
        self.scale = scale

    def _open(self, path):
        connection = self.sqlite3.connect(path, isolation_level=None)
        connection.enable_load_extension(True)
        connection.load_extension(str(TOP / "build" / "upkeep"))
        connection.enable_load_extension(False)
        return connection

    def where(self):
        return f"{self.path.relative_to(TOP)} ({human_bytes(self.path.stat().st_size)})"

    def create(self):
        self.query("SELECT * FROM upkeep_install_workflow_schema()")
        self.connection.execute(f"CREATE TEMP TABLE scenario_scale AS SELECT {self.scale} AS n")
        self.connection.executescript((SCENARIO / "generate.sqlite.sql").read_text())
        self.connection.executescript((SCENARIO / "keys_only.sqlite.sql").read_text())

    def query(self, sql, parameters=()):
        return self.connection.execute(sql, parameters).fetchall()

    def timed(self, sql):
        """Milliseconds of one execution that is rolled back, all rows fetched."""
        self.connection.execute("BEGIN")
        try:
            start = time.perf_counter()
            self.connection.execute(sql).fetchall()
            return (time.perf_counter() - start) * 1000
        finally:
            self.connection.execute("ROLLBACK")

    def advise(self, workload):
        import json

        statements = json.dumps([item["sql"] for item in workload])
        weights = json.dumps([item["weight"] for item in workload])
        rows = self.query(
            "SELECT rank, table_name, columns, size_bytes, saving_ratio, create_sql, drop_sql, reason, steps"
            " FROM upkeep_advise_indexes(?, ?)", (statements, weights))
        return [row[:2] + (json.loads(row[2]),) + row[3:8] + (json.loads(row[8]),) for row in rows]

    advise_text = "SELECT * FROM upkeep_advise_indexes('[\"SELECT …\", …]', '[1200, …]');  -- statements, calls an hour"
    counts = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"

    def switch_to_copy(self):
        copy = self.sqlite3.connect(self.copy_path)
        self.connection.backup(copy)
        copy.close()
        self.connection.close()
        self.connection = self._open(self.copy_path)

    def apply(self, sql):
        self.connection.execute(sql)

    def goodbye(self):
        return textwrap.dedent(f"""\
            Go on yourself:
              sqlite3 {self.path.relative_to(TOP)}
              .load build/upkeep
              SELECT table_name, create_sql, reason FROM upkeep_advise_indexes('SELECT * FROM execution_logs WHERE level = ''ERROR'' ORDER BY created_at DESC LIMIT 20');
              SELECT * FROM upkeep_capabilities;""")


class Postgres:
    name = "postgres"
    prefix = "upkeep."

    def __init__(self, scale):
        import psycopg2

        self.psycopg2 = psycopg2
        self.scale = scale
        self._execute_in("postgres", "CREATE DATABASE autopr")
        self.connection = self._open("autopr")

    def _open(self, database):
        connection = self.psycopg2.connect(dbname=database)
        connection.autocommit = True
        return connection

    def _execute_in(self, database, sql):
        connection = self._open(database)
        connection.cursor().execute(sql)
        connection.close()

    def where(self):
        size = self.query("SELECT pg_database_size(current_database())")[0][0]
        return f"database autopr on a throw-away cluster ({human_bytes(size)})"

    def create(self):
        self.query("CREATE EXTENSION upkeep; SELECT 1")
        self.query("SELECT * FROM upkeep.install_workflow_schema()")
        import subprocess

        for script, variables in (("generate.postgres.sql", ["-v", f"scale={self.scale}"]),
                                  ("keys_only.postgres.sql", [])):
            subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", *variables, "-d", "autopr",
                            "-f", str(SCENARIO / script)], check=True, stdout=subprocess.DEVNULL)
        self.connection.cursor().execute("VACUUM ANALYZE")

    def query(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall()

    def timed(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                start = time.perf_counter()
                cursor.execute(sql)
                if cursor.description:
                    cursor.fetchall()
                return (time.perf_counter() - start) * 1000
            finally:
                cursor.execute("ROLLBACK")

    def advise(self, workload):
        return self.query(
            "SELECT rank, table_name, columns, size_bytes, saving_ratio, create_sql, drop_sql, reason, steps"
            " FROM upkeep.advise_indexes(%s, %s)",
            ([item["sql"] for item in workload], [item["weight"] for item in workload]))

    advise_text = "SELECT * FROM upkeep.advise_indexes(ARRAY['SELECT …', …], ARRAY[1200, …]);  -- statements, calls an hour"
    counts = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"

    def switch_to_copy(self):
        self.connection.close()
        self._execute_in("postgres", "CREATE DATABASE autopr_advised TEMPLATE autopr")
        self.connection = self._open("autopr_advised")

    def apply(self, sql):
        self.connection.cursor().execute(sql)

    def goodbye(self):
        return "The cluster is gone now; `make install`, then CREATE EXTENSION upkeep in a database of yours."


def measure(host, workload, what):
    progress = Progress(what, len(workload))
    times = {}
    for item in workload:
        times[item["name"]] = statistics.median(host.timed(item["sql"]) for _ in range(RUNS))
        progress.step()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--scale", type=int, default=50000, help="workflow executions")
    arguments = parser.parse_args()
    host = Postgres(arguments.scale) if arguments.postgres else Sqlite(arguments.scale)
    workload = load_workload(host.name)
    started = time.monotonic()

    heading(1, "A sample AutoPR Engine database, as first deployed: tables and keys, no further index")
    show_sql(f"SELECT * FROM {host.prefix}install_workflow_schema();  -- then {arguments.scale:,} executions are generated")
    host.create()
    names = [row[0] for row in host.query(host.counts)]
    rows = [(name, f"{host.query(f'SELECT count(*) FROM {name}')[0][0]:,}") for name in names]
    table(["table", "rows"], rows)
    say(f"\n  {host.where()}")

    heading(2, f"The engine's workload: {len(workload)} statements, the slowest an hour first")
    before = measure(host, workload, "running")
    by_load = sorted(workload, key=lambda item: -before[item["name"]] * item["weight"])
    table(["statement", "calls/hour", "ms", "s/hour"],
          [(item["name"], f"{item['weight']:.0f}", f"{before[item['name']]:.2f}",
            f"{before[item['name']] * item['weight'] / 1000:.1f}") for item in by_load[:8]])

    heading(3, "Which indexes?")
    show_sql(host.advise_text)
    advice_started = time.monotonic()
    advice = host.advise(workload)
    seconds = time.monotonic() - advice_started
    table(["rank", "table", "columns", "size", "saved so far", "reason"],
          [(rank, name, ", ".join(columns), human_bytes(size), f"{saving * 100:.1f} %", reason)
           for rank, name, columns, size, saving, _, _, reason, _ in advice],
          {5: max(20, WIDTH - 84)})
    say(f"\n  {len(advice)} indexes in {seconds:.1f} s; nothing was changed. To create them:")
    for row in advice:
        say(f"    {row[5]};")
    say("  To undo:")
    for row in advice:
        say(f"    {row[6]};")

    heading(4, "Applied to a copy, and measured again")
    host.switch_to_copy()
    for row in advice:
        for step in row[8]:
            host.apply(step)
    after = measure(host, workload, "running")
    by_gain = sorted(workload, key=lambda item: -(before[item["name"]] - after[item["name"]]) * item["weight"])
    table(["statement", "calls/hour", "ms before", "ms after", "times faster"],
          [(item["name"], f"{item['weight']:.0f}", f"{before[item['name']]:.2f}", f"{after[item['name']]:.2f}",
            f"{before[item['name']] / max(after[item['name']], 0.001):.1f}") for item in by_gain[:10]])
    total_before = sum(before[item["name"]] * item["weight"] for item in workload) / 1000
    total_after = sum(after[item["name"]] * item["weight"] for item in workload) / 1000
    say(f"\n  The whole workload: {total_before:.1f} s an hour before, {total_after:.1f} s after:"
        f" {total_before / total_after:.1f} times faster.")
    say(f"  The demo took {time.monotonic() - started:.0f} s.\n")
    say(textwrap.indent(host.goodbye(), "  "))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os._exit(1)
