// explain_statement: the plan of one statement and what is to be noticed in it.
//
//   text ─▶ WhatIf::Analyse (rights, one statement) ─▶ WhatIf::Explain      plan only
//                                                  └─▶ Runner::Run          run => true
//                              plan as JSON ─▶ findings (the same rules for both hosts' plans)
//
// The statement is the caller's own: its literals are shown as they are.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/advisor/what_if.h"
#include "upkeep/base/table_function.h"

namespace upkeep::advisor {

/// A run is stopped after this time.
inline constexpr int kRunLimitMs = 30000;

/// One execution. What a host does not count per node it may count for the whole statement.
struct Ran {
    std::string plan_json;  // empty: the plan that was made without running says as much
    double planning_ms = 0;
    double execution_ms = 0;
    std::optional<double> scanned_rows;  // rows stepped through in scans of whole tables
    std::optional<double> returned_rows;
};

/// The one who executes; implemented by each host.
class Runner {
  public:
    virtual ~Runner() = default;
    /// A monotonic clock, milliseconds.
    virtual double ClockMs() = 0;
    /// Executes one statement that was analysed before, reading only, and takes back whatever it
    /// did. Ends after kRunLimitMs, and whenever the caller cancels.
    /// Errors: kInvalidArgument (writes, has parameters, calls a function with effects of its own),
    ///         kUnsupported (this connection cannot), kInterrupted (the limit, a cancel).
    virtual Result<Ran> Run(std::string_view statement) = 0;
};

/// What the rules need to know beside the plan itself.
struct PlanContext {
    std::map<std::string, double> table_rows;  // by the name that the plan prints
    /// Conditions on tables that the plan's text leaves out (SQLite): the share of rows they keep.
    struct Kept {
        double ratio = 1;
        std::string condition;
    };
    std::map<std::string, Kept> kept;
    std::optional<double> scanned_rows;
    std::optional<double> returned_rows;
};

/// Findings of a plan as EXPLAIN (FORMAT JSON) of PostgreSQL prints it, with or without ANALYZE, or
/// as our SQLite half does. Each is `code: sentence`. Not such a plan: none.
std::vector<std::string> PlanFindings(std::string_view plan_json, const PlanContext& context);

/// Body of the SQL call explain_statement.
Result<void> ExplainStatement(const Arguments& arguments, WhatIf& port, Runner& runner,
                              RowSink& rows);

}  // namespace upkeep::advisor
