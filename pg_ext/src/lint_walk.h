// Walks a rewritten statement for lint_statements: conditions that no index can serve, NOT IN over
// columns that may be NULL, paging in an order that is not unique. C-like: may raise; runs nobody's
// code (conditions of indexes are read as stored).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// A column and what stands around it.
struct PlainCondition {
    Oid relid;
    AttrNumber attno;
    const char* expression;  // deparsed
    const char* index_name;  // of the column; "": none
    const char* detail;      // of a conversion: the other side's type
    bool can_be_indexed;     // the expression: immutable, no parameter
};

/// A mention of a table or view in the outermost FROM.
struct PlainMention {
    Oid relid;
    const char* alias;
};

struct PlainLint {
    bool has_limit;
    bool has_offset;
    PlainArray<PlainMention> shown;
    PlainArray<PlainCondition> functions;
    PlainArray<PlainCondition> casts;
    PlainArray<PlainCondition> wildcards;
    PlainArray<PlainCondition> not_in;
    Oid keyset;  // the table that is paged through; InvalidOid: none, or its order is unique
    PlainArray<AttrNumber> keyset_order;
    PlainArray<AttrNumber> tie_breaker;
    bool is_descending;
};

/// `wildcards`: numbers of the parameters that stand for patterns beginning with a wildcard.
PlainLint* WalkForLint(Query* query, const Bitmapset* wildcards);

}  // namespace upkeep::pg
