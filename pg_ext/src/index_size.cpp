// SPDX-License-Identifier: PostgreSQL
#include "index_size.h"

#include <algorithm>
#include <cmath>

extern "C" {
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "nodes/nodeFuncs.h"
#include "statistics/statistics.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

constexpr double kPageBytes = BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData));
constexpr double kInnerBytes = kPageBytes - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100.0;
constexpr double kLinePointer = sizeof(ItemIdData);
constexpr double kRowPointer = sizeof(ItemPointerData);
constexpr int kMostCommon = 100;
// From this correlation on, rows come in the order of the key.
constexpr double kInOrder = 0.95;

/// What the statistics say of one key.
struct KeyFacts {
    double width;     // bytes, without alignment
    double distinct;  // values other than NULL
    double null_ratio;
    double correlation;  // of values and places in the table, -1 to 1
    int common_count;
    float4 common[kMostCommon];  // frequencies of the most common values
    int16 length;
    char align;
};

double Aligned(double bytes, double boundary) {
    return std::ceil(bytes / boundary) * boundary;
}

double Boundary(char align) {
    switch (align) {
        case TYPALIGN_DOUBLE:
            return ALIGNOF_DOUBLE;
        case TYPALIGN_INT:
            return ALIGNOF_INT;
        case TYPALIGN_SHORT:
            return ALIGNOF_SHORT;
        default:
            return 1;
    }
}

KeyFacts FactsOfKey(Oid relid, AttrNumber attno, Oid type, int32 typmod, double rows) {
    KeyFacts facts = {};
    bool by_value = false;
    get_typlenbyvalalign(type, &facts.length, &by_value, &facts.align);
    facts.width = facts.length > 0 ? facts.length : get_typavgwidth(type, typmod);
    facts.distinct = type == BOOLOID ? 2 : std::min(rows, std::max(200.0, rows * 0.1));
    HeapTuple tuple = attno > 0 ? SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid),
                                                  Int16GetDatum(attno), BoolGetDatum(false))
                                : nullptr;
    if (!HeapTupleIsValid(tuple)) {
        return facts;
    }
    auto* statistics = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(tuple));
    facts.null_ratio = statistics->stanullfrac;
    if (statistics->stawidth > 0) {
        facts.width = statistics->stawidth;
    }
    if (statistics->stadistinct > 0) {
        facts.distinct = statistics->stadistinct;
    } else if (statistics->stadistinct < 0) {
        facts.distinct = -statistics->stadistinct * rows;
    }
    AttStatsSlot slot;
    if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS)) {
        facts.common_count = std::min(slot.nnumbers, kMostCommon);
        std::copy_n(slot.numbers, facts.common_count, facts.common);
        free_attstatsslot(&slot);
    }
    if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
                         ATTSTATSSLOT_NUMBERS)) {
        facts.correlation = slot.nnumbers == 1 ? slot.numbers[0] : 0;
        free_attstatsslot(&slot);
    }
    ReleaseSysCache(tuple);
    return facts;
}

/// Extended statistics' count of distinct combinations of exactly these columns; 0: none.
double CombinedDistinct(Oid relid, const AttrNumber* attnos, int count, double rows) {
    Bitmapset* wanted = nullptr;
    for (int i = 0; i < count; ++i) {
        if (attnos[i] <= 0) {
            return 0;
        }
        wanted = bms_add_member(wanted, attnos[i]);
    }
    Relation relation = table_open(relid, AccessShareLock);
    List* oids = RelationGetStatExtList(relation);
    table_close(relation, AccessShareLock);
    double found = 0;
    ListCell* cell = nullptr;
    foreach (cell, oids) {
        const Oid oid = lfirst_oid(cell);
        HeapTuple data =
            SearchSysCache2(STATEXTDATASTXOID, ObjectIdGetDatum(oid), BoolGetDatum(false));
        if (!HeapTupleIsValid(data)) {
            continue;
        }
        bool is_null = true;
        SysCacheGetAttr(STATEXTDATASTXOID, data, Anum_pg_statistic_ext_data_stxdndistinct,
                        &is_null);
        ReleaseSysCache(data);
        if (is_null) {
            continue;
        }
        MVNDistinct* combinations = statext_ndistinct_load(oid, false);
        for (uint32 i = 0; i < combinations->nitems; ++i) {
            const MVNDistinctItem& item = combinations->items[i];
            Bitmapset* these = nullptr;
            for (int k = 0; k < item.nattributes; ++k) {
                these = bms_add_member(these, item.attributes[k]);
            }
            if (bms_equal(these, wanted)) {
                found = item.ndistinct < 0 ? -item.ndistinct * rows : item.ndistinct;
            }
        }
    }
    return found;
}

/// May equal keys share one posting list? As nbtree decides at build time.
bool Deduplicates(const HypotheticalIndex& index) {
    if (!index.deduplicates || index.column_count != index.key_count) {
        return false;
    }
    for (int i = 0; i < index.key_count; ++i) {
        const Oid function = get_opfamily_proc(index.families[i], index.input_types[i],
                                               index.input_types[i], BTEQUALIMAGE_PROC);
        if (!OidIsValid(function) ||
            !DatumGetBool(OidFunctionCall1Coll(function, index.collations[i],
                                               ObjectIdGetDatum(index.input_types[i])))) {
            return false;
        }
    }
    return true;
}

/// Leaf bytes of `keys` keys that stand for `rows` rows between them.
double LeafBytes(double rows, double keys, double tuple_bytes, bool deduplicates) {
    if (rows <= 0) {
        return 0;
    }
    keys = std::clamp(keys, 1.0, std::max(rows, 1.0));
    if (!deduplicates || rows <= keys) {
        return rows * (tuple_bytes + kLinePointer);
    }
    // As nbtdedup.h: a posting list tuple grows to a tenth of a page at most.
    const double most_bytes = MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData);
    const double most_rows = std::max(1.0, std::floor((most_bytes - tuple_bytes) / kRowPointer));
    const double rows_per_key = rows / keys;
    if (rows_per_key < 2) {  // some keys have two rows, the others one
        const double pairs = rows - keys;
        return pairs * (Aligned(tuple_bytes + 2 * kRowPointer, MAXIMUM_ALIGNOF) + kLinePointer) +
               (keys - pairs) * (tuple_bytes + kLinePointer);
    }
    const double full = std::floor(rows_per_key / most_rows);
    const double rest = rows_per_key - full * most_rows;
    double bytes =
        full * (Aligned(tuple_bytes + most_rows * kRowPointer, MAXIMUM_ALIGNOF) + kLinePointer);
    if (rest >= 1) {
        bytes +=
            kLinePointer +
            (rest < 2 ? tuple_bytes : Aligned(tuple_bytes + rest * kRowPointer, MAXIMUM_ALIGNOF));
    }
    return keys * bytes;
}

}  // namespace

IndexPages EstimatePages(const HypotheticalIndex& index, Oid relid, double rows) {
    rows = std::max(rows, 0.0);
    double data = 0;
    double none_null = 1;
    double product = 1;
    double largest = 1;
    KeyFacts first = {};
    for (int i = 0; i < index.column_count; ++i) {
        const KeyFacts facts =
            FactsOfKey(relid, index.attnos[i], index.types[i], index.typmods[i], rows);
        const double present = 1 - facts.null_ratio;
        if (facts.length > 0) {
            data = Aligned(data, Boundary(facts.align));
        }
        data += facts.width * present;
        none_null *= present;
        if (i < index.key_count) {
            const double distinct = facts.distinct + (facts.null_ratio > 0 ? 1 : 0);
            product *= std::max(distinct, 1.0);
            largest = std::max(largest, distinct);
        }
        if (i == 0) {
            first = facts;
        }
    }
    double keys = std::min(product, rows);
    if (index.key_count > 1) {
        const double combined = CombinedDistinct(relid, index.attnos, index.key_count, rows);
        keys = combined > 0 ? std::min(combined, rows) : std::max(keys, std::min(largest, rows));
    }
    const double with_bitmap = sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData);
    const double head =
        none_null * sizeof(IndexTupleData) + (1 - none_null) * MAXALIGN(with_bitmap);
    const double tuple_bytes = Aligned(head + data, MAXIMUM_ALIGNOF);
    const bool deduplicates = Deduplicates(index);

    double bytes = 0;
    if (index.key_count == 1) {
        // The most common values and NULL are keys of their own; the rest shares the rest.
        double left_rows = rows * (1 - first.null_ratio);
        double left_keys = std::max(first.distinct, 1.0);
        for (int i = 0; i < first.common_count; ++i) {
            const double common_rows = first.common[i] * rows;
            bytes += LeafBytes(common_rows, 1, tuple_bytes, deduplicates);
            left_rows -= common_rows;
            left_keys -= 1;
        }
        bytes += LeafBytes(rows * first.null_ratio, 1, MAXALIGN(with_bitmap), deduplicates);
        bytes += LeafBytes(std::max(left_rows, 0.0), left_keys, tuple_bytes, deduplicates);
    } else {
        bytes = LeafBytes(rows, keys, tuple_bytes, deduplicates);
    }
    // Each leaf but the last also holds a high key, cut to the columns that tell it from its right
    // neighbour: take it as wide as a tuple.
    const double leaf_bytes = kPageBytes - BLCKSZ * (100 - index.fill_percent) / 100.0;
    double level_pages =
        std::max(1.0, std::ceil(bytes / std::max(tuple_bytes, leaf_bytes - tuple_bytes)));
    double pages = 1 + level_pages;  // the metapage
    const double pivot = tuple_bytes + kLinePointer + (keys < rows ? MAXALIGN(kRowPointer) : 0);
    int height = 0;
    while (level_pages > 1) {
        level_pages = std::ceil(level_pages / std::max(2.0, std::floor(kInnerBytes / pivot)));
        pages += level_pages;
        ++height;
    }
    return {pages, rows, height, bytes / std::max(rows, 1.0)};
}

double InsertionPlaces(Oid relid, const AttrNumber* attnos, int key_count, double rows,
                       double pages) {
    double places = 1;
    for (int i = 0; i < key_count && places < pages; ++i) {
        if (attnos[i] <= 0) {
            return pages;  // an expression: anywhere
        }
        Oid type = InvalidOid;
        int32 typmod = 0;
        Oid collation = InvalidOid;
        get_atttypetypmodcoll(relid, attnos[i], &type, &typmod, &collation);
        const KeyFacts facts = FactsOfKey(relid, attnos[i], type, typmod, rows);
        if (std::fabs(facts.correlation) >= kInOrder && facts.distinct > 1) {
            break;  // each row behind the last one, within what stands before this key
        }
        places *= std::max(facts.distinct, 1.0);
    }
    return std::clamp(places, 1.0, std::max(pages, 1.0));
}

}  // namespace upkeep::pg
