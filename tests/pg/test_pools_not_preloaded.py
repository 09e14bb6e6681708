"""report_pool without preload: it says what to do, checks its input all the same, and keeps nothing."""
import unittest

from host import Asks


class NotPreloaded(Asks):
    def test_it_says_so_and_keeps_nothing(self):
        for sql in ("SELECT upkeep.report_pool('p', 5, 1, 0, 0)", "SELECT * FROM upkeep.pools"):
            with self.subTest(sql):
                self.db.notices.clear()
                self.assertIn(self.rows(sql), ([("",)], []))
                notice, = self.db.notices
                self.assertIn("reports of pools are not kept: upkeep is not preloaded", notice)
                self.assertIn("HINT:  Add upkeep to shared_preload_libraries", notice)
        self.assertEqual(self.rows("SELECT * FROM upkeep.pools"), [])

    def test_input_is_checked(self):
        self.refuses("22023", "size must be between", "SELECT upkeep.report_pool('p', 0, 0, 0, 0)")

    def test_capability_and_health(self):
        self.assertEqual(self.rows("SELECT available, tier FROM upkeep.capabilities WHERE feature = 'pool_reports'"),
                         [(False, "created")])
        self.assertIn("shared_preload_libraries",
                      self.value("SELECT how_to_enable FROM upkeep.capabilities WHERE feature = 'pool_reports'"))
        self.assertEqual(self.rows("SELECT status FROM upkeep.check_health() WHERE code IN ('pool_size', 'pool_metrics')"),
                         [("manual",), ("unknown",)])


if __name__ == "__main__":
    unittest.main()
