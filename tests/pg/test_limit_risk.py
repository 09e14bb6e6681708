"""A LIMIT that the planner hopes to meet early: a queue whose waiting rows lie at the end of the walk gets the index that
answers for certain; where they are spread evenly the hope is none, and the walk will do."""
# cluster: autovacuum=off
import unittest

from host import Asks

POLL = "SELECT id FROM {} WHERE status = 'waiting' ORDER BY made_at LIMIT 20"
DAY = "SELECT * FROM {} WHERE made_at BETWEEN '2026-02-01' AND '2026-02-02' ORDER BY made_at"


class LimitRisk(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for table, is_waiting in (("at_the_end", "i > 198000"), ("spread", "i * 7919 % 100 = 0")):
            cls.run_on(cls.db, f"""
                CREATE TABLE {table} AS SELECT i AS id, '2026-01-01'::timestamptz + i * interval '1 minute' AS made_at,
                    CASE WHEN {is_waiting} THEN 'waiting' ELSE 'done' END AS status, repeat('p', 200) AS pad
                FROM generate_series(1, 200000) AS i""")
        cls.run_on(cls.db, "VACUUM ANALYZE")

    def advise(self, table, ratio):
        return self.dicts("SELECT * FROM upkeep.advise_indexes(%s, '{100,1}', kinds => '{btree}', min_saving_ratio => %s)",
                          [DAY.format(table), POLL.format(table)], ratio)

    def test_waiting_rows_at_the_end(self):
        rows = self.advise("at_the_end", 0.05)
        exact = [row for row in rows if row["columns"][:2] == ["status", "made_at"]]
        self.assertEqual(len(exact), 1, rows)
        self.assertTrue(any("LIMIT" in warning for warning in exact[0]["warnings"]), rows)
        for row in rows:
            self.assertLessEqual(row["cost_after"], row["cost_before"])
            self.run_on(self.db, row["create_sql"])
        plan = self.value("EXPLAIN (ANALYZE, FORMAT JSON) " + POLL.format("at_the_end"))[0]["Plan"]
        self.assertLess(plan["Plans"][0].get("Rows Removed by Filter", 0), 100)
        for row in rows:
            self.run_on(self.db, row["drop_sql"])

    def test_waiting_rows_everywhere(self):
        rows = self.advise("spread", 0.05)
        self.assertEqual([row["columns"] for row in rows], [["made_at"]])
        self.assertEqual(rows[0]["warnings"], [])


if __name__ == "__main__":
    unittest.main()
