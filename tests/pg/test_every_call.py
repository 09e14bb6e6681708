"""Every registered call, found in the catalog (later ones are in it by themselves): what the library cannot do when
it is not preloaded it says, on a real hot standby readers read and actors refuse, and each role gets what it is granted."""
import re
import unittest

import psycopg2

from host import Asks, connect
from standby import Standby

# What a call is given beside its defaults; the others get a value of the parameter's type.
ARGUMENTS = {
    "advise_indexes": "ARRAY['SELECT * FROM workflow_executions WHERE retry_count = 7']",
    "advise_budget_curve": "ARRAY['SELECT * FROM workflow_executions WHERE retry_count = 7'], NULL, ARRAY[1000000]",
    "explain_rejections": "ARRAY['SELECT * FROM workflow_executions WHERE retry_count = 7']",
    "what_if": "'SELECT * FROM workflow_executions WHERE retry_count = 7', '{}'",
    "explain_statement": "'SELECT 1'",
    "verify_indexes": "ARRAY['CREATE INDEX ON workflow_executions (retry_count)'], confirm => true",
    "end_session": "{other}",
    "report": "'text'",
    "percentile_sketch": "1.5",
    "report_pool": "'p', 5, 1, 0, 0",
    "record_backup": "'dump', '/backups/1', 1, 'recorded'",
    "prune_workflows": "'1 day', '1 day'",
}
BY_TYPE = {"integer": "1", "bigint": "1", "double precision": "0.5", "text": "'x'", "text[]": "'{}'",
           "regclass": "'workflow_executions'", "interval": "'1 day'", "boolean": "false", "bytea": "'\\x'",
           "jsonb": "'{}'", "upkeep.sketch": "upkeep.sketch_from_bytea('\\x')"}
# Readers that may find nothing to read by these arguments: then they say so, with a hint.
MAY_FIND_NOTHING = {"execution_detail", "sketch_from_bytea", "sketch_count", "sketch_quantile", "merge_sketches"}
# Actors that change the memory of this server only: they work on a standby too.
OWN_MEMORY = {"reset_statements", "report_pool"}
# Readers that are PARALLEL UNSAFE because they go on after a part that fails, which takes a subtransaction.
READERS = {"metric_samples", "metrics", "report", "explain_statement"}
# To everyone: each of these checks the caller's own rights, or touches nothing.
PUBLIC = {"version", "capabilities", "advise_progress", "report_pool", "sketch_from_bytea", "percentile_sketch", "merge_sketches",
          "sketch_quantile", "sketch_count", "what_if", "advise_indexes", "advise_budget_curve", "explain_rejections",
          "explain_statement", "verify_indexes", "install_workflow_schema", "workflow_drift", "track_workflows",
          "untrack_workflows", "rebuild_workflow_stats"}
ROLES = {"every_plain": "", "every_monitor": "pg_monitor", "every_signal": "pg_signal_backend",
         "every_stats": "pg_read_all_stats", "every_both": "pg_monitor, pg_signal_backend"}

FUNCTIONS = """
SELECT p.proname, p.oid::regprocedure::text, p.pronargs - p.pronargdefaults, p.proparallel = 'u', p.proretset,
    ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS x(t, n) ORDER BY n)
FROM pg_proc p WHERE p.pronamespace = 'upkeep'::regnamespace AND p.prokind IN ('f', 'a')
    AND NOT p.proargtypes::oid[] && ARRAY['internal', 'cstring']::regtype[]::oid[]
    AND p.prorettype <> ALL ('{internal, cstring, trigger, event_trigger}'::regtype[])
    AND p.proname <> 'sketch_send'
ORDER BY 1"""
VIEWS = "SELECT relname FROM pg_class WHERE relnamespace = 'upkeep'::regnamespace AND relkind = 'v' ORDER BY 1"
# Rows of the catalogs, as a digest: what a reader must leave as it is.
CATALOGS = ("pg_class", "pg_proc", "pg_attribute", "pg_namespace", "pg_depend", "pg_statistic", "pg_authid", "pg_database",
            "pg_db_role_setting")


class Call:
    """One thing to type: a view, or a function with arguments."""

    def __init__(self, name, sql, signature=None, acts=False):
        self.name, self.sql, self.signature, self.acts = name, sql, signature, acts


def calls(ask):
    found = [Call(name, f"SELECT * FROM upkeep.{name}") for name, in ask(VIEWS)]
    for name, signature, required, acts, is_set, types in ask(FUNCTIONS):
        arguments = ARGUMENTS.get(name) or ", ".join(BY_TYPE[of_type] for of_type in types[:required])
        head = "SELECT * FROM" if is_set else "SELECT"
        found.append(Call(name, f"{head} upkeep.{name}({arguments})", signature, acts and name not in READERS))
    return found


class EveryCall(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "SELECT * FROM upkeep.install_workflow_schema()")
        cls.run_on(cls.db, """INSERT INTO workflows (id, name, status) VALUES (gen_random_uuid(), 'w', 'active');
            INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at)
            SELECT gen_random_uuid(), id, 'e1', 'completed', now() - interval '2 s', now() FROM workflows""")
        for role, memberships in ROLES.items():
            cls.run_on(cls.db, f"CREATE ROLE {role} LOGIN")
            if memberships:
                cls.run_on(cls.db, f"GRANT {memberships} TO {role}")
        cls.calls = calls(lambda sql: cls.run_on(cls.db, sql))

    def call(self, connection, call):
        """The error of a call, or None. Whatever it does is rolled back. `{other}`: a session of nobody else."""
        sql = call.sql.replace("{other}", str(self.db.get_backend_pid()) if connection is not self.db else "0")
        self.run_on(connection, "BEGIN")
        try:
            self.run_on(connection, sql)
            return None
        except psycopg2.Error as error:
            self.assertEqual(connection.closed, 0, f"the session did not survive {sql}")
            return error
        finally:
            self.run_on(connection, "ROLLBACK")

    def check(self, call, error):
        """It returned, or it said in the house's style what is missing."""
        if error is None:
            return
        self.assertNotRegex(error.pgcode, "^(XX|57|58|40)", call.sql)
        self.assertTrue(error.diag.message_hint, f"no hint: {call.sql}: {error}")
        self.assertFalse(error.diag.message_primary.endswith("."), error)

    def test_all_calls_are_found(self):
        names = {call.name for call in self.calls}
        self.assertGreaterEqual(names, {"version", "capabilities", "advise_indexes", "what_if", "statements", "percentile",
                                        "connections", "reap_sessions", "workflow_stats", "merge_sketches", "check_health",
                                        "indexes"})

    def test_without_preload(self):
        for call in self.calls:
            with self.subTest(call.sql):
                self.db.notices.clear()
                error = self.call(self.db, call)
                self.check(call, error)
                for notice in self.db.notices:
                    self.assertIn("HINT:", notice)
                if error is not None and not call.acts:
                    self.assertIn(call.name, MAY_FIND_NOTHING, error)

    def test_readers_leave_no_trace(self):
        def digests():
            return {name: self.rows(f"SELECT count(*), md5(string_agg(x.ctid::text || x.xmin, ' ' ORDER BY x.ctid))"
                                    f" FROM {name} AS x") for name in CATALOGS}

        before = digests(), self.rows("SELECT name, setting FROM pg_settings ORDER BY 1")
        for call in self.calls:
            if call.acts:
                continue
            with self.subTest(call.sql):
                self.run_on(self.db, "BEGIN")
                try:
                    self.rows(call.sql)
                    self.assertIsNone(self.value("SELECT pg_current_xact_id_if_assigned()"))
                    self.assertEqual(self.rows("SELECT mode, relation::regclass::text FROM pg_locks WHERE pid ="
                                               " pg_backend_pid() AND mode <> 'AccessShareLock' AND locktype <> 'virtualxid'"),
                                     [])
                except psycopg2.Error as error:
                    self.assertIn(call.name, MAY_FIND_NOTHING, error)
                finally:
                    self.run_on(self.db, "ROLLBACK")
        self.assertEqual((digests(), self.rows("SELECT name, setting FROM pg_settings ORDER BY 1")), before)

    def test_on_a_hot_standby(self):
        with Standby() as standby:
            standby.catch_up(self.db)
            session = standby.connect(self.database)
            self.assertEqual(self.run_on(session, "SELECT pg_is_in_recovery()"), [(True,)])
            for call in self.calls:
                with self.subTest(call.sql):
                    error = self.call(session, call)
                    self.check(call, error)
                    if call.acts and call.name not in OWN_MEMORY:
                        self.assertIsNotNone(error, "an actor went on")
                        self.assertEqual(error.pgcode, "25006", error)
                    elif error is not None:
                        self.assertIn(call.name, MAY_FIND_NOTHING, error)
            session.close()

    def granted(self, role, call):
        """May the role use the call, by the catalog?"""
        if call.signature:
            return self.value("SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, call.signature)
        own = self.rows("SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'upkeep'::regnamespace"
                        " AND proname = %s AND pronargs = 0", call.name)
        return self.value("SELECT has_table_privilege(%s, %s, 'SELECT')", role, "upkeep." + call.name) and all(
            self.value("SELECT has_function_privilege(%s, %s, 'EXECUTE')", role, name) for name, in own)

    def wanted(self, role, call):
        """May it, by the design: reading to pg_monitor, ending sessions to pg_signal_backend?"""
        if call.name in PUBLIC:
            return True
        if call.name in ("end_session", "reap_sessions"):
            return "pg_signal_backend" in ROLES[role]
        return "pg_monitor" in ROLES[role] and not call.acts

    def test_each_role_gets_what_it_is_granted(self):
        for role in ROLES:
            session = connect(self.database, user=role)
            for call in self.calls:
                with self.subTest(f"{role}: {call.sql}"):
                    granted = self.granted(role, call)
                    self.assertEqual(granted, self.wanted(role, call))
                    error = self.call(session, call)
                    denied = error is not None and error.pgcode == "42501" and re.match(
                        rf"permission denied for (view|function|aggregate) {call.name}$", error.diag.message_primary)
                    self.assertEqual(not denied, granted, error)
                    if granted:
                        self.assertFalse(error is not None and re.match("permission denied for (view|function) ",
                                                                        error.diag.message_primary), error)
            session.close()


if __name__ == "__main__":
    unittest.main()
