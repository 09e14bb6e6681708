# cluster: shared_preload_libraries=upkeep_preload
# cluster: upkeep.capture=all
# cluster: upkeep.slow_threshold=0
# cluster: upkeep.max_slow_statements=20000
# cluster: upkeep.max_statements=20000
# cluster: upkeep.text_memory=64
# cluster: log_min_messages=panic
# cluster: log_min_error_statement=panic
"""What a statement carries (constants, comments, parameters, passwords) is found nowhere in what we show,
keep or log. Every statement holds a secret of its own; all secrets have one beginning, per kind."""
import os
import random
import re
import unittest

import psycopg2

from host import Asks, connect

SEED = int(os.environ.get("UPKEEP_SEED", "20"))
ROUNDS = int(os.environ.get("UPKEEP_LEAK_ROUNDS", "40"))

WORD, NUMBER, BITS = "zqxleak", "973157248", "11010011010100101101"
HEX = "9d3c7f51e2"
MARKERS = re.compile("|".join((WORD, NUMBER, BITS, HEX, WORD.encode().hex(), "Zqxleak")), re.IGNORECASE)

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, n numeric, j jsonb, b bytea, d date, i interval,
                CONSTRAINT small CHECK (n < 1e30));
INSERT INTO t SELECT g, 'v' || g, g, jsonb_build_object('k', g), NULL, '2024-01-01', '1 day'
FROM generate_series(1, 300) AS g;
CREATE INDEX t_n ON t (n);
CREATE TABLE u (t_id int REFERENCES t, x int NOT NULL);
CREATE FUNCTION takes(p text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN IF length(p) > 1000 THEN RAISE EXCEPTION 'too long: %', p; END IF;
RETURN (SELECT v FROM t WHERE v = p); END $$;
CREATE FUNCTION raises(p text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no %', p USING DETAIL = p, HINT = p; END $$;
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE ROLE existing;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
ANALYZE;
"""


class Secrets:
    """Secrets of every kind, no two alike."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.count = 0

    def word(self):
        self.count += 1
        return f"{WORD}{self.count}x{self.random.randrange(10**6)}"

    def number(self):
        self.count += 1
        return NUMBER + str(self.random.randrange(10**6))

    def constant(self):
        """A text constant in one of the forms that the server reads."""
        w = self.word()
        tag = self.random.choice(["", "q", "tag_1", "é"])
        return self.random.choice([
            f"'{w}'", f"E'{w}\\n\\'x'", f"e'\\x41{w}'", f"U&'{w}\\0041'", f"u&'d!0061{w}' UESCAPE '!'",
            f"${tag}${w} ' \" -- ${tag}$", f"'it''s {w}'", f"N'{w}'", f"'a'\n  '{w}'", f"'a' -- {self.word()}\n '{w}'",
            f"'{w} /* '", f"cast('{w}' AS text)", f"'{w}'::varchar(90)", f"text '{w}'", f"\"varchar\" '{w}'",
            f"concat('{w}', '{self.word()}')", f"('{{\"{w}\": 1}}'::jsonb ->> '{w}')",
        ])

    def numeral(self):
        n = self.number()
        return self.random.choice([n, f"-{n}", f"- {n}", f"+{n}", f"{n}.5", f"{n}e2", f"0.{n}", f"{n}::numeric",
                                   f"numeric '{n}'", f"'{n}'::numeric", f"cast({n} AS numeric)"])

    def comment(self):
        w = self.word()
        return self.random.choice([f"/* {w} */", f"-- {w}\n", f"/* a /* {w} */ {w} */", f"/*{w}='x'*/",
                                   f"/* controller_{w}:{w} */"])


def queries(s):
    """Templates of one round: reads and writes that succeed or fail while they run."""
    c, n, w = s.constant, s.numeral, s.word
    return [
        f"SELECT {c()}, {n()}, B'{BITS}', X'{HEX}', x'{HEX}', b'{BITS}'",
        f"SELECT * FROM t WHERE v = {c()} {s.comment()} AND n <> {n()}",
        f"{s.comment()} SELECT count(*) FROM t WHERE v IN ({c()}, {c()}, {c()}) {s.comment()}",
        f"SELECT id FROM t WHERE n BETWEEN {n()} AND {n()} ORDER BY v = {c()}",
        f"SELECT * FROM t WHERE j @> '{{\"a\": \"{w()}\"}}' OR j #>> '{{{w()},b}}' = 'x'",
        f"SELECT * FROM t WHERE j @? '$.a[*] ? (@ == \"{w()}\")' AND v ~ '^{w()}'",
        f"SELECT * FROM t WHERE v LIKE '{w()}%' OR v = ANY (ARRAY[{c()}, {c()}])",
        f"SELECT * FROM t WHERE v = ANY ('{{{w()},{w()}}}'::text[])",
        f"SELECT d + interval '{s.random.randrange(9)} days', date '2024-01-01', '{w()}' FROM t LIMIT 1",
        f"WITH w AS (SELECT {c()} AS x) SELECT * FROM w JOIN t ON t.v = w.x",
        f"SELECT * FROM (VALUES ({n()}, {c()}), ({n()}, {c()})) AS x(a, b) WHERE b <> {c()}",
        f"SELECT CASE v WHEN {c()} THEN {c()} ELSE {c()} END, coalesce(v, {c()}) FROM t WHERE id < 3",
        f"SELECT * FROM regexp_split_to_table({c()}, ',') AS r WHERE r > {c()}",
        f"SELECT * FROM json_to_recordset('[{{\"a\": \"{w()}\"}}]') AS x(a text)",
        f"SELECT x FROM unnest(ARRAY[{c()}, {c()}]) AS x ORDER BY x || {c()}",
        f"SELECT v, sum(n) FILTER (WHERE v > {c()}) OVER (ORDER BY n + {n()}) FROM t GROUP BY v, n HAVING v > {c()}",
        f"INSERT INTO t (id, v, n) VALUES ({1000 + s.count}, {c()}, {n()}) ON CONFLICT (id) DO UPDATE SET v = {c()}",
        f"UPDATE t SET v = {c()} || id, b = '\\x{HEX}' WHERE v = {c()}",
        f"DELETE FROM t WHERE v = {c()} AND n = {n()}",
        f"MERGE INTO t USING (VALUES (1, {c()})) AS m(i, x) ON t.id = m.i WHEN MATCHED AND v = {c()} THEN DELETE",
        f"SELECT takes({c()}), takes(p => {c()})", f"SELECT lower({c()}) FROM t TABLESAMPLE system (100)",
        f"SELECT raises({c()})", f"SELECT {c()}::int", f"SELECT '{w()}'::date", f"SELECT ({n()})::int",
        f"SELECT 1 / (length({c()}) * 0)", f"INSERT INTO t (id, v) VALUES (1, '{w()}')",
        f"INSERT INTO u VALUES ({s.random.randrange(10**9)}, NULL)",
        f"INSERT INTO t (id, n) VALUES (-1, 1{'0' * 31}{n()[-1]})",
        f"SELECT * FROM no_table_{s.count} WHERE x = {c()}", f"SELECT * FROM t WHERE nocolumn = {c()}",
        f"SELECT {c()} FROM FROM", f"SELECT '{w()}", f"SELECT {c()} ) (", f"SELEKT {c()}", f"SELECT $x${w()}",
        f"SELECT {s.number()}{'0' * 6}abc", f"SELECT * FROM t WHERE v = {c()} AND", f"/* {w()}",
        f"TABLE t /* {w()} */ ORDER BY {n()}::text", f"EXPLAIN SELECT * FROM t WHERE v = {c()}",
        f"EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM t WHERE n = {n()}",
    ]


def utilities(s):
    """Templates of one round: everything that is no query."""
    c, n, w, k = s.constant, s.numeral, s.word, s.count
    text = f"'{w()}'"
    return [
        f"CREATE TABLE d{k} (a text DEFAULT {c()}, b numeric DEFAULT {n()} CHECK (b <> {n()}))",
        f"CREATE TABLE e{k} AS SELECT {c()} AS a, {n()} AS b", f"CREATE VIEW f{k} AS SELECT {c()} AS a, {n()} AS b",
        f"ALTER TABLE t ALTER COLUMN v SET DEFAULT {c()}", f"ALTER TABLE t ADD CONSTRAINT c{k} CHECK (v <> {c()})",
        f"CREATE INDEX i{k} ON t (id) WHERE v = {c()}", f"CREATE INDEX ON t ((v || {c()}))",
        f"DO $body$ BEGIN PERFORM {c()}; IF 1 = 1 THEN UPDATE t SET v = {c()} WHERE id = -1; END IF; END $body$",
        f"DO LANGUAGE plpgsql $$ DECLARE x text := '{w()}'; BEGIN EXECUTE 'SELECT ' || quote_literal(x); END $$",
        f"DO $$ BEGIN RAISE EXCEPTION '{w()}'; END $$",
        f"CREATE OR REPLACE FUNCTION g{k}(p text DEFAULT {c()}) RETURNS text LANGUAGE sql AS $f$ SELECT '{w()}' || p $f$",
        f"CREATE OR REPLACE FUNCTION h{k}() RETURNS text LANGUAGE sql RETURN {c()}",
        f"SELECT * FROM pg_sleep(0), takes('{w()}')",
        f"COPY (SELECT {c()}) TO '/dev/null' WITH (NULL '{w()}', DELIMITER ';')",
        f"COPY t (v) FROM '/no/{w()}'", f"COPY t FROM PROGRAM 'false {w()}'", f"COPY t TO STDOUT (NULL {text})",
        f"PREPARE p{k} (text) AS SELECT * FROM t WHERE v = $1 OR v = {c()}", f"EXECUTE p{k}({c()})",
        f"EXECUTE p{k}('{w()}')",
        f"DEALLOCATE p{k}", f"EXECUTE no{k}('{w()}')", f"SET my.setting = '{w()}'",
        f"SET LOCAL my.setting TO '{w()}'", "RESET ALL",
        f"NOTIFY channel, '{w()}'", f"SELECT pg_notify('c', {c()}), set_config('my.x', {c()}, false)",
        f"ALTER ROLE existing PASSWORD '{w()}'",
        f"ALTER ROLE existing WITH LOGIN ENCRYPTED PASSWORD 'md5{w()}' VALID UNTIL '2030-01-01'",
        f"CREATE ROLE r{k} LOGIN PASSWORD '{w()}'", f"CREATE USER r{k}b PASSWORD $${w()}$$",
        f"DROP ROLE IF EXISTS r{k}, r{k}b",
        f"ALTER USER existing SET my.setting = '{w()}'", f"ALTER DATABASE {{database}} SET my.setting = '{w()}'",
        f"ALTER ROLE ALL SET my.setting = '{w()}'",
        f"CREATE USER MAPPING FOR existing SERVER far OPTIONS (user '{w()}', password '{w()}')",
        f"ALTER USER MAPPING FOR existing SERVER far OPTIONS (SET password '{w()}')", "DROP USER MAPPING FOR existing SERVER far",
        f"CREATE SERVER s{k} FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{w()}')",
        f"ALTER SERVER s{k} OPTIONS (SET host '{w()}')",
        f"CREATE FOREIGN TABLE ft{k} (a int) SERVER far OPTIONS (table_name '{w()}')",
        f"CREATE FOREIGN DATA WRAPPER w{k} OPTIONS (debug '{w()}')",
        f"ALTER FOREIGN DATA WRAPPER w{k} OPTIONS (SET debug '{w()}')",
        f"IMPORT FOREIGN SCHEMA x FROM SERVER far INTO public OPTIONS (import_default '{w()}')",
        f"CREATE SUBSCRIPTION su{k} CONNECTION 'host=/nowhere password={w()}' PUBLICATION p WITH (connect = false, slot_name = NONE)",
        f"ALTER SUBSCRIPTION su{k} CONNECTION 'password={w()}'", f"DROP SUBSCRIPTION IF EXISTS su{k}",
        f"ALTER SYSTEM SET primary_conninfo = 'host=h password={w()}'", "ALTER SYSTEM RESET primary_conninfo",
        f"SECURITY LABEL ON TABLE t IS '{w()}'", f"COMMENT ON TABLE t IS '{w()}'", f"COMMENT ON COLUMN t.v IS {text}",
        "BEGIN", f"DECLARE c{k} CURSOR FOR SELECT * FROM t WHERE v <> {c()}", f"FETCH 3 FROM c{k}", f"CLOSE c{k}", "COMMIT",
        "BEGIN", f"SAVEPOINT s{k}", f"PREPARE TRANSACTION '{w()}'", "ROLLBACK", f"LISTEN l{k}", f"LOAD '/no/{w()}'",
        f"CREATE PUBLICATION pu{k} FOR TABLE t WHERE (v <> {c()})", f"CREATE TYPE ty{k} AS ENUM ('{w()[:60]}', 'b')",
        f"ALTER TYPE ty{k} ADD VALUE '{w()[:60]}'", f"CREATE DOMAIN do{k} AS text DEFAULT {c()} CHECK (VALUE <> {c()})",
        f"CREATE POLICY po{k} ON t USING (v <> {c()})",
        f"CREATE TRIGGER tr{k} AFTER INSERT ON u FOR EACH ROW WHEN (NEW.x = {s.random.randrange(99)}) EXECUTE FUNCTION suppress_redundant_updates_trigger('{w()}')",
        f"CREATE RULE ru{k} AS ON DELETE TO u WHERE OLD.x = 1 DO ALSO SELECT {c()}", f"DROP RULE IF EXISTS ru{k} ON u",
        f"CREATE AGGREGATE ag{k}(text) (sfunc = textcat, stype = text, initcond = '{w()}')",
        f"CREATE COLLATION co{k} (provider = icu, locale = 'und-u-{w()}')", f"CREATE EXTENSION citext VERSION '{w()}'",
        f"CREATE TABLE pa{k} (a text) PARTITION BY LIST (a)",
        f"CREATE TABLE pa{k}_1 PARTITION OF pa{k} FOR VALUES IN ('{w()}', {text})",
        f"ALTER TABLE t ADD COLUMN co{k} text DEFAULT {c()}", f"ALTER TABLE t DROP COLUMN IF EXISTS co{k}",
        f"CREATE TABLESPACE ts{k} LOCATION '/no/{w()}'", f"VACUUM (NO_SUCH_OPTION '{w()}') t", "REFRESH MATERIALIZED VIEW m",
        f"CALL no_procedure({c()})", f"CREATE TABLE {s.random.choice(['t', 'u'])} (x text DEFAULT {c()})",
        f"CREATE DATABASE {w()[:3]}d{k} ENCODING '{w()}'", f"ALTER TABLE t RENAME TO {s.random.choice(['u', 'm'])} -- {w()}",
        f"CREATE TEXT SEARCH DICTIONARY ts{k} (TEMPLATE = simple, stopwords = '{w()}')",
        f"GRANT SELECT ON t TO existing -- {w()}\n",
        f"SELECT 1; SELECT {c()}; SELECT {n()} {s.comment()}; INSERT INTO t (id, v) VALUES (2, {c()})",
    ]


class NoLeak(Asks):
    """One server for all; the statements of every test are there when what we show is read."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_on(cls.db, SETUP)
        cls.secrets = Secrets(SEED)
        cls.ran = 0
        cls.failed = 0

    def send(self, statement, parameters=None):
        NoLeak.ran += 1
        try:
            with self.db.cursor() as cursor:
                if statement.startswith("COPY t TO STDOUT"):
                    with open(os.devnull, "w", encoding="utf-8") as sink:
                        cursor.copy_expert(statement, sink)
                else:
                    cursor.execute(statement.replace("{database}", self.database), parameters)
        except psycopg2.Error:
            NoLeak.failed += 1

    def shown(self):
        """Everything that our calls say, as text by call. What the server itself shows of sessions that
        run now (running_statements, lock_tree, connections) is its own and goes by its own rules; the
        definition of an index that exists (indexes, index_findings) is in the catalog for all to read."""
        calls = [row[0] for row in self.rows(
            "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = 'upkeep' AND p.proretset AND p.pronargs = p.pronargdefaults"
            " AND p.proname NOT IN ('running_statements', 'lock_tree', 'connections', 'reap_sessions',"
            " 'index_findings', 'install_workflow_schema') AND p.proname !~ '^(workflow|active|recent|stuck|integration)'"
            " ORDER BY 1")]
        self.assertIn("statements", calls)
        self.assertIn("advise_indexes", calls)
        texts = {}
        for call in calls:
            try:
                texts[call] = "\n".join(str(row) for row in self.rows(f"SELECT x::text FROM upkeep.{call}() AS x"))
            except psycopg2.Error as error:
                texts[call] = str(error) + str(error.diag.message_detail) + str(error.diag.message_hint)
        for form in ("html", "text"):
            try:
                texts["report " + form] = self.value("SELECT upkeep.report(%s)", form)
            except psycopg2.Error as error:
                texts["report " + form] = str(error)
        for view in [row[0] for row in self.rows(
                "SELECT viewname FROM pg_views WHERE schemaname = 'upkeep' AND viewname NOT IN"
                " ('running_statements', 'lock_tree', 'connections', 'indexes', 'index_findings') AND viewname !~ '^(active|stuck)'")]:
            texts["view " + view] = "\n".join(str(r) for r in self.rows(f"SELECT x::text FROM upkeep.{view} AS x"))
        return texts

    def assert_clean(self, texts):
        for place, text in texts.items():
            found = [text[max(0, m.start() - 120):m.end() + 60] for m in MARKERS.finditer(text)]
            self.assertEqual(found[:5], [], f"{len(found)} secrets in {place} (seed {SEED})")

    def test_1_nothing_of_what_statements_carry_is_shown(self):
        for _ in range(ROUNDS):
            for statement in queries(self.secrets) + utilities(self.secrets):
                self.send(statement)
                if self.db.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR:
                    self.send("ROLLBACK")
        for _ in range(ROUNDS):
            for statement in ("SELECT * FROM t WHERE v = %s AND n = %s", "INSERT INTO t (id, v, n) VALUES (-5, %s, %s)"):
                self.send(statement, (self.secrets.word(), self.secrets.number()))
        self.send("SET standard_conforming_strings = off")
        for _ in range(10):
            w = self.secrets.word
            for statement in (f"SELECT 'a\\'{w()}', '{w()}\\\\' FROM t LIMIT 1",
            f"CREATE TABLE q (a text DEFAULT 'a\\' {w()}')",
                              f"SELECT 'x' || '\\'' || '{w()}'", f"ALTER TABLE t ALTER v SET DEFAULT '\\'{w()}'"):
                self.send(statement)
        self.send("RESET standard_conforming_strings")
        self.assertGreater(self.ran, ROUNDS * 100)
        self.assertGreater(self.failed, ROUNDS * 10)
        texts = self.shown()
        self.assertGreater(len(texts["statements"]), 10000)
        self.assertIn("Filter", texts["slow_statements"])
        self.assert_clean(texts)

    def test_2_no_file_of_ours_and_no_log_line_of_ours_holds_it(self):
        data = os.environ["UPKEEP_PGDATA"]
        names = [os.path.join(folder, name) for folder, _, files in os.walk(data) for name in files
                 if "upkeep" in name or "upkeep" in folder[len(data):]]
        texts = {}
        for name in names:
            with open(name, "rb") as file:
                texts[name] = file.read().decode("latin-1")
        with open(os.path.join(data, "..", "log"), encoding="utf-8", errors="replace") as log:
            texts["log"] = "".join(line for line in log if "upkeep" in line and "STATEMENT:" not in line)
        self.assert_clean(texts)

    def test_2b_shared_memory_holds_values_in_the_samples_only(self):
        pid = self.value("SELECT pg_backend_pid()")
        try:
            with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
                start = next(int(line.split("-")[0], 16) for line in maps if "/dev/zero" in line and "rw-s" in line)
            with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
                offset, size = self.rows("SELECT off, size FROM pg_shmem_allocations WHERE name = 'upkeep capture'")[0]
                memory.seek(start + offset)
                held = memory.read(size)
        except PermissionError:
            self.skipTest("may not read the server's memory")
        self.assertEqual(len(held), size)
        statements, text_bytes = int(self.value("SHOW upkeep.max_statements")), 64 << 20
        index = 64
        while index < statements * 2:
            index *= 2
        samples = sum((part + 63) // 64 * 64 for part in (8 * index, 72 * statements, text_bytes // 4))
        self.assert_clean({"shared memory": held[:size - samples].decode("latin-1")})
        self.assertIsNotNone(MARKERS.search(held[size - samples:].decode("latin-1")), "nothing was sampled")

    def test_3_switched_on_parameters_are_kept_where_promised(self):
        self.rows("SET upkeep.capture_parameters = on")
        word, literal = self.secrets.word(), self.secrets.word()
        self.rows(f"PREPARE kept (text) AS SELECT * FROM t WHERE v = $1 AND j ->> 'k' <> '{literal}'")
        self.rows(f"EXECUTE kept('{word}')")
        self.rows("RESET upkeep.capture_parameters")
        kept = self.rows("SELECT parameters, plan::text, query FROM upkeep.slow_statements"
                         " WHERE query LIKE '%%PREPARE kept%%' OR query LIKE '%%FROM t WHERE v = $1 AND j%%'")
        self.assertTrue(any(word in (row[0] or "") for row in kept), kept)
        self.assertTrue(any(literal in (row[1] or "") for row in kept), kept)
        self.assertNotIn(literal, "".join(row[2] for row in kept))

    def test_4_an_unprivileged_reader_sees_less_still(self):
        self.rows("CREATE ROLE nosy; GRANT USAGE ON SCHEMA upkeep TO nosy; SET ROLE nosy")
        try:
            self.assertEqual(self.rows("SELECT query FROM upkeep.statements WHERE query <> '<hidden>'"
                                       " AND query !~ 'upkeep' AND user_name <> 'nosy'"), [])
        except psycopg2.errors.InsufficientPrivilege:
            pass
        finally:
            self.rows("RESET ROLE")


if __name__ == "__main__":
    unittest.main()
