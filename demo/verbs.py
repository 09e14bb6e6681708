"""One short step for each other verb: the SQL, and two or three rows that it really gave."""
import subprocess

import hosts
import show


def step_captured(demo):
    """What is slow? The engine's statements run, and upkeep counts every one of them"""
    demo.host.start_capture(show.sql)
    show.say()
    demo.before = demo.measure("running the workload")
    demo.ask("""\
        SELECT calls, total_ms, p95_ms, query
        FROM {up}statements ORDER BY total_ms DESC LIMIT 3;""")
    show.say()
    show.note("The same statements by the time they would take in an hour of the engine:")
    slowest = sorted(demo.workload, key=lambda item: -demo.before[item["name"]] * item["weight"])
    show.table(["s/hour", "ms", "calls/hour", "statement"],
               [(f"{demo.before[item['name']] * item['weight'] / 1000:.1f}",
                 f"{demo.before[item['name']]:.2f}", f"{item['weight']:.0f}", item["sql"])
                for item in slowest[:5]])


def step_slow(demo):
    """Single executions over the threshold, each kept with its plan"""
    demo.ask(demo.host.slow_sql)


def step_n_plus_one(demo):
    """Reads made once for each row of another (N+1), as an ORM does that loads lazily"""
    parent = "SELECT id FROM workflow_executions ORDER BY id LIMIT 12"
    child = "SELECT message FROM execution_logs WHERE execution_id = '{id}' LIMIT 5"
    show.sql(parent + ";")
    show.note("and for each of its 12 rows: " + child.replace("{id}", "…"))
    for (key,) in demo.host.query(parent):
        demo.host.query(child.replace("{id}", str(key)))
    demo.ask("""\
        SELECT kind, max_repeats, total_ms, suggestion
        FROM {up}n_plus_one ORDER BY last_seen_at DESC LIMIT 1;""", lines=6)


def step_lint(demo):
    """Statements that are slow by the way they are written, and how to write them"""
    for written in ("SELECT id FROM execution_logs WHERE lower(level) = 'error' LIMIT 10;",
                    "SELECT id FROM execution_logs WHERE message LIKE '%timeout%' LIMIT 10;"):
        show.sql(written)
        demo.host.query(written)
    show.say()
    demo.ask("""\
        SELECT code, suggestion FROM {up}lint_statements()
        WHERE code IN ('function_on_column', 'leading_wildcard') ORDER BY code LIMIT 2;""", lines=6)


def step_explain(demo):
    """One statement's plan, and what to notice in it (it is planned, not run)"""
    demo.ask("""\
        SELECT findings FROM {up}explain_statement(
            'SELECT * FROM execution_logs WHERE level = ''ERROR'' ORDER BY created_at DESC LIMIT 20');""", lines=6)


def step_verify(demo):
    """Is an index worth it? Built where nobody sees it, run with and without it, taken back"""
    demo.ask(demo.host.verify_sql, lines=2)


def step_other_process(demo):
    """What this process captured, seen from the shell in another one"""
    if demo.host.save_sql:
        show.sql(demo.host.save_sql)
        demo.host.query(demo.host.save_sql)
        show.note(f"writes {demo.host.path.name}-upkeep beside the database (closing does so too).")
    command, shown = demo.host.shell("""\
SELECT calls, round(max_ms) AS max_ms, substr(query, 1, 70) AS query
FROM {up}statements ORDER BY total_ms DESC LIMIT 2""".replace("{up}", demo.host.prefix))
    show.sql(shown)
    show.say()
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=hosts.TOP)
    for line in output.stdout.rstrip().splitlines():
        show.say("  " + line.rstrip())


def step_indexes(demo):
    """Indexes that only cost: in the copy, somebody has made one by hand, too"""
    first = demo.advice[0]
    column = demo.host.array(first["columns"])[0].removesuffix(" DESC")
    made = f"CREATE INDEX made_by_hand ON {first['table_name']} ({column});"
    show.sql(made)
    demo.host.apply(made)
    demo.ask("""\
        SELECT code, index_name, size_bytes, fix_sql
        FROM {up}index_findings WHERE index_name = 'made_by_hand';""", lines=3)
    demo.host.switch_back()
    show.say()
    show.note("And one that is missing, in the sample database as it was:")
    demo.ask("""\
        SELECT table_name, columns, referenced_table, severity
        FROM {up}unindexed_foreign_keys LIMIT 2;""")


def step_sessions(demo):
    """Who is connected, who holds locks, what could be ended (a dry run by default)"""
    with demo.host.sessions() as story:
        show.note(story)
        for sql in demo.host.session_sql:
            demo.ask(sql, lines=1 if "connections" in sql else 6)


def step_pool(demo):
    """How large a connection pool: 10 processes of 4 threads on 2 machines"""
    demo.ask("""\
        SELECT parameter, value, verdict, formula FROM {up}advise_pool(10, 4, 2)
        WHERE parameter IN ('pool_size', 'total_connections', 'guide_total_connections');""", lines=2)


def step_workflows(demo):
    """How the engine's workflows ran on the last day of the sample"""
    demo.ask("""\
        SELECT group_key, total, failed, success_ratio, p50_ms, p95_ms, p99_ms
        FROM {up}workflow_stats('2026-06-29', '2026-06-30', 'trigger_type');""")
    demo.ask("""\
        SELECT execution_id, started_at, duration_ms, log_count, error_message
        FROM {up}recent_executions(NULL, 'failed', 2);""")


def step_health(demo):
    """The production checklist: what is wrong first"""
    demo.ask("""\
        SELECT status, code, evidence FROM {up}check_health()
        WHERE status IN ('fail', 'warn') ORDER BY status, code LIMIT 4;""", lines=2)
    demo.ask("SELECT status, count(*) FROM {up}check_health() GROUP BY status ORDER BY status;")


def step_settings(demo):
    """Settings to start with, and how each comes about"""
    demo.ask(demo.host.settings_sql, lines=2)


def step_metrics(demo):
    """Metrics for Prometheus: two families of many (no argument: all of them)"""
    show.sql(demo.host.metrics_sql)
    show.say()
    show.text(demo.host.query(demo.host.metrics_sql)[0][0], 12)


def step_report(demo):
    """All of it on one page, for a ticket or a mail"""
    sql = f"SELECT {demo.host.prefix}report('text');"
    show.sql(sql)
    show.say()
    show.text(demo.host.query(sql)[0][0], 18, indent="")
