// The health topic's calls: indexes and their findings, checks, settings advice, sizes.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Column kIndexes[] = {
    {"schema_name", Type::kText, "schema (SQLite: attached database)"},
    {"table_name", Type::kText, "table"},
    {"index_name", Type::kText, "index"},
    {"definition", Type::kText, "CREATE INDEX statement (SQLite: NULL where a constraint made it)"},
    {"kind", Type::kText, "access method: btree, hash, gin, gist, brin, …"},
    {"is_unique", Type::kBool, "enforces uniqueness"},
    {"is_primary", Type::kBool, "of the primary key"},
    {"backs_constraint", Type::kBool,
     "a primary key, unique or exclusion constraint, or a foreign key's target, needs it"},
    {"scans", Type::kBigint,
     "scans since counters_since_at (SQLite: calls of captured statements whose plan reads it; "
     "NULL where that is not certain)"},
    {"tuples_read", Type::kBigint, "entries returned by scans (SQLite: NULL)"},
    {"tuples_fetched", Type::kBigint, "live rows fetched by plain scans (SQLite: NULL)"},
    {"size_bytes", Type::kBigint,
     "size; with its partitions for a partitioned index (SQLite: "
     "NULL without dbstat)"},
    {"last_used_at", Type::kTimestamp, "last scan (NULL before PostgreSQL 16)"},
    {"counters_since_at", Type::kTimestamp,
     "the counters are at least this old (SQLite: since capture, or a change of the schema or its "
     "statistics)"},
};

constexpr Column kIndexFindings[] = {
    {"code", Type::kText,
     "duplicate, redundant_prefix, redundant_partial, unused, invalid, bloated, wrong_order, "
     "low_cardinality, costs_more_than_it_saves, small_table, json_without_jsonb (SQLite has no "
     "such type: an index on the value), never_analysed, needs_analyze"},
    {"severity", Type::kText, "high, medium, low, info"},
    {"table_name", Type::kText, "table, qualified where needed"},
    {"index_name", Type::kText, "index; NULL: the finding is about the table"},
    {"size_bytes", Type::kBigint, "what dropping it gives back"},
    {"evidence", Type::kText, "why, with the numbers"},
    {"fix_sql", Type::kText, "one statement that mends it; NULL: none is safe to offer"},
    {"undo_sql", Type::kText, "one statement that undoes the fix"},
    {"covered_by", Type::kText, "index that answers the same and stays"},
};

constexpr Column kUnindexedForeignKeys[] = {
    {"table_name", Type::kText, "referencing table, qualified where needed"},
    {"columns", Type::kTextArray, "its columns"},
    {"referenced_table", Type::kText, "table that it points to"},
    {"child_rows", Type::kBigint, "estimated rows of the referencing table"},
    {"parent_deletes", Type::kBigint,
     "rows deleted from the referenced table since the counters began (SQLite: NULL)"},
    {"severity", Type::kText, "high, medium, low, info: by child_rows and parent_deletes"},
    {"create_sql", Type::kText, "creates the index that serves it; one statement"},
    {"undo_sql", Type::kText, "drops that index"},
};

constexpr Column kCheckHealth[] = {
    {"section", Type::kText,
     "connections, indexes, statements, monitoring, settings, storage, backup, workflows, "
     "security"},
    {"code", Type::kText, "stable name of the check"},
    {"status", Type::kText,
     "ok, warn, fail; unknown: no evidence; manual: cannot be seen from a database"},
    {"title", Type::kText, "what was looked at"},
    {"evidence", Type::kText, "what was found, with numbers and limits"},
    {"advice", Type::kText, "what to do; NULL: nothing"},
    {"fix_sql", Type::kText, "statements that mend it, one a line; NULL: none is safe to offer"},
};

constexpr Parameter kAdviseSettingsParameters[] = {
    {"ram_bytes", Type::kBigint, "NULL", "memory; NULL: detected, control group limit included"},
    {"cpus", Type::kInt, "NULL", "processors; NULL: detected"},
    {"storage", Type::kText, "ssd", "ssd, san, hdd"},
    {"workload", Type::kText, "oltp", "oltp, web, olap, mixed"},
    {"max_connections", Type::kInt, "NULL", "NULL: the current setting (SQLite: not used)"},
};

constexpr Column kAdviseSettings[] = {
    {"name", Type::kText, "setting (SQLite: PRAGMA)"},
    {"current_value", Type::kText, "its value for this session, in `unit`"},
    {"advised_value", Type::kText, "value to start with; NULL: something is not known"},
    {"unit", Type::kText, "unit of both values; NULL: none"},
    {"formula", Type::kText, "how the value comes about"},
    {"evidence", Type::kText, "inputs and what was measured"},
    {"needs_restart", Type::kBool, "takes effect at the next start only"},
    {"confidence", Type::kText, "high, medium, low"},
    {"set_sql", Type::kText,
     "statements that set it, one a line; NULL: it is set already. PostgreSQL: then SELECT "
     "pg_reload_conf()"},
};

constexpr Column kDatabaseStats[] = {
    {"database_name", Type::kText, "database (SQLite: attached database)"},
    {"active", Type::kInt, "sessions that run a statement (SQLite: NULL)"},
    {"idle", Type::kInt, "idle sessions (SQLite: NULL)"},
    {"idle_in_transaction", Type::kInt, "sessions idle in a transaction (SQLite: NULL)"},
    {"max_connections", Type::kInt, "limit for ordinary roles (SQLite: NULL, there is none)"},
    {"commits", Type::kBigint, "since counters_since_at (SQLite: NULL)"},
    {"rollbacks", Type::kBigint, "since counters_since_at (SQLite: NULL)"},
    {"transactions_per_second", Type::kFloat8, "average since counters_since_at (SQLite: NULL)"},
    {"cache_hit_ratio", Type::kFloat8,
     "block reads found in shared buffers (SQLite: pages, by this connection, all databases)"},
    {"index_usage_ratio", Type::kFloat8,
     "index scans of all scans, current database only (SQLite: NULL)"},
    {"deadlocks", Type::kBigint, "since counters_since_at (SQLite: NULL)"},
    {"temp_bytes", Type::kBigint, "written to temporary files (SQLite: NULL)"},
    {"size_bytes", Type::kBigint, "size on disk; NULL: hidden from you"},
    {"oldest_transaction_ms", Type::kFloat8, "age of the oldest open transaction (SQLite: NULL)"},
    {"wraparound_ratio", Type::kFloat8, "transaction ids used of those there are (SQLite: NULL)"},
    {"counters_since_at", Type::kTimestamp, "the counters are at least this old (SQLite: NULL)"},
};

constexpr Column kTableSizes[] = {
    {"table_name", Type::kText, "table, qualified where needed"},
    {"rows_estimate", Type::kBigint, "rows by statistics (SQLite: or by the highest rowid)"},
    {"dead_rows", Type::kBigint, "rows that VACUUM can remove (SQLite: NULL)"},
    {"table_bytes", Type::kBigint,
     "the table itself (SQLite: measured by dbstat, which reads every page; else estimated)"},
    {"index_bytes", Type::kBigint, "its indexes"},
    {"toast_bytes", Type::kBigint, "values stored outside the rows (SQLite: NULL)"},
    {"total_bytes", Type::kBigint, "all of it"},
    {"bloat_ratio", Type::kFloat8,
     "share of the table that is empty: estimated from average row widths; NULL: never analysed "
     "(SQLite: measured; NULL: dbstat is not there and all sizes are estimates)"},
    {"last_vacuum_at", Type::kTimestamp, "last VACUUM, by hand or autovacuum (SQLite: NULL)"},
    {"last_analyze_at", Type::kTimestamp, "last ANALYZE, by hand or autovacuum (SQLite: NULL)"},
};

constexpr TableFunction View(std::string_view name, std::string_view doc,
                             std::span<const Column> columns) {
    return {.name = name,
            .topic = "health",
            .kind = CallKind::kView,
            .hosts = Hosts::kBoth,
            .effect = Effect::kReads,
            .doc = doc,
            .since = "0.1.0",
            .parameters = {},
            .columns = columns};
}

constexpr TableFunction kCalls[] = {
    View("indexes", "every index with its size and use", kIndexes),
    View("index_findings", "indexes that are redundant, unused or broken, with fix and undo",
         kIndexFindings),
    View("unindexed_foreign_keys", "foreign keys that no index serves, worst first",
         kUnindexedForeignKeys),
    {.name = "check_health",
     .topic = "health",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "a production checklist with evidence; what cannot be known says so",
     .since = "0.1.0",
     .parameters = {},
     .columns = kCheckHealth},
    {.name = "advise_settings",
     .topic = "health",
     .kind = CallKind::kFunction,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "a start value for each setting that matters, with formula and evidence",
     .since = "0.1.0",
     .parameters = kAdviseSettingsParameters,
     .columns = kAdviseSettings},
    View("database_stats", "connections, traffic, cache and age of each database", kDatabaseStats),
    View("table_sizes", "size, dead rows and bloat of each table", kTableSizes),
};

}  // namespace

std::span<const TableFunction> HealthCalls() {
    return kCalls;
}

}  // namespace upkeep
