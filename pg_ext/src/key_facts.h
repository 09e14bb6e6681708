// What the statistics say of one column of an index: how often its values come, how wide they are,
// whether rows come in their order.
// C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// `values` values that `frequency` of the rows have each.
struct ValueClass {
    double frequency;
    double values;
};

struct KeyFacts {
    double distinct;  // values other than NULL
    double null_ratio;
    double correlation;              // of values and places in the table, -1 to 1
    PlainArray<ValueClass> classes;  // most common values, the rest, NULL; all rows between them
    int16 length;                    // bytes; -1: varying
    char align;
    double width;             // of the average value, its header included
    PlainArray<float> sizes;  // of values with equal shares, ascending; empty: all are of `width`
};

/// Column `position` of the index, in `relid`: its own table or a partition of it.
KeyFacts FactsOfColumn(const HypotheticalIndex& index, int position, Oid relid, double rows);

KeyFacts FactsOfAttribute(Oid relid, AttrNumber attno, double rows);

/// Bytes that the value at this quantile (0 to 1) of the column takes.
double SizeAt(const KeyFacts& facts, double quantile);

/// Extended statistics' count of distinct combinations of exactly these columns; 0: none.
double CombinedDistinct(Oid relid, const AttrNumber* attnos, int count, double rows);

}  // namespace upkeep::pg
