"""The AutoPR scenario in PostgreSQL: rows and statements as committed for both hosts."""
import pathlib
import sys
import unittest

import host

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "scenarios" / "autopr"
sys.path.insert(0, str(FOLDER))
import scenario  # noqa: E402


class Scenario(scenario.ScenarioTests):
    host = "postgres"
    other_indexes = ("SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class c ON c.oid = indrelid"
                     " WHERE relnamespace = 'public'::regnamespace"
                     " AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "SELECT * FROM upkeep.install_workflow_schema()")
        host.run_script(cls.db, FOLDER / "generate.postgres.sql", scale=cls.scale)

    def statements(self, script):
        return [script]  # psql's own parser is not needed: one text of one DO block

    def ask(self, sql):
        with self.db.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall() if cursor.description else []
            return [column.name for column in cursor.description or ()], rows, cursor.rowcount


class SmallScenario(Scenario, host.Asks):
    scale = scenario.SCALES[0]


class DeepScenario(Scenario, host.Asks):
    scale = scenario.SCALES[1]


if __name__ == "__main__":
    unittest.main()
