"""tests/spec/*.tsv against the shared documents: same calls, parameters, columns, settings, schema
names and countable guide items, in the same order. Types are checked where interface.md's rule leaves no choice.

Usage: check_spec.py SHARED_DIR SPEC_DIR. Silent when all agree; else one line for each difference.
"""
import collections
import csv
import pathlib
import re
import sqlite3
import sys

TYPES = {"float8": "double precision", "int": "integer", "bool": "boolean", "sketch": "upkeep.sketch",
         "timestamptz": "timestamp with time zone", "float8[]": "double precision[]", "1|0": "boolean"}
PLAIN = ("text", "bigint", "interval", "regclass", "jsonb", "text[]", "bigint[]")
SQLITE = {"boolean": "INTEGER", "integer": "INTEGER", "bigint": "INTEGER", "interval": "INTEGER",
          "double precision": "REAL", "upkeep.sketch": "BLOB", "void": ""}
EXCEPTIONS = {"connection_limits.available": "integer", "metric_samples.value": "double precision",
              "check_thresholds.value": "double precision", "endpoints.statements": "bigint"}
RULES = [  # interface.md, "Types by name": the part that needs no judgement, first that fits
    (r"ratio|per_hour|transactions_per_second", "double precision"),
    (r"at", "timestamp with time zone"),
    (r"blocked_by|path", "integer[]"),
    (r"\w+_ms|\w+_ratio|cost_\w+|write_cost|q", "double precision"),
    (r"\w+_bytes|\w+_count|calls|errors|rows|(\w+_)?fingerprint", "bigint"),
    (r"\w+_at", "timestamp with time zone"),
    (r"is_\w+|visible|enabled|dry_run|available|needs_restart|holds_xmin|backs_constraint|plan_changed", "boolean"),
    (r"fingerprints", "bigint[]"),
    (r"columns|tables|warnings|steps|indexes", "text[]"),
    (r"plan|plan_\w+|labels|details", "jsonb"),
]
# Reserved in PostgreSQL (pg_get_keywords: R and T). SQLite is asked itself.
RESERVED = set("""all analyse analyze and any array as asc asymmetric authorization binary both case cast
check collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user default deferrable desc distinct
do else end except false fetch for foreign freeze from full grant group having ilike in initially inner
intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull
null offset on only or order outer overlaps placing primary references returning right select session_user
similar some symmetric system_user table tablesample then to trailing true union unique user using variadic
verbose when where window with""".split())

problems = []


def same(what, document, ours):
    if document != ours:
        problems.append(f"{what}\n  document: {document}\n  spec:     {ours}")


def read_tsv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


# ---- interface.md -------------------------------------------------------------------------------

class Call:
    """A call as interface.md has it. `params`: (name or None, type or None, default or None)."""

    def __init__(self, name, section, hosts, kind):
        self.name, self.section, self.hosts, self.kind = name, section, hosts, kind
        self.params, self.columns, self.explicit = [], [], {}


def split_list(text):
    """Splits at commas outside brackets and quotes."""
    parts, depth, quoted, current = [], 0, False, ""
    for char in text:
        quoted ^= char == "'"
        if not quoted:
            depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0 and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [part for part in parts + [current.strip()] if part]


def parse_param(text):
    left, _, default = text.replace("−", "-").partition(" = ")
    words = left.split(" ", 1)
    bare = words[0] in TYPES or words[0] in PLAIN
    if len(words) == 1 and bare:
        return (None, TYPES.get(words[0], words[0]), default or None)
    pg_type = TYPES.get(words[1], words[1]) if len(words) > 1 else None
    return (words[0], pg_type, default or None)


class Interface:
    def __init__(self, path):
        self.calls = collections.OrderedDict()
        self.settings = []
        self.latest = None  # the call of the latest signature outside a table
        self.tells_columns = False  # inside a table `column | meaning`
        sections = re.split(r"^## (\d)\. ", path.read_text(encoding="utf-8"), flags=re.M)[1:]
        for number, body in zip(sections[::2], sections[1::2]):
            self.section = number
            if number == "8":
                self.read_settings(body)
                continue
            for line in body.splitlines():
                self.read_line(line)

    def add(self, word, span, hosts):
        """Adds the call that a code span names; returns it, or None if the span is something else."""
        match = re.fullmatch(r"([a-z][\w-]*)(\((.*)\))?", span)
        if not match:
            return None
        name, args = match.group(1), match.group(3)
        if word == "extension":
            hosts = "pg"
        elif name.startswith("upkeep_"):
            name, hosts = name[len("upkeep_"):], "sl"
        kind = word or ("command" if "-" in name else "function" if args is not None else "view")
        if name in self.calls:
            return None
        call = self.calls[name] = Call(name, self.section, hosts, kind)
        if args and args.startswith("…as "):
            call.params = list(self.calls[args[len("…as "):]].params)
        elif args:
            call.params = [parse_param(part) for part in split_list(args)]
        return call

    def read_line(self, line):
        if not line.startswith("|"):
            self.read_prose(line)
            return
        first, second = (cell.strip() for cell in line.strip("|").split("|", 1))
        if "`" not in first:  # a table's head
            self.tells_columns = first == "column" or (self.tells_columns and first.startswith("--"))
            return
        if self.tells_columns:
            same(f"{self.latest.name}: columns that are explained and not listed", [],
                 [name for name in re.findall(r"`(\w+)`", first)
                  if name not in self.latest.columns and name not in self.calls])
            for name, pg_type in re.findall(r"`(\w+)` \((\w+)\)", first):
                self.latest.explicit[name] = TYPES.get(pg_type, pg_type)
            return
        hosts = "pg" if "(PG)" in first else "sl" if "(SL)" in first else "both"
        calls = [self.add(word, span, hosts)
                 for word, span in re.findall(r"(?:(view|table|extension) )?`([^`]+)`", first)]
        self.read_columns([call for call in calls if call], second)
        self.read_prose(second)

    def read_columns(self, calls, cell):
        lists = [part for part in re.split(r" / ", cell) if part.startswith(("`", "void"))][:len(calls)]
        if len(calls) > 1 and len(lists) == 1:
            lists *= len(calls)
        for call, text in zip(calls, lists):
            match = re.match(r"`([a-z_0-9]+(?:, [a-z_0-9]+)*)`(?!:)(?: \((text\[\]|json) ?)?", text)
            if match:
                call.columns = match.group(1).split(", ")
                if match.group(2):
                    call.explicit[call.columns[-1]] = match.group(2).replace("json", "jsonb")
        for call in calls:
            if call.kind == "function" and not call.columns:
                call.kind = "scalar"

    def read_prose(self, line):
        for kind, span in re.findall(r"(?:(type) )?`([^`]+)`", line):
            if kind and self.section == "4":
                self.add("type", span, "pg")
            elif re.match(r"upkeep_\w+\(", span) or (line.startswith("`" + span) and "(" in span):
                call = self.add(None, span, "both")
                if call:
                    call.kind, self.latest = "scalar", call
        if line.startswith("Columns in this order: "):
            self.latest.kind = "function"
            self.latest.columns = re.search(r"`(.*?)`", line).group(1).split(", ")

    def read_settings(self, body):
        preloaded, sqlite = body.partition("defined only when preloaded")[2].split("SL also:")
        for hosts, name, text in (
                [("both", *pair) for pair in
                 re.findall(r"`(\w+)` \(([^)]*)\)", body.partition("defined only when preloaded")[0])]
                + [("both", name, text + ", POSTMASTER") for name, text in
                   re.findall(r"`(\w+)` \(([^)]*)\)", preloaded)]
                + [("sl", *pair) for pair in re.findall(r"`(\w+)` \((.*?)\)(?:,|\.)", sqlite)]):
            self.settings.append((name, hosts, text))


def normal_default(text):
    return {None: "", "1 GB": "1073741824"}.get(text, text)


def check_calls(interface, rows):
    spec = collections.OrderedDict()
    for row in rows:
        spec.setdefault(row["name"], []).append(row)
    same("order of calls", list(interface.calls), list(spec))
    for name, call in interface.calls.items():
        mine = spec.get(name, [])
        if not mine:
            continue
        head = mine[0]
        same(f"{name}: section", call.section, head["section"])
        same(f"{name}: hosts", call.hosts, head["hosts"])
        if head["kind"] != "aggregate" or call.kind != "scalar":
            same(f"{name}: kind", call.kind, head["kind"])
        roles = {role: [row for row in mine if row["role"] == role] for role in ("call", "param", "column", "result")}
        same(f"{name}: rows of role call", 1, len(roles["call"]))
        for role in ("param", "column"):
            same(f"{name}: {role} positions", [str(i + 1) for i in range(len(roles[role]))],
                 [row["position"] for row in roles[role]])
        same(f"{name}: parameters", [param[0] or row["item"] for param, row in zip(call.params, roles["param"])]
             + [param[0] for param in call.params[len(roles["param"]):]], [row["item"] for row in roles["param"]])
        for (_, pg_type, default), row in zip(call.params, roles["param"]):
            if pg_type:
                same(f"{name}.{row['item']}: type", pg_type, row["pg_type"])
            if default or pg_type:
                same(f"{name}.{row['item']}: default", normal_default(default), row["default"])
        same(f"{name}: columns", call.columns, [row["item"] for row in roles["column"]])
        for row in roles["column"]:
            wanted = call.explicit.get(row["item"]) or type_by_rule(name, row["item"])
            if wanted:
                same(f"{name}.{row['item']}: type", wanted, row["pg_type"])
        same(f"{name}: has a result", call.kind in ("scalar", "aggregate"), len(roles["result"]) == 1)
        check_rows(name, mine, roles)


def type_by_rule(call, name):
    if f"{call}.{name}" in EXCEPTIONS:
        return EXCEPTIONS[f"{call}.{name}"]
    return next((pg_type for pattern, pg_type in RULES if re.fullmatch(pattern, name)), None)


def check_rows(name, rows, roles):
    for row in rows:
        if row["role"] != "call" and row["kind"] != "type":
            same(f"{name}.{row['item']}: SQLite type", SQLITE.get(row["pg_type"], "TEXT") if row["hosts"] != "pg" else "",
                 row["sl_type"])
    params = [row["item"] for row in roles["param"]]
    columns = [row["item"] for row in roles["column"]]
    same(f"{name}: names that are parameter and column", [], sorted(set(params) & set(columns)))
    needed = [row["default"] == "" for row in roles["param"]]
    same(f"{name}: required parameters come first", sorted(needed, reverse=True), needed)
    for item in params + columns:
        if item in RESERVED:
            problems.append(f"{name}.{item}: reserved in PostgreSQL")
        try:
            sqlite3.connect(":memory:").execute(f"CREATE TABLE t({item})")
        except sqlite3.Error:
            problems.append(f"{name}.{item}: reserved in SQLite")


def check_settings(interface, rows):
    same("order of settings", [setting[0] for setting in interface.settings], [row["name"] for row in rows])
    for (name, hosts, text), row in zip(interface.settings, rows):
        words = [word.strip() for word in re.split(r"[,;:=]", text)]
        same(f"setting {name}: hosts", hosts, row["hosts"])
        same(f"setting {name}: context", next((word for word in words if re.fullmatch("[A-Z]{5,}", word)), ""),
             row["context"])
        default = row["default"] if row["unit"] in ("", "ms") else f"{row['default']} {row['unit']}"
        if name != "workflow_profile" and (default or "''") not in words:
            problems.append(f"setting {name}: default {default!r} is not in the document: {text}")
        if row["unit"] == "ms" and "ms" not in words:
            problems.append(f"setting {name}: unit ms is not in the document: {text}")


# ---- guide/: the workflow schema ----------------------------------------------------------------

def table_rows(text):
    return [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")][1:]


def columns_of(text):
    """Names of a column list `id, name varchar(255) (n), …`, and which of them are nullable."""
    names = [(part.split()[0].strip('"'), "(n)" in part) for part in split_list(text)]
    return [name for name, _ in names], [name for name, nullable in names if nullable]


def normal_index(definition):
    return re.sub(r"\s*,\s*", ", ", definition)


def check_schema(guide, rows, fates):
    schema = (guide / "schema.md").read_text(encoding="utf-8")
    engine = (guide / "engine-schema.md").read_text(encoding="utf-8")
    corrected, rest = schema.split("## Every index of the guide")
    fate_text, guide_text = rest.split("## Profile `guide`")

    tables = {"corrected": [(row[0], *columns_of(row[1])) for row in table_rows(engine)],
              "guide": [(name, *columns_of(text)) for name, text in
                        re.findall(r"^\* (\w+): (.*)$", guide_text, flags=re.M)]}
    indexes, table = [], ""
    for cells in table_rows(corrected):
        table = cells[0] or table
        indexes.append((table, cells[1], normal_index(cells[2])))
    created = re.findall(r"^CREATE INDEX (idx_\w+) ON (\w+)\s*(?:USING (GIN))?\((.*?)\);",
                         (guide / "database-optimization-guide.md").read_text(encoding="utf-8")
                         .split("### Index Usage Analysis")[0], flags=re.M)
    guide_indexes = [(table, name, f"({normal_index(columns)})", using) for name, table, using, columns in created]

    for profile in ("corrected", "guide"):
        for host in ("pg", "sl"):
            mine = [row for row in rows if row["profile"] == profile and row["host"] == host]
            same(f"{profile}/{host}: tables", [table[0] for table in tables[profile]],
                 [row["name"] for row in mine if row["object_type"] == "table"])
            for name, columns, nullable in tables[profile]:
                found = [row for row in mine if row["object_type"] == "column" and row["table"] == name]
                same(f"{profile}/{host}: columns of {name}", columns, [row["name"] for row in found])
                if profile == "corrected":  # schema.md does not mark the guide's
                    same(f"{profile}/{host}: nullable columns of {name}", nullable,
                         [row["name"] for row in found if "NOT NULL" not in row["definition"]])
            got = [(row["table"], row["name"], row["definition"]) for row in mine if row["object_type"] == "index"]
            want = indexes if profile == "corrected" else \
                [index[:3] for index in guide_indexes if host == "pg" or not index[3]]
            if host == "pg":  # the server's own form of the predicate is not derived here
                want, got = [index[:2] for index in want], [index[:2] for index in got]
            same(f"{profile}/{host}: indexes", want, got)

    fate_rows = [(name, cells[1]) for cells in table_rows(fate_text) for name in re.findall(r"idx_\w+", cells[0])]
    names = [name for name, _ in fate_rows]
    mine = [row["index"] for row in fates if row["profile"] == "corrected"]
    same("guide indexes with a fate", names, mine)
    same("guide indexes with a fate, and the guide", [index[1] for index in guide_indexes], mine)
    for name, fate in fate_rows:
        action = next((row["action"] for row in fates if row["index"] == name), "")
        word = "dropped" if fate.startswith("left") else re.match(r"[\w-]+", fate).group(0)
        same(f"fate of {name}", word, re.match(r"[\w-]*", action).group(0))


def check_guide_items(guide, rows):
    """What can be counted in the guide is in the list of its items: indexes, metrics, checklist."""
    text = (guide / "database-optimization-guide.md").read_text(encoding="utf-8")
    named = [row["text"].split(",")[0] for row in rows if row["kind"] == "index"]
    same("guide items: indexes", re.findall(r"^CREATE INDEX (idx_\w+)", text, flags=re.M), named)
    metrics = [row["text"].split("{")[0] for row in rows if row["kind"] == "metric" and "{" in row["text"]]
    same("guide items: Prometheus metrics", re.findall(r"^ +'(autopr_db_\w+)',", text, flags=re.M), metrics)
    same("guide items: points of the checklist", len(re.findall(r"^- \[ \] ", text, flags=re.M)),
         sum(row["kind"] == "checklist" for row in rows))
    corrections = (guide / "corrections.md").read_text(encoding="utf-8")
    known = re.findall(r"^\| (\d+) \|", corrections, flags=re.M) + \
        [f"0.{number}" for number in re.findall(r"^(\d)\. \*\*", corrections, flags=re.M)]
    for row in rows:
        same(f"{row['id']}: corrections that do not exist", [],
             [number for number in row["corrections"].split() if number not in known])


def main():
    shared, spec = (pathlib.Path(arg) for arg in sys.argv[1:3])
    interface = Interface(shared / "interface.md")
    check_calls(interface, read_tsv(spec / "calls.tsv"))
    check_settings(interface, read_tsv(spec / "settings.tsv"))
    check_schema(shared / "guide", read_tsv(spec / "schema.tsv"), read_tsv(spec / "schema_fates.tsv"))
    check_guide_items(shared / "guide", read_tsv(spec / "guide_items.tsv"))
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
