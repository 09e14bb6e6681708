# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.database=rules
"""The table of the reaper's rules: what is refused as it is written, who may write, where, and that a dump keeps it.

Run inside tests/pg/with_cluster.sh.
"""
import subprocess
import unittest

import psycopg2

from sessions_base import SessionsTest, connect, set_up

COLUMNS = ("name", "priority", "enabled", "match_database", "match_user", "match_application", "match_address",
           "match_state", "idle_for::text", "only_blocking", "only_above_usage_ratio", "keep_at_least", "max_per_minute",
           "action", "spare")
SELECT = f"SELECT {', '.join(COLUMNS)} FROM upkeep.reap_rules ORDER BY name"
# column, value, what the error names
BAD = (
    ("name", "''", "name"), ("name", "repeat('x', 64)", "name"), ("name", "NULL", "name must not be null"),
    ("priority", "NULL", "priority must not be null"), ("enabled", "NULL", "enabled must not be null"),
    ("match_state", "'disabled'", "match_state must not be disabled"), ("match_state", "NULL", "match_state"),
    ("match_state", "'active'", "a running statement is never ended"),
    ("idle_for", "'-1 s'", "idle_for must not be negative"), ("idle_for", "'178000000 years'", "idle_for is out of range"),
    ("match_user", "'a\\'", "match_user must not end with its escape character"),
    ("match_application", "repeat('x', 256)", "match_application must not be longer"),
    ("match_database", "'\\'", "match_database"), ("match_address", "'10.0.0.0/33'", "match_address must not be"),
    ("match_address", "'10.0.0.1/8'", "match_address must not be"), ("match_address", "'home'", "match_address"),
    ("only_above_usage_ratio", "1.01", "only_above_usage_ratio"), ("only_above_usage_ratio", "-1", "only_above_usage_ratio"),
    ("only_above_usage_ratio", "'NaN'", "only_above_usage_ratio"), ("keep_at_least", "-1", "keep_at_least"),
    ("max_per_minute", "0", "max_per_minute"), ("max_per_minute", "-1", "max_per_minute"),
    ("action", "'kill'", "action must not be"), ("action", "'cancel'", "nothing that can be cancelled"),
    ("spare", "'{cursor}'", "spare must not hold"), ("spare", "'{NULL}'", "spare must not contain null"),
    ("spare", "'{{listening},{listening}}'", "spare must be a one-dimensional array"), ("spare", "NULL", "spare"),
)


def setUpModule():
    set_up()
    db = connect()
    with db.cursor() as cursor:
        cursor.execute("CREATE DATABASE rules")
    db.close()


class RulesTest(SessionsTest):
    def setUp(self):
        super().setUp()
        self.elsewhere, self.db = self.db, self.open("postgres", "writer", database="rules")
        self.do(self.db, "CREATE EXTENSION IF NOT EXISTS upkeep")
        self.do(self.db, "DELETE FROM upkeep.reap_rules")

    def open(self, user="postgres", name="victim", **options):
        return super().open(user, name, **options)

    def test_defaults(self):
        self.db.notices.clear()
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name) VALUES ('a'), ('b')")
        self.assertEqual(len(self.db.notices), 1)  # a statement, not each row
        self.assertIn("nothing applies them while upkeep.reaper is off", self.db.notices[0])
        self.assertIn("HINT:", self.db.notices[0])
        row = self.rows(SELECT)[0]
        self.assertEqual(list(row.values()), [
            "a", 100, True, "%", "%", "%", None, "idle", "00:10:00", False, None, 0, None, "end",
            ["listening", "session_lock", "temp_table", "held_cursor"]])

    def test_a_rule_in_every_field(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules VALUES ('é', -5, false, 'shop', 'app\\_%', 'web', '10.0.0.0/8',"
                         " 'active', '1 min', true, 0.8, 2, 30, 'cancel', '{}')")
        self.assertEqual(list(self.rows(SELECT)[0].values()), [
            "é", -5, False, "shop", "app\\_%", "web", "10.0.0.0/8", "active", "00:01:00", True, 0.8, 2, 30, "cancel", []])
        self.do(self.db, "UPDATE upkeep.reap_rules SET match_state = 'idle', action = 'log', match_address = 'local'")
        self.do(self.db, "DELETE FROM upkeep.reap_rules")
        self.assertEqual(self.rows(SELECT), [])

    def test_bad_rules_are_refused_and_change_nothing(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name) VALUES ('good')")
        before = self.rows(SELECT)
        for column, value, wanted in BAD:
            statements = [f"UPDATE upkeep.reap_rules SET {column} = {value}"]
            if column == "name":
                statements.append(f"INSERT INTO upkeep.reap_rules (name) VALUES ('ok'), ({value})")
            else:
                statements.append(f"INSERT INTO upkeep.reap_rules (name, {column}) VALUES ('bad', {value})")
            for sql in statements:
                with self.subTest(sql), self.assertRaises(psycopg2.Error) as caught:
                    self.do(self.db, sql)
                self.assertEqual(caught.exception.pgcode, "22023", caught.exception)
                self.assertIn(wanted, caught.exception.diag.message_primary)
                self.assertTrue(caught.exception.diag.message_hint, sql)
        self.assertEqual(self.rows(SELECT), before)
        self.refuses("23505", "reap_rules_pkey", "INSERT INTO upkeep.reap_rules (name) VALUES ('good')")

    def test_only_the_named_database_takes_rules(self):
        for sql in ("INSERT INTO upkeep.reap_rules (name) VALUES ('a')",
                    "INSERT INTO upkeep.reap_rules (name, idle_for) VALUES ('a', '-1 s')"):
            self.refuses("0A000", "rules are kept in database rules", sql, db=self.elsewhere)
        self.do(self.elsewhere, "INSERT INTO upkeep.reap_rules SELECT * FROM upkeep.reap_rules")  # no row, as in a dump
        self.assertEqual(self.rows("SELECT * FROM upkeep.reap_rules", db=self.elsewhere), [])
        self.assertEqual(self.rows(SELECT), [])

    def test_check_health_shows_rules_for_nobody(self):
        def check():
            return self.rows("SELECT status, evidence, fix_sql FROM upkeep.check_health() WHERE code = 'reap_rules'")[0]
        self.assertEqual(check()["status"], "ok")
        self.do(self.db, "CREATE ROLE leaver LOGIN; INSERT INTO upkeep.reap_rules (name, match_user) VALUES ('r', 'leaver')")
        self.assertEqual(check()["status"], "ok")
        self.assertIn("1 rules are enabled, upkeep.reaper is off: nothing applies them", check()["evidence"])
        self.do(self.db, "DROP ROLE leaver; INSERT INTO upkeep.reap_rules (name, match_database) VALUES ('d', 'no_such')")
        seen = check()
        self.assertEqual(seen["status"], "warn")
        self.assertIn("r: no role is like 'leaver'", seen["evidence"])
        self.assertIn("d: no database is like 'no_such'", seen["evidence"])
        self.do(self.db, seen["fix_sql"])
        self.assertEqual(check()["status"], "ok")

    def test_who_may_read_and_write(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name) VALUES ('a')")
        for role, may_read in (("r_monitor", True), ("r_both", True), ("r_signal", False), ("r_plain", False)):
            session = self.open(role, database="rules")
            if may_read:
                self.assertEqual([row["name"] for row in self.rows(SELECT, db=session)], ["a"])
            else:
                self.refuses("42501", "reap_rules", SELECT, db=session)
            for sql in ("INSERT INTO upkeep.reap_rules (name) VALUES ('b')", "DELETE FROM upkeep.reap_rules",
                        "UPDATE upkeep.reap_rules SET priority = 1", "TRUNCATE upkeep.reap_rules"):
                self.refuses("42501", "reap_rules", sql, db=session)
        self.assertEqual(len(self.rows(SELECT)), 1)

    def test_the_trigger_serves_this_table_only(self):
        self.do(self.db, "CREATE TEMP TABLE other (name int, priority text)")
        self.do(self.db, "CREATE TRIGGER x BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION upkeep.check_reap_rules()")
        self.refuses("0A000", "trigger of upkeep.reap_rules only", "INSERT INTO other VALUES (1, 'x')")
        session = self.open("r_plain", database="rules")
        self.do(session, "CREATE TEMP TABLE other (name text)")
        self.refuses("42501", "check_reap_rules", "CREATE TRIGGER x BEFORE INSERT ON other FOR EACH ROW"
                     " EXECUTE FUNCTION upkeep.check_reap_rules()", db=session)

    def test_columns_of_the_owners_own_do_no_harm(self):
        self.do(self.db, "ALTER TABLE upkeep.reap_rules ADD note text, ADD gone int")
        self.do(self.db, "ALTER TABLE upkeep.reap_rules DROP gone")
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name, note) VALUES ('a', 'why')")
        self.refuses("22023", "idle_for", "UPDATE upkeep.reap_rules SET idle_for = '-1 s'")
        self.assertEqual([row["note"] for row in self.rows("SELECT note FROM upkeep.reap_rules")], ["why"])
        self.do(self.db, "ALTER TABLE upkeep.reap_rules DROP note")

    def test_a_dump_holds_the_rules(self):
        self.do(self.db, "INSERT INTO upkeep.reap_rules (name, match_application, spare) VALUES ('kept', 'w\\_b', '{}')")
        before = self.rows(SELECT)
        dump = subprocess.run(["pg_dump", "rules"], check=True, capture_output=True, text=True).stdout
        self.db.close()
        self.do(self.elsewhere, "DROP DATABASE rules")
        self.do(self.elsewhere, "CREATE DATABASE rules TEMPLATE template0")
        self.do(self.elsewhere, "CREATE DATABASE another TEMPLATE template0")
        psql = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null"]
        subprocess.run([*psql, "-d", "rules"], input=dump, check=True, capture_output=True, text=True)
        self.db = self.open(database="rules")
        self.assertEqual(self.rows(SELECT), before)
        other = subprocess.run([*psql, "-d", "another"], input=dump, check=False, capture_output=True, text=True)
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("rules are kept in database rules", other.stderr)

    def test_a_dump_without_rules_goes_anywhere(self):
        dump = subprocess.run(["pg_dump", "rules"], check=True, capture_output=True, text=True).stdout
        self.do(self.elsewhere, "CREATE DATABASE anywhere TEMPLATE template0")
        done = subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", "anywhere"], input=dump,
                              check=False, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
