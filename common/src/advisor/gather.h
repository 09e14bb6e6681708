// What each statement's plans are made of, before anything is chosen:
//
//   layers: each statement planned with all its candidates, then without those that were used, and
//           so on; a layer of all statements before the next, so that time that ends leaves none
//           without its best plan
//   alone:  … with each candidate that was of use to some statement
//   pairs:  … with two of its best ones, of different tables, within an allowance
//
// What a statement can still gain is known from its first layer: what is next to nothing is not
// asked for. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "search.h"

namespace upkeep::advisor {

/// Takes away what the plan used beyond `kept`, and of the same relations what is not smaller: it
/// would have been worth less for more. False if there was nothing.
bool StepDown(const CandidateFacts& facts, const CachedPrice& price, const IndexSet& kept,
              IndexSet* node);

class Gatherer {
  public:
    /// All references must outlive it. Until `until_ms` on the port's clock.
    Gatherer(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
             int64_t until_ms);

    /// `fresh`: what was not there when the cache learnt what it knows; a plan that uses none of
    /// these is not followed further down. nullptr: nothing is known. False if time ended it.
    bool Run(const IndexSet* fresh);

  private:
    bool IsLate();
    void PlanLayers(const IndexSet* fresh);
    void PlanAlone();
    std::vector<size_t> UsefulTo(size_t item) const;
    double WeightOf(const std::set<size_t>& items) const;
    void PlanPairs();
    void PlanPairsOf(size_t item, size_t allowance);
    /// What the item could cost less, weighted, than `cost`.
    double Hope(size_t item, double cost) const;

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    int64_t until_ms_;
    std::map<size_t, std::set<size_t>> users_;  // by candidate, the items whose layers it was in
    std::vector<double> floors_;                // by item: its price with all candidates
    double least_hope_ = 0;
    bool is_complete_ = true;
};

}  // namespace upkeep::advisor
