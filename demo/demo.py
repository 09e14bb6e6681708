"""Every verb of upkeep on a sample database, around the main job: which indexes help, and is it true?

Run by `./dev demo`. SQLite needs no server; with --postgres the caller has started a throw-away
cluster (PGHOST and PGPORT point to it). Every figure shown is measured in this run, every SQL shown
is what was run.

The demo is the list STEPS: each step takes the Demo, shows one thing, and may leave results in it
for the steps after it. A new verb is one more function in that list.
"""
import argparse
import csv
import os
import pathlib
import signal
import statistics
import sys
import time

import advice
import hosts
import show
import verbs

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

    def ask(self, sql, lines=1):
        """Shows a statement and its rows; `{up}` stands for the host's way to name upkeep's calls."""
        sql = sql.replace("{up}", self.host.prefix)
        show.sql(sql)
        show.say()
        names, rows = self.host.ask(sql)
        show.table(names, [[show.value(cell) for cell in row] for row in rows], lines)
        return rows


STEPS = [advice.step_database, verbs.step_captured, verbs.step_slow, verbs.step_n_plus_one,
         verbs.step_lint, verbs.step_explain, verbs.step_verify, verbs.step_other_process,
         advice.step_advice, advice.step_applied, verbs.step_indexes, verbs.step_sessions,
         verbs.step_pool, verbs.step_workflows, verbs.step_health, verbs.step_settings,
         verbs.step_metrics, verbs.step_report]


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


def parse():
    parser = argparse.ArgumentParser(
        prog="./dev demo", description="Every verb of upkeep on a sample database.")
    parser.add_argument("--postgres", action="store_true",
                        help="on a throw-away PostgreSQL cluster instead of SQLite")
    parser.add_argument("--scale", type=scale, default=50000, metavar="N",
                        help="number of workflow executions (default 50000)")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR",
                        help="keep the sample database in this folder (PostgreSQL: its dump)")
    return parser, parser.parse_args()


def run(host):
    started = time.monotonic()
    demo = Demo(host, load_workload(host.name))
    for number, step in enumerate(STEPS, start=1):
        show.heading(number, step.__doc__)
        step(demo)
    show.say()
    show.note(f"The demo took {time.monotonic() - started:.0f} s. Figures are rounded for reading.")


def main():
    parser, arguments = parse()
    kind = hosts.Postgres if arguments.postgres else hosts.Sqlite
    try:
        host = kind(arguments.scale, arguments.keep)
    except OSError as error:  # a folder that cannot be made, a database that is there already
        parser.error(str(error))
    try:
        run(host)
    finally:
        host.close()
    text, commands = host.goodbye()
    show.note(text)
    show.sql(commands)
    show.say()
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the folder goes, too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `./dev demo | head`
        os._exit(1)
