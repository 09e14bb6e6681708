
--| index advice and what-if; both plan with the caller's rights and change nothing
--@ since: 0.1.0
--@ units: costs in planner units, sizes in bytes
CREATE FUNCTION upkeep.advise_indexes(
    workload text[] DEFAULT NULL, weights double precision[] DEFAULT NULL,
    budget_bytes bigint DEFAULT NULL, max_columns integer DEFAULT 3,
    time_limit interval DEFAULT '30 s', min_saving_ratio double precision DEFAULT 0.01,
    kinds text[] DEFAULT NULL)
    RETURNS TABLE (rank integer, table_name text, columns text[], kind text, create_sql text,
        drop_sql text, size_bytes bigint, cost_before double precision,
        cost_after double precision, saving_ratio double precision, write_cost double precision,
        fingerprints bigint[], reason text, warnings text[], steps text[])
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_advise_indexes';
COMMENT ON FUNCTION upkeep.advise_indexes(text[], double precision[], bigint, integer, interval, double precision, text[])
    IS 'which indexes to create for a workload, within a budget';

CREATE FUNCTION upkeep.advise_budget_curve(
    workload text[], weights double precision[], budgets bigint[], max_columns integer DEFAULT 3,
    time_limit interval DEFAULT '30 s', kinds text[] DEFAULT NULL)
    RETURNS TABLE (budget_bytes bigint, size_bytes bigint, cost_before double precision,
        cost_after double precision, saving_ratio double precision, create_sqls text[])
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10 COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_advise_budget_curve';
COMMENT ON FUNCTION upkeep.advise_budget_curve(text[], double precision[], bigint[], integer, interval, text[])
    IS 'what each of several budgets buys: the best set of indexes and its cost';

CREATE FUNCTION upkeep.explain_rejections(
    workload text[] DEFAULT NULL, weights double precision[] DEFAULT NULL,
    budget_bytes bigint DEFAULT NULL, max_columns integer DEFAULT 3,
    time_limit interval DEFAULT '30 s', min_saving_ratio double precision DEFAULT 0.01,
    kinds text[] DEFAULT NULL)
    RETURNS TABLE (table_name text, columns text[], kind text, cost_before double precision,
        cost_after double precision, size_bytes bigint, rejected_because text)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 100 COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_explain_rejections';
COMMENT ON FUNCTION upkeep.explain_rejections(text[], double precision[], bigint, integer, interval, double precision, text[])
    IS 'why indexes that one would expect are not advised';

CREATE FUNCTION upkeep.what_if(statement text, indexes text[])
    RETURNS TABLE (cost_before double precision, cost_after double precision, plan_before jsonb,
        plan_after jsonb, used_indexes text[])
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_what_if';
COMMENT ON FUNCTION upkeep.what_if(text, text[])
    IS 'cost and plan of a statement if these indexes existed';

CREATE FUNCTION upkeep.explain_statement(statement text, run boolean DEFAULT false)
    RETURNS TABLE (plan jsonb, planning_ms double precision, execution_ms double precision,
        findings text[])
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 1 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_explain_statement';
COMMENT ON FUNCTION upkeep.explain_statement(text, boolean)
    IS 'plan of a statement and what to notice in it; runs it only if told to, without effects';

CREATE FUNCTION upkeep.verify_indexes(
    create_sql text[], statements text[] DEFAULT NULL, runs integer DEFAULT 3,
    time_limit interval DEFAULT '60 s', max_table_bytes bigint DEFAULT 1073741824,
    confirm boolean DEFAULT false)
    RETURNS TABLE (statement text, before_ms double precision, after_ms double precision,
        ratio double precision, plan_changed boolean, verdict text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 COST 1000000
    AS 'MODULE_PATHNAME', 'upkeep_verify_indexes';
COMMENT ON FUNCTION upkeep.verify_indexes(text[], text[], integer, interval, bigint, boolean)
    IS 'builds indexes, runs statements with and without them, and takes everything back';

CREATE FUNCTION upkeep.advise_progress()
    RETURNS TABLE (pid integer, phase text, statements_done bigint, statements_total bigint,
        planner_calls bigint, cache_hits bigint, best_saving_ratio double precision,
        elapsed_ms double precision)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1 SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'upkeep_advise_progress';
COMMENT ON FUNCTION upkeep.advise_progress() IS 'calls for index advice under way, and how far they are';
CREATE VIEW upkeep.advise_progress AS SELECT * FROM upkeep.advise_progress();
COMMENT ON VIEW upkeep.advise_progress IS 'calls for index advice under way, and how far they are';

