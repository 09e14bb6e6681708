"""Workflow statistics in SQLite against plain SQL and exact percentiles, written here from the
definitions; times in every form; sketches; bad input."""
import datetime
import json
import pathlib
import random
import sqlite3
import sys
import threading
import unittest

import host

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))
from workflow_rows import BYTES, COLUMNS, GROUPS, NUMBERS, near, percentile  # noqa: E402

SCENARIO = TOP / "tests" / "scenarios" / "autopr"
STATS = "SELECT * FROM upkeep_workflow_stats(?, ?, ?)"
STATUSES = ("pending", "running", "completed", "failed", "timeout", "cancelled")

# The keys by SQLite's own date functions; durations by julianday are milliseconds, rounded.
KEYS = {"workflow": "workflow_id", "status": "status", "trigger_type": "trigger_type",
        "hour": "strftime('%Y-%m-%dT%H:00:00Z', started_at)", "day": "strftime('%Y-%m-%d', started_at)", "all": "'all'"}
BY_HAND = """
SELECT {key}, status, strftime('%Y-%m-%dT%H:%M:%fZ', started_at), strftime('%Y-%m-%dT%H:%M:%fZ', completed_at),
    round((julianday(completed_at) - julianday(started_at)) * 86400000), retry_count
FROM workflow_executions WHERE julianday(started_at) >= julianday(?) AND julianday(started_at) < julianday(?)"""


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def sample(scale=10000):
    db = host.connect(isolation_level=None)
    db.execute("SELECT * FROM upkeep_install_workflow_schema").fetchall()
    db.execute("CREATE TEMP TABLE scenario_scale AS SELECT ? AS n", (scale,))
    db.executescript((SCENARIO / "generate.sqlite.sql").read_text())
    return db


def now(**ago):
    return iso(datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**ago))


class WorkflowCase(host.Asks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.db = sample()

    @classmethod
    def tearDownClass(cls):
        cls.db.close()

    def dicts(self, sql, *parameters):
        cursor = self.db.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def by_hand(self, since, until, group_by):
        groups = {}
        for key, status, started, completed, ms, retries in self.rows(
                BY_HAND.format(key=KEYS[group_by]), since, until):
            groups.setdefault(key, []).append((status, started, completed, ms, retries))
        for key in sorted(groups):
            rows = groups[key]
            row = dict.fromkeys(COLUMNS)
            counts = {status: sum(one[0] == status for one in rows) for status in STATUSES}
            finished = sum(counts[status] for status in STATUSES[2:])
            ms = [one[3] for one in rows if one[3] is not None and (group_by == "status" or one[0] == "completed")]
            start, end = time_of(since), time_of(until)
            if group_by in ("hour", "day"):
                bucket = time_of(key if group_by == "hour" else key + "T00:00:00Z")
                start = max(start, bucket)
                end = min(end, bucket + datetime.timedelta(**{group_by + "s": 1}))
            row.update(counts, group_key=key, total=len(rows), retries=sum(one[4] for one in rows),
                       success_ratio=counts["completed"] / finished if finished else None,
                       per_hour=len(rows) / ((end - start).total_seconds() / 3600),
                       last_started_at=max(one[1] for one in rows),
                       last_failed_at=max((one[2] for one in rows if one[0] == "failed"), default=None),
                       covered_from_at=iso(start), covered_until_at=iso(end))
            if ms:
                row.update(avg_ms=sum(ms) / len(ms), p50_ms=percentile(ms, 0.5), p95_ms=percentile(ms, 0.95),
                           p99_ms=percentile(ms, 0.99), max_ms=max(ms))
            yield row

    def agree(self, since, until, group_by):
        found = self.dicts(STATS, since, until, group_by)
        wanted = list(self.by_hand(since, until, group_by))
        self.assertEqual([row["group_key"] for row in found], [row["group_key"] for row in wanted])
        for got, want in zip(found, wanted):
            for name in COLUMNS:
                where = (group_by, got["group_key"], name, got[name], want[name])
                if name == "max_ms" and want[name] is not None:
                    self.assertTrue(want[name] <= got[name] <= want[name] * 1.016, where)
                elif name in ("avg_ms", "per_hour", "success_ratio"):
                    self.assertTrue(near(got[name], want[name], 1e-9), where)
                elif name.endswith("_ms"):
                    self.assertTrue(near(got[name], want[name]), where)
                else:
                    self.assertEqual(got[name], want[name], where)
        return found


class StatisticsTest(WorkflowCase):
    def test_every_group_by_equals_plain_sql(self):
        for group_by in GROUPS:
            with self.subTest(group_by):
                found = self.agree("2026-03-01T00:00:00Z", "2026-08-01T00:00:00Z", group_by)
                self.assertEqual(sum(row["total"] for row in found), 10000)
                with_cuts = self.agree("2026-05-01T10:17:33.250Z", "2026-05-08T03:59:59.999Z", group_by)
                self.assertTrue(with_cuts)

    def test_edges_of_the_window(self):
        first, second = [row[0] for row in self.rows(
            "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', started_at) FROM workflow_executions ORDER BY started_at LIMIT 2 OFFSET 500")]
        micro = datetime.timedelta(microseconds=1)
        later = lambda text: (time_of(text) + micro).isoformat()
        for since, until, total in ((first, later(first), 1), (later(first), second, 0), (first, second, 1),
                                    (first, later(second), 2)):
            self.assertEqual([row["total"] for row in self.dicts(STATS, since, until, "all")], [total], (since, until))

    def test_window_without_rows(self):
        for group_by in GROUPS:
            found = self.dicts(STATS, "2030-01-01", "2030-01-02", group_by)
            self.assertEqual([row["total"] for row in found], [0] if group_by == "all" else [])
        self.assertIsNone(found[0]["p50_ms"] or found[0]["success_ratio"] or found[0]["last_started_at"])
        self.assertEqual(self.dicts(STATS, "0000-01-01", "9999-12-31", "all")[0]["total"], 10000)

    def test_parameters_by_name_and_defaults(self):
        self.assertEqual(self.rows("SELECT total FROM upkeep_workflow_stats WHERE since = '2026-03-01' AND until ="
                                   " '2026-08-01' AND group_by = 'all' AND executions = 'workflow_executions'"), [(10000,)])
        self.assertEqual(self.rows("SELECT total, round(per_hour, 9) FROM upkeep_workflow_stats WHERE group_by = 'all'"), [(0, 0.0)])
        from_at, until_at = self.rows("SELECT covered_from_at, covered_until_at FROM upkeep_workflow_stats"
                                      " WHERE group_by = 'all'")[0]
        hours = (time_of(until_at) - time_of(from_at)).total_seconds() / 3600
        self.assertAlmostEqual(hours, 24, 4)

    def test_bad_input(self):
        self.refuses('unknown group_by "week" (hint: group_by is one of workflow, status', STATS, "2026-01-01", "2026-02-01", "week")
        self.refuses("since must be before until", STATS, "2026-02-01", "2026-02-01", "all")
        self.refuses("since must not be null", STATS, None, "2026-02-01", "all")
        self.refuses("until must not be null", STATS, "2026-02-01", None, "all")
        self.refuses("group_by must not be null", STATS, "2026-01-01", "2026-02-01", None)
        for text in ("yesterday-ish", "2026-02-32", "2026-13-01", "2026-01-01 25:00", "2026-01-01 10:00+99:00", "", "infinity"):
            self.refuses("since must be a time", STATS, text, "2026-02-01", "all")
        for name in ("nowhere", "main.nowhere", "nowhere.workflow_executions", "a.b.c", "'; --", '"'):
            self.refuses("there is no table", "SELECT * FROM upkeep_workflow_stats WHERE executions = ?", name)
        self.refuses("lacks columns: started_at", "SELECT * FROM upkeep_workflow_stats WHERE executions = 'workflows'")

    def test_a_million_rows_take_seconds(self):
        db = host.connect()
        self.addCleanup(db.close)
        db.execute("CREATE TABLE workflow_executions (workflow_id TEXT, status TEXT, started_at TEXT, completed_at TEXT)")
        db.execute("""WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000000)
            INSERT INTO workflow_executions SELECT 'w' || (n % 500), 'completed', '2026-05-05 12:00:' || printf('%02d', n % 60),
                '2026-05-05 12:10:' || printf('%02d.%03d', n % 60, n % 1000) FROM n""")
        start = datetime.datetime.now()
        rows = db.execute("SELECT total FROM upkeep_workflow_stats('2026-05-01', '2026-06-01')").fetchall()
        self.assertEqual(rows, [(2000,)] * 500)
        self.assertLess((datetime.datetime.now() - start).total_seconds(), 20)


class FormsTest(host.Asks, unittest.TestCase):
    """Tables and times that were not written by us."""

    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)

    def make(self, *rows, table="workflow_executions", types=("", "", "")):
        self.db.execute(f"CREATE TABLE {table} (id, workflow_id, status, started_at {types[0]}, completed_at {types[1]})")
        self.db.executemany(f"INSERT INTO {table} VALUES (?, 'w', ?, ?, ?)",
                            [(str(i), *row) for i, row in enumerate(rows)])

    def test_every_form_of_a_time(self):
        self.make(("completed", "2026-05-05 12:00:00", "2026-05-05T12:00:01Z"),
                  ("completed", "2026-05-05T14:00:00+02:00", "2026-05-05 12:00:01.000000"),
                  ("completed", "2026-05-04 22:00:00-1400", "2026-05-05 13:00:01 +01:00"),
                  ("completed", "2026-05-06T01:59:59.999999+1400", "2026-05-05T12:00:00.999999"),
                  ("completed", "2026-05-05 12:00", "2026-05-05 12:00:01"), types=("DATETIME", "TIMESTAMP", ""))
        found = self.rows("SELECT group_key, total, avg_ms, last_started_at FROM upkeep_workflow_stats('2026-05-05 11:59:59Z',"
                          " '2026-05-05 12:00:00.000001', 'hour')")
        self.assertEqual(found, [("2026-05-05T11:00:00Z", 1, 1000.0, "2026-05-05T11:59:59.999999Z"),
                                 ("2026-05-05T12:00:00Z", 4, 1000.0, "2026-05-05T12:00:00.000Z")])

    def test_what_is_no_time_is_an_error(self):
        self.make(("completed", "2026-05-05 12:00:00", "soon"))
        self.refuses('completed_at of workflow_executions holds what is no time: "soon"', STATS, "2026-05-01", "2026-06-01", "all")
        self.db.execute("UPDATE workflow_executions SET completed_at = NULL, started_at = '2026-05-05 12'")
        self.refuses("started_at of workflow_executions holds what is no time", STATS, "2026-05-01", "2026-06-01", "all")
        self.db.execute("UPDATE workflow_executions SET started_at = 1777982400")
        self.refuses("started_at of workflow_executions holds numbers", STATS, "2026-05-01", "2026-06-01", "all")
        self.refuses("started_at of workflow_executions holds numbers", "SELECT * FROM upkeep_recent_executions")
        self.db.execute("CREATE VIEW seen AS SELECT id, workflow_id, status, datetime(started_at, 'unixepoch') AS started_at"
                        " FROM workflow_executions")
        self.assertEqual(self.rows("SELECT total FROM upkeep_workflow_stats('2026-05-01', '2026-06-01', 'all', 'seen')"), [(1,)])

    def test_odd_rows(self):
        self.make(("completed", "2026-05-05 12:00:00", None), ("completed", "2026-05-05 12:00:00", "2026-05-05 11:00:00"),
                  (None, "2026-05-05 12:00:00", None), ("sleeping", "2026-05-05 12:00:00", None),
                  ("failed", "2026-05-05 12:00:00", None), ("running", None, None))
        row = self.rows("SELECT total, completed, failed, avg_ms, p99_ms, last_failed_at, retries FROM"
                        " upkeep_workflow_stats('2026-05-01', '2026-06-01', 'all')")[0]
        self.assertEqual(row, (5, 2, 1, 0.0, 0.0, "2026-05-05T12:00:00.000Z", 0))
        self.assertEqual(self.rows("SELECT group_key, total FROM upkeep_workflow_stats('2026-05-01', '2026-06-01', 'status')"),
                         [("completed", 2), ("failed", 1), ("sleeping", 1), (None, 1)])
        self.refuses("lacks columns: trigger_type", STATS, "2026-05-01", "2026-06-01", "trigger_type")

    def test_names_and_databases(self):
        self.make(("failed", "2026-05-05 12:00:00", None), table='"odd.näme ""x"""')
        self.db.execute("ATTACH ':memory:' AS 'other one'")
        self.make(("failed", "2026-05-05 12:00:00", None), ("failed", "2026-05-05 12:00:00", None),
                  table="'other one'.workflow_executions")
        total = "SELECT total FROM upkeep_workflow_stats('2026-05-01', '2026-06-01', 'all', ?)"
        for name, wanted in ((None, 2), ('odd.näme "x"', 1), ('main."odd.näme ""x"""', 1), ('"odd.näme ""x"""', 1),
                             ("other one.workflow_executions", 2), ('"other one".WORKFLOW_EXECUTIONS', 2)):
            self.assertEqual(self.rows(total, name), [(wanted,)], name)

    def test_profile_guide(self):
        self.rows("SELECT * FROM upkeep_install_workflow_schema('main', 'guide')")
        self.db.executescript("""INSERT INTO workflows (id, name) VALUES ('w1', 'übung "1"');
            INSERT INTO workflow_executions (id, workflow_id, execution_id, status, started_at, completed_at)
                VALUES ('x', 'w1', 'e5', 'failed', '2026-05-05 12:00:00.000', '2026-05-05 12:00:05.000');
            INSERT INTO execution_logs (id, execution_id, level, message, metadata, timestamp) VALUES
                ('2', 'x', 'ERROR', 'zweite', '{"k": 1}', '2026-05-05T12:00:02+00:00'), ('1', 'x', 'INFO', 'erste', NULL, '2026-05-05 12:00:01.000');
            INSERT INTO integrations (id, name, type) VALUES ('g', 'github', 'github');""")
        self.db.execute("INSERT INTO integration_events (integration_id, event_type, status, processed_at, timestamp)"
                        " VALUES ('g', 'push', 'completed', ?, ?)", (now(seconds=57), now(seconds=60)))
        recent = self.rows("SELECT execution_id, duration_ms, log_count, error_log_count FROM upkeep_recent_executions('übung \"1\"')")
        self.assertEqual(recent, [("e5", 5000.0, 2, 1)])
        logs = json.loads(self.value("SELECT logs FROM upkeep_execution_detail('e5')"))
        self.assertEqual([(line["created_at"], line["message"], line["metadata"]) for line in logs],
                         [("2026-05-05T12:00:01.000Z", "erste", None), ("2026-05-05T12:00:02.000Z", "zweite", {"k": 1})])
        name, kind, total, p50 = self.rows("SELECT integration, event_type, total, p50_ms FROM upkeep_integration_stats")[0]
        self.assertEqual((name, kind, total), ("github", "push", 1))
        self.assertTrue(near(p50, 3000))

    def test_no_tables(self):
        for call in ("workflow_stats", "active_workflows", "recent_executions", "execution_detail('x')", "stuck_executions",
                     "integration_stats"):
            self.refuses("there is no table", f"SELECT * FROM upkeep_{call}")
            self.refuses("upkeep_install_workflow_schema()", f"SELECT * FROM upkeep_{call}")

    def test_pages_by_true_time_where_forms_are_mixed(self):
        chooser = random.Random(5)
        moments = [datetime.datetime(2026, 5, 5, 12, tzinfo=datetime.timezone.utc) + datetime.timedelta(minutes=7 * i // 2)
                   for i in range(600)]
        rows = []
        for moment in moments:
            zone = datetime.timezone(datetime.timedelta(hours=chooser.randint(-12, 14)))
            local = moment.astimezone(zone)
            rows.append(("completed", chooser.choice((local.isoformat(), moment.strftime("%Y-%m-%d %H:%M:%S"),
                                                      moment.strftime("%Y-%m-%dT%H:%M:%SZ"))), None))
        chooser.shuffle(rows)
        self.make(*rows)
        found, place = [], (None, None)
        while True:
            page = self.rows("SELECT id, started_at FROM upkeep_recent_executions WHERE page_size = 23 AND"
                             " before_started_at = ? AND before_id = ?", *place)
            if not page:
                break
            found += page
            place = (page[-1][1], page[-1][0])
        self.assertEqual(len(found), 600)
        self.assertEqual(found, sorted(found, key=lambda row: (row[1], row[0]), reverse=True))
        self.assertEqual(sorted(row[1] for row in found), sorted(iso(moment) for moment in moments))


class ExecutionsTest(WorkflowCase):
    def test_pages_hold_every_execution_once(self):
        wanted = [row[0] for row in self.rows("SELECT id FROM workflow_executions WHERE started_at >= '2026-06-28'"
                                              " ORDER BY started_at DESC, id DESC")]
        found, place = [], (None, None)
        while len(found) < len(wanted):
            page = self.rows("SELECT id, started_at FROM upkeep_recent_executions WHERE page_size = 17 AND"
                             " before_started_at = ? AND before_id = ?", *place)
            found += [row[0] for row in page]
            place = (page[-1][1], page[-1][0])
        self.assertEqual(found[:len(wanted)], wanted)

    def test_recent_executions_equal_plain_sql(self):
        name = self.value("SELECT name FROM workflows ORDER BY id LIMIT 1")
        for status in (None, "failed"):
            wanted = self.rows("""
                SELECT e.id, workflow_id, execution_id, e.status, strftime('%Y-%m-%dT%H:%M:%fZ', started_at),
                    strftime('%Y-%m-%dT%H:%M:%fZ', completed_at),
                    round((julianday(completed_at) - julianday(started_at)) * 86400000), retry_count, trigger_type, error_message,
                    (SELECT count(*) FROM execution_logs l WHERE l.execution_id = e.id),
                    (SELECT count(*) FROM execution_logs l WHERE l.execution_id = e.id AND level IN ('ERROR', 'CRITICAL'))
                FROM workflow_executions e JOIN workflows w ON w.id = e.workflow_id
                WHERE w.name = ?1 AND e.status = coalesce(?2, e.status) ORDER BY started_at DESC, e.id DESC LIMIT 50""",
                               name, status)
            self.assertGreater(len(wanted), 20)
            self.assertEqual(self.rows("SELECT * FROM upkeep_recent_executions(?, ?)", name, status), wanted)
            self.assertEqual(self.rows("SELECT * FROM upkeep_recent_executions(?, ?)", wanted[0][1], status), wanted)

    def test_recent_executions_refuses(self):
        call = "SELECT * FROM upkeep_recent_executions WHERE "
        self.refuses('unknown status "done" (hint: with_status is one of pending, running', call + "with_status = 'done'")
        for size in (0, -1, 1001):
            self.refuses("page_size must be 1 to 1000", call + "page_size = ?", size)
        self.refuses("page_size must not be null", "SELECT * FROM upkeep_recent_executions(NULL, NULL, NULL)")
        self.refuses("page_size must be an integer", call + "page_size = 'many'")
        self.refuses("before_id needs before_started_at", call + "before_id = 'x'")
        self.refuses("before_started_at must be a time", call + "before_started_at = 'x'")
        for name in ("nobody", "o'brien \\ \"ü\"", "00000000-0000-0000-0000-000000000000"):
            self.refuses("no workflow has the id or name", call + "of_workflow = ?", name)

    def test_execution_detail(self):
        wanted = self.dicts("SELECT e.*, w.name FROM workflow_executions e JOIN workflows w ON w.id = workflow_id"
                            " WHERE error_message IS NOT NULL ORDER BY started_at LIMIT 1")[0]
        for key in (wanted["id"], wanted["execution_id"]):
            found = self.dicts("SELECT * FROM upkeep_execution_detail(?)", key)
            self.assertEqual(len(found), 1)
            self.assertEqual([found[0][name] for name in ("id", "workflow_name", "status", "retry_count", "error_message")],
                             [wanted[name] for name in ("id", "name", "status", "retry_count", "error_message")])
            logs = [{"created_at": at, "level": level, "message": message, "step_name": step,
                     "metadata": json.loads(metadata) if metadata else None}
                    for at, level, message, step, metadata in self.rows(
                        "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', created_at), level, message, step_name, log_metadata"
                        " FROM execution_logs WHERE execution_id = ? ORDER BY created_at, id", wanted["id"])]
            self.assertEqual(len(logs), 3)
            self.assertEqual(json.loads(found[0]["logs"]), logs)
        for unknown in ("x", "", "'; DROP TABLE workflows; --"):
            self.refuses("no execution has the id or execution_id", "SELECT * FROM upkeep_execution_detail(?)", unknown)
        self.refuses("of_execution must not be null", "SELECT * FROM upkeep_execution_detail(NULL)")
        self.refuses("needs the argument of_execution", "SELECT * FROM upkeep_execution_detail")

    def test_active_workflows(self):
        self.db.execute("BEGIN")
        self.addCleanup(self.db.execute, "ROLLBACK")
        names = [row[0] for row in self.rows("SELECT id FROM workflows WHERE id LIKE '%a'")]
        for number, workflow in enumerate(names):
            for n in range(1, 6):
                self.db.execute("INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at) VALUES (?, ?, ?, ?)",
                                (workflow, f"{number} {n}", "failed" if n % 3 == 0 else "running", now(hours=7 * n)))
        found = self.rows("SELECT * FROM upkeep_active_workflows")
        wanted = self.rows("""
            SELECT id, name, status, strftime('%Y-%m-%dT%H:%M:%fZ', created_at),
                (SELECT count(*) FROM workflow_executions WHERE workflow_id = w.id AND julianday(started_at) >= julianday('now') - 1),
                (SELECT count(*) FROM workflow_executions WHERE workflow_id = w.id AND julianday(started_at) >= julianday('now') - 1
                    AND status = 'failed'),
                (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', max(julianday(started_at))) FROM workflow_executions WHERE workflow_id = w.id)
            FROM workflows w WHERE status = 'active' ORDER BY created_at DESC, id DESC""")
        self.assertEqual([row[:6] for row in found], [row[:6] for row in wanted])
        for got, want in zip(found, wanted):  # julianday is not exact to the millisecond
            self.assertLess(abs((time_of(got[6]) - time_of(want[6])).total_seconds()), 0.002)
        self.assertEqual({row[4:6] for row in found}, {(0, 0), (3, 1)})

    def test_stuck_executions(self):
        self.db.executescript("BEGIN; DELETE FROM execution_logs; DELETE FROM workflow_executions")
        self.addCleanup(self.db.execute, "ROLLBACK")
        known, new = [row[0] for row in self.rows("SELECT id FROM workflows ORDER BY id LIMIT 2")]

        def add(workflow, name, status, started, completed=None, times=1):
            for n in range(times):
                self.db.execute("INSERT INTO workflow_executions (workflow_id, execution_id, status, started_at, completed_at)"
                                " VALUES (?, ?, ?, ?, ?)", (workflow, f"{name}{n}", status, started, completed))

        base = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=2)
        add(known, "done", "completed", iso(base), iso(base + datetime.timedelta(seconds=40)), 20)
        old = base - datetime.timedelta(days=29)
        add(known, "old", "completed", iso(old), iso(old + datetime.timedelta(hours=9)), 50)
        add(new, "done too", "completed", iso(base), iso(base + datetime.timedelta(seconds=1)), 19)
        for workflow, name, status, age in ((known, "slow", "running", {"seconds": 82}), (known, "fine", "running", {"seconds": 70}),
                                            (known, "waits", "pending", {"hours": 3}), (new, "long", "running", {"minutes": 61}),
                                            (new, "short", "running", {"minutes": 59}), (new, "ahead", "running", {"hours": -1})):
            add(workflow, name, status, now(**age))
        found = self.dicts("SELECT s.*, e.execution_id FROM upkeep_stuck_executions s JOIN workflow_executions e ON e.id = s.id"
                           " ORDER BY running_ms DESC")
        self.assertEqual([row["execution_id"] for row in found], ["waits0", "long0", "slow0"])
        waits, long, slow = found
        self.assertTrue(near(slow["expected_p99_ms"], 40000))
        self.assertTrue(82000 <= slow["running_ms"] < 142000)
        self.assertRegex(slow["reason"], r"^running for 1\.\d min, more than twice the p99 of (39|40)\.\d s that 20 completed")
        self.assertRegex(waits["reason"], r"^pending for 3\.0 h")
        self.assertIsNone(long["expected_p99_ms"])
        self.assertIn("no expectation: 19 completed executions", long["reason"])

    def test_integration_stats(self):
        found = self.dicts("SELECT * FROM upkeep_integration_stats('2026-06-01', '2026-07-01')")
        groups = {}
        for name, kind, status, ms, age in self.rows("""
                SELECT i.name, event_type, e.status, round((julianday(processed_at) - julianday(e.created_at)) * 86400000),
                    (julianday('now') - julianday(e.created_at)) * 86400000
                FROM integration_events e JOIN integrations i ON i.id = integration_id
                WHERE e.created_at >= '2026-06-01' AND e.created_at < '2026-07-01'"""):
            groups.setdefault((name, kind), []).append((status, ms, age))
        self.assertEqual([(row["integration"], row["event_type"]) for row in found], sorted(groups))
        self.assertTrue(any(row["pending"] for row in found))
        for row in found:
            events = groups[row["integration"], row["event_type"]]
            self.assertEqual([row["total"], row["pending"], row["failed"]],
                             [len(events), *(sum(one[0] == status for one in events) for status in ("pending", "failed"))])
            done = [one[1] for one in events if one[0] == "completed"]
            self.assertTrue(near(row["p50_ms"], percentile(done, 0.5)) and near(row["p99_ms"], percentile(done, 0.99)), row)
            oldest = max((one[2] for one in events if one[0] == "pending"), default=None)
            self.assertTrue(near(row["oldest_pending_ms"], oldest, 1e-4), row)
        self.assertEqual(self.rows("SELECT * FROM upkeep_integration_stats('2030-01-01', '2030-01-02')"), [])
        self.refuses("since must be before until", "SELECT * FROM upkeep_integration_stats('2026-02-01', '2026-01-01')")


class SketchTest(host.Asks, unittest.TestCase):
    def setUp(self):
        self.db = host.connect(isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("CREATE TABLE m (n INTEGER PRIMARY KEY, part INTEGER, v REAL)")
        self.db.executemany("INSERT INTO m VALUES (?, ?, ?)", [
            (n, n % 7, 1.0004 ** (n * 7919 % 20000) if n % 50 else None) for n in range(1, 6001)])

    def sketch(self, numbers):
        self.db.execute("CREATE TEMP TABLE IF NOT EXISTS numbers (x REAL)")
        self.db.execute("DELETE FROM numbers")
        self.db.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in numbers])
        return self.value("SELECT upkeep_percentile_sketch(x) FROM numbers")

    def test_bytes_are_for_ever(self):
        self.assertEqual(self.sketch(NUMBERS).hex(), BYTES)
        self.assertEqual(self.sketch(reversed(NUMBERS)).hex(), BYTES)
        self.assertEqual(self.value(f"SELECT upkeep_sketch_count(x'{BYTES}')"), len(NUMBERS))
        self.assertEqual(self.value("SELECT typeof(upkeep_percentile_sketch(v)) FROM m"), "blob")

    def test_percentiles_are_near_and_merging_is_exact(self):
        values = [row[0] for row in self.rows("SELECT v FROM m WHERE v IS NOT NULL")]
        for q in (0, 0.01, 0.25, 0.5, 0.95, 0.99, 1):
            found = self.value("SELECT upkeep_sketch_quantile(upkeep_percentile_sketch(v), ?) FROM m", q)
            self.assertTrue(near(found, percentile(values, q), 0.016), q)
        whole = self.value("SELECT upkeep_percentile_sketch(v) FROM m")
        merged = self.value("SELECT upkeep_merge_sketches(s) FROM (SELECT upkeep_percentile_sketch(v) AS s FROM m GROUP BY part)")
        self.assertEqual(merged, whole)
        self.assertEqual(self.value("SELECT upkeep_sketch_count(?)", whole), len(values))

    def test_nulls_and_nothing(self):
        for sql in ("upkeep_percentile_sketch(v) FROM m WHERE 0", "upkeep_percentile_sketch(v) FROM m WHERE v IS NULL",
                    "upkeep_merge_sketches(NULL) FROM m", "upkeep_merge_sketches(v) FROM m WHERE 0",
                    "upkeep_sketch_quantile(NULL, 0.5)", "upkeep_sketch_count(NULL)",
                    "upkeep_sketch_quantile(upkeep_percentile_sketch(v), NULL) FROM m"):
            self.assertIsNone(self.value("SELECT " + sql), sql)
        self.assertEqual(self.rows("SELECT upkeep_sketch_count(x'5501000000'), upkeep_sketch_quantile(x'5501000000', 0.5),"
                                   " upkeep_sketch_count(upkeep_merge_sketches(x'5501000000'))"), [(0, None, 0)])

    def test_moving_frames_equal_fresh_sketches(self):
        rows = self.rows("SELECT n, v FROM m WHERE n BETWEEN 30 AND 330 ORDER BY n")
        for frame, low, high in (("3 PRECEDING AND CURRENT ROW", -3, 0), ("2 FOLLOWING AND 5 FOLLOWING", 2, 5),
                                 ("UNBOUNDED PRECEDING AND CURRENT ROW", -1000, 0)):
            for call in ("upkeep_percentile_sketch(v)", "upkeep_merge_sketches(s)"):
                moving = self.rows(f"SELECT {call} OVER (ORDER BY n ROWS BETWEEN {frame}) FROM (SELECT n, v,"
                                   " upkeep_percentile_sketch(v) AS s FROM m WHERE n BETWEEN 30 AND 330 GROUP BY n)")
                for i, (found,) in enumerate(moving):
                    members = [v for _, v in rows[max(0, i + low):max(0, i + high + 1)] if v is not None]
                    self.assertEqual(found, self.sketch(members) if members else None, (frame, call, i))

    def test_bad_values(self):
        for number in ("-1", "-0.0001", "9e999", "-9e999", "144115188075856", "1e300"):
            self.refuses("a sketch holds numbers from 0", f"SELECT upkeep_percentile_sketch({number})")
        self.refuses("value must be a number", "SELECT upkeep_percentile_sketch('12')")
        self.refuses("value must not be a blob", "SELECT upkeep_percentile_sketch(x'12')")
        self.refuses("sketch must be a sketch", "SELECT upkeep_merge_sketches('55')")
        self.refuses("sketch must be a sketch", "SELECT upkeep_sketch_count(55)")
        for q in ("-0.1", "1.1", "9e999"):
            self.refuses("q must be between 0 and 1", f"SELECT upkeep_sketch_quantile(x'{BYTES}', {q})")
        self.refuses("wrong number of arguments", "SELECT upkeep_percentile_sketch(1, 2)")
        full = "5501" + "ffffffffffffffff7f" + "00" + "01" + "00" + "ffffffffffffffff7f"
        self.refuses("more values than a bigint counts",
                     f"SELECT upkeep_merge_sketches(s) FROM (SELECT x'{full}' AS s UNION ALL SELECT x'{full}')")

    def test_errors_in_a_frame_free_what_was_made(self):
        for _ in range(200):
            self.refuses("a sketch holds", "SELECT upkeep_percentile_sketch(5990 - n) OVER (ORDER BY n ROWS 5 PRECEDING) FROM m")
        self.assertEqual(self.value("SELECT upkeep_sketch_count(upkeep_percentile_sketch(n)) FROM m"), 6000)

    def test_hostile_bytes_are_refused_and_never_crash(self):
        chooser = random.Random(11)
        whole = bytes.fromhex(BYTES)
        for blob in (b"", b"U", b"U\1", b"U\2\0\0\0", b"V\1\0\0\0", b"hello"):
            self.refuses("sketch", "SELECT upkeep_sketch_count(?)", blob)
        for _ in range(3000):
            damaged = bytearray(whole)
            for _ in range(chooser.randint(1, 3)):
                damaged[chooser.randrange(len(damaged))] = chooser.randrange(256)
            damaged = bytes(damaged[:chooser.randint(1, len(damaged))] if chooser.random() < 0.3 else damaged)
            try:
                back = self.value("SELECT upkeep_merge_sketches(?)", damaged)
                self.assertEqual(back, damaged)
            except sqlite3.Error as error:
                self.assertIn("(hint: ", str(error))

    def test_results_of_a_connection_do_not_reach_another(self):
        found = []

        def work(seed):
            db = host.connect()
            for _ in range(20):
                found.append((seed, db.execute("WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500)"
                                               " SELECT upkeep_sketch_count(upkeep_percentile_sketch(n)) FROM n WHERE n > ?",
                                               (seed,)).fetchone()[0]))
            db.close()

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(set(found)), [(seed, 500 - seed) for seed in range(4)])


if __name__ == "__main__":
    unittest.main()
