"""capabilities tells the truth about how the library came into the session."""
import os
import unittest

import psycopg2

from host import Asks, connect


class Tiers(Asks):
    def library(self, connection):
        rows = self.run_on(connection, "SELECT tier, reason, how_to_enable FROM upkeep.capabilities WHERE feature = 'library'")
        tiers = self.run_on(connection, "SELECT DISTINCT tier FROM upkeep.capabilities"
                                        " WHERE tier <> 'best_effort'")
        self.assertEqual(tiers, [(rows[0][0],)], "one tier for the whole session, but for what is best effort")
        self.assertIn("shared_preload_libraries", rows[0][2])
        return rows[0][0]

    def test_created(self):
        for first in ("SELECT upkeep.version()", "SELECT count(*) FROM upkeep.capabilities",
                      "SELECT count(*) FROM upkeep.advise_indexes(ARRAY['SELECT 1'])",
                      "DO $$BEGIN PERFORM upkeep.version(); END$$"):
            connection = connect(self.database)
            self.run_on(connection, first)
            self.assertEqual(self.library(connection), "created", first)
            connection.close()

    def test_loaded(self):
        connection = connect(self.database)
        self.run_on(connection, "LOAD 'upkeep'")
        self.assertEqual(self.library(connection), "loaded")
        connection.close()

    def test_loaded_too_late(self):
        """A LOAD after a call of ours finds the library there: the session stays what it was."""
        connection = connect(self.database)
        self.run_on(connection, "SELECT upkeep.version()")
        self.run_on(connection, "LOAD 'upkeep'")
        self.assertEqual(self.library(connection), "created")
        connection.close()

    def test_session_preload_libraries(self):
        self.run_on(self.db, f"ALTER DATABASE {self.database} SET session_preload_libraries = 'upkeep'")
        try:
            connection = connect(self.database)
            self.assertEqual(self.library(connection), "loaded")
            connection.close()
        finally:
            self.run_on(self.db, f"ALTER DATABASE {self.database} RESET session_preload_libraries")

    def test_loaded_by_an_ordinary_role_it_is_refused(self):
        self.run_on(self.db, "DROP ROLE IF EXISTS tiers_plain; CREATE ROLE tiers_plain LOGIN")
        connection = connect(self.database, user="tiers_plain")
        library = os.path.join(os.environ["UPKEEP_LIBDIR"], "upkeep.so")
        self.assertEqual(self.refusal(f"LOAD '{library}'", connection=connection).pgcode, "42501")
        self.assertEqual(self.library(connection), "created")
        connection.close()

    def test_a_workload_from_pg_stat_statements_needs_it(self):
        row = self.rows("SELECT available, how_to_enable FROM upkeep.capabilities WHERE feature = 'captured_workload'")[0]
        if not row[0]:
            self.assertTrue(row[1])
            with self.assertRaises(psycopg2.Error):
                self.rows("SELECT * FROM upkeep.advise_indexes()")


if __name__ == "__main__":
    unittest.main()
