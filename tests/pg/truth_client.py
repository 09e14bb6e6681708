"""One client process of test_truth.py: runs its part of the mix until the time is over and prints what
it saw itself, as JSON: errors by SQLSTATE. Usage: truth_client.py ROLE SECONDS SEED"""
import collections
import io
import json
import random
import sys
import threading
import time

import psycopg2
import psycopg2.extensions

from host import connect

SEEN = collections.Counter()


def attempt(cursor, sql):
    """Runs one message. What the server refuses is counted as the client sees it."""
    try:
        cursor.execute(sql)
        if cursor.description:
            cursor.fetchall()
        return True
    except psycopg2.OperationalError as error:
        SEEN[error.pgcode or "57P01"] += 1  # a lost session has no code: ours are only ever ended
        if cursor.connection.closed:
            raise
    except psycopg2.ProgrammingError as error:
        if error.pgcode is None:
            return True  # psycopg2's own: nothing to fetch
        SEEN[error.pgcode] += 1
    except psycopg2.Error as error:
        SEEN[error.pgcode] += 1
    return False


def copies(cursor, chosen):
    rows = "".join(f"{chosen.randint(1, 10**9)}\tcopied\t{n}\n" for n in range(chosen.randint(1, 50)))
    cursor.copy_expert("COPY copied FROM STDIN", io.StringIO(rows))
    cursor.copy_expert("COPY (SELECT * FROM copied LIMIT 20) TO STDOUT", io.StringIO())
    attempt(cursor, "DELETE FROM copied WHERE id % 7 = 1")


GOOD = [
    "SELECT * FROM t WHERE id = {n}", "SELECT count(*), 'literal' FROM t WHERE v LIKE 'v{d}%' AND n <> {d}",
    "INSERT INTO log VALUES ({n}, 'x') RETURNING id", "UPDATE log SET v = 'y{n}' WHERE id % 100 = {d}",
    "DELETE FROM log WHERE id = {n}", "SELECT nested({d})", "SELECT recursive({d})", "SELECT swallow(0), swallow(1)",
    "CALL commits({n})", "DO $$ BEGIN PERFORM nested({d}); EXECUTE 'SELECT count(*) FROM t WHERE n = {d}'; END $$",
    "BEGIN; SAVEPOINT s; SELECT 1 FROM t LIMIT {d}; ROLLBACK TO s; COMMIT", "SELECT 1; SELECT 2, {d}; VALUES ({d}), (3)",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM t ORDER BY id; FETCH {d} FROM c; MOVE 5 IN c; FETCH ALL FROM c; CLOSE c; END",
    "PREPARE p AS SELECT count(*) FROM t WHERE n = $1; EXECUTE p({d}); EXECUTE p(3); DEALLOCATE p",
    "SET ROLE truth_role; SELECT count(*) FROM t WHERE n = {d}; SELECT current_user; RESET ROLE",
    "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; "
    "SELECT sum(n), count(*) FROM big WHERE n > {d}; RESET parallel_setup_cost; RESET parallel_tuple_cost",
    "SET work_mem = '64kB'; SELECT count(*) FROM (SELECT DISTINCT v || g FROM t, generate_series(1, 9) g) x; RESET work_mem",
    "MERGE INTO merged USING (VALUES ({d}, 'm')) AS s(i, w) ON id = s.i WHEN MATCHED THEN UPDATE SET v = w "
    "WHEN NOT MATCHED THEN INSERT VALUES (s.i, 'new')",
    "WITH gone AS (DELETE FROM log WHERE id = {n} RETURNING *) INSERT INTO log SELECT id, v FROM gone",
    "CREATE TEMP TABLE made AS SELECT * FROM t WHERE n = {d}; ANALYZE made; TRUNCATE made; DROP TABLE made",
    "EXPLAIN SELECT * FROM t WHERE id = {n}", "EXPLAIN ANALYZE SELECT count(*) FROM t WHERE n = {d}",
    "INSERT INTO parent VALUES ({n}) ON CONFLICT DO NOTHING", "SELECT * FROM t_view WHERE id < {d}", ";", "-- nothing",
]
BAD = [
    "SELEC {d}", "SELECT no_column FROM t", "SELECT * FROM no_table", "SELECT 1 / (n - n) FROM t", "SELECT 1 / 0",
    "INSERT INTO t VALUES (1, 'double', {d})", "EXECUTE no_name", "SELECT 'word'::int", "COPY t FROM '/no/such/file'",
    "DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'UK001'; END $$", "SELECT fails({d})", "DROP TABLE no_table",
    "BEGIN; SELECT 1 / 0", "SELECT after_it_failed FROM t", "ROLLBACK", "INSERT INTO child VALUES ({n}, -1)",
    "BEGIN; INSERT INTO child VALUES ({n}, -2); COMMIT", "SET ROLE truth_role; SELECT * FROM forbidden", "RESET ROLE",
    "SELECT count(*) FROM t; SELECT 1 / (n - n) FROM t; SELECT never()", "SET no_such_setting = 1", "SELECT $1",
    "SET statement_timeout = 5; SELECT pg_sleep(3)", "RESET statement_timeout", "CALL commits_then_fails({n})",
    "BEGIN; DECLARE c CURSOR FOR SELECT 1 / (500 - id) FROM t ORDER BY id; FETCH 600 FROM c", "ROLLBACK",
    "FETCH 1 FROM no_cursor", "SELECT * FROM t WHERE id = 1 FOR UPDATE OF no_such",
    "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; "
    "SELECT sum(1 / (n - 4)) FROM big", "RESET ALL",
]


def mixed(end, chosen):
    connection = connect()
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            for sql in chosen.sample(GOOD, 6):
                attempt(cursor, sql.format(n=chosen.randint(10**6, 2 * 10**9), d=chosen.randint(0, 9)))
            if chosen.random() < 0.3:
                copies(cursor, chosen)


def failing(end, chosen):
    connection = connect()
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            for sql in BAD:  # in order: some come in pairs
                attempt(cursor, sql.format(n=chosen.randint(10**6, 2 * 10**9), d=chosen.randint(0, 9)))
            time.sleep(0.05)


def contending(end, chosen):
    """Deadlocks, lock timeouts, serialization failures, cancels from outside."""
    connection = connect(application_name="contending")
    connection.autocommit = True
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            one, two = chosen.sample(range(1, 4), 2)
            kind = chosen.randint(1, 4)
            if kind == 1:
                attempt(cursor, "BEGIN ISOLATION LEVEL SERIALIZABLE")
                attempt(cursor, f"SELECT sum(n) FROM hot WHERE id <> {one}")
            else:
                attempt(cursor, "BEGIN")
            if kind == 2:
                attempt(cursor, "SET LOCAL lock_timeout = 20")
            attempt(cursor, f"UPDATE hot SET n = n + 1 WHERE id = {one}")
            if kind == 3:
                attempt(cursor, "SELECT pg_sleep(0.02)")
            attempt(cursor, f"UPDATE hot SET n = n + 1 WHERE id = {two}")
            attempt(cursor, "COMMIT")


def cancelling(end, chosen):
    """Cancels others' statements, ends others' sessions, and its own statements in the middle."""
    connection = connect()
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            time.sleep(0.02)
            cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'contending' AND state = 'active'")
            pids = [row[0] for row in cursor.fetchall()]
            if pids:
                attempt(cursor, f"SELECT pg_cancel_backend({chosen.choice(pids)})")
            timer = threading.Timer(0.01, connection.cancel)
            timer.start()
            attempt(cursor, "SELECT count(*) FROM big a, big b WHERE a.n = b.n")
            timer.join()
            end_one(chosen)


def end_one(chosen):
    """A session that is ended while its statement runs, and sees that."""
    victim = connect()
    timer = threading.Timer(0.02 + chosen.random() / 100, end_session, [victim.get_backend_pid()])
    timer.start()
    try:
        with victim.cursor() as cursor:
            attempt(cursor, "SELECT pg_sleep(20), 'ended'")
    except psycopg2.Error:
        pass
    timer.join()


def end_session(pid):
    other = connect()
    with other.cursor() as cursor:
        cursor.execute(f"SELECT pg_terminate_backend({pid})")
    other.close()


if __name__ == "__main__":
    role, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    globals()[role](time.monotonic() + seconds, random.Random(seed))
    json.dump(SEEN, sys.stdout)
