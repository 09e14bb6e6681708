// Reading rows by SQL with the caller's rights, into plain memory of the call.
//
//   C++ builds the text ─▶ ReadRows ─▶ CallHost: Select, rows copied as plain cells ─▶ C++ looks at
//   them
//
// Texts name every operator and function by schema: the caller's search_path must not change them.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pg.h"
#include "upkeep/base/value.h"

namespace upkeep::pg {

/// One value: numbers of any width and booleans in `number`, times in it as Timestamp, float8 in
/// `real`, bytea and everything else (as its text) in `data`.
struct Cell {
    bool is_null;
    int64_t number;
    double real;
    const char* data;
    size_t size;
};

/// A whole result; its memory goes with the call.
class Rows {
  public:
    Rows(const Cell* cells, int rows, int columns)
        : cells_(cells), rows_(rows), columns_(columns) {}

    int size() const { return rows_; }
    bool IsNull(int row, int column) const { return At(row, column).is_null; }
    int64_t Integer(int row, int column) const { return At(row, column).number; }
    double Float(int row, int column) const { return At(row, column).real; }
    std::string_view Text(int row, int column) const {
        return {At(row, column).data, At(row, column).size};
    }
    std::optional<std::string_view> TextOrNone(int row, int column) const;
    std::optional<Timestamp> TimeOrNone(int row, int column) const;
    /// As a value of a result row.
    Value TextValue(int row, int column) const;
    Value IntegerValue(int row, int column) const;
    Value FloatValue(int row, int column) const;
    Value TimeValue(int row, int column) const;

  private:
    const Cell& At(int row, int column) const { return cells_[row * columns_ + column]; }

    const Cell* cells_;
    int rows_;
    int columns_;
};

/// Runs one query, read only; `times` are its parameters $1, $2 … of type timestamptz.
/// Throws what the server raises (permission denied, cancel).
Rows ReadRows(const std::string& sql, const std::vector<Timestamp>& times = {});

/// `text` as a literal of no type yet; the column it is compared with decides.
std::string Literal(const std::string& text);

/// Start of the statement that runs: the clock of readers.
Timestamp StatementTime();

}  // namespace upkeep::pg
