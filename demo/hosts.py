"""The two hosts as the demo sees them: the same methods, the texts that differ, nothing printed."""
import contextlib
import json
import os
import pathlib
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
SCENARIO = TOP / "tests" / "scenarios" / "autopr"
MODULE = os.path.relpath(pathlib.Path(os.environ.get("UPKEEP_BUILD", TOP / "build")) / "upkeep", TOP)
IDLE_S = 0.5  # so long the sessions of step_sessions stand idle before they are looked at


def kept_path(folder, name):
    """Where the sample database is to stay; nothing that is there already is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder.resolve() / name
    if path.exists():
        raise FileExistsError(f"{path} is there already: remove it, or name another folder")
    return path


class Sqlite:
    name = "sqlite"
    prefix = "upkeep_"
    advice_sql = """\
        SELECT rank, table_name, columns, create_sql, drop_sql, size_bytes, saving_ratio, reason,
               warnings, steps
        FROM upkeep_advise_indexes((SELECT json_group_array(statement) FROM demo_workload),
                                   (SELECT json_group_array(calls_per_hour) FROM demo_workload));"""
    verify_sql = """\
        SELECT before_ms, after_ms, verdict, statement
        FROM upkeep_verify_indexes('CREATE INDEX logs_level ON execution_logs (level)',
            json_array('SELECT * FROM execution_logs WHERE level = ''CRITICAL'' LIMIT 100',
                       'SELECT max(created_at) FROM execution_logs')) WHERE confirm = 1;"""
    counts = ("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
              " AND name <> 'demo_workload' ORDER BY name")
    slow_sql = """\
        SELECT captured_at, duration_ms, rows, plan->>'$[0].detail' AS plan, query
        FROM upkeep_slow_statements ORDER BY duration_ms DESC LIMIT 2;"""
    save_sql = "SELECT upkeep_save();"
    session_sql = (
        "SELECT pid, state, state_ms, query FROM upkeep_connections;",
        "SELECT pid, state, mode, suggested_action FROM upkeep_lock_tree;",
        """\
        SELECT pid, state_ms, action, reason
        FROM upkeep_reap_sessions(200, 'idle in transaction');""")
    settings_sql = """\
        SELECT name, current_value, advised_value, unit, formula FROM upkeep_advise_settings()
        WHERE name IN ('journal_mode', 'mmap_size');"""
    metrics_sql = "SELECT upkeep_metrics('upkeep', '[\"health_checks\", \"database_size_bytes\"]');"

    def __init__(self, scale, keep):
        self.scale = scale
        self.kept = keep and kept_path(keep, "autopr.db")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="upkeep-demo."))
        self.path = self.kept or self.folder / "autopr.db"
        self.copy_path = self.folder / "autopr-advised.db"
        self.connection = self._open(self.path)

    @staticmethod
    def _open(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.enable_load_extension(True)
        connection.load_extension(str(TOP / MODULE))
        connection.enable_load_extension(False)
        return connection

    def where(self):
        return str(self.path), self.path.stat().st_size

    def create(self, workload, step):
        self.query("SELECT * FROM upkeep_install_workflow_schema()")
        step()
        self.connection.execute(f"CREATE TEMP TABLE scenario_scale AS SELECT {self.scale} AS n")
        self.connection.executescript((SCENARIO / "generate.sqlite.sql").read_text())
        step()
        self.connection.executescript((SCENARIO / "keys_only.sqlite.sql").read_text())
        self.connection.execute("DROP TABLE scenario_scale")
        self.connection.execute("CREATE TABLE demo_workload (statement TEXT, calls_per_hour REAL)"
                                " STRICT")
        self.connection.executemany("INSERT INTO demo_workload VALUES (?, ?)",
                                    [(item["sql"], item["weight"]) for item in workload])
        self.connection.execute("VACUUM")
        self.connection.execute("ANALYZE")
        step()

    def start_capture(self, show_sql):
        threshold = max(1, self.scale // 2500)
        for sql in ("SELECT upkeep_capture(1);",
                    f"SELECT upkeep_set('slow_threshold', {threshold});"):
            show_sql(sql)
            self.query(sql)

    def shell(self, sql):
        """The sqlite3 shell with a statement: as arguments, and as a person types it."""
        load = f".load {MODULE}"
        shown = (f"sqlite3 -column -header -cmd '{load}' \\\n"
                 f"    {shlex.quote(str(self.path))} \"\n{sql}\"")
        return ["sqlite3", "-column", "-header", "-cmd", load, str(self.path), sql], shown

    def ask(self, sql):
        cursor = self.connection.execute(sql)
        return [column[0] for column in cursor.description], cursor.fetchall()

    def query(self, sql):
        return self.connection.execute(sql).fetchall()

    def timed(self, sql):
        """Milliseconds of one execution that is rolled back, all rows fetched."""
        self.connection.execute("BEGIN")
        try:
            start = time.perf_counter()
            self.connection.execute(sql).fetchall()
            return (time.perf_counter() - start) * 1000
        finally:
            self.connection.execute("ROLLBACK")

    @staticmethod
    def array(value):
        return json.loads(value)

    def switch_to_copy(self):
        copy = sqlite3.connect(self.copy_path)
        self.connection.backup(copy)
        copy.close()
        self.connection.close()
        self.connection = self._open(self.copy_path)

    def switch_back(self):
        self.connection.close()
        self.connection = self._open(self.path)

    def apply(self, sql):
        self.connection.execute(sql)

    @contextlib.contextmanager
    def sessions(self):
        """Two more connections of this process that keep others waiting."""
        writer, reader = self._open(self.path), self._open(self.path)
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE workflows SET updated_at = updated_at")
            half_read = reader.execute("SELECT id FROM execution_logs")
            half_read.fetchone()
            time.sleep(IDLE_S)
            yield ("Beside the demo's own connection, one has written and not committed, and one "
                   "has read a first row and not gone on.")
            half_read.close()
            writer.rollback()
        finally:
            reader.close()
            writer.close()

    def close(self):
        self.connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def goodbye(self):
        if not self.kept:
            return ("Nothing is left of it. To keep the sample database and ask it yourself:",
                    "./dev demo --keep build/demo")
        return ("The sample database stays; ask it yourself:", f"""\
            sqlite3 -cmd '.load {MODULE}' {shlex.quote(str(self.kept))}
            SELECT create_sql, reason FROM upkeep_advise_indexes(
                'SELECT * FROM execution_logs WHERE level = ''ERROR'' ORDER BY created_at DESC LIMIT 20');
            SELECT feature, available, how_to_enable FROM upkeep_capabilities;""")


class Postgres:
    name = "postgres"
    prefix = "upkeep."
    advice_sql = """\
        SELECT rank, table_name, columns, create_sql, drop_sql, size_bytes, saving_ratio, reason,
               warnings, steps
        FROM upkeep.advise_indexes((SELECT array_agg(statement ORDER BY id) FROM demo_workload),
                                   (SELECT array_agg(calls_per_hour ORDER BY id) FROM demo_workload));"""
    verify_sql = """\
        SELECT before_ms, after_ms, verdict, statement
        FROM upkeep.verify_indexes(ARRAY['CREATE INDEX ON execution_logs (level)'],
            ARRAY['SELECT * FROM execution_logs WHERE level = ''CRITICAL'' LIMIT 100',
                  'SELECT max(created_at) FROM execution_logs'], confirm => true);"""
    counts = ("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname <> 'demo_workload'"
              " AND relnamespace = 'public'::regnamespace ORDER BY 1")
    slow_sql = """\
        SELECT captured_at, duration_ms, rows, plan->'Plan'->>'Node Type' AS plan, query
        FROM upkeep.slow_statements ORDER BY duration_ms DESC LIMIT 2;"""
    save_sql = None  # shared memory: every session sees it at once
    session_sql = (
        """\
        SELECT pid, application_name, state, state_ms, blocks_count, query
        FROM upkeep.connections WHERE user_name = 'autopr' ORDER BY pid;""",
        "SELECT depth, pid, waits_ms, relation, suggested_action FROM upkeep.lock_tree;",
        """\
        SELECT pid, application_name, action, reason
        FROM upkeep.reap_sessions('200 ms', 'idle in transaction');""",
        """\
        SELECT pid, application_name, action, reason
        FROM upkeep.reap_sessions('200 ms', 'idle', match_application => 'web%');""")
    settings_sql = """\
        SELECT name, current_value, advised_value, unit, formula FROM upkeep.advise_settings()
        WHERE name IN ('shared_buffers', 'work_mem');"""
    metrics_sql = "SELECT upkeep.metrics('upkeep', ARRAY['health_checks', 'connections_max']);"

    def __init__(self, scale, keep):
        import psycopg2  # the SQLite demo must not need it

        self.connect = psycopg2.connect
        self.scale = scale
        self.kept = keep and kept_path(keep, "autopr.dump")
        self._execute_in("postgres", "CREATE DATABASE autopr")
        self.connection = self._open("autopr")

    def _open(self, database, **options):
        connection = self.connect(dbname=database, **options)
        connection.autocommit = True
        return connection

    def _execute_in(self, database, sql):
        connection = self._open(database)
        connection.cursor().execute(sql)
        connection.close()

    def where(self):
        size = self.query("SELECT pg_database_size(current_database())")[0][0]
        return "database autopr on a throw-away cluster", size

    def create(self, workload, step):
        self.apply("CREATE EXTENSION upkeep")
        self.query("SELECT * FROM upkeep.install_workflow_schema()")
        step()
        self._script("generate.postgres.sql", "-v", f"scale={self.scale}")
        step()
        self._script("keys_only.postgres.sql")
        self.apply("CREATE TABLE demo_workload (id int GENERATED ALWAYS AS IDENTITY, statement text,"
                   " calls_per_hour float8)")
        self.connection.cursor().executemany(
            "INSERT INTO demo_workload (statement, calls_per_hour) VALUES (%s, %s)",
            [(item["sql"], item["weight"]) for item in workload])
        self.apply("VACUUM ANALYZE")
        step()

    @staticmethod
    def _script(name, *options):
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", *options, "-d", "autopr",
                        "-f", str(SCENARIO / name)], check=True, stdout=subprocess.DEVNULL)

    def start_capture(self, show_sql):
        """Capture runs since the server's start: the library is in shared_preload_libraries."""
        for sql in (f"SET upkeep.slow_threshold = '{max(1, self.scale // 2500)} ms';",
                    "SELECT upkeep.reset_statements();"):
            show_sql(sql)
            self.apply(sql)

    @staticmethod
    def shell(sql):
        """psql with a statement: as arguments, and as a person types it."""
        return ["psql", "-X", "-d", "autopr", "-c", sql], f'psql -d autopr -c "\n{sql}"'

    def ask(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return [column.name for column in cursor.description], cursor.fetchall()

    def query(self, sql):
        return self.ask(sql)[1]

    def timed(self, sql):
        """Milliseconds of one execution that is rolled back, all rows fetched."""
        with self.connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                start = time.perf_counter()
                cursor.execute(sql)
                if cursor.description:
                    cursor.fetchall()
                return (time.perf_counter() - start) * 1000
            finally:
                cursor.execute("ROLLBACK")

    @staticmethod
    def array(value):
        return value

    def switch_to_copy(self):
        self.connection.close()
        self._execute_in("postgres", "CREATE DATABASE autopr_advised TEMPLATE autopr")
        self.connection = self._open("autopr_advised")

    def switch_back(self):
        self.connection.close()
        self.connection = self._open("autopr")

    def apply(self, sql):
        self.connection.cursor().execute(sql)

    @contextlib.contextmanager
    def sessions(self):
        """Three sessions of an ordinary role: one holds a row, one waits for it, one is idle."""
        self.apply("CREATE ROLE autopr LOGIN")
        self.apply("GRANT SELECT, UPDATE ON workflows TO autopr")
        update = "UPDATE workflows SET updated_at = now() WHERE name = 'workflow-0001'"
        holder, waiter, idle = (self._open("autopr", user="autopr", application_name=name)
                                for name in ("worker-1", "worker-2", "web-1"))
        waiting = threading.Thread(target=lambda: waiter.cursor().execute(update))
        try:
            holder.cursor().execute("BEGIN")
            holder.cursor().execute(update)
            idle.cursor().execute("SELECT count(*) FROM workflows")
            waiting.start()
            time.sleep(IDLE_S)
            yield ("Three sessions of role autopr: worker-1 has changed a row and not committed, "
                   "worker-2 waits for that row, web-1 has nothing to do.")
        finally:
            holder.close()
            if waiting.ident:
                waiting.join()
            waiter.close()
            idle.close()

    def close(self):
        self.connection.close()

    def goodbye(self):
        if not self.kept:
            return ("The cluster is gone when this ends (--keep DIR keeps a dump of the sample). "
                    "For a database of yours:", """\
            sudo make install
            sudo -u postgres psql -d your_database -c 'CREATE EXTENSION upkeep'""")
        subprocess.run(["pg_dump", "-Fc", "-d", "autopr", "-f", str(self.kept)], check=True)
        return ("The cluster is gone when this ends; the dump stays. Once upkeep is installed "
                "(sudo make install), as a superuser:", f"""\
            createdb autopr
            pg_restore --no-owner -d autopr {shlex.quote(str(self.kept))}
            psql -d autopr -c 'SELECT feature, available, how_to_enable FROM upkeep.capabilities'""")
