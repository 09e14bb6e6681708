"""What the advice is worth in time: the AutoPR scenario in two equal databases, the advised set really built in one.
Each statement runs in both by turns, written rows are rolled back; the median of the rounds counts.
Usage: effect.sh (make bench-advice-effect); UPKEEP_EFFECT_SCALE executions (1,000,000), UPKEEP_EFFECT_ROUNDS rounds (5)."""
import os
import statistics
import sys
import time

import psycopg2

import host
import scenario

SCALE = int(os.environ.get("UPKEEP_EFFECT_SCALE", "1000000"))
ROUNDS = int(os.environ.get("UPKEEP_EFFECT_ROUNDS", "5"))
SLOWER = 1.05
ONCE_MS = 5000  # what takes longer is run once a database, without a warm-up
LIMIT_MS = 60000  # what takes longer is stopped, and counts as so much


def ask(connection, sql, arguments=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchall() if cursor.description else []


def timed(connection, sql):
    """Milliseconds of one execution whose effects are taken back."""
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; SET LOCAL statement_timeout = {LIMIT_MS}")
        began = time.perf_counter()
        try:
            cursor.execute(sql)
            if cursor.description:
                cursor.fetchall()
        except psycopg2.errors.QueryCanceled:
            pass
        ended = time.perf_counter()
        cursor.execute("ROLLBACK")
    return (ended - began) * 1000


def connect(database):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection


def build():
    admin = connect("postgres")
    for name in ("plain", "advised"):
        ask(admin, f"DROP DATABASE IF EXISTS {name}")
    ask(admin, "CREATE DATABASE plain")
    plain = connect("plain")
    ask(plain, "CREATE EXTENSION upkeep")
    scenario.build(plain, SCALE)
    plain.close()
    ask(admin, "CREATE DATABASE advised TEMPLATE plain")
    admin.close()
    return connect("plain"), connect("advised")


def advise(connection, workload):
    began = time.perf_counter()
    rows = ask(connection, "SELECT create_sql, cost_before, cost_after, size_bytes, warnings FROM upkeep.advise_indexes(%s, %s)",
               ([row["postgres"] for row in workload], [float(row["weight"]) for row in workload]))
    print(f"advised {len(rows)} indexes in {time.perf_counter() - began:.2f} s, {sum(row[3] for row in rows) / 1e6:.1f} MB:")
    for create, before, after, _, _ in rows:
        print(f"  {before:.4g} -> {after:.4g}  {create}")
    return rows


def measure(plain, advised, statements):
    times = {name: ([], []) for name in statements}
    long = set()
    for run in range(ROUNDS + 1):  # the first one warms up
        for name, sql in statements.items():
            if name in long:
                continue
            took = timed(plain, sql), timed(advised, sql)
            if run == 0 and max(took) > ONCE_MS:
                long.add(name)
            if run > 0 or name in long:
                times[name][0].append(took[0])
                times[name][1].append(took[1])
    return times


def main():
    workload = scenario.workload()
    plain, advised = build()
    rows = advise(plain, workload)
    for create, *_ in rows:
        ask(advised, create)
    ask(advised, "VACUUM ANALYZE")
    ask(plain, "VACUUM ANALYZE")
    times = measure(plain, advised, {row["name"]: row["postgres"] for row in workload})
    total, slower = [0.0, 0.0], []
    for row in workload:
        before, after = times[row["name"]]
        middle = statistics.median(before), statistics.median(after)
        if min(middle) >= LIMIT_MS:
            print(f"  {row['name']:24s} longer than {LIMIT_MS / 1000:.0f} s in both, left out")
            continue
        total = [sum_ + float(row["weight"]) * part for sum_, part in zip(total, middle)]
        beyond_noise = min(after) > max(before)
        if middle[1] > SLOWER * middle[0] and beyond_noise:
            slower.append(row["name"])
        print(f"  {row['name']:24s} {middle[0]:10.3f} ms {middle[1]:10.3f} ms {middle[1] / middle[0]:8.3f}"
              f"{'  slower' if row['name'] in slower else ''}")
    predicted, measured = rows[0][1] / rows[-1][2], total[0] / total[1]
    print(f"predicted factor {predicted:.2f}, measured {measured:.2f}, measured / predicted {measured / predicted:.2f}"
          f" (0.5 to 2); slower by more than {SLOWER - 1:.0%} and the noise: {', '.join(slower) or 'none'}")
    return 0 if 0.5 <= measured / predicted <= 2 and not slower else 1


if __name__ == "__main__":
    sys.exit(main())
