# cluster: shared_preload_libraries=upkeep_preload
"""Repeated reads of real applications: SQLAlchemy over psycopg2, cursors, bound values over the wire."""
import os
import pathlib
import re
import socket
import struct
import sys
import unittest

import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from host import Asks, connect

sys.path.append(str(pathlib.Path(__file__).parent.parent))
import n_plus_one_scenes as scenes  # noqa: E402

FINDINGS = """SELECT parent_query, child_query, kind, total_repeats, occurrences, max_repeats, total_ms,
    suggestion, endpoint, parent_fingerprint, child_fingerprint, last_seen_at
    FROM upkeep.n_plus_one WHERE database_name = current_database()"""


def table_of(query):
    return re.search(r"\bFROM (\w+)", query, re.IGNORECASE).group(1)


class Wire:
    """A session of the extended protocol that runs portals in parts, as drivers with a fetch size do."""

    def __init__(self, database):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(f"{os.environ['PGHOST']}/.s.PGSQL.{os.environ.get('PGPORT', '5432')}")
        user = os.environ.get("PGUSER") or os.environ.get("USER") or "postgres"
        words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
        self.socket.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        self.until(b"Z")

    def send(self, *messages):
        self.socket.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))

    def read(self, size):
        data = b""
        while len(data) < size:
            data += self.socket.recv(size - len(data))
        return data

    def until(self, wanted):
        """Messages up to one of these kinds."""
        seen = []
        while not seen or seen[-1][0] not in wanted:
            kind, size = struct.unpack("!ci", self.read(5))
            seen.append((kind, self.read(size - 4)))
            if kind == b"E":
                raise AssertionError(seen[-1])
        return seen

    def prepare(self, name, sql):
        self.send((b"P", name.encode() + b"\0" + sql.encode() + b"\0\0\0"), (b"S", b""))
        self.until(b"Z")

    def bind(self, portal, name, *values):
        texts = b"".join(struct.pack("!i", len(value)) + value for value in map(lambda v: str(v).encode(), values))
        self.send((b"B", portal.encode() + b"\0" + name.encode() + b"\0\0\0"
                   + struct.pack("!h", len(values)) + texts + b"\0\0"))

    def execute(self, portal, most=0):
        """First columns; `most` rows, 0: all."""
        self.send((b"E", portal.encode() + b"\0" + struct.pack("!i", most)), (b"H", b""))
        rows = [body for kind, body in self.until(b"Cs") if kind == b"D"]
        return [row[6:6 + struct.unpack("!i", row[2:6])[0]].decode() for row in rows]

    def run(self, name, *values):
        self.bind("", name, *values)
        rows = self.execute("")
        self.send((b"S", b""))
        self.until(b"Z")
        return rows


class NPlusOne(Asks):
    score = scenes.Score()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        scenes.fill(cls.engine())

    @classmethod
    def tearDownClass(cls):
        print(cls.score)
        super().tearDownClass()

    @classmethod
    def engine(cls, **options):
        return create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dbname=cls.database),
                             poolclass=NullPool, **options)

    def setUp(self):
        self.value("SELECT upkeep.reset_statements()")

    def found(self):
        return {(table_of(parent), table_of(child), kind, repeats)
                for parent, child, kind, repeats, *_ in self.rows(FINDINGS)}

    def play_all(self, engine, left_out=()):
        scenes.Base.metadata.drop_all(engine)
        scenes.fill(self.engine())
        for name, expected, play in scenes.SCENES:
            if name in left_out:
                continue
            self.value("SELECT upkeep.reset_statements()")
            with self.subTest(name):
                with Session(engine) as session:
                    play(session)
                    got = self.found()  # while the session is still there
                self.score.add(expected, got)
                self.assertEqual(got, expected)

    def test_scenes_in_transactions(self):
        self.play_all(self.engine())

    def test_scenes_in_autocommit(self):
        # Without transactions, what is read again after each commit looks like a child.
        self.play_all(self.engine(isolation_level="AUTOCOMMIT"), ["objects_reloaded_after_each_commit"])

    def expect(self, name, expected):
        with self.subTest(name):
            got = self.found()
            self.score.add(expected, got)
            self.assertEqual(got, expected)
        self.value("SELECT upkeep.reset_statements()")

    def test_server_side_cursors(self):
        children = {("executions", "logs", "n_plus_one", 20)}
        for autocommit in (False, True):
            db = psycopg2.connect(dbname=self.database)
            db.autocommit = autocommit
            with db.cursor("named", withhold=autocommit) as parents, db.cursor() as each:
                parents.itersize = 5
                parents.execute("SELECT id FROM executions ORDER BY id LIMIT 20")
                for (key,) in parents:
                    each.execute("SELECT message FROM logs WHERE execution_id = %s", (key,))
                    self.assertEqual(len(each.fetchall()), 4)
            self.expect(f"named cursor, autocommit {autocommit}", children)
            with db.cursor("named", withhold=autocommit) as parents:
                parents.itersize = 5
                parents.execute("SELECT id FROM logs")
                self.assertEqual(len(list(parents)), 240)
            self.expect(f"cursor loop, autocommit {autocommit}", set())
            db.close()

    def test_row_by_row_cursor(self):
        db = connect(self.database)
        self.run_on(db, "BEGIN")
        self.run_on(db, "DECLARE c CURSOR FOR SELECT id FROM executions ORDER BY id LIMIT 12")
        while row := self.run_on(db, "FETCH 1 FROM c"):
            self.assertEqual(len(self.run_on(db, f"SELECT id FROM logs WHERE execution_id = {row[0][0]}")), 4)
        self.run_on(db, "COMMIT")
        parent = self.rows(FINDINGS)[0][0]
        self.assertIn("SELECT id FROM executions", parent)
        self.expect("FETCH 1", {("executions", "logs", "n_plus_one", 12)})
        db.close()

    def test_prepared_by_name(self):
        db = connect(self.database)
        self.run_on(db, "PREPARE p AS SELECT id FROM executions ORDER BY id LIMIT 15")
        self.run_on(db, "PREPARE c(int) AS SELECT message FROM logs WHERE execution_id = $1")
        for (key,) in self.run_on(db, "EXECUTE p"):
            self.run_on(db, f"EXECUTE c({key})")
        self.expect("EXECUTE", {("executions", "logs", "n_plus_one", 15)})
        for _ in self.run_on(db, "EXECUTE p"):
            self.run_on(db, "EXECUTE c(100)")
        self.expect("EXECUTE, the same value", {("executions", "logs", "repeated_read", 15)})
        db.close()

    def test_bound_values_over_the_wire(self):
        wire = Wire(self.database)
        wire.prepare("p", "SELECT id FROM executions ORDER BY id LIMIT 20")
        wire.prepare("c", "SELECT message FROM logs WHERE execution_id = $1")
        wire.prepare("s", "SELECT word FROM tags WHERE workflow_id = $1")
        for key in wire.run("p"):
            self.assertEqual(len(wire.run("c", key)), 4)
            wire.run("s", 7)
        self.expect("bound values", {("executions", "logs", "n_plus_one", 20),
                                     ("executions", "tags", "repeated_read", 20)})
        for begin in ("BEGIN", None):
            wire.prepare("", begin or "SET work_mem = '4MB'")
            wire.run("")
            wire.bind("parts", "p")
            keys = []
            while part := wire.execute("parts", 7):
                for key in part:
                    wire.bind("", "c", key)
                    keys += wire.execute("")
            self.assertEqual(len(keys), 80)
            wire.send((b"S", b""))
            wire.until(b"Z")
            if begin:
                wire.prepare("", "COMMIT")
                wire.run("")
            self.expect(f"portal in parts, {begin}", {("executions", "logs", "n_plus_one", 20)})
        wire.socket.close()

    def lazy(self, db, endpoint=""):
        """Six children of a parent with six rows."""
        self.run_on(db, f"SET upkeep.endpoint = '{endpoint}'")
        for (key,) in self.run_on(db, "SELECT id FROM executions ORDER BY id LIMIT 6"):
            self.run_on(db, "SELECT message FROM logs WHERE execution_id = %s", (key,))

    def test_row(self):
        db = connect(self.database)
        self.lazy(db, "/list")
        row = self.dicts(FINDINGS)[0]
        self.assertEqual(row["parent_query"], "SELECT id FROM executions ORDER BY id LIMIT $1")
        self.assertEqual(row["child_query"], "SELECT message FROM logs WHERE execution_id = $1")
        self.assertEqual((row["endpoint"], row["occurrences"], row["max_repeats"]), ("/list", 1, 6))
        for what in ("executions", "join logs", "WHERE execution_id = ANY ($1)", "selectinload"):
            self.assertIn(what, row["suggestion"])
        calls, total = self.rows("SELECT calls, total_ms FROM upkeep.statements WHERE fingerprint = %s",
                                 row["child_fingerprint"])[0]
        self.assertEqual(calls, 6)
        self.assertAlmostEqual(row["total_ms"], total, places=6)
        self.lazy(db, "/list")
        self.lazy(db, "/other")
        self.assertEqual(self.rows("SELECT endpoint, n_plus_one_count FROM upkeep.endpoints"
                                   " WHERE endpoint IS NOT NULL ORDER BY 1"), [("/list", 2), ("/other", 1)])
        self.value("SELECT upkeep.reset_statements()")
        self.assertEqual(self.found(), set())
        db.close()

    def test_threshold(self):
        db = connect(self.database)
        for value, count in ((0, 0), (7, 0), (6, 1), (0, 1)):
            self.run_on(db, f"SET upkeep.n_plus_one_threshold = {value}")
            self.lazy(db)
            self.assertEqual(len(self.found()), count, value)
        self.run_on(self.db, "SET upkeep.n_plus_one_threshold = 0")
        self.assertEqual(self.rows("SELECT DISTINCT n_plus_one_count FROM upkeep.endpoints"), [(None,)])
        self.run_on(self.db, "RESET upkeep.n_plus_one_threshold")
        db.close()

    def test_others_see_no_texts(self):
        self.run_on(self.db, "CREATE ROLE reader_a LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_a;"
                             "CREATE ROLE reader_b LOGIN; GRANT SELECT ON upkeep.n_plus_one, upkeep.endpoints TO reader_b;"
                             "GRANT EXECUTE ON FUNCTION upkeep.n_plus_one(), upkeep.endpoints() TO reader_b")
        theirs = connect(self.database, user="reader_a")
        self.lazy(theirs, "/secret")
        seen = connect(self.database, user="reader_b")
        row = self.run_on(seen, "SELECT parent_query, child_query, endpoint, parent_fingerprint, suggestion,"
                                " occurrences, total_repeats FROM upkeep.n_plus_one")
        hidden = "<insufficient privilege>"
        self.assertEqual(row, [(hidden, hidden, hidden, None, None, 1, 6)])
        self.refusal("SELECT * FROM upkeep.n_plus_one", connection=theirs)
        self.assertEqual(self.found(), {("executions", "logs", "n_plus_one", 6)})
        for db in (theirs, seen):
            db.close()


if __name__ == "__main__":
    unittest.main(verbosity=1)
