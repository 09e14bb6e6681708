# cluster: shared_preload_libraries=upkeep_preload
# cluster: autovacuum=off
"""Very many statements, a tenth of them distinct, grow a backend by no more than they do with capture off."""
import os
import re
import threading
import unittest

from host import Asks, connect

STATEMENTS = int(os.environ.get("UPKEEP_MEMORY_STATEMENTS", "100000"))
DISTINCT = STATEMENTS // 10
COLUMNS = 24  # a shape is a set of them
BATCH = 200
LIMIT_KB = 1024


def private_kb(pid):
    """Memory of the process that is its own: shared memory and files do not count."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"RssAnon:\s*(\d+)", file.read()).group(1))


def query(number):
    shape = number % DISTINCT + 1
    columns = ", ".join(f"c{i}" for i in range(COLUMNS) if shape >> i & 1)
    return f"SELECT {columns} FROM wide WHERE c0 = {number}"


class Grown(threading.Thread):
    def __init__(self, database, capture):
        super().__init__()
        self.connection = connect(database)
        self.capture = capture
        self.kb, self.failure = 0, None

    def run(self):
        pid = self.connection.info.backend_pid
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(f"SET upkeep.capture = {self.capture}")
                self.send(cursor, 0, 5 * BATCH)  # its caches, and what malloc keeps of the first messages
                before = private_kb(pid)
                self.send(cursor, 0, STATEMENTS)
                self.kb = private_kb(pid) - before
        except Exception as error:  # noqa: BLE001 - told by the test
            self.failure = error
        self.connection.close()

    @staticmethod
    def send(cursor, start, end):
        for first in range(start, end, BATCH):
            cursor.execute("; ".join(query(number) for number in range(first, first + BATCH)))


class Memory(Asks):
    def test_a_backend_does_not_grow(self):
        self.rows(f"CREATE TABLE wide ({', '.join(f'c{i} int' for i in range(COLUMNS))})")
        runs = [Grown(self.database, capture) for capture in ("none", "top")]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
            self.assertIsNone(run.failure)
        off, on = (run.kb for run in runs)
        print(f"{STATEMENTS} statements, {DISTINCT} distinct: {off} kB with capture off, {on} kB with capture on")
        self.assertLessEqual(on - off, LIMIT_KB)
        self.assertGreater(self.value("SELECT count(*) FROM upkeep.statements WHERE tables = '{wide}'"),
                           min(4000, DISTINCT // 2))
        counted = self.value("""SELECT sum(value) FROM upkeep.metric_samples WHERE name ~ 'statements_total'
                                AND labels ->> 'table' = 'wide'""")
        self.assertEqual(counted, STATEMENTS + 5 * BATCH, "evicted ones are still in the counters")


if __name__ == "__main__":
    unittest.main()
