// SPDX-License-Identifier: PostgreSQL
#include "index_sample.h"

#include <algorithm>

#include "compat.h"
#include "spi_select.h"

extern "C" {
#include "access/gin.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
}

namespace upkeep::pg {

namespace {

constexpr double kExpressionRows = 20000;
constexpr double kDocumentRows = 3000;
constexpr int kMostClasses = 64;

bool IsForeignFunction(Oid function, void*) {
    return function >= FirstNormalObjectId;
}

}  // namespace

bool CallsOthers(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    return check_functions_in_node(node, IsForeignFunction, nullptr) ||
           WalkExpression(node, CallsOthers, context);
}

namespace {

double RowsOfTable(Oid relid, double* pages) {
    Relation relation = relation_open(relid, AccessShareLock);
    BlockNumber blocks = 0;
    double rows = 0;
    double all_visible = 0;
    if (RELKIND_HAS_STORAGE(relation->rd_rel->relkind)) {
        estimate_rel_size(relation, nullptr, &blocks, &rows, &all_visible);
    } else {  // the root of partitions
        rows = std::max(0.0F, relation->rd_rel->reltuples);
        blocks = static_cast<BlockNumber>(std::max(0, relation->rd_rel->relpages));
    }
    relation_close(relation, NoLock);
    *pages = blocks;
    return rows;
}

const char* FromSample(Oid relid, double rows, double wanted) {
    const double percent = rows <= wanted ? 100 : 100 * wanted / rows;
    return psprintf("FROM %s AS sampled TABLESAMPLE SYSTEM (%.6f) REPEATABLE (1)",
                    quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
                                               get_rel_name(relid)),
                    std::max(0.000001, percent));
}

const char* ExpressionText(const HypotheticalIndex& index, Node* expression) {
    return deparse_expression(expression, deparse_context_for("sampled", index.relid), false,
                              false);
}

double FloatCell(HeapTuple tuple, TupleDesc shape, int column) {
    bool is_null = false;
    const Datum value = SPI_getbinval(tuple, shape, column, &is_null);
    return is_null ? 0 : DatumGetFloat8(value);
}

/// Source: Haas and Stokes 1998, as the server's own ANALYZE.
double Distinct(double sampled, double distinct, double once, double all) {
    if (sampled <= 0 || all <= sampled) {
        return distinct;
    }
    const double estimate = sampled * distinct / (sampled - once + once * sampled / all);
    return std::clamp(estimate, distinct, all);
}

void SampleExpression(HypotheticalIndex* index, int position, Node* expression, double rows) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(
        &sql,
        "SELECT pg_catalog.sum(n)::pg_catalog.float8,"
        " pg_catalog.sum(n) FILTER (WHERE k IS NOT NULL)::pg_catalog.float8,"
        " pg_catalog.count(k)::pg_catalog.float8,"
        " pg_catalog.count(k) FILTER (WHERE n OPERATOR(pg_catalog.=) 1)::pg_catalog.float8,"
        " pg_catalog.sum(w)::pg_catalog.float8"
        " FROM (SELECT k, pg_catalog.count(*) AS n, pg_catalog.sum(pg_catalog.pg_column_size(k)) "
        "AS w FROM (SELECT %s AS k %s) AS v GROUP BY k) AS g",
        ExpressionText(*index, expression), FromSample(index->relid, rows, kExpressionRows));
    const CellTable<double> got = Select<double>(sql.data, {}, FloatCell);
    if (got.rows != 1 || got.cells[0] <= 0 || got.cells[1] <= 0) {
        return;
    }
    const double sampled = got.cells[1];
    KeySample* key = &index->key_samples[position];
    key->rows = got.cells[0];
    key->null_ratio = 1 - sampled / got.cells[0];
    key->distinct = Distinct(sampled, got.cells[2], got.cells[3], rows * (1 - key->null_ratio));
    key->width = got.cells[4] / sampled;
    if (get_typlen(index->types[position]) < 0 && key->width <= 126) {
        key->width = std::max(1.0, key->width - 3);  // stored with a short header
    }
}

/// One entry of one row.
struct Entry {
    uint64 hash;
    int row;
    double bytes;
};

struct Extraction {
    FmgrInfo function;
    Oid collation;
    bool by_value;
    int16 length;
    int row;
    MemoryContext scratch;  // emptied after each row
    PlainArray<Entry> entries;
};
// The rows come one by one from Select(), which takes a plain function.
Extraction* extracting = nullptr;

Entry EntryOf(Datum value, bool is_null, const Extraction& from) {
    Entry entry = {0, from.row, 1};
    if (is_null) {
        return entry;
    }
    if (from.by_value) {
        entry.hash = hash_bytes_uint32_extended(static_cast<uint32>(value), value >> 32);
        entry.bytes = from.length;
    } else if (from.length == -1) {
        auto* bytes = reinterpret_cast<struct varlena*>(DatumGetPointer(value));
        const auto size = static_cast<int>(VARSIZE_ANY_EXHDR(bytes));
        entry.hash =
            hash_bytes_extended(reinterpret_cast<unsigned char*>(VARDATA_ANY(bytes)), size, 0);
        entry.bytes = size + (size <= 126 ? 1 : 4);
    } else {
        const int size = from.length > 0 ? from.length : 0;
        entry.hash =
            hash_bytes_extended(reinterpret_cast<unsigned char*>(DatumGetPointer(value)), size, 0);
        entry.bytes = size;
    }
    return entry;
}

char ExtractRow(HeapTuple tuple, TupleDesc shape, int column) {
    bool is_null = false;
    const Datum value = SPI_getbinval(tuple, shape, column, &is_null);
    Extraction* to = extracting;
    ++to->row;
    int32 count = 0;
    bool* nulls = nullptr;
    Datum* values = nullptr;
    const MemoryContext caller = MemoryContextSwitchTo(to->scratch);
    if (!is_null) {
        values = reinterpret_cast<Datum*>(
            DatumGetPointer(FunctionCall3Coll(&to->function, to->collation, value,
                                              PointerGetDatum(&count), PointerGetDatum(&nulls))));
    }
    MemoryContextSwitchTo(caller);
    if (count == 0 || values == nullptr) {  // a placeholder entry
        *to->entries.Add() = {0, to->row, 1};
    }
    for (int i = 0; values != nullptr && i < count; ++i) {
        *to->entries.Add() = EntryOf(values[i], nulls != nullptr && nulls[i], *to);
    }
    MemoryContextReset(to->scratch);
    return 0;
}

/// Sorts the entries by themselves and then by row, each once a row.
void SortOnce(PlainArray<Entry>* entries) {
    std::sort(entries->items, entries->items + entries->count, [](const Entry& a, const Entry& b) {
        return a.hash != b.hash ? a.hash < b.hash : a.row < b.row;
    });
    entries->count = static_cast<int>(std::unique(entries->items, entries->items + entries->count,
                                                  [](const Entry& a, const Entry& b) {
                                                      return a.hash == b.hash && a.row == b.row;
                                                  }) -
                                      entries->items);
}

/// Keys by how many of the sample's rows hold them; those that one row holds stand for the many
/// that the sample has not met.
void FillClasses(const PlainArray<Entry>& entries, double sampled_rows, double rows,
                 GinSample* sample) {
    auto* counts = static_cast<int*>(palloc0(sizeof(int) * (entries.count + 1)));
    int distinct = 0;
    double bytes = 0;
    for (int i = 0; i < entries.count; ++i) {
        const bool is_new = i == 0 || entries.items[i].hash != entries.items[i - 1].hash;
        distinct += is_new ? 1 : 0;
        bytes += is_new ? entries.items[i].bytes : 0;
        ++counts[distinct - 1];
    }
    std::sort(counts, counts + distinct);
    auto* classes = static_cast<GinClass*>(palloc0(sizeof(GinClass) * kMostClasses));
    const auto place = [=](int count) {
        return static_cast<double>(std::upper_bound(counts, counts + distinct, count) - counts);
    };
    const double once = place(1);
    const double twice = place(2) - once;
    const double thrice = place(3) - place(2);
    const double part = std::min(1.0, sampled_rows / rows);
    // Of the keys met once some are met by chance as those met twice and thrice are (their number
    // falls as Poisson's does), and others are in one row of the table each.
    const double mean = twice > 0 ? 3 * thrice / twice : 0;
    const double by_chance = part < 1 && mean > 0 ? std::min(once, 2 * twice / mean) : 0;
    const double alone = once - by_chance;
    int used = 0;
    int at = static_cast<int>(once);
    if (alone > 0) {
        classes[used++] = {alone / part, part / sampled_rows};
    }
    if (by_chance > 0) {
        const double keys = by_chance + by_chance / mean;  // with those not met at all
        classes[used++] = {keys, by_chance / keys / sampled_rows};
    }
    while (at < distinct) {
        // The last class takes all that is left.
        const int value = counts[at];
        int end = at;
        double sum = 0;
        const double limit = used + 1 == kMostClasses ? 1e300 : value * 1.15;
        while (end < distinct && counts[end] <= limit) {
            sum += counts[end++];
        }
        const double keys = end - at;
        classes[used++] = {keys, sum / keys / sampled_rows};
        at = end;
    }
    *sample = {sampled_rows, static_cast<double>(entries.count), bytes / std::max(1, distinct),
               classes, used};
}

void SampleEntries(HypotheticalIndex* index, double rows) {
    Node* expression =
        index->attnos[0] == 0 ? static_cast<Node*>(linitial(index->expressions)) : nullptr;
    const char* key = expression != nullptr
                          ? ExpressionText(*index, expression)
                          : quote_identifier(get_attname(index->relid, index->attnos[0], false));
    const Oid extract = get_opfamily_proc(index->families[0], index->input_types[0],
                                          index->input_types[0], GIN_EXTRACTVALUE_PROC);
    if (!OidIsValid(extract)) {
        return;
    }
    Extraction to = {};
    fmgr_info(extract, &to.function);
    to.collation = index->collations[0];
    Oid type = index->gin_key_type;
    if (!OidIsValid(type) || type == ANYELEMENTOID) {
        type = get_base_element_type(index->types[0]);
    }
    if (!OidIsValid(type)) {
        return;
    }
    get_typlenbyval(type, &to.length, &to.by_value);
    to.scratch =
        AllocSetContextCreate(CurrentMemoryContext, "upkeep sample", ALLOCSET_DEFAULT_SIZES);
    extracting = &to;
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "SELECT %s %s", key, FromSample(index->relid, rows, kDocumentRows));
    Select<char>(sql.data, {}, ExtractRow);
    extracting = nullptr;
    MemoryContextDelete(to.scratch);
    if (to.row > 0) {
        SortOnce(&to.entries);
        FillClasses(to.entries, to.row, std::max<double>(rows, to.row), &index->sample);
        pfree(to.entries.items);
    }
}

}  // namespace

const char* SampleOf(Oid relid, double wanted, double* part) {
    double pages = 0;
    const double rows = RowsOfTable(relid, &pages);
    *part = rows <= wanted ? 1 : wanted / rows;
    return FromSample(relid, rows, wanted);
}

namespace {

/// Does it look at what something makes of a column? Of that there are no statistics, as a rule.
bool ComputesValue(Node* node, void* context) {
    if (node == nullptr) {
        return false;
    }
    switch (nodeTag(node)) {
        case T_FuncExpr:
        case T_CoerceViaIO:
        case T_ArrayCoerceExpr:
        case T_CaseExpr:
        case T_CoalesceExpr:
        case T_MinMaxExpr:
        case T_SubscriptingRef:
            return true;
        case T_OpExpr:
            return reinterpret_cast<OpExpr*>(node)->opresulttype != BOOLOID ||
                   WalkExpression(node, ComputesValue, context);
        default:
            return WalkExpression(node, ComputesValue, context);
    }
}

}  // namespace

double CountedShare(Oid relid, List* predicate) {
    auto* whole = reinterpret_cast<Node*>(predicate);
    if (predicate == NIL || !ComputesValue(whole, nullptr) || CallsOthers(whole, nullptr)) {
        return -1;
    }
    double pages = 0;
    const double rows = RowsOfTable(relid, &pages);
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql,
                     "SELECT pg_catalog.count(*)::pg_catalog.float8,"
                     " pg_catalog.count(*) FILTER (WHERE %s)::pg_catalog.float8 %s",
                     deparse_expression(reinterpret_cast<Node*>(make_ands_explicit(predicate)),
                                        deparse_context_for("sampled", relid), false, false),
                     FromSample(relid, rows, kExpressionRows));
    const CellTable<double> got = Select<double>(sql.data, {}, FloatCell);
    return got.rows == 1 && got.cells[0] > 0 ? got.cells[1] / got.cells[0] : -1;
}

bool NeedsSample(const HypotheticalIndex& index) {
    return index.access_method == GIN_AM_OID ||
           (index.access_method == BTREE_AM_OID && index.expressions != NIL);
}

bool SampleIndex(HypotheticalIndex* index) {
    const double rows = RowsOfTable(index->relid, &index->heap_pages);
    if (CallsOthers(reinterpret_cast<Node*>(index->expressions), nullptr)) {
        return false;
    }
    if (index->access_method == GIN_AM_OID) {
        SampleEntries(index, rows);
        return true;
    }
    index->key_samples = static_cast<KeySample*>(
        palloc0(sizeof(KeySample) * static_cast<Size>(index->column_count)));
    ListCell* expression = list_head(index->expressions);
    for (int i = 0; i < index->key_count; ++i) {
        if (index->attnos[i] == 0) {
            SampleExpression(index, i, static_cast<Node*>(lfirst(expression)), rows);
            expression = lnext(index->expressions, expression);
        }
    }
    return true;
}

}  // namespace upkeep::pg
