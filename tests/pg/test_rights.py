"""Advice and what-if plan with the caller's rights: what he may not read is not analysed for him."""
import unittest

from host import Asks, connect

ADVISE = "SELECT create_sql FROM upkeep.advise_indexes(%s::text[])"
WHAT_IF = "SELECT used_indexes, plan_after::text FROM upkeep.what_if(%s, %s)"

SETUP = """
DROP ROLE IF EXISTS rights_reader;
CREATE ROLE rights_reader LOGIN;
CREATE TABLE secret (id int PRIMARY KEY, a int, b int, tenant text);
INSERT INTO secret SELECT g, g % 100, g % 1000, 'tenant ' || g % 50 FROM generate_series(1, 20000) AS g;
CREATE TABLE open (LIKE secret);
INSERT INTO open SELECT * FROM secret;
CREATE TABLE partly (LIKE secret);
INSERT INTO partly SELECT * FROM secret;
CREATE TABLE tenants (LIKE secret);
INSERT INTO tenants SELECT * FROM secret;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (tenant = current_setting('app.tenant'));
CREATE VIEW window_view AS SELECT id, a FROM secret;
CREATE VIEW invoker_view WITH (security_invoker) AS SELECT id, a FROM secret;
CREATE SCHEMA hidden;
CREATE TABLE hidden.t AS SELECT * FROM secret;
CREATE TABLE traces (n int);
CREATE FUNCTION leave_trace(n int) RETURNS int LANGUAGE plpgsql AS $$BEGIN INSERT INTO traces VALUES (n); RETURN n; END$$;
GRANT SELECT ON open, tenants, window_view, invoker_view, hidden.t TO rights_reader;
GRANT SELECT (id, a) ON partly TO rights_reader;
ANALYZE;
"""


class Rights(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)
        cls.reader = connect(cls.database, user="rights_reader")

    @classmethod
    def tearDownClass(cls):
        cls.reader.close()
        super().tearDownClass()

    def advice(self, statement):
        return [row[0].split(" ON ")[1] for row in self.run_on(self.reader, ADVISE, [[statement]])]

    def denied(self, wanted, statement):
        self.refuses("42501", wanted, ADVISE, [statement], connection=self.reader)
        self.refuses("42501", wanted, WHAT_IF, statement, [], connection=self.reader)

    def test_what_he_may_read(self):
        self.assertEqual(self.advice("SELECT * FROM open WHERE a = 7"), ["open (a)"])
        self.assertEqual(self.run_on(self.reader, WHAT_IF, ["SELECT * FROM open WHERE a = 7", ["CREATE INDEX i ON open (a)"]])
                         [0][0], ["i"])

    def test_what_he_may_not_read(self):
        for statement in ("SELECT * FROM secret WHERE a = 7", "SELECT * FROM open WHERE a IN (SELECT a FROM secret)",
                          "WITH s AS (SELECT * FROM secret) SELECT * FROM open, s WHERE open.a = s.a",
                          "SELECT (SELECT max(a) FROM secret) FROM open", "SELECT 1 UNION SELECT a FROM secret",
                          "DELETE FROM open USING secret WHERE open.a = secret.a"):
            with self.subTest(statement):
                self.refuses("42501", "permission denied for table", ADVISE, [statement], connection=self.reader)
        self.denied("permission denied for table secret", "SELECT a FROM secret WHERE a = 7")

    def test_writing_needs_the_right_to_write(self):
        self.denied("permission denied for table open", "UPDATE open SET a = 1 WHERE b = 7")
        self.denied("permission denied for table open", "INSERT INTO open VALUES (1)")

    def test_columns_that_he_may_not_read(self):
        self.assertEqual(self.advice("SELECT id FROM partly WHERE a = 7"), ["partly (a)"])
        self.denied("permission denied for table partly", "SELECT id FROM partly WHERE b = 7")
        self.denied("permission denied for table partly", "SELECT * FROM partly")

    def test_a_schema_that_he_may_not_use(self):
        self.denied("permission denied for schema hidden", "SELECT * FROM hidden.t WHERE a = 7")
        self.refuses("42501", "permission denied for schema hidden", WHAT_IF, "SELECT 1", ["CREATE INDEX ON hidden.t (a)"],
                     connection=self.reader)

    def test_behind_a_view_he_reads_with_its_owner_s_rights(self):
        self.assertEqual(self.advice("SELECT * FROM window_view WHERE a = 7"), ["secret (a)"])
        self.denied("permission denied for table secret", "SELECT * FROM invoker_view WHERE a = 7")

    def test_an_index_may_be_assumed_only_where_he_may_read(self):
        self.refuses("42501", "permission denied for table secret", WHAT_IF, "SELECT * FROM window_view WHERE a = 7",
                     ["CREATE INDEX ON secret (a)"], connection=self.reader)

    def test_row_level_security_is_part_of_the_plan(self):
        self.run_on(self.reader, "SET app.tenant = 'tenant 3'")
        self.assertEqual(self.advice("SELECT * FROM tenants"), ["tenants (tenant)"])
        plan = self.run_on(self.reader, WHAT_IF, ["SELECT * FROM tenants WHERE a = 7", []])[0][1]
        self.assertIn("app.tenant", plan)
        self.assertNotIn("app.tenant", self.rows(WHAT_IF, "SELECT * FROM tenants WHERE a = 7", [])[0][1])

    def test_one_denied_statement_gives_no_advice_on_the_others(self):
        error = self.refuses("42501", "statement 2: permission denied", ADVISE,
                             ["SELECT * FROM open WHERE a = 7", "SELECT * FROM secret WHERE a = 7"], connection=self.reader)
        self.assertNotIn("CREATE INDEX", str(error))

    def test_nothing_is_run(self):
        self.rows(ADVISE, ["SELECT leave_trace(1)"])
        self.rows(WHAT_IF, "SELECT * FROM open WHERE a = leave_trace(2)", ["CREATE INDEX ON open (a)"])
        self.rows(WHAT_IF, "INSERT INTO traces VALUES (3)", [])
        self.rows(ADVISE, ["WITH w AS (INSERT INTO traces VALUES (4) RETURNING n) SELECT * FROM w"])
        self.assertEqual(self.rows("SELECT n FROM traces"), [])


if __name__ == "__main__":
    unittest.main()
