# cluster: shared_preload_libraries=upkeep_preload
"""./dev demo --postgres: every step has rows, every statement shown runs, the dump can be restored."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import host

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import demo_output  # noqa: E402


class DemoTest(host.Asks):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.dump = pathlib.Path(folder.name) / "autopr.dump"
        cls.output = demo_output.Output("--postgres", "--keep", folder.name)
        cls.db = host.connect("autopr")
        cls.addClassCleanup(cls.db.close)

    @classmethod
    def tearDownClass(cls):
        pass  # the database is the demo's

    def test_every_step_shows_rows(self):
        demo_output.check(self, self.output)

    def test_the_steps_show_what_they_say(self):
        self.assertIn("FROM upkeep.statements", self.output.step("What is slow"))
        written = self.output.step("the way they are written")
        self.assertRegex(written, r"\n  function_on_column +CREATE INDEX ")
        self.assertRegex(written, r"\n  leading_wildcard +\w")
        self.assertIn("whole_table_scan", self.output.step("what to notice"))
        self.assertRegex(self.output.step("another one"), r"\n +3 \| +\d")
        self.assertRegex(self.output.step("Is it true"), r"s an hour before, .* faster")
        self.assertRegex(self.output.step("only cost"), r"(duplicate|redundant_prefix) +made_by_hand")
        sessions = self.output.step("Who is connected")
        self.assertRegex(sessions, r"worker-1 +idle in transaction +\d+ +1 ")
        self.assertRegex(sessions, r"\n +1 +\d+ +\d+ +public\.workflows +wait")
        self.assertRegex(sessions, r"web-1 +would_end +idle for")
        self.assertRegex(self.output.step("checklist"), r"\n  (fail|warn) ")

    def test_nobody_is_left_connected(self):
        self.assertEqual(self.rows(
            "SELECT application_name, query FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND datname LIKE 'autopr%%' AND pid <> pg_backend_pid()"), [])

    def test_every_statement_runs_again(self):
        shown = demo_output.statements(self.output.text)
        self.assertGreater(len(shown), 15)
        for sql in shown:
            with self.subTest(sql=sql):
                self.run_on(self.db, sql)

    def test_the_dump_can_be_restored(self):
        subprocess.run(["createdb", "restored"], check=True)
        subprocess.run(["pg_restore", "--no-owner", "-d", "restored", str(self.dump)],
                       check=True)
        restored = host.connect("restored")
        self.addCleanup(restored.close)
        count = "SELECT count(*) FROM execution_logs"
        self.assertEqual(self.run_on(restored, count), self.rows(count))
        self.assertEqual(self.run_on(
            restored, "SELECT count(*) > 0 FROM upkeep.advise_indexes(ARRAY["
                      "'SELECT * FROM execution_logs WHERE level = ''ERROR'''])"), [(True,)])


if __name__ == "__main__":
    unittest.main()
