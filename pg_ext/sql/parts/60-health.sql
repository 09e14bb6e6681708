--| indexes and what is wrong with them; plain catalog reads, nothing is locked but the catalogs
--@ since: 0.1.0
--@ units: sizes in bytes
CREATE VIEW upkeep.indexes AS
    SELECT n.nspname::text AS schema_name, t.relname::text AS table_name,
        i.relname::text AS index_name, pg_catalog.pg_get_indexdef(i.oid) AS definition,
        am.amname::text AS kind, x.indisunique AS is_unique, x.indisprimary AS is_primary,
        EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.oid) AS backs_constraint,
        u.scans, u.tuples_read, u.tuples_fetched, u.size_bytes,
        NULL::timestamptz AS last_used_at, s.since AS counters_since_at
    FROM pg_catalog.pg_index x
        JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
        JOIN pg_catalog.pg_am am ON am.oid = i.relam
        CROSS JOIN LATERAL (
            SELECT sum(pg_catalog.pg_stat_get_numscans(p.relid))::bigint AS scans,
                sum(pg_catalog.pg_stat_get_tuples_returned(p.relid))::bigint AS tuples_read,
                sum(pg_catalog.pg_stat_get_tuples_fetched(p.relid))::bigint AS tuples_fetched,
                sum(pg_catalog.pg_relation_size(p.relid))::bigint AS size_bytes
            FROM (SELECT i.oid AS relid WHERE i.relkind <> 'I'
                  UNION ALL
                  SELECT tree.relid FROM pg_catalog.pg_partition_tree(i.oid) tree
                  WHERE i.relkind = 'I' AND tree.isleaf) p) u
        CROSS JOIN (
            SELECT greatest(d.stats_reset, w.stats_reset) AS since
            FROM pg_catalog.pg_stat_database d, pg_catalog.pg_stat_wal w
            WHERE d.datname = pg_catalog.current_database()) s
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')
        AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) AND t.relkind IN ('r', 'm', 'p');
COMMENT ON VIEW upkeep.indexes IS 'every index with its size and use';

CREATE FUNCTION upkeep.index_findings()
    RETURNS TABLE (code text, severity text, table_name text, index_name text, size_bytes bigint,
        evidence text, fix_sql text, undo_sql text, covered_by text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_index_findings';
COMMENT ON FUNCTION upkeep.index_findings()
    IS 'indexes that are redundant, unused or broken, with fix and undo';

CREATE VIEW upkeep.index_findings AS SELECT * FROM upkeep.index_findings();
COMMENT ON VIEW upkeep.index_findings
    IS 'indexes that are redundant, unused or broken, with fix and undo';

CREATE FUNCTION upkeep.unindexed_foreign_keys()
    RETURNS TABLE (table_name text, columns text[], referenced_table text, child_rows bigint,
        parent_deletes bigint, severity text, create_sql text, undo_sql text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_unindexed_foreign_keys';
COMMENT ON FUNCTION upkeep.unindexed_foreign_keys()
    IS 'foreign keys that no index serves, worst first';

CREATE VIEW upkeep.unindexed_foreign_keys AS SELECT * FROM upkeep.unindexed_foreign_keys();
COMMENT ON VIEW upkeep.unindexed_foreign_keys
    IS 'foreign keys that no index serves, worst first';

--| the checklist; every probe runs with the caller's rights, and what is refused says so
--@ since: 0.1.0
CREATE FUNCTION upkeep.check_health()
    RETURNS TABLE (section text, code text, status text, title text, evidence text, advice text,
        fix_sql text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 50 COST 100000
    AS 'MODULE_PATHNAME', 'upkeep_check_health';
COMMENT ON FUNCTION upkeep.check_health()
    IS 'a production checklist with evidence; what cannot be known says so';

--| settings as advice; NULL for what is to be detected or taken as it is
--@ since: 0.1.0
CREATE FUNCTION upkeep.advise_settings(
    ram_bytes bigint DEFAULT NULL, cpus integer DEFAULT NULL, storage text DEFAULT 'ssd',
    workload text DEFAULT 'oltp', max_connections integer DEFAULT NULL)
    RETURNS TABLE (name text, current_value text, advised_value text, unit text, formula text,
        evidence text, needs_restart boolean, confidence text, set_sql text)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 20 COST 10000
    AS 'MODULE_PATHNAME', 'upkeep_advise_settings';
COMMENT ON FUNCTION upkeep.advise_settings(bigint, integer, text, text, integer)
    IS 'a start value for each setting that matters, with formula and evidence';

--| databases and tables; plain catalog views. What is hidden from the reader is NULL, not a wrong number.
--@ since: 0.1.0
--@ units: sizes in bytes, times in milliseconds
CREATE VIEW upkeep.database_stats AS
    SELECT d.datname::text AS database_name,
        CASE WHEN a.hidden = 0 THEN a.active END::integer AS active,
        CASE WHEN a.hidden = 0 THEN a.idle END::integer AS idle,
        CASE WHEN a.hidden = 0 THEN a.idle_in_transaction END::integer AS idle_in_transaction,
        (CASE WHEN d.datconnlimit >= 0 THEN least(d.datconnlimit, c.most) ELSE c.most END)::integer
            AS max_connections,
        s.xact_commit AS commits, s.xact_rollback AS rollbacks,
        (s.xact_commit + s.xact_rollback) / nullif(extract(epoch FROM pg_catalog.now() - r.since), 0)::double precision
            AS transactions_per_second,
        s.blks_hit / nullif(s.blks_hit + s.blks_read, 0)::double precision AS cache_hit_ratio,
        CASE WHEN d.datname = pg_catalog.current_database() THEN (
            SELECT sum(t.idx_scan) / nullif(sum(t.idx_scan) + sum(t.seq_scan), 0)::double precision
            FROM pg_catalog.pg_stat_user_tables t) END::double precision AS index_usage_ratio,
        s.deadlocks, s.temp_bytes,
        CASE WHEN pg_catalog.has_database_privilege(d.oid, 'CONNECT')
                OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
            THEN pg_catalog.pg_database_size(d.oid) END AS size_bytes,
        CASE WHEN a.hidden = 0 THEN a.oldest_transaction_ms END AS oldest_transaction_ms,
        (greatest(pg_catalog.age(d.datfrozenxid), pg_catalog.mxid_age(d.datminmxid)) / 2147483648.0)::double precision
            AS wraparound_ratio,
        r.since AS counters_since_at
    FROM pg_catalog.pg_database d
        JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
        CROSS JOIN pg_catalog.pg_stat_wal w
        CROSS JOIN LATERAL (SELECT greatest(s.stats_reset, w.stats_reset) AS since) r
        CROSS JOIN (SELECT pg_catalog.current_setting('max_connections')::integer
            - pg_catalog.current_setting('superuser_reserved_connections')::integer
            - coalesce(pg_catalog.current_setting('reserved_connections', true)::integer, 0) AS most) c
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE b.backend_type IS NULL) AS hidden,
                count(*) FILTER (WHERE b.state = 'active' AND b.backend_type = 'client backend') AS active,
                count(*) FILTER (WHERE b.state = 'idle') AS idle,
                count(*) FILTER (WHERE b.state IN ('idle in transaction', 'idle in transaction (aborted)'))
                    AS idle_in_transaction,
                (extract(epoch FROM max(pg_catalog.clock_timestamp() - b.xact_start)) * 1000)::double precision
                    AS oldest_transaction_ms
            FROM pg_catalog.pg_stat_activity b WHERE b.datid = d.oid) a
    WHERE d.datallowconn;
COMMENT ON VIEW upkeep.database_stats IS 'connections, traffic, cache and age of each database';

-- Bloat: what the rows would need by their average widths, against what the table has. Rows are
-- 24 bytes of header, 4 of line pointer, padded to 8; a page holds 8168 bytes less its fill factor.
CREATE VIEW upkeep.table_sizes AS
    SELECT CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN pg_catalog.format('%I', c.relname)
            ELSE pg_catalog.format('%I.%I', n.nspname, c.relname) END AS table_name,
        CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
            ELSE pg_catalog.pg_stat_get_live_tuples(c.oid) END AS rows_estimate,
        pg_catalog.pg_stat_get_dead_tuples(c.oid) AS dead_rows,
        s.total - s.indexes - s.toast AS table_bytes, s.indexes AS index_bytes, s.toast AS toast_bytes,
        s.total AS total_bytes,
        CASE WHEN c.reltuples >= 0 AND c.relpages > 0 AND w.columns = w.known THEN
            greatest(0, 1 - ceil(c.reltuples * w.row_bytes / w.page_bytes) / c.relpages)
            END::double precision AS bloat_ratio,
        greatest(pg_catalog.pg_stat_get_last_vacuum_time(c.oid),
            pg_catalog.pg_stat_get_last_autovacuum_time(c.oid)) AS last_vacuum_at,
        greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid),
            pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)) AS last_analyze_at
    FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        CROSS JOIN LATERAL (
            SELECT pg_catalog.pg_total_relation_size(c.oid) AS total,
                pg_catalog.pg_indexes_size(c.oid) AS indexes,
                CASE WHEN c.reltoastrelid <> 0
                    THEN pg_catalog.pg_total_relation_size(c.reltoastrelid) ELSE 0 END AS toast) s
        CROSS JOIN LATERAL (
            SELECT count(*) AS columns, count(t.stawidth) AS known,
                8 * ceil((28 + coalesce(sum(t.stawidth * (1 - t.stanullfrac)), 0)) / 8) AS row_bytes,
                8168 * coalesce((SELECT o.option_value::double precision
                    FROM pg_catalog.pg_options_to_table(c.reloptions) o
                    WHERE o.option_name = 'fillfactor'), 100) / 100 AS page_bytes
            FROM pg_catalog.pg_attribute a
                LEFT JOIN pg_catalog.pg_statistic t
                    ON t.starelid = a.attrelid AND t.staattnum = a.attnum AND NOT t.stainherit
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) w
    WHERE c.relkind IN ('r', 'm')
        AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')
        AND NOT pg_catalog.pg_is_other_temp_schema(n.oid);
COMMENT ON VIEW upkeep.table_sizes IS 'size, dead rows and bloat of each table';
