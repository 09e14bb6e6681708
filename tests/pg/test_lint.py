# cluster: shared_preload_libraries=upkeep_preload
# cluster: autovacuum=off
"""lint_statements: each code on statements that have it and on statements that look alike and have not."""
import unittest

import psycopg2

from host import Asks, connect

SETUP = """
CREATE TABLE orders (id bigint PRIMARY KEY, customer int NOT NULL, created_at timestamptz NOT NULL, status text,
    code varchar(20), price numeric, note text, fixed char(8));
INSERT INTO orders SELECT g, g % 500, timestamptz '2024-01-01' + g * interval '1 min', 'open', 'c' || g, g, 'note ' || g, 'f' || g
    FROM generate_series(1, 20000) AS g;
CREATE INDEX orders_created ON orders (created_at); CREATE INDEX orders_code ON orders (lower(code));
CREATE INDEX orders_customer ON orders (customer); CREATE UNIQUE INDEX orders_by ON orders (customer, created_at);
CREATE INDEX orders_fixed ON orders (fixed);
CREATE TABLE small (id int PRIMARY KEY, name text); INSERT INTO small SELECT g, 'n' || g FROM generate_series(1, 10) AS g;
CREATE TABLE refs (order_id bigint, needed bigint NOT NULL); INSERT INTO refs SELECT g, g FROM generate_series(1, 20) AS g;
CREATE TABLE numbers (id numeric, f float8, i int); INSERT INTO numbers SELECT g, g, g FROM generate_series(1, 2000) AS g;
CREATE INDEX numbers_id ON numbers (id); CREATE INDEX numbers_i ON numbers (i);
CREATE VIEW open_orders AS SELECT id, note FROM orders WHERE status = 'open';
ANALYZE;
CREATE TABLE unknown (id int PRIMARY KEY, a int); INSERT INTO unknown SELECT g, g FROM generate_series(1, 5000) AS g;
CREATE TABLE unknown_small (id int PRIMARY KEY); INSERT INTO unknown_small SELECT g FROM generate_series(1, 50) AS g;
CREATE ROLE author LOGIN; CREATE ROLE other LOGIN IN ROLE pg_monitor; CREATE ROLE stranger LOGIN;
CREATE ROLE no_stats LOGIN; GRANT EXECUTE ON FUNCTION upkeep.lint_statements() TO no_stats;
GRANT CREATE ON SCHEMA public TO author; GRANT SELECT ON ALL TABLES IN SCHEMA public TO author;
"""


class Lint(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def setUp(self):
        self.rows("SELECT upkeep.reset_statements()")

    def lint(self, connection=None):
        return self.run_on(connection or self.db,
                           "SELECT code, severity, fingerprint, query, evidence, suggestion FROM upkeep.lint_statements()")

    def run_some(self, *statements, times=1):
        for statement in statements:
            for _ in range(times):
                self.rows(statement)

    def all_have(self, code, *statements, times=1):
        """Each of the statements has a row of this code; gives them in the order of the statements."""
        rows = []
        for statement in statements:
            self.rows("SELECT upkeep.reset_statements()")
            self.run_some(statement, times=times)
            found = [row for row in self.lint() if row[0] == code]
            self.assertEqual(len(found), 1, (code, statement, self.lint()))
            self.assertIn(f"{times} calls, ", found[0][4])
            rows += found
        return rows

    def none_has(self, code, *statements, times=1):
        self.rows("SELECT upkeep.reset_statements()")
        self.run_some(*statements, times=times)
        known = {row[0] for row in self.rows("SELECT query FROM upkeep.statements")}
        self.assertGreaterEqual(len(known), 1)
        self.assertEqual([row for row in self.lint() if row[0] == code], [])

    def test_what_tools_ask_the_catalog(self):
        """Nobody can write the statements of pg_dump and \\d otherwise."""
        asked = ("SELECT * FROM pg_proc", "SELECT oid FROM pg_proc WHERE upper(proname) = 'X'",
                 "SELECT * FROM information_schema.columns c JOIN pg_class r ON r.relname = c.table_name")
        self.run_some(*asked)
        self.assertEqual(self.lint(), [])
        self.run_some("SELECT * FROM pg_proc p JOIN small s ON s.id = p.pronargs")
        self.assertIn("select_star", [row[0] for row in self.lint()])

    def test_large_offset(self):
        found = self.all_have("large_offset", "SELECT note FROM orders ORDER BY created_at LIMIT 20 OFFSET 15000",
                              "SELECT id FROM orders ORDER BY note LIMIT 5 OFFSET 100",
                              "SELECT note FROM orders ORDER BY id OFFSET 19990")
        self.assertRegex(found[0][4], r"a call reads \d+ blocks to return 20 rows")
        self.assertIn("LIMIT n", found[0][5])
        self.none_has("large_offset", "SELECT note FROM orders ORDER BY created_at LIMIT 20 OFFSET 5",
                      "SELECT note FROM orders ORDER BY created_at LIMIT 20", "SELECT note FROM orders OFFSET 10",
                      "SELECT max(id) FROM (SELECT id FROM orders ORDER BY id LIMIT 5) AS x")

    def test_keyset_without_tiebreaker(self):
        found = self.all_have(
            "keyset_without_tiebreaker",
            "SELECT id FROM orders WHERE created_at < '2024-01-10' ORDER BY created_at DESC LIMIT 20",
            "SELECT id, note FROM orders WHERE created_at > '2024-01-02' ORDER BY created_at LIMIT 10",
            "SELECT id FROM orders WHERE status = 'open' AND customer > 5 ORDER BY customer LIMIT 10",
            "SELECT id FROM orders WHERE '2024-01-02' < created_at ORDER BY created_at LIMIT 10")
        self.assertEqual(found[0][1], "high")
        self.assertIn("pages by created_at of orders", found[0][4])
        self.assertIn("WHERE (created_at, id) < (last values) ORDER BY created_at DESC, id DESC LIMIT n", found[0][5])
        self.none_has(
            "keyset_without_tiebreaker",
            "SELECT id FROM orders WHERE (created_at, id) < ('2024-01-10', 5) ORDER BY created_at DESC, id DESC LIMIT 20",
            "SELECT id FROM orders WHERE created_at < '2024-01-10' ORDER BY created_at DESC, id DESC LIMIT 20",
            "SELECT id FROM orders WHERE id > 100 ORDER BY id LIMIT 20",
            "SELECT id FROM orders WHERE created_at >= '2024-01-02' ORDER BY created_at DESC LIMIT 20",  # the latest ones
            "SELECT id FROM orders WHERE created_at < '2024-01-10' ORDER BY created_at LIMIT 20",
            "SELECT id FROM orders WHERE customer = 7 AND created_at > '2024-01-02' ORDER BY created_at LIMIT 10",  # unique
            "SELECT id FROM orders WHERE created_at < now() ORDER BY created_at DESC LIMIT 20",
            "SELECT id FROM orders WHERE created_at < '2024-01-10' ORDER BY created_at DESC LIMIT 1",
            "SELECT id FROM orders WHERE created_at < '2024-01-01 01:00' ORDER BY created_at DESC")

    def test_unbounded_result(self):
        found = self.all_have("unbounded_result", "SELECT id FROM orders", "SELECT o.id FROM orders o JOIN small s ON true",
                              "SELECT customer, note, count(*) FROM orders GROUP BY 1, 2", times=2)
        self.assertIn("a call returns 20000 rows", found[0][4])
        self.assertEqual(found[1][1], "high")
        self.none_has("unbounded_result", "SELECT id FROM orders LIMIT 5000", "SELECT count(*) FROM orders",
                      "SELECT id FROM orders WHERE customer = 5", "UPDATE orders SET note = note", "SELECT * FROM small",
                      "SELECT id FROM orders FETCH FIRST 2000 ROWS ONLY")

    def test_leading_wildcard(self):
        found = self.all_have("leading_wildcard", "SELECT id FROM orders WHERE note LIKE '%77'",
                              "SELECT id FROM orders WHERE note ILIKE '%77%' AND id < 5",
                              "SELECT id FROM orders WHERE note LIKE '%' || 'x' || '%'",
                              "SELECT o.id FROM orders o JOIN small s ON o.code LIKE '_1%' AND s.id = o.id")
        self.assertIn("CREATE INDEX CONCURRENTLY ON orders USING gin (note gin_trgm_ops)", found[0][5])
        self.assertIn("orders.note began with a wildcard", found[0][4])
        self.assertIn("LIKE $1 /* %... */", found[0][3])
        self.none_has("leading_wildcard", "SELECT id FROM orders WHERE note LIKE 'note 7%'",
                      "SELECT id FROM small WHERE name LIKE '%7'", "SELECT id FROM orders WHERE note = '%77'",
                      "SELECT id, note LIKE '%7' FROM orders LIMIT 3", "SELECT id FROM orders WHERE lower(note) = 'x'",
                      "SELECT id FROM orders WHERE note NOT LIKE 'a%' LIMIT 3")

    def test_function_on_column(self):
        found = self.all_have(
            "function_on_column", "SELECT id FROM orders WHERE lower(note) = 'note 7'",
            "SELECT id FROM orders WHERE date_trunc('day', created_at) = '2024-01-03'",
            "SELECT id FROM orders WHERE created_at::date = '2024-01-03'",
            "SELECT id FROM orders WHERE upper(status) IN ('A', 'B')",
            "SELECT count(*) FROM small s JOIN orders o ON abs(o.id) = s.id",
            "DELETE FROM orders WHERE length(note) = 400")
        self.assertEqual(found[0][5], "CREATE INDEX CONCURRENTLY ON orders ((lower(note)))")
        self.assertIn("orders_created", found[1][4])
        self.assertIn("created_at >= lower bound AND created_at < upper bound", found[1][5])
        self.assertIn("created_at >= lower bound", found[2][5])  # depends on the time zone: no index on it
        self.rows(found[0][5])
        self.none_has("function_on_column", "SELECT id FROM orders WHERE lower(note) = 'note 7'")
        self.rows("DROP INDEX orders_lower_idx")
        self.none_has("function_on_column", "SELECT id FROM orders WHERE lower(code) = 'c7'",
                      "SELECT id FROM orders WHERE note = lower('NOTE 7')", "SELECT lower(note) FROM orders LIMIT 3",
                      "SELECT id FROM small WHERE lower(name) = 'n7'", "SELECT id FROM orders WHERE created_at > now()",
                      "SELECT customer FROM orders GROUP BY 1 HAVING max(note) = 'x'",
                      "SELECT id FROM orders WHERE concat(note, status) = 'x'")

    def test_implicit_cast(self):
        found = self.all_have("implicit_cast", "SELECT note FROM orders WHERE id = 7.0",
                              "SELECT note FROM orders WHERE customer IN (7.5, 8.5)",
                              "SELECT f FROM numbers WHERE id = 7::float8",
                              "SELECT count(*) FROM orders o JOIN numbers n ON o.id = n.id",
                              "SELECT note FROM orders WHERE fixed = 'f7'::text")
        self.assertIn("orders.id is compared as id::numeric because the other side is numeric", found[0][4])
        self.assertIn("index orders_pkey", found[0][4])
        self.assertIn("CAST(value AS bigint)", found[0][5])
        self.assertIn("$1 /* numeric */", found[0][3])
        self.none_has("implicit_cast", "SELECT note FROM orders WHERE id = 7", "SELECT note FROM orders WHERE id = 7::int",
                      "SELECT note FROM orders WHERE code = 'c7'::text", "SELECT note FROM orders WHERE price = 7",
                      "SELECT f FROM numbers WHERE f = 7.5", "SELECT note FROM orders WHERE created_at = '2024-01-03'::date",
                      "SELECT name FROM small WHERE id = 7.0", "SELECT count(*) FROM orders WHERE id::numeric = 7.5",
                      "SELECT i FROM numbers WHERE i = 7::bigint", "SELECT note FROM orders WHERE fixed = 'f7'")

    def test_not_in_subquery(self):
        found = self.all_have("not_in_subquery", "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refs)",
                              "SELECT id FROM orders o WHERE o.id NOT IN (SELECT r.order_id FROM refs r WHERE r.needed > 3)",
                              "DELETE FROM orders WHERE id NOT IN (SELECT order_id FROM refs) AND id < 0",
                              "SELECT id FROM orders WHERE id <> ALL (SELECT order_id FROM refs)")
        self.assertIn("NOT IN over refs.order_id, which may be NULL", found[0][4])
        self.assertIn("NOT EXISTS (SELECT 1 FROM refs WHERE refs.order_id = outer column)", found[0][5])
        self.none_has("not_in_subquery", "SELECT id FROM orders WHERE id NOT IN (SELECT needed FROM refs) LIMIT 1",
                      "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refs WHERE order_id IS NOT NULL) LIMIT 1",
                      "SELECT id FROM orders WHERE id IN (SELECT order_id FROM refs)",
                      "SELECT id FROM orders WHERE id NOT IN (1, 2, 3) LIMIT 1",
                      "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refs WHERE order_id > 3) LIMIT 1",
                      "SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM refs r WHERE r.order_id = o.id) LIMIT 1")

    def test_select_star(self):
        found = self.all_have("select_star", "SELECT * FROM small", "SELECT s.* FROM small s JOIN orders o USING (id) LIMIT 1",
                              "SELECT o.id, s.* FROM small s, orders o LIMIT 1", "SELECT * FROM open_orders LIMIT 1")
        self.assertEqual(found[0][5], "name those that are used: SELECT id, name")
        self.assertIn("small (2)", found[1][4])
        self.assertNotIn("orders", found[1][4])
        self.assertIn("open_orders (2)", found[3][4])
        self.none_has("select_star", "SELECT id, name FROM small", "SELECT count(*) FROM small", "SELECT id * 2 FROM small",
                      "SELECT id FROM small WHERE EXISTS (SELECT * FROM refs)", "SELECT * FROM (SELECT id FROM small) AS x",
                      "SELECT * FROM generate_series(1, 3)", "INSERT INTO small SELECT * FROM small WHERE id < 0")

    def test_missing_statistics(self):
        found = self.all_have("missing_statistics", "SELECT a FROM unknown WHERE id = 7",
                              "SELECT count(*) FROM unknown JOIN orders USING (id)", "UPDATE unknown SET a = a WHERE id = 3")
        self.assertEqual(found[0][5], "ANALYZE unknown")
        self.assertRegex(found[0][4], r"unknown \(about \d+ rows\)")
        self.none_has("missing_statistics", "SELECT id FROM unknown_small", "SELECT id FROM orders WHERE id = 7",
                      "SELECT name FROM small", "SELECT 1", "SELECT count(*) FROM open_orders")

    def test_what_others_ran(self):
        author = connect(self.database, user="author")
        self.run_on(author, "SELECT * FROM small")
        for user, sees in (("other", True), ("no_stats", False), ("author", None)):
            connection = connect(self.database, user=user)
            if sees is None:
                with self.assertRaises(psycopg2.errors.InsufficientPrivilege):
                    self.lint(connection)
            else:
                self.assertEqual("select_star" in [row[0] for row in self.lint(connection)], sees, user)
            connection.close()
        author.close()

    def test_nobodys_functions_are_run(self):
        author = connect(self.database, user="author")
        self.run_on(author, """CREATE TABLE mine (id int); CREATE TABLE seen (who text); GRANT ALL ON seen TO PUBLIC;
            CREATE FUNCTION note_it() RETURNS int LANGUAGE plpgsql AS
              $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN 1; END $$;
            CREATE FUNCTION sly(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 * public.note_it(); END $$;
            INSERT INTO mine SELECT generate_series(1, 3000);
            CREATE INDEX ON mine ((id + public.sly(1))) WHERE public.sly(2) = 2;""")
        self.run_on(author, "SELECT id FROM mine WHERE public.sly(id) = 3 AND id NOT IN (SELECT id FROM mine)")
        self.run_on(author, "TRUNCATE seen")
        self.assertLessEqual({"not_in_subquery", "function_on_column"}, {row[0] for row in self.lint()})
        self.assertEqual(self.rows("SELECT * FROM seen"), [])
        self.rows("CREATE TEMP TABLE x(); DROP TABLE x")  # no longer restricted
        self.assertEqual(self.value("SELECT current_user"), "postgres")
        author.close()

    def test_what_cannot_be_analysed_is_left_out(self):
        self.rows("CREATE TABLE gone (id int)")
        self.run_some("SELECT * FROM gone", "SELECT * FROM small")
        self.rows("DROP TABLE gone")
        rows = self.lint()
        self.assertIn("SELECT * FROM small", [row[3] for row in rows])
        self.assertNotIn("SELECT * FROM gone", [row[3] for row in rows])
        self.assertIn(self.value("SELECT fingerprint FROM upkeep.statements WHERE query = 'SELECT * FROM small'"),
                      [row[2] for row in rows])

    def test_most_total_time_first(self):
        self.run_some("SELECT * FROM small")
        self.run_some("SELECT *, pg_sleep(0.05) FROM small LIMIT 2")
        stars = [row[3] for row in self.lint() if row[0] == "select_star"]
        self.assertEqual(len(stars), 2)
        self.assertIn("pg_sleep", stars[0])

    def test_it_leaves_no_locks(self):
        self.run_some("UPDATE small SET name = name WHERE id = -1")
        self.db.autocommit = False
        self.lint()
        self.assertEqual(self.value("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
                                    " AND relation = 'small'::regclass AND mode LIKE 'Row%'"), 0)
        self.db.rollback()
        self.db.autocommit = True


if __name__ == "__main__":
    unittest.main()
