"""upkeep_lint_statements: each code on statements that have it and on statements that look alike and have not."""
import pathlib
import sqlite3
import tempfile
import unittest

import host

SETUP = """
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, created_at TEXT NOT NULL, status TEXT, code TEXT,
                    price REAL, note TEXT, number TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO orders SELECT i, i % 500, datetime(1700000000 + i * 60, 'unixepoch'), 'open', 'c' || i, i, 'note ' || i, i FROM n;
CREATE INDEX orders_created ON orders(created_at); CREATE INDEX orders_code ON orders(lower(code));
CREATE UNIQUE INDEX orders_by ON orders(customer, created_at); CREATE INDEX orders_number ON orders(number);
CREATE TABLE small(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO small SELECT id, 'n' || id FROM orders WHERE id <= 10;
CREATE TABLE refs(order_id INTEGER, needed INTEGER NOT NULL); INSERT INTO refs SELECT id, id FROM small;
CREATE TABLE untyped(x, y INTEGER); INSERT INTO untyped SELECT id, id FROM orders WHERE id <= 2000;
CREATE INDEX untyped_x ON untyped(x);
CREATE VIEW open_orders AS SELECT id, note FROM orders WHERE status = 'open';
ANALYZE;
CREATE TABLE unknown(id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO unknown SELECT id, id FROM orders WHERE id <= 5000;
CREATE INDEX unknown_a ON unknown(a);
CREATE TABLE unknown_small(id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO unknown_small VALUES (1, 1);
CREATE INDEX unknown_small_a ON unknown_small(a);
CREATE TABLE unknown_bare(id INTEGER PRIMARY KEY, a INTEGER); INSERT INTO unknown_bare SELECT id, id FROM orders;
"""


class Lint(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(pathlib.Path(folder.name) / "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript(SETUP)
        self.value("SELECT upkeep_capture(1)")
        self.addCleanup(self.stop)

    def stop(self):
        self.value("SELECT upkeep_reset_statements()")
        self.value("SELECT upkeep_capture(0)")

    def lint(self):
        return self.rows("SELECT code, severity, fingerprint, query, evidence, suggestion FROM upkeep_lint_statements")

    def run_some(self, *statements, times=1):
        for statement in statements:
            for _ in range(times):
                self.rows(statement)

    def all_have(self, code, *statements, times=1):
        rows = []
        for statement in statements:
            self.value("SELECT upkeep_reset_statements()")
            self.run_some(statement, times=times)
            found = [row for row in self.lint() if row[0] == code]
            self.assertEqual(len(found), 1, (code, statement, self.lint()))
            self.assertIn(f"{times} calls, ", found[0][4])
            rows += found
        return rows

    def none_has(self, code, *statements, times=1):
        self.value("SELECT upkeep_reset_statements()")
        self.run_some(*statements, times=times)
        self.assertGreaterEqual(self.value("SELECT count(*) FROM upkeep_statements"), 1)
        self.assertEqual([row for row in self.lint() if row[0] == code], [])

    def paged(self, page):
        self.value("SELECT upkeep_reset_statements()")
        for _ in range(10):
            self.rows(page, 0)
        self.rows(page, 199900)
        return [row for row in self.lint() if row[0] == "large_offset"]

    def test_large_offset(self):
        self.db.execute("CREATE TABLE many(id INTEGER PRIMARY KEY, at TEXT, note TEXT)")
        self.db.execute("INSERT INTO many SELECT NULL, o.created_at, o.note FROM orders o, (SELECT 1 FROM small) s")
        self.db.execute("CREATE INDEX many_at ON many(at)")
        for page in ("SELECT note FROM many ORDER BY at LIMIT 10 OFFSET ?",
                     "SELECT note FROM many ORDER BY id LIMIT ?, 10", "SELECT note FROM many LIMIT 5 OFFSET ?"):
            found = self.paged(page)
            self.assertEqual(len(found), 1, page)
            self.assertRegex(found[0][4], r"OFFSET, the fastest call took [\d.]+ ms and the slowest [\d.]+ ms")
            self.assertIn("LIMIT n", found[0][5])
        for page in ("SELECT note FROM orders ORDER BY id LIMIT 10", "SELECT max(id) FROM orders",
                     "SELECT id FROM (SELECT id FROM orders LIMIT 5 OFFSET 100)"):
            self.none_has("large_offset", page, times=20)
        self.none_has("large_offset", "SELECT note FROM orders ORDER BY id LIMIT 5 OFFSET 1", times=3)

    def test_keyset_without_tiebreaker(self):
        found = self.all_have(
            "keyset_without_tiebreaker",
            "SELECT id FROM orders WHERE created_at < '2023-11-20' ORDER BY created_at DESC LIMIT 20",
            "SELECT id, note FROM orders WHERE created_at > '2023-11-15' ORDER BY created_at LIMIT 10",
            "SELECT id FROM orders o WHERE o.status = 'open' AND o.customer > 5 ORDER BY o.customer LIMIT 10",
            "SELECT id FROM orders WHERE '2023-11-15' < created_at ORDER BY created_at LIMIT 10")
        self.assertEqual(found[0][1], "high")
        self.assertIn("WHERE (created_at, id) < (last values) ORDER BY created_at DESC, id DESC LIMIT n", found[0][5])
        self.none_has(
            "keyset_without_tiebreaker",
            "SELECT id FROM orders WHERE (created_at, id) < ('2023-11-20', 5) ORDER BY created_at DESC, id DESC LIMIT 20",
            "SELECT id FROM orders WHERE created_at < '2023-11-20' OR (created_at = '2023-11-20' AND id < 7)"
            " ORDER BY created_at DESC, id DESC LIMIT 20",
            "SELECT id FROM orders WHERE id > 100 ORDER BY id LIMIT 20",
            "SELECT id FROM orders WHERE created_at >= '2023-11-15' ORDER BY created_at DESC LIMIT 20",
            "SELECT id FROM orders WHERE customer = 7 AND created_at > '2023-11-15' ORDER BY created_at LIMIT 10",
            "SELECT id FROM orders WHERE created_at < datetime('now') ORDER BY created_at DESC LIMIT 20",
            "SELECT id FROM orders WHERE created_at < '2023-11-20' ORDER BY created_at DESC LIMIT 1",
            "SELECT id FROM orders WHERE created_at < '2023-11-14 23' ORDER BY created_at DESC")

    def test_unbounded_result(self):
        found = self.all_have("unbounded_result", "SELECT id FROM orders", "SELECT o.id FROM orders o, small s",
                              "SELECT customer, note, count(*) FROM orders GROUP BY 1, 2", times=2)
        self.assertIn("a call returns 20000 rows", found[0][4])
        self.assertEqual(found[1][1], "high")
        self.none_has("unbounded_result", "SELECT id FROM orders LIMIT 5000", "SELECT count(*) FROM orders",
                      "SELECT id FROM orders WHERE customer = 5", "UPDATE orders SET note = note", "SELECT * FROM small")

    def test_leading_wildcard(self):
        found = self.all_have("leading_wildcard", "SELECT id FROM orders WHERE note LIKE '%77'",
                              "SELECT id FROM orders WHERE note GLOB '*77*' AND id < 5",
                              "SELECT id FROM orders o WHERE o.note LIKE '_' || 'x' || '%'")
        self.assertIn("orders.note began with a wildcard", found[0][4])
        self.assertIn("FTS5", found[0][5])
        self.assertIn("like ? /* %... */", found[0][3])
        self.none_has("leading_wildcard", "SELECT note FROM orders WHERE note LIKE 'note 7%'",
                      "SELECT id FROM small WHERE name LIKE '%7'", "SELECT id FROM orders WHERE note = '%77'",
                      "SELECT id, note LIKE '%7' FROM orders LIMIT 3", "SELECT id FROM orders WHERE note GLOB '%7'")

    def test_a_note_does_not_change_the_fingerprint(self):
        self.value("SELECT upkeep_reset_statements()")
        self.run_some("SELECT id FROM small WHERE name LIKE '%77'", "SELECT id FROM small WHERE name LIKE 'n7%'")
        self.assertEqual(self.rows("SELECT calls FROM upkeep_statements"), [(2,)])

    def test_function_on_column(self):
        found = self.all_have(
            "function_on_column", "SELECT id FROM orders WHERE upper(note) = 'NOTE 7'",
            "SELECT id FROM orders WHERE date(created_at) < date('2023-11-15', '-1 day') LIMIT 5",
            "SELECT id FROM orders o WHERE substr(o.created_at, 1, 10) = '2023-11-16'",
            "SELECT count(*) FROM small s JOIN orders o ON abs(o.customer) = s.id",
            "DELETE FROM orders WHERE length(note) = 400", "SELECT id FROM orders WHERE CAST(price AS INTEGER) = 7")
        self.assertEqual(found[0][5], "CREATE INDEX orders_upper_note ON orders (upper(note))")
        self.assertIn("orders_created", found[1][4])
        self.assertIn("created_at >= lower bound AND created_at < upper bound", found[2][5])
        for row in found:
            if row[5].startswith("CREATE"):
                self.db.execute(row[5])
        self.none_has("function_on_column", "SELECT id FROM orders WHERE upper(note) = 'NOTE 7'")
        self.none_has("function_on_column", "SELECT id FROM orders WHERE lower(code) = 'c7'",
                      "SELECT id FROM orders WHERE note = lower('NOTE 7')", "SELECT lower(note) FROM orders LIMIT 3",
                      "SELECT id FROM small WHERE lower(name) = 'n7'", "SELECT id FROM orders WHERE created_at > datetime('now')",
                      "SELECT customer FROM orders GROUP BY 1 HAVING max(note) = 'x'",
                      "SELECT id FROM orders WHERE coalesce(note, status) = 'x'")

    def test_implicit_cast(self):
        found = self.all_have("implicit_cast", "SELECT o.note FROM small s JOIN orders o ON o.number = s.id",
                              "SELECT count(*) FROM untyped u, refs r WHERE r.order_id = u.x",
                              "SELECT note FROM orders WHERE number = CAST('7' AS INTEGER)")
        self.assertIn("orders.number is compared as a number because the other side is integer and it is text", found[0][4])
        self.assertIn("index orders_number", found[0][4])
        # What is said is so: the planner does not use the index, and does when the types are alike.
        plan = lambda sql: str(self.rows("EXPLAIN QUERY PLAN " + sql))
        self.assertNotIn("orders_number", plan("SELECT note FROM orders WHERE number = CAST('7' AS INTEGER)"))
        self.assertIn("orders_number", plan("SELECT note FROM orders WHERE number = CAST(7 AS TEXT)"))
        self.none_has("implicit_cast", "SELECT note FROM orders WHERE number = 7", "SELECT note FROM orders WHERE id = '7'",
                      "SELECT count(*) FROM small s JOIN orders o ON o.id = s.id",
                      "SELECT note FROM orders WHERE number = CAST(7 AS TEXT)",
                      "SELECT count(*) FROM small s JOIN orders o ON o.note = s.id",  # no index
                      "SELECT count(*) FROM small s JOIN small t ON s.name = t.id")

    def test_not_in_subquery(self):
        found = self.all_have("not_in_subquery", "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refs)",
                              "SELECT id FROM orders o WHERE o.id NOT IN (SELECT r.order_id FROM refs r WHERE r.needed > 3)",
                              "DELETE FROM orders WHERE id NOT IN (SELECT DISTINCT order_id FROM refs) AND id < 0")
        self.assertIn("NOT IN over refs.order_id, which may be NULL", found[0][4])
        self.assertIn("NOT EXISTS (SELECT 1 FROM refs WHERE refs.order_id = outer column)", found[0][5])
        self.none_has("not_in_subquery", "SELECT id FROM orders WHERE id NOT IN (SELECT needed FROM refs) LIMIT 1",
                      "SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM refs WHERE order_id IS NOT NULL) LIMIT 1",
                      "SELECT id FROM orders WHERE id IN (SELECT order_id FROM refs)",
                      "SELECT id FROM orders WHERE id NOT IN (1, 2, 3) LIMIT 1",
                      "SELECT order_id FROM refs WHERE order_id NOT IN (SELECT small.id FROM small)")

    def test_select_star(self):
        found = self.all_have("select_star", "SELECT * FROM small", "SELECT s.* FROM small s JOIN orders o USING (id) LIMIT 1",
                              "SELECT o.id, s.* FROM small s, orders o LIMIT 1", "SELECT * FROM open_orders LIMIT 1")
        self.assertEqual(found[0][5], "name those that are used: SELECT id, name")
        self.assertIn("small (2)", found[1][4])
        self.assertNotIn("orders", found[1][4])
        self.assertIn("open_orders (2)", found[3][4])
        self.none_has("select_star", "SELECT id, name FROM small", "SELECT count(*) FROM small", "SELECT id * 2 FROM small",
                      "SELECT id FROM small WHERE EXISTS (SELECT * FROM refs)", "SELECT * FROM (SELECT id FROM small)",
                      "SELECT * FROM json_each('[1]')", "INSERT INTO small SELECT * FROM small WHERE id < 0")

    def test_missing_statistics(self):
        found = self.all_have("missing_statistics", "SELECT id FROM unknown WHERE a = 7",
                              "SELECT count(*) FROM unknown JOIN orders USING (id)", "UPDATE unknown SET a = a WHERE id = 3")
        self.assertEqual(found[0][5], "ANALYZE unknown")
        self.assertIn("unknown (about 5000 rows)", found[0][4])
        self.none_has("missing_statistics", "SELECT id FROM unknown_small WHERE a = 1", "SELECT id FROM orders WHERE id = 7",
                      "SELECT id FROM unknown_bare LIMIT 3", "SELECT 1")

    def test_what_cannot_be_analysed_is_left_out(self):
        self.db.execute("CREATE TABLE gone(id)")
        self.run_some("SELECT * FROM gone", "SELECT * FROM small")
        self.db.execute("DROP TABLE gone")
        queries = [row[3] for row in self.lint()]
        self.assertIn("select * from small", queries)
        self.assertNotIn("select * from gone", queries)

    def test_rows_join_with_statements(self):
        self.run_some("SELECT * FROM small")
        self.assertEqual(self.rows("SELECT calls FROM upkeep_lint_statements JOIN upkeep_statements USING (fingerprint)"
                                   " WHERE code = 'select_star'"), [(1,)])

    def test_nothing_captured(self):
        self.value("SELECT upkeep_reset_statements()")
        self.assertEqual(self.lint(), [])

    def test_any_text_is_borne(self):
        for text in ("SELECT 'a", "SELECT (((", "SELECT * FROM small WHERE ((name LIKE '%x'", "SELECT 1 WHERE 1 NOT IN (SELECT"):
            with self.assertRaises(sqlite3.Error):
                self.rows(text)
        self.run_some("SELECT \"id\" FROM \"small\" AS \"a b\" WHERE \"a b\".\"name\" LIKE '%x' ORDER BY 1 LIMIT 2, 3;")
        self.lint()


if __name__ == "__main__":
    unittest.main()
