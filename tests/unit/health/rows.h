// Rows of a call as texts, for tests.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "upkeep/base/table_function.h"

namespace upkeep::health {

class Collected : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }

    /// Text of a cell; `NULL`, `true`, `false` for what is no text.
    std::string Text(size_t row, size_t column) const {
        const Value& value = rows.at(row).at(column);
        if (const auto* text = std::get_if<std::string>(&value)) {
            return *text;
        }
        if (const auto* flag = std::get_if<bool>(&value)) {
            return *flag ? "true" : "false";
        }
        return IsNull(value) ? "NULL" : "?";
    }

    /// Place of the row whose `column` says `text`; -1: none.
    int Find(size_t column, const std::string& text) const {
        for (size_t i = 0; i < rows.size(); ++i) {
            if (Text(i, column) == text) {
                return static_cast<int>(i);
            }
        }
        return -1;
    }

    std::vector<Row> rows;
};

}  // namespace upkeep::health
