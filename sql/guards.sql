-- The boundary guards: what is thrown or raised in the middle of core code arrives as one error,
-- and nothing stays alive behind it.
\set SHOW_CONTEXT never
CREATE EXTENSION upkeep_guard_test;
CREATE TABLE guard_rows (n int);
CREATE FUNCTION attempt(kind text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
    PERFORM guard_throw(kind);
    RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ' ' || left(SQLERRM, 60) || coalesce(' | ' || left(nullif(hint, ''), 40), '');
END $$;
SELECT kind, attempt(kind) FROM unnest(ARRAY[
    'invalid_argument', 'not_found', 'permission', 'unsupported', 'busy', 'host',
    'internal', 'bad_alloc', 'runtime_error', 'int', 'division', 'notice', 'subtransaction',
    'nonsense']) AS kind;
SELECT guard_alive() AS alive_after_errors;

-- a cancel of ours is a cancel: PL/pgSQL's OTHERS does not catch it
SELECT guard_throw('interrupted');
SELECT guard_alive() AS alive_after_errors;

-- a text that does not fit is cut at a character
SELECT length(split_part(attempt, ' ', 2)) FROM attempt('long');
DO $$
BEGIN
    PERFORM guard_throw('long');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'length % bytes %', length(SQLERRM), octet_length(SQLERRM);
END $$;

-- a timeout and a cancel end core code in the middle; nobody swallows them
SET statement_timeout = '100ms';
SELECT guard_throw('wait');
SELECT guard_throw('subtransaction_cancel');
RESET statement_timeout;
SELECT guard_alive() AS alive_after_timeouts;

-- an error turned into a value rolls back what the failed call wrote, and only that
BEGIN;
INSERT INTO guard_rows VALUES (7);
SAVEPOINT s;
SELECT attempt('subtransaction');
SET statement_timeout = '300ms';
SELECT guard_throw('subtransaction_write');
ROLLBACK TO s;
RESET statement_timeout;
SELECT * FROM guard_rows;
ROLLBACK;

-- 50,000 errors in one backend: no object stays alive, memory does not grow
DO $$
DECLARE
    kinds text[] := ARRAY['invalid_argument', 'bad_alloc', 'runtime_error', 'int', 'division'];
    before bigint;
BEGIN
    FOR i IN 1..50500 LOOP
        IF i = 500 THEN
            before := guard_resident_kb();
        END IF;
        BEGIN
            PERFORM guard_throw(kinds[1 + i % 5]);
        EXCEPTION WHEN OTHERS THEN
            NULL;
        END;
    END LOOP;
    RAISE NOTICE 'alive %, grown by less than 3 MB: %', guard_alive(), guard_resident_kb() - before < 3072;
END $$;
DROP FUNCTION attempt(text);
DROP TABLE guard_rows;
DROP EXTENSION upkeep_guard_test;
