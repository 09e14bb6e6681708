# cluster: shared_preload_libraries=upkeep_preload
"""The SQLAlchemy listeners against a real server: what they report, what they set, and that nothing of theirs fails or
changes the application; a pool with pre-ping whose idle sessions are reaped.

Oracles: the pool's own public numbers, upkeep.pools, upkeep.statements, the server's log.
"""
import os
import pathlib
import sys
import threading
import time
import unittest
import warnings

import psycopg2
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "pg"))
from common import Messages, upkeep_sqlalchemy as listeners  # noqa: E402
from host import Asks, connect  # noqa: E402
from server import Server  # noqa: E402


class Application(Asks):
    """The application's role is an ordinary one: superusers' sessions are never reaped."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "DO $$ BEGIN CREATE ROLE application LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        cls.run_on(cls.db, "GRANT CREATE ON SCHEMA public TO application")

    def setUp(self):
        self.messages = Messages()

    def engine(self, database=None, name="app", **options):
        engine = sqlalchemy.create_engine(
            "postgresql+psycopg2://", creator=lambda: psycopg2.connect(
                dbname=database or self.database, user="application", application_name=name), future=True, **options)
        self.addCleanup(engine.dispose)
        return engine

    def pool(self, application="app"):
        return self.dicts("SELECT * FROM upkeep.pools WHERE application_name = %s", application)


class ReportTest(Application):
    def setUp(self):
        super().setUp()
        type(self).db = connect(self.database)

    def test_as_the_pool_sees_itself(self):
        engine = self.engine(name="numbers", pool_size=3, max_overflow=2)
        listeners.report_pool(engine, every=0)
        held = [engine.connect() for _ in range(5)]
        held.pop().close()
        row, = self.pool("numbers")
        self.assertTrue(row["pool"].endswith(f":{os.getpid()}"))
        wanted = {"size": engine.pool.size(), "checked_out": engine.pool.checkedout(), "overflow": 2, "idle": 1,
                  "waiting": 0, "timeouts": 0}
        self.assertEqual((engine.pool.overflow(), engine.pool.checkedin()), (2, 1))
        self.assertEqual({name: row[name] for name in wanted}, wanted)
        while held:
            held.pop().close()
            row, = self.pool("numbers")
            self.assertEqual(row["checked_out"], engine.pool.checkedout())
            self.assertLessEqual(row["overflow"], row["checked_out"])
        self.assertEqual((row["checked_out"], row["idle"]), (0, 3))
        self.assertEqual(engine.pool.checkedin(), 3)

    def test_waiting_and_timeouts(self):
        engine = self.engine(name="waiting", pool_size=1, max_overflow=0, pool_timeout=0.3)
        listeners.report_pool(engine, every=0)
        held = engine.connect()
        with self.assertRaises(sqlalchemy.exc.TimeoutError):
            engine.connect()
        waiter = threading.Thread(target=lambda: engine.connect().close())
        waiter.start()
        time.sleep(0.1)
        rows = []
        sqlalchemy.event.listen(engine, "checkin", lambda *_: rows.extend(self.pool("waiting")[:1]))
        held.close()
        waiter.join()
        self.assertEqual((rows[0]["waiting"], rows[0]["timeouts"]), (1, 1))
        row, = self.pool("waiting")
        self.assertEqual((row["waiting"], row["timeouts"]), (0, 1))
        self.assertGreater(row["wait_ms"], 300)
        engine.dispose()  # another pool object, the same counters
        held = engine.connect()
        with self.assertRaises(sqlalchemy.exc.TimeoutError):
            engine.connect()
        held.close()
        self.assertEqual(self.pool("waiting")[0]["timeouts"], 2)

    def test_connections_that_are_not_given_back(self):
        engine = self.engine(name="leaky", pool_size=3, max_overflow=0, pool_timeout=0.1)
        listeners.report_pool(engine, every=0)
        leaked = [engine.connect() for _ in range(2)]
        for connection in leaked:
            connection.execute(text("SELECT 1"))
        time.sleep(0.5)
        engine.connect().close()
        self.assertEqual(self.pool("leaky")[0]["checked_out"], 2)
        held = self.dicts("SELECT * FROM upkeep.connections WHERE application_name = 'leaky' AND state = 'idle in transaction'")
        self.assertEqual(len(held), 2)
        for row in held:  # who holds them, for how long, and what was done last
            self.assertGreater(row["state_ms"], 400)
            self.assertEqual((row["query"], row["user_name"]), ("SELECT 1", "application"))

    def test_throttled(self):
        engine = self.engine(name="throttled", pool_size=2)
        listeners.report_pool(engine, name="web", every=3600)
        for _ in range(50):
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        first = self.pool("throttled")[0]
        self.assertEqual(first["pool"], f"web:{os.getpid()}")
        self.assertEqual((first["checked_out"], first["size"]), (0, 2))
        with engine.connect(), engine.connect():
            pass
        self.assertEqual(self.pool("throttled"), [first])

    def test_it_never_touches_the_application_s_transaction(self):
        self.rows("CREATE TABLE IF NOT EXISTS kept (x int); GRANT ALL ON kept TO application")
        for reset, wanted in (("rollback", []), ("commit", [(1,)]), (None, [(1,)])):
            with self.subTest(reset=reset):
                self.rows("TRUNCATE kept")
                engine = self.engine(name="reset", pool_size=1, pool_reset_on_return=reset)
                listeners.report_pool(engine, every=0)
                raw = engine.raw_connection()
                raw.cursor().execute("INSERT INTO kept VALUES (1)")
                raw.close()  # without a reset the transaction goes on in the pool
                raw = engine.raw_connection()
                raw.commit()
                raw.close()
                self.assertEqual(self.rows("SELECT x FROM kept"), wanted)
                self.assertEqual(len(self.pool("reset")), 1)
                engine.dispose()

    def test_autocommit_and_no_session_left_in_a_transaction(self):
        engine = self.engine(name="auto", pool_size=2)
        listeners.report_pool(engine, every=0)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("SELECT 1"))
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        self.assertEqual(len(self.pool("auto")), 1)
        self.assertEqual(self.rows("SELECT DISTINCT state FROM pg_stat_activity WHERE application_name = 'auto'"), [("idle",)])
        self.assertEqual(self.messages.texts, [])

    def test_without_upkeep_the_application_goes_on(self):
        engine = self.engine("template1", "without", pool_size=2)
        listeners.report_pool(engine, every=0)
        since = Server().log_size()
        for number in range(30):
            with engine.begin() as connection:
                self.assertEqual(connection.execute(text(f"SELECT {number}")).scalar(), number)
        self.assertIn("next attempt in", self.messages.texts[0])
        self.assertEqual(len(Server().log_lines(since, "report_pool")), 1)  # of thirty
        self.assertEqual(engine.pool.checkedin(), 1)

    def test_a_connection_that_breaks_meanwhile_does_not_go_back(self):
        engine = self.engine(name="broken", pool_size=1, max_overflow=0, pool_reset_on_return=None)
        listeners.report_pool(engine, every=0)
        raw = engine.raw_connection()
        raw.cursor().execute("SELECT 1")
        raw.commit()
        self.rows("SELECT pg_terminate_backend(%s, 5000)", raw.dbapi_connection.info.backend_pid)
        raw.close()
        self.assertEqual(len(self.messages.texts), 1)
        with engine.connect() as connection:  # without pre-ping
            self.assertEqual(connection.execute(text("SELECT 1")).scalar(), 1)

    def test_a_forked_child_reports_as_itself(self):
        engine = self.engine(name="forked", pool_size=1)
        reporter = listeners.report_pool(engine, every=0)
        engine.connect().close()
        reporter._waits().lock.acquire()  # pylint: disable=protected-access,consider-using-with
        child = os.fork()  # while another thread counts
        if child == 0:
            code = 1
            try:
                engine.dispose(close=False) if "close" in engine.dispose.__code__.co_varnames else engine.pool.recreate()
                engine.connect().close()
                code = 0
            finally:
                os._exit(code)
        reporter._waits().lock.release()  # pylint: disable=protected-access
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual({row["pool"].rsplit(":")[-1] for row in self.pool("forked")}, {str(os.getpid()), str(child)})

    def test_nothing_to_report(self):
        self.assertIsNone(listeners.report_pool(self.engine(name="null", poolclass=NullPool)))
        self.assertIsNone(listeners.report_pool(self.engine(name="null", pool_size=0)))
        self.assertEqual(self.messages.texts, [])

    def test_names_are_cut_to_what_fits(self):
        engine = self.engine(name="long", pool_size=1)
        listeners.report_pool(engine, name="é" * 60, every=0)
        engine.connect().close()
        row, = self.pool("long")
        self.assertLessEqual(len(row["pool"].encode()), 63)
        self.assertTrue(row["pool"].endswith(f"é:{os.getpid()}"))
        self.assertEqual(self.messages.texts, [])


class EndpointTest(Application):
    """Each statement is known by a table of its own."""

    def count(self, mark):
        """A statement on the table of this name."""
        self.rows(f"CREATE TABLE IF NOT EXISTS {mark} (x int); GRANT SELECT ON {mark} TO application")
        return text(f"SELECT count(*) FROM {mark}")

    def endpoints(self, mark):
        return {endpoint for endpoint, in self.rows(
            "SELECT endpoint FROM upkeep.statements WHERE operation = 'SELECT' AND query LIKE %s", f"%FROM {mark}")}

    def test_transactions(self):
        engine = self.engine(name="tagged", pool_size=1)
        listeners.tag_endpoints(engine)
        with listeners.endpoint("GET /workflows"):
            with engine.begin() as connection:
                connection.execute(self.count("inside_a"))
                connection.execute(self.count("inside_a"))
            with engine.begin() as connection, listeners.endpoint("inner"):
                connection.execute(self.count("inside_b"))  # the transaction began before
        with engine.begin() as connection:
            connection.execute(self.count("outside"))
        self.assertEqual(self.endpoints("inside_a"), {"GET /workflows"})
        self.assertEqual(self.endpoints("inside_b"), {"GET /workflows"})
        self.assertEqual(self.endpoints("outside"), {None})
        self.assertEqual(self.messages.texts, [])

    def test_session_of_the_orm_and_rollback(self):
        engine = self.engine(name="orm", pool_size=1)
        listeners.tag_endpoints(engine)
        self.count("orm_fails")
        with listeners.endpoint("orm"), Session(engine) as session:
            session.execute(self.count("orm_first"))
            with self.assertRaises(sqlalchemy.exc.DBAPIError):
                session.execute(text("SELECT 1 / count(*) FROM orm_fails"))
            session.rollback()
            session.execute(self.count("orm_again"))
        self.assertEqual((self.endpoints("orm_first"), self.endpoints("orm_fails"), self.endpoints("orm_again")),
                         ({"orm"}, {"orm"}, {"orm"}))

    def test_autocommit_leaves_nothing_behind(self):
        engine = self.engine(name="auto", pool_size=1)
        listeners.tag_endpoints(engine)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            with listeners.endpoint("first"):
                connection.execute(self.count("auto_first"))
            with listeners.endpoint("second"):
                connection.execute(self.count("auto_second"))
            connection.execute(self.count("auto_none"))
            with listeners.endpoint("last"):
                connection.execute(self.count("auto_last"))
        with engine.begin() as connection:
            self.assertEqual(connection.execute(text("SHOW upkeep.endpoint")).scalar(), "")
        self.assertEqual([self.endpoints(f"auto_{word}") for word in ("first", "second", "none", "last")],
                         [{"first"}, {"second"}, {None}, {"last"}])

    def test_names_of_every_kind(self):
        engine = self.engine(name="names", pool_size=1)
        listeners.tag_endpoints(engine)
        for number, (name, wanted) in enumerate((("q'u\"o%te", "q'u\"o%te"), ("é", "\\xe9"), ("\0", None), ("", None),
                                                 ("x" * 500, "x" * 128), (7, "7"))):
            with self.subTest(name), listeners.endpoint(name), engine.begin() as connection:
                connection.execute(self.count(f"name_{number}"))
            self.assertIn(self.endpoints(f"name_{number}"), ({wanted}, {" "} if name == "\0" else {wanted}))
        self.assertEqual(self.messages.texts, [])

    def test_legacy_execution_without_a_transaction(self):
        if not sqlalchemy.__version__.startswith("1."):
            self.skipTest("SQLAlchemy 2 has no execution without a transaction")
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(
            dbname=self.database, user="application"))
        self.addCleanup(engine.dispose)
        listeners.tag_endpoints(engine)
        with listeners.endpoint("legacy"), engine.connect() as connection:
            connection.execute(self.count("legacy_a"))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                connection.execute(text("CREATE TABLE legacy_b (x int)").execution_options(autocommit=True))
        self.assertEqual(self.endpoints("legacy_a"), {"legacy"})
        self.assertEqual(self.value("SELECT count(*) FROM legacy_b"), 0)

    def test_a_failure_is_the_listener_s_own(self):
        engine = self.engine(name="fails", pool_size=1)

        def current():
            raise LookupError("no request")
        listeners.tag_endpoints(engine, current)
        for _ in range(3):
            with engine.begin() as connection:
                self.assertEqual(connection.execute(text("SELECT 1")).scalar(), 1)
        self.assertIn("no request", self.messages.texts[0])


class ReapTest(Application):
    """Idle sessions of a pool are reaped; with pre-ping its users do not notice."""

    def reap(self, application, idle_for="0"):
        return [action for action, in self.rows("SELECT action FROM upkeep.reap_sessions(%s, match_application => %s,"
                                                " dry_run => false)", idle_for, application)]

    def fill(self, engine, count):
        held = [engine.connect() for _ in range(count)]
        for connection in held:
            connection.execute(text("SELECT 1"))
            connection.close()
        self.assertEqual(engine.pool.checkedin(), count)
        time.sleep(0.05)

    def use(self, engine, errors, rounds=20, think=0.0):
        for number in range(rounds):
            try:
                with engine.begin() as connection:
                    assert connection.execute(text(f"SELECT {number}")).scalar() == number
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
            time.sleep(think)

    def run_threads(self, engine, count, **options):
        errors = []
        threads = [threading.Thread(target=self.use, args=(engine, errors), kwargs=options) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads, errors

    def test_with_pre_ping_nobody_notices(self):
        engine = self.engine(name="ping", pool_size=5, pool_pre_ping=True)
        listeners.report_pool(engine, every=0)
        listeners.tag_endpoints(engine)
        for _ in range(5):
            self.fill(engine, 5)
            self.assertEqual(self.reap("ping"), ["ended"] * 5)
            threads, errors = self.run_threads(engine, 5)
            for thread in threads:
                thread.join()
            self.assertEqual(errors, [])
        self.assertEqual(self.messages.texts, [])

    def test_without_pre_ping_somebody_does(self):
        engine = self.engine(name="blind", pool_size=3)
        self.fill(engine, 3)
        self.assertEqual(self.reap("blind"), ["ended"] * 3)
        with self.assertRaises(sqlalchemy.exc.OperationalError) as caught:
            with engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        self.assertRegex(str(caught.exception), "ended by upkeep|closed the connection unexpectedly")
        self.assertTrue(caught.exception.connection_invalidated)

    def test_reaped_all_the_time_while_it_works(self):
        engine = self.engine(name="steady", pool_size=6, pool_pre_ping=True)
        threads, errors = self.run_threads(engine, 6, rounds=12, think=0.4)
        ended = 0
        while any(thread.is_alive() for thread in threads):
            ended += self.reap("steady", "250 ms").count("ended")
            time.sleep(0.02)
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertGreater(ended, 10)


if __name__ == "__main__":
    unittest.main()
