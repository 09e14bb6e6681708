// SPDX-License-Identifier: PostgreSQL
#include "choose.h"

#include <algorithm>

#include "improve.h"
#include "narrow.h"
#include "search.h"

namespace upkeep::advisor {

namespace {

// A saving below this share of the baseline is rounding, whatever min_saving_ratio says.
constexpr double kLeastSavingRatio = 1e-9;

double CostOf(const std::vector<PricedIndex>& rows, double baseline) {
    return rows.empty() ? baseline : rows.back().cost_after;
}

/// Pairs of candidate and statement up to which step by step search with real prices is affordable.
constexpr size_t kSmall = 600;

bool IsSmall(const Collection& collection) {
    size_t pairs = 0;
    for (const std::vector<size_t>& items : collection.facts().items) {
        pairs += items.size();
    }
    return pairs <= kSmall;
}

}  // namespace

Choice ChooseForBudgets(Collection& collection, const AdviseOptions& options,
                        const std::vector<std::optional<int64_t>>& budgets, bool is_total_only) {
    Choice choice;
    const double baseline = collection.baseline_cost();
    // A fifth of the time is kept for planning the final sets again.
    SearchLimits limits{
        .budget_bytes = {},
        .min_saving = std::max(options.min_saving_ratio, kLeastSavingRatio) * baseline,
        .deadline_ms = options.time_limit_ms - options.time_limit_ms / 5};
    // What plans are made of adds up only where the planner minimises the very price. Without a
    // budget a small workload is searched move by move: AutoPR at 50,000 executions then ends at a
    // cost of 1.561e6 instead of 1.725e6 (make bench-advice-effect).
    const bool is_move_by_move = budgets.size() == 1 && !budgets[0] && IsSmall(collection);
    const bool is_minimal = collection.port().IsPriceMinimal() && !is_move_by_move;
    Improver improver(collection.port(), collection.workload(), collection.cache(),
                      collection.facts(), limits.deadline_ms);
    collection.Begin(Phase::kSearching);
    if (is_minimal) {
        improver.Collect();
    }
    collection.cache().planner().NoteDone(collection.workload().items.size());
    std::vector<IndexSet> sets;
    for (const std::optional<int64_t>& budget : budgets) {
        limits.budget_bytes = budget;
        std::vector<IndexSet> starts = sets;
        if (!is_minimal || IsSmall(collection)) {
            Search search(collection.port(), collection.workload(), collection.cache(),
                          collection.facts(), limits);
            starts.push_back(search.Run());
            choice.is_complete = choice.is_complete && search.is_complete();
        }
        sets.push_back(is_minimal ? improver.Choose(budget, limits.min_saving, starts)
                                  : starts.back());
        if (!budget && collection.port().IsPriceMinimal()) {
            sets.back() = Narrow(collection.port(), collection.workload(), collection.cache(),
                                 collection.facts(), limits, sets.back());
        }
    }
    choice.is_complete = choice.is_complete && improver.is_complete();
    limits.deadline_ms = options.time_limit_ms;
    limits.is_total_only = is_total_only;
    collection.Begin(Phase::kPricing);
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
    for (const std::vector<PricedIndex>& rows : choice.rows) {
        collection.cache().planner().NoteCost(CostOf(rows, baseline));
    }
    collection.Begin(Phase::kDone);
    return choice;
}

}  // namespace upkeep::advisor
