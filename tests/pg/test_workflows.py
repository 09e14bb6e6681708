"""Workflow statistics against plain SQL that is written here from the definitions: every group_by,
windows and their edges, tables of other shapes, rights, bad input; SQLite gives the same rows."""
import datetime
import os
import pathlib
import sqlite3
import sys
import unittest

import psycopg2

from host import Asks, connect, run_script

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))
from workflow_rows import COLUMNS, EXACT, GROUPS, near  # noqa: E402

SCENARIO = TOP / "tests" / "scenarios" / "autopr"
UTC = datetime.timezone.utc
STATS = "SELECT * FROM upkeep.workflow_stats(%s, %s, %s)"

# By hand from the definitions: an execution belongs to the window by started_at; durations are
# completed_at - started_at of completed ones, by status when grouped so; buckets are UTC.
BY_HAND = """
SELECT {key} AS group_key, count(*) AS total,
    count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'running') AS running,
    count(*) FILTER (WHERE status = 'completed') AS completed, count(*) FILTER (WHERE status = 'failed') AS failed,
    count(*) FILTER (WHERE status = 'timeout') AS timeout, count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    (count(*) FILTER (WHERE status = 'completed'))::float8
        / nullif(count(*) FILTER (WHERE status IN ('completed', 'failed', 'timeout', 'cancelled')), 0) AS success_ratio,
    avg(ms) FILTER (WHERE {counts}) AS avg_ms,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE {counts}) AS p50_ms,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) FILTER (WHERE {counts}) AS p95_ms,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) FILTER (WHERE {counts}) AS p99_ms,
    max(ms) FILTER (WHERE {counts}) AS max_ms, sum(retry_count)::bigint AS retries,
    count(*) / (extract(epoch FROM {until} - {since})::float8 / 3600) AS per_hour,
    max(started_at) AS last_started_at,
    max(coalesce(completed_at, started_at)) FILTER (WHERE status = 'failed') AS last_failed_at,
    {since} AS covered_from_at, {until} AS covered_until_at
FROM (SELECT *, (extract(epoch FROM completed_at - started_at) * 1000)::float8 AS ms FROM workflow_executions
      WHERE started_at >= %(since)s AND started_at < %(until)s) AS e
{grouping} ORDER BY 1"""
KEYS = {"workflow": "workflow_id::text", "status": "status::text", "trigger_type": "trigger_type::text",
        "hour": "to_char(date_trunc('hour', started_at, 'UTC') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
        "day": "to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')", "all": "'all'::text"}


def by_hand(group_by):
    since, until = "%(since)s::timestamptz", "%(until)s::timestamptz"
    grouping = "" if group_by == "all" else "GROUP BY 1"
    if group_by in ("hour", "day"):
        start = f"date_trunc('{group_by}', started_at, 'UTC')"
        since = f"greatest({since}, {start})"
        until = f"least({until}, {start} + interval '1 {group_by}')"
        grouping = f"GROUP BY 1, {start}"
    counts = "true" if group_by == "status" else "status = 'completed'"
    return BY_HAND.format(key=KEYS[group_by], counts=counts, since=since, until=until, grouping=grouping)


def at(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=UTC)


class Sample(Asks):
    """The AutoPR rows; the session's zone is far from UTC, so that buckets show whose they are."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, "SELECT * FROM upkeep.install_workflow_schema()")
        run_script(cls.db, SCENARIO / "generate.postgres.sql", scale=10000)
        cls.run_on(cls.db, "ANALYZE; SET timezone = 'Asia/Kolkata'")

    def agree(self, since, until, group_by):
        found = self.dicts(STATS, since, until, group_by)
        with self.db.cursor() as cursor:
            cursor.execute(by_hand(group_by), {"since": since, "until": until})
            wanted = [dict(zip(COLUMNS, row)) for row in cursor.fetchall()]
        self.assertEqual([row["group_key"] for row in found], [row["group_key"] for row in wanted], group_by)
        for got, want in zip(found, wanted):
            where = (group_by, got["group_key"])
            want["retries"] = want["retries"] or 0
            for name in EXACT:
                if name in ("per_hour", "success_ratio") and want[name] is not None:
                    self.assertAlmostEqual(got[name], want[name], 9, (where, name))
                else:
                    self.assertEqual(got[name], want[name], (where, name))
            for name in ("p50_ms", "p95_ms", "p99_ms"):
                self.assertTrue(near(got[name], want[name]), (where, name, got[name], want[name]))
            self.assertTrue(near(got["avg_ms"], want["avg_ms"], 1e-9), (where, got["avg_ms"], want["avg_ms"]))
            if want["max_ms"] is None:
                self.assertIsNone(got["max_ms"])
            else:
                self.assertLessEqual(want["max_ms"], got["max_ms"], where)
                self.assertLessEqual(got["max_ms"], want["max_ms"] * 1.016, where)
        return found


class Statistics(Sample):
    def test_every_group_by_equals_plain_sql(self):
        for group_by in GROUPS:
            with self.subTest(group_by):
                found = self.agree(at("2026-03-01"), at("2026-08-01"), group_by)
                self.assertEqual(sum(row["total"] for row in found), 10000)
        self.assertEqual(len(self.agree(at("2026-03-01"), at("2026-08-01"), "workflow")), 50)

    def test_windows_that_cut_buckets(self):
        for since, until in (("2026-05-01T10:17:33.250", "2026-05-08T03:59:59.999"),
                             ("2026-06-30T12:00", "2026-07-01T00:00"), ("2026-04-10", "2026-04-10T00:30")):
            for group_by in GROUPS:
                with self.subTest((since, until, group_by)):
                    self.agree(at(since), at(until), group_by)

    def test_edges_of_the_window(self):
        first, second = [row[0] for row in self.rows(
            "SELECT started_at FROM workflow_executions ORDER BY started_at OFFSET 500 LIMIT 2")]
        micro = datetime.timedelta(microseconds=1)
        for since, until, total in ((first, first + micro, 1), (first + micro, second, 0), (first, second, 1),
                                    (first, second + micro, 2), (first - micro, first, 0)):
            found = self.agree(since, until, "all")
            self.assertEqual([row["total"] for row in found], [total])

    def test_window_without_rows(self):
        for group_by in GROUPS:
            found = self.dicts(STATS, at("2030-01-01"), at("2030-01-02"), group_by)
            if group_by != "all":
                self.assertEqual(found, [])
        zero, nothing = [found[0][name] for name in EXACT if name in ("total", "failed", "retries")], found[0]
        self.assertEqual(zero, [0, 0, 0])
        self.assertIsNone(nothing["p50_ms"] or nothing["success_ratio"] or nothing["last_started_at"])

    def test_the_default_window_is_the_last_day(self):
        self.rows("BEGIN")
        self.addCleanup(self.rows, "ROLLBACK")
        self.rows("""INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at, completed_at)
            SELECT (SELECT min(id::text)::uuid FROM workflows), 'now-' || n, 'completed', now() - n * interval '5 hours',
                   now() - n * interval '5 hours' + interval '2 seconds' FROM generate_series(1, 6) AS n""")
        row = self.dicts("SELECT * FROM upkeep.workflow_stats(group_by => 'all')")[0]
        self.assertEqual((row["total"], row["completed"], row["success_ratio"]), (4, 4, 1.0))
        self.assertAlmostEqual(row["per_hour"], 4 / 24, 9)
        self.assertAlmostEqual(row["avg_ms"], 2000)

    def test_parallel_plans_give_the_same_rows(self):
        plain = self.rows(STATS, at("2026-03-01"), at("2026-08-01"), "workflow")
        self.rows("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0")
        self.addCleanup(self.rows, "RESET ALL; SET timezone = 'Asia/Kolkata'")
        self.assertEqual(self.rows(STATS, at("2026-03-01"), at("2026-08-01"), "workflow"), plain)

    def test_sqlite_gives_the_same_rows(self):
        other = sqlite3.connect(":memory:")
        self.addCleanup(other.close)
        other.enable_load_extension(True)
        other.load_extension(str(pathlib.Path(os.environ.get("UPKEEP_BUILD", TOP / "build")).resolve() / "upkeep"))
        other.execute("SELECT * FROM upkeep_install_workflow_schema").fetchall()
        other.execute("CREATE TEMP TABLE scenario_scale AS SELECT 10000 AS n")
        other.executescript((SCENARIO / "generate.sqlite.sql").read_text())
        for group_by in GROUPS:
            mine = self.rows(STATS, at("2026-05-01T10:17:33.250"), at("2026-06-08T03:59:59.999"), group_by)
            its = other.execute("SELECT * FROM upkeep_workflow_stats(?, ?, ?)", (
                "2026-05-01T10:17:33.250", "2026-06-08 05:59:59.999+02:00", group_by)).fetchall()
            as_text = [tuple(value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                             if isinstance(value, datetime.datetime) else value for value in row) for row in mine]
            self.assertEqual(as_text, its, group_by)
        mine = self.rows("SELECT * FROM upkeep.integration_stats('2026-05-01', '2026-05-20T00:00:00Z')")
        its = other.execute("SELECT * FROM upkeep_integration_stats('2026-05-01', '2026-05-20')").fetchall()
        self.assertEqual(len(mine), 45)
        self.rows("SET timezone = 'UTC'")
        self.addCleanup(self.rows, "SET timezone = 'Asia/Kolkata'")
        mine = self.rows("SELECT * FROM upkeep.integration_stats('2026-05-01', '2026-05-20')")
        self.assertEqual([row[:8] for row in mine], [row[:8] for row in its])

    def test_bad_input(self):
        error = self.refuses("22023", 'unknown group_by "week"', STATS, "2026-01-01", "2026-02-01", "week")
        self.assertIn("workflow, status, trigger_type, hour, day, all", error.diag.message_hint)
        for since, until, wanted in (
                ("2026-02-01", "2026-01-01", "since must be before until"),
                ("2026-02-01", "2026-02-01", "since must be before until"),
                (None, "2026-02-01", "since must not be null"), ("2026-02-01", None, "until must not be null"),
                ("-infinity", "2026-02-01", "since must be a finite time"),
                ("2026-02-01", "infinity", "until must be a finite time"),
                ("2026-02-01", "294276-12-31", "until must be a finite time")):
            self.refuses("22023", wanted, STATS, since, until, "all")
        self.refuses("22023", "group_by must not be null", STATS, "2026-01-01", "2026-02-01", None)
        self.refusal(STATS, "no time", "2026-02-01", "all")
        self.refuses("22023", 'unknown group_by "all\'; --é"', STATS, "2026-01-01", "2026-02-01", "all'; --é")
        self.refuses("22023", "executions is not a table or view",
                     "SELECT * FROM upkeep.workflow_stats(executions => 'workflows_pkey')")
        self.refuses("22023", "lacks columns: status, started_at",
                     "SELECT * FROM upkeep.workflow_stats(executions => 'pg_class')")
        self.refusal("SELECT * FROM upkeep.workflow_stats(executions => 'nowhere')")

    def test_no_table_in_search_path(self):
        self.rows("SET search_path = pg_catalog")
        self.addCleanup(self.rows, "RESET search_path")
        for call in ("workflow_stats()", "active_workflows", "recent_executions()", "execution_detail('x')",
                     "stuck_executions", "integration_stats()"):
            error = self.refuses("42704", "there is no table", f"SELECT * FROM upkeep.{call}")
            self.assertIn("install_workflow_schema", error.diag.message_hint)
        found = self.rows("SELECT total FROM upkeep.workflow_stats('2026-03-01', '2026-08-01', 'all',"
                          " 'public.workflow_executions')")
        self.assertEqual(found, [(10000,)])

    def test_nothing_of_the_callers_search_path_is_called(self):
        self.rows("""CREATE SCHEMA trap;
            CREATE FUNCTION trap.count() RETURNS bigint LANGUAGE sql AS 'SELECT 1/0::bigint';
            CREATE FUNCTION trap.never(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS
                'BEGIN RAISE EXCEPTION ''caught''; END';
            CREATE OPERATOR trap.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.never);
            CREATE OPERATOR trap.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = trap.never);
            SET search_path = trap, pg_catalog, public""")
        self.addCleanup(self.rows, "RESET search_path; DROP SCHEMA trap CASCADE")
        self.assertEqual(self.rows("SELECT total FROM upkeep.workflow_stats('2026-03-01', '2026-08-01', 'all')"),
                         [(10000,)])
        for call in ("active_workflows", "recent_executions()", "stuck_executions", "integration_stats()"):
            self.rows(f"SELECT * FROM upkeep.{call}")


class OtherShapes(Asks):
    """Tables that were not made by us."""

    def test_an_operator_that_fits_varchar_better_is_not_called(self):
        """pg_catalog has no varchar = varchar: one that somebody plants would be an exact match."""
        self.rows("""CREATE SCHEMA trap;
            CREATE FUNCTION trap.same(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS
                'BEGIN RAISE EXCEPTION ''caught''; END';
            CREATE OPERATOR trap.= (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = trap.same);
            CREATE SCHEMA v; SET search_path = v, trap;
            CREATE TABLE workflows (id varchar(50), name varchar(50), status varchar(20), created_at timestamptz);
            CREATE TABLE workflow_executions (id varchar(50), workflow_id varchar(50), execution_id varchar(50),
                status varchar(20), started_at timestamptz, completed_at timestamptz);
            CREATE TABLE execution_logs (execution_id varchar(50), level varchar(20), message text, created_at timestamptz);
            CREATE TABLE integrations (id varchar(50), name varchar(50));
            CREATE TABLE integration_events (integration_id varchar(50), event_type varchar(50), status varchar(20),
                created_at timestamptz, processed_at timestamptz);
            INSERT INTO workflows VALUES ('w', 'name', 'active', now());
            INSERT INTO workflow_executions VALUES ('1', 'w', 'e1', 'running', now() - interval '2 h', NULL),
                ('2', 'w', 'e2', 'completed', now() - interval '2 h', now());
            INSERT INTO execution_logs VALUES ('1', 'ERROR', 'm', now());
            INSERT INTO integrations VALUES ('i', 'x');
            INSERT INTO integration_events VALUES ('i', 't', 'completed', now(), now())""")
        self.addCleanup(self.rows, "RESET search_path; DROP SCHEMA trap, v CASCADE")
        self.assertEqual(self.rows("SELECT id FROM upkeep.stuck_executions"), [("1",)])
        for call in ("active_workflows", "workflow_stats()", "recent_executions('name')", "execution_detail('e1')",
                     "integration_stats()"):
            self.assertTrue(self.rows(f"SELECT * FROM upkeep.{call}"), call)

    def stats(self, group_by, table):
        return self.dicts("SELECT * FROM upkeep.workflow_stats('2026-01-01', '2027-01-01', %s, %s)", group_by, table)

    def test_profile_guide(self):
        self.rows("CREATE SCHEMA g; SELECT * FROM upkeep.install_workflow_schema('g', 'guide')")
        self.rows("""INSERT INTO g.workflows (name) VALUES ('übung "1"');
            INSERT INTO g.workflow_executions (workflow_id, execution_id, status, started_at, completed_at, trigger_type)
            SELECT id, 'e' || n, CASE WHEN n = 5 THEN 'failed' ELSE 'completed' END, timestamptz '2026-05-05 12:00Z',
                   timestamptz '2026-05-05 12:00Z' + n * interval '1 s', NULLIF('t' || n % 2, 't0')
            FROM g.workflows, generate_series(1, 5) AS n;
            INSERT INTO g.execution_logs (execution_id, level, message, metadata, "timestamp")
            SELECT id, CASE WHEN k = 2 THEN 'ERROR' ELSE 'INFO' END, 'läuft ' || k, '{"k": 1}', started_at + k * interval '1 s'
            FROM g.workflow_executions, generate_series(1, 2) AS k;
            INSERT INTO g.integrations (name, type) VALUES ('github', 'github');
            INSERT INTO g.integration_events (integration_id, event_type, status, processed_at, "timestamp")
            SELECT id, 'push', 'completed', now() - interval '1 min' + interval '3 s', now() - interval '1 min' FROM g.integrations;
            SET search_path = g""")
        self.addCleanup(self.rows, "RESET search_path")
        found = self.stats("trigger_type", "g.workflow_executions")
        self.assertEqual([(row["group_key"], row["total"], row["failed"]) for row in found], [("t1", 3, 1), (None, 2, 0)])
        self.assertEqual(found[0]["last_failed_at"], at("2026-05-05T12:00:05"))
        recent = self.dicts("SELECT * FROM upkeep.recent_executions('übung \"1\"', 'failed')")
        self.assertEqual([(row["execution_id"], row["duration_ms"], row["log_count"], row["error_log_count"])
                          for row in recent], [("e5", 5000.0, 2, 1)])
        detail = self.dicts("SELECT * FROM upkeep.execution_detail('e5')")[0]
        self.assertEqual((detail["workflow_name"], detail["duration_ms"]), ('übung "1"', 5000.0))
        self.assertEqual(detail["logs"], [
            {"created_at": f"2026-05-05T12:00:0{k}.000Z", "level": level, "message": f"läuft {k}", "step_name": None,
             "metadata": {"k": 1}} for k, level in ((1, "INFO"), (2, "ERROR"))])
        events = self.rows("SELECT integration, event_type, total, round(p50_ms) FROM upkeep.integration_stats()")
        self.assertEqual(events[0][:3], ("github", "push", 1))
        self.assertTrue(near(events[0][3], 3000))
        self.assertEqual(self.rows("SELECT name, executions_24h FROM upkeep.active_workflows"), [('übung "1"', 0)])

    def test_enum_status_text_ids_and_times_without_zone(self):
        self.rows("""CREATE SCHEMA "Odd Schéma"; SET search_path = "Odd Schéma";
            CREATE TYPE mood AS ENUM ('running', 'completed', 'failed', 'sleeping');
            CREATE TABLE workflow_executions (id text, workflow_id int, status mood, started_at timestamp,
                completed_at timestamp);
            INSERT INTO workflow_executions VALUES ('a', 7, 'completed', '2026-05-05 23:30', '2026-05-05 23:31'),
                ('b', 7, 'sleeping', '2026-05-06 00:10', NULL), ('c', 8, 'failed', '2026-05-06 00:20', 'infinity'),
                ('d', 8, 'completed', '2026-05-06 00:30', '2026-05-06 00:20'), ('e', 8, 'completed', '2026-05-06 01:00', NULL),
                ('f', 8, NULL, '2026-05-06 01:00', NULL), ('g', 8, 'running', NULL, NULL), ('h', 8, 'running', 'infinity', NULL);
            SET timezone = 'America/New_York'""")
        self.addCleanup(self.rows, "RESET ALL")
        days = self.stats("day", None)
        self.assertEqual([(row["group_key"], row["total"], row["completed"]) for row in days],
                         [("2026-05-05", 1, 1), ("2026-05-06", 5, 2)])
        self.assertTrue(near(days[0]["p50_ms"], 60000))
        self.assertEqual(days[1]["avg_ms"], 0)  # the clock went backwards
        self.assertEqual(days[1]["last_failed_at"], at("2026-05-06T00:20"))
        self.assertEqual([(row["group_key"], row["total"]) for row in self.stats("status", '"Odd Schéma".workflow_executions')],
                         [("completed", 3), ("failed", 1), ("sleeping", 1), (None, 1)])
        self.assertEqual([(row["group_key"], row["total"], row["retries"]) for row in self.stats("workflow", None)],
                         [("7", 2, 0), ("8", 4, 0)])
        self.refuses("22023", "lacks columns: trigger_type",
                     "SELECT * FROM upkeep.workflow_stats(group_by => 'trigger_type')")
        recent = self.rows("SELECT id, duration_ms, log_count FROM upkeep.recent_executions(of_workflow => '8',"
                           " before_started_at => '2026-05-06 01:00:00Z', before_id => 'f')")
        self.assertEqual(recent, [("e", None, None), ("d", -600000.0, None), ("c", None, None)])
        self.assertEqual(self.rows("SELECT id FROM upkeep.recent_executions(with_status => 'timeout')"), [])
        self.assertEqual(self.rows("SELECT id, workflow_name, logs FROM upkeep.execution_detail('a')"), [("a", None, None)])
        self.assertEqual(self.rows("SELECT id FROM upkeep.stuck_executions"), [])
        self.rows("ALTER TABLE workflow_executions ALTER started_at TYPE date")
        self.refuses("22023", "is of type date", "SELECT * FROM upkeep.workflow_stats()")


class Executions(Sample):
    def test_pages_hold_every_execution_once_while_rows_arrive(self):
        wanted = [row[0] for row in self.rows(
            "SELECT id::text FROM workflow_executions WHERE started_at >= '2026-06-28' ORDER BY started_at DESC, id DESC")]
        self.assertGreater(len(wanted), 200)
        found, place = [], (None, None)
        while len(found) < len(wanted):
            page = self.rows("SELECT id, started_at FROM upkeep.recent_executions(page_size => 17,"
                             " before_started_at => %s, before_id => %s)", *place)
            found += [row[0] for row in page]
            place = (page[-1][1], page[-1][0])
            self.rows("""INSERT INTO workflow_executions (workflow_id, execution_id, started_at)
                SELECT workflow_id, gen_random_uuid()::text, '2026-07-01' FROM workflow_executions LIMIT 1""")
        self.rows("DELETE FROM workflow_executions WHERE started_at = '2026-07-01'")
        self.assertEqual(found[:len(wanted)], wanted)

    def test_rows_of_equal_times_are_paged_by_id(self):
        self.rows("""CREATE SCHEMA same; CREATE TABLE same.workflow_executions AS
            SELECT * FROM workflow_executions LIMIT 10; UPDATE same.workflow_executions SET started_at = '2026-07-01';
            SET search_path = same""")
        self.addCleanup(self.rows, "RESET search_path")
        found, place = [], (None, None)
        while True:
            page = self.rows("SELECT id, started_at FROM upkeep.recent_executions(page_size => 3,"
                             " before_started_at => %s, before_id => %s)", *place)
            if not page:
                break
            found += [row[0] for row in page]
            place = (page[-1][1], page[-1][0])
        self.assertEqual(len(found), 10)
        self.assertEqual(found, sorted(found, reverse=True))

    def test_recent_executions_equal_plain_sql(self):
        name = self.value("SELECT name FROM workflows ORDER BY id LIMIT 1")
        for status in (None, "failed"):
            wanted = self.rows("""
                SELECT e.id::text, workflow_id::text, execution_id, e.status, started_at, completed_at,
                    (extract(epoch FROM completed_at - started_at) * 1000)::float8, retry_count::bigint, trigger_type,
                    error_message, (SELECT count(*) FROM execution_logs l WHERE l.execution_id = e.id),
                    (SELECT count(*) FROM execution_logs l WHERE l.execution_id = e.id AND level IN ('ERROR', 'CRITICAL'))
                FROM workflow_executions e JOIN workflows w ON w.id = e.workflow_id
                WHERE w.name = %s AND (%s IS NULL OR e.status = %s) ORDER BY started_at DESC, e.id DESC LIMIT 50""",
                               name, status, status)
            self.assertGreater(len(wanted), 20)
            self.assertEqual(self.rows("SELECT * FROM upkeep.recent_executions(%s, %s)", name, status), wanted)
            self.assertEqual(self.rows("SELECT * FROM upkeep.recent_executions(%s, %s)", wanted[0][1], status), wanted)

    def test_recent_executions_refuses(self):
        call = "SELECT * FROM upkeep.recent_executions"
        error = self.refuses("22023", 'unknown status "done"', call + "(with_status => 'done')")
        self.assertIn("pending, running, completed", error.diag.message_hint)
        for size in (0, -1, 1001):
            self.refuses("22023", "page_size must be 1 to 1000", call + "(page_size => %s)", size)
        self.refuses("22023", "page_size must not be null", call + "(page_size => NULL)")
        self.refuses("22023", "before_id needs before_started_at", call + "(before_id => 'x')")
        self.refuses("22023", "before_id cannot be an id", call + "(before_started_at => now(), before_id => 'x''y')")
        self.refuses("22023", "must be a finite time", call + "(before_started_at => 'infinity')")
        for name in ("nobody", "o'brien \\ \"ü\"", "00000000-0000-0000-0000-000000000000"):
            self.refuses("42704", "no workflow has the id or name", call + "(%s)", name)

    def test_execution_detail(self):
        for key in ("id", "execution_id"):
            wanted = self.dicts(f"SELECT *, {key}::text AS key FROM workflow_executions WHERE error_message IS NOT NULL"
                                " ORDER BY started_at LIMIT 1")[0]
            found = self.dicts("SELECT * FROM upkeep.execution_detail(%s)", wanted["key"])
            self.assertEqual(len(found), 1)
            for name in ("status", "started_at", "completed_at", "retry_count", "error_message"):
                self.assertEqual(found[0][name], wanted[name])
            logs = self.rows("""SELECT jsonb_agg(jsonb_build_object('created_at',
                    to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'level', level,
                    'message', message, 'step_name', step_name, 'metadata', log_metadata) ORDER BY created_at, id)
                FROM execution_logs WHERE execution_id = %s""", wanted["id"])[0][0]
            self.assertEqual(len(logs), 3)
            self.assertEqual(found[0]["logs"], logs)
        for unknown in ("x", "", "00000000-0000-0000-0000-000000000000", "'; DROP TABLE workflows; --"):
            self.refuses("42704", "no execution has the id or execution_id", "SELECT * FROM upkeep.execution_detail(%s)",
                         unknown)
        self.refuses("22023", "of_execution must not be null", "SELECT * FROM upkeep.execution_detail(NULL)")

    def test_an_execution_without_logs_has_an_empty_array(self):
        self.rows("BEGIN; DELETE FROM execution_logs")
        self.addCleanup(self.rows, "ROLLBACK")
        self.assertEqual(self.rows("SELECT logs FROM upkeep.execution_detail('exec-000000777')"), [([],)])

    def test_active_workflows(self):
        self.rows("BEGIN")
        self.addCleanup(self.rows, "ROLLBACK")
        self.rows("""INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at)
            SELECT id, name || n, CASE WHEN n % 3 = 0 THEN 'failed' ELSE 'running' END, now() - n * interval '7 hours'
            FROM workflows, generate_series(1, 5) AS n WHERE id::text LIKE '%%a'""".replace("%%", "%"))
        found = self.rows("SELECT * FROM upkeep.active_workflows")
        wanted = self.rows("""
            SELECT w.id::text, w.name, w.status, w.created_at,
                (SELECT count(*) FROM workflow_executions WHERE workflow_id = w.id AND started_at >= now() - interval '24 h'),
                (SELECT count(*) FROM workflow_executions WHERE workflow_id = w.id AND started_at >= now() - interval '24 h'
                    AND status = 'failed'),
                (SELECT max(started_at) FROM workflow_executions WHERE workflow_id = w.id)
            FROM workflows w WHERE status = 'active' ORDER BY created_at DESC, id DESC""")
        self.assertEqual(found, wanted)
        self.assertEqual({row[4:6] for row in found}, {(0, 0), (3, 1)})

    def test_stuck_executions(self):
        self.rows("BEGIN; DELETE FROM execution_logs; DELETE FROM workflow_executions")
        self.addCleanup(self.rows, "ROLLBACK")
        known, new = [row[0] for row in self.rows("SELECT id FROM workflows ORDER BY id LIMIT 2")]
        add = ("INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at, completed_at)"
               " SELECT %s, %s || n, %s, now() - %s::interval, now() - %s::interval + %s::interval"
               " FROM generate_series(1, %s) AS n")
        self.rows(add, known, "done", "completed", "2 days", "2 days", "40 s", 20)
        self.rows(add, known, "old", "completed", "31 days", "31 days", "9 hours", 50)  # no history any more
        self.rows(add, new, "done too", "completed", "2 days", "2 days", "1 s", 19)
        for workflow, name, status, age in ((known, "slow", "running", "82 s"), (known, "fine", "running", "70 s"),
                                            (known, "waits", "pending", "3 hours"), (new, "long", "running", "61 min"),
                                            (new, "short", "running", "59 min"), (new, "ahead", "running", "-1 hour")):
            self.rows(add, workflow, name, status, age, age, None, 1)
        found = self.dicts("SELECT s.*, e.execution_id FROM upkeep.stuck_executions s"
                           " JOIN workflow_executions e ON e.id::text = s.id ORDER BY running_ms DESC")
        self.assertEqual([row["execution_id"] for row in found], ["waits1", "long1", "slow1"])
        waits, long, slow = found
        self.assertTrue(near(slow["expected_p99_ms"], 40000))
        self.assertTrue(82000 <= slow["running_ms"] < 142000)
        self.assertRegex(slow["reason"], r"^running for 1\.\d min, more than twice the p99 of (39|40)\.\d s that 20 completed")
        self.assertRegex(waits["reason"], r"^pending for 3\.0 h")
        self.assertIsNone(long["expected_p99_ms"])
        self.assertIn("no expectation: 19 completed executions", long["reason"])
        self.rows(add, new, "one more", "completed", "2 days", "2 days", "1 s", 1)
        self.assertEqual(self.value("SELECT count(*) FROM upkeep.stuck_executions"), 4)  # short1 is above a minute

    def test_integration_stats(self):
        since, until = at("2026-06-01"), at("2026-07-01")
        found = self.dicts("SELECT * FROM upkeep.integration_stats(%s, %s)", since, until)
        wanted = self.dicts("""
            SELECT i.name AS integration, event_type, count(*) AS total, count(*) FILTER (WHERE e.status = 'pending') AS pending,
                count(*) FILTER (WHERE e.status = 'failed') AS failed,
                percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE e.status = 'completed') AS p50_ms,
                percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) FILTER (WHERE e.status = 'completed') AS p99_ms,
                extract(epoch FROM now() - min(e.created_at) FILTER (WHERE e.status = 'pending'))::float8 * 1000 AS oldest_pending_ms
            FROM (SELECT *, extract(epoch FROM processed_at - created_at)::float8 * 1000 AS ms FROM integration_events) e
            JOIN integrations i ON i.id = integration_id WHERE e.created_at >= %s AND e.created_at < %s
            GROUP BY 1, 2 ORDER BY i.name COLLATE "C", event_type COLLATE "C" """, since, until)
        self.assertEqual(len(found), len(wanted))
        self.assertTrue(any(row["pending"] for row in found))
        for got, want in zip(found, wanted):
            for name in ("integration", "event_type", "total", "pending", "failed"):
                self.assertEqual(got[name], want[name])
            self.assertTrue(near(got["p50_ms"], want["p50_ms"]) and near(got["p99_ms"], want["p99_ms"]), got)
            self.assertTrue(near(got["oldest_pending_ms"], want["oldest_pending_ms"], 1e-4), (got, want))
        self.assertEqual(self.rows("SELECT * FROM upkeep.integration_stats('2030-01-01', '2030-01-02')"), [])
        self.refuses("22023", "since must be before until", "SELECT * FROM upkeep.integration_stats(now(), now())")
        self.refuses("22023", "until must not be null", "SELECT * FROM upkeep.integration_stats(until => NULL)")


class Rights(Sample):
    CALLS = ("workflow_stats()", "active_workflows", "recent_executions()", "execution_detail('exec-000000777')",
             "stuck_executions", "integration_stats()")

    def setUp(self):
        self.rows("""DROP ROLE IF EXISTS wf_reader; CREATE ROLE wf_reader; DROP ROLE IF EXISTS wf_plain;
            CREATE ROLE wf_plain; GRANT pg_monitor TO wf_reader""")
        self.addCleanup(self.rows, "RESET ROLE; DROP OWNED BY wf_reader; DROP ROLE wf_reader; DROP ROLE wf_plain")

    def test_calls_are_for_monitors_and_run_with_the_callers_rights(self):
        for call in self.CALLS:
            self.rows("SET ROLE wf_plain")
            self.refuses("42501", "permission denied for", f"SELECT * FROM upkeep.{call}", hint=False)
            self.rows("SET ROLE wf_reader")
            self.refuses("42501", "permission denied for table", f"SELECT * FROM upkeep.{call}", hint=False)
        self.rows("RESET ROLE; GRANT SELECT ON ALL TABLES IN SCHEMA public TO wf_reader; SET ROLE wf_reader")
        for call in self.CALLS:
            self.rows(f"SELECT * FROM upkeep.{call}")
        self.rows("SET ROLE wf_plain")
        self.assertEqual(self.value("SELECT upkeep.sketch_count(upkeep.percentile_sketch(n)) FROM generate_series(1, 9) n"), 9)

    def test_row_security_counts(self):
        self.rows("""GRANT SELECT ON workflow_executions TO wf_reader;
            ALTER TABLE workflow_executions ENABLE ROW LEVEL SECURITY;
            CREATE POLICY failed_only ON workflow_executions TO wf_reader USING (status = 'failed'); SET ROLE wf_reader""")
        self.addCleanup(self.rows, "RESET ROLE; ALTER TABLE workflow_executions DISABLE ROW LEVEL SECURITY;"
                                   " DROP POLICY failed_only ON workflow_executions")
        row = self.dicts("SELECT * FROM upkeep.workflow_stats('2026-03-01', '2026-08-01', 'all')")[0]
        self.assertGreater(row["failed"], 0)
        self.assertEqual(row["total"], row["failed"])

    def test_readers_write_nothing(self):
        reader = connect(self.database)
        self.addCleanup(reader.close)
        reader.set_session(readonly=True)
        for call in self.CALLS:
            self.run_on(reader, f"SELECT * FROM upkeep.{call}")
        with self.assertRaises(psycopg2.errors.ReadOnlySqlTransaction):
            self.run_on(reader, "CREATE TABLE t (a int)")


if __name__ == "__main__":
    unittest.main()
