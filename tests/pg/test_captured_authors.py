# cluster: shared_preload_libraries=upkeep_preload
"""Advice from captured statements runs nobody's functions with the caller's rights: planning folds constants, so a
statement, an index or a condition of one role could call its author's code in the session of another."""
import unittest

import psycopg2

from host import Asks, connect

SETUP = """
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE ROLE author LOGIN; CREATE ROLE watcher LOGIN IN ROLE pg_monitor, pg_read_all_data;
CREATE ROLE reader LOGIN IN ROLE pg_read_all_stats; CREATE ROLE plain LOGIN;
CREATE TABLE seen (who text, what text); GRANT ALL ON seen TO PUBLIC;
CREATE TABLE t AS SELECT g AS id, g % 1000 AS a FROM generate_series(1, 20000) AS g; GRANT SELECT ON t TO author, reader, plain;
ANALYZE t"""
AUTHOR = """
CREATE FUNCTION note(t text) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.seen VALUES (current_user, t); RETURN 1; END $$;
CREATE FUNCTION folded() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.note('statement'); END $$;
CREATE FUNCTION guessed() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN public.note('estimate'); END $$;
CREATE FUNCTION in_index() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.note('index'); END $$;
CREATE TABLE mine AS SELECT g AS id, g % 1000 AS a FROM generate_series(1, 20000) AS g;
CREATE INDEX ON mine (id) WHERE public.in_index() = 1; ANALYZE mine"""
STATEMENTS = ("SELECT * FROM t WHERE a = public.folded()", "SELECT * FROM t WHERE a = public.guessed() AND id > 3",
              "SELECT * FROM mine WHERE a = 7")


class Authors(Asks):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)
        cls.author = connect(cls.database, user="author")
        cls.run_on(cls.author, AUTHOR)
        cls.run_on(cls.db, "SELECT upkeep.reset_statements()")
        for statement in STATEMENTS:
            cls.run_on(cls.author, statement)

    def setUp(self):
        self.rows("TRUNCATE seen")

    def test_functions_run_as_their_author_when_a_superuser_asks(self):
        advice = self.rows("SELECT table_name, columns FROM upkeep.advise_indexes(min_saving_ratio => 0)")
        self.assertIn(("mine", ["a"]), advice)
        self.assertEqual(set(self.rows("SELECT * FROM seen")), {("author", what) for what in
                                                                     ("statement", "estimate", "index")})
        self.assertEqual(self.value("SELECT current_user"), "postgres")
        self.rows("CREATE TEMP TABLE x(); DROP TABLE x")  # no longer restricted

    def test_who_cannot_become_the_author_gets_nothing_of_his(self):
        watcher = connect(self.database, user="watcher")
        with self.assertRaises(psycopg2.errors.FeatureNotSupported) as caught:
            self.run_on(watcher, "SELECT * FROM upkeep.advise_indexes(min_saving_ratio => 0)")
        self.assertIn("membership in the roles", caught.exception.diag.message_hint)
        self.assertEqual(self.rows("SELECT * FROM seen"), [])
        watcher.close()

    def test_rejections_name_what_the_caller_may_not_run(self):
        ask = "SELECT rejected_because FROM upkeep.explain_rejections() WHERE rejected_because LIKE 'insufficient%%'"
        reasons = {}
        for role in ("reader", "plain"):
            caller = connect(self.database, user=role)
            self.run_on(caller, "SELECT count(*) FROM t WHERE a = 5")
            reasons[role] = sorted(reason for (reason,) in self.run_on(caller, ask))
            caller.close()
        fingerprints = self.rows("SELECT fingerprint FROM upkeep.statements WHERE user_name = 'author'"
                                 " AND operation = 'SELECT' AND query NOT LIKE '%%seen%%'")
        self.assertGreaterEqual(len(fingerprints), len(STATEMENTS))
        for (fingerprint,) in fingerprints:
            self.assertTrue(any(f"fingerprint {fingerprint}:" in reason for reason in reasons["reader"]), reasons)
        self.assertEqual(reasons["plain"],
                         ["insufficient_privilege: captured statements that you may not see are not considered"])
        self.assertEqual(self.rows(ask), [])

    def test_an_error_in_the_middle_makes_the_caller_himself_again(self):
        self.run_on(self.author, "CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
                    " IF (SELECT count(*) FROM public.seen) > 0 THEN RAISE EXCEPTION 'bad'; END IF; RETURN 1; END $$")
        self.run_on(self.author, "SELECT * FROM mine WHERE a = public.bad()")
        self.rows("INSERT INTO seen VALUES ('x', 'x')")
        self.assertIn(("mine", ["a"]), self.rows("SELECT table_name, columns FROM upkeep.advise_indexes(min_saving_ratio => 0)"))
        self.assertEqual(self.value("SELECT current_user"), "postgres")
        self.rows("CREATE TEMP TABLE x(); DROP TABLE x")


if __name__ == "__main__":
    unittest.main()
