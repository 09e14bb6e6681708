"""upkeep_reap_rules in SQLite: a table that is written, checked as it is, and kept beside the file."""
import os
import sqlite3
import subprocess
import sys
import tempfile
import unittest

import host

DEFAULTS = ("a", 100, 1, "%", "%", "%", None, "idle in transaction", 600000, 0, None, 0, None, "end",
            '["listening","session_lock","temp_table","held_cursor"]')
INSERT = "INSERT INTO upkeep_reap_rules (name, match_state{}) VALUES ('a', 'idle in transaction'{})"


class Base(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.rows("CREATE TABLE t(x)")

    def names(self, db=None):
        return [row[0] for row in (db or self.db).execute("SELECT name FROM upkeep_reap_rules")]

    def add(self, name, db=None, **columns):
        columns = {"name": name, "match_state": "idle in transaction", **columns}
        (db or self.db).execute(
            f"INSERT INTO upkeep_reap_rules ({', '.join(columns)})"
            f" VALUES ({', '.join('?' * len(columns))})", tuple(columns.values()))


class RulesTest(Base):
    def test_defaults_and_every_field(self):
        self.add("a")
        self.assertEqual(self.rows("SELECT * FROM upkeep_reap_rules"), [DEFAULTS])
        given = ("b", -3, 0, "%.db", "%", "python%", None, "active", 5, 1, None, 2, 7, "cancel",
                 '["temp_table"]')
        self.rows(f"INSERT INTO upkeep_reap_rules VALUES ({', '.join('?' * 15)})", *given)
        self.assertEqual(self.rows("SELECT * FROM upkeep_reap_rules WHERE name = 'b'"), [given])
        self.assertEqual(self.value("SELECT json_array_length(spare) FROM upkeep_reap_rules"
                                    " WHERE name = 'a'"), 4)

    def test_rules_outlive_the_connection_and_are_the_files(self):
        self.add("a")
        other = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(other.close)
        self.assertEqual(self.names(other), ["a"])
        self.add("b", other)
        self.assertEqual(self.names(), ["a", "b"])
        elsewhere = host.connect(database=self.path + "2", isolation_level=None)
        self.addCleanup(elsewhere.close)
        self.assertEqual(self.names(elsewhere), [])
        shown = subprocess.run(["sqlite3", self.path + "-upkeep", "SELECT name FROM reap_rules"],
                               capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown, "a\nb\n")
        self.value("SELECT upkeep_reset_statements()")
        self.assertEqual(self.names(), ["a", "b"])

    def test_update_and_delete(self):
        for name in "abc":
            self.add(name)
        self.rows("UPDATE upkeep_reap_rules SET idle_for = idle_for + 1, name = name || '2'"
                  " WHERE name < 'c'")
        self.assertEqual(self.rows("SELECT name, idle_for FROM upkeep_reap_rules"),
                         [("a2", 600001), ("b2", 600001), ("c", 600000)])
        before = dict(self.rows("SELECT name, rowid FROM upkeep_reap_rules"))
        self.rows("DELETE FROM upkeep_reap_rules WHERE name = 'a2'")
        self.rows("UPDATE upkeep_reap_rules SET spare = NULL, enabled = 0 WHERE rowid = ?",
                  before["b2"])
        self.assertEqual(self.rows("SELECT name, enabled, rowid FROM upkeep_reap_rules"),
                         [("b2", 0, before["b2"]), ("c", 1, before["c"])])
        self.rows("DELETE FROM upkeep_reap_rules")
        self.assertEqual(self.names(), [])

    def test_rollback_and_savepoints(self):
        self.add("a")
        self.rows("BEGIN")
        self.rows("DELETE FROM upkeep_reap_rules")
        self.assertEqual(self.names(), [])
        self.rows("ROLLBACK")
        self.assertEqual(self.names(), ["a"])
        self.rows("BEGIN")
        self.add("b")
        self.rows("SAVEPOINT s")
        self.add("c")
        self.rows("UPDATE upkeep_reap_rules SET priority = 1")
        self.rows("ROLLBACK TO s")
        self.add("d")
        self.rows("RELEASE s")
        self.assertEqual(self.names(), ["a", "b", "d"])
        other = host.connect(database=self.path)
        self.addCleanup(other.close)
        self.assertEqual(self.names(other), ["a"])
        self.rows("COMMIT")
        self.assertEqual(self.names(other), ["a", "b", "d"])
        self.assertEqual(self.rows("SELECT DISTINCT priority FROM upkeep_reap_rules"), [(100,)])

    def test_a_savepoint_from_before_the_first_change(self):
        self.rows("BEGIN")
        self.rows("SAVEPOINT s")
        self.add("a")
        self.rows("ROLLBACK TO s")
        self.assertEqual(self.names(), [])
        self.rows("COMMIT")
        self.assertEqual(self.names(), [])

    def test_a_failing_row_changes_nothing(self):
        self.add("a")
        for sql in ("INSERT INTO upkeep_reap_rules (name, match_state, idle_for)"
                    " SELECT 'n' || value, 'idle in transaction', 3 - value"
                    " FROM json_each('[1,2,3,4]')",
                    "UPDATE upkeep_reap_rules SET action = 'kill'"):
            for begin, end in (("SELECT 1", "SELECT 1"), ("BEGIN", "COMMIT")):
                self.rows(begin)
                with self.assertRaises(sqlite3.OperationalError):
                    self.rows(sql)
                self.rows(end)
                self.assertEqual(self.rows("SELECT * FROM upkeep_reap_rules"), [DEFAULTS])

    def test_one_name_one_rule(self):
        self.add("a")
        self.refuses("there is a rule a already", INSERT.format("", ""))
        self.rows(INSERT.format(", idle_for", ", 7").replace("INSERT", "INSERT OR REPLACE"))
        self.assertEqual(self.rows("SELECT name, idle_for FROM upkeep_reap_rules"), [("a", 7)])
        self.rows(INSERT.format(", idle_for", ", 8").replace("INSERT", "INSERT OR IGNORE"))
        self.assertEqual(self.rows("SELECT name, idle_for FROM upkeep_reap_rules"), [("a", 7)])
        self.add("b")
        self.refuses("there is a rule a already", "UPDATE upkeep_reap_rules SET name = 'a'"
                     " WHERE name = 'b'")
        self.rows("UPDATE OR REPLACE upkeep_reap_rules SET name = 'a' WHERE name = 'b'")
        self.assertEqual(self.rows("SELECT name, idle_for FROM upkeep_reap_rules"), [("a", 600000)])

    def test_two_connections_take_turns(self):
        self.add("a")
        other = host.connect(database=self.path, isolation_level=None, timeout=0)
        self.addCleanup(other.close)
        self.rows("BEGIN")
        self.rows("UPDATE upkeep_reap_rules SET idle_for = 1")
        with self.assertRaisesRegex(sqlite3.OperationalError, "locked"):
            other.execute("DELETE FROM upkeep_reap_rules")
        self.rows("COMMIT")
        other.execute("UPDATE upkeep_reap_rules SET idle_for = idle_for + 1")
        self.assertEqual(self.rows("SELECT idle_for FROM upkeep_reap_rules"), [(2,)])

    def test_a_rule_that_went_behind_our_back(self):
        self.add("a")
        self.rows("BEGIN")
        self.rows("UPDATE upkeep_reap_rules SET idle_for = 1")
        with sqlite3.connect(self.path + "-upkeep") as db:
            db.execute("DELETE FROM reap_rules")
        db.close()
        self.refuses("changed by another connection", "COMMIT")
        self.assertEqual(self.names(), [])

    def test_in_memory_and_without_persist(self):
        memory = host.connect(isolation_level=None)
        self.addCleanup(memory.close)
        self.add("m", memory)
        self.assertEqual(self.names(memory), ["m"])
        memory.execute("DELETE FROM upkeep_reap_rules")
        self.value("SELECT upkeep_set('persist', 'off')")
        self.addCleanup(self.value, "SELECT upkeep_set('persist', 'on')")
        self.add("a")
        self.assertEqual(self.names(), ["a"])
        self.assertFalse(os.path.exists(self.path + "-upkeep"))
        self.rows("DELETE FROM upkeep_reap_rules")


class BadInputTest(Base):
    def test_refused_with_a_hint_and_nothing_changed(self):
        self.add("a")
        for column, value, wanted in (
                ("match_state", "sleeping", "use idle, idle in transaction"),
                ("action", "kill", "use log, cancel or end"),
                ("idle_for", -1, "must not be negative"),
                ("idle_for", "10 min", "give milliseconds"),
                ("idle_for", "soon", "give milliseconds"),
                ("keep_at_least", -1, "must not be negative"),
                ("max_per_minute", 0, "below 1"),
                ("priority", 1 << 40, "32 bits"),
                ("enabled", "yes", "0 or 1"),
                ("only_blocking", 2, "0 or 1"),
                ("match_database", "a\\", "escape character"),
                ("match_application", "a\\\\\\", "escape character"),
                ("match_application", "x" * 256, "255 bytes"),
                ("match_application", b"\xff", "blob"),
                ("match_address", "10.0.0.1/8", "no bit may be set"),
                ("match_address", "10.0.0.0/33", "write a network"),
                ("match_address", "nowhere", "write a network"),
                ("match_address", "10.0.0.0/8", "no address"),
                ("match_address", "local", "no address"),
                ("match_user", "root", "no users"),
                ("only_above_usage_ratio", 0.5, "no limit of connections"),
                ("only_above_usage_ratio", 2, "between 0 and 1"),
                ("spare", '["everything"]', "use listening"),
                ("spare", '["a"', "JSON array"),
                ("name", "", "1 to 63 bytes"),
                ("name", None, "name must not be null"),
                ("name", "x" * 64, "1 to 63 bytes"),
                ("match_state", "idle", "only its owner can close it"),
                ("match_state", "active", "never ended by a rule"),
                ("match_state", "idle in transaction (aborted)", "rolled back already"),
                ("action", "cancel", "nothing that can be cancelled")):
            with self.subTest(column=column, value=value):
                with self.assertRaises(sqlite3.OperationalError) as caught:
                    self.add(**{"name": "b", column: value})
                self.assertIn(wanted, str(caught.exception))
                self.assertIn("(hint: ", str(caught.exception))
                with self.assertRaises(sqlite3.OperationalError):
                    self.rows(f"UPDATE upkeep_reap_rules SET {column} = ?",
                              value if value is not None else "")
                self.assertEqual(self.rows("SELECT * FROM upkeep_reap_rules"), [DEFAULTS])

    def test_direct_only(self):
        self.rows("CREATE TRIGGER g AFTER INSERT ON t BEGIN"
                  " INSERT INTO upkeep_reap_rules (name) VALUES ('x'); END")
        self.refuses("unsafe use", "INSERT INTO t VALUES (1)")

    def test_a_state_file_that_others_wrote(self):
        self.add("a")
        self.add("b")
        with sqlite3.connect(self.path + "-upkeep") as db:
            db.execute("UPDATE reap_rules SET action = 'kill' WHERE name = 'a'")
            db.execute("UPDATE reap_rules SET idle_for = x'00' WHERE name = 'b'")
        db.close()
        self.assertEqual(self.rows("SELECT name, action FROM upkeep_reap_rules"), [("a", "kill")])

    def test_a_file_that_cannot_be_written(self):
        os.mkdir(self.path + "-upkeep")
        self.refuses("it is not a file", INSERT.format("", ""))
        os.rmdir(self.path + "-upkeep")
        self.add("a")


if __name__ == "__main__":
    unittest.main()
