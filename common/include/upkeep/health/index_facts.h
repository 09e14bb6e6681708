// What a host knows of its indexes and foreign keys, as plain data.
// The host reads its catalog into this once per call; what follows from it is decided in
// index_findings.h. Not for: what a statement would gain from an index (advisor/).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "upkeep/base/table_function.h"

namespace upkeep::health {

/// One key column. Two keys are the same if all of it is the same; the texts are only compared.
struct KeyPart {
    std::string expression;  // column name or expression as the host prints it
    std::string collation;
    std::string opclass;
    bool descending = false;
    bool nulls_first = false;
    friend bool operator==(const KeyPart&, const KeyPart&) = default;
};

struct IndexDescription {
    int64_t table_id = 0;    // the host's own number, equal for indexes of one table
    std::string table_name;  // as the user writes it, qualified where needed
    std::string schema_sql;  // quoted where needed
    std::string name;
    std::string access_method;  // `btree`, …
    std::vector<KeyPart> keys;
    std::vector<std::string> included;
    std::string predicate;  // of a partial index; empty: whole table
    bool is_unique = false;
    bool nulls_not_distinct = false;
    bool backs_constraint = false;  // primary key, unique, exclusion, target of a foreign key
    bool is_replica_identity = false;
    bool is_valid = true;
    bool is_being_built = false;      // invalid because somebody builds it right now
    bool is_partition_child = false;  // goes with the index of the root
    std::optional<int64_t> scans;     // since the counters began; none: the host does not count
    std::optional<int64_t> size_bytes;
    std::string
        create_sql;  // recreates it as it was; statements are separated by `;` and a newline
    std::string drop_sql;
    bool is_extension_member = false;     // dropping it is refused
    bool is_immediate = true;             // false: of a deferrable constraint
    std::optional<double> entries;        // in the index, by the planner's statistics
    std::optional<int64_t> entries_read;  // by all scans together
    // Since the counters began: PostgreSQL entries made, at most; SQLite made or removed, at least.
    std::optional<int64_t> writes;
    std::optional<double> expected_bytes;  // of the same index freshly built
    std::string rebuild_sql;
    // Of the first key; none: not known.
    std::optional<double> distinct_values;
    std::optional<double> rarest_ratio;  // share of rows of the rarest value, where all are known
    bool is_clustered = false;           // CLUSTER orders the table by it
    std::string measured_by;  // what measured expected_bytes and saw; empty: it is an estimate
};

/// What an index of the table could save.
struct TableFacts {
    std::optional<double> rows;
    std::optional<int64_t> pages;
    std::optional<int64_t> full_scans;  // since the counters began
};

struct ForeignKeyFacts {
    int64_t table_id = 0;
    std::string table_name;  // as the user writes it
    std::string table_sql;   // quoted, qualified
    std::string schema_sql;  // quoted
    std::string base_name;   // the table's plain name, for the name of an index
    std::vector<std::string> columns;
    std::vector<std::string> columns_sql;  // quoted where needed
    std::string referenced_table;
    std::optional<int64_t> child_rows;
    std::optional<int64_t> parent_deletes;  // since the counters began
    bool is_nullable = false;               // a single column that may be NULL
    bool needs_no_index = false;            // the column is the rowid itself
    bool is_partitioned = false;            // the child: no CREATE INDEX CONCURRENTLY
};

/// Planner statistics of one table.
struct TableStatistics {
    std::string table_name;
    std::string table_sql;
    int64_t rows = 0;
    bool has_statistics = false;
    std::optional<int64_t> changed_rows;  // since they were taken
};

/// A column whose JSON is kept as text although the host has a type that keeps it parsed.
struct JsonColumn {
    std::string table_name;  // as the user writes it
    std::string table_sql;   // quoted, qualified
    std::string name;
    std::string name_sql;     // quoted where needed
    bool is_indexed = false;  // an index stands on what is in it
    std::string blocked_by;   // why its type cannot be changed by one statement; empty: it can
};

struct IndexInventory {
    Hosts host = Hosts::kPostgres;  // whose SQL is to be written
    std::vector<IndexDescription> indexes;
    std::vector<ForeignKeyFacts> foreign_keys;
    std::vector<TableStatistics> tables;
    std::optional<double> counters_age_s;       // how long scans have been counted
    std::map<int64_t, TableFacts> table_facts;  // by table_id
    std::string uses_elsewhere;  // what is known of servers that count for themselves
    std::vector<JsonColumn> json_columns;
};

}  // namespace upkeep::health
