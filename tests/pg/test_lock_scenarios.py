# cluster: max_prepared_transactions=4
# cluster: max_parallel_workers_per_gather=2
"""lock_tree on scripted scenarios of two to six real sessions.

Oracle of each: pg_blocking_pids of every session, from which depth and paths are worked out here once more by plain recursion,
pg_locks.waitstart before and after, and what becomes of the sessions when the advice of the row is followed.
"""
import os
import unittest

from sessions_base import APP, SessionsTest, connect, set_up

WAIT = "wait: ends with its blocker"
BLOCKERS = """SELECT coalesce(leader_pid, pid) AS pid, array_agg(DISTINCT b) AS blockers
    FROM pg_stat_activity, unnest(pg_blocking_pids(pid)) b GROUP BY 1"""
WAITS = """SELECT coalesce(a.leader_pid, a.pid) AS pid, max(extract(epoch FROM clock_timestamp() - l.waitstart) * 1000) AS ms
    FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted GROUP BY 1"""


def setUpModule():
    set_up()
    db = connect()
    with db.cursor() as cursor:
        if os.environ.get("UPKEEP_GUARD_TEST"):
            cursor.execute("CREATE EXTENSION upkeep_guard_test")
        cursor.execute("CREATE TABLE gate (x int); GRANT ALL ON gate TO PUBLIC;"
                       "CREATE TABLE crowd AS SELECT i AS x FROM generate_series(1, 20000) i; GRANT ALL ON crowd TO PUBLIC;"
                       "CREATE TABLE growing (x int); GRANT ALL ON growing TO PUBLIC")
        cursor.execute("CREATE FUNCTION passes(x int) RETURNS int LANGUAGE plpgsql PARALLEL SAFE STABLE AS"
                       " 'BEGIN PERFORM 1 FROM public.gate; RETURN x; END'")
    db.close()


class Scenarios(SessionsTest):
    def session(self, sql=None, user=APP, **options):
        """A session in a transaction, idle after `sql`."""
        db = self.open(user, **options)
        db.autocommit = False
        self.do(db, sql or "SELECT 1")
        self.wait_state(db, "idle in transaction")
        return db

    def waits(self, db, sql):
        """Lets `db` run `sql`, which has to wait for a lock."""
        started = self.start(db, sql)
        self.wait_for("SELECT 1 FROM pg_stat_activity WHERE coalesce(leader_pid, pid) = %s"
                      " AND cardinality(pg_blocking_pids(pid)) > 0 AND EXISTS"
                      " (SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.waitstart IS NOT NULL)",
                      db.info.backend_pid)
        return started

    def tree(self):
        """The rows by pid, after each was compared with what the server says."""
        blockers = {row["pid"]: sorted(set(row["blockers"]) - {row["pid"]}) for row in self.rows(BLOCKERS)}
        before = {row["pid"]: float(row["ms"]) for row in self.rows(WAITS)}
        rows = self.rows("SELECT * FROM upkeep.lock_tree")
        after = {row["pid"]: float(row["ms"]) for row in self.rows(WAITS)}
        self.assertEqual({row["pid"] for row in rows}, set(blockers) | {pid for some in blockers.values() for pid in some})
        in_cycle = {pid for pid in blockers if pid in self.above(pid, blockers)}
        for row in rows:
            pid = row["pid"]
            self.assertEqual(row["blocked_by"], blockers.get(pid, []))
            self.assertEqual((row["path"][0], row["path"][-1], len(row["path"])), (row["root_pid"], pid, row["depth"] + 1))
            for parent, child in zip(row["path"], row["path"][1:]):
                self.assertIn(parent, blockers[child])
            if not in_cycle:
                self.assertEqual(row["depth"], self.depth(pid, blockers))
            if pid in before:
                self.assertLessEqual(before[pid], row["waits_ms"] + 1)
                self.assertLessEqual(row["waits_ms"], after[pid] + 1)
            else:
                self.assertIsNone(row["waits_ms"])
        return {row["pid"]: row for row in rows}

    def depth(self, pid, blockers):
        return 1 + max(self.depth(one, blockers) for one in blockers[pid]) if blockers.get(pid) else 0

    @staticmethod
    def above(pid, blockers):
        seen, wanted = set(), [pid]
        while wanted:
            for one in blockers.get(wanted.pop(), []):
                if one not in seen:
                    seen.add(one)
                    wanted.append(one)
        return seen

    def shape(self, tree, *dbs):
        return [tree[db.info.backend_pid]["depth"] for db in dbs]

    def follow(self, action, wanted):
        """Runs the call that an advice ends with."""
        self.assertEqual(self.rows(action[action.index("SELECT * FROM upkeep.end_session"):])[0]["action"], wanted)

    def test_chain_of_six_ends_from_its_root(self):
        dbs = [self.session(f"UPDATE t SET x = 0 WHERE id = {i}") for i in range(1, 7)]
        for i in range(1, 6):
            self.waits(dbs[i], f"UPDATE t SET x = 0 WHERE id = {i}")
        tree = self.tree()
        self.assertEqual(self.shape(tree, *dbs), list(range(6)))
        pids = [db.info.backend_pid for db in dbs]
        self.assertEqual(tree[pids[5]]["path"], pids)
        self.assertEqual({row["root_pid"] for row in tree.values()}, {pids[0]})
        self.assertEqual([tree[pid]["suggested_action"] for pid in pids[1:]], [WAIT] * 5)
        root = tree[pids[0]]["suggested_action"]
        self.assertLess(root.index('ALTER ROLE "app ""é" SET idle_in_transaction_session_timeout'), root.index("end it"))
        self.follow(root, "ended")
        self.wait_for("SELECT 1 WHERE NOT EXISTS (SELECT FROM upkeep.lock_tree WHERE depth = 5)")
        self.assertEqual(self.shape(self.tree(), *dbs[1:]), list(range(5)))

    def test_fan(self):
        root = self.session("UPDATE t SET x = 0 WHERE id IN (1, 2, 3, 4)")
        waiters = [self.session() for _ in range(4)]
        for i, db in enumerate(waiters):
            self.waits(db, f"UPDATE t SET x = 1 WHERE id = {i + 1}")
        tree = self.tree()
        self.assertEqual(self.shape(tree, root, *waiters), [0, 1, 1, 1, 1])
        counts = {row["pid"]: row["blocks_count"] for row in self.rows("SELECT pid, blocks_count FROM upkeep.connections")}
        self.assertEqual(counts[root.info.backend_pid], 4)

    def test_queue_for_one_row(self):
        root = self.session("UPDATE t SET x = 0 WHERE id = 1")
        waiters = [self.session() for _ in range(4)]
        for db in waiters:
            self.waits(db, "UPDATE t SET x = 1 WHERE id = 1")
        tree = self.tree()
        self.assertEqual(self.shape(tree, root, *waiters), [0, 1, 2, 3, 4])  # each behind all before it
        self.assertEqual({row["relation"] for row in tree.values()}, {None, "public.t"})

    def test_a_waiter_for_a_table_blocks_those_behind_it(self):
        reader = self.session("SELECT * FROM gate")
        change = self.session()
        self.waits(change, "LOCK TABLE gate IN ACCESS EXCLUSIVE MODE")
        later = [self.session() for _ in range(2)]
        for db in later:
            self.waits(db, "SELECT * FROM gate")
        tree = self.tree()
        self.assertEqual(self.shape(tree, reader, change, *later), [0, 1, 2, 2])
        self.assertEqual(tree[change.info.backend_pid]["mode"], "AccessExclusiveLock")
        self.assertEqual(tree[later[0].info.backend_pid]["relation"], "public.gate")

    def test_waiting_for_two_at_once(self):
        holders = sorted((self.session("SELECT * FROM gate") for _ in range(2)), key=lambda db: db.info.backend_pid)
        waiter = self.session()
        self.waits(waiter, "LOCK TABLE gate IN ACCESS EXCLUSIVE MODE")
        tree = self.tree()
        self.assertEqual(self.shape(tree, *holders, waiter), [0, 0, 1])
        self.assertEqual(tree[waiter.info.backend_pid]["path"][0], holders[0].info.backend_pid)

    def test_deadlock_in_waiting(self):
        patient = "SET deadlock_timeout = '60s'; UPDATE t SET x = 0 WHERE id = "
        a, b = (self.session(patient + str(i), user="postgres") for i in (1, 2))
        c = self.session()
        self.waits(a, "UPDATE t SET x = 1 WHERE id = 2")
        self.start(b, "UPDATE t SET x = 1 WHERE id = 1")
        self.wait_for("SELECT 1 WHERE cardinality(pg_blocking_pids(%s)) > 0", b.info.backend_pid)
        self.waits(c, "UPDATE t SET x = 1 WHERE id = 1")
        tree = self.tree()
        first, second = sorted(db.info.backend_pid for db in (a, b))
        self.assertEqual((tree[first]["depth"], tree[second]["depth"], tree[second]["root_pid"]), (0, 1, first))
        for pid in (first, second):
            self.assertIn("deadlock: the server ends one of them", tree[pid]["suggested_action"])
        self.assertEqual(tree[c.info.backend_pid]["suggested_action"], WAIT)
        self.assertEqual(tree[c.info.backend_pid]["root_pid"], first)

    def test_advisory_locks(self):
        root = self.session("SELECT pg_advisory_xact_lock(7)")
        middle = self.session("SELECT pg_advisory_xact_lock(8)")
        last = self.session()
        self.waits(middle, "SELECT pg_advisory_xact_lock(7)")
        self.waits(last, "SELECT pg_advisory_lock_shared(8)")
        tree = self.tree()
        self.assertEqual(self.shape(tree, root, middle, last), [0, 1, 2])
        self.assertEqual([tree[db.info.backend_pid]["mode"] for db in (root, middle, last)],
                         [None, "ExclusiveLock", "ShareLock"])
        self.assertEqual(tree[last.info.backend_pid]["relation"], "(advisory)")

    @unittest.skipUnless(os.environ.get("UPKEEP_GUARD_TEST"), "needs the functions that are for tests only")
    def test_relation_extension(self):
        root = self.open("postgres")
        self.start(root, "SELECT hold_extension('growing', 60000)")
        self.wait_for("SELECT 1 FROM pg_locks WHERE locktype = 'extend' AND granted AND pid = %s", root.info.backend_pid)
        waiters = [self.open() for _ in range(2)]
        boxes = [self.waits(db, "INSERT INTO growing VALUES (1)") for db in waiters]
        tree = self.tree()
        self.assertEqual(self.shape(tree, root, waiters[0]), [0, 1])
        row = tree[waiters[0].info.backend_pid]
        self.assertEqual((row["relation"], row["mode"]), ("public.growing", "ExclusiveLock"))
        action = tree[root.info.backend_pid]["suggested_action"]
        self.assertLess(action.index("statement_timeout"), action.index("cancel its statement"))
        self.assertNotIn("'end'", action)
        self.follow(action, "cancelled")
        for thread, box in boxes:
            thread.join(20)
            self.assertEqual(box, [])
        self.assertEqual(self.tree(), {})

    def test_prepared_transaction_as_root(self):
        a = self.session("UPDATE t SET x = 0 WHERE id = 1")
        self.do(a, "PREPARE TRANSACTION 'left behind'")
        self.stack.callback(lambda: self.do(connect(), "ROLLBACK PREPARED 'left behind'"))
        b, c = self.session("UPDATE t SET x = 0 WHERE id = 2"), self.session()
        self.waits(b, "UPDATE t SET x = 0 WHERE id = 1")
        self.waits(c, "UPDATE t SET x = 0 WHERE id = 2")
        tree = self.tree()
        self.assertEqual(self.shape(tree, b, c), [1, 2])
        self.assertEqual((tree[0]["query"], tree[0]["state"], tree[c.info.backend_pid]["root_pid"]),
                         ("left behind", "prepared", 0))
        self.assertEqual(tree[0]["suggested_action"], "commit or roll back the prepared transaction")

    def test_parallel_group_waits_and_blocks_as_one(self):
        holder = self.session("LOCK TABLE gate IN ACCESS EXCLUSIVE MODE")
        leader = self.session("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
                              "SET parallel_leader_participation = off")
        self.waits(leader, "SELECT sum(passes(x)) FROM crowd")
        workers = self.rows("SELECT pid FROM pg_stat_activity WHERE leader_pid = %s", leader.info.backend_pid)
        self.assertTrue(workers)
        behind = self.session()
        self.waits(behind, "LOCK TABLE crowd IN ACCESS EXCLUSIVE MODE")
        tree = self.tree()
        self.assertEqual(self.shape(tree, holder, leader, behind), [0, 1, 2])
        self.assertFalse({row["pid"] for row in workers} & set(tree))
        row = tree[leader.info.backend_pid]
        self.assertEqual((row["relation"], row["mode"], row["state"]), ("public.gate", "AccessShareLock", "active"))

    def test_other_database(self):
        self.do(self.db, "CREATE DATABASE far_away")
        self.addCleanup(lambda: self.do(connect(), "DROP DATABASE far_away WITH (FORCE)"))
        self.do(self.open("postgres", database="far_away"), "CREATE TABLE far (x int); GRANT ALL ON far TO PUBLIC")
        root = self.session("LOCK TABLE far", database="far_away")
        middle, last = (self.session(database="far_away") for _ in range(2))
        self.waits(middle, "SELECT * FROM far")
        near, nearer = self.session("UPDATE t SET x = 0 WHERE id = 1"), self.session()
        self.waits(nearer, "UPDATE t SET x = 0 WHERE id = 1")
        self.waits(last, "SELECT * FROM far")
        tree = self.tree()
        self.assertEqual(self.shape(tree, root, middle, last, near, nearer), [0, 1, 1, 0, 1])
        self.assertIn("of another database", tree[middle.info.backend_pid]["relation"])
        order = [row["pid"] for row in self.rows("SELECT pid FROM upkeep.lock_tree WHERE depth = 0")]
        self.assertEqual(order, [root.info.backend_pid, near.info.backend_pid])  # who blocks most first

    def test_aborted_transaction_as_root(self):
        root = self.session("LOCK TABLE gate")
        self.do(root, "SAVEPOINT s")
        with self.assertRaises(Exception):
            self.do(root, "SELECT 1 / 0")
        waiter = self.session()
        self.waits(waiter, "SELECT * FROM gate")
        tree = self.tree()
        self.assertEqual(tree[root.info.backend_pid]["state"], "idle in transaction (aborted)")
        self.follow(tree[root.info.backend_pid]["suggested_action"], "ended")


if __name__ == "__main__":
    unittest.main()
