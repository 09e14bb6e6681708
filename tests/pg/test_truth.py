# cluster: shared_preload_libraries=pg_stat_statements,upkeep_preload
# cluster: pg_stat_statements.max=10000
# cluster: upkeep.max_statements=10000
# cluster: upkeep.text_memory=64MB
# cluster: upkeep.max_slow_statements=10000
# cluster: deadlock_timeout=50ms
# cluster: max_parallel_workers=4
"""What we counted is what happened: calls, rows, blocks and WAL of every statement equal what
pg_stat_statements counted beside us, errors equal the clients' own count, over a run of many clients
with everything in it. UPKEEP_TRUTH_SECONDS makes it longer (two passes of half of that)."""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from host import Asks

SECONDS = float(os.environ.get("UPKEEP_TRUTH_SECONDS", "24"))
HERE = os.path.dirname(os.path.abspath(__file__))
PGBENCH = shutil.which("pgbench") or "/usr/lib/postgresql/15/bin/pgbench"

SETUP = """
CREATE EXTENSION pg_stat_statements;
CREATE ROLE truth_role;
CREATE TABLE t (id int PRIMARY KEY, v text, n int);
INSERT INTO t SELECT g, 'v' || g, g % 10 FROM generate_series(1, 1000) AS g;
CREATE TABLE big AS SELECT g AS id, g % 10 AS n FROM generate_series(1, 20000) g;
CREATE VIEW t_view AS SELECT * FROM t WHERE n < 5;
CREATE TABLE log (id int, v text); CREATE INDEX ON log (id);
CREATE TABLE copied (id int, v text, n int);
CREATE TABLE merged (id int, v text); INSERT INTO merged SELECT g, '' FROM generate_series(0, 4) g;
CREATE TABLE forbidden (id int);
CREATE TABLE hot (id int PRIMARY KEY, n int); INSERT INTO hot VALUES (1, 0), (2, 0), (3, 0);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (id int, parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
GRANT SELECT ON t TO truth_role;
CREATE FUNCTION nested(i int) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN RETURN (SELECT count(*) FROM t WHERE id <= i) + (SELECT count(*) FROM t WHERE n = i); END $$;
CREATE FUNCTION recursive(i int) RETURNS bigint LANGUAGE plpgsql AS
  $$ BEGIN IF i <= 0 THEN RETURN nested(1); END IF; RETURN (SELECT recursive(i - 1) + count(*) FROM t WHERE id = i); END $$;
CREATE FUNCTION swallow(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN PERFORM n / i FROM t WHERE id < 5; RETURN 1; EXCEPTION WHEN division_by_zero THEN RETURN -1; END $$;
CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN PERFORM nested(i); PERFORM n / (i - i) FROM t; RETURN 1; END $$;
CREATE PROCEDURE commits(i int) LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log VALUES (i, 'p'); COMMIT; DELETE FROM log WHERE id = i; COMMIT; END $$;
CREATE PROCEDURE commits_then_fails(i int) LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log VALUES (i, 'p'); COMMIT; PERFORM n / (i - i) FROM t; END $$;
ANALYZE;
"""

# Texts of their own, so that what pg_stat_statements 15 loses can be told from everything else: of a
# prepared utility statement it counts the first execution only (it sets the query id of the cached
# statement to 0). The client knows how many there were.
LOST_BY_THE_PEER = ["BEGIN READ WRITE", "END WORK"]
PREPARED = """\\set n random(1, 1000)
BEGIN READ WRITE;
SELECT v FROM t WHERE id = :n;
INSERT INTO log VALUES (:n, 'prepared');
SELECT nested(:n % 10);
END WORK;
"""
PSQL = """\\set VERBOSITY sqlstate
\\timing off
SELECT count(*) AS by_psql, 1, 2, 3 FROM t;
SELEC by_psql;
BEGIN; UPDATE log SET v = 'psql' WHERE id = 5; SELECT 1 / 0 AS a, 2 AS b, 3 AS c, 4 AS d; COMMIT;
BEGIN; INSERT INTO child VALUES (1, -5); END;
\\copy (SELECT n, id, v FROM t LIMIT 5) TO '/dev/null'
SELECT n FROM t LIMIT 3 \\gdesc
SELECT 'SELECT ' || g || ', g, g, g FROM generate_series(1, 3) g' FROM generate_series(1, 2) g \\gexec
SET ROLE truth_role; SELECT * FROM forbidden; RESET ROLE;
"""

OURS = """SELECT fingerprint, database_name, user_name, is_top_level, min(query), sum(calls)::bigint, sum(rows)::bigint,
    sum(hit_blocks)::bigint, sum(read_blocks)::bigint, sum(temp_written_blocks)::bigint, sum(wal_bytes)::bigint
  FROM upkeep.statements WHERE query !~ 'pg_stat_statements|upkeep' GROUP BY 1, 2, 3, 4 HAVING sum(calls) > 0"""
THEIRS = """SELECT queryid, datname, rolname, toplevel, min(query), sum(calls)::bigint, sum(rows)::bigint,
    sum(shared_blks_hit)::bigint, sum(shared_blks_read)::bigint, sum(temp_blks_written)::bigint, sum(wal_bytes)::bigint
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = dbid JOIN pg_roles r ON r.oid = userid
  WHERE query !~ 'pg_stat_statements|upkeep' GROUP BY 1, 2, 3, 4"""
NOT_EXECUTED = """SELECT convert_from(decode(to_hex(fingerprint), 'hex'), 'SQL_ASCII'), sum(errors)::int
  FROM upkeep.statements WHERE query = '<not executed>' GROUP BY 1"""


class Truth(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)

    def start(self, *command, options=""):
        environment = dict(os.environ, PGDATABASE=self.database, PGOPTIONS=options)
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def client(self, role, seconds, seed, options=""):
        return self.start(sys.executable, "-B", os.path.join(HERE, "truth_client.py"), role, str(seconds), str(seed),
                          options=options)

    def finish(self, process):
        out, error = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 0, error[-2000:])
        return out, error

    def run_clients(self, seconds):
        """All clients at once. What they saw themselves: errors by SQLSTATE, transactions of pgbench."""
        script = tempfile.NamedTemporaryFile("w", suffix=".sql")
        script.write(PREPARED)
        script.flush()
        self.addCleanup(script.close)
        fails = "-c upkeep.slow_threshold=0"  # so that each failure is in slow_statements, by its code
        clients = [self.client("mixed", seconds, 1), self.client("mixed", seconds, 2),
                   self.client("failing", seconds, 3, fails), self.client("contending", seconds, 4, fails),
                   self.client("contending", seconds, 5, fails), self.client("contending", seconds, 6, fails),
                   self.client("cancelling", seconds, 7, fails)]
        bench = self.start(PGBENCH, "-n", "-c", "2", "-T", str(int(seconds)), "-M", "prepared", "-f", script.name)
        seen = collections.Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            psql = subprocess.run(["psql", "-X", "-q", "-d", self.database, "-o", "/dev/null"], input=PSQL, text=True,
                                  capture_output=True, check=False, env=dict(os.environ, PGOPTIONS=fails))
            seen.update(re.findall(r"(?:ERROR|FATAL): +([0-9A-Z]{5})", psql.stderr))
            self.look_at_failures()
        for process in clients:
            seen.update(json.loads(self.finish(process)[0]))
        out, _ = self.finish(bench)
        return seen, int(out.split("number of transactions actually processed: ")[1].split()[0])

    def look_at_failures(self):
        """Before the ring of slow statements goes round."""
        self.failures |= set(self.rows("""SELECT captured_at, pid, fingerprint, error_code FROM upkeep.slow_statements
                                          WHERE error_code IS NOT NULL"""))

    def compare_statements(self, transactions):
        ours = {row[:4]: row[4:] for row in self.rows(OURS)}
        theirs = {row[:4]: row[4:] for row in self.rows(THEIRS)}
        lost = {}
        differing = []
        for key in ours.keys() | theirs.keys():
            mine, its = ours.get(key), theirs.get(key)
            if mine and mine[0] in LOST_BY_THE_PEER:
                lost[mine[0]] = mine[1]
            elif mine is None or its is None or mine[1:] != its[1:]:
                differing.append((key, mine, its))
        self.assertEqual(differing, [], f"{len(differing)} of {len(ours)} differ")
        self.assertEqual(lost, dict.fromkeys(LOST_BY_THE_PEER, transactions))
        return ours

    def compare_errors(self, seen, level):
        self.assertEqual(self.value("SELECT sum(errors)::int FROM upkeep.statements WHERE is_top_level"), sum(seen.values()))
        not_executed = collections.Counter(dict(self.rows(NOT_EXECUTED)))
        for code in ("42601", "42703", "42P01", "25P02", "26000", "23503", "22P02", "42P02"):
            self.assertGreater(not_executed[code], 0, code)
        self.assertEqual({code for code in not_executed if not_executed[code] > seen[code]}, set())
        if level == "top":  # nested failures would be in the ring as well
            self.look_at_failures()
            of_statements = collections.Counter(failure[-1] for failure in self.failures)
            self.assertEqual(of_statements + not_executed, seen)
            for code in ("57014", "40P01", "22012", "23505", "57P01", "42501", "55P03", "40001"):
                self.assertGreater(of_statements[code] + not_executed[code], 0, code)

    def test_all_of_it(self):
        for level in ("top", "all"):
            for name in ("pg_stat_statements.track", "upkeep.capture"):
                self.rows(f"ALTER DATABASE {self.database} SET {name} = '{level}'")
            self.rows(f"SET pg_stat_statements.track = '{level}'")
            self.rows(f"SET upkeep.capture = '{level}'")
            self.rows("SELECT upkeep.reset_statements(), pg_stat_statements_reset()")
            self.failures = set()
            seen, transactions = self.run_clients(SECONDS / 2)
            while self.value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'") > 1:
                time.sleep(0.05)
            ours = self.compare_statements(transactions)
            self.compare_errors(seen, level)
            self.assertEqual(any(not key[3] for key in ours), level == "all")
            self.assertNotIn("failures of our own", self.value(
                "SELECT reason FROM upkeep.capabilities WHERE feature = 'statement_capture'"))
            print(f"{level}: {sum(row[1] for row in ours.values())} calls of {len(ours)} statements equal, "
                  f"{sum(seen.values())} errors equal: {dict(sorted(seen.items()))}")


if __name__ == "__main__":
    unittest.main()
