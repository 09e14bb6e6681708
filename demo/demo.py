"""The main job on a sample database: what is slow, which indexes help, and what they really bring.

Run by `./dev demo`. SQLite needs no server; with --postgres the caller has started a throw-away
cluster (PGHOST and PGPORT point to it). Every figure shown is measured in this run.

The demo is the list STEPS: each step takes the Demo, shows one thing, and may leave results in it
for the steps after it. A new verb is one more function in that list.
"""
import argparse
import csv
import os
import statistics
import sys
import time

import hosts
import show

RUNS = 3  # each statement is run this often; the median counts


class Demo:
    """What the steps share: the host, the workload, and what was measured so far."""

    def __init__(self, host, workload):
        self.host = host
        self.workload = workload
        self.before = {}  # name -> milliseconds, without the advised indexes
        self.after = {}
        self.advice = []  # rows of advise_indexes, as dictionaries

    def measure(self, what):
        progress = show.Progress(f"{what}: {len(self.workload)} statements, {RUNS} times each",
                                 len(self.workload))
        result = {}
        for item in self.workload:
            result[item["name"]] = statistics.median(
                self.host.timed(item["sql"]) for _ in range(RUNS))
            progress.step()
        return result

    def seconds_an_hour(self, measured):
        return sum(measured[item["name"]] * item["weight"] for item in self.workload) / 1000


def step_database(demo):
    """A sample AutoPR Engine database: tables and keys, no further index"""
    host = demo.host
    show.sql(f"SELECT * FROM {host.prefix}install_workflow_schema();")
    show.say()
    progress = show.Progress(f"tables, then rows of {host.scale:,} executions", 3)
    host.create(demo.workload, progress.step)
    names = [row[0] for row in host.query(host.counts)]
    show.table(["table", "rows"],
               [(name, f"{host.query(f'SELECT count(*) FROM {name}')[0][0]:,}") for name in names])
    where, count = host.where()
    show.say()
    show.note(f"{where}, {show.size(count)}")


def step_slow(demo):
    """What is slow: the engine's own statements, by the time they take in an hour"""
    demo.before = demo.measure("running the workload")
    slowest = sorted(demo.workload, key=lambda item: -demo.before[item["name"]] * item["weight"])
    show.table(["s/hour", "ms", "calls/hour", "statement"],
               [(f"{demo.before[item['name']] * item['weight'] / 1000:.1f}",
                 f"{demo.before[item['name']]:.2f}", f"{item['weight']:.0f}", item["sql"])
                for item in slowest[:8]])


def step_advice(demo):
    """Which indexes? The workload is the table demo_workload (statement, calls_per_hour)"""
    host = demo.host
    show.sql(host.advice_sql)
    show.say()
    started = time.monotonic()
    names = ("rank", "create_sql", "drop_sql", "table_name", "size_bytes", "saving_ratio", "reason",
             "warnings", "steps")
    demo.advice = [dict(zip(names, row)) for row in host.query(host.advice_sql)]
    seconds = time.monotonic() - started
    show.note(f"{len(demo.advice)} rows in {seconds:.1f} s; nothing was changed. Row by row, each "
              "standing on those before it:")
    for row in demo.advice:
        show.say()
        show.note(f"{row['rank']}. on {row['table_name']}: {row['saving_ratio'] * 100:.0f} % of the "
                  f"workload's cost saved so far, for {show.size(row['size_bytes'])} more")
        show.note("because " + row["reason"], "     ")
        show.sql(show.broken(row["create_sql"]) + ";", "     ")
    warnings = dict.fromkeys(text for row in demo.advice for text in host.array(row["warnings"]))
    show.say()
    show.note("What these rows warn of" + (":" if warnings else ": nothing"))
    for text in warnings:
        show.note("- " + text)
    show.say()
    show.note("Each row has the statement that undoes it, too:")
    show.sql("\n".join(row["drop_sql"] + ";" for row in reversed(demo.advice)))


def step_applied(demo):
    """Is it true? The advice applied to a copy of the database, and measured again"""
    demo.host.switch_to_copy()
    started = time.monotonic()
    for row in demo.advice:
        for statement in demo.host.array(row["steps"]):
            demo.host.apply(statement)
    demo.host.apply("ANALYZE")
    show.note(f"indexes created and ANALYZE run in {time.monotonic() - started:.1f} s")
    demo.after = demo.measure("running the workload")

    def gain(item):  # milliseconds an hour
        return (demo.before[item["name"]] - demo.after[item["name"]]) * item["weight"]

    def compare(items, word, ratio):
        show.table(["ms before", "ms after", word, "calls/hour", "statement"],
                   [(f"{before:.2f}", f"{after:.2f}", show.times(ratio(before, after)),
                     f"{item['weight']:.0f}", item["sql"])
                    for item in items
                    for before, after in [(demo.before[item["name"]], demo.after[item["name"]])]])

    by_gain = sorted(demo.workload, key=gain, reverse=True)
    compare(by_gain[:10], "faster", lambda before, after: before / max(after, 0.001))
    slower = [item for item in reversed(by_gain) if gain(item) < 0 and
              demo.after[item["name"]] > 1.2 * demo.before[item["name"]] + 0.005]
    if slower:
        show.say()
        show.note("The price: statements that take longer now (an index must be written, too; "
                  "single runs of some microseconds also vary by themselves)")
        compare(slower[:5], "slower", lambda before, after: after / max(before, 0.001))
    before, after = demo.seconds_an_hour(demo.before), demo.seconds_an_hour(demo.after)
    show.say()
    show.note(f"The whole workload: {before:.1f} s an hour before, {after:.1f} s after: "
              f"{show.times(before / after)} faster.")


STEPS = [step_database, step_slow, step_advice, step_applied]


def load_workload(host):
    with open(hosts.SCENARIO / "workload.tsv", newline="", encoding="utf-8") as file:
        return [
            {"name": row["name"], "weight": float(row["weight"]), "sql": row[host]}
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        ]


def scale(text):
    value = int(text)
    if not 1000 <= value <= 5_000_000:
        raise argparse.ArgumentTypeError("from 1000 to 5000000 executions")
    return value


def main():
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="The main job of upkeep on a sample database.")
    parser.add_argument("--postgres", action="store_true",
                        help="on a throw-away PostgreSQL cluster instead of SQLite")
    parser.add_argument("--scale", type=scale, default=50000, metavar="N",
                        help="number of workflow executions (default 50000)")
    arguments = parser.parse_args()
    started = time.monotonic()
    kind = hosts.Postgres if arguments.postgres else hosts.Sqlite
    host = kind(arguments.scale)
    demo = Demo(host, load_workload(host.name))
    try:
        for number, step in enumerate(STEPS, start=1):
            show.heading(number, step.__doc__)
            step(demo)
    finally:
        host.close()
    show.note(f"The demo took {time.monotonic() - started:.0f} s.")
    text, commands = host.goodbye()
    show.say()
    show.note(text)
    show.sql(commands)
    show.say()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `./dev demo | head`
        os._exit(1)
