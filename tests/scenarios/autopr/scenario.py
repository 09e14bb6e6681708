"""The tests of the AutoPR scenario that both hosts run: tests/sqlite/test_scenario.py and
tests/pg/test_scenario.py. What they share is committed (expected.tsv), so that neither needs the
other host: the digest of each table's rows, the number of rows each statement finds or touches."""
import csv
import datetime
import hashlib
import json
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parent
SCALES = (2000, 12000)
JSON_COLUMNS = {"config", "conditions", "result", "trigger_data", "log_metadata", "payload"}
TABLES = ("workflows", "workflow_executions", "workflow_actions", "execution_logs", "integrations",
          "integration_events", "workflow_triggers", "allowed_commenters", "comment_filter_settings")


def read(name):
    with open(FOLDER / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def expected(scale, kind):
    return {row["name"]: row["value"] for row in read("expected.tsv")
            if (row["scale"], row["kind"]) == (str(scale), kind)}


def canonical(column, value):
    """The value as both hosts can say it."""
    if column in JSON_COLUMNS and value is not None:
        return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    return int(value) if isinstance(value, bool) else value


def digest(columns, rows):
    """Of a table's rows in the order of their ids, columns by name: user columns change nothing."""
    order = sorted(range(len(columns)), key=lambda i: columns[i])
    total = hashlib.sha256()
    for row in rows:
        total.update(repr([canonical(columns[i], row[i]) for i in order]).encode())
    return total.hexdigest()[:16]


class ScenarioTests:
    """Mixin. The host's class has `host`, `scale`, `ask(sql)` -> (column names, rows, rows touched),
    `statements(script)`, `other_indexes` (a query for those that back no key), and a database with
    the schema and the generator's rows."""

    def test_both_hosts_hold_the_same_rows(self):
        found = {}
        for table in TABLES:
            columns, rows, _ = self.ask(f"SELECT * FROM {table} ORDER BY id")
            found[table] = f"{len(rows)} {digest(columns, rows)}"
        self.assertEqual(found, expected(self.scale, "rows"))

    def test_sizes_follow_the_scale(self):
        workflows = max(20, min(500, self.scale // 200))
        for table, wanted in (("workflows", workflows), ("workflow_executions", self.scale),
                              ("execution_logs", 3 * self.scale), ("integration_events", self.scale),
                              ("workflow_actions", 4 * workflows), ("workflow_triggers", 2 * workflows)):
            self.assertEqual(self.ask(f"SELECT count(*) FROM {table}")[1][0][0], wanted, table)

    def test_every_statement_runs_and_finds_as_many_rows_in_both_hosts(self):
        found = {}
        for statement in read("workload.tsv"):
            self.ask("BEGIN")
            try:
                _, rows, touched = self.ask(statement[self.host])
            finally:
                self.ask("ROLLBACK")
            found[statement["name"]] = str(len(rows) if statement["kind"] == "read" else touched)
        self.assertEqual(found, expected(self.scale, "statement"))

    def test_reads_find_rows(self):
        """Even the deep pages, at the scale that has them."""
        empty = [name for name, rows in expected(self.scale, "statement").items() if rows == "0"]
        deep = ["workflows_page_2", "executions_deep_offset"]
        self.assertEqual(empty, deep if self.scale < 5000 else [])

    def test_keys_only_leaves_keys_only(self):
        script = (FOLDER / f"keys_only.{self.host}.sql").read_text()
        self.ask("BEGIN")
        try:
            for statement in self.statements(script):
                self.ask(statement)
            left = self.ask(self.other_indexes)[1]
        finally:
            self.ask("ROLLBACK")
        self.assertEqual(left, [])
        self.assertEqual(len(self.ask(self.other_indexes)[1]), 16)
