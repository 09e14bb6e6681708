// SPDX-License-Identifier: PostgreSQL
#include "described_index.h"

#include <string>

#include "upkeep/advisor/index_text.h"

namespace upkeep::pg {

namespace {

const PlainColumn& ColumnOf(const PlainRelation& relation, int column) {
    return relation.columns.items[column];
}

}  // namespace

std::optional<health::IndexDescription> DescribeSpec(const advisor::WhatIf& port,
                                                     const advisor::IndexSpec& spec,
                                                     const PlainRelation& relation) {
    if (!advisor::UsingMethod(spec.kind).empty()) {
        return std::nullopt;
    }
    health::IndexDescription index;
    index.access_method = "btree";
    index.predicate = spec.predicate;
    for (const advisor::IndexKey& key : spec.keys) {
        if (!key.opclass.empty()) {
            return std::nullopt;
        }
        if (key.column < 0) {
            index.keys.push_back({key.expression, "?", "?", key.descending, key.nulls_first});
            continue;
        }
        const PlainColumn& column = ColumnOf(relation, key.column);
        index.keys.push_back({port.Quote(column.name), std::to_string(column.collation),
                              std::to_string(column.opclass), key.descending, key.nulls_first});
    }
    for (const int column : spec.include) {
        index.included.push_back(port.Quote(ColumnOf(relation, column).name));
    }
    return index;
}

}  // namespace upkeep::pg
