--| sessions, locks and pools; who may not see a session's state is told so, and never ends it
--@ since: 0.1.0
--@ units: times in milliseconds
CREATE FUNCTION upkeep.connections()
    RETURNS TABLE (pid integer, database_name text, user_name text, application_name text,
        client_addr text, backend_type text, state text, state_ms double precision,
        transaction_ms double precision, wait_event text, blocks_count bigint, holds_xmin boolean,
        rule text, reap_in_ms double precision, query text, visible boolean)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_connections';
COMMENT ON FUNCTION upkeep.connections() IS 'who is connected, what each is doing and since when';
CREATE VIEW upkeep.connections AS SELECT * FROM upkeep.connections();
COMMENT ON VIEW upkeep.connections IS 'who is connected, what each is doing and since when';

CREATE FUNCTION upkeep.connection_summary()
    RETURNS TABLE (application_name text, database_name text, user_name text, state text,
        count bigint, oldest_state_ms double precision)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_connection_summary';
COMMENT ON FUNCTION upkeep.connection_summary()
    IS 'client sessions counted by application, database, user and state';
CREATE VIEW upkeep.connection_summary AS SELECT * FROM upkeep.connection_summary();
COMMENT ON VIEW upkeep.connection_summary
    IS 'client sessions counted by application, database, user and state';

CREATE FUNCTION upkeep.connection_limits()
    RETURNS TABLE (max_connections integer, superuser_reserved integer, reserved integer,
        used integer, role_limit integer, database_limit integer, available integer)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_connection_limits';
COMMENT ON FUNCTION upkeep.connection_limits()
    IS 'how many connections the caller''s role can really have';
CREATE VIEW upkeep.connection_limits AS SELECT * FROM upkeep.connection_limits();
COMMENT ON VIEW upkeep.connection_limits
    IS 'how many connections the caller''s role can really have';

CREATE FUNCTION upkeep.running_statements()
    RETURNS TABLE (pid integer, user_name text, application_name text,
        duration_ms double precision, wait_event text, blocked_by integer[], progress text,
        query text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_running_statements';
COMMENT ON FUNCTION upkeep.running_statements()
    IS 'statements under way, longest first, and what they wait for';
CREATE VIEW upkeep.running_statements AS SELECT * FROM upkeep.running_statements();
COMMENT ON VIEW upkeep.running_statements
    IS 'statements under way, longest first, and what they wait for';

CREATE FUNCTION upkeep.lock_tree()
    RETURNS TABLE (depth integer, path integer[], pid integer, blocked_by integer[],
        root_pid integer, state text, waits_ms double precision, mode text, relation text,
        query text, suggested_action text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_lock_tree';
COMMENT ON FUNCTION upkeep.lock_tree() IS 'who waits for whom, the root blockers first';
CREATE VIEW upkeep.lock_tree AS SELECT * FROM upkeep.lock_tree();
COMMENT ON VIEW upkeep.lock_tree IS 'who waits for whom, the root blockers first';

CREATE FUNCTION upkeep.end_session(
    session_pid integer, mode text DEFAULT 'cancel', dry_run boolean DEFAULT true)
    RETURNS TABLE (pid integer, user_name text, application_name text, state text, action text,
        reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_end_session';
COMMENT ON FUNCTION upkeep.end_session(integer, text, boolean)
    IS 'cancels the statement of one session, or ends the session';

CREATE FUNCTION upkeep.reap_sessions(
    idle_for interval DEFAULT '10 min', match_state text DEFAULT 'idle',
    match_application text DEFAULT '%', match_user text DEFAULT '%',
    match_database text DEFAULT 'current', only_blocking boolean DEFAULT false,
    keep_at_least integer DEFAULT 0, dry_run boolean DEFAULT true)
    RETURNS TABLE (pid integer, user_name text, application_name text, state text,
        state_ms double precision, action text, reason text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_reap_sessions';
COMMENT ON FUNCTION upkeep.reap_sessions(interval, text, text, text, text, boolean, integer, boolean)
    IS 'ends sessions that have been idle for too long, each looked at again just before';

CREATE TABLE upkeep.reap_rules (
    name text PRIMARY KEY,
    priority integer NOT NULL DEFAULT 100,
    enabled boolean NOT NULL DEFAULT true,
    match_database text NOT NULL DEFAULT '%',
    match_user text NOT NULL DEFAULT '%',
    match_application text NOT NULL DEFAULT '%',
    match_address text,
    match_state text NOT NULL DEFAULT 'idle',
    idle_for interval NOT NULL DEFAULT '10 min',
    only_blocking boolean NOT NULL DEFAULT false,
    only_above_usage_ratio double precision,
    keep_at_least integer NOT NULL DEFAULT 0,
    max_per_minute integer,
    action text NOT NULL DEFAULT 'end',
    spare text[] NOT NULL DEFAULT '{listening,session_lock,temp_table,held_cursor}');
COMMENT ON TABLE upkeep.reap_rules IS 'which sessions may be ended, cancelled or logged, and when';
SELECT pg_catalog.pg_extension_config_dump('upkeep.reap_rules', '');

CREATE FUNCTION upkeep.check_reap_rules() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'upkeep_check_reap_rules';
COMMENT ON FUNCTION upkeep.check_reap_rules() IS 'refuses rules that could not be applied';
CREATE TRIGGER tell_reaper AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON upkeep.reap_rules
    FOR EACH STATEMENT EXECUTE FUNCTION upkeep.check_reap_rules();
CREATE TRIGGER check_rule BEFORE INSERT OR UPDATE ON upkeep.reap_rules
    FOR EACH ROW EXECUTE FUNCTION upkeep.check_reap_rules();

CREATE TABLE upkeep.reap_log_rows (
    number bigint PRIMARY KEY,
    at timestamptz NOT NULL,
    rule text,
    pid integer,
    user_name text,
    application_name text,
    client_addr text,
    state text,
    state_ms double precision,
    blocked_count bigint,
    last_query text,
    action text NOT NULL,
    outcome text NOT NULL);
COMMENT ON TABLE upkeep.reap_log_rows IS 'where the reaper writes what reap_log shows';
CREATE VIEW upkeep.reap_log AS
    SELECT at, rule, pid, user_name, application_name, client_addr, state, state_ms, blocked_count,
        last_query, action, outcome
    FROM upkeep.reap_log_rows ORDER BY number;
COMMENT ON VIEW upkeep.reap_log IS 'what the rules of reap_rules did, a row for each action';

CREATE FUNCTION upkeep.advise_pool(
    processes integer, threads integer DEFAULT 1, replicas integer DEFAULT 1,
    environment text DEFAULT 'production')
    RETURNS TABLE (parameter text, value text, formula text, limit_value text, verdict text,
        explanation text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 14 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_advise_pool';
COMMENT ON FUNCTION upkeep.advise_pool(integer, integer, integer, text)
    IS 'pool settings for an application, from its processes and the caller''s limits';

CREATE FUNCTION upkeep.report_pool(pool text, size integer, checked_out integer, overflow integer,
        waiting integer, timeouts bigint DEFAULT 0, wait_ms double precision DEFAULT 0)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_report_pool';
COMMENT ON FUNCTION upkeep.report_pool(text, integer, integer, integer, integer, bigint,
        double precision)
    IS 'an application says how its connection pool is doing';

CREATE FUNCTION upkeep.pools()
    RETURNS TABLE (pool text, application_name text, size integer, idle integer,
        checked_out integer, overflow integer, waiting integer, timeouts bigint,
        wait_ms double precision, reported_at timestamptz)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 20 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_pools';
COMMENT ON FUNCTION upkeep.pools()
    IS 'connection pools of applications of this database, as they were last reported';
CREATE VIEW upkeep.pools AS SELECT * FROM upkeep.pools();
COMMENT ON VIEW upkeep.pools
    IS 'connection pools of applications of this database, as they were last reported';
