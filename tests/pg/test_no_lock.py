# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.max_statements=100
# cluster: upkeep.text_memory=1MB
# cluster: autovacuum=off
"""Capture waits for nobody: backends are stopped (SIGSTOP) wherever they happen to be while they read, reset,
evict and write, and meanwhile others go on. The table is so small that each statement evicts one."""
import contextlib
import os
import random
import signal
import statistics
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

STOPS = int(os.environ.get("UPKEEP_STOPS", "10"))  # of each kind
HELD_S = 0.4
TRIES = 30  # to meet it in our code


def shape(chosen):
    """One of very many statements."""
    return f"SELECT {', '.join(['g'] * chosen.randint(1, 300))} FROM generate_series(1, 1) g"


# Much work in one message each, so that the backend is seldom met waiting for its client.

def read(cursor, _):
    cursor.execute("""SELECT (SELECT count(query) FROM upkeep.statements WHERE calls > g)
                      FROM generate_series(1, 100) g""")
    cursor.execute("SELECT count(*) FROM upkeep.metrics()")


def reset(cursor, chosen):
    cursor.execute("; ".join(shape(chosen) for _ in range(10)))
    cursor.execute("SELECT upkeep.reset_statements() FROM generate_series(1, 500)")


def write(cursor, chosen):
    cursor.execute("; ".join(shape(chosen) for _ in range(100)))


class Runner(threading.Thread):
    """One connection that does one thing again and again until it is told to end or is killed."""

    def __init__(self, database, body, seed):
        super().__init__(daemon=True)
        self.connection = connect(database)
        self.pid = self.connection.info.backend_pid
        self.body, self.chosen = body, random.Random(seed)
        self.done, self.ends, self.failure = 0, False, None
        self.start()

    def run(self):
        with self.connection.cursor() as cursor:
            while not self.ends:
                try:
                    self.body(cursor, self.chosen)
                    self.done += 1
                except psycopg2.Error as error:
                    self.failure = error
                    return


def is_inside_us(pid):
    """Is the stopped process in code of ours? None: the system does not tell."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as file:
            program_counter = int(file.read().split()[-1], 16)
        with open(f"/proc/{pid}/maps", encoding="ascii") as file:
            for line in file:
                low, high = (int(part, 16) for part in line.split()[0].split("-"))
                if low <= program_counter < high:
                    return "upkeep" in line
    except (OSError, ValueError):
        pass
    return None


def stop(pid, chosen):
    """Stops the process, if it can be in code of ours. Is it there?"""
    for attempt in range(TRIES):
        os.kill(pid, signal.SIGSTOP)
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            while file.read().rsplit(")", 1)[1].split()[0] != "T":
                time.sleep(0.001)
                file.seek(0)
        inside = is_inside_us(pid)
        if inside is not False or attempt == TRIES - 1:
            return inside
        os.kill(pid, signal.SIGCONT)
        time.sleep(chosen.random() * 0.01)


class NoLock(Asks):
    def worked(self, worker, seconds):
        before = worker.done
        time.sleep(seconds)
        self.assertIsNone(worker.failure)
        return worker.done - before

    def stop_often(self, body):
        """Statements that others finished while the victim stood still, and while it ran; stops inside our code."""
        worker = Runner(self.database, lambda cursor, chosen: cursor.execute(shape(chosen)), 1)
        victim = Runner(self.database, body, 2)
        chosen = random.Random(3)
        held, free, inside = [], [], []
        try:
            for _ in range(STOPS):
                free.append(self.worked(worker, HELD_S + chosen.random() * 0.01))
                inside.append(stop(victim.pid, chosen))
                try:
                    held.append(self.worked(worker, HELD_S))
                    # who reads and who resets does not wait either
                    with contextlib.closing(connect(self.database)) as other, other.cursor() as cursor:
                        cursor.execute("SET statement_timeout = '20s'")
                        cursor.execute("SELECT count(query) FROM upkeep.statements")
                        if chosen.random() < 0.3:
                            cursor.execute("SELECT upkeep.reset_statements()")
                finally:
                    os.kill(victim.pid, signal.SIGCONT)
            self.assertIsNone(victim.failure)
            self.assertGreater(victim.done, 0)
        finally:
            for runner in (worker, victim):
                runner.ends = True
                runner.join(30)
                runner.connection.close()
        return held, free, sum(1 for stop in inside if stop)

    def check(self, body):
        held, free, inside = self.stop_often(body)
        print(f"{body.__name__}: {statistics.median(held):.0f} statements while stopped, {statistics.median(free):.0f} "
              f"otherwise; {inside} of {len(held)} stops inside our code")
        self.assertGreater(min(held), 0, "somebody waited for who stood still")
        self.assertGreater(statistics.median(held), 0.5 * statistics.median(free))
        self.inside += inside

    def test_others_go_on_while_one_stands_still(self):
        self.inside = 0
        for body in (write, read, reset):
            with self.subTest(body.__name__):
                self.check(body)
        if is_inside_us(os.getpid()) is not None:
            self.assertGreater(self.inside, 0, "no stop met our code: raise UPKEEP_STOPS")


if __name__ == "__main__":
    unittest.main()
