// What one call of the advisor collects before it chooses anything: the analysed workload with its
// prices as it is, the candidates with all that is known of them, and the cache of prices.
//
//   Collection (statements, baseline, candidates, prices)
//        ├─▶ Search / PriceRows / Describe      one answer: advise_indexes
//        ├─▶ the same for several budgets       advise_budget_curve
//        └─▶ each candidate's own price against a final set: collection.cache()
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "candidates.h"
#include "search.h"

namespace upkeep::advisor {

/// For each item the candidates that can matter to it.
std::vector<IndexSet> ConcernedByItem(const Workload& workload, const CandidateFacts& facts);

/// A candidate that the host would not assume, in its words.
struct Declined {
    IndexSpec spec;
    std::string why;
};

class Collection {
  public:
    /// Analyses, prices the baseline, declares the candidates. Throws Error.
    Collection(WhatIf& port, const AdviseOptions& options);
    Collection(const Collection&) = delete;
    Collection& operator=(const Collection&) = delete;

    /// Is there nothing to choose from (a workload without cost, or without candidates)?
    bool IsEmpty() const { return !cache_; }

    WhatIf& port() const { return port_; }
    const Workload& workload() const { return workload_; }
    const CandidateFacts& facts() const { return facts_; }
    const std::vector<IndexId>& ids() const { return ids_; }
    const std::vector<Declined>& declined() const { return declined_; }
    double baseline_cost() const { return baseline_cost_; }
    int64_t planner_calls() const { return planner_.calls(); }
    int64_t cache_hits() const { return cache_ ? cache_->hits() : 0; }
    PriceCache& cache() { return *cache_; }
    Planner& planner() { return planner_; }
    /// Tells the port that another part of the call begins.
    void Begin(Phase phase);

  private:
    void DeclareAll(std::vector<Candidate> candidates);
    void AddWriteCosts();

    WhatIf& port_;
    Planner planner_;
    Workload workload_;
    double baseline_cost_ = 0;
    std::vector<IndexId> ids_;
    CandidateFacts facts_;
    std::vector<Declined> declined_;
    std::optional<PriceCache> cache_;
};

}  // namespace upkeep::advisor
