"""What the Python tests of the SQLite module share: a connection with a module loaded."""
import os
import pathlib
import sqlite3

BUILD = pathlib.Path(os.environ.get("UPKEEP_BUILD", "build")).resolve()

UNDER_ASAN = os.environ.get("UPKEEP_UNDER_ASAN") == "1"  # slow: the long tests take less


def connect(module="upkeep", database=":memory:", **options):
    """`module` is upkeep (the product) or upkeepguards (calls made for tests)."""
    connection = sqlite3.connect(database, **options)
    connection.enable_load_extension(True)
    connection.load_extension(str(BUILD / module))
    connection.enable_load_extension(False)
    return connection


class Asks:
    """Mixin for unittest.TestCase with self.db."""

    def rows(self, sql, *parameters):
        return self.db.execute(sql, parameters).fetchall()

    def value(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0]

    def refuses(self, wanted, sql, *parameters):
        """The statement fails, and its text contains `wanted`."""
        with self.assertRaises(sqlite3.Error) as caught:
            self.rows(sql, *parameters)
        self.assertIn(wanted, str(caught.exception), sql)
