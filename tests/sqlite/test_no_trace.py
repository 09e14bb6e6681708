"""Advice and what-if leave nothing behind: not when they answer, fail, or are interrupted, in or
outside a transaction."""
import json
import pathlib
import sqlite3
import tempfile
import threading
import time
import unittest

import autopr
import host

PRAGMAS = ("analysis_limit", "application_id", "auto_vacuum", "automatic_index", "busy_timeout",
           "cache_size", "cache_spill", "case_sensitive_like_probe", "cell_size_check",
           "checkpoint_fullfsync", "defer_foreign_keys", "encoding", "foreign_keys",
           "freelist_count", "hard_heap_limit", "ignore_check_constraints", "journal_mode",
           "journal_size_limit", "legacy_alter_table", "locking_mode", "max_page_count",
           "mmap_size", "page_count", "page_size", "query_only", "read_uncommitted",
           "recursive_triggers", "reverse_unordered_selects", "schema_version", "secure_delete",
           "soft_heap_limit", "synchronous", "temp_store", "threads", "trusted_schema",
           "user_version", "wal_autocheckpoint", "writable_schema")
ADVICE = "SELECT count(*) FROM upkeep_advise_indexes(?)"


class NoTraceTest(host.Asks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = cls.folder.name + "/autopr.db"
        db = autopr.create(cls.path, 11000)
        db.execute("CREATE INDEX existing ON workflow_executions(status)")
        db.execute("ANALYZE")
        db.close()
        cls.statements = [statement.sql for statement in autopr.workload()]
        if host.UNDER_ASAN:
            cls.statements = cls.statements[:12]
        cls.workload = json.dumps(cls.statements)

    def setUp(self):
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(self.other.close)

    def pragma(self, name):
        if name == "case_sensitive_like_probe":  # can only be set
            return self.value("SELECT 'a' LIKE 'A'")
        rows = self.rows(f"PRAGMA {name}")
        return rows[0][0] if rows else None

    def state(self):
        """What this connection, another one, and the file can tell."""
        return {
            # First: even an EXPLAIN of a DELETE sets changes().
            "plan": [self.rows("EXPLAIN QUERY PLAN " + sql) for sql in self.statements],
            "schema": self.rows("SELECT * FROM sqlite_schema"),
            "temp schema": self.rows("SELECT * FROM sqlite_temp_schema"),
            "statistics": self.rows("SELECT * FROM sqlite_stat1"),
            "data_version": self.value("PRAGMA data_version"),
            "its data_version": self.other.execute("PRAGMA data_version").fetchone(),
            "total_changes": (self.db.total_changes, self.value("SELECT total_changes()")),
            "changes": self.value("SELECT changes()"),
            "last_insert_rowid": self.value("SELECT last_insert_rowid()"),
            "in_transaction": self.db.in_transaction,
            "databases": self.rows("PRAGMA database_list"),
            "functions": self.rows("SELECT * FROM pragma_function_list ORDER BY 1, 2, 3, 4, 5"),
            "modules": self.rows("SELECT * FROM pragma_module_list"
                                 " WHERE name NOT LIKE 'pragma%' ORDER BY 1"),
            "collations": self.rows("SELECT name FROM pragma_collation_list ORDER BY 1"),
            "statements": self.rows("SELECT sql FROM sqlite_stmt WHERE sql NOT LIKE '%sqlite_stmt%'"
                                    " AND busy"),
            "pragmas": {name: self.pragma(name) for name in PRAGMAS},
            "bytes": pathlib.Path(self.path).read_bytes(),
        }

    def leaves_no_trace(self, act):
        before = self.state()
        act()
        after = self.state()
        for what, value in before.items():
            self.assertEqual(after[what], value, what)

    def advise(self):
        self.assertGreater(self.value(ADVICE, self.workload), 0)

    def what_if(self):
        for sql in self.statements[:12]:
            self.rows("SELECT * FROM upkeep_what_if(?, ?)", sql,
                      json.dumps([autopr.create_index(n) for n in range(0, 40, 7)]))

    def err(self):
        for call in ("upkeep_advise_indexes('SELECT 1 FROM nope')",
                     "upkeep_advise_indexes('PRAGMA user_version = 7')",
                     "upkeep_what_if('DROP TABLE workflows', '[]')",
                     "upkeep_what_if('DELETE FROM workflows; SELECT 1', '[]')",
                     "upkeep_what_if('DELETE FROM workflows', 'CREATE INDEX i ON nope(a)')"):
            with self.assertRaises(sqlite3.Error):
                self.rows("SELECT * FROM " + call)

    def everything(self):
        self.advise()
        self.what_if()
        self.err()

    def test_outside_a_transaction(self):
        self.leaves_no_trace(self.everything)

    def test_inside_a_read_transaction(self):
        self.db.execute("BEGIN")
        self.rows("SELECT count(*) FROM workflows")
        self.leaves_no_trace(self.everything)
        self.assertTrue(self.db.in_transaction)

    def test_inside_a_write_transaction(self):
        """Also: the statements are planned, never run, and the transaction stays whole."""
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO workflows(id, name, created_at, updated_at)"
                        " VALUES ('x', 'x', '', '')")
        self.db.execute("SAVEPOINT s")
        self.leaves_no_trace(self.everything)
        self.db.execute("RELEASE s")
        self.db.execute("UPDATE integrations SET enabled = 1")
        changed = self.rows("SELECT changes(), last_insert_rowid()")
        self.assertGreater(changed[0][0], 1)
        self.everything()
        self.assertEqual(self.rows("SELECT changes(), last_insert_rowid()"), changed)
        self.db.execute("ROLLBACK")
        self.assertEqual(self.rows("SELECT * FROM workflows WHERE id = 'x'"), [])

    def test_settings_of_the_caller_stay(self):
        for pragma in ("foreign_keys = 1", "case_sensitive_like = 1", "recursive_triggers = 1",
                       "automatic_index = 0", "reverse_unordered_selects = 1", "cache_size = 123",
                       "busy_timeout = 77", "query_only = 1", "trusted_schema = 1"):
            self.db.execute("PRAGMA " + pragma)
        self.leaves_no_trace(self.everything)

    def test_hooks_of_the_caller_stay(self):
        seen, traced = [], []
        self.db.set_authorizer(lambda *what: seen.append(what) or sqlite3.SQLITE_OK)
        self.advise()
        count = len(seen)
        self.rows("SELECT 1 FROM workflows")
        self.assertGreater(len(seen), count)
        self.db.set_authorizer(None)
        self.db.set_trace_callback(traced.append)
        self.advise()
        self.rows("SELECT 'mine'")
        self.db.set_trace_callback(None)
        self.assertEqual(traced[-1], "SELECT 'mine'")

    def test_an_authorizer_that_denies_is_obeyed(self):
        def no_logs(action, table, *_):
            denied = action == sqlite3.SQLITE_READ and table == "execution_logs"
            return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK
        self.db.set_authorizer(no_logs)
        self.addCleanup(self.db.set_authorizer, None)
        self.refuses("prohibited",
                     "SELECT * FROM upkeep_advise_indexes('SELECT * FROM execution_logs"
                     " WHERE level = 1')")

    def interrupted(self, delay):
        """Seconds from the interrupt to its error; None if the call was faster."""
        timer_at = []

        def interrupt():
            timer_at.append(time.monotonic())
            self.db.interrupt()

        timer = threading.Timer(delay, interrupt)
        timer.start()
        try:
            self.rows(ADVICE, self.workload)
            return None
        except sqlite3.OperationalError as error:
            self.assertIn("interrupt", str(error))
            return time.monotonic() - timer_at[0]
        finally:
            timer.cancel()
            timer.join()

    def test_interrupt(self):
        self.advise()  # the first call takes longer than those that are interrupted
        start = time.monotonic()
        self.advise()
        whole = time.monotonic() - start
        latencies = []

        def interrupt_at_many_points():
            for tenth in range(10):
                latency = self.interrupted(whole * tenth / 10)
                latencies.extend([] if latency is None else [latency])

        self.leaves_no_trace(interrupt_at_many_points)
        self.assertGreaterEqual(len(latencies), 4)
        print(f"measured: an interrupt is answered after {1000 * max(latencies):.1f} ms at most"
              f" ({len(latencies)} interrupts, whole call {1000 * whole:.0f} ms)")
        self.assertLess(max(latencies), 1)
        self.advise()

    def test_interrupt_inside_a_transaction(self):
        self.db.execute("BEGIN")
        self.rows("SELECT count(*) FROM workflows")
        self.leaves_no_trace(lambda: self.interrupted(0.02))
        self.assertTrue(self.db.in_transaction)
        self.db.execute("COMMIT")

    def test_time_limit(self):
        """Too little time: what was found so far, said so, in about that time."""
        start = time.monotonic()
        rows = self.rows("SELECT warnings FROM upkeep_advise_indexes(?) WHERE time_limit_ms = 1",
                         self.workload)
        self.assertLess(time.monotonic() - start, 5)
        for (warnings,) in rows:
            self.assertIn("time_limit ended the search", warnings)


if __name__ == "__main__":
    unittest.main()
