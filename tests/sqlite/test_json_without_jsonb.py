"""upkeep_index_findings from captured statements: json_without_jsonb, an index on the value that conditions look up."""
import json
import pathlib
import tempfile
import unittest

import host


class JsonWithoutJsonbTest(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = str(pathlib.Path(folder.name) / "app.db")
        self.db = host.connect(database=path, isolation_level=None, cached_statements=0)
        self.addCleanup(self.db.close)
        self.db.executescript("""
            PRAGMA synchronous = OFF;
            CREATE TABLE events(id INTEGER PRIMARY KEY, data TEXT NOT NULL, note TEXT);
            CREATE TABLE few(id INTEGER PRIMARY KEY, data TEXT NOT NULL);
            INSERT INTO few VALUES(1, '{"kind": "a"}');
            """)
        rows = [(json.dumps({"kind": f"k{i % 500}", "user": {"id": i}, "flag": i % 2}),) for i in range(5000)]
        self.db.execute("BEGIN")
        self.db.executemany("INSERT INTO events(data) VALUES(?)", rows)
        self.db.execute("COMMIT")
        self.addCleanup(self.value, "SELECT upkeep_capture(0)")
        self.value("SELECT upkeep_capture(1)")
        self.forget()

    def forget(self):
        self.value("SELECT upkeep_reset_statements()")

    def found(self):
        cursor = self.db.execute("SELECT * FROM upkeep_index_findings WHERE code = 'json_without_jsonb'")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def test_the_fix_is_used_and_undone(self):
        for ask, value in (("SELECT id FROM events WHERE data ->> '$.kind' = ?", "k7"),
                           ("SELECT id FROM events WHERE json_extract(data, '$.user.id') = ?", 77),
                           ("SELECT id FROM events WHERE data ->> 'kind' IN (?, 'k8')", "k9"),
                           ("DELETE FROM events WHERE json_extract(data, '$.user.id') BETWEEN ? AND 80", 78)):
            with self.subTest(ask):
                self.forget()
                self.rows(ask, value)
                [row] = self.found()
                self.assertEqual((row["table_name"], row["index_name"], row["severity"]), ("events", None, "low"))
                self.assertIn("1 captured statement compares ", row["evidence"])
                self.assertIn("data is JSON kept as text", row["evidence"])
                self.assertIn("indexed generated column", row["evidence"])
                self.assertIn("not JSON can no longer be written", row["evidence"])
                self.db.execute(row["fix_sql"])
                plan = " ".join(step[3] for step in self.rows("EXPLAIN QUERY PLAN " + ask, value))
                self.assertRegex(plan, r"SEARCH events USING (COVERING )?INDEX \w+ \(<expr>")
                self.rows(ask, value)
                self.assertEqual(self.found(), [])
                self.db.execute(row["undo_sql"])
                self.assertEqual(self.rows("SELECT name FROM sqlite_schema WHERE type = 'index'"), [])

    def test_the_same_path_in_all_texts(self):
        for i in range(3):
            self.rows(f"SELECT id FROM events WHERE data ->> '$.kind' = 'secret{i}'")
        [row] = self.found()
        self.assertIn("data->>'$.kind'", row["fix_sql"])
        self.assertNotIn("secret", str(row))
        self.rows("SELECT id FROM events WHERE data ->> '$.user' = 'secret4'")  # the same statement, another path
        self.assertEqual(self.found(), [])

    def test_no_finding(self):
        for ask in ("SELECT id FROM few WHERE data ->> '$.kind' = 'a'",             # a small table
                    "SELECT data ->> '$.kind' FROM events WHERE id = 5",            # shown, not searched
                    "SELECT id FROM events WHERE data ->> ('$.' || note) = 'x'",    # no path that stands there
                    "SELECT id FROM events WHERE replace(data ->> '$.kind', 'a b!', '') = 'x'",  # a value in it
                    "SELECT id FROM events WHERE note = 'json_'",
                    "INSERT INTO events(data) VALUES('{\"a->\": 1}')"):
            with self.subTest(ask):
                self.forget()
                self.rows(ask)
                self.assertEqual(self.found(), [])

    def test_a_statement_that_nobody_can_plan_here(self):
        self.db.create_function("mine", 1, lambda x: x)
        self.rows("SELECT id FROM events WHERE mine(data ->> '$.kind') = 'x'")
        self.assertEqual(self.found(), [])

    def test_not_captured(self):
        self.value("SELECT upkeep_capture(0)")
        self.rows("SELECT id FROM events WHERE data ->> '$.kind' = 'a'")
        self.assertEqual(self.found(), [])


if __name__ == "__main__":
    unittest.main()
