"""Tier `preloaded`: every session captures into shared memory; a LOAD changes nothing."""
# cluster: shared_preload_libraries=upkeep_preload
import unittest

from host import Asks, connect

MARK = "SELECT 42 * 17 * 4 AS marker"


class Preloaded(Asks):
    def counted(self):
        return self.value("SELECT coalesce(sum(calls), 0)::int FROM upkeep.statements WHERE query LIKE '%% AS marker'")

    def test_every_session_with_and_without_a_load(self):
        before = self.counted()
        for first in ("SELECT 1", "LOAD 'upkeep'", "SELECT upkeep.version()"):
            connection = connect(self.database)
            if first.startswith("LOAD"):
                # by its plain name it would be a second copy where the tests preload it by its path
                library = self.run_on(connection, "SHOW shared_preload_libraries")[0][0].strip('"')
                first = f"LOAD '{library}'"
            self.run_on(connection, first)
            self.run_on(connection, MARK)
            self.assertEqual(self.run_on(connection, "SELECT tier FROM upkeep.capabilities WHERE feature = 'library'"),
                             [("preloaded",)])
            self.assertEqual(self.run_on(connection, "SELECT count(*) FROM pg_backend_memory_contexts"
                                                     " WHERE name = 'upkeep capture'"), [(0,)], "no private store")
            connection.close()
        self.assertEqual(self.counted(), before + 3, "each counted once")

    def test_what_is_there_needs_no_advice(self):
        self.assertEqual(self.rows("SELECT feature FROM upkeep.capabilities WHERE feature <> 'library'"
                                   " AND available = (how_to_enable IS NOT NULL)"), [])
        self.assertEqual(self.rows("SELECT available, how_to_enable FROM upkeep.capabilities"
                                   " WHERE feature IN ('statement_capture', 'saved_statistics')"), [(True, None)] * 2)


if __name__ == "__main__":
    unittest.main()
