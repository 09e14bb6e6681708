"""What the save at close costs an application: open a database, run one point SELECT, close it, by turns with
capture on and off in one process. Usage: close.py MODULE [ROUNDS [STATEMENTS]]; STATEMENTS distinct ones are
captured before, so that a save has that many to write."""
import os
import statistics
import sqlite3
import sys
import tempfile
import time


def once(path):
    wall, cpu = time.perf_counter(), time.process_time()
    db = sqlite3.connect(path)
    db.execute("SELECT v FROM t WHERE id = 1").fetchone()
    middle = time.perf_counter(), time.process_time()
    db.close()
    end = time.perf_counter(), time.process_time()
    return (end[0] - middle[0]) * 1e3, (end[1] - middle[1]) * 1e3, (end[0] - wall) * 1e3, (end[1] - cpu) * 1e3


def main():
    module, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200
    distinct = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "app.db")
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.execute("INSERT INTO t VALUES (1, 'x')")
        off = [once(path) for _ in range(rounds)]
        db.enable_load_extension(True)
        db.load_extension(module)
        db.execute("SELECT upkeep_capture(1)").fetchall()
        for i in range(distinct):
            db.execute(f"SELECT v FROM t AS a{i} WHERE id = 1").fetchone()
        first = once(path)
        on = [once(path) for _ in range(rounds)]
        state = os.path.getsize(path + "-upkeep")
    for name, which in (("close, wall", 0), ("close, CPU", 1), ("open to close, wall", 2), ("open to close, CPU", 3)):
        print(f"{name}: off {statistics.median(r[which] for r in off):.3f} ms, on {statistics.median(r[which] for r in on):.3f} ms, "
              f"first close {first[which]:.3f} ms (state file {state} bytes, {distinct} statements before)")


if __name__ == "__main__":
    main()
