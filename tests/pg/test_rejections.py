"""explain_rejections as a stranger asks it: what he would expect to be advised has its row and its reason."""
import unittest

from host import Asks, connect

SETUP = """
CREATE TABLE big (id int PRIMARY KEY, status text, flag bool, a int, b int, c int, note text, made timestamptz);
INSERT INTO big SELECT g, CASE WHEN g % 10 = 0 THEN 'failed' ELSE 'done' END, g % 2 = 0, g % 1000, g % 5000, g, 'note ' || g,
    '2024-01-01'::timestamptz - g * interval '1 min' FROM generate_series(1, 50000) AS g;
CREATE INDEX big_b ON big (b);
CREATE TABLE small (id int PRIMARY KEY, v int); INSERT INTO small SELECT g, g FROM generate_series(1, 50) AS g;
CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE ft (x int, y int) SERVER far"""
# statement, what is said of which column or expression
SAID = (
    ("SELECT * FROM big WHERE flag = true", "flag", "the planner does not use it: flag has about 2 values"),
    ("SELECT * FROM big WHERE b = 5", "b", "existing index big_b provides it already"),
    ("SELECT * FROM small WHERE v = 5", "v", "the table is too small: about 50 rows"),
    ("SELECT * FROM big WHERE note LIKE '%999%'", "note LIKE '...'", "CREATE EXTENSION pg_trgm"),
    ("SELECT * FROM big WHERE note LIKE '%99%'", "note LIKE ...", "no three letters or digits in a row"),
    ("SELECT * FROM big WHERE note ILIKE $1", "note ILIKE ...", "ask with the pattern in its place"),
    ("SELECT * FROM big WHERE note NOT LIKE 'x%'", "note NOT LIKE ...", "not all the rest"),
    ("SELECT * FROM big WHERE a <> 5", "a <> ...", "not all the rest"),
    ("SELECT * FROM big WHERE a NOT IN (1, 2)", "a NOT IN (...)", "not all the rest"),
    ("SELECT * FROM big WHERE c = 5.0::numeric", "c = ...", "the column is cast to numeric for the comparison"),
    ("SELECT * FROM big WHERE to_char(made, 'YYYY') = '2024'", "to_char(made, 'YYYY'::text) = ...", "immutable"),
    ("SELECT * FROM ft JOIN big ON big.c = ft.x WHERE ft.y = 5", "y", "it is a foreign table"),
)
# all is advised: a row would be wrong
SILENT = ("SELECT * FROM big WHERE note LIKE 'note 999%' AND c = 7", "SELECT * FROM big WHERE c = 5::bigint",
          "SELECT * FROM big WHERE c = 5", "SELECT * FROM big WHERE c IN (1, 2)")


class Rejections(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)
        cls.run_on(cls.db, "VACUUM ANALYZE")

    def said(self, workload, *more):
        rows = self.rows("SELECT columns[1], kind, rejected_because FROM upkeep.explain_rejections(%s::text[]"
                         + "".join(", " + one for one in more) + ")", [workload] if isinstance(workload, str) else workload)
        return [(column, because) for column, _, because in rows]

    def test_reasons(self):
        for statement, column, because in SAID:
            with self.subTest(statement):
                rows = self.said(statement)
                self.assertTrue(any(of == column and because in why for of, why in rows), rows)

    def test_nothing_that_is_not_so(self):
        for statement in SILENT:
            with self.subTest(statement):
                refusals = [why for _, why in self.said(statement) if "not all the rest" in why or "cast to" in why
                            or "in a row" in why or "in its place" in why]
                self.assertEqual(refusals, [])

    def test_kinds_that_were_left_out(self):
        statement = "SELECT * FROM big WHERE upper(note) = 'NOTE 5'"
        self.assertIn(("(upper(note))", "its kind is left out by kinds; writes are not counted"),
                      self.said(statement, "kinds => ARRAY['btree']"))
        self.assertNotIn("kinds", str(self.said(statement)))

    def test_budget_and_writes(self):
        self.assertRegex(str(self.said("SELECT * FROM big WHERE c = 5", "budget_bytes => 8192")), "over budget: it needs")
        writes = ["SELECT * FROM big WHERE c = 5", "INSERT INTO big (id, c) SELECT g, g FROM generate_series(1, 10) AS g"]
        self.assertIn("its write cost exceeds its saving", str(self.said(writes, "weights => ARRAY[0.0001, 10000]")))

    def test_what_the_host_declines(self):
        """Who may read some columns may run the statement, and not have an expression of them sampled."""
        self.rows("DROP ROLE IF EXISTS some_columns; CREATE ROLE some_columns LOGIN; GRANT SELECT (a, note) ON big TO some_columns")
        self.addCleanup(self.rows, "DROP OWNED BY some_columns; DROP ROLE some_columns")
        caller = connect(self.database, user="some_columns")
        self.addCleanup(caller.close)
        ask = ("SELECT columns, rejected_because FROM upkeep.explain_rejections("
               "ARRAY['SELECT a FROM big WHERE upper(note) = $$X$$', 'SELECT a FROM big WHERE a = 5'])"
               " WHERE rejected_because LIKE 'no such index can be made%'")
        declined = dict((tuple(columns), why) for columns, why in self.run_on(caller, ask))
        self.assertEqual(declined, {("(upper(note))",): "no such index can be made: permission denied for table big"})
        self.assertEqual(self.rows(ask), [])  # who may read it all gets the index


if __name__ == "__main__":
    unittest.main()
