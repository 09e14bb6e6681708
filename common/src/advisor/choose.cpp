// SPDX-License-Identifier: PostgreSQL
#include "choose.h"

#include <algorithm>

#include "candidates_kinds.h"
#include "improve.h"
#include "narrow.h"
#include "search.h"

namespace upkeep::advisor {

namespace {

double CostOf(const std::vector<PricedIndex>& rows, double baseline) {
    return rows.empty() ? baseline : rows.back().cost_after;
}

/// Pairs of candidate and statement up to which step by step search with real prices is affordable.
constexpr size_t kSmall = 600;

/// What is chosen from: all candidates of a collection, or some of them.
struct Offer {
    const CandidateFacts& facts;
    PriceCache& cache;
    int64_t search_until_ms;        // on the port's clock
    int64_t price_until_ms;         // … for planning the final sets again
    std::vector<IndexSet> starts;   // by budget, sets that are known to be good; or empty
    std::optional<IndexSet> fresh;  // what the cache has not been asked about, or all
    bool is_followed = false;       // by another search: phases only go forward
};

bool IsSmall(const CandidateFacts& facts) {
    size_t pairs = 0;
    for (const std::vector<size_t>& items : facts.items) {
        pairs += items.size();
    }
    return pairs <= kSmall;
}

struct Budgets {
    const std::vector<std::optional<int64_t>>& bytes;  // ascending
    double min_saving_ratio = 0;
    bool is_total_only = false;
};

Choice ChooseFrom(const Offer& offer, Collection& collection, const Budgets& budgets) {
    Choice choice;
    const double baseline = collection.baseline_cost();
    SearchLimits limits{.budget_bytes = {},
                        .min_saving_ratio = budgets.min_saving_ratio,
                        .deadline_ms = offer.search_until_ms};
    // What plans are made of adds up only where the planner minimises the very price. Without a
    // budget a small workload is searched move by move: AutoPR at 50,000 executions then ends at a
    // cost of 1.561e6 instead of 1.725e6 (make bench-advice-effect).
    const bool is_small = IsSmall(offer.facts);
    const bool is_move_by_move = budgets.bytes.size() == 1 && !budgets.bytes[0] && is_small;
    const bool is_minimal = collection.port().IsPriceMinimal() && !is_move_by_move;
    Improver improver(collection.port(), collection.workload(), offer.cache, offer.facts,
                      limits.deadline_ms);
    collection.Begin(Phase::kSearching);
    if (is_minimal) {
        improver.Collect(offer.fresh ? &*offer.fresh : nullptr);
    }
    collection.planner().NoteDone(collection.workload().items.size());
    std::vector<IndexSet> sets;
    for (size_t b = 0; b < budgets.bytes.size(); ++b) {
        limits.budget_bytes = budgets.bytes[b];
        std::vector<IndexSet> given;
        if (b < offer.starts.size()) {
            given.push_back(offer.starts[b]);
        }
        std::vector<IndexSet> starts = sets;
        starts.insert(starts.end(), given.begin(), given.end());
        if (!is_minimal || is_small) {
            Search search(collection.port(), collection.workload(), offer.cache, offer.facts,
                          limits);
            starts.push_back(search.Run(given));
            choice.is_complete = choice.is_complete && search.is_complete();
        }
        sets.push_back(is_minimal ? improver.Choose(limits, starts) : starts.back());
        if (!limits.budget_bytes && collection.port().IsPriceMinimal()) {
            sets.back() = Narrow(collection.port(), collection.workload(), offer.cache, offer.facts,
                                 limits, sets.back());
        }
    }
    choice.is_complete = choice.is_complete && improver.is_complete();
    limits.deadline_ms = offer.price_until_ms;
    limits.is_total_only = budgets.is_total_only;
    if (!offer.is_followed) {
        collection.Begin(Phase::kPricing);
    }
    for (const IndexSet& set : sets) {
        std::vector<PricedIndex> rows = PriceRows(collection.port(), collection.workload(),
                                                  offer.cache, offer.facts, limits, set);
        if (!choice.rows.empty() &&
            CostOf(choice.rows.back(), baseline) <= CostOf(rows, baseline)) {
            rows = choice.rows.back();
        }
        choice.rows.push_back(std::move(rows));
    }
    for (const std::vector<PricedIndex>& rows : choice.rows) {
        collection.planner().NoteCost(CostOf(rows, baseline));
    }
    return choice;
}

/// The B-trees over whole tables and plain columns, by their numbers in the collection.
std::vector<size_t> PlainOnes(const CandidateFacts& facts) {
    std::vector<size_t> plain;
    for (size_t c = 0; c < facts.specs.size(); ++c) {
        if (!IsOfOtherKind(facts.specs[c])) {
            plain.push_back(c);
        }
    }
    return plain;
}

IndexSet OtherThan(const std::vector<size_t>& plain, size_t count) {
    IndexSet others(count);
    for (size_t c = 0; c < count; ++c) {
        others.Add(c);
    }
    for (const size_t c : plain) {
        others.Remove(c);
    }
    return others;
}

CandidateFacts FactsOf(const CandidateFacts& all, const std::vector<size_t>& numbers) {
    CandidateFacts some;
    for (const size_t c : numbers) {
        some.specs.push_back(all.specs[c]);
        some.items.push_back(all.items[c]);
        some.sizes.push_back(all.sizes[c]);
        some.shown_sizes.push_back(all.shown_sizes[c]);
        some.write_costs.push_back(all.write_costs[c]);
        some.are_writes_priced.push_back(all.are_writes_priced[c]);
        some.writes_by_item.push_back(all.writes_by_item[c]);
    }
    return some;
}

/// What ChooseFrom answers if the plain candidates are all there are, in the collection's numbers.
Choice ChoosePlain(Collection& collection, const std::vector<size_t>& plain, const Budgets& budgets,
                   int64_t until_ms) {
    const CandidateFacts facts = FactsOf(collection.facts(), plain);
    std::vector<IndexId> ids;
    ids.reserve(plain.size());
    for (const size_t c : plain) {
        ids.push_back(collection.ids()[c]);
    }
    PriceCache cache(collection.planner(), collection.workload(), std::move(ids),
                     ConcernedByItem(collection.workload(), facts));
    Choice choice =
        ChooseFrom({facts, cache, until_ms, until_ms, {}, {}, true}, collection, budgets);
    for (std::vector<PricedIndex>& rows : choice.rows) {
        for (PricedIndex& row : rows) {
            row.candidate = plain[row.candidate];
        }
    }
    collection.cache().LearnFrom(cache, plain);
    return choice;
}

IndexSet SetOf(const std::vector<PricedIndex>& rows, size_t capacity) {
    IndexSet set(capacity);
    for (const PricedIndex& row : rows) {
        set.Add(row.candidate);
    }
    return set;
}

double BytesOf(const std::vector<PricedIndex>& rows, const CandidateFacts& facts) {
    double bytes = 0;
    for (const PricedIndex& row : rows) {
        bytes += facts.sizes[row.candidate];
    }
    return bytes;
}

/// Is the second one cheaper, or as cheap and smaller?
bool IsBetter(const std::vector<PricedIndex>& second, const std::vector<PricedIndex>& first,
              const Collection& collection) {
    const double cost = CostOf(second, collection.baseline_cost());
    const double bar = CostOf(first, collection.baseline_cost());
    return cost < bar || (cost == bar &&
                          BytesOf(second, collection.facts()) < BytesOf(first, collection.facts()));
}

}  // namespace

Choice ChooseForBudgets(Collection& collection, const AdviseOptions& options,
                        const std::vector<std::optional<int64_t>>& budget_bytes,
                        bool is_total_only) {
    const Budgets budgets{budget_bytes, options.min_saving_ratio, is_total_only};
    // A fifth of the time is kept for planning the final sets again.
    const int64_t until_ms = options.time_limit_ms - options.time_limit_ms / 5;
    const std::vector<size_t> plain = PlainOnes(collection.facts());
    const size_t count = collection.facts().specs.size();
    std::vector<IndexSet> starts;
    std::optional<Choice> first;
    std::optional<IndexSet> fresh;
    // Where plans are cheap the search asks about every candidate, and needs no such help.
    if (!plain.empty() && plain.size() < count && !collection.port().IsPlanCheap()) {
        const int64_t now = collection.port().ElapsedMs();
        first =
            ChoosePlain(collection, plain, budgets, now + std::max<int64_t>(until_ms - now, 0) / 2);
        for (const std::vector<PricedIndex>& rows : first->rows) {
            starts.push_back(SetOf(rows, count));
        }
        fresh = OtherThan(plain, count);
    }
    Choice choice = ChooseFrom(
        {collection.facts(), collection.cache(), until_ms, options.time_limit_ms, starts, fresh},
        collection, budgets);
    for (size_t b = 0; first && b < choice.rows.size(); ++b) {
        if (!IsBetter(choice.rows[b], first->rows[b], collection)) {
            choice.rows[b] = std::move(first->rows[b]);
        }
    }
    collection.Begin(Phase::kDone);
    return choice;
}

}  // namespace upkeep::advisor
