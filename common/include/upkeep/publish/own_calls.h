// What metrics and report are made of: the rows of our own calls, as the caller may see them.
//
//   metrics, report ── Read(check_health, …) ──▶ host: SELECT … FROM upkeep.check_health()
//
// One way of gathering a fact, whoever shows it. Not for: captured counters (metrics.h), which no
// call returns.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"

namespace upkeep::publish {

/// One of our calls with at most one argument; the core's own words only, they become SQL.
struct OwnQuery {
    std::string_view call;     // without schema or prefix
    std::string_view columns;  // separated by commas
    std::string_view argument = "";
    std::string_view value = "";
};

/// Every cell as the host writes it; nullopt is NULL.
using TextRow = std::vector<std::optional<std::string>>;
using TextRows = std::vector<TextRow>;

class OwnCalls {
  public:
    virtual ~OwnCalls() = default;
    /// Errors: any, as values: the caller may not read it, tables are missing. A cancel is thrown.
    /// Blocks as long as the call does.
    virtual Result<TextRows> Read(const OwnQuery& query) = 0;
};

/// The statement: `SELECT columns FROM upkeep.call(argument => 'value')`, SQLite `FROM upkeep_call
/// WHERE argument = 'value'`.
std::string SqlOf(const OwnQuery& query, bool sqlite);

/// A cell as a number; nullopt: NULL or no number.
std::optional<double> NumberOf(const std::optional<std::string>& cell);

}  // namespace upkeep::publish
