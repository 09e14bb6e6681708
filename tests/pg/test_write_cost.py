"""What an index costs the workload's writes: who pays for what, and what follows for the advice."""
# cluster: autovacuum=off
import unittest

from host import Asks

ROWS = 50000
READ_R = "SELECT * FROM x WHERE r = 5"
READ_TS = "SELECT * FROM x WHERE ts = 'epoch'"
INSERT = "INSERT INTO x VALUES (1, 2, 3, 't', now())"


class WriteCost(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, f"""
            CREATE TABLE x (id int, r int, low int, t text, ts timestamptz);
            SELECT setseed(0.5);
            INSERT INTO x SELECT g, (random() * 1e9)::int, g % 10, 't' || g, timestamptz '2020-01-01' + g * interval '1 s'
            FROM generate_series(1, {ROWS}) g;
            CREATE TABLE y AS SELECT * FROM x;
            CREATE INDEX y_id ON y (id);
            CREATE INDEX y_low ON y (low);
            CREATE TABLE z (id int, r int, twice int GENERATED ALWAYS AS (r * 2) STORED) PARTITION BY RANGE (id);
            CREATE TABLE z1 PARTITION OF z FOR VALUES FROM (0) TO ({ROWS // 2});
            CREATE TABLE z2 PARTITION OF z FOR VALUES FROM ({ROWS // 2}) TO ({ROWS + 1});
            INSERT INTO z SELECT id, r FROM x;
            CREATE VIEW w AS SELECT id, r, ts FROM x;
            """)
        cls.run_on(cls.db, "VACUUM ANALYZE")

    def advice(self, workload, weights, ratio=0):
        return self.dicts("SELECT * FROM upkeep.advise_indexes(%s::text[], %s::float8[], min_saving_ratio => %s)",
                          workload, weights, ratio)

    def cost(self, write, read=READ_R):
        """What the index for `read` adds to one execution of `write`."""
        rows = self.advice([write, read], [1, 1000000], ratio=0.01)
        self.assertEqual(len(rows), 1, (write, read))
        self.assertFalse([text for text in rows[0]["warnings"] if "not priced" in text])
        self.assertIsNotNone(rows[0]["write_cost"])
        return rows[0]["write_cost"]

    def test_insert_pays_an_entry_a_row(self):
        one = self.cost(INSERT)
        # a descent, a leaf at a random place read and written
        self.assertGreater(one, 5)
        self.assertLess(one, 6)
        self.assertAlmostEqual(self.cost(INSERT + ", (2, 3, 4, 't', now())"), 2 * one, delta=0.1 * one)
        self.assertAlmostEqual(self.cost(f"WITH n AS ({INSERT} RETURNING *) SELECT * FROM n"), one, delta=0.001)
        self.assertAlmostEqual(self.cost("INSERT INTO w VALUES (1, 2, now())"), one, delta=0.001)
        # many rows meet the same leaves: no row of 20,000 costs a page of its own
        many = self.cost("INSERT INTO x SELECT * FROM y LIMIT 20000")
        self.assertGreater(many, 20000 * 0.3)
        self.assertLess(many, 20000 * one / 3)

    def test_the_end_of_a_time_is_cheaper_than_a_random_place(self):
        self.assertLess(self.cost(INSERT, READ_TS), self.cost(INSERT) - 3)

    def test_update_pays_where_the_index_reads_what_it_sets(self):
        self.assertEqual(self.cost("UPDATE x SET low = 3 WHERE id = 4"), 0)
        own = self.cost("UPDATE x SET r = 3 WHERE id = 4")
        self.assertGreater(own, self.cost(INSERT))
        # rows as the planner sees them
        self.assertGreater(self.cost("UPDATE x SET r = 3 WHERE low = 4"), 1000)

    def test_loss_of_hot_updates(self):
        read = "SELECT * FROM y WHERE r = 5"
        # y has two indexes: the first index that reads r makes every update write into both
        own = self.cost("UPDATE x SET r = 3 WHERE id = 4")
        first = self.cost("UPDATE y SET r = 3 WHERE id = 4", read)
        self.assertGreater(first, own + 1)
        # where an index reads the changed column already, there is nothing to lose, but an entry to make
        already = self.cost("UPDATE y SET low = 3 WHERE id = 4", read)
        self.assertAlmostEqual(already, own, delta=0.05 * own)
        self.assertAlmostEqual(self.cost("UPDATE y SET low = 3, r = 3 WHERE id = 4", read), own, delta=0.05 * own)
        self.assertEqual(self.cost("UPDATE y SET t = 'new' WHERE id = 4", read), 0)

    def test_delete_leaves_its_entry_to_vacuum(self):
        deleted = self.cost("DELETE FROM x WHERE id = 4")
        self.assertGreater(deleted, 0)
        self.assertLess(deleted, 0.2 * self.cost(INSERT))

    def test_upsert_and_merge(self):
        self.run_on(self.db, "BEGIN; CREATE UNIQUE INDEX x_id ON x (id)")
        try:
            insert = self.cost(INSERT)
            self.assertAlmostEqual(self.cost(INSERT + " ON CONFLICT DO NOTHING"), insert, delta=0.01)
            # half of the rows are updated: without a column of the index they cost it nothing
            other = self.cost(INSERT + " ON CONFLICT (id) DO UPDATE SET low = 5")
            self.assertAlmostEqual(other, insert / 2, delta=0.2 * insert)
            own = self.cost(INSERT + " ON CONFLICT (id) DO UPDATE SET r = excluded.r")
            self.assertGreater(own, insert)
        finally:
            self.run_on(self.db, "ROLLBACK")
        merge = "MERGE INTO x USING (VALUES (1)) v (a) ON v.a = x.id WHEN MATCHED THEN %s"
        self.assertEqual(self.cost(merge % "UPDATE SET low = 4"), 0)
        self.assertGreater(self.cost(merge % "UPDATE SET r = 4"), 5)
        self.assertLess(self.cost(merge % "DELETE"), 1)
        both = merge % "UPDATE SET low = 4" + " WHEN NOT MATCHED THEN INSERT VALUES (1, 2, 3, 't', now())"
        self.assertGreater(self.cost(both), 2)

    def test_other_tables_and_partitions(self):
        self.assertEqual(self.cost("INSERT INTO y SELECT * FROM x WHERE id = 7"), 0)
        read = "SELECT * FROM z WHERE r = 5"
        self.assertGreater(self.cost("INSERT INTO z VALUES (1, 2)", read), 3)
        # a generated column changes with what it is made of
        self.assertGreater(self.cost("UPDATE z SET r = 3 WHERE id = 4", "SELECT * FROM z WHERE twice = 5"), 3)

    def test_writes_outweigh_what_an_index_saves(self):
        read = "SELECT count(*) FROM x WHERE ts < '2020-01-01 05:00'"
        reading = self.advice([read, INSERT], [1, 1])
        self.assertEqual(len(reading), 1)
        saved = reading[0]["cost_before"] - reading[0]["cost_after"]
        self.assertGreater(reading[0]["write_cost"], 0)
        enough = saved / reading[0]["write_cost"]
        self.assertEqual(len(self.advice([read, INSERT], [1, 0.8 * enough])), 1)
        self.assertEqual(self.advice([read, INSERT], [1, 1.3 * enough]), [])
        again = self.advice([read, INSERT], [2, 1.3 * enough])
        self.assertEqual([row["create_sql"] for row in again], [row["create_sql"] for row in reading])
        self.assertAlmostEqual(again[0]["write_cost"], 1.3 * enough * reading[0]["write_cost"],
                               delta=0.001 * again[0]["write_cost"])

    def test_only_reads_cost_nothing(self):
        self.assertEqual([row["write_cost"] for row in self.advice([READ_R], [1])], [0])


if __name__ == "__main__":
    unittest.main()
