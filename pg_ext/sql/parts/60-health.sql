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
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
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
