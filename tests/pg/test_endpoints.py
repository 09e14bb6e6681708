# cluster: shared_preload_libraries=pg_stat_statements,upkeep_preload
"""Endpoints of statements: told by the setting, by SQLCommenter and by marginalia; bounded, recoverable."""
import threading
import unittest

import psycopg2
import sqlalchemy

from host import Asks, connect

ROUTE = "/*action='show',route='%2Fusers%2F%3Aid'*/"
MARGINALIA = "/*application:App,controller:pets,action:show,line:/a/b.rb:3:in `x'*/"


class EndpointsTest(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, """CREATE TABLE t (id int PRIMARY KEY, v text);
            INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 100) g;
            CREATE FUNCTION inside(i int) RETURNS bigint LANGUAGE plpgsql AS
            $$ BEGIN RETURN (SELECT count(*) FROM t WHERE id <= i /*route='of_the_function'*/); END $$;
            CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / i; END $$""")

    def setUp(self):
        self.fresh = connect(self.database)
        self.rows("SELECT upkeep.reset_statements()")

    def tearDown(self):
        self.fresh.close()

    def run_here(self, sql, parameters=None):
        return self.run_on(self.fresh, sql, parameters)

    def of(self, pattern):
        """Calls by endpoint of the statements whose text matches."""
        rows = self.rows("SELECT endpoint, sum(calls)::int, count(*) FROM upkeep.statements WHERE query ~ %s"
                         " AND database_name = current_database() GROUP BY 1", pattern)
        self.assertEqual({row[2] for row in rows} - {1}, set(), rows)
        return {row[0]: row[1] for row in rows}

    def test_comments_tell_the_endpoint(self):
        for sql, endpoint in (
                (f"SELECT 1 AS a {ROUTE}", "/users/:id"), (f"SELECT 1 AS a {ROUTE};", "/users/:id"),
                (f"SELECT 1 AS a; {ROUTE}", "/users/:id"), (f"{MARGINALIA} SELECT 1 AS a", "pets#show"),
                (f"SELECT 1 AS a {MARGINALIA}", "pets#show"), ("SELECT 1 AS a /*job='SyncJob'*/", "SyncJob"),
                (f"SELECT 1 AS a {MARGINALIA} {ROUTE}", "/users/:id"),
                ("SELECT 1 AS a /*route='%2Fu%3Femail%3Dbob'*/", "/u"), ("SELECT 1 AS a", None),
                ("SELECT 1 AS a /* words */", None), ("SELECT 1 AS a /*+ route='x' */", None),
                ("SELECT 1 AS a /*route='%zz'*/", None), ("SELECT 1 AS a /*route='%00'*/", None),
                ("SELECT 1 AS a /*route='%FF'*/", None), ("SELECT 1 AS a /*route='x%0Ay'*/", None),
                ("SELECT '/*route=''x''*/' AS a", None), ("SELECT $$/*route='x'*/$$ AS a", None),
                ("SELECT 1 AS a, 2 AS \"/*route='x'*/\"", None)):
            self.rows("SELECT upkeep.reset_statements()")
            self.run_here(sql)
            self.assertEqual(self.of("AS a"), {endpoint: 1}, sql)

    def test_the_setting_wins(self):
        self.run_here(f"SELECT 1 AS b {ROUTE}")
        self.run_here("SET upkeep.endpoint = 'by setting'")
        self.run_here(f"SELECT 1 AS b {ROUTE}")
        self.run_here("RESET upkeep.endpoint")
        with self.fresh.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL upkeep.endpoint = 'local'")
            cursor.execute(f"SELECT 1 AS b {ROUTE}")
            cursor.execute("COMMIT")
        self.run_here(f"SELECT 1 AS b {MARGINALIA}")
        self.assertEqual(self.of("AS b"), {"/users/:id": 1, "by setting": 1, "local": 1, "pets#show": 1})
        self.assertEqual(self.of("^COMMIT"), {"local": 1})
        self.assertEqual(self.of("^BEGIN"), {None: 1})

    def test_each_statement_of_a_string_has_its_own(self):
        self.run_here("SELECT 1 AS c /*route='one'*/; SELECT 1 AS c; /*route='three'*/ SELECT 1 AS c;"
                      " SELECT 1 AS c ; /*route='four'*/ ;")
        self.assertEqual(self.of("AS c"), {"one": 1, None: 1, "three": 1, "four": 1})

    def test_prepared_statements_have_that_of_their_text(self):
        self.run_here("PREPARE p AS SELECT count(*) AS d FROM t WHERE id < $1 /*route='prepared'*/")
        for i in range(12):
            self.run_here(f"EXECUTE p({i})")
        self.assertEqual(self.of("AS d"), {"prepared": 12})

    def test_commands_of_cursors_have_their_own(self):
        self.run_here("BEGIN")
        self.run_here("DECLARE k CURSOR FOR SELECT id AS e FROM t /*route='opens'*/")
        self.run_here("FETCH 5 FROM k /*route='fetches'*/")
        self.run_here("FETCH 5 FROM k")
        self.run_here("COMMIT; /*route='end'*/")
        self.assertEqual(self.of("^DECLARE"), {"opens": 1})
        self.assertEqual(self.of("^FETCH"), {"fetches": 1, None: 1})
        self.assertEqual(self.of("^COMMIT"), {"end": 1})

    def test_failures_have_it(self):
        failing = ("SELECT 1 / (id - 1) AS f FROM t", "SELECT 1 / 0 AS f", "INSERT INTO t VALUES (1)",
                   "DROP TABLE no_such_f", "SELECT fails(0) AS f")
        for sql in failing:
            with self.assertRaises(psycopg2.Error, msg=sql):
                self.run_here(f"{sql} {ROUTE}")
        rows = self.rows("SELECT endpoint, sum(errors)::int FROM upkeep.endpoints"
                         " WHERE database_name = current_database() AND errors > 0 GROUP BY 1")
        self.assertEqual(rows, [("/users/:id", len(failing))])

    def test_what_a_statement_runs_inside_is_its_clients(self):
        self.run_here("SET upkeep.capture = 'all'")
        self.run_here(f"SELECT inside(5) AS g {ROUTE}")
        self.run_here("SELECT inside(6) AS g")
        self.run_here(f"DO $$ BEGIN PERFORM inside(7); END $$ {MARGINALIA}")
        rows = self.rows("SELECT endpoint, calls FROM upkeep.statements WHERE NOT is_top_level"
                         " AND query ~ 'count' AND tables = '{t}'")
        self.assertEqual(dict(rows), {"/users/:id": 1, None: 1, "pets#show": 1})
        self.assertEqual(self.of("of_the_function"), {})

    def test_comments_make_no_fingerprints(self):
        for i in range(40):
            trace = f"traceparent='00-{i:032x}-{i:016x}-01'"
            for sql in ("BEGIN", f"SELECT v AS h FROM t WHERE id = {i}", "SET LOCAL work_mem = '1MB'", "COMMIT"):
                self.run_here(f"{sql} /*route='%2Fa',{trace}*/")
            self.run_here(f"/*controller:a,action:b,request_id:{i}*/ SHOW work_mem")
        rows = self.rows("SELECT endpoint, query, calls FROM upkeep.statements"
                         " WHERE database_name = current_database() AND query !~ 'upkeep' ORDER BY 2")
        self.assertEqual([(row[0], row[2]) for row in rows], [("/a", 40)] * 4 + [("a#b", 40)], rows)
        plain = connect(self.database)
        self.run_on(plain, "SHOW work_mem")
        plain.close()
        self.assertEqual(len(self.rows("SELECT DISTINCT fingerprint FROM upkeep.statements WHERE query ~ '^SHOW'")), 1,
                         "with a comment and without")

    def test_slow_statements_have_it(self):
        self.run_here("SET upkeep.slow_threshold = 0")
        self.run_here(f"SELECT 1 AS slow_one {ROUTE}")
        self.assertEqual(self.rows("SELECT endpoint FROM upkeep.slow_statements WHERE query ~ 'slow_one'"),
                         [("/users/:id",)])

    def test_through_sqlalchemy(self):
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dbname=self.database))

        @sqlalchemy.event.listens_for(engine, "before_cursor_execute", retval=True)
        def tag(_connection, _cursor, statement, parameters, _context, _many):
            return statement + " /*db_driver='psycopg2',route='%%2Forders'*/", parameters

        table = sqlalchemy.Table("t", sqlalchemy.MetaData(), autoload_with=engine)
        with engine.begin() as connection:
            for i in (3, 4):
                self.assertEqual(connection.execute(sqlalchemy.select(table.c.v).where(table.c.id == i)).scalar(), f"v{i}")
            connection.execute(table.insert(), {"id": 1000, "v": "x"})
            connection.execute(table.delete().where(table.c.id == 1000))
        engine.dispose()
        rows = self.rows("SELECT operation, calls::int FROM upkeep.statements WHERE endpoint = '/orders' AND tables = '{t}'")
        self.assertEqual(sorted(rows), [("DELETE", 1), ("INSERT", 1), ("SELECT", 2)])

    def test_the_view_adds_up_and_hides(self):
        for i in range(3):
            self.run_here(f"SELECT {i} AS i {ROUTE}")
            self.run_here(f"SELECT v AS i FROM t WHERE id = {i} {ROUTE}")
        with self.assertRaises(psycopg2.Error):
            self.run_here(f"SELECT 1 / 0 AS i {ROUTE}")
        self.run_here("SELECT 1 AS i")
        row, = self.dicts("SELECT * FROM upkeep.endpoints WHERE endpoint = '/users/:id'")
        self.assertEqual(list(row), ["endpoint", "calls", "errors", "statements", "total_ms", "p50_ms", "p95_ms", "p99_ms",
                                     "n_plus_one_count", "last_seen_at", "database_name"])
        self.assertEqual((row["calls"], row["errors"], row["statements"], row["database_name"]), (6, 1, 3, self.database))
        self.assertTrue(0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] <= row["total_ms"])
        self.assertAlmostEqual(row["total_ms"], self.value(
            "SELECT sum(total_ms) FROM upkeep.statements WHERE endpoint = '/users/:id'"), places=6)
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.endpoints WHERE endpoint IS NULL"
                                    " AND database_name = current_database()"), 1)
        self.rows("CREATE ROLE stats_reader LOGIN IN ROLE pg_monitor; CREATE ROLE plain_reader LOGIN;"
                  "GRANT USAGE ON SCHEMA upkeep TO plain_reader; GRANT SELECT ON upkeep.endpoints TO plain_reader;"
                  "GRANT EXECUTE ON FUNCTION upkeep.endpoints() TO plain_reader")
        readers = [connect(self.database, user=name) for name in ("stats_reader", "plain_reader")]
        seen = [{one[0] for one in self.run_on(reader, "SELECT endpoint FROM upkeep.endpoints")} for reader in readers]
        for reader in readers:
            reader.close()
        self.rows("DROP OWNED BY plain_reader; DROP ROLE stats_reader, plain_reader")
        self.assertIn("/users/:id", seen[0])
        self.assertNotIn("/users/:id", seen[1])
        self.assertIn("<insufficient privilege>", seen[1])

    def test_a_hundred_thousand_names_are_bounded_and_real_ones_get_in(self):
        ask = ("SELECT allocated_size FROM pg_shmem_allocations WHERE name = 'upkeep capture'")
        before = self.value(ask)

        def flood(worker):
            connection = connect(self.database)
            with connection.cursor() as cursor:
                for i in range(50):
                    cursor.execute(";".join(f"SELECT 1 AS j /*route='%2Fusers%2F{worker * 50000 + i * 1000 + k}'*/"
                                            for k in range(1000)))
            connection.close()

        threads = [threading.Thread(target=flood, args=(worker,)) for worker in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        endpoints = dict(self.rows("SELECT endpoint, calls::int FROM upkeep.endpoints WHERE database_name = current_database()"))
        self.assertLessEqual(len(endpoints), 1002)
        self.assertGreater(len(endpoints), 900)
        calls = self.of("AS j")
        self.assertEqual(sum(calls.values()), 100000)
        self.assertGreaterEqual(calls["other"], 99000)
        self.assertEqual(self.value(ask), before)
        self.assertIn("times an endpoint found no room", self.value(
            "SELECT reason FROM upkeep.capabilities WHERE feature = 'statement_capture'"))
        for _ in range(1000):
            self.run_here(f"SELECT 1 AS j {ROUTE}")
        calls = self.of("AS j")
        self.assertGreater(calls["/users/:id"], 500)
        self.assertEqual(sum(calls.values()), 101000)
        self.run_here("SET upkeep.endpoint = 'by setting'")
        for _ in range(500):
            self.run_here("SELECT 1 AS j")
        self.assertGreater(self.of("AS j")["by setting"], 100)
        self.rows("SELECT upkeep.reset_statements()")
        self.run_here("SELECT 1 AS j")
        self.run_here("RESET upkeep.endpoint")
        self.run_here("SELECT 1 AS j /*route='at once'*/")
        self.assertEqual(self.of("AS j"), {"by setting": 1, "at once": 1})


if __name__ == "__main__":
    unittest.main()
