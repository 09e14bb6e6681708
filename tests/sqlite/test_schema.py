"""install_workflow_schema in SQLite: every object against tests/spec/schema.tsv, and what it
refuses. Checks are tried with violating rows: no catalog of SQLite has them."""
import datetime
import pathlib
import re
import sqlite3
import sys
import tempfile
import unittest

import host

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "scenarios"))
import engine_tables  # noqa: E402
import promised_schema as spec  # noqa: E402

INSTALL = "SELECT * FROM upkeep_install_workflow_schema"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class SchemaCase(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect()
        self.addCleanup(self.db.close)

    def objects(self, schema="main"):
        return self.rows(f'SELECT type, name, tbl_name, sql FROM "{schema}".sqlite_schema ORDER BY 1, 2')

    def names(self, kind, table=None):
        return [name for (name,) in self.rows(
            "SELECT name FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL"
            " AND tbl_name = coalesce(?, tbl_name)", kind, table)]


def allowed(profile, table):
    """Column -> the values that its check allows."""
    out = {}
    for of, _, rule in spec.promised(profile, "sl", "constraint"):
        found = re.fullmatch(r"CHECK \((\w+) IN \((.*)\)\)", rule)
        if of == table and found and found[2] != "0, 1":
            out[found[1]] = re.findall(r"'([^']*)'", found[2])
    return out


def a_row(profile, table, **changes):
    """(sql, values) of an insert of the fewest columns."""
    values = {}
    for of, name, rule in spec.promised(profile, "sl", "column"):
        if of == table and "NOT NULL" in rule and "DEFAULT" not in rule:
            values[name] = (1 if rule.startswith("INTEGER") else
                            "{}" if name == "payload" else
                            allowed(profile, table).get(name, ["x"])[0])
    values.update(changes)
    names = ", ".join(values)
    if not values:
        return f"INSERT INTO {table} DEFAULT VALUES", ()
    return (f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()))


class PromisedTest(SchemaCase):
    """What is there afterwards is what the list says, name by name."""

    def each(self):
        for profile in spec.PROFILES:
            self.setUp()
            self.returned = self.rows(INSTALL + "('main', ?)", profile)
            yield profile

    def test_rows(self):
        for profile in self.each():
            self.assertEqual(sorted(self.returned), spec.result_rows(profile, "sl", "created"))

    def test_tables(self):
        for profile in self.each():
            promised = {name for _, name, _ in spec.promised(profile, "sl", "table")}
            self.assertEqual(set(self.names("table")), promised)
            self.assertEqual(self.rows("SELECT name FROM pragma_table_list WHERE schema = 'main'"
                                       " AND type = 'table' AND NOT strict"
                                       " AND name NOT LIKE 'sqlite_%'"), [])

    def test_columns(self):
        for profile in self.each():
            found = []
            for _, table, _ in spec.promised(profile, "sl", "table"):
                for name, kind, not_null, initial in self.rows(
                        'SELECT name, type, "notnull", dflt_value FROM pragma_table_xinfo(?)'
                        " ORDER BY cid", table):
                    if initial and "randomblob" in initial:
                        initial = "<uuid>"
                    found.append((table, name, kind + (" NOT NULL" if not_null else "")
                                  + (f" DEFAULT {initial}" if initial else "")))
            self.assertEqual(found, spec.promised(profile, "sl", "column"))

    def test_keys(self):
        for profile in self.each():
            for _, table, _ in spec.promised(profile, "sl", "table"):
                found = [f"PRIMARY KEY ({name})" for (name,) in self.rows(
                    "SELECT name FROM pragma_table_info(?) WHERE pk", table)]
                for (index,) in self.rows(
                        "SELECT name FROM pragma_index_list(?) WHERE origin = 'u'", table):
                    columns = [row[0] for row in self.rows(
                        "SELECT name FROM pragma_index_info(?) ORDER BY seqno", index)]
                    found.append(f"UNIQUE ({', '.join(columns)})")
                for parent, column, key, action in self.rows(
                        'SELECT "table", "from", "to", on_delete FROM pragma_foreign_key_list(?)', table):
                    found.append(f"FOREIGN KEY ({column}) REFERENCES {parent}({key})"
                                 + ("" if action == "NO ACTION" else f" ON DELETE {action}"))
                promised = [rule for of, _, rule in spec.promised(profile, "sl", "constraint")
                            if of == table and not rule.startswith("CHECK")]
                self.assertEqual(sorted(found), sorted(promised), table)

    def test_checks(self):
        for profile in self.each():
            tried = 0
            for table, _, rule in spec.promised(profile, "sl", "constraint"):
                if not rule.startswith("CHECK"):
                    continue
                tried += 1
                column = re.search(r"\((?:json_valid\()?(\w+)", rule)[1]
                changes = {column: "nonsense"}
                if "json_valid" in rule:
                    changes = {column: "{"}
                elif "IN (0, 1)" in rule:
                    changes = {column: 2}
                elif ">= 0" in rule:
                    changes = {column: -1}
                elif "julianday" in rule:
                    changes = {"started_at": "2026-01-01 00:00:00.001", column: "2026-01-01 00:00:00.000"}
                sql, values = a_row(profile, table, **changes)
                with self.assertRaisesRegex(sqlite3.IntegrityError, "CHECK constraint failed", msg=rule):
                    self.db.execute(sql, values)
                self.db.execute(*a_row(profile, table))  # nothing else was wrong with it
                self.db.execute(f"DELETE FROM {table}")
            written = sum(sql.count("CHECK (") for (sql,) in self.rows(
                "SELECT sql FROM sqlite_schema WHERE type = 'table'"))
            self.assertEqual(written, tried)

    def test_allowed_values(self):
        for profile in self.each():
            for _, table, _ in spec.promised(profile, "sl", "table"):
                for column, values in allowed(profile, table).items():
                    for value in values:
                        self.db.execute(*a_row(profile, table, **{column: value}))
                        self.db.execute(f"DELETE FROM {table}")

    def test_indexes(self):
        for profile in self.each():
            found = [(table, name, sql.split(f" ON {table} ", 1)[1]) for table, name, sql in self.rows(
                "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")]
            self.assertEqual(sorted(found), sorted(spec.promised(profile, "sl", "index")))

    def test_generated_values(self):
        for profile in self.each():
            before = datetime.datetime.utcnow().strftime("%Y-%m-%d %H:%M:%S")
            for _ in range(50):
                self.db.execute("INSERT INTO workflows(name) VALUES (hex(randomblob(8)))")
            ids = {row[0] for row in self.rows("SELECT id FROM workflows")}
            self.assertEqual(len(ids), 50)
            for key in ids:
                self.assertRegex(key, UUID)
            self.assertEqual({key[19] for key in ids} - set("89ab"), set())
            after = datetime.datetime.utcnow().strftime("%Y-%m-%d %H:%M:%S.999")
            for at in self.rows("SELECT created_at FROM workflows") + self.rows("SELECT updated_at FROM workflows"):
                self.assertRegex(at[0], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}$")
                self.assertTrue(before <= at[0] <= after, at)

    def test_times_in_other_forms_are_compared_as_times(self):
        self.rows(INSTALL)
        for started, completed, accepted in (
                ("2026-01-01 00:00:00.000", "2026-01-01T00:00:00Z", True),
                ("2026-01-01T00:00:00Z", "2026-01-01 00:00:00.000", True),  # as text it is before
                ("2026-01-01 00:00:00.000", "2026-01-01T01:00:00+02:00", False),  # as text it is after
                ("2026-01-01 00:00:00.000", None, True)):
            sql, values = a_row("corrected", "workflow_executions", started_at=started,
                                completed_at=completed)
            if accepted:
                self.db.execute(sql, values)
                self.db.execute("DELETE FROM workflow_executions")
            else:
                with self.assertRaises(sqlite3.IntegrityError):
                    self.db.execute(sql, values)


class AgainTest(SchemaCase):
    def test_second_installation_changes_nothing(self):
        for profile in spec.PROFILES:
            self.setUp()
            self.rows(INSTALL + "('main', ?)", profile)
            self.db.execute(*a_row(profile, "workflows"))
            self.db.commit()
            before = self.objects(), self.value("PRAGMA schema_version")
            for _ in range(3):
                self.assertEqual(sorted(self.rows(INSTALL + "('main', ?)", profile)),
                                 spec.result_rows(profile, "sl", "exists"))
            self.assertEqual((self.objects(), self.value("PRAGMA schema_version")), before)
            self.assertEqual(self.value("SELECT count(*) FROM workflows"), 1)

    def test_completes_what_is_missing(self):
        self.rows(INSTALL)
        self.db.execute("DROP TABLE execution_logs")  # with its four indexes
        self.db.execute("DROP INDEX idx_workflows_created_at")
        created = {name for _, name, action in self.rows(INSTALL) if action == "created"}
        self.assertEqual(created, {"execution_logs", "idx_workflows_created_at"} |
                         {name for table, name, _ in spec.promised("corrected", "sl", "index")
                          if table == "execution_logs"})

    def test_the_users_own_columns_and_indexes_stay(self):
        self.rows(INSTALL)
        self.db.execute("ALTER TABLE workflows ADD COLUMN team TEXT CHECK (team <> '')")
        self.db.execute("CREATE INDEX mine ON workflows (team)")
        before = self.objects()
        self.assertEqual(sorted(self.rows(INSTALL)), spec.result_rows("corrected", "sl", "exists"))
        self.assertEqual(self.objects(), before)

    def test_names_in_other_capitals_are_the_same_tables(self):
        self.rows(INSTALL)
        sql = self.value("SELECT sql FROM sqlite_schema WHERE name = 'comment_filter_settings'")
        self.db.execute("DROP TABLE comment_filter_settings")
        self.db.execute(re.sub(r"comment_filter_settings|enabled", lambda m: f'"{m[0].upper()}"', sql, count=2))
        self.assertEqual(sorted(self.rows(INSTALL)), spec.result_rows("corrected", "sl", "exists"))

    def test_profile_by_setting(self):
        self.addCleanup(self.value, "SELECT upkeep_set('workflow_profile', 'corrected')")
        self.value("SELECT upkeep_set('workflow_profile', 'guide')")
        self.assertEqual(sorted(self.rows(INSTALL)), spec.result_rows("guide", "sl", "created"))


class RefusalTest(SchemaCase):
    """One clear error, nothing changed."""

    def refuses_unchanged(self, wanted, sql, *parameters):
        before = self.objects(), self.value("PRAGMA schema_version")
        self.refuses(wanted, sql, *parameters)
        self.assertEqual((self.objects(), self.value("PRAGMA schema_version")), before)

    def test_foreign_tables(self):
        for ddl, wanted in (
                ("CREATE TABLE workflows(id INTEGER PRIMARY KEY, title TEXT)",
                 "table workflows: column id is INTEGER, not TEXT NOT NULL DEFAULT"),
                ("CREATE TABLE integrations(id TEXT)", "table integrations has no column name"),
                ("CREATE VIEW execution_logs AS SELECT 1", "execution_logs is a view"),
                ("CREATE VIRTUAL TABLE workflows USING fts5(name)", "workflows is a virtual table"),
                ("CREATE TABLE t(x); CREATE INDEX idx_workflows_created_at ON t(x)",
                 "index idx_workflows_created_at is on t, not on workflows"),
                ("CREATE TABLE idx_execution_logs_errors(x)", "idx_execution_logs_errors is a table")):
            self.setUp()
            self.db.executescript(ddl)
            self.refuses_unchanged(wanted, INSTALL)
            self.refuses("nothing was changed)", INSTALL)

    def test_almost_the_same_tables(self):
        self.rows(INSTALL)
        sql = dict(self.rows("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
        for table, old, new, wanted in (
                ("workflows", "UNIQUE (name)", "UNIQUE (name, status)", "table workflows lacks UNIQUE (name)"),
                ("workflows", ") STRICT", ")", "table workflows lacks STRICT"),
                ("workflows", "'draft'", "'paused'", "table workflows lacks CHECK (status IN"),
                ("workflows", "DEFAULT 'active'", "DEFAULT 'draft'", "column status is TEXT NOT NULL DEFAULT 'draft', not"),
                ("integration_events", " ON DELETE CASCADE", "", "lacks FOREIGN KEY (integration_id)"),
                ("workflow_actions", "CHECK (order_index >= 0)", "CHECK (1)", "lacks CHECK (order_index >= 0)"),
                ("allowed_commenters", "CHECK (enabled IN (0, 1))", "CHECK (1) -- CHECK (enabled IN (0, 1))\n",
                 "lacks CHECK (enabled IN (0, 1))")):
            self.setUp()
            self.assertIn(old, sql[table])
            self.db.execute(sql[table].replace(old, new))
            self.refuses_unchanged(wanted, INSTALL)

    def test_the_other_profile(self):
        self.rows(INSTALL + "('main', 'guide')")
        self.refuses_unchanged("these are the tables of profile guide", INSTALL)

    def test_bad_arguments(self):
        for arguments, wanted in (
                ("('nope')", 'no database is attached as "nope" (hint: ATTACH it first'),
                ("('')", 'no database is attached as ""'),
                ("('temp')", 'target_schema must not be "temp"'),
                ("(NULL)", "target_schema must not be null"),
                ("('main', 'nope')", 'unknown profile "nope" (hint: profiles: corrected'),
                ("('main', NULL)", "profile must not be null"),
                ("('main', 'guide', 1)", "stamp_alembic does not go with profile guide"),
                ("('main', 'guide', 7)", "stamp_alembic")):
            self.refuses_unchanged(wanted, INSTALL + arguments)

    def test_read_only_database(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/app.db"
            sqlite3.connect(path).executescript("CREATE TABLE t(x)")
            self.db = host.connect(database=f"file:{path}?mode=ro", uri=True)
            self.addCleanup(self.db.close)
            self.refuses_unchanged('database "main" is read-only', INSTALL)
            self.db.execute("ATTACH ':memory:' AS aux1")  # another one can be written
            self.assertEqual(len(self.rows(INSTALL + "('aux1')")), 43)

    def test_query_only(self):
        self.db.execute("PRAGMA query_only = 1")
        self.refuses_unchanged("this connection is read-only", INSTALL)
        self.db.execute("PRAGMA query_only = 0")
        self.assertEqual(len(self.rows(INSTALL)), 43)

    def test_locked_by_another_connection(self):
        with tempfile.TemporaryDirectory() as folder:
            other = sqlite3.connect(folder + "/app.db", isolation_level=None)
            other.execute("CREATE TABLE t(x)")
            self.db = host.connect(database=folder + "/app.db", timeout=0)
            self.addCleanup(self.db.close)
            other.execute("BEGIN IMMEDIATE")
            self.refuses_unchanged("database is locked", INSTALL)
            other.execute("COMMIT")
            other.close()
            self.assertEqual(len(self.rows(INSTALL)), 43)

    def test_a_failure_half_way_changes_nothing(self):
        def deny(action, name, *_):
            late = action == sqlite3.SQLITE_CREATE_INDEX and name == "idx_execution_logs_action"
            return sqlite3.SQLITE_DENY if late else sqlite3.SQLITE_OK
        self.db.execute("CREATE TABLE t(x)")
        self.db.set_authorizer(deny)
        before = self.objects()
        self.refuses("not authorized", INSTALL)
        self.db.set_authorizer(None)
        self.assertEqual(self.objects(), before)
        self.assertFalse(self.db.in_transaction)
        self.assertEqual(len(self.rows(INSTALL)), 43)

    def test_inside_a_statement_that_writes(self):
        self.db.execute("CREATE TABLE kept(a, b, c)")
        self.db.commit()
        self.refuses("call it in a SELECT of its own",
                     "INSERT INTO kept SELECT * FROM upkeep_install_workflow_schema")
        self.db.rollback()
        self.assertEqual(self.names("table"), ["kept"])

    def test_not_from_views_or_triggers(self):
        self.db.execute("CREATE VIEW v AS SELECT * FROM upkeep_install_workflow_schema")
        self.refuses_unchanged("unsafe use", "SELECT * FROM v")


class TransactionTest(SchemaCase):
    def test_in_the_callers_transaction(self):
        self.db.isolation_level = None
        self.db.execute("CREATE TABLE t(x)")
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO t VALUES (1)")
        self.rows(INSTALL)
        self.assertTrue(self.db.in_transaction)
        self.db.execute("INSERT INTO workflows(name) VALUES ('w')")
        self.db.execute("ROLLBACK")
        self.assertEqual(self.names("table"), ["t"])

    def test_an_error_leaves_the_callers_transaction_open(self):
        self.db.isolation_level = None
        self.db.execute("CREATE TABLE workflows(x)")
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO workflows VALUES (1)")
        self.refuses("another shape", INSTALL)
        self.assertTrue(self.db.in_transaction)
        self.db.execute("COMMIT")
        self.assertEqual(self.rows("SELECT * FROM workflows"), [(1,)])

    def test_commits_by_itself_otherwise(self):
        with tempfile.TemporaryDirectory() as folder:
            self.db = host.connect(database=folder + "/app.db")
            self.rows(INSTALL)
            self.assertFalse(self.db.in_transaction)
            self.db.close()
            with sqlite3.connect(folder + "/app.db") as plain:  # without the module
                plain.execute("INSERT INTO workflows(name) VALUES ('w')")
                self.assertEqual(plain.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            plain.close()

    def test_attached_database(self):
        with tempfile.TemporaryDirectory() as folder:
            self.db.execute("ATTACH ? AS \"the other\"", (folder + "/other.db",))
            self.db.execute("CREATE TABLE workflows(foreign_one)")
            self.db.commit()
            rows = self.rows(INSTALL + "('the other', 'guide')")
            self.assertEqual(sorted(rows), spec.result_rows("guide", "sl", "created"))
            self.assertEqual(self.names("table"), ["workflows"])
            self.assertEqual(self.names("index"), [])
            self.assertEqual(self.value('SELECT count(*) FROM "the other".workflow_executions'), 0)
            self.refuses("another shape", INSTALL)
            self.db.execute('DETACH "the other"')

    def test_an_open_reader_goes_on(self):
        self.db.execute("CREATE TABLE t(x)")
        self.db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(500)])
        self.db.commit()
        reader = self.db.execute("SELECT x FROM t ORDER BY rowid")
        first = reader.fetchone()
        self.rows(INSTALL)
        self.assertEqual([first] + reader.fetchall(), [(n,) for n in range(500)])


class AlembicTest(SchemaCase):
    STAMP = INSTALL + "('main', 'corrected', 1)"

    def stamped(self):
        return [row for row in self.rows(self.STAMP) if row[1] in ("alembic_version", spec.HEAD)]

    def test_writes_the_head_once(self):
        for action in ("created", "exists"):
            self.assertEqual(self.stamped(), [("table", "alembic_version", action),
                                              ("revision", spec.HEAD, action)])
            self.assertEqual(self.rows("SELECT * FROM alembic_version"), [(spec.HEAD,)])
        with self.assertRaises(sqlite3.IntegrityError):
            self.db.execute("INSERT INTO alembic_version VALUES (?)", (spec.HEAD,))

    def test_is_left_alone_unless_asked(self):
        self.rows(INSTALL)
        self.assertNotIn("alembic_version", self.names("table"))

    def test_an_empty_one_is_stamped(self):
        self.db.execute("CREATE TABLE alembic_version(version_num VARCHAR(32) NOT NULL)")
        self.assertEqual(self.stamped(), [("table", "alembic_version", "exists"),
                                          ("revision", spec.HEAD, "created")])

    def test_another_revision_is_an_error(self):
        self.db.execute("CREATE TABLE alembic_version(version_num VARCHAR(32) NOT NULL)")
        self.db.execute("INSERT INTO alembic_version VALUES ('8f7f9c9512ec')")
        self.refuses('alembic_version holds revision "8f7f9c9512ec", not 9a1b2c3d4e5f', self.STAMP)
        self.assertEqual(self.names("table"), ["alembic_version"])

    def test_another_table_is_an_error(self):
        self.db.execute("CREATE TABLE alembic_version(x)")
        self.refuses("alembic_version is not a table with a column version_num", self.STAMP)


class EngineTest(unittest.TestCase):
    def test_the_orm_runs_on_it(self):
        import sqlalchemy as sa
        with tempfile.TemporaryDirectory() as folder:
            db = host.connect(database=folder + "/app.db")
            db.execute(INSTALL).fetchall()
            db.close()
            engine = sa.create_engine(f"sqlite:///{folder}/app.db")

            @sa.event.listens_for(engine, "connect")
            def enforce(connection, _):
                connection.execute("PRAGMA foreign_keys = 1")
            engine_tables.round_trip(self, engine)
            engine.dispose()


if __name__ == "__main__":
    unittest.main()
