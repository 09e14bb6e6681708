// The size that the advisor takes a CREATE INDEX for, which no SQL call of its own tells.
// SPDX-License-Identifier: PostgreSQL
#include "guard.h"
#include "hypothetical.h"
#include "index_size.h"
#include "relation_facts.h"
#include "write_cost.h"

extern "C" {
PG_FUNCTION_INFO_V1(upkeep_test_index_bytes);
Datum upkeep_test_index_bytes(PG_FUNCTION_ARGS);

Datum upkeep_test_index_bytes(PG_FUNCTION_ARGS) {
    using upkeep::pg::HypotheticalIndex;
    const HypotheticalIndex* index =
        upkeep::pg::ParseIndex(text_to_cstring(PG_GETARG_TEXT_PP(0)), 0);
    const double rows = upkeep::pg::ReadRelation(index->relid)->rows;
    const double share = upkeep::pg::PredicateShare(index->relid, index->predicate, rows);
    const upkeep::pg::IndexPages size =
        upkeep::pg::EstimatePages(*index, index->relid, rows * share);
    PG_RETURN_INT64(static_cast<int64>(size.pages * BLCKSZ));
}
}
