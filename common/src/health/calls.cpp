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
    {"scans", Type::kBigint, "scans since counters_since_at (SQLite: NULL, it does not count)"},
    {"tuples_read", Type::kBigint, "entries returned by scans (SQLite: NULL)"},
    {"tuples_fetched", Type::kBigint, "live rows fetched by plain scans (SQLite: NULL)"},
    {"size_bytes", Type::kBigint,
     "size; with its partitions for a partitioned index (SQLite: "
     "NULL without dbstat)"},
    {"last_used_at", Type::kTimestamp, "last scan (NULL before PostgreSQL 16 and in SQLite)"},
    {"counters_since_at", Type::kTimestamp, "the counters are at least this old (SQLite: NULL)"},
};

constexpr Column kIndexFindings[] = {
    {"code", Type::kText,
     "duplicate, redundant_prefix, unused, invalid, never_analysed, needs_analyze"},
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
};

}  // namespace

std::span<const TableFunction> HealthCalls() {
    return kCalls;
}

}  // namespace upkeep
