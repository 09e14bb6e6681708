"""Setting flush_interval: a thread writes the state file now and then, leaves when told to, and never
stands in the way of a fork, a signal or the end of the process."""
import time
import unittest

import host
import test_faults


class FlushTest(test_faults.FaultCase):
    def test_another_process_sees_it_while_the_connection_is_open(self):
        db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(db.close)
        db.execute("SELECT upkeep_capture(1)").fetchall()
        db.execute("SELECT 'without' AS thread").fetchall()
        look = ["/usr/bin/sqlite3", "-batch", "-cmd", f".load {host.BUILD / 'upkeep'}", self.path]
        shell = lambda: test_faults.subprocess.run(look + ["SELECT calls FROM upkeep_statements WHERE query LIKE '%thread'"],
                                                   capture_output=True, text=True).stdout
        self.assertEqual(shell(), "")
        try:
            db.execute("SELECT upkeep_set('flush_interval', 20)").fetchall()
            end = time.monotonic() + 20
            while shell() != "1\n" and time.monotonic() < end:
                time.sleep(0.05)
            self.assertEqual(shell(), "1\n")
        finally:
            db.execute("SELECT upkeep_set('flush_interval', 0)").fetchall()
            db.execute("SELECT upkeep_capture(0)").fetchall()

    def test_a_thread_only_where_it_is_wanted(self):
        self.assertEqual(self.run_("""
            import time
            def threads(wanted):
                end = time.monotonic() + 10
                while len(os.listdir("/proc/self/task")) != wanted and time.monotonic() < end:
                    time.sleep(0.01)
                return len(os.listdir("/proc/self/task"))
            print(threads(1))
            for interval in (3600000, 5, 10, 0, 5, 0):
                db.execute("SELECT upkeep_set('flush_interval', ?)", (interval,)).fetchall()
                print(threads(2 if interval else 1))
            for wrong in (-1, 'often', 1.5):
                try:
                    db.execute("SELECT upkeep_set('flush_interval', ?)", (wrong,)).fetchall()
                except sqlite3.Error as e:
                    print(str(e)[:14], threads(1))
            """), "1\n2\n2\n2\n1\n2\n1\n" + "invalid value  1\n" * 3)

    def test_what_is_left_at_the_end_is_written(self):
        self.run_("""
            db.execute("SELECT upkeep_set('flush_interval', 3600000)").fetchall()
            db.execute("SELECT 1 AS last").fetchall()
            import gc
            gc.disable()
            ctypes_keeps = [db]
            import ctypes
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))  # never closed
            sys.exit(0)
            """, logging=False)
        self.assertEqual(self.calls(), {"select ? as last": 1})

    def test_forks_while_it_writes(self):
        self.run_("""
            for name, value in (("flush_interval", 1), ("max_statements", 100), ("text_memory", 1)):
                db.execute("SELECT upkeep_set(?, ?)", (name, value)).fetchall()
            for round_ in range(60):
                db.execute("SELECT 1 AS parent").fetchall()
                child = os.fork()
                if child == 0:
                    assert len(os.listdir("/proc/self/task")) == 1
                    mine = sqlite3.connect(path, isolation_level=None, timeout=30)
                    mine.execute("SELECT 1 AS child").fetchall()
                    assert len(os.listdir("/proc/self/task")) == 2  # a new process, with its own
                    mine.close()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            """, logging=False, timeout=120)
        calls = self.calls()
        self.assertEqual(calls["select ? as parent"], 60)
        # A child that ends by _exit while another process writes may lose its own.
        self.assertGreater(calls["select ? as child"], 40)

    def test_many_processes_with_threads_add_up(self):
        running = [test_faults.subprocess.Popen(self.script("""
            db.execute("SELECT upkeep_set('flush_interval', 3)").fetchall()
            for i in range(3000):
                db.execute("SELECT count(*) FROM t WHERE v = ?", (i,)).fetchall()
            db.execute("SELECT upkeep_set('flush_interval', 0)").fetchall()
            for i in range(100):
                try:
                    db.execute("SELECT upkeep_save()").fetchall()
                    break
                except sqlite3.OperationalError:
                    pass
            """)) for _ in range(3)]
        for one in running:
            self.assertEqual(one.wait(), 0)
        self.assertEqual(self.calls()["select count(*) from t where v = ?"], 9000)

    def test_signals_are_the_applications(self):
        self.run_("""
            import signal, threading
            db.execute("SELECT upkeep_set('flush_interval', 1)").fetchall()
            met = []
            signal.signal(signal.SIGALRM, lambda *_: met.append(threading.current_thread() is threading.main_thread()))
            for i in range(20):
                signal.setitimer(signal.ITIMER_REAL, 0.002)
                signal.pause()
            assert met == [True] * 20
            """)

    def test_trouble_is_said_once(self):
        test_faults.pathlib.Path(self.state).write_bytes(b"x" * 8192)
        out = self.run_("""
            import time
            db.execute("SELECT upkeep_set('flush_interval', 2)").fetchall()
            for i in range(30):
                db.execute("SELECT 1").fetchall()
                time.sleep(0.005)
            print(len(lines), lines[0][1])
            """)
        self.assertTrue(out.startswith("1 upkeep: statistics not saved: state file"), out)


if __name__ == "__main__":
    unittest.main()
