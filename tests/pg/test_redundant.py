# cluster: autovacuum=off
"""What advise_indexes makes redundant: dropped by the last of `steps`, and a finding once the new index is there."""
import unittest

from host import Asks

BOTH = "SELECT * FROM jobs WHERE owner = 42 AND state = 3"
FINDINGS = "SELECT index_name, fix_sql FROM upkeep.index_findings WHERE code = 'redundant_prefix'"


class RedundantTest(Asks):
    def setUp(self):
        self.rows("""DROP TABLE IF EXISTS jobs;
            CREATE TABLE jobs AS SELECT g AS id, (g * 7919::bigint % 97)::int AS owner, (g * 31 % 101)::int AS state,
                'name ' || g AS name, 'note ' || g AS note FROM generate_series(1, 50000) g;
            ALTER TABLE jobs ALTER owner SET NOT NULL, ALTER state SET NOT NULL, ALTER id SET NOT NULL;
            ANALYZE jobs""")

    def advise(self):
        rows = self.dicts("SELECT * FROM upkeep.advise_indexes(ARRAY[%s], kinds => '{btree}')", BOTH)
        self.assertEqual(len(rows), 1, rows)
        self.assertEqual(sorted(rows[0]["columns"]), ["owner", "state"])
        return rows[0]

    def lead(self):
        return self.advise()["columns"][0]

    def test_the_last_step_drops_it(self):
        lead = self.lead()
        self.rows(f"CREATE INDEX narrow ON jobs ({lead})")
        row = self.advise()
        self.assertEqual(row["columns"][0], lead)
        self.assertEqual(row["steps"], [row["create_sql"], "DROP INDEX CONCURRENTLY public.narrow"])
        line = [one for one in row["warnings"] if "makes index narrow" in one]
        self.assertEqual(len(line), 1)
        self.assertIn(f"undone by CREATE INDEX CONCURRENTLY narrow ON public.jobs USING btree ({lead})", line[0])
        self.rows(row["steps"][0])
        self.assertEqual(self.rows(FINDINGS), [("narrow", row["steps"][-1])])
        self.rows(row["steps"][-1])
        self.assertEqual(self.rows(FINDINGS), [])

    def test_what_is_more_or_something_else_stays(self):
        lead = self.lead()
        for name, sql in (
                ("unique", f"CREATE UNIQUE INDEX other ON jobs ({lead}, id)"),
                ("constraint", f"ALTER TABLE jobs ADD CONSTRAINT other UNIQUE ({lead}, id)"),
                ("exclusion", f"ALTER TABLE jobs ADD CONSTRAINT other EXCLUDE USING btree (({lead} + id) WITH =)"),
                ("replica identity", f"CREATE UNIQUE INDEX other ON jobs ({lead}, id);"
                                     "ALTER TABLE jobs REPLICA IDENTITY USING INDEX other"),
                ("clustered", f"CREATE INDEX other ON jobs ({lead}); ALTER TABLE jobs CLUSTER ON other"),
                ("partial", f"CREATE INDEX other ON jobs ({lead}) WHERE note IS NULL"),
                ("expression", f"CREATE INDEX other ON jobs (abs({lead}))"),
                ("method", f"CREATE INDEX other ON jobs USING hash ({lead})"),
                ("order", f"CREATE INDEX other ON jobs ({lead} NULLS FIRST)"),
                ("columns", f"CREATE INDEX other ON jobs ({lead}, name)")):
            with self.subTest(name):
                self.setUp()
                self.rows(sql)
                row = self.advise()
                self.assertEqual(row["steps"], [row["create_sql"]])
                self.assertNotIn("redundant", " ".join(row["warnings"]))


if __name__ == "__main__":
    unittest.main()
