"""Parity: the registered calls (upkeep_reference --tsv) against the catalogs of both hosts and
against tests/spec/calls.tsv, the promised interface. Names, order and types must be the same.

Usage: parity.py BUILD_DIR, inside tests/pg/with_cluster.sh. Ends with `N passed, N failed`.
"""
import collections
import csv
import pathlib
import sqlite3
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
passed = 0
failures = []

# functions that belong to an aggregate, as those of a type and a cast do: no calls of their own
AGGREGATE_SUPPORT = """ARRAY[aggtransfn, aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn,
    aggminvtransfn, aggmfinalfn]::oid[]"""
# tables behind a view of ours that no one is to read or write himself
STORES = {"reap_log_rows"}
# words of defaults that the hosts work out
WORDS = {"now": "now()", "now - 24 h": "now() - interval '24 h'"}


def check(what, got, wanted):
    global passed
    if got == wanted:
        passed += 1
    else:
        failures.append(what)
        print(f"parity: {what}\n  found:  {got}\n  wanted: {wanted}")


class Call:
    def __init__(self, row):
        self.name, self.kind, self.hosts = row["name"], row["kind"], row["hosts"]
        self.params, self.columns, self.result = [], [], None

    def add(self, row):
        item = (row["item"], row["pg_type"], row["sl_type"])
        if row["role"] == "param":
            self.params.append(item + (row["default"], row.get("sl_default") or ""))
        elif row["role"] == "column":
            self.columns.append(item)
        elif row["role"] == "result":
            self.result = item[1:]


def read_calls(lines):
    calls = collections.OrderedDict()
    for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
        calls.setdefault(row["name"], Call(row)).add(row)
    return calls


def sl_param(param):
    name, pg_type, sl_type = param[:3]
    return (name + "_ms" if pg_type == "interval" and not name.endswith("_ms") else name, sl_type)


def compare_with_promise(calls, promised):
    """Every registered call is promised, with the same items; what is promised and not yet
    registered is counted, not failed (docs/guide-map.md says `later` there)."""
    for name, call in calls.items():
        want = promised.get(name)
        if want is None:
            check(f"{name} is promised in tests/spec/calls.tsv", "missing", "there")
            continue
        check(f"{name}: hosts", call.hosts, want.hosts)
        check(f"{name}: kind", call.kind, want.kind)
        check(f"{name}: parameters", [p[:2] for p in call.params], [p[:2] for p in want.params])
        check(f"{name}: defaults", [normal(p[3]) for p in call.params], [normal(p[3]) for p in want.params])
        # what SQLite lacks has no type there
        width = 2 if want.hosts == "pg" else 3
        check(f"{name}: columns", [c[:width] for c in call.columns], [c[:width] for c in want.columns])
        if call.kind in ("scalar", "aggregate"):
            check(f"{name}: result", call.result[0], want.result[0] if want.result else None)


def normal(default):
    text = default.strip().strip("'").lower()
    # `detected` and the like are words of the promise for NULL, which the call then works out
    return {"now": "now()", "detected": "null", "current": "null"}.get(text, text)


def psql(sql):
    out = subprocess.run(["psql", "-qXAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql],
                         check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def compare_with_postgres(calls):
    psql("CREATE EXTENSION IF NOT EXISTS upkeep")
    functions = {row[0]: row[1:] for row in psql("""
        SELECT p.proname,
               coalesce((SELECT string_agg(n || ' ' || format_type(t, NULL), ',' ORDER BY i)
                         FROM unnest(p.proargnames[1:p.pronargs], p.proargtypes::oid[]) WITH ORDINALITY AS a(n, t, i)), ''),
               coalesce((SELECT string_agg(n || ' ' || format_type(t, NULL), ',' ORDER BY i)
                         FROM unnest(p.proargnames, p.proallargtypes, p.proargmodes) WITH ORDINALITY AS a(n, t, m, i)
                         WHERE m = 't'), ''),
               format_type(p.prorettype, NULL), pronargdefaults,
               coalesce(pg_get_expr(p.proargdefaults, 0), '')
        FROM pg_proc p WHERE p.pronamespace = 'upkeep'::regnamespace AND p.prorettype <> 'trigger'::regtype
            AND p.oid NOT IN (SELECT unnest(%s) FROM pg_aggregate a JOIN pg_proc o ON o.oid = a.aggfnoid
                              WHERE o.pronamespace = 'upkeep'::regnamespace
                              UNION ALL SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend]::oid[])
                              FROM pg_type WHERE typnamespace = 'upkeep'::regnamespace
                              UNION ALL SELECT castfunc FROM pg_cast)""" % AGGREGATE_SUPPORT)}
    aggregates = {row[0] for row in psql(
        "SELECT proname FROM pg_proc WHERE prokind = 'a' AND pronamespace = 'upkeep'::regnamespace")}
    views = {row[0]: (row[1], row[2]) for row in psql("""
        SELECT c.relname, CASE c.relkind WHEN 'r' THEN 'table' ELSE 'view' END,
               string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ',' ORDER BY attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'upkeep'::regnamespace AND c.relkind IN ('v', 'r') GROUP BY 1, 2""")}
    for name, call in calls.items():
        if call.hosts == "sl":
            check(f"PostgreSQL has no {name}", name in functions or name in views, False)
            continue
        columns = ",".join(f"{c[0]} {c[1]}" for c in call.columns)
        if call.kind in ("view", "table"):
            check(f"PostgreSQL {call.kind} {name}", views.get(name), (call.kind, columns))
            continue
        found = functions.get(name)
        if found is None:
            check(f"PostgreSQL function {name}", None, "there")
            continue
        check(f"PostgreSQL {name}: parameters", found[0], ",".join(f"{p[0]} {p[1]}" for p in call.params))
        check(f"PostgreSQL {name}: columns", found[1], columns)
        defaults = [p[3] for p in call.params if p[3] != ""]
        check(f"PostgreSQL {name}: number of defaults", int(found[3]), len(defaults))
        if call.kind in ("scalar", "aggregate"):
            check(f"PostgreSQL {name}: is an aggregate", name in aggregates, call.kind == "aggregate")
            check(f"PostgreSQL {name}: result", found[2], call.result[0])
    backing = {name for name, call in calls.items() if call.kind == "view"}
    check("PostgreSQL has nothing that is not registered",
          sorted((set(functions) | set(views)) - set(calls) - backing - STORES), [])
    for name, call in calls.items():
        for index, param in enumerate(call.params):
            if call.hosts != "sl" and param[3] not in ("", "NULL"):
                got = psql("SELECT pg_get_function_arg_default(p.oid, %d) = (SELECT pg_get_expr("
                           "(SELECT NULL::pg_node_tree), 0)) IS NULL, pg_get_function_arg_default(p.oid, %d)"
                           " FROM pg_proc p WHERE proname = '%s' AND pronamespace = 'upkeep'::regnamespace"
                           % (index + 1, index + 1, name))[0][1]
                wanted = WORDS.get(param[3], f"'{param[3]}'::{param[1]}")
                same = psql(f"SELECT ({got}) = ({wanted})")[0][0]
                check(f"PostgreSQL {name}.{param[0]}: default {got}", same, "t")


def compare_types(promised):
    """Types have no description in the core: what is promised is there."""
    found = {row[0] for row in psql("SELECT typname FROM pg_type WHERE typtype = 'b' AND typelem = 0"
                                    " AND typnamespace = 'upkeep'::regnamespace")}
    check("PostgreSQL types", found, {name for name, call in promised.items() if call.kind == "type"})


def compare_with_sqlite(calls, build):
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    connection.load_extension(str(pathlib.Path(build).resolve() / "upkeep"))
    modules = {row[0] for row in connection.execute("SELECT name FROM pragma_module_list") if row[0].startswith("upkeep_")}
    functions = {row[0] for row in connection.execute("SELECT name FROM pragma_function_list") if row[0].startswith("upkeep_")}
    for name, call in calls.items():
        full = "upkeep_" + name
        if call.hosts == "pg":
            check(f"SQLite has no {name}", full in modules or full in functions, False)
        elif call.kind in ("scalar", "aggregate"):
            check(f"SQLite function {full}", full in functions, True)
            needed = sum(1 for p in call.params if p[3] == "")
            arities = sorted({row[0] for row in connection.execute(
                "SELECT narg FROM pragma_function_list WHERE name = ?", (full,))})
            types = {row[0] for row in connection.execute(
                "SELECT type FROM pragma_function_list WHERE name = ?", (full,))}
            check(f"SQLite {full}: is an aggregate", types, {"w"} if call.kind == "aggregate" else {"s"})
            check(f"SQLite {full}: arguments", arities, list(range(needed, len(call.params) + 1)))
        else:
            info = connection.execute(f"SELECT name, type, hidden FROM pragma_table_xinfo('{full}')").fetchall()
            check(f"SQLite {full}: columns", [(n, t.upper()) for n, t, h in info if not h],
                  [(c[0], c[2]) for c in call.columns])
            check(f"SQLite {full}: parameters", [(n, t.upper()) for n, t, h in info if h],
                  [sl_param(p) for p in call.params])
    check("SQLite has nothing that is not registered",
          sorted((modules | functions) - {"upkeep_" + name for name in calls}), [])


def main():
    build = sys.argv[1]
    calls = read_calls(subprocess.run([f"{build}/upkeep_reference", "--tsv"], check=True,
                                      capture_output=True, text=True).stdout.splitlines())
    with open(TOP / "tests" / "spec" / "calls.tsv", newline="", encoding="utf-8") as file:
        promised = read_calls(file)
    compare_with_promise(calls, promised)
    compare_with_postgres(calls)
    compare_types(promised)
    compare_with_sqlite(calls, build)
    print(f"promised: {len(promised)}, registered: {len(calls)}, "
          f"later: {sum(call.kind != 'type' for call in promised.values()) - len(calls)}")
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
