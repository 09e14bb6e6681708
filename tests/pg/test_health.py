"""check_health, advise_settings, database_stats, table_sizes: each check with a state that makes it warn and one
that makes it ok, fixes that are run, roles, a hot standby."""
# cluster: max_connections=20
# cluster: max_prepared_transactions=5
# cluster: shared_preload_libraries=pg_stat_statements
# cluster: archive_mode=on
import os
import time
import unittest

from host import Asks, connect
from standby import Standby

READERS = ("check_health()", "index_findings", "unindexed_foreign_keys", "indexes", "database_stats",
           "table_sizes", "advise_settings()")


class HealthTest(Asks):
    def setUp(self):
        self.rows("ALTER SYSTEM RESET ALL")
        self.reload()

    def reload(self):
        """Returns when this session has read the configuration again."""
        before = self.value("SELECT pg_conf_load_time()")
        self.rows("SELECT pg_reload_conf()")
        self.wait(lambda: self.value("SELECT pg_conf_load_time()") > before)

    def wait(self, condition):
        for _ in range(200):
            if condition():
                return
            time.sleep(0.05)
        self.fail("what was waited for did not come in 10 s")

    def check(self, code, connection=None):
        with (connection or self.db).cursor() as cursor:
            cursor.execute("SELECT * FROM upkeep.check_health() WHERE code = %s", (code,))
            names = [column.name for column in cursor.description]
            (row,) = cursor.fetchall()
            return dict(zip(names, row))

    def expect(self, code, status, evidence=""):
        row = self.check(code)
        self.assertEqual(row["status"], status, row)
        self.assertIn(evidence, row["evidence"])
        self.assertEqual(row["advice"] is None, status == "ok", row)
        return row

    def run_fix(self, row):
        for statement in row["fix_sql"].split(";\n"):
            self.rows(statement)

    def fixed(self, code, evidence=""):
        """It warns (or fails), its fix runs, and then it is ok."""
        row = self.check(code)
        self.assertIn(row["status"], ("warn", "fail"), row)
        self.assertIn(evidence, row["evidence"])
        self.run_fix(row)
        self.wait(lambda: self.check(code)["status"] == "ok")

    def configure(self, **settings):
        for name, value in settings.items():
            self.rows(f"ALTER SYSTEM SET {name} = %s", value)
        self.reload()


class ConfigurationTest(HealthTest):
    def test_fresh_cluster(self):
        rows = self.dicts("SELECT * FROM upkeep.check_health()")
        self.assertGreaterEqual(len(rows), 40)
        status = {row["code"]: row["status"] for row in rows}
        # the throw-away cluster runs without fsync: the one thing that fails
        self.assertEqual([code for code, is_ in status.items() if is_ == "fail"], ["crash_safety"])
        for row in rows:
            self.assertNotIn("refused to tell", row["evidence"], row)
            self.assertTrue(row["evidence"] and row["title"])
        for code in ("daily_backup", "backups_verified", "backups_off_site", "recovery_tested",
                     "backup_retention", "point_in_time_recovery", "statement_timeout"):
            self.assertEqual(status[code], "unknown", code)
        for code in ("pool_size", "pool_pre_ping", "pool_recycle", "statement_echo", "database_size"):
            self.assertEqual(status[code], "manual", code)
        for code in ("wraparound", "not_valid_constraints", "unlogged_tables", "prepared_transactions",
                     "idle_in_transaction", "replication_slots", "superuser_sessions", "dead_rows"):
            self.assertEqual(status[code], "ok", code)

    def test_settings_are_fixed_by_their_fix(self):
        self.configure(log_statement="all", password_encryption="md5", autovacuum="off")
        self.assertEqual(self.check("autovacuum")["status"], "fail")
        for code, evidence in (("slow_statement_log", "log_min_duration_statement = -1"),
                               ("log_line_prefix", "'%m [%p] '"), ("track_io_timing", "track_io_timing = off"),
                               ("crash_safety", "fsync = off"), ("log_statement", "log_statement = all"),
                               ("password_encryption", "md5"), ("autovacuum", "autovacuum = off")):
            with self.subTest(code):
                self.fixed(code, evidence)

    def test_log_line_prefix_needs_all_four(self):
        for prefix, status in (("%m %u %d %a %Q", "ok"), ("%m %u %d %a", "warn"), ("%u%d%Q", "warn")):
            self.configure(log_line_prefix=prefix)
            self.expect("log_line_prefix", status)

    def test_sampling_counts_as_slow_log(self):
        self.configure(log_min_duration_sample="500ms")
        self.expect("slow_statement_log", "ok", "log_min_duration_sample = 500 at a rate of 1")
        self.configure(log_statement_sample_rate="0")
        self.expect("slow_statement_log", "warn", "at a rate of 0")

    def test_statement_statistics(self):
        self.fixed("statement_statistics", "preloaded and not installed")

    def test_library_preloaded_keeps_the_others(self):
        row = self.expect("library_preloaded", "warn", "'pg_stat_statements'")
        self.assertEqual(row["fix_sql"],
                         "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements', 'upkeep'")
        self.run_fix(row)

    def test_timeout_of_the_server(self):
        self.expect("global_statement_timeout", "ok")
        self.configure(statement_timeout="1h")
        self.fixed("global_statement_timeout", "3600000 ms by configuration file")
        self.rows("SET statement_timeout = '1h'")
        self.expect("global_statement_timeout", "unknown", "a value of its own")
        self.rows("RESET statement_timeout")

    def test_timeouts_of_roles(self):
        for code, setting in (("statement_timeout", "statement_timeout"), ("lock_timeout", "lock_timeout"),
                              ("idle_in_transaction_timeout", "idle_in_transaction_session_timeout")):
            with self.subTest(code):
                self.expect(code, "unknown", "no such role")
                self.rows('CREATE ROLE "App ""1""" LOGIN; CREATE ROLE app2 LOGIN; CREATE ROLE super LOGIN SUPERUSER')
                self.expect(code, "warn", '2 of 2 login roles that are no superuser have none: App "1", app2')
                self.rows(f"ALTER ROLE app2 SET {setting} = '1min'")
                self.expect(code, "warn", "1 of 2")
                self.fixed(code)
                self.rows(f"ALTER ROLE app2 IN DATABASE {self.database} SET {setting} = 0")  # beats the role's
                self.expect(code, "warn", ": app2 ")
                self.rows('DROP ROLE "App ""1""", app2, super')
                # the server's own setting counts for a role without one
                self.configure(**{setting: "1h"})
                self.rows("CREATE ROLE app2 LOGIN")
                self.expect(code, "ok")
                self.rows("DROP ROLE app2")
                self.rows(f"ALTER SYSTEM RESET {setting}")
                self.reload()

    def test_archiving(self):
        self.rows("SELECT pg_stat_reset_shared('archiver')")
        self.expect("wal_archiving", "unknown", "no segment has been archived yet")
        self.expect("point_in_time_recovery", "unknown", "no physical base backup is recorded")
        switch = "CREATE TABLE IF NOT EXISTS wal (a int); INSERT INTO wal VALUES (1); SELECT pg_switch_wal()"
        self.configure(archive_command="/bin/true")
        self.rows(switch)
        self.wait(lambda: self.check("wal_archiving")["status"] == "ok")
        self.configure(archive_command="/bin/false")
        self.rows(switch)
        self.wait(lambda: self.check("wal_archiving")["status"] == "fail")
        self.configure(archive_command="/bin/true")
        self.rows("DROP TABLE wal")


class ObjectsTest(HealthTest):
    def test_constraints(self):
        self.rows("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int); CREATE INDEX ON c (id);"
                  "ALTER TABLE c ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES p NOT VALID;"
                  "ALTER TABLE c ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
        self.addCleanup(self.rows, "DROP TABLE c, p")
        self.fixed("foreign_keys_enforced", "1 of 1 foreign keys are NOT VALID or have their triggers off: fk on public.c")
        self.fixed("not_valid_constraints", "positive on public.c")
        self.rows("ALTER TABLE c DISABLE TRIGGER ALL")
        self.fixed("foreign_keys_enforced")

    def test_indexes(self):
        self.rows("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int REFERENCES p, a int);"
                  "CREATE INDEX one ON c (a); CREATE INDEX two ON c (a)")
        self.addCleanup(self.rows, "DROP TABLE c, p")
        self.fixed("unindexed_foreign_keys", "1 of 1 foreign keys have no index: c (id)")
        self.fixed("redundant_indexes", ": two ")
        self.expect("unused_indexes", "unknown", "too early to say")
        self.expect("invalid_indexes", "ok")
        self.rows("INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (1, 1)")
        with self.assertRaises(Exception):
            self.rows("CREATE UNIQUE INDEX CONCURRENTLY broken ON c (a, id)")
        self.fixed("invalid_indexes", "broken")

    def test_tables(self):
        self.rows("CREATE UNLOGGED TABLE quick (a int)")
        self.fixed("unlogged_tables", "1 unlogged tables: public.quick")
        self.rows("CREATE TABLE worn (a int) WITH (autovacuum_enabled = off)")
        self.addCleanup(self.rows, "DROP TABLE quick, worn")
        self.rows("INSERT INTO worn SELECT generate_series(1, 30000)")
        self.rows("DELETE FROM worn WHERE a > 5000")
        self.rows("SELECT pg_stat_force_next_flush()")
        self.expect("stale_statistics", "warn", ": worn ")
        self.fixed("dead_rows", "public.worn (25000 dead, 5000 live)")
        self.expect("stale_statistics", "ok")
        self.fixed("autovacuum", "1 tables with it off: public.worn")

    def test_sequences(self):
        self.rows("CREATE SEQUENCE long; CREATE SEQUENCE short MAXVALUE 100; CREATE SEQUENCE down INCREMENT -1"
                  " MINVALUE -10 MAXVALUE 0; CREATE SEQUENCE round MAXVALUE 10 CYCLE; CREATE TABLE t (id smallserial);"
                  "CREATE SEQUENCE wide OWNED BY t.id")
        self.addCleanup(self.rows, "DROP SEQUENCE long, short, down, round; DROP TABLE t")
        self.rows("SELECT setval('long', 1000000), setval('round', 10)")
        self.expect("sequences_near_end", "ok")
        for sequence, at, status in (("short", 75, "warn"), ("short", 96, "fail"), ("short", 5, "ok"), ("down", -9, "fail"),
                                     ("down", -1, "ok"), ("t_id_seq", 32000, "fail"), ("t_id_seq", 1, "ok"),
                                     ("wide", 31000, "fail")):  # a bigint sequence behind a smallint column
            self.rows("SELECT setval(%s, %s)", sequence, at)
            row = self.expect("sequences_near_end", status)
            self.assertEqual(f"public.{sequence}" in row["evidence"], status != "ok", row)

    def test_transactions_and_sessions(self):
        other = connect(self.database, application_name="shop")
        self.addCleanup(other.close)
        self.expect("superuser_sessions", "warn", "postgres, shop")
        other.autocommit = False
        self.run_on(other, "SELECT 1")
        self.expect("idle_in_transaction", "ok", f"1 sessions are idle in a transaction: pid {other.info.backend_pid}")
        # inside one transaction sessions are looked at afresh
        self.rows("BEGIN")
        self.check("idle_in_transaction")
        other.rollback()
        self.expect("idle_in_transaction", "ok", "0 sessions")
        self.rows("COMMIT")
        self.run_on(other, "PREPARE TRANSACTION 'it''s'")
        self.expect("prepared_transactions", "ok", "1 prepared transactions: 'it''s' of postgres")
        other.rollback()
        other.autocommit = True
        self.run_on(other, "ROLLBACK PREPARED 'it''s'")
        self.run_on(other, "SET application_name = 'psql'")
        self.expect("superuser_sessions", "ok")

    def test_connection_headroom(self):
        room = 17
        used = self.value("SELECT sum(numbackends) FROM pg_stat_database")
        self.expect("connection_headroom", "ok", f"{used} of {room} connections")
        others = [connect("template1") for _ in range(14 - used)]
        self.wait(lambda: self.check("connection_headroom")["status"] == "warn")
        others += [connect("template1") for _ in range(3)]
        self.wait(lambda: self.check("connection_headroom")["status"] == "fail")
        for other in others:
            other.close()
        self.wait(lambda: self.check("connection_headroom")["status"] == "ok")

    def test_slots(self):
        self.rows("SELECT pg_create_physical_replication_slot('gone', true)")
        self.expect("replication_slots", "ok", "1 slots, 1 of them inactive: gone keeps ")
        self.rows("SELECT pg_drop_replication_slot('gone')")


class SizesTest(HealthTest):
    def test_table_sizes(self):
        self.rows("CREATE TABLE full_pages (a int, b text) WITH (autovacuum_enabled = off);"
                  "CREATE TABLE half (a int, b text, big text) WITH (autovacuum_enabled = off); CREATE INDEX ON half (a)")
        self.addCleanup(self.rows, "DROP TABLE full_pages, half")
        for table, columns in (("full_pages", "g, 'row number ' || g"), ("half", "g, 'row number ' || g, NULL")):
            self.rows(f"INSERT INTO {table} SELECT {columns} FROM generate_series(1, 20000) g")
        self.assertEqual(self.rows("SELECT bloat_ratio FROM upkeep.table_sizes"), [(None,), (None,)])
        self.rows("DELETE FROM half WHERE a % 2 = 0; ANALYZE")
        for name, table, index, toast, total in self.rows(
                "SELECT table_name, table_bytes, index_bytes, toast_bytes, total_bytes FROM upkeep.table_sizes"):
            self.assertEqual((table + toast, index, total), self.rows(
                "SELECT pg_table_size(%s), pg_indexes_size(%s), pg_total_relation_size(%s)", name, name, name)[0])
        bloat = dict(self.rows("SELECT table_name, bloat_ratio FROM upkeep.table_sizes"))
        self.assertLess(bloat["full_pages"], 0.15)
        self.assertAlmostEqual(bloat["half"], 0.5, delta=0.12)
        self.rows("VACUUM half")
        vacuumed, analyzed, rows = self.rows("SELECT last_vacuum_at > now() - interval '1 min', last_analyze_at IS NOT NULL,"
                                             " rows_estimate FROM upkeep.table_sizes WHERE table_name = 'half'")[0]
        self.assertEqual((vacuumed, analyzed, rows), (True, True, 10000))

    def test_database_stats(self):
        self.rows("SELECT pg_stat_force_next_flush()")
        row = self.dicts("SELECT * FROM upkeep.database_stats WHERE database_name = current_database()")[0]
        want = self.dicts("SELECT xact_commit AS commits, deadlocks, temp_bytes, blks_hit, blks_read FROM pg_stat_database"
                          " WHERE datname = current_database()")[0]
        self.assertEqual((row["deadlocks"], row["temp_bytes"]), (want["deadlocks"], want["temp_bytes"]))
        self.assertLessEqual(row["commits"], want["commits"])
        self.assertAlmostEqual(row["cache_hit_ratio"], want["blks_hit"] / (want["blks_hit"] + want["blks_read"]), places=2)
        self.assertEqual(row["max_connections"], 17)
        self.assertEqual(row["active"], 1)
        self.assertGreater(row["transactions_per_second"], 0)
        self.assertAlmostEqual(row["size_bytes"], self.value("SELECT pg_database_size(current_database())"), delta=1 << 20)
        self.assertLess(row["wraparound_ratio"], 0.01)
        other = connect(self.database)
        self.addCleanup(other.close)
        other.autocommit = False
        self.run_on(other, "SELECT 1")
        time.sleep(0.05)
        states = "SELECT active, idle, idle_in_transaction, oldest_transaction_ms >= 50 FROM upkeep.database_stats" \
                 " WHERE database_name = current_database()"
        self.assertEqual(self.rows(states), [(1, 0, 1, True)])
        other.rollback()
        self.assertEqual(self.rows(states)[0][:3], (1, 1, 0))


class SettingsTest(HealthTest):
    def settings(self, call="()"):
        return {row["name"]: row for row in self.dicts(f"SELECT * FROM upkeep.advise_settings{call}")}

    def test_given_machine(self):
        rows = self.settings("(8589934592, 4, 'ssd', 'web', 50)")
        self.assertEqual(rows["shared_buffers"]["advised_value"], "2048")
        self.assertEqual(rows["shared_buffers"]["current_value"], "128")
        self.assertTrue(rows["shared_buffers"]["needs_restart"])
        self.assertFalse(rows["work_mem"]["needs_restart"])
        self.assertEqual(rows["effective_cache_size"]["advised_value"], "4096")
        self.assertEqual(rows["work_mem"]["advised_value"], "20")

    def test_detected_machine(self):
        with open("/proc/meminfo", encoding="ascii") as file:
            ram = int(file.readline().split()[1]) * 1024
        row = self.settings()["shared_buffers"]
        self.assertLessEqual(int(row["advised_value"]), ram / 4 / (1 << 20))
        self.assertRegex(row["evidence"], r"RAM [0-9.]+ [GM]B \((/proc/meminfo|limit of the control group)\)")
        processors = int(self.settings()["max_parallel_workers"]["advised_value"])
        self.assertTrue(1 <= processors <= os.cpu_count())

    def test_all_of_it_runs(self):
        self.rows("CREATE ROLE \"Ap'p\" LOGIN")
        self.addCleanup(self.rows, "DROP ROLE \"Ap'p\"")
        for row in self.settings("(8589934592, 4)").values():
            for statement in (row["set_sql"] or "").split(";\n"):
                if statement:
                    self.rows(statement)
        self.rows("SELECT pg_reload_conf()")
        self.wait(lambda: self.value("SHOW log_lock_waits") == "on")
        left = {name for name, row in self.settings("(8589934592, 4)").items() if row["set_sql"]}
        self.assertEqual(left, {"shared_buffers", "statement_timeout", "lock_timeout",
                                "idle_in_transaction_session_timeout"})
        # the first of these needs a restart, the others are for roles and not for this session
        self.assertEqual(self.value("SELECT count(*) FROM pg_db_role_setting s, unnest(setconfig) c"
                                    " WHERE setrole = (SELECT oid FROM pg_roles WHERE rolname = 'Ap''p')"), 3)

    def test_bad_input(self):
        for call, wanted in (("(-1)", "ram_bytes must be between"), ("(cpus => 0)", "cpus must be between"),
                             ("(max_connections => 0)", "max_connections must be between"),
                             ("(storage => 'tape')", 'unknown storage "tape"'),
                             ("(workload => 'OLTP')", 'unknown workload "OLTP"'),
                             ("(storage => NULL)", "storage must not be null")):
            self.refuses("22023", wanted, f"SELECT * FROM upkeep.advise_settings{call}")


class RolesTest(HealthTest):
    def as_role(self, role):
        session = connect(self.database)
        self.addCleanup(session.close)
        self.run_on(session, f"SET ROLE {role}")
        return session

    def setUp(self):
        super().setUp()
        self.rows("CREATE ROLE watcher LOGIN IN ROLE pg_monitor; CREATE ROLE plain LOGIN; CREATE ROLE owner;"
                  "CREATE SEQUENCE hidden; ALTER SEQUENCE hidden OWNER TO owner; CREATE SCHEMA closed;"
                  "CREATE TABLE closed.t (a int); CREATE INDEX i1 ON closed.t (a); CREATE INDEX i2 ON closed.t (a)")
        self.addCleanup(self.rows, "DROP SCHEMA closed CASCADE; DROP SEQUENCE hidden; DROP OWNED BY plain;"
                                   "DROP ROLE watcher, plain, owner")

    def test_pg_monitor_sees_all(self):
        watcher = self.as_role("watcher")
        for reader in READERS:
            self.assertTrue(self.run_on(watcher, f"SELECT * FROM upkeep.{reader}")
                            or reader == "unindexed_foreign_keys", reader)
        for code, evidence in self.run_on(watcher, "SELECT code, evidence FROM upkeep.check_health()"):
            self.assertNotIn("refused to tell", evidence, code)
        row = self.check("sequences_near_end", watcher)  # pg_monitor may not read sequences
        self.assertEqual(row["status"], "unknown")
        self.assertIn("1 sequences are hidden from you", row["evidence"])

    def test_plain_role_is_refused(self):
        plain = self.as_role("plain")
        for reader in READERS:
            self.refuses("42501", "permission denied", f"SELECT * FROM upkeep.{reader}", connection=plain, hint=False)

    def test_plain_role_with_the_right_is_told_what_it_cannot_see(self):
        self.rows("GRANT EXECUTE ON FUNCTION upkeep.check_health() TO plain; GRANT SELECT ON upkeep.database_stats TO plain")
        plain = self.as_role("plain")
        row = self.check("idle_in_transaction", plain)
        self.assertEqual(row["status"], "unknown")
        self.assertIn("sessions are hidden from you: GRANT pg_read_all_stats TO plain", row["evidence"])
        row = self.check("library_preloaded", plain)
        self.assertEqual((row["status"], row["fix_sql"]), ("unknown", None))
        self.assertIn("refused to tell: must be superuser or have privileges of pg_read_all_settings", row["evidence"])
        self.assertEqual(self.run_on(plain, "SELECT active, idle, idle_in_transaction, oldest_transaction_ms"
                                            " FROM upkeep.database_stats WHERE database_name = current_database()"),
                         [(None, None, None, None)])
        self.assertEqual(self.check("redundant_indexes", plain)["status"], "warn")

    def test_nothing_is_left_in_the_transaction(self):
        """What a probe was refused does not end the caller's transaction."""
        self.rows("GRANT EXECUTE ON FUNCTION upkeep.check_health() TO plain")
        plain = self.as_role("plain")
        self.run_on(plain, "BEGIN READ ONLY")
        self.check("library_preloaded", plain)
        self.assertEqual(self.run_on(plain, "SELECT 1, current_setting('search_path')"), [(1, '"$user", public')])
        self.run_on(plain, "COMMIT")


class StandbyTest(HealthTest):
    def test_readers_on_a_hot_standby(self):
        self.rows("CREATE TABLE t (a int); CREATE INDEX one ON t (a); CREATE INDEX two ON t (a)")
        with Standby() as standby:
            standby.catch_up(self.db)
            session = standby.connect(self.database)
            for reader in READERS:
                rows = self.run_on(session, f"SELECT * FROM upkeep.{reader}")
                self.assertTrue(rows or reader == "unindexed_foreign_keys", reader)
            for code, evidence in self.run_on(session, "SELECT code, evidence FROM upkeep.check_health()"):
                self.assertNotIn("refused to tell", evidence, code)
            self.assertEqual(self.run_on(session, "SELECT index_name FROM upkeep.index_findings"), [("two",)])
            session.close()


if __name__ == "__main__":
    unittest.main()
