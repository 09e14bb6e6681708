"""Does any way of ending idle sessions kill work? 32 sessions send a statement, think for about as long as the limit is,
and send the next: every end comes close to a command. Ways: the reaper's rule, pg_terminate_backend by SQL, the
server's own idle_session_timeout; each over TCP and over a Unix socket, idle and idle in transaction; the rule over TLS
as well, with a tenth of the endings.

For each: sessions ended; of these, those that had sent a command by then (the client saw the FATAL only after it had
sent); commands that the server had begun (the FATAL in its log has a STATEMENT); statements that were reported as
killed and done nevertheless. The last two are asserted to be 0 for the rule.

Usage: stress_reap.py [ENDINGS by rule, default 20000 [SECONDS of each other way and place, default 10]], inside
tests/pg/with_cluster.sh -c shared_preload_libraries=upkeep_preload -c listen_addresses=127.0.0.23 -c upkeep.reaper=on
"""
import os
import pathlib
import random
import re
import select
import subprocess
import sys
import threading
import time

import libpq
from server import Server
from sessions_base import connect

SESSIONS, LIMIT_MS, THINK = 32, 50, (0.045, 0.065)
ENDINGS = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 10
LOG = pathlib.Path(os.environ["UPKEEP_PGDATA"]).parent / "log"
ENDS = ("57P05", "25P03", "57P01")


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.ended = self.met = self.number = 0
        self.states = {}
        self.killed = []  # numbers of statements that were reported as killed
        self.strange = []
        self.stop = False

    def next_number(self):
        with self.lock:
            self.number += 1
            return self.number

    def end(self, state, numbers):
        with self.lock:
            self.ended += 1
            self.met += bool(numbers)
            self.killed += numbers
            self.states[state] = self.states.get(state, 0) + 1


def statement(number):
    return f"INSERT INTO work VALUES ({number}); SELECT count(*) FROM filling"


def one_session(tally, options, in_transaction):
    """One connection until it is ended; every statement has a number that says whether it was done."""
    connection = libpq.Connection(**options)
    try:
        open_numbers, step = [], 0
        while not tally.stop:
            time.sleep(random.uniform(*THINK))
            if select.select([connection.socket], [], [], 0)[0]:
                errors = [one for one in connection.run("SELECT 1") if one]
                tally.end(errors[0][0] if errors and errors[0][0] else "gone", [])
                return
            number = tally.next_number()
            sql = statement(number)
            if in_transaction:
                sql = ("BEGIN; " if step % 3 == 0 else "") + sql + ("; COMMIT" if step % 3 == 2 else "")
            step += 1
            errors = [one for one in connection.run(sql) if one]
            if errors:
                if errors[0][0] in ENDS or errors[0][0] == "":
                    tally.end(errors[0][0] or "gone", [number])
                else:
                    tally.strange.append(errors)
                return
            open_numbers.append(number)
    finally:
        connection.close()


def client(tally, options, in_transaction):
    while not tally.stop:
        try:
            one_session(tally, options, in_transaction)
        except RuntimeError:  # no room yet
            time.sleep(0.01)


def by_rule(db, stop):
    db.cursor().execute("INSERT INTO upkeep.reap_rules (name, match_application, match_state, idle_for) VALUES"
                        f" ('stress', 'stress', 'idle', '{LIMIT_MS} ms'),"
                        f" ('stress tx', 'stress', 'idle in transaction', '{LIMIT_MS} ms')")
    stop.wait()
    db.cursor().execute("DELETE FROM upkeep.reap_rules")


def by_sql(db, stop):
    while not stop.wait(0.005):
        db.cursor().execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'stress'"
                            " AND state IN ('idle', 'idle in transaction')"
                            f" AND clock_timestamp() - state_change > interval '{LIMIT_MS} ms'")


def by_server(_, stop):
    stop.wait()


def run(way, place, in_transaction, endings, seconds):
    db = connect()
    db.cursor().execute("TRUNCATE work")
    options = {"dbname": "postgres", "user": "stress", "application_name": "stress", **place}
    if way is by_server:
        options["options"] = f"-c idle_session_timeout={LIMIT_MS} -c idle_in_transaction_session_timeout={LIMIT_MS}"
    tally, stop, log_at = Tally(), threading.Event(), LOG.stat().st_size
    threads = [threading.Thread(target=client, args=(tally, options, in_transaction)) for _ in range(SESSIONS)]
    ender = threading.Thread(target=way, args=(db, stop))
    for thread in [*threads, ender]:
        thread.start()
    began = time.monotonic()
    while time.monotonic() - began < seconds and tally.ended < endings:
        time.sleep(0.1)
    took = time.monotonic() - began
    tally.stop = True
    for thread in threads:
        thread.join()
    stop.set()
    ender.join()
    db.cursor().execute("SELECT pg_sleep(0.5)")
    cursor = db.cursor()
    cursor.execute("SELECT n FROM work WHERE n = ANY(%s)", (tally.killed,))
    done = [row[0] for row in cursor.fetchall()]
    with open(LOG, encoding="utf-8", errors="replace") as log:
        log.seek(log_at)
        lines = log.read().splitlines()
    ended_pids = {match[1] for line in lines
                  if (match := re.search(r"\[(\d+)\] FATAL:  terminating connection", line))}
    begun = sum(1 for line in lines
                if (match := re.search(r"\[(\d+)\] STATEMENT:", line)) and match[1] in ended_pids)
    db.close()
    print(f"{way.__name__:10} {'TLS ' if place.get('sslmode') == 'require' else 'TCP ' if place else 'unix'} {'transactions' if in_transaction else 'autocommit  '}"
          f" {tally.ended:6} ended, {tally.met:5} had sent a command ({100 * tally.met / max(tally.ended, 1):5.2f} %),"
          f" {begun:3} begun, {len(done)} done nevertheless, {took:5.1f} s, {dict(sorted(tally.states.items()))}", flush=True)
    for strange in tally.strange[:3]:
        print("  unexpected:", strange)
    return tally.ended, tally.met, begun, len(done) + len(tally.strange)


def private_kb(db):
    """Memory of the worker's own."""
    cursor = db.cursor()
    cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND datname IS NOT NULL")
    with open(f"/proc/{cursor.fetchone()[0]}/status", encoding="utf-8") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1])


def turn_tls_on(db):
    server = Server()
    key, certificate = (server.data / name for name in ("server.key", "server.crt"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out",
                    str(certificate), "-days", "2", "-subj", "/CN=stress"], check=True, stderr=subprocess.DEVNULL)
    key.chmod(0o600)
    for file in (key, certificate):
        os.chown(file, server.owner.pw_uid, server.owner.pw_gid)
    db.cursor().execute("ALTER SYSTEM SET ssl = on")
    db.cursor().execute("SELECT pg_reload_conf()")
    time.sleep(1)


def main():
    db = connect()
    db.cursor().execute("CREATE EXTENSION IF NOT EXISTS upkeep; CREATE ROLE stress LOGIN; CREATE TABLE work (n bigint);"
                        " CREATE TABLE filling AS SELECT i FROM generate_series(1, 2000) i;"
                        " GRANT ALL ON work, filling TO stress")
    db.close()
    print(f"load at the beginning: {os.getloadavg()[0]:.1f}")
    places = ({"host": "127.0.0.23", "sslmode": "disable"}, {})
    bad = ended = 0
    memory = []
    for place in places:
        for in_transaction in (False, True):
            got = run(by_rule, place, in_transaction, (ENDINGS + 3) // 4, 3600)
            ended, bad = ended + got[0], bad + got[2] + got[3]
            memory.append(private_kb(connect()))
            for way in (by_sql, by_server):
                run(way, place, in_transaction, 10 ** 9, SECONDS)
    db = connect()
    turn_tls_on(db)
    for in_transaction in (False, True):
        got = run(by_rule, {"host": "127.0.0.23", "sslmode": "require"}, in_transaction, (ENDINGS + 19) // 20, 3600)
        ended, bad = ended + got[0], bad + got[2] + got[3]
    cursor = db.cursor()
    cursor.execute("SELECT count(*) FILTER (WHERE outcome LIKE 'ended%'), count(*) FILTER (WHERE outcome LIKE 'refused%'),"
                   " array_agg(DISTINCT substr(outcome, 1, 60)) FILTER (WHERE outcome LIKE 'refused%') FROM upkeep.reap_log")
    print("of the last 10,000 rows of the log: ended, refused, why:", cursor.fetchone())
    print(f"the worker's own memory after each quarter: {memory} kB")
    print(f"load at the end: {os.getloadavg()[0]:.1f}")
    print(f"{ended} ended by rule, {bad} killed at work")
    assert ended >= ENDINGS and bad == 0


if __name__ == "__main__":
    main()
