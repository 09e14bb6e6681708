// Which indexes to create for a workload, within a budget: the advisor's answers.
// Candidates from the analysed statements, prices from a memoised what-if tree over the port,
// greedy choice, final set re-planned. Deterministic for equal input.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "upkeep/advisor/what_if.h"
#include "upkeep/base/table_function.h"

namespace upkeep::advisor {

struct WorkloadStatement {
    std::string text;
    double weight = 1;  // executions, or total time where captured; > 0
    // Of captured statements: what they are called there (empty: the port's own fingerprint), and
    // the text with values that were seen. Planned in the place of `text` where that works, shown
    // nowhere.
    std::vector<int64_t> fingerprints = {};
    std::string sample = {};
    // > 0: `weight` is the total time of so many executions, see WorkloadItem.
    double calls = 0;
};

struct AdviseOptions {
    std::vector<WorkloadStatement> workload;
    std::optional<int64_t> budget_bytes;  // nullopt: no limit
    int max_columns = 3;                  // key columns, 1..8
    int64_t time_limit_ms = 30000;
    double min_saving_ratio = 0.01;  // of its own cost_before, that a row must save
    std::vector<IndexKind> kinds;    // empty: all this version knows
    bool skip_unusable = false;      // captured workload: leave out what does not plan, no error
};

struct AdvisedIndex {
    IndexId id = -1;
    IndexSpec spec;
    std::string name;
    std::string create_sql;
    std::string drop_sql;
    double size_bytes = 0;
    double cost_before = 0;  // weighted workload cost before / after this row
    double cost_after = 0;
    double saving_ratio = 0;  // (baseline - cost_after) / baseline, cumulative
    std::optional<double> write_cost;
    std::vector<int64_t> fingerprints;  // statements whose price it lowers
    std::string reason;
    std::vector<std::string> warnings;
    std::vector<std::string> steps;
};

struct Advice {
    double baseline_cost = 0;
    std::vector<AdvisedIndex> indexes;  // in order of creation; each stands on those before it
    int64_t planner_calls = 0;
    int64_t cache_hits = 0;
    bool is_complete = true;  // false: the time limit ended the search early
};

/// One answer of advise_budget_curve.
struct CurvePoint {
    int64_t budget_bytes = 0;
    double size_bytes = 0;
    double cost_after = 0;  // weighted workload cost with the set, planned again
    std::vector<std::string> create_sqls = {};
};

struct BudgetCurve {
    double baseline_cost = 0;
    std::vector<CurvePoint> points;  // one for each budget, in the caller's order
    int64_t planner_calls = 0;
    int64_t cache_hits = 0;
    bool is_complete = true;
};

/// An index of a budget's set saves at least this share of what it costs without it.
inline constexpr double kCurveSavingRatio = 1e-4;

/// Errors: kInvalidArgument (empty workload, budget <= 0, max_columns outside 1..8, weights …),
///         kUnsupported (no relation of the workload can have an index; the text says why),
///         kInterrupted, and whatever Analyse says, with the statement's number in front.
Result<Advice> Advise(WhatIf& port, const AdviseOptions& options);

/// Body of the SQL call advise_indexes: checks the arguments, advises, writes the rows.
/// `captured` replaces a NULL workload; it may be an Error that says why there is none.
Result<void> AdviseIndexes(const Arguments& arguments,
                           const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                           RowSink& rows);

/// The best set for each budget from one collection of prices; a larger budget never costs more.
/// Errors: as Advise, and kInvalidArgument for budgets that are none.
Result<BudgetCurve> AdviseCurve(WhatIf& port, const AdviseOptions& options,
                                const std::vector<int64_t>& budgets);

/// Body of the SQL call advise_budget_curve; `captured` as for advise_indexes.
Result<void> AdviseBudgetCurve(const Arguments& arguments,
                               const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                               RowSink& rows);

/// Body of the SQL call explain_rejections: the candidates that are not in the advice, each with
/// its worth alone and the reason, what saves most first, 100 at most. `captured` as for
/// advise_indexes.
Result<void> ExplainRejections(const Arguments& arguments,
                               const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                               RowSink& rows);

/// Body of the SQL call what_if.
Result<void> WhatIfCall(const Arguments& arguments, WhatIf& port, RowSink& rows);

}  // namespace upkeep::advisor
