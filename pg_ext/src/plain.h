// Plain data that the C-like half of the what-if port (server calls, no destructors) hands to the
// C++ half. Everything is palloc'd in the context of the call and freed with it.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>

#include "pg.h"
#include "upkeep/advisor/what_if.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace upkeep::pg {

/// A growing palloc'd array; trivially destructible on purpose.
template <typename Item>
struct PlainArray {
    Item* items = nullptr;
    int count = 0;
    int room = 0;

    Item* Add() {
        if (count == room) {
            room = room == 0 ? 8 : room * 2;
            items = static_cast<Item*>(items == nullptr ? palloc(sizeof(Item) * room)
                                                        : repalloc(items, sizeof(Item) * room));
        }
        items[count] = Item{};
        return &items[count++];
    }
};

struct PlainPredicate {
    AttrNumber attno;
    advisor::Operator op;
};

struct PlainSortKey {
    AttrNumber attno;
    bool descending;
    bool nulls_first;
};

/// As advisor::KindCondition; `refused` not nullptr: as KindRefusal.
struct PlainOffer {
    advisor::IndexKind kind;
    advisor::Operator op;
    AttrNumber attno;  // the key where `sql` is ""
    const char* sql;
    const char* opclass;
    const char* text;
    const char* refused;
    Bitmapset* columns;  // attribute numbers
    List* predicate;     // partial: implicitly AND-ed, Vars numbered 1
};

/// One mention of a base relation in one query level.
struct PlainUse {
    Oid relid;
    PlainArray<PlainPredicate> predicates;
    PlainArray<PlainSortKey> order;
    PlainArray<AttrNumber> group;
    Bitmapset* needed;  // attribute numbers
    bool has_limit;
    PlainArray<PlainOffer> conditions;
    Bitmapset* parsed_json;  // columns of type json that conditions look into
};

struct PlainStatement {
    List* queries;  // rewritten, to be copied before planning
    const char* text;
    CmdType command;
    int64_t fingerprint;
    Oid run_as;  // planned as this role; InvalidOid: as the caller
    bool has_parameters;
    PlainArray<PlainUse> uses;
    PlainArray<Oid> written;
    List* relations;  // oids of all that the rewritten queries name
};

struct IndexPages {
    double pages;        // all of them, metapage and inner pages too
    double tuples;       // rows it points to
    int tree_height;     // levels above the leaves
    double tuple_bytes;  // of one row on a leaf, line pointer included
};

/// Sizes asked before, of the table or of several partitions: the planner asks again and again.
constexpr int kKnownSizes = 8;
struct KnownSizes {
    Oid relids[kKnownSizes];
    double rows[kKnownSizes];
    IndexPages pages[kKnownSizes];
    unsigned next;
};

/// Entries of a GIN index that are about equally frequent.
struct GinClass {
    double keys;   // so many in the whole index
    double share;  // of the rows hold each
};

/// What a sample of rows says about the entries of a GIN index, or the values of an expression;
/// rows == 0: nothing.
struct GinSample {
    double rows;
    double entries;      // all of them together, each row's doubles counted once
    double entry_bytes;  // of one, on average
    const GinClass* classes;
    int classes_count;
};

/// What a sample says of an expression's values.
struct KeySample {
    double rows;  // 0: nothing is known
    double distinct;
    double null_ratio;
    double width;
};

/// A hypothetical index, ready to become an IndexOptInfo.
struct HypotheticalIndex {
    Oid oid;  // outside of what the catalogs use; only our own planning sees it
    Oid relid;
    char* name;
    int key_count;
    int column_count;    // keys and included columns
    AttrNumber* attnos;  // 0: the next of `expressions`
    Oid* types;
    int32* typmods;
    Oid* collations;  // keys only, as families, input_types, descending, nulls_first
    Oid* families;
    Oid* input_types;
    bool* descending;
    bool* nulls_first;
    List* expressions;    // Vars numbered 1
    List* predicate;      // implicitly AND-ed, Vars numbered 1; NIL: whole table
    bool is_partitioned;  // stands on the root: every leaf gets one
    bool is_unique;
    bool is_there;  // IF NOT EXISTS, and there is one of that name: nothing is to be assumed
    bool deduplicates;
    int fill_percent;  // of leaf pages
    Oid tablespace;
    KnownSizes* sizes;
    Oid access_method;
    int pages_per_range;    // BRIN; 0: the default
    double heap_pages;      // of the table, 0: not asked
    Oid gin_key_type;       // what the operator class stores; InvalidOid: the column's type
    double share;           // of the rows that the predicate keeps; 0: not asked
    bool is_share_counted;  // in a sample: the statistics do not know it
    GinSample sample;
    KeySample* key_samples;  // by position, or nullptr
};

}  // namespace upkeep::pg
