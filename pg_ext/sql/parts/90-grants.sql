
-- Reading to pg_monitor, ending sessions to pg_signal_backend; to everyone only what checks the
-- caller's own rights.
GRANT USAGE ON SCHEMA upkeep TO PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA upkeep FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA upkeep FROM PUBLIC;
GRANT SELECT ON upkeep.capabilities, upkeep.advise_progress TO PUBLIC;
GRANT EXECUTE ON FUNCTION
    upkeep.version(),
    upkeep.capabilities(),
    upkeep.advise_indexes(text[], double precision[], bigint, integer, interval, double precision, text[]),
    upkeep.advise_budget_curve(text[], double precision[], bigint[], integer, interval, text[]),
    upkeep.explain_rejections(text[], double precision[], bigint, integer, interval, double precision, text[]),
    upkeep.advise_progress(),
    upkeep.what_if(text, text[]),
    upkeep.explain_statement(text, boolean),
    upkeep.verify_indexes(text[], text[], integer, interval, bigint, boolean),
    upkeep.install_workflow_schema(text, text, boolean),
    upkeep.report_pool(text, integer, integer, integer, integer, bigint, double precision),
    upkeep.sketch_from_bytea(bytea),
    upkeep.percentile_sketch(double precision),
    upkeep.merge_sketches(upkeep.sketch),
    upkeep.sketch_quantile(upkeep.sketch, double precision),
    upkeep.sketch_count(upkeep.sketch)
    TO PUBLIC;

-- sessions
GRANT SELECT ON upkeep.connections, upkeep.connection_summary, upkeep.connection_limits,
    upkeep.running_statements, upkeep.lock_tree, upkeep.reap_rules, upkeep.reap_log, upkeep.pools
    TO pg_monitor;
GRANT EXECUTE ON FUNCTION upkeep.connections(), upkeep.connection_summary(),
    upkeep.connection_limits(), upkeep.running_statements(), upkeep.lock_tree(), upkeep.pools(),
    upkeep.advise_pool(integer, integer, integer, text) TO pg_monitor;
GRANT EXECUTE ON FUNCTION upkeep.end_session(integer, text, boolean),
    upkeep.reap_sessions(interval, text, text, text, text, boolean, integer, boolean)
    TO pg_signal_backend;

-- health
GRANT SELECT ON upkeep.indexes, upkeep.index_findings, upkeep.unindexed_foreign_keys,
    upkeep.database_stats, upkeep.table_sizes TO pg_monitor;
GRANT EXECUTE ON FUNCTION upkeep.index_findings(), upkeep.unindexed_foreign_keys(),
    upkeep.check_health(),
    upkeep.advise_settings(bigint, integer, text, text, integer) TO pg_monitor;

-- workflows
GRANT SELECT ON upkeep.active_workflows, upkeep.stuck_executions TO pg_monitor;
GRANT EXECUTE ON FUNCTION
    upkeep.workflow_stats(timestamptz, timestamptz, text, regclass),
    upkeep.active_workflows(),
    upkeep.recent_executions(text, text, integer, timestamptz, text),
    upkeep.execution_detail(text),
    upkeep.stuck_executions(),
    upkeep.integration_stats(timestamptz, timestamptz)
    TO pg_monitor;

-- captured statements; reset_statements is the superuser's
GRANT SELECT ON upkeep.statements, upkeep.slow_statements, upkeep.endpoints, upkeep.n_plus_one
    TO pg_monitor;
GRANT EXECUTE ON FUNCTION upkeep.statements(), upkeep.slow_statements(), upkeep.endpoints(),
    upkeep.lint_statements(),
    upkeep.n_plus_one(), upkeep.percentile(bigint, double precision, text) TO pg_monitor;

-- metrics and report: made of the calls above, with the caller's own rights
GRANT SELECT ON upkeep.metric_samples TO pg_monitor;
GRANT EXECUTE ON FUNCTION upkeep.metric_samples(), upkeep.metrics(text, text[]),
    upkeep.report(text, text) TO pg_monitor;
