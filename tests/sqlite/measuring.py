"""What statements really do: VM steps and page requests of SQLite's own counters, read through
ctypes from the library that python3 uses (the sqlite3 module does not tell them)."""
import ctypes
import ctypes.util
import re
import subprocess

import host

LIB = ctypes.CDLL(ctypes.util.find_library("sqlite3") or "libsqlite3.so.0")
LIB.sqlite3_errmsg.restype = ctypes.c_char_p
LIB.sqlite3_column_text.restype = ctypes.c_char_p
LIB.sqlite3_sql.restype = ctypes.c_char_p
VM_STEP = 4
CACHE_HIT, CACHE_MISS = 7, 8
ROW, DONE = 100, 101
PROGRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
WRAP = 1 << 32
TICK = 1 << 28


class Counted:
    """A connection of its own whose statements are counted."""

    def __init__(self, path):
        self.db = ctypes.c_void_p()
        self.check(LIB.sqlite3_open(str(path).encode(), ctypes.byref(self.db)))
        self.ticks = 0

        def tick(_):
            self.ticks += 1
            return 0

        self.tick = PROGRESS(tick)  # VM_STEP has 32 bits: this tells how often it wrapped
        LIB.sqlite3_progress_handler(self.db, TICK, self.tick, None)
        self.execute("PRAGMA mmap_size = 0")

    def check(self, code, wanted=0):
        if code != wanted:
            raise RuntimeError(LIB.sqlite3_errmsg(self.db).decode())

    def execute(self, sql):
        self.check(LIB.sqlite3_exec(self.db, sql.encode(), None, None, None))

    def close(self):
        LIB.sqlite3_close(self.db)

    def pages(self):
        total = 0
        for counter in (CACHE_HIT, CACHE_MISS):
            now, most = ctypes.c_int(), ctypes.c_int()
            self.check(LIB.sqlite3_db_status(self.db, counter, ctypes.byref(now),
                                             ctypes.byref(most), 1))
            total += now.value
        return total

    def prepare(self, sql):
        statement = ctypes.c_void_p()
        self.check(LIB.sqlite3_prepare_v2(self.db, sql.encode(), -1, ctypes.byref(statement), None))
        return statement

    def measure(self, sql):
        """(VM steps, page requests) of one execution, rolled back."""
        self.execute("BEGIN")
        statement = self.prepare(sql)
        self.pages()
        self.ticks = 0
        code = ROW
        while code == ROW:
            code = LIB.sqlite3_step(statement)
        self.check(code, DONE)
        low = LIB.sqlite3_stmt_status(statement, VM_STEP, 0) & (WRAP - 1)
        pages = self.pages()
        LIB.sqlite3_finalize(statement)
        self.execute("ROLLBACK")
        wraps = max(0, round((self.ticks * TICK - low) / WRAP))
        return low + wraps * WRAP, pages

    def plan(self, sql):
        statement = self.prepare("EXPLAIN QUERY PLAN " + sql)
        lines = []
        while LIB.sqlite3_step(statement) == ROW:
            lines.append(LIB.sqlite3_column_text(statement, 3).decode())
        LIB.sqlite3_finalize(statement)
        return lines


def plan_key(counted, statement, indexes):
    """What decides what a statement does on the same rows: its plan, with what the indexes named in
    it are instead of their names; of a write all indexes."""
    plan = "\n".join(counted.plan(statement.sql))
    for name, sql in sorted(indexes.items(), key=lambda index: -len(index[0])):
        plan = plan.replace(name, sql)
    return statement.sql + "\n" + plan + ("" if statement.kind == "read" else str(sorted(indexes.values())))


def measure_all(path, statements, memo=None):
    """name -> (VM steps, page requests) of one execution of each. `memo` (plan_key -> measured):
    what has been run by the same plan is not run again."""
    memo = {} if memo is None else memo
    db = host.connect(database=str(path))
    indexes = {name: sql[sql.index(" ON "):] for name, sql in
               db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}
    db.close()
    counted = Counted(path)
    try:
        measured = {}
        for statement in statements:
            key = plan_key(counted, statement, indexes)
            if key not in memo:
                memo[key] = counted.measure(statement.sql)
            measured[statement.name] = memo[key]
        return measured
    finally:
        counted.close()


def cost(measured):
    return measured[0] + 5 * measured[1]


def expert_indexes(path, statements):
    """The CREATE INDEX statements of the sqlite3 shell's own .expert, each once, in its order."""
    script = ""
    for statement in statements:
        script += ".expert\n" + statement.sql + ";\n"
    output = subprocess.run(["sqlite3", "-batch", str(path)], input=script, check=True,
                            capture_output=True, text=True).stdout
    return list(dict.fromkeys(re.findall(r"^CREATE INDEX .*?;$", output, re.MULTILINE)))


def index_bytes(db, names):
    return sum(db.execute("SELECT pgsize FROM dbstat WHERE name = ? AND aggregate = 1",
                          (name,)).fetchone()[0] for name in names)


def build(path, create_sqls):
    """Creates the indexes; returns their bytes."""
    db = host.connect(database=str(path), isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    before = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")}
    for sql in create_sqls:
        db.execute(sql)
    names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")
             if row[0] not in before]
    size = index_bytes(db, names)
    db.close()
    return names, size


def analyse(path):
    db = host.connect(database=str(path), isolation_level=None)
    db.execute("ANALYZE")
    db.close()


def restore(path, names):
    """Takes away the indexes and what ANALYZE wrote."""
    db = host.connect(database=str(path), isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    for name in names:
        db.execute(f'DROP INDEX "{name}"')
    db.execute("DROP TABLE IF EXISTS sqlite_stat1")
    db.execute("DROP TABLE IF EXISTS sqlite_stat4")
    db.close()
