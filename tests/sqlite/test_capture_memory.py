"""Memory of capture is fixed: distinct statements, however many, do not make the process grow.
UPKEEP_MEMORY_STATEMENTS executions of UPKEEP_MEMORY_DISTINCT statements (make bench-memory-sqlite: 10 million of a
million); a tenth of them warms up."""
import ctypes
import json
import os
import subprocess
import sys
import time
import unittest

import host

MOST = 1 << 20  # bytes that the heap may have grown by between the end of the warm-up and the end
DIVISOR = 10 if host.UNDER_ASAN else 1


class Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]


def heap():
    """Bytes that somebody has asked malloc for and not given back."""
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    info = mallinfo2()
    return info.uordblks + info.hblkhd


def work(executions, distinct):
    before = heap()
    kept = ctypes.create_string_buffer(3 << 20)
    seen = heap() - before  # the measure itself
    del kept
    db = host.connect(isolation_level=None, cached_statements=0)
    db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    db.execute("INSERT INTO t VALUES (1, 'x')")
    before = heap()
    db.execute("SELECT upkeep_capture(1)").fetchall()
    block = heap() - before
    began = time.process_time()
    number, warm = 1, None
    for i in range(executions):
        if i == executions // 10:
            warm = heap()
        number = (number * 1103515245 + 12345) % 2147483648
        db.execute(f"SELECT v FROM t AS a{number % distinct} WHERE id = 1").fetchone()
    end = heap()
    seconds = time.process_time() - began
    calls, shown = db.execute("SELECT sum(calls), count(*) FROM upkeep_statements WHERE query LIKE 'select v from t%'").fetchone()
    print(json.dumps({"measure": seen, "block": block, "growth": end - warm, "calls": calls, "shown": shown,
                      "us": seconds / executions * 1e6}))


class Memory(unittest.TestCase):
    def test_the_heap_does_not_grow(self):
        executions = int(os.environ.get("UPKEEP_MEMORY_STATEMENTS", str(300000 // DIVISOR)))
        distinct = int(os.environ.get("UPKEEP_MEMORY_DISTINCT", str(100000 // DIVISOR)))
        done = subprocess.run([sys.executable, "-B", __file__, "work", str(executions), str(distinct)],
                              stdout=subprocess.PIPE, text=True, check=True)
        told = json.loads(done.stdout)
        print(f"{executions} executions of {distinct} statements: block {told['block']} bytes, growth {told['growth']}, "
              f"{told['us']:.1f} us CPU each")
        self.assertGreaterEqual(told["calls"], 1)
        self.assertLess(told["shown"], distinct if host.UNDER_ASAN else distinct // 2)  # more than are kept
        if not host.UNDER_ASAN:  # its malloc tells nothing
            self.assertGreater(told["measure"], 3 << 20)
            self.assertGreater(told["block"], 1 << 20)
            self.assertLessEqual(told["growth"], MOST)


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(int(sys.argv[2]), int(sys.argv[3]))
    else:
        unittest.main()
