"""How late, and at what price: 500 idle connections, opened over some seconds, each ended within 1.5 s of its limit; the
CPU time of the worker while nothing is due, with 500 sessions that stay idle and 4 that work.

Usage: prompt_reap.py [SESSIONS, default 500 [SECONDS of the second part, default 60]], inside tests/pg/with_cluster.sh
-c shared_preload_libraries=upkeep_preload -c upkeep.reaper=on -c max_connections=600
"""
import os
import pathlib
import re
import sys
import threading
import time

import libpq
from sessions_base import connect

SESSIONS = int(sys.argv[1]) if len(sys.argv) > 1 else 500
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 60
LOG = pathlib.Path(os.environ["UPKEEP_PGDATA"]).parent / "log"
LIMIT_MS, LATE_MS, CPU_SHARE = 3000, 1500, 0.002


def rows(db, sql):
    with db.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lateness(db):
    db.cursor().execute("INSERT INTO upkeep.reap_rules (name, match_application, idle_for) VALUES"
                        f" ('prompt', 'prompt', '{LIMIT_MS} ms')")
    mine = []
    for _ in range(SESSIONS):
        mine.append(libpq.Connection(dbname="postgres", user="stress", application_name="prompt"))
        time.sleep(0.005)
    until = time.monotonic() + 30
    while time.monotonic() < until and rows(db, "SELECT count(*) FROM upkeep.reap_log")[0][0] < SESSIONS:
        time.sleep(0.2)
    with open(LOG, encoding="utf-8") as log:
        late = sorted(int(ms) - LIMIT_MS for ms in re.findall(r'FATAL: .* idle for (\d+) ms, ended by rule "prompt"', log.read()))
    print(f"{len(late)} of {SESSIONS} ended, {late[0]:.0f} to {late[-1]:.0f} ms after the limit,"
          f" median {late[len(late) // 2]:.0f} ms", flush=True)
    for connection in mine:
        connection.close()
    db.cursor().execute("DELETE FROM upkeep.reap_rules")
    return len(late) == SESSIONS and late[-1] <= LATE_MS


def idle_cost(db):
    stop = threading.Event()

    def work():
        busy = libpq.Connection(dbname="postgres", user="stress", application_name="busy")
        while not stop.is_set():
            busy.run("SELECT 1")
            time.sleep(0.001)
        busy.close()
    db.cursor().execute("INSERT INTO upkeep.reap_rules (name, idle_for) VALUES ('long', '10 min')")
    mine = [libpq.Connection(dbname="postgres", user="stress", application_name="prompt") for _ in range(SESSIONS)]
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    worker = rows(db, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep reaper'")[0][0]
    time.sleep(1)
    before = cpu_seconds(worker)
    time.sleep(SECONDS)
    used = (cpu_seconds(worker) - before) / SECONDS
    stop.set()
    for thread in threads:
        thread.join()
    for connection in mine:
        connection.close()
    print(f"nothing due, {SESSIONS} idle and 4 busy sessions: the worker took {100 * used:.3f} % of a core", flush=True)
    return used <= CPU_SHARE


def main():
    db = connect()
    db.cursor().execute("CREATE EXTENSION IF NOT EXISTS upkeep; CREATE ROLE stress LOGIN")
    time.sleep(1)
    good = [lateness(db), idle_cost(db)]
    assert all(good), good


if __name__ == "__main__":
    main()
