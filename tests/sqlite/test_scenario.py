"""The AutoPR scenario in SQLite: rows and statements as committed for both hosts."""
import pathlib
import sys
import unittest

import host

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "scenarios" / "autopr"
sys.path.insert(0, str(FOLDER))
import scenario  # noqa: E402


class Scenario(scenario.ScenarioTests):
    host = "sqlite"
    other_indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"

    @classmethod
    def setUpClass(cls):
        cls.db = host.connect(isolation_level=None)
        cls.db.execute("SELECT * FROM upkeep_install_workflow_schema").fetchall()
        cls.db.execute("CREATE TEMP TABLE scenario_scale AS SELECT ? AS n", (cls.scale,))
        cls.db.executescript((FOLDER / "generate.sqlite.sql").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.db.close()

    def statements(self, script):
        return [text for text in script.split(";") if "DROP" in text]

    def ask(self, sql):
        cursor = self.db.execute(sql)
        return [column[0] for column in cursor.description or ()], cursor.fetchall(), cursor.rowcount

    def test_keys_hold(self):
        self.assertEqual(self.ask("PRAGMA foreign_key_check")[1], [])
        self.assertEqual(self.ask("PRAGMA integrity_check")[1], [("ok",)])


class SmallScenario(Scenario, unittest.TestCase):
    scale = scenario.SCALES[0]


class DeepScenario(Scenario, unittest.TestCase):
    scale = scenario.SCALES[1]


if __name__ == "__main__":
    unittest.main()
