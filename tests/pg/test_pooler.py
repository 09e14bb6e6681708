# cluster: shared_preload_libraries=upkeep_preload
# cluster: max_connections=30
"""A pooler in between: PgBouncer, set to what advise_pool says, serves as many clients as it says, and what an application tells
upkeep through it arrives."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import psycopg2

from sessions_base import SessionsTest, connect, set_up
from server import Server

PORT = 6432
PROCESSES, THREADS, REPLICAS = 10, 4, 2


def setUpModule():
    set_up()
    db = connect()
    with db.cursor() as cursor:
        cursor.execute("CREATE ROLE r_app LOGIN IN ROLE pg_monitor")
    db.close()


class Pooler:
    """PgBouncer in transaction mode before the throw-away cluster, as the cluster's own user."""

    def __init__(self, *lines):
        server = Server()
        self.folder = tempfile.mkdtemp(prefix="upkeep-pooler.")
        folder = pathlib.Path(self.folder)
        (folder / "users").write_text('"r_app" ""\n', encoding="utf-8")
        (folder / "ini").write_text("\n".join((
            "[databases]", f"postgres = host={os.environ['PGHOST']} port={os.environ['PGPORT']}",
            "[pgbouncer]", "listen_addr =", f"listen_port = {PORT}", f"unix_socket_dir = {folder}", "auth_type = trust",
            f"auth_file = {folder}/users", f"logfile = {folder}/log", "pool_mode = transaction", *lines)), encoding="utf-8")
        os.chmod(folder, 0o755)
        os.chown(folder, server.owner.pw_uid, server.owner.pw_gid)
        self.process = subprocess.Popen([*server.as_server, shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q",
                                         str(folder / "ini")], cwd="/")
        end = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError((folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def answers(self):
        try:
            self.connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def connect(self):
        return psycopg2.connect(user="r_app", dbname="postgres", host=self.folder, port=PORT, application_name="pooled")

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder)


class PoolerTest(SessionsTest):
    def advice(self, db):
        return {row["parameter"]: row for row in self.rows(
            "SELECT * FROM upkeep.advise_pool(%s, %s, %s)", PROCESSES, THREADS, REPLICAS, db=db)}

    def setUp(self):
        super().setUp()
        db = connect("r_app", "asks first")
        self.rows_of = self.advice(db)
        db.close()
        self.pooler = Pooler(*(self.rows_of[name]["value"].replace("=", " = ") for name in ("pooler_pool_size", "pooler_clients")))
        self.addCleanup(self.pooler.stop)

    def at_once(self, count, make):
        """`count` clients, each with a connection that it keeps, and five transactions each; returns errors."""
        errors, everyone = [], threading.Barrier(count)

        def run():
            db = None
            try:
                db = make()
            except psycopg2.OperationalError as error:
                errors.append(error)
            everyone.wait(60)
            try:
                for _ in range(5 if db else 0):
                    with db, db.cursor() as cursor:
                        cursor.execute("SELECT pg_sleep(0.01)")
            except psycopg2.Error as error:
                errors.append(error)
            everyone.wait(60)
            if db:
                db.close()
        threads = [threading.Thread(target=run) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return errors

    def test_as_many_clients_as_it_says(self):
        clients = PROCESSES * THREADS * REPLICAS
        self.assertEqual((self.rows_of["pooler"]["verdict"], self.rows_of["pooler_clients"]["value"]),
                         ("needed", f"max_client_conn={clients}"))
        most = int(self.rows_of["pooler_pool_size"]["value"].split("=")[1])
        seen = []
        done = threading.Event()

        def watch():
            while not done.is_set():
                seen.append(self.rows("SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'r_app'")[0]["n"])
                time.sleep(0.02)
        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.assertEqual(self.at_once(clients, self.pooler.connect), [])
        finally:
            done.set()
            watcher.join()
        self.assertLessEqual(max(seen), most)
        self.assertGreater(max(seen), 1)
        # without the pooler they do not all get in
        self.assertNotEqual(self.at_once(clients, lambda: connect("r_app", "direct")), [])

    def test_what_is_told_through_it_arrives(self):
        db = self.pooler.connect()
        self.assertEqual({name: row["limit_value"] for name, row in self.advice(db).items()},
                         {name: row["limit_value"] for name, row in self.rows_of.items()})
        db.rollback()
        self.do(db, "SELECT upkeep.report_pool('behind', 4, 1, 0, 0)")
        self.do(db, "SET LOCAL upkeep.endpoint = 'pooled'; SELECT x FROM t WHERE id = 1")
        db.commit()
        self.assertEqual([row["pool"] for row in self.rows("SELECT * FROM upkeep.pools WHERE application_name = 'pooled'")],
                         ["behind"])
        row, = self.rows("SELECT endpoint FROM upkeep.statements WHERE query LIKE 'SELECT x FROM t%%'")
        self.assertEqual(row["endpoint"], "pooled")
        with db.cursor() as cursor:
            cursor.execute("SHOW upkeep.endpoint")
            self.assertEqual(cursor.fetchone()[0], "")  # nothing is left to the next client
        db.close()


if __name__ == "__main__":
    unittest.main()
