-- The boundary guards: what is thrown or raised in the middle of core code arrives as one error,
-- and nothing stays alive behind it. (Cancels from other sessions and lock timeouts: tests/pg.)
\set SHOW_CONTEXT never
CREATE EXTENSION upkeep_guard_test;
CREATE TABLE guard_rows (n int);
CREATE FUNCTION attempt(kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    RETURN guard_throw(kind);
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || left(SQLERRM, 60) || coalesce(' | ' || left(nullif(hint, ''), 40), '');
END $$;

-- every code of the core, every other exception, errors that the host raises
CREATE TABLE kinds (position serial, kind text);
INSERT INTO kinds (kind) VALUES
    ('invalid_argument'), ('not_found'), ('permission'), ('unsupported'), ('busy'), ('interrupted'), ('host'),
    ('internal'), ('bad_alloc'), ('runtime_error'), ('int'), ('long'), ('division'), ('palloc'), ('sql'), ('notice'),
    ('raise 40001'), ('raise 40P01'), ('raise 53200'), ('raise 54001'), ('raise 57014'), ('raise XX001'),
    -- an error after which the core goes on is a value with a code and the host's own text …
    ('value 22012'), ('value 42601'), ('value 42P01'), ('value 42703'), ('value 42883'), ('value 3F000'),
    ('value 42501'), ('value 0A000'), ('value 55P03'),
    -- … but a cancel, a shutdown, a deadlock and the end of memory are never a value
    ('value 57014'), ('value 40P01'), ('value 57P01'), ('value 53200'),
    ('nonsense');
SELECT kind, attempt(kind) FROM kinds ORDER BY position;
SELECT guard_alive() AS alive_after_errors;

-- a cancel of ours is a cancel: OTHERS alone does not catch it
DO $$
BEGIN
    PERFORM guard_throw('interrupted');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'swallowed';
END $$;

-- a text that does not fit is cut at a character
DO $$
BEGIN
    PERFORM guard_throw('long');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'length % bytes %', length(SQLERRM), octet_length(SQLERRM);
END $$;

-- a timeout ends core code in the middle; nobody swallows it
SET statement_timeout = '50ms';
SELECT guard_throw('wait');
SELECT guard_throw('run SELECT pg_sleep(60)');
SELECT guard_throw('try SELECT pg_sleep(60)');
RESET statement_timeout;
SELECT guard_alive() AS alive_after_timeouts;

-- a deep recursion is the host's own error, not a crash
CREATE FUNCTION deeper(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN deeper(n + 1); END $$;
SELECT attempt('run SELECT deeper(1)');

-- an error turned into a value rolls back what the failed call wrote, and only that
BEGIN;
INSERT INTO guard_rows VALUES (7);
SELECT attempt('try INSERT INTO guard_rows VALUES (1); SELECT 1/0');
SELECT attempt('try INSERT INTO guard_rows VALUES (8)');
SELECT n FROM guard_rows ORDER BY n;
COMMIT;
SELECT n FROM guard_rows ORDER BY n;

-- 50,000 errors in one backend, all kinds in turn: no object stays alive, memory does not grow
SET client_min_messages = error;
CREATE TABLE measured (before bigint, after bigint);
DO $$
DECLARE
    all_kinds text[] := ARRAY(SELECT kind FROM kinds ORDER BY position);
    before bigint;
BEGIN
    FOR i IN 1..51000 LOOP
        IF i = 1000 THEN
            before := guard_resident_kb();
        END IF;
        BEGIN
            PERFORM guard_throw(all_kinds[1 + i % cardinality(all_kinds)]);
        EXCEPTION WHEN OTHERS OR query_canceled THEN
            NULL;
        END;
    END LOOP;
    INSERT INTO measured VALUES (before, guard_resident_kb());
END $$;
RESET client_min_messages;
SELECT guard_alive() AS alive, before > 0 AS measured,
       CASE WHEN after - before < 3072 THEN 'grown by less than 3 MB' ELSE (after - before) || ' kB grown' END AS memory
FROM measured;
DROP FUNCTION attempt(text);
DROP FUNCTION deeper(int);
DROP TABLE guard_rows, kinds, measured;
DROP EXTENSION upkeep_guard_test;
