# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.max_statements=100
# cluster: upkeep.text_memory=1MB
# cluster: upkeep.max_slow_statements=10
# cluster: upkeep.slow_threshold=0
# cluster: upkeep.capture=all
"""A table that is far too small, writers, readers, resets and killed clients at once: the server
stays up, and what is read never mixes two statements."""
import contextlib
import os
import random
import threading
import time
import unittest

import psycopg2

from host import Asks, connect

SECONDS = float(os.environ.get("UPKEEP_STORM_SECONDS", "20"))


class Storm(Asks):
    def test_nothing_crashes_or_mixes(self):
        start = self.value("SELECT pg_postmaster_start_time()")
        end = time.monotonic() + SECONDS
        failures, done = [], [0]

        def guarded(body, seed):
            chosen = random.Random(seed)
            while time.monotonic() < end and not failures:
                try:
                    with contextlib.closing(connect(self.database)) as connection:
                        with connection.cursor() as cursor:
                            body(connection, cursor, chosen)
                except psycopg2.OperationalError:
                    pass  # it ended itself; had the server crashed, self.db would be gone as well
                except Exception as error:  # noqa: BLE001 - whatever it is, the test is to tell
                    failures.append(repr(error))

        def write(connection, cursor, chosen):
            for _ in range(300):
                # n columns return n rows, so a row of the view can be told from any other's
                n = chosen.randint(1, 400)
                cursor.execute(f"SELECT {', '.join(['g'] * n)} FROM generate_series(1, {n}) g")
                done[0] += 1
                if chosen.random() < 0.02:
                    try:
                        cursor.execute("SELECT 1 / 0")
                    except psycopg2.errors.DivisionByZero:
                        pass
            if chosen.random() < 0.3:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        def read(connection, cursor, _):
            cursor.execute("SELECT query, calls, rows, p50_ms, min_ms, max_ms FROM upkeep.statements"
                           " WHERE query LIKE 'SELECT g%%' AND calls > 0")
            for query, calls, rows, p50, low, high in cursor.fetchall():
                n = query.count("g,") + 1
                # no percentile is an answer too: the histogram pages of so small a table may all be taken
                if rows % n or not low <= (low if p50 is None else p50) <= high:
                    failures.append(f"{n} columns: {calls} calls, {rows} rows, {low} {p50} {high}")
            for view in ("slow_statements", "endpoints", "capabilities"):
                cursor.execute(f"SELECT * FROM upkeep.{view}")
                cursor.fetchall()

        def reset(connection, cursor, _):
            time.sleep(0.2)
            cursor.execute("SELECT upkeep.reset_statements()")

        bodies = [write, write, write, write, read, reset]
        threads = [threading.Thread(target=guarded, args=(body, seed)) for seed, body in enumerate(bodies)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.value("SELECT pg_postmaster_start_time()"), start)
        self.assertGreater(done[0], 500)
        self.assertGreater(self.value("SELECT count(*) FROM upkeep.statements"), 20)
        self.rows("SELECT upkeep.reset_statements()")
        for n in range(1, 60):
            self.rows(f"SELECT {', '.join(['1'] * n)}")
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.statements WHERE query ~ '^SELECT .1(, .[0-9]+)*$' AND calls = 1"), 59,
                         "no record, page or chunk was lost on the way")
        print(f"{done[0]} statements in {SECONDS:.0f} s")


class Memory(Asks):
    def test_shared_memory_is_what_the_documentation_computes(self):
        allocated = self.value("SELECT allocated_size FROM pg_shmem_allocations WHERE name = 'upkeep capture'")
        # ARCHITECTURE.md, "Shared memory": per statement, its three indexes, texts and samples, slow statements, rest
        computed = 100 * 3992 + 8 * (2 * 256 + 512) + 2**20 * 5 // 4 + 10 * 8112 + 509120 + 128384
        self.assertAlmostEqual(allocated, computed, delta=1000)


if __name__ == "__main__":
    unittest.main()
