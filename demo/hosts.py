"""The two hosts as the demo sees them: the same methods, the texts that differ, nothing printed."""
import json
import pathlib
import sqlite3
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
SCENARIO = TOP / "tests" / "scenarios" / "autopr"


class Sqlite:
    name = "sqlite"
    prefix = "upkeep_"
    advice_sql = """\
        SELECT rank, create_sql, drop_sql, table_name, size_bytes, saving_ratio, reason, warnings, steps
        FROM upkeep_advise_indexes((SELECT json_group_array(statement) FROM demo_workload),
                                   (SELECT json_group_array(calls_per_hour) FROM demo_workload));"""
    counts = ("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
              " AND name <> 'demo_workload' ORDER BY name")

    def __init__(self, scale):
        folder = TOP / "build" / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "autopr.db"
        self.copy_path = folder / "autopr-advised.db"
        self._remove(self.path)
        self._remove(self.copy_path)
        self.connection = self._open(self.path)
        self.scale = scale

    @staticmethod
    def _remove(path):
        for suffix in ("", "-wal", "-shm", "-journal"):
            pathlib.Path(str(path) + suffix).unlink(missing_ok=True)

    @staticmethod
    def _open(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.enable_load_extension(True)
        connection.load_extension(str(TOP / "build" / "upkeep"))
        connection.enable_load_extension(False)
        return connection

    def where(self):
        return self.path.relative_to(TOP), self.path.stat().st_size

    def create(self, workload, step):
        self.query("SELECT * FROM upkeep_install_workflow_schema()")
        step()
        self.connection.execute(f"CREATE TEMP TABLE scenario_scale AS SELECT {self.scale} AS n")
        self.connection.executescript((SCENARIO / "generate.sqlite.sql").read_text())
        step()
        self.connection.executescript((SCENARIO / "keys_only.sqlite.sql").read_text())
        self.connection.execute("CREATE TABLE demo_workload (statement TEXT, calls_per_hour REAL)")
        self.connection.executemany("INSERT INTO demo_workload VALUES (?, ?)",
                                    [(item["sql"], item["weight"]) for item in workload])
        self.connection.execute("ANALYZE")
        step()

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

    def apply(self, sql):
        self.connection.execute(sql)

    def close(self):
        self.connection.close()
        self._remove(self.copy_path)

    def goodbye(self):
        return ("The sample database stays; ask it yourself:", """\
            sqlite3 build/demo/autopr.db
            .load build/upkeep
            SELECT create_sql, reason FROM upkeep_advise_indexes(
                'SELECT * FROM execution_logs WHERE level = ''ERROR'' ORDER BY created_at DESC LIMIT 20');
            SELECT feature, available, how_to_enable FROM upkeep_capabilities;""")


class Postgres:
    name = "postgres"
    prefix = "upkeep."
    advice_sql = """\
        SELECT rank, create_sql, drop_sql, table_name, size_bytes, saving_ratio, reason, warnings, steps
        FROM upkeep.advise_indexes((SELECT array_agg(statement ORDER BY id) FROM demo_workload),
                                   (SELECT array_agg(calls_per_hour ORDER BY id) FROM demo_workload));"""
    counts = ("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relname <> 'demo_workload'"
              " AND relnamespace = 'public'::regnamespace ORDER BY 1")

    def __init__(self, scale):
        import psycopg2  # the SQLite demo must not need it

        self.connect = psycopg2.connect
        self.scale = scale
        self._execute_in("postgres", "CREATE DATABASE autopr")
        self.connection = self._open("autopr")

    def _open(self, database):
        connection = self.connect(dbname=database)
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

    def query(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

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

    def apply(self, sql):
        self.connection.cursor().execute(sql)

    def close(self):
        self.connection.close()

    def goodbye(self):
        return ("The cluster is gone when this ends. For a database of yours:", """\
            sudo make install
            sudo -u postgres psql -d your_database -c 'CREATE EXTENSION upkeep'""")
