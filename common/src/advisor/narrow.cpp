// SPDX-License-Identifier: PostgreSQL
#include "narrow.h"

#include <algorithm>

#include "match.h"
#include "upkeep/advisor/index_text.h"

namespace upkeep::advisor {

namespace {

/// Is `narrow` what is left of `wide` without some of its included columns?
bool IsPartOf(const IndexSpec& narrow, const IndexSpec& wide) {
    return narrow.relation == wide.relation && narrow.predicate == wide.predicate &&
           UsingMethod(narrow.kind) == UsingMethod(wide.kind) && narrow.keys == wide.keys &&
           std::all_of(narrow.include.begin(), narrow.include.end(),
                       [&](int column) { return Holds(wide, column); });
}

class Narrower {
  public:
    Narrower(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
             const SearchLimits& limits)
        : port_(port), workload_(workload), cache_(cache), facts_(facts), limits_(limits) {}

    /// The smallest that may stand for `wide`; nullopt: none, or no time left.
    std::optional<size_t> InPlaceOf(size_t wide, const IndexSet& chosen) {
        const double cost = CostOf(chosen);
        for (const size_t narrow : PartsOf(wide, chosen)) {
            if (port_.ElapsedMs() >= limits_.deadline_ms) {
                return std::nullopt;
            }
            const double loss = Loss(wide, narrow, chosen);
            if (loss < limits_.LeastOf(cost + loss)) {
                return narrow;
            }
        }
        return std::nullopt;
    }

  private:
    std::vector<size_t> PartsOf(size_t wide, const IndexSet& chosen) const {
        std::vector<size_t> parts;
        for (size_t c = 0; c < facts_.specs.size(); ++c) {
            if (!chosen.Has(c) && facts_.sizes[c] < facts_.sizes[wide] &&
                IsPartOf(facts_.specs[c], facts_.specs[wide])) {
                parts.push_back(c);
            }
        }
        std::stable_sort(parts.begin(), parts.end(),
                         [&](size_t a, size_t b) { return facts_.sizes[a] < facts_.sizes[b]; });
        return parts;
    }

    double CostOf(const IndexSet& chosen) {
        double cost = 0;
        for (const size_t c : chosen.Members()) {
            cost += facts_.write_costs[c];
        }
        for (size_t item = 0; item < workload_.items.size(); ++item) {
            cost += workload_.items[item].weight * cache_.PriceExactly(item, chosen).cost;
        }
        return cost;
    }

    double Loss(size_t wide, size_t narrow, const IndexSet& chosen) {
        IndexSet with = chosen;
        with.Remove(wide);
        with.Add(narrow);
        double loss = facts_.write_costs[narrow] - facts_.write_costs[wide];
        for (size_t item = 0; item < workload_.items.size(); ++item) {
            // Planned with the set alone: to walk down from all candidates takes ten times as long.
            // Who does without the wide one does without the narrow one.
            if (!cache_.concerned(item).Has(wide)) {
                continue;
            }
            const CachedPrice& now = cache_.PriceExactly(item, chosen);
            if (now.Uses(wide)) {
                loss += workload_.items[item].weight *
                        (cache_.PriceExactly(item, with).cost - now.cost);
            }
        }
        return loss;
    }

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    const SearchLimits& limits_;
};

}  // namespace

IndexSet Narrow(WhatIf& port, const Workload& workload, PriceCache& cache,
                const CandidateFacts& facts, const SearchLimits& limits, IndexSet chosen) {
    std::vector<size_t> largest_first = chosen.Members();
    std::stable_sort(largest_first.begin(), largest_first.end(),
                     [&](size_t a, size_t b) { return facts.sizes[a] > facts.sizes[b]; });
    Narrower narrower(port, workload, cache, facts, limits);
    for (const size_t wide : largest_first) {
        if (const std::optional<size_t> narrow = narrower.InPlaceOf(wide, chosen)) {
            chosen.Remove(wide);
            chosen.Add(*narrow);
        }
    }
    return chosen;
}

}  // namespace upkeep::advisor
