"""Without preload every capture call says what it lacks, answers nothing, and nothing fails."""
import unittest

import psycopg2

from host import Asks


class NotPreloaded(Asks):
    def notices(self, sql):
        self.db.notices.clear()
        rows = self.rows(sql)
        return rows, "".join(self.db.notices)

    def test_readers_are_empty_and_say_why(self):
        for sql in ("SELECT * FROM upkeep.statements", "SELECT * FROM upkeep.slow_statements",
                    "SELECT * FROM upkeep.endpoints"):
            rows, notices = self.notices(sql)
            self.assertEqual(rows, [])
            self.assertIn("statements are not captured: upkeep is not preloaded", notices)
            self.assertIn("shared_preload_libraries", notices)
        for sql, wanted in (("SELECT upkeep.percentile(1, 0.5)", None), ("SELECT upkeep.reset_statements()", "")):
            rows, notices = self.notices(sql)
            self.assertEqual(rows, [(wanted,)])
            self.assertIn("not preloaded", notices)

    def test_progress_is_not_shown_and_says_why(self):
        rows, notices = self.notices("SELECT * FROM upkeep.advise_progress")
        self.assertEqual(rows, [])
        self.assertIn("progress is not shown: upkeep is not preloaded", notices)
        self.assertIn("shared_preload_libraries", notices)
        (available, advice), = self.rows("SELECT available, how_to_enable FROM upkeep.capabilities"
                                         " WHERE feature = 'advice_progress'")
        self.assertFalse(available)
        self.assertIn("shared_preload_libraries", advice)

    def test_bad_arguments_are_refused_all_the_same(self):
        with self.assertRaises(psycopg2.errors.InvalidParameterValue):
            self.rows("SELECT upkeep.percentile(1, -0.1)")

    def test_capabilities_say_what_to_do(self):
        (available, tier, reason, advice), = self.rows("""SELECT available, tier, reason, how_to_enable
            FROM upkeep.capabilities WHERE feature = 'statement_capture'""")
        self.assertFalse(available)
        self.assertEqual(tier, "created")
        self.assertIn("not preloaded", reason)
        self.assertIn("shared_preload_libraries", advice)

    def test_settings_of_the_preloaded_library_are_not_there(self):
        self.assertEqual(self.value("SHOW upkeep.capture"), "top")
        with self.assertRaises(psycopg2.errors.UndefinedObject):
            self.rows("SHOW upkeep.max_statements")


if __name__ == "__main__":
    unittest.main()
