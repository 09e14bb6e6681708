"""./dev demo on SQLite: every step has rows, every statement shown runs as it is, nothing is left."""
import pathlib
import sys
import tempfile
import unittest

import host

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import demo_output  # noqa: E402


class DemoTest(host.Asks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name) / "with space" / "é"
        cls.output = demo_output.Output("--keep", str(cls.folder))

    def test_every_step_shows_rows(self):
        demo_output.check(self, self.output)

    def test_the_steps_show_what_they_say(self):
        self.assertIn("FROM upkeep_statements", self.output.step("What is slow"))
        written = self.output.step("the way they are written")
        self.assertRegex(written, r"\n  function_on_column +CREATE INDEX ")
        self.assertRegex(written, r"\n  leading_wildcard +\w")
        self.assertIn("whole_table_scan", self.output.step("what to notice"))
        self.assertRegex(self.output.step("another one"), r"\n  3 +[\d.]+ +\w")
        self.assertRegex(self.output.step("Is it true"), r"s an hour before, .* faster")
        self.assertRegex(self.output.step("only cost"), r"(duplicate|redundant_prefix) +made_by_hand")
        self.assertIn("would_end", self.output.step("Who is connected"))
        self.assertRegex(self.output.step("checklist"), r"\n  (fail|warn) ")

    def test_every_statement_runs_on_the_kept_database(self):
        path = self.folder / "autopr.db"
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()),
                         ["autopr.db", "autopr.db-upkeep"])
        self.assertIn(str(path), self.output.text)
        self.db = host.connect(database=path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.addCleanup(self.value, "SELECT upkeep_capture(0)")
        self.addCleanup(self.value, "SELECT upkeep_set('slow_threshold', 1000)")
        shown = demo_output.statements(self.output.text)
        self.assertGreater(len(shown), 15)
        for sql in shown:
            with self.subTest(sql=sql):
                self.rows(sql)

    def test_a_database_that_is_there_stays_as_it_is(self):
        path = self.folder / "autopr.db"
        before = path.stat()
        again = demo_output.Output("--keep", str(self.folder))
        self.assertEqual(again.code, 2)
        self.assertIn("is there already", again.errors)
        self.assertEqual(again.text, "")
        self.assertEqual((path.stat().st_mtime_ns, path.stat().st_size),
                         (before.st_mtime_ns, before.st_size))

    def test_what_is_kept_nowhere_is_left_nowhere(self):
        output = demo_output.Output()
        demo_output.check(self, output)
        self.assertIn("--keep", output.text)


if __name__ == "__main__":
    unittest.main()
