"""Random tables, rows and statements for both hosts: one seed, one case.

A case has one to four tables (odd names, schemas, NULLs, skew, columns that hang together, indexes that are
there already) and three to ten weighted statements. The words differ by host, the shapes do not.
"""
import datetime
import json
import random

PIECES = ["order", "Items", 'a"b', "größe", "user", "x y", "t", "日本", "select", "o'x", "UPPER", "log_2024"]
WORDS = ["amber", "beryl", "coral", "diamond", "emerald", "flint", "garnet", "jade", "onyx", "opal", "quartz",
         "ruby", "topaz", "zircon"]
STATES = ["done", "done", "done", "done", "done", "done", "done", "failed", "queued", "running"]
FIRST_DAY = datetime.date(2020, 1, 1)


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


class Column:
    """`shape` is how the values come about; `make(rng, i, row)` gives the i-th."""

    def __init__(self, name, shape, type_name, make, null_ratio=0.0):
        self.name, self.shape, self.type_name = name, shape, type_name
        self.make, self.null_ratio = make, null_ratio
        self.values = []  # some that occur

    @property
    def sql(self):
        return quoted(self.name)

    @property
    def is_number(self):
        return self.shape in ("id", "number", "skewed", "follows", "rare")

    @property
    def is_text(self):
        return self.shape in ("word", "state", "phrase")

    @property
    def is_ordered(self):
        return self.shape not in ("json", "array", "point")


class Table:
    def __init__(self, schema, name, columns, rows):
        self.schema, self.name, self.columns, self.row_count = schema, name, columns, rows
        self.rows = []

    @property
    def sql(self):
        return (quoted(self.schema) + "." if self.schema else "") + quoted(self.name)

    def fill(self, rng):
        for i in range(self.row_count):
            row = []
            for column in self.columns:
                row.append(None if rng.random() < column.null_ratio else column.make(rng, i, row))
            self.rows.append(row)
        for k, column in enumerate(self.columns):
            column.values = [self.rows[rng.randrange(self.row_count)][k] for _ in range(12)]
            column.values = [value for value in column.values if value is not None] or [column.make(rng, 0, [0] * 20)]


class Case:
    """`host` is `postgres` or `sqlite`; `most_rows` bounds a table."""

    def __init__(self, seed, host, most_rows=6000):
        self.rng = random.Random(seed)
        self.is_postgres = host == "postgres"
        self.schema = "S ö" if self.is_postgres and self.rng.random() < 0.3 else None
        self.tables = [self.table(i, most_rows) for i in range(self.rng.randint(1, 4))]
        for table in self.tables:
            table.fill(self.rng)
        self.existing = [sql for table in self.tables for sql in self.indexes_there(table)]
        texts = [self.statement() for _ in range(self.rng.randint(3, 10))]
        self.statements = sorted(set(texts), key=texts.index)
        self.weights = [float(self.rng.choice([1, 1, 2, 5, 10, 100])) for _ in self.statements]

    # tables

    def column(self, i, known):
        rng = self.rng
        shapes = ["number", "number", "skewed", "word", "state", "day", "real", "rare", "flag", "phrase"]
        if self.is_postgres:
            shapes += ["json", "array", "point"]
        if any(column.is_number for column in known):
            shapes += ["follows", "follows"]
        shape = rng.choice(shapes)
        name = rng.choice(PIECES) + str(i)
        null_ratio = rng.choice([0, 0, 0, 0.1, 0.6])
        words = self.is_postgres
        if shape == "number":
            distinct = rng.choice([3, 20, 300, 10**6])
            return Column(name, shape, rng.choice(["integer", "bigint"]), lambda r, i, row: r.randrange(distinct), null_ratio)
        if shape == "skewed":
            top = rng.choice([50, 5000])
            return Column(name, shape, "integer", lambda r, i, row: int(top * r.random()**4), null_ratio)
        if shape == "follows":
            source = rng.choice([k for k, column in enumerate(known) if column.is_number])
            by = rng.choice([1, 7, 100])
            return Column(name, shape, "integer", lambda r, i, row: None if row[source] is None else row[source] // by)
        if shape == "rare":
            return Column(name, shape, "integer", lambda r, i, row: r.randrange(40), 0.95)
        if shape == "word":
            distinct = rng.choice([8, 500, 10**5])
            return Column(name, shape, "text", lambda r, i, row: f"{r.choice(WORDS)}{r.randrange(distinct)}", null_ratio)
        if shape == "phrase":
            return Column(name, shape, "text", lambda r, i, row: " ".join(r.choices(WORDS, k=r.randint(2, 12))), null_ratio)
        if shape == "state":
            return Column(name, shape, "varchar(20)", lambda r, i, row: r.choice(STATES), null_ratio)
        if shape == "day":
            return Column(name, shape, "date", lambda r, i, row: str(FIRST_DAY + datetime.timedelta(i // 10 + r.randrange(3))))
        if shape == "real":
            return Column(name, shape, "double precision", lambda r, i, row: round(r.gauss(0, 1000), 3), null_ratio)
        if shape == "flag":
            return Column(name, shape, "boolean" if words else "integer",
                          lambda r, i, row: (r.random() < 0.03) if words else int(r.random() < 0.03), null_ratio)
        if shape == "json":
            return Column(name, shape, "jsonb", lambda r, i, row: json.dumps({"k": r.randrange(200), "w": r.choice(WORDS)}))
        if shape == "array":
            return Column(name, shape, "integer[]", lambda r, i, row: "{" + ",".join(str(r.randrange(300)) for _ in range(3)) + "}")
        return Column(name, shape, "point", lambda r, i, row: f"({r.randrange(99)},{r.randrange(99)})")

    def table(self, i, most_rows):
        columns = [Column("id", "id", "integer", lambda r, i, row: i + 1)]
        for k in range(self.rng.randint(2, 7)):
            columns.append(self.column(k, columns))
        rows = int(10**self.rng.uniform(1.5, 4))
        return Table(self.schema if self.rng.random() < 0.7 else None, self.rng.choice(PIECES) + f" {i}", columns,
                     min(rows, most_rows))

    def create(self, table):
        columns = ", ".join(f"{column.sql} {column.type_name}" for column in table.columns)
        return f"CREATE TABLE {table.sql} ({columns})"

    def indexes_there(self, table):
        made = []
        if self.rng.random() < 0.6:
            made.append(f"CREATE UNIQUE INDEX {self.index_name(table, 'u')} {self.on(table)} ({quoted('id')})")
        ordered = [column for column in table.columns if column.is_ordered]
        if self.rng.random() < 0.4:
            keys = self.rng.sample(ordered, min(len(ordered), self.rng.randint(1, 2)))
            made.append(f"CREATE INDEX {self.index_name(table, 'e')} {self.on(table)} ({', '.join(key.sql for key in keys)})")
        return made

    @staticmethod
    def index_name(table, suffix):
        return quoted(f"{table.name} {suffix}")

    @staticmethod
    def on(table):
        return "ON " + table.sql

    # statements

    def condition(self, table, alias):
        rng = self.rng
        column = rng.choice(table.columns)
        name = f"{alias}.{column.sql}" if alias else column.sql
        value = rng.choice(column.values)
        if column.shape == "json":
            known = json.loads(value)
            return rng.choice([f"{name} @> {literal(json.dumps({'k': known['k']}))}", f"{name} ->> 'w' = {literal(known['w'])}",
                               f"({name} ->> 'k')::int = {known['k']}"])
        if column.shape == "array":
            first = value.strip("{}").split(",")[0]
            return rng.choice([f"{name} @> ARRAY[{first}]", f"{first} = ANY({name})", f"{name} && ARRAY[{first}, 299]"])
        if column.shape == "point":
            return f"{name} ~= {literal(value)}::point" if rng.random() < 0.5 else f"{name} IS NOT NULL"
        other = rng.choice(column.values)
        choices = [f"{name} = {literal(value)}"] * 3
        choices.append(f"{name} IN ({', '.join(literal(v) for v in column.values[:rng.randint(1, 5)])})")
        if column.shape != "flag":
            low, high = sorted([value, other])
            choices += [f"{name} > {literal(value)}", f"{name} <= {literal(value)}",
                        f"{name} BETWEEN {literal(low)} AND {literal(high)}"]
        choices += [f"{name} IS NULL", f"{name} IS NOT NULL", f"{name} <> {literal(value)}"]
        if column.is_text:
            word = str(value)
            choices += [f"{name} LIKE {literal(word[:4] + '%')}", f"{name} LIKE {literal('%' + word[1:5] + '%')}",
                        f"lower({name}) = {literal(word.lower())}"] * 2
        if column.is_number:
            choices.append(f"{name} + 1 = {literal(value + 1)}")
        return rng.choice(choices)

    def where(self, table, alias="", most=3):
        rng = self.rng
        parts = [self.condition(table, alias) for _ in range(rng.randint(0, most))]
        if rng.random() < 0.2:
            parts.append(f"({self.condition(table, alias)} OR {self.condition(table, alias)})")
        return parts

    @staticmethod
    def clause(parts):
        return (" WHERE " + " AND ".join(parts)) if parts else ""

    def order(self, tables):
        rng = self.rng
        alias, table = rng.choice(tables)
        ordered = [column for column in table.columns if column.is_ordered]
        keys = []
        for column in rng.sample(ordered, min(len(ordered), rng.randint(1, 2))):
            key = (f"{alias}." if alias else "") + column.sql + rng.choice(["", "", " DESC"])
            keys.append(key + (rng.choice([" NULLS FIRST", " NULLS LAST"]) if rng.random() < 0.15 else ""))
        limit = f" LIMIT {rng.choice([1, 10, 50])}" if rng.random() < 0.6 else ""
        return " ORDER BY " + ", ".join(keys) + limit

    def outputs(self, table, alias=""):
        prefix = f"{alias}." if alias else ""
        if self.rng.random() < 0.3:
            return prefix + "*"
        some = self.rng.sample(table.columns, self.rng.randint(1, min(3, len(table.columns))))
        return ", ".join(prefix + column.sql for column in some)

    def select(self):
        table = self.rng.choice(self.tables)
        order = self.order([("", table)]) if self.rng.random() < 0.5 else ""
        return f"SELECT {self.outputs(table)} FROM {table.sql}{self.clause(self.where(table))}{order}"

    def number(self, table):
        return self.rng.choice([column for column in table.columns if column.is_number])

    def join(self):
        rng = self.rng
        chosen = [(f"a{i}", rng.choice(self.tables)) for i in range(rng.randint(2, 4))]
        text = f"SELECT {self.outputs(chosen[0][1], 'a0')} FROM {chosen[0][1].sql} AS a0"
        parts = self.where(chosen[0][1], "a0", 2)
        for i, (alias, table) in enumerate(chosen[1:], 1):
            to, target = chosen[rng.randrange(i)]
            # one side is the key, so that no join multiplies rows without bound
            left, right = (f"{alias}.id", f"{to}.{self.number(target).sql}")
            if rng.random() < 0.5:
                left, right = (f"{alias}.{self.number(table).sql}", f"{to}.id")
            text += f" {rng.choice(['JOIN', 'JOIN', 'LEFT JOIN'])} {table.sql} AS {alias} ON {left} = {right}"
            parts += self.where(table, alias, 1)
        return text + self.clause(parts) + (self.order(chosen) if rng.random() < 0.4 else "")

    def group(self):
        rng = self.rng
        table = rng.choice(self.tables)
        keys = rng.sample([c for c in table.columns if c.is_ordered], 1)[0].sql
        if rng.random() < 0.3:
            return f"SELECT DISTINCT {keys} FROM {table.sql}{self.clause(self.where(table, most=2))}"
        total = rng.choice(["count(*)", f"max({self.number(table).sql})"])
        order = f" ORDER BY {keys}" if rng.random() < 0.3 else ""
        return f"SELECT {keys}, {total} FROM {table.sql}{self.clause(self.where(table, most=2))} GROUP BY {keys}{order}"

    def subquery(self):
        rng = self.rng
        outer, inner = rng.choice(self.tables), rng.choice(self.tables)
        column, key = self.number(outer).sql, self.number(inner).sql
        inside = self.where(inner, "i", 2)
        parts = self.where(outer, "o", 1)
        form = rng.randrange(4)
        if form == 0:
            parts.append(f"o.{column} IN (SELECT i.{key} FROM {inner.sql} AS i{self.clause(inside)})")
        elif form == 1:
            parts.append(f"{rng.choice(['', 'NOT '])}EXISTS (SELECT 1 FROM {inner.sql} AS i"
                         f"{self.clause(inside + [f'i.{key} = o.{column}'])})")
        elif form == 2:
            parts.append(f"o.{column} = (SELECT max(i.{key}) FROM {inner.sql} AS i{self.clause(inside)})")
        else:
            return (f"SELECT o.{column} FROM {outer.sql} AS o{self.clause(parts)}"
                    f" UNION ALL SELECT i.{key} FROM {inner.sql} AS i{self.clause(inside)}")
        return f"SELECT {self.outputs(outer, 'o')} FROM {outer.sql} AS o{self.clause(parts)}"

    def write(self):
        rng = self.rng
        table = rng.choice(self.tables)
        parts = self.where(table, most=2) or [f"id = {rng.randint(1, table.row_count)}"]
        form = rng.randrange(4)
        if form == 0:
            rows = [table.rows[rng.randrange(table.row_count)] for _ in range(rng.choice([1, 1, 5]))]
            return f"INSERT INTO {table.sql} VALUES " + ", ".join(
                "(" + ", ".join(literal(value) for value in row) + ")" for row in rows)
        if form == 1:
            return f"DELETE FROM {table.sql}{self.clause(parts)}"
        if form == 2:
            names = ", ".join(column.sql for column in table.columns)
            return f"INSERT INTO {table.sql} ({names}) SELECT {names} FROM {table.sql}{self.clause(parts)}"
        column = rng.choice(table.columns)
        return f"UPDATE {table.sql} SET {column.sql} = {literal(rng.choice(column.values))}{self.clause(parts)}"

    def statement(self):
        return self.rng.choice([self.select, self.select, self.select, self.join, self.join, self.group, self.subquery,
                                self.write])()
