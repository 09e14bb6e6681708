"""Does advice for ten tables take longer where the database has thousands of others? Two databases, one with ten tables, one
with UPKEEP_MANY tables (5,000) and an index on each; the same ten statements, by turns, CPU time of the backend."""
import os
import sys

import psycopg2

MANY = int(os.environ.get("UPKEEP_MANY", "5000"))
ROUNDS = 5
BAR = 1.5


def connect(name):
    connection = psycopg2.connect(dbname=name)
    connection.autocommit = True
    return connection


def run(connection, sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []


def build(name, tables):
    run(connect("postgres"), f"CREATE DATABASE {name}")
    connection = connect(name)
    run(connection, "CREATE EXTENSION upkeep")
    for first in range(0, tables, 100):  # a transaction each: the lock table is small
        run(connection, "".join(f"CREATE TABLE t{t} (id int, parent int, state text, at date, amount numeric);"
                                f"CREATE INDEX ON t{t} (id);" for t in range(first, min(first + 100, tables))))
    for t in range(10):
        run(connection, f"INSERT INTO t{t} SELECT i, i / 7, 's' || i % 9, date '2024-01-01' + i % 300, i FROM generate_series(1, 20000) i")
        run(connection, f"ALTER TABLE t{t} SET (autovacuum_enabled = off)")
        run(connection, f"VACUUM (ANALYZE) t{t}")
    return connection


def cpu(connection):
    pid = run(connection, "SELECT pg_backend_pid()")[0][0]
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def advise(name):
    """A fresh backend each time: what it has to read of the catalog counts."""
    connection = connect(name)
    texts = [f"SELECT a.amount, b.state FROM t{t} a JOIN t{(t + 1) % 10} b ON b.parent = a.id WHERE a.state = 's3'"
             f" AND a.at >= date '2024-06-01' ORDER BY a.at DESC LIMIT 20" for t in range(10)]
    before = cpu(connection)
    rows = run(connection, "SELECT create_sql FROM upkeep.advise_indexes(%s)", texts)
    spent = cpu(connection) - before
    connection.close()
    return spent, sorted(rows)


def main():
    build("few", 10).close()
    build("many", MANY).close()
    spent = {"few": [], "many": []}
    answers = {}
    for _ in range(ROUNDS):
        for name in spent:
            seconds, answers[name] = advise(name)
            spent[name].append(seconds)
    few, many = (sorted(times)[ROUNDS // 2] for times in (spent["few"], spent["many"]))
    print(f"advice for ten statements: {few:.3f} s CPU beside 10 tables, {many:.3f} s beside {MANY}; {len(answers['few'])} and"
          f" {len(answers['many'])} indexes, {'the same' if answers['few'] == answers['many'] else 'not the same'}")
    return 0 if many <= few * BAR + 0.05 and answers["few"] == answers["many"] else 1


if __name__ == "__main__":
    sys.exit(main())
