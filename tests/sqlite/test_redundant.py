"""What advise_indexes makes redundant: dropped by the last of `steps`, and a finding once the new index is there."""
import json
import unittest

import host

BOTH = "SELECT * FROM jobs WHERE owner = 4711 AND state = 3"
SETUP = """
CREATE TABLE jobs(id INTEGER PRIMARY KEY, owner INTEGER, state INTEGER, name TEXT, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO jobs SELECT i, i * 7919 % 97, i * 31 % 101, 'name ' || i, 'note ' || i FROM n;
"""


class RedundantTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.executescript(SETUP)

    def advise(self, statements=BOTH):
        rows = self.rows("SELECT create_sql, columns, warnings, steps FROM upkeep_advise_indexes"
                         " WHERE workload = ? AND kinds = '[\"btree\"]'", statements)
        self.assertEqual(len(rows), 1, rows)
        create, columns, warnings, steps = rows[0]
        self.assertEqual(sorted(json.loads(columns)), ["owner", "state"])
        return create, json.loads(columns), json.loads(warnings), json.loads(steps)

    def lead(self):
        """The first column that is advised: an index on it alone is what becomes redundant."""
        return self.advise()[1][0]

    def test_the_last_step_drops_it(self):
        lead = self.lead()
        self.db.execute(f"CREATE INDEX narrow ON jobs({lead})")
        create, columns, warnings, steps = self.advise()
        self.assertEqual(columns[0], lead)
        self.assertEqual(steps, [create, "DROP INDEX main.narrow"])
        line = [one for one in warnings if "makes index narrow" in one]
        self.assertEqual(len(line), 1)
        self.assertIn(f"undone by CREATE INDEX narrow ON jobs({lead})", line[0])
        self.db.execute(steps[0])
        self.assertEqual(self.rows("SELECT index_name, fix_sql FROM upkeep_index_findings WHERE code = 'redundant_prefix'"),
                         [("narrow", steps[-1])])
        self.db.execute(steps[-1])
        self.assertEqual(self.rows("SELECT * FROM upkeep_index_findings WHERE code = 'redundant_prefix'"), [])

    def test_what_is_more_or_something_else_stays(self):
        lead = self.lead()
        for name, sql in (
                ("unique", f"CREATE UNIQUE INDEX other ON jobs({lead}, id)"),
                ("partial", f"CREATE INDEX other ON jobs({lead}) WHERE note IS NULL"),
                ("expression", f"CREATE INDEX other ON jobs(abs({lead}))"),
                ("collation", f"CREATE INDEX other ON jobs({lead} COLLATE NOCASE)"),
                ("columns", f"CREATE INDEX other ON jobs({lead}, name)")):
            with self.subTest(name):
                self.db.execute(sql)
                create, _, warnings, steps = self.advise()
                self.assertEqual(steps, [create])
                self.assertNotIn("redundant", " ".join(warnings))
                self.db.execute("DROP INDEX other")

    def test_what_a_statement_names_stays(self):
        lead = self.lead()
        self.db.execute(f"CREATE INDEX narrow ON jobs({lead})")
        create, _, _, steps = self.advise(f"{BOTH}; SELECT name FROM jobs INDEXED BY narrow WHERE {lead} = 5")
        self.assertEqual(steps, [create])


if __name__ == "__main__":
    unittest.main()
