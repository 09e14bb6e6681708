// SPDX-License-Identifier: PostgreSQL
#include "upkeep/publish/own_calls.h"

#include <charconv>

#include "upkeep/base/table_function.h"

namespace upkeep::publish {

std::string SqlOf(const OwnQuery& query, bool sqlite) {
    std::string sql = "SELECT " + std::string(query.columns) + " FROM ";
    sql += (sqlite ? "upkeep_" : "upkeep.") + std::string(query.call);
    if (sqlite && !query.argument.empty()) {
        return sql + " WHERE " + std::string(query.argument) + " = '" + std::string(query.value) +
               "'";
    }
    const TableFunction* call = FindCall(query.call);
    if (!sqlite && call != nullptr && call->kind == CallKind::kFunction) {
        sql += "(";
        if (!query.argument.empty()) {
            sql += std::string(query.argument) + " => '" + std::string(query.value) + "'";
        }
        sql += ")";
    }
    return sql;
}

std::optional<double> NumberOf(const std::optional<std::string>& cell) {
    double number = 0;
    if (!cell ||
        std::from_chars(cell->data(), cell->data() + cell->size(), number).ec != std::errc()) {
        return std::nullopt;
    }
    return number;
}

}  // namespace upkeep::publish
