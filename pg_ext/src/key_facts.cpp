// SPDX-License-Identifier: PostgreSQL
#include "key_facts.h"

#include <algorithm>
#include <cmath>

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "commands/vacuum.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "statistics/statistics.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

// Sizes of a varying column are kept at so many quantiles.
constexpr int kSizes = 64;
// Values stand together in the table from this correlation on.
constexpr double kClustered = 0.99;
// Without statistics, as the planner assumes.
constexpr double kUnknownDistinct = 200;

/// Bytes of a value in an index tuple: short headers where they fit.
double StoredBytes(Datum value) {
    const struct varlena* data = reinterpret_cast<struct varlena*>(DatumGetPointer(value));
    const Size bytes = VARSIZE_ANY_EXHDR(data);
    return bytes + VARHDRSZ_SHORT <= VARATT_SHORT_MAX ? bytes + VARHDRSZ_SHORT : bytes + VARHDRSZ;
}

struct Weighted {
    double bytes;
    double weight;
};

/// Sizes at equal quantiles, from the values that the statistics keep.
void KeepSizes(Weighted* found, int count, KeyFacts* facts) {
    double total = 0;
    for (int i = 0; i < count; ++i) {
        total += found[i].weight;
    }
    std::sort(found, found + count,
              [](const Weighted& a, const Weighted& b) { return a.bytes < b.bytes; });
    double passed = 0;
    int at = 0;
    for (int i = 0; i < kSizes && total > 0; ++i) {
        const double wanted = (i + 0.5) / kSizes * total;
        while (at + 1 < count && passed + found[at].weight < wanted) {
            passed += found[at++].weight;
        }
        *facts->sizes.Add() = static_cast<float>(found[at].bytes);
    }
}

/// From the most common values (each with its frequency) and the ends of the histogram's buckets,
/// which are a fair choice from the rest.
void ReadSizes(HeapTuple tuple, double rest, KeyFacts* facts) {
    AttStatsSlot common = {};
    AttStatsSlot bounds = {};
    const int both = ATTSTATSSLOT_VALUES | ATTSTATSSLOT_NUMBERS;
    const bool has_common = get_attstatsslot(&common, tuple, STATISTIC_KIND_MCV, InvalidOid, both);
    const bool has_bounds =
        get_attstatsslot(&bounds, tuple, STATISTIC_KIND_HISTOGRAM, InvalidOid, ATTSTATSSLOT_VALUES);
    const int count = (has_common ? common.nvalues : 0) + (has_bounds ? bounds.nvalues : 0);
    auto* found = static_cast<Weighted*>(palloc(sizeof(Weighted) * (count + 1)));
    int at = 0;
    for (int i = 0; has_common && i < common.nvalues && i < common.nnumbers; ++i) {
        found[at++] = {StoredBytes(common.values[i]), common.numbers[i]};
    }
    for (int i = 0; has_bounds && i < bounds.nvalues; ++i) {
        found[at++] = {StoredBytes(bounds.values[i]), rest / bounds.nvalues};
    }
    KeepSizes(found, at, facts);
    if (has_common) {
        free_attstatsslot(&common);
    }
    if (has_bounds) {
        free_attstatsslot(&bounds);
    }
    pfree(found);
}

void AddClass(double frequency, double values, KeyFacts* facts) {
    if (frequency > 0 && values > 0) {
        *facts->classes.Add() = {frequency, values};
    }
}

/// Most common values, the rest, NULL. Returns the share of the rest.
double ReadClasses(HeapTuple tuple, KeyFacts* facts) {
    double rest = 1 - facts->null_ratio;
    double rest_values = std::max(facts->distinct, 1.0);
    AttStatsSlot slot;
    if (HeapTupleIsValid(tuple) &&
        get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS)) {
        for (int i = 0; i < slot.nnumbers; ++i) {
            AddClass(slot.numbers[i], 1, facts);
            rest -= slot.numbers[i];
        }
        rest_values = std::max(rest_values - slot.nnumbers, rest > 1e-6 ? 1.0 : 0.0);
        free_attstatsslot(&slot);
    }
    rest = std::max(rest, 0.0);
    AddClass(rest_values > 0 ? rest / rest_values : 0, rest_values, facts);
    AddClass(facts->null_ratio, 1, facts);
    return rest;
}

/// ANALYZE takes its rows from as many blocks as it takes rows, often several from one, and counts
/// as if they came from anywhere: where equal values stand together it meets them too often and
/// thinks that there are few. Its estimate is turned back into what it saw (values seen once, the
/// others twice), and that into how many equal rows stand together.
double DistinctAcrossBlocks(Oid relid, double distinct, double rows) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
    if (!HeapTupleIsValid(tuple)) {
        return distinct;
    }
    const double blocks = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relpages;
    ReleaseSysCache(tuple);
    const double sample = 300.0 * default_statistics_target;
    if (blocks <= sample || rows <= sample) {
        return distinct;
    }
    // Source: the estimator of src/backend/commands/analyze.c (Haas and Stokes), solved for f1.
    const double once =
        (distinct * sample - sample * sample / 2) / (sample / 2 + distinct * (1 - sample / rows));
    if (once <= 0 || once >= sample) {
        return distinct;
    }
    // Two rows of one block are equal with a chance that tells how many equal ones stand beside the
    // average row; that is one more than beside the average value's first one if they come by
    // chance.
    const double per_block = rows / blocks;
    // A count by chance; a budget must hold, so take few of them (many values, a large index).
    const double seen = (sample - once) / 2;
    const double doubles = std::max(0.0, seen - 2 * std::sqrt(seen));
    const double beside = 2 * doubles / sample * (per_block - 1);
    if (beside > per_block / 2) {
        return distinct;
    }
    const double further = (beside - 2 + std::sqrt((beside - 2) * (beside - 2) + 4 * beside)) / 2;
    return std::max(distinct, rows / (1 + further));
}

KeyFacts ReadFacts(Oid relid, AttrNumber attno, Oid type, int32 typmod, double rows) {
    KeyFacts facts = {};
    bool by_value = false;
    get_typlenbyvalalign(type, &facts.length, &by_value, &facts.align);
    facts.width = facts.length > 0 ? facts.length : get_typavgwidth(type, typmod);
    facts.distinct = type == BOOLOID ? 2 : std::min(rows, std::max(kUnknownDistinct, rows * 0.1));
    HeapTuple tuple = nullptr;
    // A partitioned table's statistics are those that include its children.
    for (const bool inherited : {false, true}) {
        if (attno > 0 && !HeapTupleIsValid(tuple)) {
            tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relid), Int16GetDatum(attno),
                                    BoolGetDatum(inherited));
        }
    }
    if (!HeapTupleIsValid(tuple)) {
        ReadClasses(nullptr, &facts);
        return facts;
    }
    auto* statistics = reinterpret_cast<Form_pg_statistic>(GETSTRUCT(tuple));
    facts.null_ratio = statistics->stanullfrac;
    if (statistics->stawidth > 0) {
        facts.width = statistics->stawidth;
    }
    if (statistics->stadistinct != 0) {
        facts.distinct =
            statistics->stadistinct > 0 ? statistics->stadistinct : -statistics->stadistinct * rows;
    }
    AttStatsSlot slot;
    if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_CORRELATION, InvalidOid,
                         ATTSTATSSLOT_NUMBERS)) {
        facts.correlation = slot.nnumbers == 1 ? slot.numbers[0] : 0;
        free_attstatsslot(&slot);
    }
    if (std::fabs(facts.correlation) >= kClustered) {
        facts.distinct = DistinctAcrossBlocks(relid, facts.distinct, rows);
    }
    facts.distinct = std::min(facts.distinct, std::max(rows, 1.0));
    const double rest = ReadClasses(tuple, &facts);
    if (facts.length == -1) {
        ReadSizes(tuple, rest, &facts);
    }
    ReleaseSysCache(tuple);
    return facts;
}

/// An expression has no more values than the one column that it is made of, and where it is of the
/// same kind (lower(text)) it is about as wide.
KeyFacts FactsOfExpression(Node* expression, Oid relid, const KeyFacts& unknown, double rows) {
    List* columns = pull_var_clause(expression, 0);
    if (list_length(columns) != 1 || linitial_node(Var, columns)->varattno <= 0) {
        return unknown;
    }
    const Var* column = linitial_node(Var, columns);
    KeyFacts facts = ReadFacts(relid, column->varattno, column->vartype, column->vartypmod, rows);
    const bool is_same =
        column->vartype == exprType(expression) ||
        (TypeCategory(column->vartype) == TYPCATEGORY_STRING && unknown.length == -1);
    if (is_same) {
        facts.correlation = 0;
        return facts;
    }
    KeyFacts other = unknown;
    other.null_ratio = facts.null_ratio;
    other.distinct = std::min(unknown.distinct, facts.distinct);
    other.classes = {};
    ReadClasses(nullptr, &other);
    return other;
}

}  // namespace

KeyFacts FactsOfAttribute(Oid relid, AttrNumber attno, double rows) {
    Oid type = InvalidOid;
    int32 typmod = 0;
    Oid collation = InvalidOid;
    get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
    return ReadFacts(relid, attno, type, typmod, rows);
}

namespace {

/// Does the index's WHERE say that this column is not NULL?
bool LeavesOutNulls(const HypotheticalIndex& index, AttrNumber attno) {
    ListCell* cell = nullptr;
    foreach (cell, index.predicate) {
        Node* part = static_cast<Node*>(lfirst(cell));
        if (IsA(part, NullTest) && reinterpret_cast<NullTest*>(part)->nulltesttype == IS_NOT_NULL) {
            Node* tested = reinterpret_cast<Node*>(reinterpret_cast<NullTest*>(part)->arg);
            if (IsA(tested, Var) && reinterpret_cast<Var*>(tested)->varattno == attno) {
                return true;
            }
        }
    }
    return false;
}

/// The same among the rows whose value is not NULL; that class is the last.
void TakeOutNulls(KeyFacts* facts) {
    if (facts->null_ratio <= 0 || facts->null_ratio >= 1 || facts->classes.count == 0) {
        return;
    }
    --facts->classes.count;
    for (int i = 0; i < facts->classes.count; ++i) {
        facts->classes.items[i].frequency /= 1 - facts->null_ratio;
    }
    facts->null_ratio = 0;
}

bool AreClose(double a, double b) {
    return std::fabs(a - b) <= 0.1 * std::max(a, b);
}

/// What a sample of the expression's values says, unless the column behind it says the same in more
/// detail.
KeyFacts WithSample(const KeyFacts& facts, const KeySample& sample, double rows) {
    if (sample.rows <= 0 ||
        (AreClose(facts.distinct, sample.distinct) && AreClose(facts.width, sample.width))) {
        return facts;
    }
    KeyFacts sampled = facts;
    sampled.width = sample.width;
    sampled.sizes = {};
    sampled.null_ratio = sample.null_ratio;
    sampled.distinct = std::min(sample.distinct, std::max(rows, 1.0));
    sampled.classes = {};
    ReadClasses(nullptr, &sampled);
    return sampled;
}

}  // namespace

KeyFacts FactsOfColumn(const HypotheticalIndex& index, int position, Oid relid, double rows) {
    AttrNumber attno = index.attnos[position];
    if (attno > 0 && relid != index.relid) {
        attno = get_attnum(relid, get_attname(index.relid, attno, false));
    }
    const double table_rows = index.share > 0 ? rows / index.share : rows;
    KeyFacts facts =
        ReadFacts(relid, attno, index.types[position], index.typmods[position], table_rows);
    if (attno != 0) {
        if (LeavesOutNulls(index, index.attnos[position])) {
            TakeOutNulls(&facts);
        }
        return facts;
    }
    int number = 0;
    for (int i = 0; i < position; ++i) {
        number += index.attnos[i] == 0 ? 1 : 0;
    }
    if (relid == index.relid) {
        facts = FactsOfExpression(static_cast<Node*>(list_nth(index.expressions, number)), relid,
                                  facts, table_rows);
    }
    return index.key_samples == nullptr
               ? facts
               : WithSample(facts, index.key_samples[position], table_rows);
}

double SizeAt(const KeyFacts& facts, double quantile) {
    if (facts.sizes.count == 0) {
        return facts.width;
    }
    const int at = static_cast<int>(quantile * facts.sizes.count);
    return facts.sizes.items[std::clamp(at, 0, facts.sizes.count - 1)];
}

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

}  // namespace upkeep::pg
