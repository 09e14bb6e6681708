
--| captured statements; what others ran shows its counters, its text only with pg_read_all_stats
--@ since: 0.1.0
--@ units: times in milliseconds, blocks of block_size bytes
CREATE FUNCTION upkeep.statements()
    RETURNS TABLE (fingerprint bigint, database_name text, user_name text, endpoint text,
        operation text, tables text[], query text, calls bigint, errors bigint, rows bigint,
        total_ms double precision, mean_ms double precision, stddev_ms double precision,
        min_ms double precision, max_ms double precision, p50_ms double precision,
        p95_ms double precision, p99_ms double precision, plan_total_ms double precision,
        hit_blocks bigint, read_blocks bigint, hit_ratio double precision,
        temp_written_blocks bigint, wal_bytes bigint, full_scans bigint, sorts bigint,
        slow_calls bigint, first_seen_at timestamp with time zone,
        last_seen_at timestamp with time zone, is_top_level boolean)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1000 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_statements';
COMMENT ON FUNCTION upkeep.statements()
    IS 'every captured statement: how often, how long, how much it read';
CREATE VIEW upkeep.statements AS SELECT * FROM upkeep.statements();
COMMENT ON VIEW upkeep.statements
    IS 'every captured statement: how often, how long, how much it read';

CREATE FUNCTION upkeep.slow_statements()
    RETURNS TABLE (captured_at timestamp with time zone, duration_ms double precision, pid integer,
        database_name text, user_name text, application_name text, client_addr text,
        endpoint text, fingerprint bigint, query text, parameters text, rows bigint, plan jsonb,
        error_code text, wait_event text, hit_blocks bigint, read_blocks bigint)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_slow_statements';
COMMENT ON FUNCTION upkeep.slow_statements()
    IS 'the last executions over slow_threshold, each with its plan';
CREATE VIEW upkeep.slow_statements AS SELECT * FROM upkeep.slow_statements();
COMMENT ON VIEW upkeep.slow_statements
    IS 'the last executions over slow_threshold, each with its plan';

CREATE FUNCTION upkeep.endpoints()
    RETURNS TABLE (endpoint text, calls bigint, errors bigint, statements bigint,
        total_ms double precision, p50_ms double precision, p95_ms double precision,
        p99_ms double precision, n_plus_one_count bigint, last_seen_at timestamp with time zone,
        database_name text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_endpoints';
COMMENT ON FUNCTION upkeep.endpoints() IS 'what each route or action of the application costs';
CREATE VIEW upkeep.endpoints AS SELECT * FROM upkeep.endpoints();
COMMENT ON VIEW upkeep.endpoints IS 'what each route or action of the application costs';

CREATE FUNCTION upkeep.lint_statements()
    RETURNS TABLE (code text, severity text, fingerprint bigint, query text, evidence text,
        suggestion text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_lint_statements';
COMMENT ON FUNCTION upkeep.lint_statements()
    IS 'what in the captured statements is slow or wrong, and how to write it instead';

--| reads that follow the rows of another read; what others ran shows without its texts, as in statements
--@ since: 0.1.0
CREATE FUNCTION upkeep.n_plus_one()
    RETURNS TABLE (parent_fingerprint bigint, parent_query text, child_fingerprint bigint,
        child_query text, endpoint text, occurrences bigint, max_repeats bigint,
        total_repeats bigint, total_ms double precision, last_seen_at timestamp with time zone,
        suggestion text, kind text, database_name text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 20 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_n_plus_one';
COMMENT ON FUNCTION upkeep.n_plus_one()
    IS 'statements that ran once for each row of another, or again and again for nothing';
CREATE VIEW upkeep.n_plus_one AS SELECT * FROM upkeep.n_plus_one();
COMMENT ON VIEW upkeep.n_plus_one
    IS 'statements that ran once for each row of another, or again and again for nothing';

CREATE FUNCTION upkeep.percentile(
    fingerprint bigint, q double precision, endpoint text DEFAULT NULL)
    RETURNS double precision
    LANGUAGE c VOLATILE PARALLEL RESTRICTED COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_percentile';
COMMENT ON FUNCTION upkeep.percentile(bigint, double precision, text)
    IS 'any percentile of a statement''s durations in ms, in this database';

CREATE FUNCTION upkeep.reset_statements() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'upkeep_reset_statements';
COMMENT ON FUNCTION upkeep.reset_statements()
    IS 'forgets all captured statements, slow statements, findings and counters';
