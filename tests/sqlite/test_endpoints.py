"""Endpoints of statements: told by upkeep_set_endpoint, by a setting, by comments; bounded, and kept."""
import unittest

import host
import sqlalchemy
from test_capture import Captures

OF_ROUTE = "SELECT w FROM t WHERE v = {} /*action='show',route='%2Fusers%2F%3Aid'*/"


class EndpointsTest(Captures):
    def endpoints(self, db=None):
        rows = (db or self.db).execute("SELECT endpoint, calls FROM upkeep_endpoints").fetchall()
        self.assertEqual(len(rows), len({row[0] for row in rows}))
        return dict(rows)

    def test_a_comment_tells_the_endpoint(self):
        for sql, endpoint in (
                ("SELECT 1 /*route='%2Fusers%2F%3Aid'*/", "/users/:id"),
                ("SELECT 1 /*action='show',controller='users'*/;", "users#show"),
                ("SELECT 1 /*application:App,controller:pets,action:show,line:/a/b.rb:3:in `x'*/", "pets#show"),
                ("/*application:App,job:MailJob*/ SELECT 1", "MailJob"),
                ("SELECT 1 /* words */", None), ("SELECT '/*route=''a''*/'", None), ("SELECT 1 /*route='%zz'*/", None),
                ("SELECT 1 /*route='a%0Ab'*/", None), ("SELECT 1 /*+ route='a' */", None)):
            self.value("SELECT upkeep_reset_statements()")
            self.rows(sql)
            rows = self.rows("SELECT query, endpoint, calls FROM upkeep_statements")
            self.assertEqual(rows, [("select ?", endpoint, 1)], sql)

    def test_comments_make_no_fingerprints(self):
        for i in range(50):
            trace = f"traceparent='00-{i:032x}-{i:016x}-01'"
            self.rows(f"SELECT w FROM t WHERE v = {i} /*route='%2Fa',{trace}*/")
        self.assertEqual(self.rows("SELECT query, endpoint, calls FROM upkeep_statements"),
                         [("select w from t where v = ?", "/a", 50)])

    def test_what_was_told_wins(self):
        told = OF_ROUTE.format(1)
        self.rows(told)
        self.set("endpoint", "worker")
        self.rows(told)
        self.value("SELECT upkeep_set_endpoint('GET /x')")
        self.rows(told)
        other = self.open()
        other.execute(told).fetchall()
        self.value("SELECT upkeep_set_endpoint('')")
        self.set("endpoint", "")
        self.rows(told)
        self.rows("SELECT 1")
        self.assertEqual(self.endpoints(), {"/users/:id": 2, "worker": 2, "GET /x": 1, None: 1})

    def test_the_query_string_is_never_kept(self):
        self.rows("SELECT 1 /*route='%2Fusers%3Femail%3Dbob_marked'*/")
        self.value("SELECT upkeep_save()")
        self.assertEqual(self.endpoints(), {"/users": 1})
        with open(self.state, "rb") as file:
            self.assertNotIn(b"bob_marked", file.read())

    def test_failures_and_slow_statements_have_it(self):
        self.set("slow_threshold", "0")
        self.rows("INSERT INTO t VALUES (1, 1, 'a') /*route='a'*/")
        with self.assertRaises(Exception):
            self.rows("INSERT INTO t VALUES (1, 1, 'a') /*route='a'*/")
        self.assertEqual(self.rows("SELECT endpoint, calls, errors FROM upkeep_endpoints"), [("a", 1, 1)])
        self.assertEqual(self.rows("SELECT DISTINCT endpoint FROM upkeep_slow_statements"), [("a",)])

    def test_what_a_statement_runs_inside_is_its_clients(self):
        self.db.execute("CREATE VIRTUAL TABLE words USING fts5(w)")
        self.value("SELECT upkeep_reset_statements()")
        self.set("capture", "all")
        self.rows("INSERT INTO words VALUES ('x') /*route='a'*/")
        rows = self.rows("SELECT is_top_level, endpoint FROM upkeep_statements")
        self.assertIn((0, "a"), rows)
        self.assertEqual({row[1] for row in rows}, {"a"})

    def test_prepared_statements_of_two_routes_at_once(self):
        for i in range(5):
            self.db.execute("INSERT INTO t VALUES (?, ?, 'w')", (i, i))
        self.value("SELECT upkeep_reset_statements()")
        first = self.db.execute("SELECT id FROM t /*route='first'*/")
        second = self.db.execute("SELECT id FROM t /*route='second'*/")
        for _ in range(5):
            first.fetchone()
            second.fetchone()
        first.close()
        second.close()
        rows = self.rows("SELECT endpoint, calls, rows FROM upkeep_statements ORDER BY 1")
        self.assertEqual(rows, [("first", 1, 5), ("second", 1, 5)])

    def test_through_sqlalchemy(self):
        engine = sqlalchemy.create_engine("sqlite://", creator=self.open)

        @sqlalchemy.event.listens_for(engine, "before_cursor_execute", retval=True)
        def tag(_connection, _cursor, statement, parameters, _context, _many):
            return statement + " /*route='%2Forders'*/", parameters

        table = sqlalchemy.Table("t", sqlalchemy.MetaData(), autoload_with=engine)
        with engine.begin() as connection:
            connection.execute(table.insert(), {"id": 7, "v": 7, "w": "x"})
            self.assertEqual(connection.execute(sqlalchemy.select(table.c.w)).scalar(), "x")
        engine.dispose()
        rows = self.rows("SELECT operation, calls FROM upkeep_statements WHERE endpoint = '/orders'"
                         " AND (query LIKE '%from t' OR query LIKE 'insert into t%')")
        self.assertEqual(sorted(rows), [("INSERT", 1), ("SELECT", 1)])

    def test_a_hundred_thousand_names_are_bounded_and_real_ones_get_in(self):
        # In a process of its own, whose memory it fills.
        count = 5000 if host.UNDER_ASAN else 100000
        out = self.python(f"""
            db = host.connect(database=path, isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            def endpoints():
                return dict(db.execute("SELECT endpoint, calls FROM upkeep_endpoints").fetchall())
            def resident():
                with open("/proc/self/statm", encoding="ascii") as file:
                    return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for i in range(1500):
                db.execute(f"SELECT 1 /*route='%2Fusers%2F{{i}}'*/").fetchall()
            before = resident()
            for i in range(1500, {count}):
                db.execute(f"SELECT 1 /*route='%2Fusers%2F{{i}}'*/").fetchall()
            grown = resident() - before
            many = endpoints()
            for _ in range(1000):
                db.execute("SELECT 1 /*route='%2Fusers%2F%3Aid'*/").fetchall()
            after = endpoints()
            db.execute("SELECT upkeep_save()").fetchall()
            print([grown < {512 if host.UNDER_ASAN else 8} << 20, len(many), many["other"], sum(many.values()), after["/users/:id"] > 500,
                   sum(after.values()), endpoints() == after])
            print(db.execute("SELECT reason FROM upkeep_capabilities WHERE feature = 'statement_capture'").fetchone()[0])
        """)
        figures, reason = out.strip().splitlines()
        self.assertEqual(figures, str([True, 1001, count - 1000, count, True, count + 1000, True]))
        self.assertRegex(reason, r"\d+ times an endpoint found no room")

    def test_the_state_file_keeps_names(self):
        self.rows(OF_ROUTE.format(1))
        self.value("SELECT upkeep_save()")
        self.rows(OF_ROUTE.format(2))
        self.value("SELECT upkeep_save()")
        self.assertEqual(self.shell("SELECT endpoint, calls FROM upkeep_endpoints"), "/users/:id|2")

    def test_a_forked_child_has_names_of_its_own(self):
        out = self.python("""
            db = host.connect(isolation_level=None)
            db.execute("SELECT upkeep_capture(1)").fetchall()
            db.execute("SELECT upkeep_set_endpoint('of the parent')").fetchall()
            db.execute("SELECT 1").fetchall()
            pid = os.fork()
            if pid == 0:
                db.execute("SELECT upkeep_capture(1)").fetchall()
                db.execute("SELECT 2 /*route='first in the child'*/").fetchall()
                db.execute("SELECT upkeep_set_endpoint(NULL)").fetchall()
                db.execute("SELECT 3 /*route='second'*/").fetchall()
                rows = db.execute("SELECT endpoint, calls FROM upkeep_endpoints ORDER BY 1").fetchall()
                print(rows, flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
        """)
        self.assertEqual(out.strip(), "[('of the parent', 1), ('second', 1)]")


if __name__ == "__main__":
    unittest.main()
