// SPDX-License-Identifier: PostgreSQL
#include "index_size.h"

#include <algorithm>
#include <cmath>

#include "key_facts.h"
#include "other_sizes.h"
#include "value_classes.h"

extern "C" {
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_opfamily.h"
}

namespace upkeep::pg {

namespace {

constexpr double kPageBytes = BLCKSZ - SizeOfPageHeaderData - MAXALIGN(sizeof(BTPageOpaqueData));
constexpr double kInnerBytes = kPageBytes - BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR) / 100.0;
constexpr double kLinePointer = sizeof(ItemIdData);
constexpr double kRowPointer = sizeof(ItemPointerData);
// From this correlation on, rows come in the order of the key.
constexpr double kInOrder = 0.95;
// Rows that stand for all when the average tuple is looked for.
constexpr int kExamples = 512;

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

/// The tuple of one row: which columns are NULL and how wide the others are follows from `example`.
double TupleBytes(const KeyFacts* columns, int count, int example) {
    double data = 0;
    bool has_null = false;
    double step = 0.618033988749895;  // a sequence of its own for each column, evenly spread
    for (int i = 0; i < count; ++i) {
        const KeyFacts& column = columns[i];
        double unused = 0;
        const double place = std::modf((example + 0.5) * step, &unused);
        step = std::modf(step * 1.3247179572447460 + 0.1, &unused);
        if (place < column.null_ratio) {
            has_null = true;
            continue;
        }
        const double bytes = SizeAt(column, (place - column.null_ratio) / (1 - column.null_ratio));
        // Short values of varying length stand where the last one ends.
        const bool is_packed = column.length == -1 && bytes <= VARATT_SHORT_MAX;
        data = is_packed ? data : Aligned(data, Boundary(column.align));
        data += bytes;
    }
    const double head = has_null
                            ? MAXALIGN(sizeof(IndexTupleData) + sizeof(IndexAttributeBitMapData))
                            : sizeof(IndexTupleData);
    return Aligned(head + data, MAXIMUM_ALIGNOF);
}

double AverageTuple(const KeyFacts* columns, int count) {
    double sum = 0;
    for (int example = 0; example < kExamples; ++example) {
        sum += TupleBytes(columns, count, example);
    }
    return sum / kExamples;
}

/// Leaf bytes of one key that `rows` rows have.
double KeyBytes(double rows, double tuple_bytes, bool deduplicates) {
    if (!deduplicates || rows <= 1) {
        return rows * (tuple_bytes + kLinePointer);
    }
    // As nbtdedup.h: a posting list tuple grows to a tenth of a page at most.
    const double most_bytes = MAXALIGN_DOWN(BLCKSZ * 10 / 100) - sizeof(ItemIdData);
    const double most_rows = std::max(1.0, std::floor((most_bytes - tuple_bytes) / kRowPointer));
    const auto posting = [&](double count) {
        return kLinePointer + (count < 2
                                   ? tuple_bytes
                                   : Aligned(tuple_bytes + count * kRowPointer, MAXIMUM_ALIGNOF));
    };
    if (rows < 2) {  // some keys have two rows, the others one
        return (rows - 1) * posting(2) + (2 - rows) * posting(1);
    }
    const double full = std::floor(rows / most_rows);
    const double rest = rows - full * most_rows;
    return full * posting(most_rows) + (rest >= 1 ? posting(rest) : 0);
}

/// Leaf bytes of keys of one class: each has `expected` rows, by chance where they are few.
double ClassBytes(const KeyClass& keys, double tuple_bytes, bool deduplicates) {
    if (!keys.by_chance || !deduplicates || keys.rows > 30) {
        return keys.values * KeyBytes(keys.rows, tuple_bytes, deduplicates);
    }
    double bytes = 0;
    double left = 1;
    double chance =
        keys.trials > 0 ? std::pow(1 - keys.rows / keys.trials, keys.trials) : std::exp(-keys.rows);
    const double odds = keys.trials > 0 ? keys.rows / (keys.trials - keys.rows) : 0;
    for (int k = 1; k <= 60 && left > 1e-6; ++k) {
        left -= chance;
        chance *= keys.trials > 0 ? odds * (keys.trials - k + 1) / k : keys.rows / k;
        bytes += chance * KeyBytes(k, tuple_bytes, true);
    }
    return keys.values * bytes;
}

IndexPages Estimate(const HypotheticalIndex& index, Oid relid, double rows) {
    if (index.access_method == GIN_AM_OID) {
        return EstimateGin(index, rows);
    }
    if (index.access_method == BRIN_AM_OID) {
        return EstimateBrin(index, relid, rows);
    }
    auto* columns = static_cast<KeyFacts*>(palloc(sizeof(KeyFacts) * index.column_count));
    for (int i = 0; i < index.column_count; ++i) {
        columns[i] = FactsOfColumn(index, i, relid, rows);
    }
    const double tuple_bytes = AverageTuple(columns, index.column_count);
    const bool deduplicates = Deduplicates(index);
    double bytes = rows * (tuple_bytes + kLinePointer);
    bool has_equal = false;
    if (deduplicates) {
        const double combined =
            index.key_count > 1 ? CombinedDistinct(relid, index.attnos, index.key_count, rows) : 0;
        const PlainArray<KeyClass> classes = KeyClasses(columns, index.key_count, rows, combined);
        bytes = 0;
        for (int i = 0; i < classes.count; ++i) {
            bytes += ClassBytes(classes.items[i], tuple_bytes, deduplicates);
            has_equal = has_equal || classes.items[i].rows >= 2;
        }
    }
    // Each leaf but the last also holds a high key, cut to the columns that tell it from its right
    // neighbour: take it as wide as a tuple.
    const double leaf_bytes = kPageBytes - BLCKSZ * (100 - index.fill_percent) / 100.0;
    double level_pages =
        std::max(1.0, std::ceil(bytes / std::max(tuple_bytes, leaf_bytes - tuple_bytes)));
    double pages = 1 + level_pages;  // the metapage
    const double pivot = tuple_bytes + kLinePointer + (has_equal ? MAXALIGN(kRowPointer) : 0);
    int height = 0;
    while (level_pages > 1) {
        level_pages = std::ceil(level_pages / std::max(2.0, std::floor(kInnerBytes / pivot)));
        pages += level_pages;
        ++height;
    }
    return {pages, rows, height, bytes / std::max(rows, 1.0)};
}

}  // namespace

IndexPages EstimatePages(const HypotheticalIndex& index, Oid relid, double rows) {
    rows = std::max(rows, 0.0);
    KnownSizes* known = index.sizes;
    for (int i = 0; i < kKnownSizes; ++i) {
        if (known->relids[i] == relid && known->rows[i] == rows) {
            return known->pages[i];
        }
    }
    const IndexPages pages = Estimate(index, relid, rows);
    const int at = known->next++ % kKnownSizes;
    known->relids[at] = relid;
    known->rows[at] = rows;
    known->pages[at] = pages;
    return pages;
}

double InsertionPlaces(Oid relid, const AttrNumber* attnos, int key_count, double rows,
                       double pages) {
    double places = 1;
    for (int i = 0; i < key_count && places < pages; ++i) {
        if (attnos[i] <= 0) {
            return pages;  // an expression: anywhere
        }
        const KeyFacts facts = FactsOfAttribute(relid, attnos[i], rows);
        if (std::fabs(facts.correlation) >= kInOrder && facts.distinct > 1) {
            break;  // each row behind the last one, within what stands before this key
        }
        places *= std::max(facts.distinct, 1.0);
    }
    return std::clamp(places, 1.0, std::max(pages, 1.0));
}

}  // namespace upkeep::pg
