// A plan as SQLite tells it: the rows of EXPLAIN QUERY PLAN as a tree, with the names and the
// conditions in their texts taken apart.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stmt.h"

namespace upkeep::sqlite {

enum class Access : uint8_t {
    kOther,      // not a loop over a table: sorting, subqueries, …
    kScan,       // SCAN x
    kIndexScan,  // SCAN x USING [COVERING] INDEX i
    kRowid,      // SEARCH x USING INTEGER PRIMARY KEY / PRIMARY KEY
    kSearch,     // SEARCH x USING [COVERING] INDEX i (…)
    kAutomatic,  // SEARCH x USING AUTOMATIC … INDEX (…)
    kVirtual,    // SCAN x VIRTUAL TABLE INDEX …
};

/// One condition inside the brackets: `a=?`, `a>?`, `<expr>=?`, `ANY(a)`, `(a,b)>(?,?)` (first
/// column).
struct PlanTerm {
    std::string column;
    char op = '=';  // '=', '>', '<', 'A' for ANY
};

struct PlanNode {
    int id = 0;
    std::string detail;
    int host_cost = 0;  // LogEst of the loop where the library tells it (3.48+), else 0
    Access access = Access::kOther;
    std::string table;  // alias or name, as printed
    std::string index;  // empty: none, the rowid, or an automatic one
    bool is_covering = false;
    std::vector<PlanTerm> terms;
    std::vector<PlanNode> children;

    // Filled in by pricing.
    double steps = 0;
    double pages = 0;
    double rows = 0;
};

/// Plans `statement` on `db`; `index_names` are all names that may follow `USING INDEX`.
/// Errors: as Stmt::Prepare. Note: never executes; prepared anew each time, since a kept EXPLAIN
/// does not notice that the schema changed.
Result<std::vector<PlanNode>> ReadPlan(sqlite3* db, std::string_view statement,
                                       const std::vector<std::string>& index_names);

/// Names of the indexes in plan order, each once.
std::vector<std::string> UsedIndexes(const std::vector<PlanNode>& plan);

/// `[{"detail":…,"steps":…,"pages":…,"rows":…,"children":[…]}]`
std::string PlanJson(const std::vector<PlanNode>& plan);

}  // namespace upkeep::sqlite
