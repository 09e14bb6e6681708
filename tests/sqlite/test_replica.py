"""The private replica against the truth: what_if names the indexes that the real database uses once
they are really created, over random sets of indexes and the statements of the AutoPR workload, and
over random schemas."""
import json
import pathlib
import random
import re
import tempfile
import unittest

import autopr
import host

SCALE = 11000  # executions; three logs each: both tables are sampled, not read
SETS = 4 if host.UNDER_ASAN else 48
STATEMENTS_A_SET = 11  # 528 pairs in each mode


def flat(plan):
    for node in plan:
        yield node["detail"]
        yield from flat(node.get("children", []))


def real_plan(db, sql):
    """Texts in tree order, as what_if nests them."""
    children = {}
    for node, parent, _, detail in db.execute("EXPLAIN QUERY PLAN " + sql):
        children.setdefault(parent, []).append((node, detail))

    def walk(parent):
        for node, detail in children.get(parent, []):
            yield detail
            yield from walk(node)

    return list(walk(0))


def names_in(details):
    found = []
    for detail in details:
        for name in re.findall(r"USING (?:COVERING )?INDEX (\w+)", detail):
            if name not in found:
                found.append(name)
    return found


class Tally:
    """Counts pairs; a test prints its share and keeps the first differences for its message."""

    def __init__(self, what):
        self.what, self.pairs, self.with_index, self.different = what, 0, 0, []

    def note(self, statement, indexes, wanted, found):
        self.pairs += 1
        self.with_index += "try_" in " ".join(wanted)
        if wanted != found:
            self.different.append((statement, indexes, wanted, found))

    def share(self):
        share = 1 - len(self.different) / self.pairs
        print(f"measured: {self.what}: {100 * share:.2f} % equal ({self.pairs} pairs,"
              f" {self.with_index} of them use a tried index)")
        return share


class AutoprTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        folder = pathlib.Path(cls.folder.name)
        autopr.create(folder / "bare.db", SCALE).close()
        (folder / "real.db").write_bytes((folder / "bare.db").read_bytes())
        cls.statements = autopr.workload()

    def setUp(self):
        folder = pathlib.Path(self.folder.name)
        self.bare, self.real = [
            host.connect(database=str(folder / name), isolation_level=None)
            for name in ("bare.db", "real.db")]
        self.real.execute("PRAGMA synchronous = OFF")
        for db in (self.bare, self.real):
            self.addCleanup(db.close)

    def sets(self, seed):
        """Random sets of CREATE INDEX texts with the statements to ask about."""
        choose = random.Random(seed)
        for _ in range(SETS):
            count = choose.choice((1, 2, 4, 8, 16, 32))
            numbers = sorted(choose.sample(range(len(autopr.CANDIDATES)), count))
            yield ([autopr.create_index(n) for n in numbers], [f"try_{n}" for n in numbers],
                   choose.sample(self.statements, STATEMENTS_A_SET))

    def with_real(self, indexes, names, analyse, ask):
        for text in indexes:
            self.real.execute(text)
        if analyse:
            self.real.execute("ANALYZE")
        try:
            ask()
        finally:
            for name in names:
                self.real.execute(f"DROP INDEX {name}")

    def what_if(self, db, sql, indexes):
        used, plan = db.execute("SELECT used_indexes, plan_after FROM upkeep_what_if(?, ?)",
                                (sql, json.dumps(indexes))).fetchone()
        return json.loads(used), list(flat(json.loads(plan)))

    def test_never_analysed(self):
        """Without statistics on both sides whole plans are equal, text by text."""
        tally = Tally("never analysed")
        for indexes, names, statements in self.sets(1):
            def ask():
                for statement in statements:
                    _, plan = self.what_if(self.bare, statement.sql, indexes)
                    tally.note(statement.name, indexes, real_plan(self.real, statement.sql), plan)
            self.with_real(indexes, names, False, ask)
        self.assertEqual(tally.share(), 1, tally.different[:3])
        self.assertGreaterEqual(tally.pairs, SETS * STATEMENTS_A_SET)

    def test_own_statistics(self):
        """Indexes that exist and were analysed: whole plans are equal, text by text."""
        tally = Tally("the database's own statistics")
        self.addCleanup(self.real.execute, "DROP TABLE sqlite_stat1")
        for indexes, names, statements in self.sets(2):
            def ask():
                for statement in statements:
                    wanted = real_plan(self.real, statement.sql)
                    used, plan = self.what_if(self.real, statement.sql, [])
                    tally.note(statement.name, indexes, wanted, plan)
                    self.assertEqual(names_in(wanted), used)
            self.with_real(indexes, names, True, ask)
        self.assertEqual(tally.share(), 1, tally.different[:3])
        self.assertGreaterEqual(tally.pairs, SETS * STATEMENTS_A_SET)

    def test_sampled_statistics(self):
        """An analysed database; statistics of the hypothetical indexes come from the sample."""
        tally = Tally("sampled statistics")
        for db in (self.bare, self.real):
            db.execute("ANALYZE")
            self.addCleanup(db.execute, "DROP TABLE sqlite_stat1")
        for indexes, names, statements in self.sets(3):
            def ask():
                for statement in statements:
                    used, _ = self.what_if(self.bare, statement.sql, indexes)
                    tally.note(statement.name, indexes,
                               names_in(real_plan(self.real, statement.sql)), used)
            self.with_real(indexes, names, True, ask)
        self.assertGreaterEqual(tally.share(), 0.98, tally.different[:10])
        self.assertGreaterEqual(tally.pairs, SETS * STATEMENTS_A_SET)


class Schema:
    """One to three random tables with skewed rows, texts of random indexes and statements."""

    KINDS = ("INTEGER", "TEXT", "REAL", "INTEGER NOT NULL", "TEXT COLLATE NOCASE", "")

    def __init__(self, seed):
        self.choose = random.Random(seed)
        self.tables = {}
        self.sql = []
        self.rows = []
        for number in range(self.choose.randint(1, 3)):
            self.add_table(f"t{number}")

    def add_table(self, name):
        choose = self.choose
        kinds = [choose.choice(self.KINDS) for _ in range(choose.randint(2, 5))]
        columns = [f"c{i}" for i in range(len(kinds))]
        key = choose.choice(("INTEGER PRIMARY KEY", "PRIMARY KEY NOT NULL", "UNIQUE", ""))
        without = " WITHOUT ROWID" if key.startswith("PRIMARY") and choose.random() < 0.5 else ""
        body = ", ".join([f"k {key}"] + [f"{c} {k}" for c, k in zip(columns, kinds)])
        self.sql.append(f"CREATE TABLE {name}({body}){without}")
        self.tables[name] = ["k"] + columns
        spread = [choose.choice((2, 10, 100, 100000)) for _ in columns]
        marks = ", ".join("?" * (1 + len(columns)))
        for row in range(choose.choice((0, 1, 40, 900, 3000))):
            values = [self.value(kind, wide) for kind, wide in zip(kinds, spread)]
            self.rows.append((f"INSERT INTO {name} VALUES ({marks})", [row] + values))

    def value(self, kind, spread):
        number = int(self.choose.random() ** 3 * spread)
        if self.choose.random() < 0.1 and "NOT NULL" not in kind:
            return None
        return f"v{number}" if "TEXT" in kind else number

    def literal(self):
        return self.choose.choice(("0", "1", "7", "'v0'", "'v5'", "'V1'", "50.5", "NULL"))

    def index(self, number):
        choose = self.choose
        table = choose.choice(list(self.tables))
        columns = self.tables[table]
        keys = choose.sample(columns, choose.randint(1, min(3, len(columns))))
        keys = [choose.choice((c, c, c, c + " DESC", c + " COLLATE NOCASE", f"lower({c})"))
                for c in keys]
        where = choose.choice(("", "", "", f" WHERE {choose.choice(columns)} IS NOT NULL",
                               f" WHERE {choose.choice(columns)} = {self.literal()}"))
        if "NULL" in where and "IS NOT" not in where:
            where = ""
        return f"CREATE INDEX try_{number} ON {table}({', '.join(keys)}){where}"

    def condition(self, alias, columns):
        column = f"{alias}.{self.choose.choice(columns)}"
        a, b = self.literal(), self.literal()
        return self.choose.choice((
            f"{column} = {a}", f"{column} = {a}", f"{column} > {a}", f"{column} BETWEEN {a} AND {b}",
            f"{column} IN ({a}, {b}, 3)", f"{column} IS NULL", f"{column} LIKE 'v1%'",
            f"lower({column}) = {a}", f"({column} = {a} OR {alias}.{columns[0]} = {b})",
            f"{column} <> {a}"))

    def statement(self):
        choose = self.choose
        first, second = choose.choice(list(self.tables)), choose.choice(list(self.tables))
        mine, other = self.tables[first], self.tables[second]
        where = " AND ".join(self.condition("a", mine) for _ in range(choose.randint(1, 3)))
        column, its = choose.choice(mine), choose.choice(other)
        bare = where.replace("a.", "")
        return choose.choice((
            f"SELECT * FROM {first} a WHERE {where}",
            f"SELECT {column} FROM {first} a WHERE {where}",
            f"SELECT * FROM {first} a WHERE {where} ORDER BY a.{column} LIMIT 5",
            f"SELECT a.{column}, count(*) FROM {first} a WHERE {where} GROUP BY 1",
            f"SELECT DISTINCT a.{column} FROM {first} a WHERE {where}",
            f"SELECT * FROM {first} a JOIN {second} b ON a.{column} = b.{its} WHERE {where}",
            f"SELECT * FROM {first} a LEFT JOIN {second} b ON a.{column} = b.{its} WHERE {where}",
            f"SELECT * FROM {first} a WHERE {where} AND EXISTS"
            f" (SELECT 1 FROM {second} b WHERE b.{its} = a.{column})",
            f"SELECT * FROM {first} a WHERE a.{column} IN (SELECT {its} FROM {second}) AND {where}",
            f"SELECT max(a.{column}) FROM {first} a WHERE {where}",
            f"SELECT {column} FROM {first} UNION SELECT {its} FROM {second} ORDER BY 1",
            f"WITH w AS (SELECT * FROM {first} a WHERE {where}) SELECT * FROM w JOIN {second} b"
            f" ON w.{column} = b.{its}",
            f"SELECT row_number() OVER (PARTITION BY a.{column} ORDER BY a.k) FROM {first} a"
            f" WHERE {where}",
            f"UPDATE {first} SET {mine[1]} = 1 WHERE {bare}",
            f"DELETE FROM {first} WHERE {bare}"))


class RandomSchemaTest(unittest.TestCase):
    SCHEMAS = 10 if host.UNDER_ASAN else 60
    STATEMENTS = 10

    def compare(self, analyse, tally):
        for seed in range(self.SCHEMAS):
            schema = Schema(seed + (1000 if analyse else 0))
            bare, real = host.connect(isolation_level=None), host.connect(isolation_level=None)
            indexes = [schema.index(n) for n in range(schema.choose.randint(1, 8))]
            for db in (bare, real):
                for text in schema.sql:
                    db.execute(text)
                db.execute("BEGIN")
                for text, values in schema.rows:
                    db.execute(text, values)
                db.execute("COMMIT")
                for text in indexes if db is real else []:
                    db.execute(text)
                if analyse:
                    db.execute("ANALYZE")
            for _ in range(self.STATEMENTS):
                sql = schema.statement()
                used = json.loads(bare.execute("SELECT used_indexes FROM upkeep_what_if(?, ?)",
                                               (sql, json.dumps(indexes))).fetchone()[0])
                tally.note(sql, schema.sql + indexes, names_in(real_plan(real, sql)), used)
            bare.close()
            real.close()

    def test_never_analysed(self):
        tally = Tally("random schemas, never analysed")
        self.compare(False, tally)
        self.assertEqual(tally.share(), 1, tally.different[:3])

    def test_analysed(self):
        """Tables this small are read, not sampled: the statistics are exact."""
        tally = Tally("random schemas, analysed")
        self.compare(True, tally)
        self.assertEqual(tally.share(), 1, tally.different[:3])


if __name__ == "__main__":
    unittest.main()
