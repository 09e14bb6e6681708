"""The SQLAlchemy listeners on SQLite, in SQLAlchemy's QueuePool over a file: what another process sees of the pool, endpoints of
statements, and that nothing of the listeners' fails the application.

Oracles: the pool's own public numbers, a second connection with the module, the state file.
"""
import os
import pathlib
import sqlite3
import sys
import tempfile
import threading
import unittest

import sqlalchemy
from sqlalchemy import event, text
from sqlalchemy.pool import NullPool, QueuePool

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "sqlite"))
from common import Messages, upkeep_sqlalchemy as listeners  # noqa: E402
import host  # noqa: E402


class Application(host.Asks, unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(os.path.realpath(folder.name), "app.db")
        self.db = host.connect(database=self.path, isolation_level=None)
        self.addCleanup(self.db.close)
        self.rows("CREATE TABLE t (x)")
        self.messages = Messages()

    def engine(self, with_module=True, **options):
        engine = sqlalchemy.create_engine(f"sqlite:///{self.path}", future=True,
                                          **{"poolclass": QueuePool, "connect_args": {"check_same_thread": False}, **options})
        self.addCleanup(engine.dispose)
        if with_module:
            @event.listens_for(engine, "connect")
            def load(connection, _record):
                connection.enable_load_extension(True)
                connection.load_extension(str(host.BUILD / "upkeep"))
                connection.enable_load_extension(False)
        return engine

    def pools(self):
        return self.rows("SELECT pool, size, idle, checked_out, overflow, timeouts FROM upkeep_pools")


class ReportTest(Application):
    def test_as_the_pool_sees_itself(self):
        engine = self.engine(pool_size=3, max_overflow=2, pool_timeout=0.1)
        listeners.report_pool(engine, name="web", every=0)
        held = [engine.connect() for _ in range(5)]
        with self.assertRaises(sqlalchemy.exc.TimeoutError):
            engine.connect()
        held.pop().close()
        self.assertEqual((engine.pool.checkedin(), engine.pool.checkedout(), engine.pool.overflow()), (1, 4, 2))
        self.assertEqual(self.pools(), [(f"web:{os.getpid()}", 3, 1, 4, 2, 1)])
        for connection in held:
            connection.close()
        self.assertEqual(self.pools(), [(f"web:{os.getpid()}", 3, 3, 0, 0, 1)])
        self.assertEqual(self.messages.texts, [])

    def test_it_never_touches_the_application_s_transaction(self):
        engine = self.engine(pool_size=1, pool_reset_on_return=None)
        listeners.report_pool(engine, every=0)
        raw = engine.raw_connection()
        raw.cursor().execute("INSERT INTO t VALUES (1)")
        raw.close()  # its transaction goes on in the pool
        self.assertEqual(self.pools(), [])
        raw = engine.raw_connection()
        raw.commit()
        raw.close()
        self.assertEqual(self.rows("SELECT * FROM t"), [(1,)])
        self.assertEqual(len(self.pools()), 1)

    def test_without_the_module_the_application_goes_on(self):
        engine = self.engine(with_module=False, pool_size=2)
        listeners.report_pool(engine, every=0)
        listeners.tag_endpoints(engine)
        with listeners.endpoint("e"):
            for number in range(20):
                with engine.begin() as connection:
                    connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": number})
        self.assertEqual(self.value("SELECT count(*) FROM t"), 20)
        self.assertEqual(len(self.messages.texts), 2, self.messages.texts)  # one of each listener, then a pause

    def test_many_threads(self):
        engine = self.engine(pool_size=4, max_overflow=2, connect_args={"check_same_thread": False, "timeout": 30})
        listeners.report_pool(engine, every=0.01)
        errors = []

        def run():
            try:
                for _ in range(20):
                    with engine.begin() as connection:
                        connection.execute(text("INSERT INTO t VALUES (1)"))
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
        threads = [threading.Thread(target=run) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((errors, self.messages.texts), ([], []))
        self.assertEqual(self.value("SELECT count(*) FROM t"), 120)
        self.assertEqual(len(self.pools()), 1)

    def test_nothing_to_report(self):
        self.assertIsNone(listeners.report_pool(self.engine(poolclass=NullPool)))
        self.assertIsNone(listeners.report_pool(sqlalchemy.create_engine("sqlite://")))


class EndpointTest(Application):
    def test_statements_belong_to_their_endpoint(self):
        self.rows("SELECT upkeep_capture(1)")
        self.addCleanup(lambda: self.rows("SELECT upkeep_capture(0)"))
        engine = self.engine(pool_size=1)
        listeners.tag_endpoints(engine)
        with listeners.endpoint("GET /t"), engine.begin() as connection:
            connection.execute(text("SELECT x FROM t WHERE x = 1"))
            with listeners.endpoint("inner"):
                connection.execute(text("SELECT x FROM t WHERE x > 1"))
        with engine.begin() as connection:
            connection.execute(text("SELECT x FROM t WHERE x < 1"))
        found = dict(self.rows("SELECT query, endpoint FROM upkeep_statements WHERE query LIKE 'SELECT x%'"))
        self.assertEqual(found, {f"select x from t where x {sign} ?": name
                                 for sign, name in (("=", "GET /t"), (">", "inner"), ("<", None))})
        self.assertEqual(self.messages.texts, [])

    def test_a_connection_goes_back_without_it(self):
        engine = self.engine(pool_size=1)
        listeners.tag_endpoints(engine)
        seen = []
        with listeners.endpoint("first"), engine.begin() as connection:
            connection.execute(text("SELECT 1"))
            seen.append(connection.info.get(listeners.TAGGED))
        with engine.begin() as connection:
            seen.append(connection.info.get(listeners.TAGGED))
        self.assertEqual(seen, ["first", None])


if __name__ == "__main__":
    unittest.main()
