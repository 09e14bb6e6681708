"""Bad input to advise_indexes and what_if: one clear error with SQLSTATE and hint, nothing changed."""
import unittest

import psycopg2

from host import Asks, connect

ADVISE = "SELECT create_sql FROM upkeep.advise_indexes(%s::text[])"
WHAT_IF = "SELECT used_indexes FROM upkeep.what_if(%s, %s)"

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, a int, b text);
INSERT INTO t SELECT g, g % 100, md5(g::text) FROM generate_series(1, 20000) AS g;
CREATE VIEW v AS SELECT * FROM t WHERE a > 5;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE TABLE p (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10000) TO (30000);
INSERT INTO p SELECT id, a FROM t;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE f (a int) SERVER files OPTIONS (filename '/dev/null');
ANALYZE;
"""


class BadStatements(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def advice_refuses(self, sqlstate, wanted, *statements):
        return self.refuses(sqlstate, wanted, ADVISE, list(statements))

    def both_refuse(self, sqlstate, wanted, statement):
        self.advice_refuses(sqlstate, wanted, statement)
        self.refuses(sqlstate, wanted, WHAT_IF, statement, ["CREATE INDEX ON t (a)"])

    def test_text_that_is_not_sql(self):
        self.both_refuse("22023", 'syntax error at or near "hello"', "hello world")
        self.both_refuse("22023", "syntax error at end of input", "SELECT * FROM t WHERE a =")
        self.both_refuse("22023", "unterminated quoted string", "SELECT 'never closed")

    def test_nothing_in_the_text(self):
        for text in ("", "   \n", ";"):
            self.both_refuse("22023", "statement is empty", text)
        self.both_refuse("22023", "the text holds no statement", "-- only a comment")

    def test_several_statements_where_one_is_asked(self):
        self.both_refuse("22023", "the text holds 2 statements, one is wanted", "SELECT 1; SELECT 2")
        self.assertEqual(self.rows(ADVISE, ["SELECT 1;"]), [])

    def test_what_does_not_exist(self):
        self.both_refuse("42704", 'relation "nowhere" does not exist', "SELECT * FROM nowhere")
        self.both_refuse("42704", 'column "nocol" does not exist', "SELECT nocol FROM t")
        self.both_refuse("42704", "function nofn(integer) does not exist", "SELECT nofn(a) FROM t")
        self.both_refuse("42704", 'relation "noschema.t" does not exist', "SELECT * FROM noschema.t")

    def test_utility_statements(self):
        for text in ("CREATE INDEX ON t (a)", "EXPLAIN SELECT 1", "VACUUM", "BEGIN", "COPY t TO STDOUT", "SET x.y = 1",
                     "CREATE TABLE x AS SELECT * FROM t", "SELECT * INTO x FROM t", "DECLARE c CURSOR FOR SELECT 1",
                     "CALL p()", "DO 'BEGIN END'", "LOCK TABLE t", "REFRESH MATERIALIZED VIEW m", "NOTIFY t"):
            self.both_refuse("22023", "this kind of statement has no plan", text)

    def test_values_that_do_not_fit(self):
        self.both_refuse("22023", "invalid input syntax for type integer", "SELECT * FROM t WHERE a = 'x'")

    def test_what_fails_in_the_planner_is_named_too(self):
        self.both_refuse("22023", "division by zero", "SELECT * FROM t WHERE a = 1/0")
        self.advice_refuses("22023", "statement 2: division by zero", "SELECT 1", "SELECT 1/0")

    def test_the_statement_is_named_among_several(self):
        self.advice_refuses("42704", 'statement 3: relation "nowhere" does not exist', "SELECT 1", "SELECT 2",
                            "SELECT * FROM nowhere")

    def test_relations_that_take_no_index(self):
        self.advice_refuses("0A000", "f: it is a foreign table", "SELECT * FROM f WHERE a = 7")
        self.advice_refuses("0A000", "pg_class: it is a system catalog", "SELECT * FROM pg_class WHERE relpages = 4")

    def test_one_statement_without_a_table_among_others_is_no_error(self):
        self.assertEqual(len(self.rows(ADVISE, ["SELECT * FROM f WHERE a = 7", "SELECT * FROM t WHERE a = 7"])), 1)

    def test_relations_that_do(self):
        self.run_on(self.db, "CREATE TEMP TABLE tmp AS SELECT * FROM t; ANALYZE tmp")
        btrees = ADVISE.replace(")", ", kinds => ARRAY['btree'])")
        for statement, wanted in (
                ("SELECT * FROM v WHERE a = 7", "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_t_a ON t (a)"),
                ("SELECT * FROM m WHERE a = 7", "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_m_a ON m (a)"),
                ("SELECT * FROM p WHERE a = 7", "CREATE INDEX IF NOT EXISTS idx_p_a ON p (a)"),
                ("SELECT * FROM p1 WHERE a = 7", "CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_p1_a ON p1 (a)"),
                ("SELECT * FROM tmp WHERE a = 7", "CREATE INDEX IF NOT EXISTS idx_tmp_a ON tmp (a)")):
            self.assertEqual(self.rows(btrees, [statement]), [(wanted,)])
            # and the text runs as it stands
            self.run_on(self.db, wanted)
            self.assertEqual(self.rows(btrees, [statement]), [], "there already")
            name = wanted.split(" ON ")[0].split()[-1]
            self.run_on(self.db, f"DROP INDEX {name}")

    def test_a_statement_of_a_megabyte(self):
        many = ",".join(str(n) for n in range(200000))
        for text in (f"SELECT * FROM t WHERE a IN ({many})", "SELECT * FROM t WHERE a = 7 /*" + "x" * 1100000 + "*/",
                     "SELECT * FROM t WHERE a = 7" + " AND a = 7" * 100000):
            self.assertGreater(len(text), 1000000)
            self.assertLessEqual(len(self.rows(ADVISE, [text])), 1)
        self.advice_refuses("22023", "memory exhausted", "SELECT " + "(" * 500000 + "1" + ")" * 500000)

    def test_deep_nesting_is_an_error_not_a_crash(self):
        deep = "SELECT * FROM t WHERE a = 7"
        for _ in range(2000):
            deep = f"SELECT * FROM ({deep}) AS d"
        try:
            self.rows(ADVISE, [deep])
        except psycopg2.Error as error:
            self.assertIn(error.pgcode, ("22023", "54001"))
        self.assertEqual(self.value("SELECT 1"), 1)

    def test_bytes_that_are_no_text_in_the_database_s_encoding(self):
        with connect("template1").cursor() as cursor:
            cursor.execute("DROP DATABASE IF EXISTS t_bytes")
            cursor.execute("CREATE DATABASE t_bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
        connection = connect("t_bytes")
        connection.set_client_encoding("SQL_ASCII")
        self.run_on(connection, "CREATE EXTENSION upkeep; CREATE TABLE t (a int, b text);"
                                "INSERT INTO t SELECT g, 'x' || g FROM generate_series(1, 20000) AS g; ANALYZE t")
        with connection.cursor() as cursor:
            # bytes that are no UTF-8 are text there: they are priced, and come back in errors
            cursor.execute(rb"SELECT create_sql FROM upkeep.advise_indexes(ARRAY[E'SELECT * FROM t WHERE b = ''\xff\xfe'''])")
            self.assertEqual(cursor.fetchall(), [("CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_t_b ON t (b)",)])
            with self.assertRaises(psycopg2.Error) as caught:
                cursor.execute(rb"SELECT * FROM upkeep.advise_indexes(ARRAY[E'SELECT * FROM \"\xff\xfe\"'])")
            self.assertEqual(caught.exception.pgcode, "42704")
            with self.assertRaises(psycopg2.Error) as caught:
                cursor.execute(rb"SELECT * FROM upkeep.advise_indexes(ARRAY['SELECT 1'], kinds => ARRAY[E'\xff'])")
            self.assertEqual(caught.exception.pgcode, "22023")
        connection.close()
        # in a UTF-8 database the server itself refuses them before we are called
        error = self.refusal(rb"SELECT * FROM upkeep.advise_indexes(ARRAY[E'SELECT \xff'])")
        self.assertEqual(error.pgcode, "22021")


class BadOptions(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "CREATE TABLE t AS SELECT g AS id, g % 100 AS a FROM generate_series(1, 20000) AS g; ANALYZE t")

    def call_refuses(self, wanted, arguments, sqlstate="22023"):
        self.refuses(sqlstate, wanted, f"SELECT * FROM upkeep.advise_indexes({arguments})")

    def option_refuses(self, wanted, option, sqlstate="22023"):
        self.call_refuses(wanted, f"ARRAY['SELECT * FROM t WHERE a = 7'], {option}", sqlstate)

    def test_budget(self):
        for budget in ("0", "-1", "-9223372036854775808"):
            self.option_refuses("budget_bytes must be above 0", f"budget_bytes => {budget}")
        call = "SELECT count(*) FROM upkeep.advise_indexes(ARRAY['SELECT * FROM t WHERE a = 7'], budget_bytes => %s)"
        self.assertEqual(self.value(call, 1), 0)
        self.assertEqual(self.value(call, 9223372036854775807), 1)

    def test_max_columns(self):
        for columns in ("0", "-1", "9", "99", "2147483647"):
            self.option_refuses("max_columns must be between 1 and 8", f"max_columns => {columns}")
        self.option_refuses("max_columns must not be null", "max_columns => NULL")

    def test_time_limit(self):
        for limit in ("0", "-1 s"):
            self.option_refuses("time_limit must be above 0", f"time_limit => '{limit}'")
        self.option_refuses("time_limit is out of range", "time_limit => '100000000 years'")
        self.option_refuses("time_limit must not be null", "time_limit => NULL")

    def test_min_saving_ratio(self):
        for ratio in ("-0.1", "1.1", "'nan'", "'inf'"):
            self.option_refuses("min_saving_ratio must be between 0 and 1", f"min_saving_ratio => {ratio}")

    def test_kinds(self):
        self.option_refuses('unknown kind of index "hash"', "kinds => ARRAY['hash']")
        self.option_refuses("kinds is empty", "kinds => '{}'")
        self.option_refuses("kinds must not contain null elements", "kinds => ARRAY[NULL::text]")

    def test_workload(self):
        self.call_refuses("workload is empty", "'{}'")
        self.call_refuses("workload must not contain null elements", "ARRAY['SELECT 1', NULL]")
        self.call_refuses("workload must be a one-dimensional array", "ARRAY[['SELECT 1'], ['SELECT 2']]")
        for arguments in ("", "NULL"):
            self.call_refuses("no workload is given and none was captured", arguments, "0A000")
        self.call_refuses("weights given without a workload", "NULL, ARRAY[1]")

    def test_weights(self):
        self.option_refuses("weights has 2 elements, workload has 1", "weights => ARRAY[1, 2]")
        self.option_refuses("weights has 0 elements, workload has 1", "weights => '{}'")
        for weight in ("-1", "0", "'nan'", "'inf'", "'-inf'"):
            self.option_refuses("weight of statement is not a positive number", f"weights => ARRAY[{weight}]::float8[]")
        self.option_refuses("weights must not contain null elements", "weights => ARRAY[NULL]::float8[]")
        self.option_refuses("weights are too large to be added up", "weights => ARRAY[1e308]")


class BadIndexes(Asks):
    """What CREATE INDEX would refuse is not priced."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def index_refuses(self, sqlstate, wanted, *indexes):
        self.refuses(sqlstate, wanted, WHAT_IF, "SELECT * FROM t WHERE a = 7", list(indexes))

    def test_not_an_index(self):
        self.index_refuses("22023", "syntax error", "hello")
        self.index_refuses("22023", "index is empty", "")
        self.index_refuses("22023", "not one CREATE INDEX statement: -- c", "-- c")
        self.index_refuses("22023", "not one CREATE INDEX statement: DROP TABLE t", "DROP TABLE t")
        self.index_refuses("22023", "not one CREATE INDEX statement", "CREATE INDEX ON t (a); CREATE INDEX ON t (b)")
        self.index_refuses("22023", "indexes must not contain null elements", None)
        self.refuses("22023", "indexes must not be null", WHAT_IF, "SELECT 1", None)
        self.refuses("22023", "statement must not be null", WHAT_IF, None, ["CREATE INDEX ON t (a)"])
        self.index_refuses("42704", 'index 2: column "nocol" does not exist', "CREATE INDEX ON t (a)",
                           "CREATE INDEX ON t (nocol)")

    def test_what_the_server_would_refuse(self):
        for sqlstate, wanted, index in (
                ("42704", 'relation "nowhere" does not exist', "CREATE INDEX ON nowhere (a)"),
                ("0A000", '"v" is a view', "CREATE INDEX ON v (a)"),
                ("0A000", '"f" is a foreign table', "CREATE INDEX ON f (a)"),
                ("0A000", '"pg_class" is a system catalog', "CREATE INDEX ON pg_class (relpages)"),
                ("0A000", "index creation on system columns is not supported", "CREATE INDEX ON t (ctid)"),
                ("22023", "functions in index expression must be marked IMMUTABLE", "CREATE INDEX ON t ((a + random()))"),
                ("22023", "functions in index predicate must be marked IMMUTABLE",
                 "CREATE INDEX ON t (a) WHERE now() > '2020-01-01'"),
                ("22023", "aggregate functions are not allowed", "CREATE INDEX ON t (count(*))"),
                ("0A000", "cannot use subquery in index predicate", "CREATE INDEX ON t (a) WHERE (SELECT true)"),
                ("0A000", "expressions are not supported in included columns", "CREATE INDEX ON t (a) INCLUDE (lower(b))"),
                ("42704", 'tablespace "nowhere" does not exist', "CREATE INDEX ON t (a) TABLESPACE nowhere"),
                ("22023", 'unrecognized parameter "nonsense"', "CREATE INDEX ON t (a) WITH (nonsense = 5)"),
                ("42704", 'operator class "no_ops" does not exist', "CREATE INDEX ON t (a no_ops)"),
                ("42704", 'collation "none" for encoding "UTF8" does not exist', 'CREATE INDEX ON t (b COLLATE "none")'),
                ("22023", "cannot use more than 32 columns", f"CREATE INDEX ON t ({','.join(['a'] * 33)})"),
                ("22023", 'relation "t_pkey" already exists', "CREATE INDEX t_pkey ON t (a)")):
            with self.subTest(index):
                self.index_refuses(sqlstate, wanted, index)
                if "system catalog" not in wanted:
                    self.refusal(index)  # the oracle: the server refuses it too

    def test_what_only_we_refuse(self):
        self.index_refuses("0A000", "an index of type hash cannot be assumed", "CREATE INDEX ON t USING hash (a)")
        self.index_refuses("0A000", "only the root of a partitioned table", "CREATE INDEX ON ONLY p (a)")

    def test_names_are_those_that_the_server_chooses(self):
        for columns in ("a", "a, b", "lower(b)", "(a + 1), (a + 2)", "a) INCLUDE (b", "a, a, a", "(coalesce(a, 0))"):
            statement = "SELECT a FROM t ORDER BY " + ("lower(b)" if "lower" in columns else "a") + " LIMIT 1"
            plan = self.value("SELECT plan_after::text FROM upkeep.what_if(%s, %s)", statement,
                              [f"CREATE INDEX ON t ({columns})"])
            with self.subTest(columns):
                self.run_on(self.db, f"CREATE INDEX ON t ({columns})")
                name = self.value("SELECT max(indexrelid::regclass::text) FROM pg_index"
                                  " WHERE indrelid = 't'::regclass AND NOT indisprimary")
                if "Index Name" in plan:
                    self.assertIn(f'"Index Name": "{name}"', plan)
                self.run_on(self.db, f'DROP INDEX "{name}"')

    def test_if_not_exists_assumes_nothing_where_there_is_one(self):
        self.run_on(self.db, "CREATE INDEX there ON t (id, a)")
        self.assertEqual(self.value(WHAT_IF, "SELECT * FROM t WHERE a = 7", ["CREATE INDEX IF NOT EXISTS there ON t (a)"]),
                         [])
        self.assertEqual(self.value(WHAT_IF, "SELECT * FROM t WHERE a = 7", ["CREATE INDEX IF NOT EXISTS gone ON t (a)"]),
                         ["gone"])
        self.run_on(self.db, "DROP INDEX there")

    def test_nothing_was_created(self):
        self.rows(WHAT_IF, "SELECT * FROM t WHERE a = 7", ["CREATE INDEX left_over ON t (a)"])
        self.assertEqual(self.value("SELECT to_regclass('left_over')"), None)


if __name__ == "__main__":
    unittest.main()
