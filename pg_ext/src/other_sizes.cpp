// SPDX-License-Identifier: PostgreSQL
#include "other_sizes.h"

#include <algorithm>
#include <cmath>

#include "hypothetical.h"
#include "index_size.h"
#include "write_cost.h"

extern "C" {
#include "access/brin.h"
#include "access/brin_page.h"
#include "access/gin_private.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "utils/rel.h"
}

namespace upkeep::pg {

namespace {

// An entry with its row pointers grows to a third of a page. Source: GinMaxItemSize.
constexpr double kMostInEntry = (BLCKSZ - SizeOfPageHeaderData - 3 * sizeof(ItemIdData) - 16) / 3.0;
// A split leaves both pages half full, and a build in one go only ever splits the last one; several
// goes fill them up again. Measured: 0.50 to 0.52 and 0.64 to 0.7.
constexpr double kFillOfOneGo = 0.51;
constexpr double kFillOfMore = 0.66;
// What a build keeps in memory for one row pointer and for one key.
constexpr double kBuildPointerBytes = 8;
constexpr double kBuildKeyBytes = 64;
constexpr double kLinePointer = sizeof(ItemIdData);
// Without a sample: entries of a document, list or text, and the room of one.
constexpr double kTypicalEntries = 10;
constexpr double kTypicalEntryBytes = 12;

double Aligned(double bytes) {
    return std::ceil(bytes / MAXIMUM_ALIGNOF) * MAXIMUM_ALIGNOF;
}

/// Bytes of `rows` row pointers in one entry: the first as it is, each other one as the distance to
/// the one before it in 7-bit groups: small within a page of the table, 2,048 for each page
/// between. Source: ginpostinglist.c.
double PostingBytes(double rows, double pages) {
    pages = std::max(1.0, pages);
    const double pages_hit = pages * (1 - std::exp(-rows / pages));
    const double gap = pages / std::max(1.0, pages_hit);
    const double across = std::ceil(std::log2(gap * 2048 + 1) / 7);
    const double within = std::max(0.0, rows - pages_hit);
    return sizeof(GinPostingList) + within + std::max(0.0, rows - within - 1) * across;
}

}  // namespace

double GinEntriesOfRow(const HypotheticalIndex& index) {
    return index.sample.rows > 0 ? index.sample.entries / index.sample.rows : kTypicalEntries;
}

IndexPages EstimateGin(const HypotheticalIndex& index, double rows) {
    const GinSample& sample = index.sample;
    const double per_row = GinEntriesOfRow(index);
    const double entry_bytes = sample.rows > 0 ? sample.entry_bytes : kTypicalEntryBytes;
    const double pointers = rows * per_row;
    double bytes = 0;  // of the entry tree
    double posting_pages = 0;
    double all_keys = 0;
    const auto add = [&](double keys, double rows_each) {
        const double posting = PostingBytes(rows_each, index.heap_pages);
        const double head = sizeof(IndexTupleData) + entry_bytes;
        all_keys += keys;
        if (head + posting > kMostInEntry) {  // a tree of its own, three quarters full on average
            bytes += keys * (Aligned(head) + kLinePointer);
            posting_pages += keys * std::ceil(posting / (BLCKSZ * 0.9));
        } else {
            bytes += keys * (Aligned(head + posting) + kLinePointer);
        }
    };
    if (sample.classes_count == 0) {
        add(std::max(1.0, pointers / 20), 20);
    }
    for (int i = 0; i < sample.classes_count; ++i) {
        const GinClass& one = sample.classes[i];
        add(one.keys, std::max(1.0, one.share * rows));
    }
    const bool is_one_go =
        pointers * kBuildPointerBytes + all_keys * kBuildKeyBytes < maintenance_work_mem * 1024.0;
    const double fill = is_one_go ? kFillOfOneGo : kFillOfMore;
    const double leaves = std::max(1.0, std::ceil(bytes / (BLCKSZ * fill)));
    return {1 + 1 + leaves + std::ceil(leaves / 200) + posting_pages, rows, -1,
            bytes / std::max(1.0, pointers)};
}

IndexPages EstimateBrin(const HypotheticalIndex& index, Oid relid, double rows) {
    const double per_range =
        index.pages_per_range > 0 ? index.pages_per_range : BRIN_DEFAULT_PAGES_PER_RANGE;
    Relation relation = relation_open(relid, AccessShareLock);
    const double blocks = RELKIND_HAS_STORAGE(relation->rd_rel->relkind)
                              ? static_cast<double>(RelationGetNumberOfBlocks(relation))
                              : 0;
    relation_close(relation, NoLock);
    const double ranges = std::max(1.0, std::ceil(blocks / per_range));
    double data = sizeof(IndexTupleData);
    for (int i = 0; i < index.key_count; ++i) {
        int32 width = get_attavgwidth(relid, index.attnos[i]);
        width = width > 0 ? width : get_typavgwidth(index.types[i], index.typmods[i]);
        data += 2 * Aligned(width);
    }
    const double bytes = ranges * (Aligned(data) + kLinePointer);
    // The metapage, the map from ranges to entries, the entries.
    return {1 + std::ceil(ranges / REVMAP_PAGE_MAXITEMS) + std::ceil(bytes / (BLCKSZ - 40)), rows,
            -1, Aligned(data)};
}

double TotalBytes(const HypotheticalIndex& index) {
    List* leaves = index.is_partitioned ? find_all_inheritors(index.relid, AccessShareLock, nullptr)
                                        : list_make1_oid(index.relid);
    double bytes = 0;
    ListCell* cell = nullptr;
    foreach (cell, leaves) {
        const Oid leaf = lfirst_oid(cell);
        const char kind = get_rel_relkind(leaf);
        if (kind != RELKIND_RELATION && kind != RELKIND_MATVIEW) {
            continue;
        }
        Relation relation = relation_open(leaf, AccessShareLock);
        BlockNumber pages = 0;
        double rows = 0;
        double all_visible = 0;
        estimate_rel_size(relation, nullptr, &pages, &rows, &all_visible);
        relation_close(relation, NoLock);
        HypotheticalIndex part = index;
        KnownSizes sizes = {};
        part.sizes = &sizes;  // those of the whole are for another share
        if (index.predicate != NIL && leaf != index.relid) {
            part.share = std::max(
                1e-9, PredicateShare(leaf, ForRelation(index, index.predicate, leaf), rows));
        }
        part.heap_pages = pages;
        const double share = part.share > 0 ? part.share : 1;
        bytes += EstimatePages(part, leaf, rows * share).pages * BLCKSZ;
    }
    return bytes;
}

}  // namespace upkeep::pg
