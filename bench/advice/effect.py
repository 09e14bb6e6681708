"""What the advice is worth in time: the AutoPR scenario in two equal databases, the advised set really built in one.
Each statement runs in both by turns, written rows are rolled back; the median of the rounds counts.
Usage: effect.sh (make bench-advice-effect); UPKEEP_EFFECT_SCALE executions (1,000,000), UPKEEP_EFFECT_ROUNDS rounds (5),
UPKEEP_EFFECT_CAPTURED=1: the workload is not given but run, a hundredth of it, and captured (without the nightly pruning).
Afterwards verify_indexes is asked about the set, and about one that does harm."""
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
CAPTURED = os.environ.get("UPKEEP_EFFECT_CAPTURED", "") == "1"
PART = 100  # of the workload's executions that are run to be captured
NIGHTLY = 1  # weight of what is left out of that
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


def capture(connection, workload):
    """Runs the workload; its rows with the executions as weights."""
    run = [dict(row, weight=max(1, round(float(row["weight"]) / PART))) for row in workload if float(row["weight"]) > NIGHTLY]
    ask(connection, "SELECT upkeep.reset_statements()")
    for row in run:
        for _ in range(row["weight"]):
            timed(connection, row["postgres"])
    return run


def advise(connection, workload):
    began = time.perf_counter()
    given = (None, None) if CAPTURED else (
        [row["postgres"] for row in workload], [float(row["weight"]) for row in workload])
    rows = ask(connection, "SELECT create_sql, cost_before, cost_after, size_bytes, warnings"
               " FROM upkeep.advise_indexes(%s::text[], %s::float8[])", given)
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


def blocks(connection, sql):
    """Pages that one execution touches, and its plan's nodes with their indexes."""
    with connection.cursor() as cursor:
        cursor.execute(f"BEGIN; SET LOCAL statement_timeout = {LIMIT_MS}")
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) " + sql)
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("ROLLBACK")
    nodes = []

    def walk(node):
        nodes.append(" ".join(filter(None, (node["Node Type"], node.get("Index Name")))))
        for child in node.get("Plans", ()):
            walk(child)
    walk(plan)
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], " / ".join(nodes)


def verify(connection, creates, workload):
    """Verdicts of the set, and of an index that makes the planner walk where it should not."""
    reads = [row["postgres"] for row in workload if row["kind"] == "read"]
    limits = "runs => 3, time_limit => '10 min', max_table_bytes => 4000000000, confirm => true"
    verdicts = ask(connection, f"SELECT statement, ratio, verdict FROM upkeep.verify_indexes(%s, %s, {limits})", (creates, reads))
    for verdict in sorted({row[2] for row in verdicts}):
        print(f"verify_indexes, the set: {sum(row[2] == verdict for row in verdicts)} {verdict}")
    for statement, ratio, verdict in verdicts:
        if verdict not in ("better", "same"):
            print(f"  {verdict} {ratio}: {statement[:100]}")
    harmful = "CREATE INDEX planted ON workflow_executions (started_at)"
    poll = next(row["postgres"] for row in workload if row["name"] == "queue_poll").split(" FOR UPDATE")[0]
    planted = ask(connection, f"SELECT before_ms, after_ms, ratio, verdict FROM upkeep.verify_indexes(%s, %s, {limits})",
                  ([harmful], [poll]))
    print(f"verify_indexes, {harmful}: {planted}")
    return not any(row[2] == "worse" for row in verdicts) and planted[0][3] == "worse"


def main():
    workload = scenario.workload()
    plain, advised = build()
    if CAPTURED:
        workload = capture(plain, workload)
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
            for connection in (plain, advised):
                print("    %d pages: %s" % blocks(connection, row["postgres"]))
        print(f"  {row['name']:24s} {middle[0]:10.3f} ms {middle[1]:10.3f} ms {middle[1] / middle[0]:8.3f}"
              f"{'  slower' if row['name'] in slower else ''}")
    predicted, measured = rows[0][1] / rows[-1][2], total[0] / total[1]
    print(f"predicted factor {predicted:.2f}, measured {measured:.2f}, measured / predicted {measured / predicted:.2f}"
          f" (0.5 to 2); slower by more than {SLOWER - 1:.0%} and the noise: {', '.join(slower) or 'none'}")
    verified = verify(plain, [row[0] for row in rows], workload)
    return 0 if 0.5 <= measured / predicted <= 2 and not slower and verified else 1


if __name__ == "__main__":
    sys.exit(main())
