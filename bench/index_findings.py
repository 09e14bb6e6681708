"""What index_findings costs with a full store: 5,000 statements captured, 25 tables with indexes that might stand in the
wrong order and JSON that they look into. Which host: PGHOST is set (tests/pg/with_cluster.sh) or not (SQLite)."""
import os
import pathlib
import statistics
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
COUNT = int(os.environ.get("UPKEEP_FINDINGS_STATEMENTS", 5000))
TABLES, ROWS, ROUNDS = 25, 2000, 5
COLUMNS = ["a", "b", "c", "d", "e", "f", "g"]


def statements():
    """Differing in table, shown column, compared columns and order, so that each is one of its own."""
    made = []
    for shown in COLUMNS:
        for compared in COLUMNS:
            for ranged in COLUMNS:
                for tail in ("", " ORDER BY id LIMIT 5"):
                    for t in range(TABLES):
                        extra = " AND data ->> '{path}' = 'x'" if len(made) % 20 == 0 else ""
                        made.append(f"SELECT {shown} FROM t{t} WHERE {compared} = 1 AND {ranged} > 2{extra}{tail}")
    return made[:COUNT]


def ddl(json_type, key):
    for t in range(TABLES):
        yield f"CREATE TABLE t{t} (id {key}, {', '.join(c + ' integer' for c in COLUMNS)}, data {json_type})"
        yield f"CREATE INDEX t{t}_ab ON t{t} (a, b)"
        yield f"CREATE INDEX t{t}_cd ON t{t} (c, d)"
        yield f"CREATE INDEX t{t}_e ON t{t} (e)"
    if os.environ.get("UPKEEP_FINDINGS_UNREAD"):  # nothing clears it of suspicion, so all statements are analysed
        yield "CREATE TABLE unread (a integer, b integer)"
        yield "CREATE INDEX unread_ab ON unread (a, b)"


def cpu_ms(pid):
    """User and system time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def measure(ask, pid):
    walls, cpus = [], []
    for _ in range(ROUNDS):
        start, cpu = time.perf_counter(), cpu_ms(pid)
        codes = ask()
        walls.append((time.perf_counter() - start) * 1000)
        cpus.append(cpu_ms(pid) - cpu)
    counts = {code: codes.count(code) for code in sorted(set(codes))}
    print(f"index_findings beside {COUNT} statements: the first time {cpus[0]:.0f} ms CPU, median {statistics.median(cpus):.0f}"
          f" ({statistics.median(walls):.0f} ms wall), {counts}")


def postgres():
    sys.path.insert(0, str(TOP / "tests/pg"))
    from host import Asks, connect
    db = connect()
    run = Asks.run_on
    run(db, "CREATE EXTENSION upkeep")
    for sql in ddl("json", "integer PRIMARY KEY"):
        run(db, sql)
    for t in range(TABLES):
        run(db, f"INSERT INTO t{t} SELECT g, g, g % 7, g, g % 9, g, g, g, '{{\"k\": \"v\"}}' FROM generate_series(1, {ROWS}) g")
    run(db, "VACUUM ANALYZE")
    run(db, "SELECT upkeep.reset_statements()")
    for sql in statements():
        run(db, sql.format(path="k"))
    print(run(db, "SELECT count(*) FROM upkeep.statements")[0][0], "captured")
    measure(lambda: [row[0] for row in run(db, "SELECT code FROM upkeep.index_findings")],
            run(db, "SELECT pg_backend_pid()")[0][0])


def sqlite():
    sys.path.insert(0, str(TOP / "tests/sqlite"))
    import host
    with tempfile.TemporaryDirectory() as folder:
        db = host.connect(database=folder + "/app.db", isolation_level=None, cached_statements=0)
        for sql in ddl("TEXT", "INTEGER PRIMARY KEY"):
            db.execute(sql)
        db.execute("BEGIN")
        for t in range(TABLES):
            db.executemany(f"INSERT INTO t{t} VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                           [(g, g, g % 7, g, g % 9, g, g, g, '{"k": "v"}') for g in range(ROWS)])
        db.execute("COMMIT")
        db.execute("ANALYZE")
        db.execute("SELECT upkeep_capture(1)").fetchall()
        for sql in statements():
            db.execute(sql.format(path="$.k")).fetchall()
        print(db.execute("SELECT count(*) FROM upkeep_statements").fetchone()[0], "captured")
        measure(lambda: [row[0] for row in db.execute("SELECT code FROM upkeep_index_findings")], os.getpid())
        db.execute("SELECT upkeep_capture(0)").fetchall()
        db.close()


if __name__ == "__main__":
    postgres() if "PGHOST" in os.environ else sqlite()
