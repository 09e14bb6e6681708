// SPDX-License-Identifier: PostgreSQL
#include "index_inventory.h"

#include <map>
#include <string>

#include "host_query.h"

namespace upkeep::pg {

namespace {

// Counters of a database are as old as the last reset of its own or of the whole system (a crash
// and initdb set the latter).
constexpr const char* kCountersAge =
    "SELECT extract(epoch FROM now() - greatest("
    "    (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),"
    "    (SELECT stats_reset FROM pg_stat_wal)))";

// A partitioned index is as big and as used as its leaves together.
constexpr const char* kIndexes =
    "SELECT x.indexrelid, x.indrelid, n.nspname, t.relname, i.relname, am.amname,"
    "  pg_get_expr(x.indpred, x.indrelid), x.indisunique, x.indnullsnotdistinct,"
    "  EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid), x.indisreplident,"
    "  x.indisvalid AND x.indisready AND x.indislive,"
    "  EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = x.indexrelid),"
    "  i.relispartition,"
    "  CASE i.relkind WHEN 'I' THEN (SELECT sum(pg_stat_get_numscans(relid))::bigint"
    "      FROM pg_partition_tree(x.indexrelid) WHERE isleaf)"
    "    ELSE pg_stat_get_numscans(x.indexrelid) END,"
    "  CASE i.relkind WHEN 'I' THEN (SELECT sum(pg_relation_size(relid))::bigint"
    "      FROM pg_partition_tree(x.indexrelid) WHERE isleaf)"
    "    ELSE pg_relation_size(x.indexrelid) END,"
    "  concat_ws(E';\n', CASE i.relkind WHEN 'I' THEN replace(d.placed,"
    "      quote_ident(i.relname) || ' ON ONLY ', quote_ident(i.relname) || ' ON ')"
    "    ELSE regexp_replace(d.placed, '^CREATE (UNIQUE )?INDEX',"
    "      'CREATE \\1INDEX CONCURRENTLY') END,"
    "    (SELECT format('COMMENT ON INDEX %I.%I IS %L', n.nspname, i.relname, c.description)"
    "      FROM pg_description c WHERE c.objoid = i.oid AND c.classoid = 'pg_class'::regclass"
    "       AND c.objsubid = 0),"
    "    CASE WHEN x.indisclustered THEN format('ALTER TABLE %I.%I CLUSTER ON %I', tn.nspname,"
    "      t.relname, i.relname) END,"
    "    (SELECT string_agg(format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s',"
    "      n.nspname, i.relname, a.attnum, a.attstattarget), E';\n' ORDER BY a.attnum)"
    "      FROM pg_attribute a WHERE a.attrelid = i.oid AND a.attstattarget >= 0)),"
    "  format(CASE i.relkind WHEN 'I' THEN 'DROP INDEX %I.%I'"
    "    ELSE 'DROP INDEX CONCURRENTLY %I.%I' END, n.nspname, i.relname),"
    "  quote_ident(n.nspname), quote_ident(t.relname), x.indimmediate,"
    "  EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass"
    "    AND e.objid IN (i.oid, t.oid) AND e.deptype = 'e'),"
    "  CASE WHEN i.relkind = 'i' AND i.reltuples >= 0 THEN i.reltuples END::bigint,"
    "  CASE i.relkind WHEN 'i' THEN pg_stat_get_tuples_returned(i.oid) END,"
    "  CASE i.relkind WHEN 'i' THEN least(pg_stat_get_blocks_fetched(i.oid),"
    "    pg_stat_get_tuples_inserted(t.oid) + pg_stat_get_tuples_updated(t.oid)"
    "      - pg_stat_get_tuples_hot_updated(t.oid)) END,"
    "  CASE i.relkind WHEN 'i' THEN format('REINDEX INDEX CONCURRENTLY %I.%I', n.nspname,"
    "    i.relname) END, x.indisclustered"
    " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
    "  JOIN pg_namespace n ON n.oid = i.relnamespace JOIN pg_am am ON am.oid = i.relam"
    "  JOIN pg_namespace tn ON tn.oid = t.relnamespace"
    "  LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace,"
    // pg_get_indexdef() tells everything but the tablespace, which stands before WHERE.
    "  LATERAL (SELECT pg_get_indexdef(i.oid) AS whole, coalesce(' WHERE ' ||"
    "    pg_get_expr(x.indpred, x.indrelid), '') AS partial) AS w,"
    "  LATERAL (SELECT CASE WHEN s.spcname IS NULL THEN w.whole ELSE"
    "    left(w.whole, length(w.whole) - length(w.partial)) ||"
    "    format(' TABLESPACE %I', s.spcname) || w.partial END AS placed) AS d"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')"
    "  AND NOT pg_is_other_temp_schema(n.oid) AND t.relkind IN ('r', 'm', 'p')";
constexpr const char* kIndexOrder = " ORDER BY 3, 4, 5";

constexpr const char* kIndexColumns =
    "SELECT x.indexrelid, k <= x.indnkeyatts, pg_get_indexdef(x.indexrelid, k, false),"
    "  x.indcollation[k - 1], x.indclass[k - 1], coalesce(x.indoption[k - 1] & 1, 0) <> 0,"
    "  coalesce(x.indoption[k - 1] & 2, 0) <> 0"
    " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
    "  JOIN pg_namespace n ON n.oid = i.relnamespace,"
    "  generate_series(1, x.indnatts) AS k"
    " WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')"
    "  AND NOT pg_is_other_temp_schema(n.oid)";
constexpr const char* kColumnOrder = " ORDER BY x.indexrelid, k";

// One row per column of a foreign key. A partitioned table never analysed counts its leaves.
constexpr const char* kForeignKeys =
    "SELECT f.oid, f.conrelid, n.nspname, t.relname, f.confrelid, rn.nspname, r.relname,"
    "  quote_ident(n.nspname), quote_ident(t.relname), quote_ident(rn.nspname),"
    "  quote_ident(r.relname), a.attname, quote_ident(a.attname), NOT a.attnotnull,"
    "  t.relkind = 'p',"
    "  (SELECT sum(CASE WHEN l.reltuples >= 0 THEN l.reltuples"
    "       ELSE pg_stat_get_live_tuples(l.oid) END)::bigint FROM pg_class l"
    "     WHERE l.oid = t.oid AND t.relkind <> 'p' OR t.relkind = 'p' AND l.oid IN"
    "       (SELECT relid FROM pg_partition_tree(t.oid) WHERE isleaf)),"
    "  pg_stat_get_tuples_deleted(f.confrelid)"
    " FROM pg_constraint f JOIN pg_class t ON t.oid = f.conrelid"
    "  JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_class r ON r.oid = f.confrelid"
    "  JOIN pg_namespace rn ON rn.oid = r.relnamespace,"
    "  unnest(f.conkey) WITH ORDINALITY AS k(attnum, place)"
    "  JOIN pg_attribute a ON a.attnum = k.attnum"
    " WHERE f.contype = 'f' AND f.conparentid = 0 AND a.attrelid = f.conrelid"
    "  AND NOT pg_is_other_temp_schema(n.oid)"
    " ORDER BY n.nspname, t.relname, f.conname, k.place";

// Never vacuumed nor analysed shows as -1; pg_stats would hide tables that the caller cannot read.
constexpr const char* kTables =
    "SELECT t.oid, n.nspname, t.relname, quote_ident(n.nspname), quote_ident(t.relname),"
    "  pg_stat_get_live_tuples(t.oid), t.reltuples >= 0"
    "    OR pg_stat_get_last_analyze_time(t.oid) IS NOT NULL"
    "    OR pg_stat_get_last_autoanalyze_time(t.oid) IS NOT NULL,"
    "  pg_stat_get_mod_since_analyze(t.oid)"
    " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace"
    " WHERE t.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', "
    "'upkeep')"
    "  AND NOT pg_is_other_temp_schema(n.oid)"
    " ORDER BY 2, 3";

constexpr const char* kTableFacts =
    "SELECT t.oid, CASE WHEN t.reltuples >= 0 THEN t.reltuples END::bigint,"
    "  CASE WHEN t.reltuples >= 0 THEN t.relpages END, pg_stat_get_numscans(t.oid)"
    " FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace"
    " WHERE t.relkind IN ('r', 'm') AND t.relhasindex"
    "  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')"
    "  AND NOT pg_is_other_temp_schema(n.oid)";

// Of one-column indexes on tables that are large enough to matter. pg_stats leaves out what the
// caller may not read: then nothing is known. Nulls are one more value.
constexpr const char* kFirstKeys =
    "SELECT x.indexrelid, p.n_distinct + (p.null_frac > 0)::int,"
    "  CASE WHEN array_length(p.most_common_freqs, 1) = p.n_distinct THEN least("
    "    (SELECT min(f) FROM unnest(p.most_common_freqs) AS f), nullif(p.null_frac, 0)) END"
    " FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid"
    "  JOIN pg_namespace n ON n.oid = t.relnamespace"
    "  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]"
    "  JOIN pg_stats p ON (p.schemaname, p.tablename, p.attname)"
    "    = (n.nspname, t.relname, a.attname) AND NOT p.inherited"
    " WHERE x.indnkeyatts = 1 AND t.relkind IN ('r', 'm') AND t.reltuples >= 10000"
    "  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'upkeep', 'pg_toast')"
    "  AND p.n_distinct > 0 AND p.n_distinct <= 20";

// Standbys count their own scans. Who may not see their rows still sees that they are there.
constexpr const char* kElsewhere =
    "SELECT CASE WHEN pg_is_in_recovery() THEN 'this is a standby: its primary counts for itself'"
    "  WHEN EXISTS (SELECT FROM pg_stat_get_wal_senders()) THEN (SELECT count(*) FROM"
    "    pg_stat_get_wal_senders()) || ' servers receive the WAL here: their use is not known'"
    " END";

/// `schema.table`, or `table` where the caller's search_path finds it; parts quoted already.
std::string ShownName(int64_t oid, const std::string& schema, const std::string& name) {
    return IsVisible(static_cast<Oid>(oid)) ? name : schema + "." + name;
}

/// `filter`: of which tables, as a further condition; empty: of all.
void ReadIndexes(const std::string& filter, health::IndexInventory* inventory,
                 std::map<int64_t, size_t>* places) {
    const HostRows rows = Query((kIndexes + filter + kIndexOrder).c_str());
    for (int i = 0; i < rows.rows; ++i) {
        health::IndexDescription index;
        (*places)[*rows.Integer(i, 0)] = inventory->indexes.size();
        index.table_id = *rows.Integer(i, 1);
        index.name = rows.Text(i, 4);
        index.access_method = rows.Text(i, 5);
        index.predicate = rows.Text(i, 6);
        index.is_unique = rows.Bool(i, 7);
        index.nulls_not_distinct = rows.Bool(i, 8);
        index.backs_constraint = rows.Bool(i, 9);
        index.is_replica_identity = rows.Bool(i, 10);
        index.is_valid = rows.Bool(i, 11);
        index.is_being_built = rows.Bool(i, 12);
        index.is_partition_child = rows.Bool(i, 13);
        index.scans = rows.Integer(i, 14);
        index.size_bytes = rows.Integer(i, 15);
        index.create_sql = rows.Text(i, 16);
        index.drop_sql = rows.Text(i, 17);
        index.schema_sql = rows.Text(i, 18);
        index.table_name = ShownName(index.table_id, index.schema_sql, rows.Text(i, 19));
        index.is_immediate = rows.Bool(i, 20);
        index.is_extension_member = rows.Bool(i, 21);
        index.entries = rows.Number(i, 22);
        index.entries_read = rows.Integer(i, 23);
        index.writes = rows.Integer(i, 24);
        index.rebuild_sql = rows.Text(i, 25);
        index.is_clustered = rows.Bool(i, 26);
        inventory->indexes.push_back(std::move(index));
    }
}

void ReadIndexColumns(const std::string& filter, health::IndexInventory* inventory,
                      const std::map<int64_t, size_t>& places) {
    const HostRows rows = Query((kIndexColumns + filter + kColumnOrder).c_str());
    for (int i = 0; i < rows.rows; ++i) {
        const auto place = places.find(*rows.Integer(i, 0));
        if (place == places.end()) {
            continue;
        }
        health::IndexDescription& index = inventory->indexes[place->second];
        if (rows.Bool(i, 1)) {
            index.keys.push_back({rows.Text(i, 2), rows.Text(i, 3), rows.Text(i, 4),
                                  rows.Bool(i, 5), rows.Bool(i, 6)});
        } else {
            index.included.push_back(rows.Text(i, 2));
        }
    }
}

void ReadForeignKeys(health::IndexInventory* inventory) {
    const HostRows rows = Query(kForeignKeys);
    std::string last;
    for (int i = 0; i < rows.rows; ++i) {
        if (rows.Text(i, 0) != last) {
            last = rows.Text(i, 0);
            health::ForeignKeyFacts key;
            key.table_id = *rows.Integer(i, 1);
            key.base_name = rows.Text(i, 3);
            key.schema_sql = rows.Text(i, 7);
            key.table_sql = key.schema_sql + "." + rows.Text(i, 8);
            key.table_name = ShownName(key.table_id, key.schema_sql, rows.Text(i, 8));
            key.referenced_table =
                ShownName(*rows.Integer(i, 4), rows.Text(i, 9), rows.Text(i, 10));
            key.is_nullable = rows.Bool(i, 13);
            key.is_partitioned = rows.Bool(i, 14);
            key.child_rows = rows.Integer(i, 15);
            key.parent_deletes = rows.Integer(i, 16);
            inventory->foreign_keys.push_back(std::move(key));
        }
        inventory->foreign_keys.back().columns.push_back(rows.Text(i, 11));
        inventory->foreign_keys.back().columns_sql.push_back(rows.Text(i, 12));
    }
}

void ReadTables(health::IndexInventory* inventory) {
    const HostRows rows = Query(kTables);
    for (int i = 0; i < rows.rows; ++i) {
        health::TableStatistics table;
        table.table_sql = rows.Text(i, 3) + "." + rows.Text(i, 4);
        table.table_name = ShownName(*rows.Integer(i, 0), rows.Text(i, 3), rows.Text(i, 4));
        table.rows = rows.Integer(i, 5).value_or(0);
        table.has_statistics = rows.Bool(i, 6);
        table.changed_rows = rows.Integer(i, 7);
        inventory->tables.push_back(std::move(table));
    }
}

void ReadTableFacts(health::IndexInventory* inventory, const std::map<int64_t, size_t>& places) {
    const HostRows tables = Query(kTableFacts);
    for (int i = 0; i < tables.rows; ++i) {
        health::TableFacts& facts = inventory->table_facts[*tables.Integer(i, 0)];
        facts.rows = tables.Number(i, 1);
        facts.pages = tables.Integer(i, 2);
        facts.full_scans = tables.Integer(i, 3);
    }
    const HostRows keys = Query(kFirstKeys);
    for (int i = 0; i < keys.rows; ++i) {
        const auto place = places.find(*keys.Integer(i, 0));
        if (place != places.end()) {
            inventory->indexes[place->second].distinct_values = keys.Number(i, 1);
            inventory->indexes[place->second].rarest_ratio = keys.Number(i, 2);
        }
    }
    inventory->uses_elsewhere = Query(kElsewhere).Text(0, 0);
}

}  // namespace

health::IndexInventory ReadInventory() {
    health::IndexInventory inventory;
    inventory.host = Hosts::kPostgres;
    inventory.counters_age_s = Query(kCountersAge).Number(0, 0);
    std::map<int64_t, size_t> places;
    ReadIndexes("", &inventory, &places);
    ReadIndexColumns("", &inventory, places);
    ReadForeignKeys(&inventory);
    ReadTables(&inventory);
    ReadTableFacts(&inventory, places);
    return inventory;
}

std::vector<health::IndexDescription> ReadIndexesOf(Oid table) {
    health::IndexInventory inventory;
    std::map<int64_t, size_t> places;
    const std::string filter = " AND x.indrelid = " + std::to_string(table);
    ReadIndexes(filter, &inventory, &places);
    ReadIndexColumns(filter, &inventory, places);
    return std::move(inventory.indexes);
}

}  // namespace upkeep::pg
