"""What the tests of sessions share: roles, a table and connections that are all ended afterwards."""
import contextlib
import threading
import time
import unittest

import psycopg2
import psycopg2.extensions
import psycopg2.extras

APP = 'app "é'  # a role whose name has to be quoted


def connect(user="postgres", name="tests", database="postgres", **options):
    connection = psycopg2.connect(user=user, application_name=name, dbname=database, **options)
    connection.autocommit = True
    return connection


def set_up():
    """The extension, roles of every kind and a table; to be called once per file."""
    db = connect()
    cursor = db.cursor()
    cursor.execute("CREATE EXTENSION IF NOT EXISTS upkeep")
    for role, memberships in (("r_monitor", "pg_monitor"), ("r_signal", "pg_signal_backend"),
                              ("r_stats", "pg_read_all_stats"),
                              ("r_both", "pg_monitor, pg_signal_backend"), ("r_plain", None),
                              (APP, None)):
        quoted = psycopg2.extensions.quote_ident(role, db)
        cursor.execute(f"CREATE ROLE {quoted} LOGIN")
        if memberships:
            cursor.execute(f"GRANT {memberships} TO {quoted}")
    cursor.execute("CREATE TABLE t (id int PRIMARY KEY, x int)")
    cursor.execute("INSERT INTO t SELECT i, 0 FROM generate_series(1, 9) i")
    cursor.execute("GRANT ALL ON t TO PUBLIC")
    db.close()


class SessionsTest(unittest.TestCase):
    def setUp(self):
        self.stack = contextlib.ExitStack()
        self.addCleanup(self.stack.close)
        self.addCleanup(self.end_all)  # runs first: no thread waits for a lock when it is joined
        self.db = self.open("postgres", "asker")

    def end_all(self):
        db = connect()
        self.do(db, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
        db.close()

    def open(self, user=APP, name="victim", **options):
        connection = connect(user, name, **options)
        self.stack.callback(connection.close)
        return connection

    def rows(self, sql, *parameters, db=None):
        with (db or self.db).cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
            cursor.execute(sql, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def do(self, db, sql):
        with db.cursor() as cursor:
            cursor.execute(sql)

    def start(self, db, sql):
        """Runs `sql` in a thread; returns (thread, box): box holds the error, if any."""
        box = []

        def run():
            try:
                self.do(db, sql)
            except psycopg2.Error as error:
                box.append(error)
        thread = threading.Thread(target=run)
        thread.start()
        self.stack.callback(thread.join, 20)
        return thread, box

    def wait_for(self, sql, *parameters, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.rows(sql, *parameters)
            if found:
                return found
            time.sleep(0.01)
        self.fail(f"nothing after {seconds} s: {sql}")

    def wait_state(self, db, state):
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = %s",
                      db.info.backend_pid, state)

    def is_alive(self, db):
        try:
            self.do(db, "SELECT 1")
            return True
        except psycopg2.Error:
            return False

    def refuses(self, sqlstate, wanted, sql, *parameters, db=None):
        with self.assertRaises(psycopg2.Error) as caught:
            self.rows(sql, *parameters, db=db)
        self.assertEqual(caught.exception.pgcode, sqlstate, caught.exception)
        self.assertIn(wanted, str(caught.exception))
