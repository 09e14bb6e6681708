// Which candidates to take under a budget, from what plans are made of.
//
//   collect: what each statement's plans are made of (gather.h)
//   choose:  the best set by what is known: a statement costs what the cheapest plan costs that
//            needs nothing beyond the set
//   check:   each statement planned with the chosen set, and with what could be added to it;
//            what is learnt goes to `choose`, until that finds nothing better
//
// What is collected serves every budget. Deterministic; at the deadline the best so far.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <vector>

#include "search.h"

namespace upkeep::advisor {

class Improver {
  public:
    Improver(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
             int64_t deadline_ms);

    /// Asks the planner what the candidates are good for (gather.h).
    void Collect(const IndexSet* fresh);

    /// The best set found for the budget, beginning at each of `starts` and at nothing. Its members
    /// are planned together. Throws Error.
    IndexSet Choose(const SearchLimits& limits, const std::vector<IndexSet>& starts);

    bool is_complete() const { return is_complete_ && is_all_collected_; }

  private:
    struct State {
        IndexSet set;
        double bytes = 0;
        double cost = 0;
        std::vector<const CachedPrice*> prices;
    };

    bool IsLate();
    State Evaluate(const IndexSet& set) const;
    void ListMoves();
    double CostWith(const State& state, const IndexSet& set, const IndexSet& changed) const;
    double Bytes(const IndexSet& set) const;
    double Writes(const IndexSet& set) const;
    std::vector<std::pair<double, size_t>> Losses(const State& state) const;
    bool Grow(State* state);
    bool Exchange(State* state);
    void Prune(State* state);
    void Settle(State* state);
    State Kick(State best);
    void Check(const IndexSet& set);

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    int64_t deadline_ms_;
    double budget_ = 0;
    SearchLimits limits_;
    std::vector<IndexSet> moves_;  // what to add together
    bool is_complete_ = true;
    bool is_all_collected_ = true;
};

}  // namespace upkeep::advisor
