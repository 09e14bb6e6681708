// What the catalogs say of one relation. C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

struct PlainColumn {
    const char* name;  // "" for a dropped one
    double distinct;
    double null_ratio;
    double width;
    bool is_orderable;
    double correlation;  // between its order and that of the rows, -1..1; 0: unknown
    bool has_brin;       // has a default BRIN operator class
    Oid collation;
    Oid opclass;  // its default B-tree operator class
};

struct PlainPartition {
    const char* name;
    const char* display_name;
    const char* schema_quoted;
    int parent;
    bool is_partitioned;
    bool is_foreign;
};

struct PlainIndex {
    const char* name;
    double size_bytes;
    bool is_unique;
    bool backs_constraint;
    bool is_partial;
    bool has_expression;
    int key_count;
    int column_count;
    AttrNumber* attnos;
    bool* descending;
    bool* nulls_first;
};

struct PlainRelation {
    const char* name;
    const char* display_name;   // quoted, qualified where the search path needs it
    const char* schema_quoted;  // "" where display_name is not qualified
    double rows;
    double size_bytes;
    PlainArray<PlainColumn> columns;  // position = attribute number - 1
    PlainArray<PlainIndex> indexes;   // valid B-trees
    bool is_partitioned;
    bool is_temporary;
    const char* no_index_because;  // "" if it can have one
    PlainArray<PlainPartition> partitions;
};

PlainRelation* ReadRelation(Oid relid);

}  // namespace upkeep::pg
