
--| the workflow schema as ordinary tables of the caller
--@ since: 0.1.0
CREATE FUNCTION upkeep.install_workflow_schema(
    target_schema text DEFAULT 'public', profile text DEFAULT 'corrected',
    stamp_alembic boolean DEFAULT false)
    RETURNS TABLE (object_type text, object_name text, action text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 50
    SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_install_workflow_schema';
COMMENT ON FUNCTION upkeep.install_workflow_schema(text, text, boolean)
    IS 'creates the workflow tables and indexes as ordinary objects; twice changes nothing';

--| sketches: percentiles that can be merged; the type is a varlena like bytea, its bytes checked
--@ since: 0.1.0
CREATE TYPE upkeep.sketch;
COMMENT ON TYPE upkeep.sketch IS 'a mergeable sketch of numbers: counts by buckets 1.6 % wide';

CREATE FUNCTION upkeep.sketch_in(cstring) RETURNS upkeep.sketch
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_in';
COMMENT ON FUNCTION upkeep.sketch_in(cstring) IS 'text form of a sketch: as of bytea';
CREATE FUNCTION upkeep.sketch_out(upkeep.sketch) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_out';
COMMENT ON FUNCTION upkeep.sketch_out(upkeep.sketch) IS 'text form of a sketch: as of bytea';
CREATE FUNCTION upkeep.sketch_recv(internal) RETURNS upkeep.sketch
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_recv';
COMMENT ON FUNCTION upkeep.sketch_recv(internal) IS 'binary form of a sketch: its bytes';
CREATE FUNCTION upkeep.sketch_send(upkeep.sketch) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_send';
COMMENT ON FUNCTION upkeep.sketch_send(upkeep.sketch) IS 'binary form of a sketch: its bytes';

CREATE TYPE upkeep.sketch (
    INPUT = upkeep.sketch_in, OUTPUT = upkeep.sketch_out,
    RECEIVE = upkeep.sketch_recv, SEND = upkeep.sketch_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = int4, STORAGE = extended);

CREATE FUNCTION upkeep.sketch_from_bytea(bytea) RETURNS upkeep.sketch
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_from_bytea';
COMMENT ON FUNCTION upkeep.sketch_from_bytea(bytea) IS 'the cast; refuses bytes that are no sketch';
CREATE CAST (bytea AS upkeep.sketch) WITH FUNCTION upkeep.sketch_from_bytea(bytea) AS ASSIGNMENT;
CREATE CAST (upkeep.sketch AS bytea) WITHOUT FUNCTION AS ASSIGNMENT;

CREATE FUNCTION upkeep.percentile_sketch_add(internal, double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_percentile_sketch_add';
COMMENT ON FUNCTION upkeep.percentile_sketch_add(internal, double precision) IS 'step of percentile_sketch';
CREATE FUNCTION upkeep.percentile_sketch_remove(internal, double precision) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_percentile_sketch_remove';
COMMENT ON FUNCTION upkeep.percentile_sketch_remove(internal, double precision) IS 'inverse step of percentile_sketch';
CREATE FUNCTION upkeep.merge_sketches_add(internal, upkeep.sketch) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_merge_sketches_add';
COMMENT ON FUNCTION upkeep.merge_sketches_add(internal, upkeep.sketch) IS 'step of merge_sketches';
CREATE FUNCTION upkeep.merge_sketches_remove(internal, upkeep.sketch) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_merge_sketches_remove';
COMMENT ON FUNCTION upkeep.merge_sketches_remove(internal, upkeep.sketch) IS 'inverse step of merge_sketches';
CREATE FUNCTION upkeep.sketch_state_final(internal) RETURNS upkeep.sketch
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_state_final';
COMMENT ON FUNCTION upkeep.sketch_state_final(internal) IS 'result of both aggregates';
CREATE FUNCTION upkeep.sketch_state_combine(internal, internal) RETURNS internal
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_state_combine';
COMMENT ON FUNCTION upkeep.sketch_state_combine(internal, internal) IS 'adds what parallel workers found';
CREATE FUNCTION upkeep.sketch_state_serialize(internal) RETURNS bytea
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_state_serialize';
COMMENT ON FUNCTION upkeep.sketch_state_serialize(internal) IS 'hands a worker''s state on';
CREATE FUNCTION upkeep.sketch_state_deserialize(bytea, internal) RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_state_deserialize';
COMMENT ON FUNCTION upkeep.sketch_state_deserialize(bytea, internal) IS 'takes a worker''s state over';

CREATE AGGREGATE upkeep.percentile_sketch(value double precision) (
    SFUNC = upkeep.percentile_sketch_add, STYPE = internal, SSPACE = 1024,
    FINALFUNC = upkeep.sketch_state_final, COMBINEFUNC = upkeep.sketch_state_combine,
    SERIALFUNC = upkeep.sketch_state_serialize, DESERIALFUNC = upkeep.sketch_state_deserialize,
    MSFUNC = upkeep.percentile_sketch_add, MINVFUNC = upkeep.percentile_sketch_remove,
    MSTYPE = internal, MSSPACE = 1024, MFINALFUNC = upkeep.sketch_state_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE upkeep.percentile_sketch(double precision)
    IS 'the numbers as a mergeable sketch, from which any percentile can be read later';

CREATE AGGREGATE upkeep.merge_sketches(sketch upkeep.sketch) (
    SFUNC = upkeep.merge_sketches_add, STYPE = internal, SSPACE = 2048,
    FINALFUNC = upkeep.sketch_state_final, COMBINEFUNC = upkeep.sketch_state_combine,
    SERIALFUNC = upkeep.sketch_state_serialize, DESERIALFUNC = upkeep.sketch_state_deserialize,
    MSFUNC = upkeep.merge_sketches_add, MINVFUNC = upkeep.merge_sketches_remove,
    MSTYPE = internal, MSSPACE = 2048, MFINALFUNC = upkeep.sketch_state_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE upkeep.merge_sketches(upkeep.sketch)
    IS 'one sketch of all the numbers that the sketches hold, exactly';

CREATE FUNCTION upkeep.sketch_quantile(sketch upkeep.sketch, q double precision)
    RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_quantile';
COMMENT ON FUNCTION upkeep.sketch_quantile(upkeep.sketch, double precision)
    IS 'the q-quantile of the numbers in a sketch, within 1.6 %';
CREATE FUNCTION upkeep.sketch_count(sketch upkeep.sketch) RETURNS bigint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'upkeep_sketch_count';
COMMENT ON FUNCTION upkeep.sketch_count(upkeep.sketch) IS 'how many numbers a sketch holds';

--| workflow statistics, read from the raw rows with the caller's rights
--@ since: 0.1.0
--@ units: ms, UTC
CREATE FUNCTION upkeep.workflow_stats(
    since timestamptz DEFAULT pg_catalog.now() OPERATOR(pg_catalog.-) interval '24 hours',
    until timestamptz DEFAULT pg_catalog.now(),
    group_by text DEFAULT 'workflow', executions regclass DEFAULT NULL)
    RETURNS TABLE (group_key text, total bigint, pending bigint, running bigint, completed bigint,
        failed bigint, timeout bigint, cancelled bigint, success_ratio double precision,
        avg_ms double precision, p50_ms double precision, p95_ms double precision,
        p99_ms double precision, max_ms double precision, retries bigint,
        per_hour double precision, last_started_at timestamptz, last_failed_at timestamptz,
        covered_from_at timestamptz, covered_until_at timestamptz)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_workflow_stats';
COMMENT ON FUNCTION upkeep.workflow_stats(timestamptz, timestamptz, text, regclass)
    IS 'how the executions of a window went: counts, success, percentiles of their durations';

CREATE FUNCTION upkeep.active_workflows()
    RETURNS TABLE (workflow_id text, name text, status text, created_at timestamptz,
        executions_24h bigint, failed_24h bigint, last_started_at timestamptz)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 100 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_active_workflows';
COMMENT ON FUNCTION upkeep.active_workflows()
    IS 'the active workflows and what they did in the last 24 hours';
CREATE VIEW upkeep.active_workflows AS SELECT * FROM upkeep.active_workflows();
COMMENT ON VIEW upkeep.active_workflows
    IS 'the active workflows and what they did in the last 24 hours';

CREATE FUNCTION upkeep.recent_executions(
    of_workflow text DEFAULT NULL, with_status text DEFAULT NULL, page_size integer DEFAULT 50,
    before_started_at timestamptz DEFAULT NULL, before_id text DEFAULT NULL)
    RETURNS TABLE (id text, workflow_id text, execution_id text, status text,
        started_at timestamptz, completed_at timestamptz, duration_ms double precision,
        retry_count bigint, trigger_type text, error_message text, log_count bigint,
        error_log_count bigint)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_recent_executions';
COMMENT ON FUNCTION upkeep.recent_executions(text, text, integer, timestamptz, text)
    IS 'executions page by page, the latest first, with the size of their logs';

CREATE FUNCTION upkeep.execution_detail(of_execution text)
    RETURNS TABLE (id text, workflow_name text, status text, started_at timestamptz,
        completed_at timestamptz, duration_ms double precision, retry_count bigint,
        error_message text, logs jsonb)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 1 COST 1000
    AS 'MODULE_PATHNAME', 'upkeep_execution_detail';
COMMENT ON FUNCTION upkeep.execution_detail(text) IS 'one execution with its whole log';

CREATE FUNCTION upkeep.stuck_executions()
    RETURNS TABLE (id text, workflow_name text, status text, started_at timestamptz,
        running_ms double precision, expected_p99_ms double precision, reason text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_stuck_executions';
COMMENT ON FUNCTION upkeep.stuck_executions()
    IS 'pending and running executions that take longer than expected';
CREATE VIEW upkeep.stuck_executions AS SELECT * FROM upkeep.stuck_executions();
COMMENT ON VIEW upkeep.stuck_executions
    IS 'pending and running executions that take longer than expected';

CREATE FUNCTION upkeep.integration_stats(
    since timestamptz DEFAULT pg_catalog.now() OPERATOR(pg_catalog.-) interval '24 hours',
    until timestamptz DEFAULT pg_catalog.now())
    RETURNS TABLE (integration text, event_type text, total bigint, pending bigint,
        failed bigint, p50_ms double precision, p95_ms double precision,
        p99_ms double precision, oldest_pending_ms double precision)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_integration_stats';
COMMENT ON FUNCTION upkeep.integration_stats(timestamptz, timestamptz)
    IS 'how the events of the integrations were processed in a window';
