"""Statement capture: what is counted equals what the application did, is seen from other processes,
and never disturbs a statement."""
import json
import os
import pathlib
import sqlite3
import subprocess
import tempfile
import textwrap
import time
import unittest

import host

COLUMNS = ("query, calls, errors, rows, total_ms, mean_ms, min_ms, max_ms, p50_ms, p99_ms, operation,"
           " tables, full_scans, sorts, is_top_level, endpoint, slow_calls, database_name")


def busy(ms):
    end = time.perf_counter() + ms / 1000
    while time.perf_counter() < end:
        pass
    return ms


class Captures(host.Asks, unittest.TestCase):
    """A database file in a folder of its own, captured from the start."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "app.db")
        self.state = self.path + "-upkeep"
        self.db = self.open()
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER UNIQUE, w TEXT)")
        self.value("SELECT upkeep_capture(1)")
        self.value("SELECT upkeep_reset_statements()")
        self.addCleanup(self.restore)

    def restore(self):
        db = host.connect()
        for name, value in (("slow_threshold", "1000"), ("capture", "top"), ("endpoint", ""),
                            ("capture_parameters", "off"), ("capture_plans", "on"), ("persist", "on"),
                            ("max_statements", "5000"), ("max_slow_statements", "1000")):
            db.execute("SELECT upkeep_set(?, ?)", (name, value)).fetchall()
        db.execute("SELECT upkeep_capture(0)").fetchall()
        db.close()

    def open(self):
        db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(db.close)
        return db

    def set(self, name, value):
        self.value("SELECT upkeep_set(?, ?)", name, value)

    def captured(self, db=None):
        cursor = (db or self.db).execute(f"SELECT {COLUMNS} FROM upkeep_statements")
        names = [column[0] for column in cursor.description]
        return {row[0]: dict(zip(names, row)) for row in cursor}

    def shell(self, sql, database=None):
        done = subprocess.run(["/usr/bin/sqlite3", "-batch", "-noheader", "-cmd",
                               f".load {host.BUILD / 'upkeep'}", database or self.path, sql],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""), sql)
        return done.stdout.strip()

    def python(self, script):
        """Runs a process that has the module in `host`, the database's path in `path`."""
        head = f"import sys, os\nsys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})\n" \
               f"import host\npath = {self.path!r}\n"
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", head + textwrap.dedent(script)],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), script)
        return done.stdout


class CountsTest(Captures):
    def test_loading_starts_nothing(self):
        other = self.python("""
            db = host.connect(database=path)
            db.execute("SELECT 4711").fetchall()
            print(db.execute("SELECT count(*) FROM upkeep_statements").fetchone()[0])
            print(db.execute("SELECT available, how_to_enable FROM upkeep_capabilities"
                             " WHERE feature = 'statement_capture'").fetchone())
            """)
        self.assertEqual(other, "0\n(0, 'SELECT upkeep_capture(1)')\n")

    def test_every_kind_of_call_is_counted_once(self):
        for i in range(7):
            self.db.execute(f"INSERT INTO t VALUES({i}, {i}, 'x{i}')")
        self.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, i, "y") for i in range(10, 23)])
        for i in range(5):
            self.rows("SELECT * FROM t WHERE id < ?", i)
        self.rows("select *  from T where id<3 /* a comment */")
        self.db.execute("UPDATE t SET w = 'z' WHERE id >= 10")
        self.db.execute("DELETE FROM t WHERE id = 22")
        seen = self.captured()
        self.assertEqual({query: (row["calls"], row["errors"], row["rows"], row["operation"])
                          for query, row in seen.items()},
                         {"insert into t values (?, ?, ?)": (20, 0, 20, "INSERT"),
                          "select * from t where id < ?": (6, 0, 0 + 1 + 2 + 3 + 4 + 3, "SELECT"),
                          "update t set w = ? where id >= ?": (1, 0, 13, "UPDATE"),
                          "delete from t where id = ?": (1, 0, 1, "DELETE")})
        self.assertEqual({row["tables"] for row in seen.values()}, {'["t"]'})
        self.assertEqual({row["database_name"] for row in seen.values()}, {self.path})

    def test_errors_that_can_be_seen(self):
        failed = 0
        for i in (1, 2, 1, 3, 2, 1):
            try:
                self.db.execute("INSERT INTO t(v) VALUES(?)", (i,))
            except sqlite3.IntegrityError:
                failed += 1
        self.db.execute("INSERT OR IGNORE INTO t(v) VALUES(1)")
        self.db.execute("INSERT INTO t(v) VALUES(1) ON CONFLICT DO NOTHING")
        self.db.execute("INSERT INTO t(v) SELECT 1 WHERE 0")
        self.db.execute("BEGIN")
        self.refuses("within a transaction", "BEGIN")
        self.db.execute("COMMIT")
        self.refuses("no transaction", "COMMIT")
        self.refuses("syntax error", "SELEC 1")  # never prepared: nothing to count
        seen = {query: (row["calls"], row["errors"]) for query, row in self.captured().items()}
        self.assertEqual(failed, 3)
        self.assertEqual(seen.pop("insert into t(v) values (?)"), (3, 3))
        self.assertEqual(seen.pop("begin"), (1, 1))
        self.assertEqual(seen.pop("commit"), (1, 1))
        self.assertEqual({errors for _, errors in seen.values()}, {0}, seen)
        self.assertEqual(len(seen), 3)

    def test_a_lock_not_had_is_an_error(self):
        other = sqlite3.connect(self.path, isolation_level=None, timeout=0)  # captured: opened later
        self.addCleanup(other.close)
        self.db.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            with self.assertRaises(sqlite3.OperationalError):
                other.execute("UPDATE t SET w = 'a'")
        self.db.execute("COMMIT")
        other.execute("UPDATE t SET w = 'a'")
        row = self.captured()["update t set w = ?"]
        self.assertEqual((row["calls"], row["errors"]), (1, 3))

    def test_a_trigger_that_ignores_a_row_is_no_error(self):
        self.db.execute("CREATE TRIGGER no BEFORE INSERT ON t BEGIN SELECT raise(IGNORE); END")
        self.db.execute("INSERT INTO t(v) VALUES(1)")
        self.db.execute("CREATE VIEW seen AS SELECT v FROM t")
        self.db.execute("CREATE TRIGGER instead INSTEAD OF INSERT ON seen BEGIN SELECT 1; END")
        self.db.execute("INSERT INTO seen VALUES(1)")
        seen = self.captured()
        for query in ("insert into t(v) values (?)", "insert into seen values (?)"):
            self.assertEqual((seen[query]["calls"], seen[query]["errors"]), (1, 0), query)

    def test_nested_statements(self):
        self.db.execute("CREATE TABLE log(x)")
        self.db.execute("CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.id);"
                        " UPDATE log SET x = x + 1; END")
        self.db.create_function("answer", 0, lambda: self.db.execute("SELECT 5 AS five").fetchone()[0])
        self.value("SELECT upkeep_reset_statements()")
        self.db.executemany("INSERT INTO t VALUES(?, ?, 'x')", [(i, i) for i in range(4)])
        self.assertEqual(self.value("SELECT answer()"), 5)
        self.assertEqual({query: (row["calls"], row["is_top_level"]) for query, row in self.captured().items()},
                         {"insert into t values (?, ?, ?)": (4, 1), "select answer()": (1, 1)})
        self.set("capture", "all")
        self.assertEqual(self.value("SELECT answer()"), 5)
        seen = self.captured()
        self.assertEqual((seen["select ? as five"]["calls"], seen["select ? as five"]["is_top_level"]), (1, 0))
        self.set("capture", "none")
        self.assertEqual(self.value("SELECT answer()"), 5)
        self.assertEqual(self.captured()["select answer()"]["calls"], 2)

    def test_a_changed_schema_makes_no_second_call_and_no_error(self):
        for i in range(6):
            self.db.execute("INSERT INTO t(v) VALUES(?)", (i,))  # python keeps it prepared
            self.assertEqual(len(self.rows("SELECT v FROM t WHERE id > ?", 0)), i + 1)
            self.db.execute(f"CREATE INDEX i{i} ON t(w)")
        seen = self.captured()
        insert, select = seen["insert into t(v) values (?)"], seen["select v from t where id > ?"]
        self.assertEqual((insert["calls"], insert["errors"], insert["rows"]), (6, 0, 6))
        self.assertEqual((select["calls"], select["rows"]), (6, 1 + 2 + 3 + 4 + 5 + 6))

    def test_own_statements_are_left_out(self):
        self.rows("SELECT * FROM upkeep_indexes")
        self.rows("SELECT * FROM upkeep_check_health")
        self.rows("SELECT * FROM upkeep_what_if('SELECT * FROM t WHERE w = 1', '[]')")
        self.db.execute("CREATE TEMP VIEW mine AS SELECT * FROM upkeep_database_stats")
        self.set("capture", "all")
        self.rows("SELECT count(*) FROM mine")
        self.assertEqual(set(self.captured()), {"select count(*) from mine"})

    def test_scans_and_sorts(self):
        self.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, i, "x") for i in range(50)])
        self.rows("SELECT * FROM t ORDER BY w")
        self.rows("SELECT * FROM t ORDER BY w")
        self.rows("SELECT * FROM t WHERE id = 7")
        seen = self.captured()
        self.assertEqual([(seen[query]["full_scans"], seen[query]["sorts"]) for query in
                          ("select * from t order by w", "select * from t where id = ?")],
                         [(2, 2), (0, 0)])

    def test_columns_that_the_host_cannot_fill_are_null(self):
        self.rows("SELECT * FROM t")
        self.assertEqual(self.rows("SELECT user_name, plan_total_ms, hit_blocks, read_blocks, hit_ratio,"
                                   " temp_written_blocks, wal_bytes FROM upkeep_statements"), [(None,) * 7])

    def test_an_address_used_again_is_another_statement(self):
        for i in range(3000):
            self.db.execute(f"SELECT {'abcde'[i % 5]}{i % 7 + 1} FROM (SELECT 1 AS {'abcde'[i % 5]}{i % 7 + 1})").fetchall()
        seen = {query: row["calls"] for query, row in self.captured().items()}
        wanted = {}
        for i in range(3000):
            name = f"{'abcde'[i % 5]}{i % 7 + 1}"
            query = f"select {name} from (select ? as {name})"
            wanted[query] = wanted.get(query, 0) + 1
        self.assertEqual(seen, wanted)

    def test_long_texts(self):
        for last in (1, 2):
            self.rows("SELECT " + ", ".join(["1"] * 1500) + f", '{'x' * 3000}', {last}")
            self.rows("SELECT 7 AS seven" + " " * 5000 + f", {last}")
        calls = sorted((len(query), row["calls"]) for query, row in self.captured().items())
        self.assertEqual([count for _, count in calls], [2, 2])


class TimesTest(Captures):
    def setUp(self):
        super().setUp()
        self.db.create_function("busy", 1, busy)

    def test_times_are_those_of_the_application(self):
        own = []
        for ms in (2, 4, 6, 8, 30):
            began = time.perf_counter()
            self.value("SELECT busy(?)", ms)
            own.append((time.perf_counter() - began) * 1000)
        row = self.captured()["select busy(?)"]
        self.assertEqual(row["calls"], 5)
        self.assertGreaterEqual(row["total_ms"], 50)
        self.assertLessEqual(row["total_ms"], sum(own) * 1.01 + 0.1)
        self.assertGreaterEqual(row["max_ms"], 30)
        self.assertTrue(2 <= row["min_ms"] <= own[0] + 0.1)
        self.assertAlmostEqual(row["mean_ms"], row["total_ms"] / 5)

    def test_percentiles_against_the_durations_themselves(self):
        self.set("slow_threshold", "0")
        for i in range(60):
            self.value("SELECT busy(?)", 0.2 + (i * 7 % 60) / 20)
        self.set("slow_threshold", "1000")
        durations = sorted(ms for (ms,) in self.rows("SELECT duration_ms FROM upkeep_slow_statements"
                                                     " WHERE query = 'select busy(?)'"))
        self.assertEqual(len(durations), 60)
        fingerprint = self.value("SELECT fingerprint FROM upkeep_statements WHERE query = 'select busy(?)'")
        for q in (0, 0.25, 0.5, 0.9, 0.95, 0.99, 1):
            at = q * 59
            low = int(at)
            exact = durations[low] + (durations[min(low + 1, 59)] - durations[low]) * (at - low)
            self.assertAlmostEqual(self.value("SELECT upkeep_percentile(?, ?)", fingerprint, q), exact,
                                   delta=exact * 0.03)
        self.assertAlmostEqual(self.captured()["select busy(?)"]["p50_ms"],
                               self.value("SELECT upkeep_percentile(?, 0.5)", fingerprint))
        self.assertIsNone(self.value("SELECT upkeep_percentile(12345, 0.5)"))
        self.assertIsNone(self.value("SELECT upkeep_percentile(?, 0.5, 'nowhere')", fingerprint))

    def test_slow_statements(self):
        self.db.execute("INSERT INTO t VALUES(1, 1, 'secret')")
        self.set("slow_threshold", "20")
        self.value("SELECT busy(25) FROM t WHERE w = 'secret'")
        self.value("SELECT busy(1) FROM t")
        slow = self.rows("SELECT query, duration_ms, pid, rows, plan, parameters, database_name, fingerprint,"
                         " error_code, user_name, captured_at FROM upkeep_slow_statements")
        self.assertEqual(len(slow), 1)
        query, duration, pid, rows, plan, parameters, database, fingerprint, *rest, at = slow[0]
        self.assertEqual((query, pid, rows, parameters, database), ("select busy(?) from t where w = ?", os.getpid(),
                                                                    1, None, self.path))
        self.assertEqual(rest, [None, None])
        self.assertTrue(25 <= duration < 1000)
        self.assertIsNone(plan)  # no other connection knows busy()
        self.assertEqual(self.value("SELECT slow_calls FROM upkeep_statements WHERE fingerprint = ?", fingerprint), 1)
        self.assertLess(abs(self.value("SELECT julianday(?) - julianday('now')", at)), 1 / 1440)

    def test_the_whole_error_code_is_kept(self):
        self.set("slow_threshold", "0")
        self.db.execute("INSERT INTO t VALUES(1, 1, 'x')")
        with self.assertRaises(sqlite3.IntegrityError):
            self.db.execute("INSERT INTO t VALUES(1, 1, 'x')")
        self.assertEqual(self.rows("SELECT error_code FROM upkeep_slow_statements WHERE error_code IS NOT NULL"),
                         [("SQLITE_CONSTRAINT",)])

    def test_plans_and_values_of_slow_statements(self):
        self.set("slow_threshold", "0")
        self.rows("SELECT * FROM t WHERE v = 'seekrit'")
        self.set("capture_parameters", "on")
        self.rows("SELECT * FROM t WHERE id = ?", 4711)
        self.set("capture_plans", "off")
        self.rows("SELECT w FROM t")
        rows = {query: (plan, parameters) for query, plan, parameters in
                self.rows("SELECT query, plan, parameters FROM upkeep_slow_statements")}
        plan, parameters = rows["select * from t where v = ?"]
        self.assertIn("USING INDEX sqlite_autoindex_t_1 (v=?)", json.loads(plan)[0]["detail"])
        self.assertIsNone(parameters)
        plan, parameters = rows["select * from t where id = ?"]
        self.assertIn("USING INTEGER PRIMARY KEY", json.loads(plan)[0]["detail"])
        self.assertEqual(parameters, "SELECT * FROM t WHERE id = 4711")
        self.assertEqual(rows["select w from t"], (None, "SELECT w FROM t"))
        self.value("SELECT upkeep_save()")
        self.assertNotIn(b"seekrit", pathlib.Path(self.state).read_bytes())


class EndpointsTest(Captures):
    def test_endpoints(self):
        self.set("endpoint", "default")
        self.rows("SELECT 1")
        self.value("SELECT upkeep_set_endpoint('GET /runs')")
        for _ in range(3):
            self.rows("SELECT 1")
        self.rows("SELECT * FROM t")
        self.value("SELECT upkeep_set_endpoint(NULL)")
        self.set("endpoint", "")
        self.rows("SELECT 1")
        seen = {row[0]: row[1:] for row in self.rows(
            "SELECT endpoint, calls, errors, statements, n_plus_one_count, database_name FROM upkeep_endpoints")}
        self.assertEqual(seen, {"default": (1, 0, 1, 0, self.path), "GET /runs": (4, 0, 2, 0, self.path),
                                None: (1, 0, 1, 0, self.path)})
        fingerprint = self.value("SELECT fingerprint FROM upkeep_statements WHERE query = 'select ?' LIMIT 1")
        self.assertGreater(self.value("SELECT upkeep_percentile(?, 0.5, 'GET /runs')", fingerprint), 0)

    def test_an_endpoint_told_before_capture_begins(self):
        self.value("SELECT upkeep_capture(0)")
        other = self.open()
        other.execute("SELECT upkeep_set_endpoint('early')").fetchall()
        other.execute("SELECT upkeep_capture(1)").fetchall()
        other.execute("SELECT 1").fetchall()
        self.assertEqual(self.captured(other)["select ?"]["endpoint"], "early")


class ControlTest(Captures):
    def test_stop_and_start(self):
        self.rows("SELECT 1")
        self.value("SELECT upkeep_capture(0)")
        self.rows("SELECT 1")
        other = self.open()
        other.execute("SELECT 1").fetchall()
        self.assertEqual(self.captured()["select ?"]["calls"], 1)
        self.value("SELECT upkeep_capture(1)")
        self.rows("SELECT 1")
        self.assertEqual(self.captured()["select ?"]["calls"], 2)

    def test_stop_in_the_middle_of_a_statement(self):
        self.db.executemany("INSERT INTO t VALUES(?, ?, 'x')", [(i, i) for i in range(10)])
        cursor = self.db.execute("SELECT id FROM t ORDER BY id")
        first = cursor.fetchone()
        self.value("SELECT upkeep_capture(0)")
        self.assertEqual([first] + cursor.fetchall(), [(i,) for i in range(10)])
        self.value("SELECT upkeep_capture(1)")
        cursor = self.db.execute("SELECT id FROM t ORDER BY id DESC")
        cursor.fetchone()
        self.value("SELECT upkeep_capture(0)")
        self.value("SELECT upkeep_capture(1)")
        self.assertEqual(len(cursor.fetchall()), 9)
        self.assertEqual(set(self.captured()), {"insert into t values (?, ?, ?)"})

    def test_an_application_that_takes_our_functions_name(self):
        db = self.open()
        db.create_function("_upkeep_capture", 0, lambda: 1)
        self.assertEqual(db.execute("SELECT 7").fetchall(), [(7,)])  # under ASan: no freed memory read
        self.assertEqual(self.value("SELECT upkeep_version() IS NOT NULL"), 1)

    def test_another_trace_is_not_removed(self):
        lines = []
        self.db.set_trace_callback(lines.append)
        self.assertIn("another trace has taken", self.value("SELECT reason FROM upkeep_capabilities"
                                                            " WHERE feature = 'statement_capture'"))
        self.value("SELECT upkeep_capture(0)")
        lines.clear()
        self.rows("SELECT 4711")
        self.assertEqual(lines, ["SELECT 4711"])

    def test_capabilities(self):
        available, reason = self.rows("SELECT available, reason FROM upkeep_capabilities"
                                      " WHERE feature = 'statement_capture'")[0]
        self.assertEqual((available, reason), (1, "this connection's statements are counted; kept in " + self.state))

    def test_failing_statements_fail_as_ever(self):
        self.db.execute("INSERT INTO t VALUES(1, 1, 'x')")
        for sql, wanted in (("INSERT INTO t VALUES(1, 2, 'y')", "UNIQUE constraint failed: t.id"),
                            ("SELECT abs(-9223372036854775808)", "integer overflow"),
                            ("SELECT * FROM missing", "no such table: missing")):
            self.refuses(wanted, sql)
        self.assertEqual(self.db.execute("INSERT INTO t VALUES(7, 7, 'x')").lastrowid, 7)
        self.assertEqual(self.value("SELECT changes()"), 1)

    def test_bad_arguments(self):
        for sql, wanted in (
                ("SELECT upkeep_capture()", "wrong number of arguments"),
                ("SELECT upkeep_capture(NULL)", "enabled must not be null"),
                ("SELECT upkeep_capture('yes')", "enabled"),
                ("SELECT upkeep_percentile(1)", "wrong number of arguments"),
                ("SELECT upkeep_percentile(1, 2)", "q must be between 0 and 1 (hint: write 0.95"),
                ("SELECT upkeep_percentile('x', 0.5)", "fingerprint"),
                ("SELECT upkeep_set_endpoint(CAST(x'ff' AS TEXT))", "endpoint is not valid UTF-8"),
                ("SELECT upkeep_save(1)", "wrong number of arguments"),
                ("SELECT upkeep_set('capture', 'some')", "allowed: none, top, all"),
                ("SELECT upkeep_set('slow_threshold', -2)", "allowed: a whole number"),
                ("SELECT upkeep_set('max_statements', 1)", "allowed: a whole number"),
                ("SELECT upkeep_set('persist', 'maybe')", "allowed: on, off"),
                ("SELECT * FROM upkeep_statements(1)", "too many arguments"),
                ("SELECT _upkeep_capture()", "not to be called")):
            self.refuses(wanted, sql)
        self.assertEqual(self.captured(), {})

    def test_advice_on_what_was_captured(self):
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO t VALUES(?, ?, ?)", [(i, i, f"w{i}") for i in range(20000)])
        self.db.execute("COMMIT")
        self.value("SELECT upkeep_reset_statements()")
        self.refuses("nothing has been captured", "SELECT * FROM upkeep_advise_indexes(NULL)")
        for i in range(30):
            self.rows("SELECT * FROM t WHERE w = ?", f"w{i}")
        self.rows("SELECT * FROM t WHERE id = 5")
        self.rows("PRAGMA page_count")
        table, columns = self.rows("SELECT table_name, columns FROM upkeep_advise_indexes")[0]
        self.assertEqual((table, columns), ("t", '["w"]'))
        self.value("SELECT upkeep_save()")
        self.assertEqual(self.shell("SELECT columns FROM upkeep_advise_indexes(NULL)"), '["w"]')


if __name__ == "__main__":
    unittest.main()
