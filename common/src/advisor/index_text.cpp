// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/index_text.h"

namespace upkeep::advisor {

std::string UsingMethod(IndexKind kind) {
    switch (kind) {
        case IndexKind::kGin:
        case IndexKind::kTrigram:
            return "gin";
        case IndexKind::kBrin:
            return "brin";
        default:
            return "";
    }
}

std::string KeyText(const WhatIf& port, const Relation& relation, const IndexKey& key) {
    std::string text = key.column >= 0
                           ? port.Quote(relation.columns.at(static_cast<size_t>(key.column)).name)
                           : "(" + key.expression + ")";
    text += key.opclass.empty() ? "" : " " + key.opclass;
    if (key.descending) {
        text += " DESC";
    }
    if (port.dialect().has_nulls_order && key.nulls_first != key.descending) {
        text += key.nulls_first ? " NULLS FIRST" : " NULLS LAST";
    }
    return text;
}

std::string IndexTail(const WhatIf& port, const IndexSpec& spec) {
    const Relation& relation = port.relation(spec.relation);
    const bool has_include = port.dialect().has_include;
    std::string keys;
    for (const IndexKey& key : spec.keys) {
        keys += (keys.empty() ? "" : ", ") + KeyText(port, relation, key);
    }
    std::string included;
    for (const int column : spec.include) {
        std::string& list = has_include ? included : keys;
        list += (list.empty() ? "" : ", ") +
                port.Quote(relation.columns.at(static_cast<size_t>(column)).name);
    }
    const std::string method = UsingMethod(spec.kind);
    return (method.empty() ? "" : " USING " + method) + " (" + keys + ")" +
           (included.empty() ? "" : " INCLUDE (" + included + ")") +
           (spec.predicate.empty() ? "" : " WHERE " + spec.predicate);
}

}  // namespace upkeep::advisor
