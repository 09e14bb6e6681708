// Body of advise_budget_curve: one collection of prices, one row for each budget.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "choose.h"
#include "collection.h"
#include "describe.h"
#include "options.h"
#include "read_options.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

namespace {

constexpr size_t kMaxBudgets = 100;

Result<void> CheckBudgets(const std::vector<int64_t>& budgets) {
    if (budgets.empty() || budgets.size() > kMaxBudgets) {
        return Error(Code::kInvalidArgument,
                     budgets.empty()
                         ? "budgets is empty"
                         : "budgets has " + std::to_string(budgets.size()) + " elements, " +
                               std::to_string(kMaxBudgets) + " is the most",
                     "give sizes in bytes, for instance 100000000 and 1000000000");
    }
    if (std::any_of(budgets.begin(), budgets.end(), [](int64_t budget) { return budget <= 0; })) {
        return Error(Code::kInvalidArgument, "every budget must be above 0",
                     "give sizes in bytes, for instance 100000000 and 1000000000");
    }
    return {};
}

BudgetCurve CurveOrThrow(WhatIf& port, const AdviseOptions& options,
                         const std::vector<int64_t>& budgets) {
    BudgetCurve curve;
    Collection collection(port, options);
    curve.baseline_cost = collection.baseline_cost();
    std::vector<int64_t> ascending = budgets;
    std::sort(ascending.begin(), ascending.end());
    ascending.erase(std::unique(ascending.begin(), ascending.end()), ascending.end());
    std::vector<std::vector<PricedIndex>> sets(ascending.size());
    if (!collection.IsEmpty()) {
        Choice choice =
            ChooseForBudgets(collection, options, {ascending.begin(), ascending.end()}, true);
        sets = std::move(choice.rows);
        curve.is_complete = choice.is_complete;
    }
    for (const int64_t budget : budgets) {
        const auto at = std::lower_bound(ascending.begin(), ascending.end(), budget);
        const std::vector<PricedIndex>& rows = sets[static_cast<size_t>(at - ascending.begin())];
        CurvePoint point{.budget_bytes = budget, .cost_after = curve.baseline_cost};
        for (const AdvisedIndex& index : Describe(collection, rows, curve.is_complete)) {
            point.size_bytes += index.size_bytes;
            point.cost_after = index.cost_after;
            point.create_sqls.push_back(index.create_sql);
        }
        curve.points.push_back(std::move(point));
    }
    curve.planner_calls = collection.planner_calls();
    curve.cache_hits = collection.cache_hits();
    return curve;
}

}  // namespace

Result<BudgetCurve> AdviseCurve(WhatIf& port, const AdviseOptions& options,
                                const std::vector<int64_t>& budgets) {
    Result<void> checked = CheckOptions(options, port);
    if (checked.ok()) {
        checked = CheckBudgets(budgets);
    }
    if (!checked.ok()) {
        return checked.error();
    }
    try {
        return CurveOrThrow(port, options, budgets);
    } catch (const Error& error) {
        return error;
    }
}

Result<void> AdviseBudgetCurve(const Arguments& arguments,
                               const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                               RowSink& rows) {
    try {
        Result<AdviseOptions> options = ReadOptions(arguments, captured);
        if (!options.ok()) {
            return options.error();
        }
        options.value().min_saving_ratio = kCurveSavingRatio;
        const Result<BudgetCurve> curve =
            AdviseCurve(port, options.value(), arguments.Integers("budgets"));
        if (!curve.ok()) {
            return curve.error();
        }
        const double before = curve.value().baseline_cost;
        for (const CurvePoint& point : curve.value().points) {
            const double saved = before - point.cost_after;
            rows.Add({point.budget_bytes, WholeBytes(point.size_bytes), before, point.cost_after,
                      before > 0 ? saved / before : 0, point.create_sqls});
        }
        return {};
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
