"""What foreign keys look up when rows go is in no plan's cost: the advisor counts it in its choice, and nowhere else."""
# cluster: autovacuum=off
import unittest

from host import Asks

SETUP = """
CREATE TABLE parents (id int PRIMARY KEY, made_on int NOT NULL, code int UNIQUE, name text);
CREATE TABLE children (id int PRIMARY KEY, parent_id int {references}, pad text);
CREATE TABLE notes (id int PRIMARY KEY, topic int, pad text);
INSERT INTO parents SELECT i, i / 100, i, 'n' FROM generate_series(1, 20000) AS i;
INSERT INTO children SELECT i, i % 20000 + 1, repeat('c', 60) FROM generate_series(1, 100000) AS i;
INSERT INTO notes SELECT i, i % 5000, repeat('n', 60) FROM generate_series(1, 200000) AS i;
"""
NOTES = "SELECT * FROM notes WHERE topic = 7"
CHILDREN = "SELECT * FROM children WHERE parent_id = 7"
PRUNE = "DELETE FROM parents WHERE made_on < 5"
RENAME = "UPDATE parents SET name = 'm' WHERE made_on < 5"
RECODE = "UPDATE parents SET code = -code WHERE made_on < 5"


class ForeignChecks(Asks):
    def fill(self, references):
        self.run_on(self.db, "DROP TABLE IF EXISTS children, parents, notes")
        self.run_on(self.db, SETUP.format(references=references))
        self.run_on(self.db, "VACUUM ANALYZE")

    def advise(self, write):
        workload = [NOTES, CHILDREN, write]
        rows = self.dicts("SELECT * FROM upkeep.advise_indexes(%s, '{1000,0.01,1}', kinds => '{btree}')", workload)
        costs = [self.value("EXPLAIN (FORMAT JSON) " + sql)[0]["Plan"]["Total Cost"] for sql in workload]
        self.assertAlmostEqual(rows[0]["cost_before"], 1000 * costs[0] + 0.01 * costs[1] + costs[2], delta=6)
        return [row for row in rows if row["table_name"] == "children"]

    def looked_up(self, write):
        """Milliseconds in triggers of one execution that is taken back."""
        with self.db.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + write)
            triggers = cursor.fetchone()[0][0]["Triggers"]
            cursor.execute("ROLLBACK")
        return sum(trigger["Time"] for trigger in triggers)

    def test_rows_that_go_are_looked_up(self):
        self.fill("REFERENCES parents ON DELETE CASCADE")
        self.run_on(self.db, "DELETE FROM children WHERE parent_id < 500")
        rows = self.advise(PRUNE)
        self.assertEqual([row["columns"] for row in rows], [["parent_id"]])
        self.assertIn("look-up of a foreign key", rows[0]["reason"])
        warnings = [line for line in rows[0]["warnings"] if "foreign keys look up by it" in line]
        self.assertEqual(len(warnings), 1, rows)
        self.assertIn("statement 3", warnings[0])
        self.assertEqual(len(rows[0]["fingerprints"]), 2)
        before = self.looked_up(PRUNE)
        self.run_on(self.db, rows[0]["create_sql"])
        self.assertLess(self.looked_up(PRUNE), before / 5)
        self.assertEqual(self.advise(PRUNE), [])

    def test_without_a_foreign_key_nothing_is(self):
        self.fill("")
        self.assertEqual(self.advise(PRUNE), [])

    def test_an_update_only_where_it_changes_the_key(self):
        self.fill("REFERENCES parents (code) ON UPDATE CASCADE")
        self.assertEqual(self.advise(RENAME), [])
        self.assertEqual([row["columns"] for row in self.advise(RECODE)], [["parent_id"]])

    def test_a_disabled_trigger_looks_nothing_up(self):
        self.fill("REFERENCES parents")
        self.run_on(self.db, "ALTER TABLE parents DISABLE TRIGGER ALL")
        self.assertEqual(self.advise(PRUNE), [])

    def test_the_table_of_others_is_not_told(self):
        self.fill("REFERENCES parents")
        self.run_on(self.db, "DROP ROLE IF EXISTS pruner")
        self.run_on(self.db, "CREATE ROLE pruner; GRANT SELECT, DELETE ON parents TO pruner; GRANT SELECT ON notes TO pruner")
        self.run_on(self.db, "GRANT USAGE ON SCHEMA upkeep TO pruner; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA upkeep TO pruner")
        self.run_on(self.db, "SET ROLE pruner")
        try:
            rows = self.dicts("SELECT * FROM upkeep.advise_indexes(%s, '{1,1}')", [NOTES, PRUNE])
            self.assertTrue(rows)
            self.assertNotIn("children", str(rows))
        finally:
            self.run_on(self.db, "RESET ROLE")
            self.run_on(self.db, "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA upkeep FROM pruner; REVOKE ALL ON SCHEMA upkeep FROM pruner")
            self.run_on(self.db, "DROP OWNED BY pruner; DROP ROLE pruner")


if __name__ == "__main__":
    unittest.main()
