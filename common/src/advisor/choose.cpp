// SPDX-License-Identifier: PostgreSQL
#include "choose.h"

#include <algorithm>

#include "search.h"

namespace upkeep::advisor {

namespace {

// A saving below this share of the baseline is rounding, whatever min_saving_ratio says.
constexpr double kLeastSavingRatio = 1e-9;

double CostOf(const std::vector<PricedIndex>& rows, double baseline) {
    return rows.empty() ? baseline : rows.back().cost_after;
}

}  // namespace

Choice ChooseForBudgets(Collection& collection, const AdviseOptions& options,
                        const std::vector<std::optional<int64_t>>& budgets) {
    Choice choice;
    const double baseline = collection.baseline_cost();
    // A fifth of the time is kept for planning the final sets again.
    SearchLimits limits{
        .budget_bytes = {},
        .min_saving = std::max(options.min_saving_ratio, kLeastSavingRatio) * baseline,
        .deadline_ms = options.time_limit_ms - options.time_limit_ms / 5};
    std::vector<IndexSet> sets;
    for (const std::optional<int64_t>& budget : budgets) {
        limits.budget_bytes = budget;
        Search search(collection.port(), collection.workload(), collection.cache(),
                      collection.facts(), limits);
        sets.push_back(search.Run());
        choice.is_complete = choice.is_complete && search.is_complete();
    }
    limits.deadline_ms = options.time_limit_ms;
    for (const IndexSet& set : sets) {
        std::vector<PricedIndex> rows =
            PriceRows(collection.port(), collection.workload(), collection.cache(),
                      collection.facts(), limits, set);
        if (!choice.rows.empty() &&
            CostOf(choice.rows.back(), baseline) <= CostOf(rows, baseline)) {
            rows = choice.rows.back();
        }
        choice.rows.push_back(std::move(rows));
    }
    collection.Report(
        "done", choice.rows.empty() ? 0 : 1 - CostOf(choice.rows.back(), baseline) / baseline);
    return choice;
}

}  // namespace upkeep::advisor
