"""What the Python tests against a PostgreSQL server share: connections, questions, refusals."""
import unittest

import psycopg2
import psycopg2.extensions


def connect(database=None, **options):
    """An autocommit connection to the throw-away cluster (with_cluster.sh sets PGHOST and friends)."""
    if database:
        options["dbname"] = database
    connection = psycopg2.connect(**options)
    connection.autocommit = True
    return connection


def run_script(connection, path, **variables):
    """Runs a file of the scenario as psql would: `:name` is replaced, lines of psql's own skipped."""
    with open(path, encoding="utf-8") as file:
        text = "".join(line for line in file if not line.startswith("\\"))
    for name, value in variables.items():
        text = text.replace(":" + name, str(value))
    with connection.cursor() as cursor:
        cursor.execute(text)


class Asks(unittest.TestCase):
    """A test case with self.db, a connection to a database of its own."""

    @classmethod
    def setUpClass(cls):
        cls.database = "t_" + cls.__name__.lower()
        with connect().cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {cls.database}")
            cursor.execute(f"CREATE DATABASE {cls.database}")
        cls.db = connect(cls.database)
        cls.run_on(cls.db, "CREATE EXTENSION upkeep")

    @classmethod
    def tearDownClass(cls):
        cls.db.close()

    @staticmethod
    def run_on(connection, sql, parameters=None):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def rows(self, sql, *parameters):
        return self.run_on(self.db, sql, parameters or None)

    def value(self, sql, *parameters):
        return self.rows(sql, *parameters)[0][0]

    def dicts(self, sql, *parameters):
        with self.db.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def refusal(self, sql, *parameters, connection=None):
        """The error of a statement that has to fail."""
        with self.assertRaises(psycopg2.Error, msg=sql) as caught:
            self.run_on(connection or self.db, sql, parameters or None)
        return caught.exception

    def refuses(self, sqlstate, wanted, sql, *parameters, connection=None, hint=True):
        """It fails with this SQLSTATE, a text that contains `wanted` in the house's style, and a hint."""
        error = self.refusal(sql, *parameters, connection=connection)
        message = error.diag.message_primary
        self.assertEqual(error.pgcode, sqlstate, message)
        self.assertIn(wanted, message)
        self.assertFalse(message.endswith("."), message)
        if hint:
            self.assertTrue(error.diag.message_hint, f"no hint with: {message}")
        return error
