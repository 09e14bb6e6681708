"""The AutoPR scenario in SQLite: its tables, rows, statements, and indexes worth trying."""
import collections
import csv
import pathlib
import random
import re
import subprocess

import host

FOLDER = pathlib.Path(__file__).parents[1] / "scenarios" / "autopr"
Statement = collections.namedtuple("Statement", "name kind weight sql")

# On purpose more, and odder, than anyone would create: the planner must have something to choose.
CANDIDATES = [
    "workflows(status)", "workflows(status, created_at)", "workflows(created_at DESC, id DESC)",
    "workflows(created_at)", "workflows(name COLLATE NOCASE)", "workflows(config ->> '$.team')",
    "workflow_executions(workflow_id)", "workflow_executions(status)",
    "workflow_executions(started_at)", "workflow_executions(started_at, id)",
    "workflow_executions(workflow_id, status, started_at)",
    "workflow_executions(workflow_id, started_at DESC)", "workflow_executions(status, started_at)",
    "workflow_executions(status, workflow_id, started_at)",
    "workflow_executions(parent_execution_id)", "workflow_executions(completed_at)",
    "workflow_executions(trigger_type, started_at)",
    "workflow_executions(started_at, status, trigger_type)",
    "workflow_executions(started_at) WHERE status IN ('pending', 'running')",
    "workflow_executions(started_at) WHERE status = 'failed'",
    "workflow_executions(parent_execution_id) WHERE parent_execution_id IS NOT NULL",
    "workflow_executions(status, completed_at, started_at, id)",
    "workflow_executions(strftime('%Y-%m-%d %H', started_at), status)",
    "execution_logs(execution_id)", "execution_logs(execution_id, created_at)",
    "execution_logs(level)", "execution_logs(level, created_at)", "execution_logs(created_at)",
    "execution_logs(created_at, level)", "execution_logs(action_id, created_at DESC)",
    "execution_logs(action_id) WHERE action_id IS NOT NULL",
    "execution_logs(created_at) WHERE level IN ('ERROR', 'CRITICAL')",
    "execution_logs(created_at) WHERE level = 'CRITICAL'",
    "integration_events(status)", "integration_events(status, created_at)",
    "integration_events(created_at)", "integration_events(integration_id, created_at)",
    "integration_events(event_type, status)", "integration_events(event_id)",
    "integration_events(status, event_type)",
    "integration_events(created_at) WHERE status IN ('pending', 'processing')",
    "workflow_triggers(workflow_id)", "workflow_triggers(workflow_id, enabled)",
    "workflow_actions(workflow_id)", "workflow_actions(order_index, workflow_id)",
    "allowed_commenters(enabled)", "allowed_commenters(github_username, enabled)",
    "integrations(type)", "comment_filter_settings(enabled)",
]


def create(path, scale):
    """A new database file with the scenario's rows and keys, not analysed; returns a connection."""
    db = host.connect(database=str(path), isolation_level=None)
    db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
    db.execute("SELECT * FROM upkeep_install_workflow_schema").fetchall()
    db.executescript((FOLDER / "keys_only.sqlite.sql").read_text())
    db.execute("CREATE TEMP TABLE scenario_scale AS SELECT ? AS n", (scale,))
    db.executescript((FOLDER / "generate.sqlite.sql").read_text())
    db.execute("DROP TABLE scenario_scale")
    db.execute("PRAGMA journal_mode = DELETE")
    return db


def workload():
    with open(FOLDER / "workload.tsv", encoding="utf-8", newline="") as file:
        return [Statement(row["name"], row["kind"], float(row["weight"]), row["sqlite"])
                for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def tables_of(sql):
    words = set(re.findall(r"\w+", sql))
    return {re.match(r"\w+", candidate).group() for candidate in CANDIDATES} & words


def create_index(number):
    return f"CREATE INDEX try_{number} ON {CANDIDATES[number]}"


def subset_for(statement, chooser, largest=5):
    """Up to `largest` candidates on the tables of the statement, as CREATE INDEX texts."""
    tables = tables_of(statement.sql)
    numbers = [n for n, candidate in enumerate(CANDIDATES)
               if re.match(r"\w+", candidate).group() in tables]
    count = chooser.randint(1, min(largest, len(numbers)))
    return [create_index(n) for n in sorted(chooser.sample(numbers, count))]


def chooser(seed):
    return random.Random(seed)


def measure(path, statements):
    """name -> (VM steps, page requests) of one execution of each, rolled back; by the shell, since
    Python does not tell them."""
    script = [".stats on", "PRAGMA mmap_size = 0;"]
    for statement in statements:
        script += ["BEGIN;", f".print @{statement.name}", statement.sql + ";", ".print @", "ROLLBACK;"]
    output = subprocess.run(["sqlite3", "-batch", "-bail", str(path)], input="\n".join(script),
                            check=True, capture_output=True, text=True).stdout
    measured = {}
    for name, text in re.findall(r"^@(\w+)\n(.*?)^@\n", output, re.MULTILINE | re.DOTALL):
        steps, hits, misses = [
            int(re.search(rf"^{what}: +(\d+)$", text, re.MULTILINE).group(1))
            for what in ("Virtual Machine Steps", "Page cache hits", "Page cache misses")]
        measured[name] = (steps, hits + misses)
    assert len(measured) == len(statements), output[-2000:]
    return measured
