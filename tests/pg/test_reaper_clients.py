# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.reaper=on
# cluster: listen_addresses=127.0.0.22
"""What clients of every kind meet when the reaper ends their sessions, and what saves them: psql, a pool that pings
before use, COPY from a client that stalls, half a command, work that follows work.

Run inside tests/pg/with_cluster.sh.
"""
import os
import struct
import subprocess
import threading
import time
import unittest

import sqlalchemy

import libpq
from sessions_base import APP, SessionsTest, connect, set_up


def setUpModule():
    set_up()


class ClientsTest(SessionsTest):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.no_rules)
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE backend_type = 'upkeep reaper' AND datname = 'postgres'")
        self.do(self.db, "DELETE FROM upkeep.reap_log_rows")

    def no_rules(self):
        db = connect()
        self.do(db, "DELETE FROM upkeep.reap_rules")
        db.close()

    def rule(self, name, idle_for="200 ms", state="idle"):
        with self.db.cursor() as cursor:
            cursor.execute("INSERT INTO upkeep.reap_rules (name, match_application, match_state, idle_for)"
                           " VALUES (%s, 'victim', %s, %s)", (name, state, idle_for))

    def ended(self, count=1, seconds=10):
        return self.wait_for("SELECT * FROM upkeep.reap_log WHERE outcome LIKE 'ended: %%' AND"
                             " (SELECT count(*) FROM upkeep.reap_log WHERE outcome LIKE 'ended: %%') >= %s", count,
                             seconds=seconds)

    def test_psql(self):
        for sql, state, code in (("SELECT 1", "idle", "57P05"), ("BEGIN", "idle in transaction", "25P03")):
            with self.subTest(code):
                client = subprocess.Popen(["psql", "-qX", "-U", APP, "-v", "VERBOSITY=verbose", "-d",
                                           "dbname=postgres application_name=victim"], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                client.stdin.write(sql + ";\n")
                client.stdin.flush()
                self.rule("psql " + code, state=state)
                self.wait_for("SELECT 1 FROM upkeep.reap_log WHERE rule = %s", "psql " + code)
                shown, _ = client.communicate("SELECT 2;\n", timeout=20)
                self.assertRegex(shown, f'FATAL:  {code}: terminating connection: .* ended by rule "psql {code}"')

    def test_a_pool_that_pings_recovers(self):
        engine = sqlalchemy.create_engine("postgresql+psycopg2://", pool_pre_ping=True, pool_size=5, connect_args={
            "host": os.environ["PGHOST"], "user": APP, "dbname": "postgres", "application_name": "victim"})
        self.stack.callback(engine.dispose)
        self.rule("pool", "100 ms")
        failed, done = [], []

        def work(number):
            for step in range(20):
                try:
                    with engine.begin() as connection:
                        connection.execute(sqlalchemy.text("UPDATE t SET x = x + 1 WHERE id = :id"), {"id": number})
                    done.append(1)
                except sqlalchemy.exc.SQLAlchemyError as error:
                    failed.append(error)
                time.sleep(0.05 + step % 4 * 0.1)
        self.do(self.db, "UPDATE t SET x = 0")
        threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(failed, [])
        self.assertEqual(self.rows("SELECT sum(x)::int AS n FROM t WHERE id < 5"), [{"n": len(done)}])
        self.assertEqual(len(done), 80)
        self.assertGreater(len(self.ended()), 10)

    def test_copy_from_a_client_that_stalls(self):
        client = subprocess.Popen(["psql", "-qXAt", "-U", APP, "-d", "dbname=postgres application_name=victim"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        client.stdin.write("COPY t FROM STDIN;\n3000\t0\n")
        client.stdin.flush()
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE application_name = 'victim' AND query LIKE 'COPY%%'")
        self.rule("copy", "700 ms")
        self.rule("copy tx", "700 ms", state="idle in transaction")
        time.sleep(1.5)
        client.stdin.write("3001\t0\n\\.\nSELECT count(*) FROM t WHERE id >= 3000;\n")
        client.stdin.flush()
        shown, _ = client.communicate(timeout=20)
        self.assertEqual(shown.split("\n")[0], "2")

    def test_a_running_statement_is_left_alone(self):
        victim = self.open()
        self.rule("running", "100 ms")
        self.do(victim, "SELECT pg_sleep(1.5)")

    def test_half_a_command(self):
        """It saves the session, for ten times the limit (or seconds): then who never sends the rest is ended."""
        for options in ({}, {"host": "127.0.0.22"}):
            with self.subTest(**options):
                victim = libpq.Connection(application_name="victim", user="r_plain", dbname="postgres", **options)
                self.stack.callback(victim.close)
                victim.run("SELECT 1")
                time.sleep(0.15)  # the half comes later than the state began
                text = b"SELECT 1 " + b" " * 60000 + b"\0"
                message = b"Q" + struct.pack("!I", len(text) + 4) + text
                self.assertEqual(os.write(victim.socket, message[:30000]), 30000)
                self.rule("half")
                row = self.wait_for("SELECT * FROM upkeep.reap_log WHERE rule = 'half' AND pid = %s", victim.pid)[0]
                self.assertRegex(row["outcome"], "^refused: (half of a command|a command) has reached it")
                time.sleep(3)
                self.assertEqual(len(self.rows("SELECT 1 FROM pg_stat_activity WHERE pid = %s", victim.pid)), 1)
                self.wait_for("SELECT 1 FROM upkeep.reap_log WHERE rule = 'half' AND pid = %s AND outcome LIKE 'ended%%'",
                              victim.pid, seconds=20)
                self.do(self.db, "DELETE FROM upkeep.reap_rules")

    def test_half_a_command_that_is_completed(self):
        victim = libpq.Connection(application_name="victim", user="r_plain", dbname="postgres")
        self.stack.callback(victim.close)
        victim.run("SELECT 1")
        self.do(self.db, "CREATE TABLE half (x int); GRANT ALL ON half TO PUBLIC")
        text = b"INSERT INTO half VALUES (1) " + b" " * 60000 + b"\0"
        message = b"Q" + struct.pack("!I", len(text) + 4) + text
        os.write(victim.socket, message[:30000])
        self.rule("completed")
        self.wait_for("SELECT 1 FROM upkeep.reap_log WHERE rule = 'completed'")
        os.write(victim.socket, message[30000:])
        self.wait_for("SELECT 1 FROM half")

    def test_an_error_then_another_in_the_aborted_block(self):
        victim = libpq.Connection(application_name="victim", user="r_plain", dbname="postgres")
        self.stack.callback(victim.close)
        for sql in ("BEGIN", "SELECT 1/0", "SELECT 2", "SELECT nonsense("):
            victim.run(sql)
        self.rule("aborted", state="idle in transaction (aborted)")
        self.ended()
        self.assertEqual(victim.run("SELECT 3")[0][0], "25P03")


if __name__ == "__main__":
    unittest.main()
