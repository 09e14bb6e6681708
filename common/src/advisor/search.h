// Which candidates to take under a budget: greedy from nothing (by benefit, and by benefit per
// byte), and downwards from what the planner would use if everything existed. The cheapest of the
// three is the choice, so it is never worse than either greedy. Anytime: at the deadline the best
// so far. Deterministic: ties go to the lower candidate number.
//
// Works on the what-if tree's prices; what is reported is planned again: pricing.h.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "price_cache.h"

namespace upkeep::advisor {

/// What is known of each candidate besides plans.
struct CandidateFacts {
    std::vector<IndexSpec> specs;
    std::vector<std::vector<size_t>> items;  // statements each concerns
    std::vector<double> sizes;               // bytes, > 0, with what it may turn out larger
    std::vector<double> shown_sizes;         // without
    std::vector<double> write_costs;  // weighted, added by the workload's writes; 0 if not priced
    std::vector<bool> are_writes_priced;
    // Weighted write cost by (candidate, item), only where not zero.
    std::vector<std::vector<std::pair<size_t, double>>> writes_by_item;
};

struct SearchLimits {
    std::optional<int64_t> budget_bytes;
    double min_saving_ratio =
        0;                       // of the cost without it that an index must save beyond the others
    int64_t deadline_ms = 0;     // on the port's clock
    bool is_total_only = false;  // the cost of the whole set matters, not that of each step to it

    /// What an index must save of the weighted cost that the others leave. A share of what is left
    /// and not of the baseline: who builds the advice and asks again is then told nothing more.
    double LeastOf(double cost) const {
        constexpr double kRounding = 1e-9;  // less is no saving, whatever the ratio says
        return std::max(min_saving_ratio, kRounding) * cost;
    }
};

class Search {
  public:
    Search(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
           const SearchLimits& limits);

    /// The chosen candidates; with `starts` also what is better than each of these, which fit the
    /// budget. Throws Error.
    IndexSet Run(const std::vector<IndexSet>& starts = {});
    bool is_complete() const { return is_complete_; }

  private:
    /// A choice under construction. `deltas`: what adding (or removing) a candidate would save (or
    /// lose), kept until a statement that it concerns is priced anew.
    struct State {
        IndexSet chosen;
        double bytes = 0;
        double cost = 0;
        std::vector<const CachedPrice*> prices;
        std::vector<double> deltas;
        std::vector<bool> is_stale;
    };

    State Start(const IndexSet& chosen);
    void ForgetDeltas(State* state);
    void Change(State* state, size_t candidate, bool is_added);
    double Gain(const State& state, size_t candidate);
    double Loss(const State& state, size_t candidate);
    bool Fits(double bytes) const;
    bool IsLate();
    /// The tree's price; once time is up the best that is known without the planner.
    const CachedPrice& PriceOf(size_t item, const IndexSet& set);

    std::optional<size_t> Best(const State& state, bool is_per_byte) const;
    bool Refresh(State* state);
    double GainWithHarm(const State& state, size_t candidate);
    bool AddRelieved(State* state);
    void Grow(State* state, bool is_per_byte);
    void Shrink(State* state);
    State FromAbove();
    void ImproveFrom(const IndexSet& start, State* best);
    void Simplify(State* state);
    bool Replace(State* state, size_t wide, size_t narrow);
    void EstimateLosses(const IndexSet& members, State* state) const;

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    SearchLimits limits_;
    std::vector<std::vector<size_t>> candidates_of_;  // by item
    bool is_complete_ = true;
};

}  // namespace upkeep::advisor
