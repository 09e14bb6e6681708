# cluster: shared_preload_libraries=upkeep_preload
"""index_findings: json columns that captured statements look into, and what stands in the way of jsonb."""
import unittest

from host import Asks

SETUP = """
DROP VIEW IF EXISTS seen;
DROP TABLE IF EXISTS events CASCADE;
CREATE TABLE events (id int, payload json DEFAULT '{}', "Meta" json, doc jsonb, plain text);
INSERT INTO events SELECT g, json_build_object('kind', 'k' || g), '{}', '{}', '' FROM generate_series(1, 3000) AS g;
ANALYZE events
"""
SEARCH = "SELECT id FROM events WHERE payload ->> 'kind' = 'kq77'"


class JsonTest(Asks):
    def setUp(self):
        for statement in SETUP.strip().split(";\n"):
            self.rows(statement)
        self.rows("SELECT upkeep.reset_statements()")

    def found(self):
        return self.dicts("SELECT * FROM upkeep.index_findings WHERE code = 'json_without_jsonb'")

    def test_the_fix_and_its_undo(self):
        self.rows(SEARCH)
        [row] = self.found()
        self.assertEqual((row["table_name"], row["index_name"], row["covered_by"]), ("events", None, None))
        self.assertIn("1 captured statement looks into payload", row["evidence"])
        self.assertNotIn("kq77", str(row))
        kind = "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'events'::regclass AND attname = 'payload'"
        before = self.rows(SEARCH.replace("kq77", "k77"))
        self.rows(row["fix_sql"])
        self.assertEqual(self.value(kind), "jsonb")
        self.assertEqual(self.rows(SEARCH.replace("kq77", "k77")), before)
        self.rows("INSERT INTO events VALUES (0)")
        self.assertEqual(self.found(), [])
        self.rows(row["undo_sql"])
        self.assertEqual(self.value(kind), "json")

    def test_whatever_the_condition_and_however_it_is_written(self):
        for sql in ("SELECT id FROM events WHERE payload #>> '{kind}' = 'x'", "SELECT id FROM events WHERE payload::text LIKE '%x%'",
                    "SELECT id FROM events WHERE (payload ->> 'kind') IN ('a', 'b')",
                    "SELECT id FROM events WHERE id = 3 OR payload ->> 'kind' IS NULL",
                    "SELECT a.id FROM events a JOIN events b ON a.payload ->> 'kind' = b.plain",
                    "SELECT id FROM (SELECT id, payload AS p FROM events) AS s WHERE p ->> 'kind' = 'x'",
                    "UPDATE events SET plain = '' WHERE payload ->> 'kind' = 'x'",
                    "SELECT id FROM events WHERE payload ->> 'kind' = 'x' AND plain <> '" + "y" * 5000 + "'"):
            with self.subTest(sql[:80]):
                self.rows("SELECT upkeep.reset_statements()")
                self.rows(sql)
                self.assertEqual([row["fix_sql"] for row in self.found()],
                                 ["ALTER TABLE public.events ALTER COLUMN payload TYPE jsonb USING payload::jsonb"])

    def test_a_name_that_needs_quotes(self):
        self.rows("""SELECT id FROM events WHERE "Meta" ->> 'a' = 'b'""")
        [row] = self.found()
        self.assertIn('"Meta"::jsonb', row["fix_sql"])
        self.rows(row["fix_sql"])
        self.rows(row["undo_sql"])

    def test_what_does_not_look_into_it(self):
        self.rows("CREATE TABLE small AS SELECT json '{}' AS payload FROM generate_series(1, 900)")
        self.rows("ANALYZE small")
        for sql in ("SELECT payload FROM events WHERE id = 4", "SELECT payload ->> 'kind' FROM events",
                    "SELECT id FROM events WHERE payload IS NULL", "SELECT id FROM events WHERE doc ->> 'a' = 'b'",
                    "INSERT INTO events (id, payload) VALUES (1, '{}')", "SELECT 1 FROM small WHERE payload ->> 'a' = 'b'"):
            self.rows(sql)
        self.assertEqual(self.found(), [])

    def test_an_index_on_what_is_in_it(self):
        self.rows("CREATE INDEX ON events ((payload ->> 'kind'))")
        self.rows(SEARCH)
        self.assertEqual(self.found(), [])

    def test_no_fix_that_would_fail(self):
        for name, sql, why in (
                ("view", "CREATE VIEW seen AS SELECT payload FROM events", "a view or rule depends on the column"),
                ("policy", "CREATE POLICY p ON events USING (payload ->> 'a' = 'b')", "a policy depends on the column"),
                ("generated", "ALTER TABLE events ADD g text GENERATED ALWAYS AS (payload ->> 'a') STORED",
                 "a generated column depends on the column"),
                ("check", "ALTER TABLE events ADD CHECK (json_typeof(payload) = 'object')", "a check depends on the column"),
                ("statement", "SELECT json_typeof(payload) FROM events WHERE id = 1", "captured statements use functions")):
            with self.subTest(name):
                self.setUp()
                self.rows(sql)
                self.rows(SEARCH)
                [row] = self.found()
                self.assertEqual((row["fix_sql"], row["undo_sql"]), (None, None))
                self.assertIn("no fix is offered: " + why, row["evidence"])
                if name != "statement":
                    self.refusal("ALTER TABLE events ALTER COLUMN payload TYPE jsonb USING payload::jsonb")


if __name__ == "__main__":
    unittest.main()
