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

/// One mention of a base relation in one query level.
struct PlainUse {
    Oid relid;
    PlainArray<PlainPredicate> predicates;
    PlainArray<PlainSortKey> order;
    PlainArray<AttrNumber> group;
    Bitmapset* needed;  // attribute numbers
    bool has_limit;
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

/// A hypothetical B-tree, ready to become an IndexOptInfo.
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
};

}  // namespace upkeep::pg
