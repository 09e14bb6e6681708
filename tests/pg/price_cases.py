"""Random tables, indexes and statements for the truth of prices and sizes: skew, NULLs, correlated and
ordered columns, texts, many types; several key columns, DESC, INCLUDE, partial, expressions, fill factors;
joins, ranges, lists, orders, limits. The same seed gives the same cases."""
import datetime
import random

START = datetime.datetime(2024, 1, 1)
# name, type, expression over g (1..rows), n (rows) and random(); literal over a random number k in 0..1
KINDS = [
    ("serial", "int", "g", lambda k, n: str(int(k * n))),
    ("big", "bigint", "(random() * 1e12)::bigint", lambda k, n: str(int(k * 1e12))),
    ("few", "int", "(random() * 9)::int", lambda k, n: str(int(k * 9))),
    ("some", "int", "(random() * 500)::int", lambda k, n: str(int(k * 500))),
    ("many", "int", "(random() * n / 3)::int", lambda k, n: str(int(k * n / 3))),
    ("skew", "int", "floor(1000 * power(random(), 5))::int", lambda k, n: str(int(1000 * k ** 5))),
    ("holes", "int", "CASE WHEN random() < 0.7 THEN NULL ELSE (random() * n)::int END", lambda k, n: str(int(k * n))),
    ("rare", "smallint", "CASE WHEN random() < 0.95 THEN NULL ELSE (random() * 20)::int END",
     lambda k, n: str(int(k * 20))),
    ("word", "text", "(ARRAY['done','failed','new','running','a rather long state of affairs'])[1 + (random() * 4)::int]",
     lambda k, n: "'" + ["done", "failed", "new", "running"][int(k * 3.99)] + "'"),
    ("hash", "text", "md5(random()::text)", lambda k, n: f"'{int(k * 16 ** 4):04x}'"),
    ("mail", "varchar(80)", "'user' || (random() * n)::int || '@' || repeat('x', (random() * 20)::int) || '.org'",
     lambda k, n: f"'user{int(k * n)}'"),
    ("fixed", "char(12)", "'c' || (random() * 2000)::int", lambda k, n: f"'c{int(k * 2000)}'"),
    ("at", "timestamptz", "timestamptz '2024-01-01' + g * interval '1 minute' + random() * interval '1 hour'",
     lambda k, n: f"timestamptz '{START + datetime.timedelta(minutes=int(k * n)):%Y-%m-%d %H:%M}+00'"),
    ("day", "date", "date '2024-01-01' + (random() * 365)::int", lambda k, n: f"date '{START + datetime.timedelta(days=int(k * 365)):%Y-%m-%d}'"),
    ("price", "numeric(10,2)", "(random() * 1000)::numeric(10,2)", lambda k, n: f"{k * 1000:.2f}"),
    ("ratio", "float8", "random()", lambda k, n: f"{k:.6f}"),
    ("flag", "boolean", "random() < 0.1", lambda k, n: "true" if k < 0.5 else "false"),
    ("key", "uuid", "gen_random_uuid()", lambda k, n: f"'{int(k * 2 ** 32):08x}-0000-4000-8000-000000000000'::uuid"),
    ("ip", "inet", "('10.' || (random() * 3)::int || '.' || (random() * 255)::int || '.1')::inet",
     lambda k, n: f"'10.{int(k * 3)}.{int(k * 255)}.1'::inet"),
    ("parent", "int", "1 + (g - 1) / 7", lambda k, n: str(int(k * n / 7))),
    ("took", "interval", "(random() * 100000)::int * interval '1 s'", lambda k, n: f"interval '{int(k * 1e5)} s'"),
]
ROWS = [200, 3000, 15000, 40000, 90000]


class Column:
    def __init__(self, kind, name, expression=None):
        self.name, self.type, self.value, self.literal = name, kind[1], expression or kind[2], kind[3]
        self.kind = kind[0]


class Table:
    def __init__(self, rng, name):
        self.name, self.rows = name, rng.choice(ROWS)
        self.columns = [Column(KINDS[0], "id")]
        for kind in rng.sample(KINDS[1:], rng.randint(6, 9)):
            self.columns.append(Column(kind, "c_" + kind[0]))
        self.columns.append(Column(KINDS[3], "fk", "1 + floor(power(random(), 2) * 2000)::int"))
        base = rng.choice([c for c in self.columns if c.kind in ("some", "many", "skew", "serial") and c.name != "fk"] or self.columns[:1])
        # hangs on another column
        self.columns.append(Column(("follows", "int", "", lambda k, n: str(int(k * 50))), "follows",
                                   ""))
        self.base = base
        self.is_shuffled = rng.random() < 0.4
        self.is_worn = rng.random() < 0.3
        self.has_statistics = rng.random() < 0.2

    def create(self):
        columns = [c for c in self.columns if c.name != "follows"]
        inner = ", ".join(f"{c.value} AS {c.name}" for c in columns)
        follows = f"{self.base.name} / 10 AS follows"
        order = " ORDER BY random()" if self.is_shuffled else ""
        yield f"CREATE TABLE {self.name} (" + ", ".join(f"{c.name} {c.type}" for c in self.columns) + ")"
        yield (f"INSERT INTO {self.name} SELECT {', '.join(c.name for c in columns)}, {follows} FROM (SELECT {inner} FROM"
               f" (SELECT g, {self.rows}::float8 AS n FROM generate_series(1, {self.rows}) g) s) t{order}")
        if self.has_statistics:
            yield f"CREATE STATISTICS {self.name}_s ON {self.base.name}, follows, fk FROM {self.name}"
        yield f"VACUUM (ANALYZE, FREEZE) {self.name}"
        if self.is_worn:  # pages that are not all visible, dead rows, statistics a little behind
            yield f"UPDATE {self.name} SET fk = fk WHERE id % 17 = 3"
            yield f"DELETE FROM {self.name} WHERE id % 29 = 5"
            yield f"ANALYZE {self.name}"


class Cases:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.tables = [Table(self.rng, f"t{i}") for i in range(3)]

    def create(self):
        yield "SELECT setseed(%.4f)" % self.rng.random()
        for table in self.tables:
            yield from table.create()

    # statements -------------------------------------------------------------------------------
    def condition(self, table, alias, used):
        rng = self.rng
        column = rng.choice(table.columns)
        used.append((table, column))
        name, value = f"{alias}.{column.name}", lambda: column.literal(rng.random(), table.rows)
        forms = ["=", "=", "<", ">=", "between", "in", "null", "or"]
        if column.type in ("text", "varchar(80)"):
            forms += ["like"]
        if column.type == "boolean":
            forms = ["=", "null"]
        form = rng.choice(forms)
        if form in ("=", "<", ">="):
            return f"{name} {form} {value()}"
        if form == "between":
            low = rng.random()
            high = min(1, low + rng.choice([0.001, 0.02, 0.2]))
            return f"{name} BETWEEN {column.literal(low, table.rows)} AND {column.literal(high, table.rows)}"
        if form == "in":
            return f"{name} IN ({', '.join(value() for _ in range(rng.randint(2, 6)))})"
        if form == "null":
            return f"{name} IS {rng.choice(['', 'NOT '])}NULL"
        if form == "like":
            return f"{name} LIKE '{'user1' if column.kind == 'mail' else 'a'}%'"
        other = rng.choice([c for c in table.columns if c.type != "boolean"])
        used.append((table, other))
        return f"({name} = {value()} OR {alias}.{other.name} = {other.literal(rng.random(), table.rows)})"

    def statement(self):
        rng = self.rng
        used = []
        count = rng.choice([1, 1, 1, 2, 2, 3])
        tables = rng.sample(self.tables, count)
        names = [f"x{i}" for i in range(count)]
        conditions = [self.condition(tables[0], "x0", used) for _ in range(rng.randint(1, 3))]
        for i in range(1, count):
            column = rng.choice([c for c in tables[i].columns if c.name in ("id", "fk", "follows")])
            used.append((tables[i], column))
            used.append((tables[i - 1], tables[i - 1].columns[0]))
            conditions.append(f"x{i}.{column.name} = x{i - 1}.{rng.choice(['id', 'fk'])}")
            if rng.random() < 0.4:
                conditions.append(self.condition(tables[i], names[i], used))
        where = " WHERE " + " AND ".join(conditions)
        if count == 1 and rng.random() < 0.1:
            return rng.choice([f"UPDATE {tables[0].name} x0 SET fk = 1", f"DELETE FROM {tables[0].name} x0"]) + where, used
        from_list = " FROM " + ", ".join(f"{t.name} {a}" for t, a in zip(tables, names))
        form = rng.choice(["all", "all", "covered", "covered", "count", "group", "order", "order", "extreme"])
        key = rng.choice([c for c in tables[0].columns if c.type != "boolean"])
        if form == "all":
            return f"SELECT *{from_list}{where}", used
        if form == "count":
            return f"SELECT count(*){from_list}{where}", used
        used.append((tables[0], key))
        if form == "covered":
            return f"SELECT x0.{key.name}{from_list}{where}", used
        if form == "group":
            return f"SELECT x0.{key.name}, count(*){from_list}{where} GROUP BY x0.{key.name}", used
        if form == "extreme":
            number = rng.choice([c for c in tables[0].columns if c.type in ("int", "bigint", "timestamptz", "date")])
            used.append((tables[0], number))
            return f"SELECT {rng.choice(['min', 'max'])}(x0.{number.name}){from_list}{where}", used
        order = f" ORDER BY x0.{key.name}{rng.choice(['', ' DESC'])}"
        return f"SELECT *{from_list}{where}{order}{rng.choice(['', ' LIMIT 10', ' LIMIT 200'])}", used

    # indexes ----------------------------------------------------------------------------------
    def index(self, name, table, wanted):
        rng = self.rng
        pool = list(dict.fromkeys(wanted)) or table.columns
        keys = rng.sample(pool, min(len(pool), rng.choice([1, 1, 2, 2, 3])))
        if rng.random() < 0.3:
            keys += [c for c in rng.sample(table.columns, 1) if c not in keys]
        parts = []
        for column in keys:
            part = column.name
            if column.type == "text" and rng.random() < 0.15:
                part = f"lower({part})"
            parts.append(part + rng.choice(["", "", "", " DESC", " NULLS FIRST", " DESC NULLS LAST"]))
        sql = f"CREATE INDEX {name} ON {table.name} ({', '.join(parts)})"
        rest = [c.name for c in table.columns if c not in keys]
        if rng.random() < 0.25:
            sql += f" INCLUDE ({', '.join(rng.sample(rest, rng.randint(1, 3)))})"
        if rng.random() < 0.1:
            sql += f" WITH (fillfactor = {rng.choice([60, 80, 100])})"
        if rng.random() < 0.15:
            column = rng.choice(table.columns)
            sql += f" WHERE {column.name} IS NOT NULL" if rng.random() < 0.5 or column.type == "boolean" else \
                f" WHERE {column.name} >= {column.literal(rng.random() * 0.8, table.rows)}"
        return sql

    def pair(self):
        """(statement, indexes): indexes on what it compares, most of the time."""
        statement, used = self.statement()
        tables = list(dict.fromkeys(table for table, _ in used))
        indexes = []
        for i in range(self.rng.randint(1, 3)):
            table = self.rng.choice(tables)
            indexes.append(self.index(f"i{i}", table, [c for t, c in used if t is table]))
        return statement, indexes
