"""install_workflow_schema in PostgreSQL: every object against tests/spec/schema.tsv, privileges,
dump and restore. Runs inside with_cluster.sh (PGHOST, PGPORT, PGUSER); makes databases of its own."""
import pathlib
import subprocess
import sys
import threading
import unittest

import psycopg2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))
import engine_tables  # noqa: E402
import promised_schema as spec  # noqa: E402

CALL = "SELECT * FROM upkeep.install_workflow_schema"
INSTALL = CALL + "()"


def connect(database="postgres"):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection


def remake_database(name):
    admin = connect()
    with admin.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {name}")
    admin.close()


class SchemaCase(unittest.TestCase):
    database = "upkeep_schema_test"

    def setUp(self):
        remake_database(self.database)
        self.db = connect(self.database)
        self.addCleanup(lambda: self.db.close())
        self.run_sql("CREATE EXTENSION upkeep")

    def run_sql(self, sql, *parameters):
        with self.db.cursor() as cursor:
            cursor.execute(sql, parameters or None)

    def rows(self, sql, *parameters):
        with self.db.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall()

    def value(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0]

    def refuses(self, wanted, sql, *parameters, hint=None, code=None):
        with self.assertRaises(psycopg2.Error) as caught:
            self.rows(sql, *parameters)
        self.assertIn(wanted, caught.exception.diag.message_primary, sql)
        if hint is not None:
            self.assertIn(hint, caught.exception.diag.message_hint or "")
        if code is not None:
            self.assertEqual(caught.exception.pgcode, code)

    def catalog(self):
        """All that an installation could have changed."""
        return self.rows(
            "SELECT 'c', oid::text, relname, xmin::text FROM pg_class WHERE relnamespace::regnamespace::text <> 'pg_toast'"
            " UNION ALL SELECT 'k', oid::text, conname, xmin::text FROM pg_constraint"
            " UNION ALL SELECT 'a', attrelid::text, attname, xmin::text FROM pg_attribute WHERE attnum > 0"
            " UNION ALL SELECT 's', oid::text, nspname, xmin::text FROM pg_namespace ORDER BY 1, 2, 3")

    def refuses_unchanged(self, *arguments, **options):
        before = self.catalog()
        self.refuses(*arguments, **options)
        self.assertEqual(self.catalog(), before)

    def found(self, schema):
        """(tables, columns, constraints, indexes) as tests/spec/README.md says they are written."""
        self.run_sql(f'SET search_path = "{schema}"')
        tables = [row[0] for row in self.rows(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p')"
            " ORDER BY oid", f'"{schema}"')]
        columns = self.rows(
            "SELECT c.relname, a.attname, format_type(atttypid, atttypmod)"
            " || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END"
            " || coalesce(' DEFAULT ' || pg_get_expr(adbin, adrelid), '')"
            " FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0"
            " LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum"
            " WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p') AND NOT attisdropped"
            " ORDER BY c.oid, attnum", f'"{schema}"')
        constraints = self.rows(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = %s::regnamespace", f'"{schema}"')
        indexes = self.rows(
            "SELECT t.relname, i.relname, substring(pg_get_indexdef(i.oid) FROM ' USING (.*)$')"
            " FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_class t ON t.oid = indrelid"
            " WHERE i.relnamespace = %s::regnamespace"
            " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)", f'"{schema}"')
        self.run_sql("RESET search_path")
        return tables, columns, sorted(constraints), sorted(indexes)

    def promised(self, profile):
        return ([name for _, name, _ in spec.promised(profile, "pg", "table")],
                spec.promised(profile, "pg", "column"),
                sorted((table, rule) for table, _, rule in spec.promised(profile, "pg", "constraint")),
                sorted(spec.promised(profile, "pg", "index")))


class PromisedTest(SchemaCase):
    def test_every_object_of_both_profiles(self):
        self.run_sql('CREATE SCHEMA "The ""Guide"')
        for profile, schema in (("corrected", "public"), ("guide", 'The "Guide')):
            rows = self.rows(CALL + "(%s, %s)", schema, profile)
            self.assertEqual(sorted(rows), spec.result_rows(profile, "pg", "created"))
            for found, promised in zip(self.found(schema.replace('"', '""')), self.promised(profile)):
                self.assertEqual(found, promised)

    def test_checks_refuse_rows(self):
        self.rows(INSTALL)
        self.run_sql("INSERT INTO workflows (id, name) VALUES (%s, 'w')", "00000001-0000-4000-8000-000000000001")
        for status, started, completed in (("nonsense", "now", None), ("completed", "2026-01-02", "2026-01-01")):
            with self.assertRaises(psycopg2.errors.CheckViolation):
                self.run_sql("INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at,"
                             " completed_at) SELECT id, 'e', %s, %s, %s FROM workflows", status, started, completed)

    def test_ordinary_objects(self):
        self.rows(CALL + "('public', 'corrected', true)")
        self.assertEqual(self.rows(
            "SELECT objid::regclass FROM pg_depend WHERE refclassid = 'pg_extension'::regclass"
            " AND classid = 'pg_class'::regclass"
            " AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"), [])
        tables = self.found("public")
        self.run_sql("DROP EXTENSION upkeep")
        self.assertEqual(self.found("public"), tables)

    def test_belongs_to_the_caller(self):
        self.run_sql("DROP ROLE IF EXISTS upkeep_app; CREATE ROLE upkeep_app")
        self.addCleanup(connect().cursor().execute, "DROP ROLE upkeep_app")
        self.addCleanup(lambda: self.run_sql("RESET ROLE; DROP OWNED BY upkeep_app"))
        self.run_sql("CREATE SCHEMA app AUTHORIZATION upkeep_app; SET ROLE upkeep_app")
        self.assertEqual(sorted(self.rows(CALL + "('app')")), spec.result_rows("corrected", "pg", "created"))
        self.assertEqual(self.rows("SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'app'"),
                         [("upkeep_app",)])


class AgainTest(SchemaCase):
    def test_second_installation_changes_nothing(self):
        self.run_sql("CREATE SCHEMA g")
        for profile, schema in (("corrected", "public"), ("guide", "g")):
            self.rows(CALL + "(%s, %s)", schema, profile)
            before = self.catalog()
            for _ in range(2):
                self.assertEqual(sorted(self.rows(CALL + "(%s, %s)", schema, profile)),
                                 spec.result_rows(profile, "pg", "exists"))
            self.assertEqual(self.catalog(), before)

    def test_completes_what_is_missing(self):
        self.rows(INSTALL)
        self.run_sql("DROP TABLE execution_logs; DROP INDEX idx_workflows_created_at")
        created = {name for _, name, action in self.rows(INSTALL) if action == "created"}
        self.assertEqual(created, {"execution_logs", "idx_workflows_created_at"} |
                         {name for table, name, _ in spec.promised("corrected", "pg", "index")
                          if table == "execution_logs"})
        self.assertEqual(self.found("public")[1:][2], self.promised("corrected")[3])

    def test_whatever_the_search_path(self):
        self.run_sql("""CREATE SCHEMA evil;
            CREATE TYPE evil.text AS (x int);
            CREATE TYPE evil.jsonb AS ENUM ('planted');
            CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT timestamptz ''epoch''';
            CREATE FUNCTION evil.gen_random_uuid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid';
            CREATE FUNCTION evil.eq(varchar, varchar) RETURNS bool LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR evil.= (FUNCTION = evil.eq, LEFTARG = varchar, RIGHTARG = varchar);
            CREATE TABLE evil.workflows (planted int);
            CREATE TEMP TABLE workflows (planted int)""")
        for path in ("evil, pg_catalog", '""', "pg_temp, evil"):
            self.rows("SELECT set_config('search_path', %s, false)", path)
            action = "created" if path.startswith("evil") else "exists"
            self.assertEqual(sorted(self.rows(INSTALL)), spec.result_rows("corrected", "pg", action))
            self.assertEqual(self.value("SHOW search_path"), path)
        self.run_sql("DROP TABLE pg_temp.workflows")
        self.assertEqual(self.found("public")[1:], self.promised("corrected")[1:])

    def test_two_sessions_at_once(self):
        other = psycopg2.connect(dbname=self.database)
        with other.cursor() as cursor:
            cursor.execute(INSTALL)
            results = []
            thread = threading.Thread(target=lambda: results.append(self.rows(INSTALL)))
            thread.start()
            thread.join(0.5)
            self.assertTrue(thread.is_alive())  # waits for the first one's transaction
            other.commit()
            thread.join(30)
        self.assertEqual(sorted(results[0]), spec.result_rows("corrected", "pg", "exists"))
        other.close()

    def test_waiting_disturbs_nobody_else(self):
        other = psycopg2.connect(dbname=self.database)
        other.cursor().execute(INSTALL)
        self.run_sql("SET lock_timeout = '2s'; CREATE TABLE mine (x int); DROP TABLE mine")
        other.rollback()
        other.close()
        self.assertEqual(len(self.rows(INSTALL)), 43)


class DumpTest(SchemaCase):
    def test_dump_and_restore_keep_the_users_own(self):
        self.rows(CALL + "('public', 'corrected', true)")
        self.run_sql("ALTER TABLE workflows ADD COLUMN team text NOT NULL DEFAULT 'none' CHECK (team <> '')")
        self.run_sql("CREATE INDEX mine ON workflows (team)")
        self.run_sql("DROP INDEX idx_workflows_created_at")
        self.run_sql("INSERT INTO workflows (name, team) VALUES ('w', 'blue')")
        dump = subprocess.run(["pg_dump", self.database], check=True, capture_output=True, text=True).stdout
        copy = self.database + "_copy"
        remake_database(copy)
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", copy], input=dump, check=True,
                       capture_output=True, text=True)
        before = self.rows("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1")
        self.db.close()
        self.db = connect(copy)
        self.assertEqual(before, self.rows(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"))
        self.assertEqual(self.rows("SELECT name, team FROM workflows"), [("w", "blue")])
        # The server now prints its IN lists in another form: still ours.
        restored = {action for kind, name, action in self.rows(CALL + "('public', 'corrected', true)")
                    if kind != "index" or name not in dict(spec.fates("corrected", "pg"))}
        self.assertEqual(restored, {"exists"})
        self.assertEqual(self.value("SELECT count(*) FROM pg_indexes WHERE indexname = 'idx_workflows_created_at'"), 1)
        self.db.close()
        connect().cursor().execute(f"DROP DATABASE {copy}")


class RefusalTest(SchemaCase):
    """One clear error, nothing changed."""

    def test_foreign_tables(self):
        for ddl, undo, wanted in (
                ("CREATE TABLE workflows (id serial PRIMARY KEY, title text)", "DROP TABLE workflows",
                 "table workflows: column id is integer NOT NULL DEFAULT nextval"),
                ("CREATE TABLE integrations (id uuid)", "DROP TABLE integrations",
                 "table integrations has no column name"),
                ("CREATE VIEW execution_logs AS SELECT 1", "DROP VIEW execution_logs", "execution_logs is a view"),
                ("CREATE SEQUENCE idx_workflows_created_at", "DROP SEQUENCE idx_workflows_created_at",
                 "idx_workflows_created_at is a sequence"),
                ("CREATE TABLE t (x int); CREATE INDEX idx_workflows_created_at ON t (x)", "DROP TABLE t",
                 "index idx_workflows_created_at is on t, not on workflows"),
                ("CREATE TYPE workflows AS (x int)", "DROP TYPE workflows", "workflows is a type")):
            self.run_sql(ddl)
            self.refuses_unchanged(wanted, INSTALL, hint="install into another schema", code="22023")
            self.run_sql(undo)
        self.assertEqual(len(self.rows(INSTALL)), 43)

    def test_almost_the_same_tables(self):
        self.rows(INSTALL)
        for change, wanted in (
                ("ALTER TABLE workflows ALTER config TYPE json", "column config is json NOT NULL"),
                ("ALTER TABLE workflows ALTER name TYPE varchar(100)", "column name is character varying(100)"),
                ("ALTER TABLE workflows ALTER status DROP NOT NULL", "column status is"),
                ("ALTER TABLE workflows ALTER created_at DROP DEFAULT", "column created_at is timestamp with time zone NOT NULL, not"),
                ("ALTER TABLE workflows ALTER created_at SET DEFAULT clock_timestamp()", "DEFAULT clock_timestamp()"),
                ("ALTER TABLE workflows DROP CONSTRAINT workflows_name_key", "table workflows lacks UNIQUE (name)"),
                ("ALTER TABLE workflows DROP CONSTRAINT workflows_status_check, ADD CHECK (status IN ('active', 'paused'))",
                 "table workflows lacks CHECK (status"),
                ("ALTER TABLE integration_events DROP CONSTRAINT integration_events_integration_id_fkey,"
                 " ADD FOREIGN KEY (integration_id) REFERENCES integrations", "lacks FOREIGN KEY (integration_id)"),
                ("ALTER TABLE execution_logs DROP COLUMN step_name", "execution_logs has no column step_name"),
                ("DROP INDEX idx_execution_logs_errors; CREATE INDEX idx_execution_logs_errors ON execution_logs"
                 " (created_at) WHERE level = 'ERROR'", "index idx_execution_logs_errors is btree"),
                ("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'idx_execution_logs_errors'::regclass",
                 "index idx_execution_logs_errors is invalid")):
            self.run_sql("BEGIN")
            self.run_sql(change)
            self.refuses(wanted, INSTALL)
            self.run_sql("ROLLBACK")

    def test_keys_into_another_schema(self):
        self.run_sql("CREATE SCHEMA other")
        self.rows(CALL + "('other')")
        self.rows(INSTALL)
        self.run_sql("ALTER TABLE workflow_triggers DROP CONSTRAINT workflow_triggers_workflow_id_fkey,"
                     " ADD FOREIGN KEY (workflow_id) REFERENCES other.workflows ON DELETE CASCADE")
        self.refuses_unchanged("table workflow_triggers lacks FOREIGN KEY (workflow_id)", INSTALL)

    def test_the_other_profile(self):
        self.rows(CALL + "('public', 'guide')")
        self.refuses_unchanged("another shape", INSTALL, hint="these are the tables of profile guide")

    def test_bad_arguments(self):
        for arguments, wanted, code in (
                ("('nope')", 'schema "nope" does not exist', "3F000"), ("('')", 'schema "" does not exist', "3F000"),
                ("('PUBLIC')", 'schema "PUBLIC" does not exist', "3F000"),
                ("('pg_catalog')", 'target_schema must not be "pg_catalog"', "22023"),
                ("('information_schema')", "target_schema must not be", "22023"),
                ("('upkeep')", 'target_schema must not be "upkeep"', "22023"),
                ("(NULL)", "target_schema must not be null", "22023"),
                ("(profile => 'nope')", 'unknown profile "nope"', "22023"),
                ("(profile => NULL)", "profile must not be null", "22023"),
                ("(stamp_alembic => NULL)", "stamp_alembic must not be null", "22023"),
                ("('public', 'guide', true)", "stamp_alembic does not go with profile guide", "22023")):
            self.refuses_unchanged(wanted, CALL + arguments, hint="", code=code)

    def test_missing_rights(self):
        self.run_sql("DROP ROLE IF EXISTS upkeep_plain; CREATE ROLE upkeep_plain")
        self.addCleanup(connect().cursor().execute, "DROP ROLE upkeep_plain")
        self.addCleanup(lambda: self.run_sql("RESET ROLE; DROP OWNED BY upkeep_plain"))
        self.run_sql("SET ROLE upkeep_plain")
        self.refuses_unchanged('permission denied for schema "public"', INSTALL, hint="GRANT USAGE, CREATE", code="42501")
        self.run_sql("RESET ROLE")
        self.rows(INSTALL)
        self.run_sql("SET ROLE upkeep_plain")  # nothing to do needs no right
        self.assertEqual(sorted(self.rows(INSTALL)), spec.result_rows("corrected", "pg", "exists"))
        self.run_sql("RESET ROLE; GRANT CREATE ON SCHEMA public TO upkeep_plain;"
                     " DROP INDEX idx_execution_logs_errors; SET ROLE upkeep_plain")
        self.refuses_unchanged("must be owner of table execution_logs to add index idx_execution_logs_errors",
                               INSTALL, code="42501")

    def test_read_only_transaction(self):
        self.run_sql("BEGIN READ ONLY")
        self.refuses("in a read-only transaction", INSTALL, hint="a transaction that may write", code="25006")
        self.run_sql("ROLLBACK")

    def test_a_failure_half_way_changes_nothing(self):
        self.run_sql("""CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
                       WHERE object_identity = 'public.idx_execution_logs_action') THEN
                RAISE 'stopped here'; END IF; END $$;
            CREATE EVENT TRIGGER stop ON ddl_command_end EXECUTE FUNCTION stop()""")
        self.refuses_unchanged("stopped here", INSTALL)
        self.run_sql("""DO $$ BEGIN PERFORM upkeep.install_workflow_schema();
            EXCEPTION WHEN raise_exception THEN NULL; END $$""")  # caught: its own subtransaction
        self.assertIsNone(self.value("SELECT to_regclass('public.workflows')"))
        self.run_sql("DROP EVENT TRIGGER stop")
        self.assertEqual(len(self.rows(INSTALL)), 43)

    def test_in_the_callers_transaction(self):
        self.run_sql("BEGIN")
        self.rows(INSTALL)
        self.run_sql("INSERT INTO workflows (name) VALUES ('w')")
        self.run_sql("ROLLBACK")
        self.assertIsNone(self.value("SELECT to_regclass('public.workflows')"))


class AlembicTest(SchemaCase):
    STAMP = CALL + "(stamp_alembic => true)"

    def stamped(self):
        return [row for row in self.rows(self.STAMP) if row[1] in ("alembic_version", spec.HEAD)]

    def test_writes_the_head_once(self):
        for action in ("created", "exists"):
            self.assertEqual(self.stamped(), [("table", "alembic_version", action),
                                              ("revision", spec.HEAD, action)])
            self.assertEqual(self.rows("SELECT * FROM alembic_version"), [(spec.HEAD,)])
        self.assertEqual(self.rows("SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint"
                                   " WHERE conrelid = 'alembic_version'::regclass"),
                         [("alembic_version_pkc", "PRIMARY KEY (version_num)")])

    def test_is_left_alone_unless_asked(self):
        self.rows(INSTALL)
        self.assertIsNone(self.value("SELECT to_regclass('public.alembic_version')"))

    def test_another_revision_is_an_error(self):
        self.run_sql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        self.run_sql("INSERT INTO alembic_version VALUES ('8f7f9c9512ec')")
        self.refuses_unchanged('alembic_version holds revision "8f7f9c9512ec", not 9a1b2c3d4e5f', self.STAMP,
                               hint="leave stamp_alembic out")
        self.run_sql("DELETE FROM alembic_version")
        self.assertEqual(self.stamped(), [("table", "alembic_version", "exists"), ("revision", spec.HEAD, "created")])

    def test_another_object_is_an_error(self):
        self.run_sql("CREATE VIEW alembic_version AS SELECT 1/0 AS version_num")  # never read
        self.refuses_unchanged("alembic_version is not a table with a column version_num", self.STAMP)


class EngineTest(SchemaCase):
    def test_the_orm_runs_on_it(self):
        import sqlalchemy as sa
        self.rows(INSTALL)
        engine = sa.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dbname=self.database))
        engine_tables.round_trip(self, engine)
        engine.dispose()


def tearDownModule():
    connect().cursor().execute("DROP DATABASE IF EXISTS upkeep_schema_test WITH (FORCE)")


if __name__ == "__main__":
    unittest.main()
