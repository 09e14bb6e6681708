"""upkeep_explain_rejections as a stranger asks it: what he would expect to be advised has its row and its reason."""
import json
import unittest

import host

SETUP = """
CREATE TABLE big (id INTEGER PRIMARY KEY, status TEXT, flag INTEGER, a INTEGER, b INTEGER, c INTEGER, note TEXT, made TEXT);
WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 20000)
INSERT INTO big SELECT g, CASE WHEN g % 10 = 0 THEN 'failed' ELSE 'done' END, g % 2, g % 1000, g % 5000, g, 'note ' || g,
    date(2440000 + g / 10) FROM n;
CREATE INDEX big_b ON big(b);
ANALYZE;
"""
SAID = (
    ("SELECT * FROM big WHERE flag = 1", "flag", "it makes statement 1 slower"),
    ("SELECT * FROM big WHERE a = 5 OR status = 'done'", "a", "the planner does not use it"),
    ("SELECT * FROM big WHERE b = 5", "b", "existing index big_b provides it already"),
    ("SELECT * FROM big WHERE note LIKE '%999%'", "note LIKE …", "trigram tokenizer"),
    ("SELECT * FROM big WHERE note GLOB '*999*'", "note GLOB …", "begin with a wildcard"),
    ("SELECT * FROM big WHERE note = 'x' COLLATE NOCASE", "note …", "compared by the collation NOCASE"),
    ("SELECT * FROM big WHERE a <> 5", "a <> …", "not all the rest"),
    ("SELECT * FROM big WHERE date(made, 'localtime') = '2024-01-01'", "date(made, 'localtime')", "only built-in functions"),
)
SILENT = ("SELECT * FROM big WHERE note GLOB 'note 99*'", "SELECT * FROM big WHERE c = 5",
          "SELECT * FROM big WHERE CAST(c AS TEXT) = '5'", "SELECT * FROM big WHERE note = 'x' COLLATE BINARY")


class RejectionsTest(host.Asks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = host.connect(isolation_level=None)
        cls.db.executescript(SETUP)

    @classmethod
    def tearDownClass(cls):
        cls.db.close()

    def said(self, workload, more="", *values):
        return [(json.loads(columns)[0], because) for columns, because in self.rows(
            "SELECT columns, rejected_because FROM upkeep_explain_rejections WHERE workload = ?" + more, workload, *values)]

    def test_reasons(self):
        for statement, column, because in SAID:
            with self.subTest(statement):
                rows = self.said(statement)
                self.assertTrue(any(of == column and because in why for of, why in rows), rows)

    def test_nothing_that_is_not_so(self):
        for statement in SILENT:
            with self.subTest(statement):
                for word in ("not all the rest", "collation", "wildcard", "LIKE", "built-in"):
                    self.assertNotIn(word, str(self.said(statement)))

    def test_a_cast_is_an_expression(self):
        [create] = self.rows("SELECT create_sql FROM upkeep_advise_indexes WHERE workload = ?",
                             "SELECT * FROM big WHERE CAST(c AS TEXT) = '5'")
        self.db.execute(create[0])
        self.addCleanup(self.db.execute, "DROP INDEX " + create[0].split("EXISTS ")[1].split(" ")[0])
        self.assertIn("USING INDEX", str(self.rows("EXPLAIN QUERY PLAN SELECT * FROM big WHERE CAST(c AS TEXT) = '5'")))

    def test_kinds_that_were_left_out(self):
        statement = "SELECT * FROM big WHERE upper(note) = 'NOTE 5'"
        self.assertIn(("(upper(note))", "its kind is left out by kinds; writes are not counted"),
                      self.said(statement, " AND kinds = ?", '["btree"]'))
        self.assertNotIn("kinds", str(self.said(statement)))

    def test_budget_and_writes(self):
        self.assertRegex(str(self.said("SELECT * FROM big WHERE c = 5", " AND budget_bytes = ?", 4096)), "over budget: it needs")
        writes = "SELECT * FROM big WHERE c = 5; INSERT INTO big(c) SELECT id FROM big WHERE id < 50"
        self.assertIn("its write cost exceeds its saving", str(self.said(writes, " AND weights = ?", "[0.0001, 100000]")))


if __name__ == "__main__":
    unittest.main()
