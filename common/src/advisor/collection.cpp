// SPDX-License-Identifier: PostgreSQL
#include "collection.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace upkeep::advisor {

std::vector<IndexSet> ConcernedByItem(const Workload& workload, const CandidateFacts& facts) {
    std::vector<IndexSet> concerned(workload.items.size(), IndexSet(facts.specs.size()));
    for (size_t c = 0; c < facts.items.size(); ++c) {
        for (const size_t item : facts.items[c]) {
            concerned[item].Add(c);
        }
    }
    return concerned;
}

/// Declares the candidates; those that this host cannot hypothesise, and doubles, are left out.
void Collection::DeclareAll(std::vector<Candidate> candidates) {
    std::map<IndexId, size_t> known;
    for (Candidate& candidate : candidates) {
        CheckStop(port_);
        Result<IndexId> id = port_.Declare(candidate.spec);
        if (!id.ok()) {
            if (id.error().code() == Code::kUnsupported) {
                declined_.push_back({std::move(candidate.spec), id.error().message()});
                continue;
            }
            throw Error(id.error());
        }
        if (!known.emplace(id.value(), ids_.size()).second) {
            continue;
        }
        const double size = port_.SizeBytes(id.value());
        ids_.push_back(id.value());
        facts_.specs.push_back(std::move(candidate.spec));
        facts_.items.push_back(std::move(candidate.items));
        facts_.shown_sizes.push_back(std::isfinite(size) && size >= 1 ? size : 1);
        facts_.sizes.push_back(facts_.shown_sizes.back() + port_.SizeDoubtBytes(id.value()));
    }
}

/// What each candidate adds to the workload's writes. One write without a price makes the whole sum
/// unknown: then it is NULL and the objective leaves it out.
void Collection::AddWriteCosts() {
    std::map<RelationId, std::vector<size_t>> writers;
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        for (const RelationId relation : workload_.items[item].statement.written) {
            std::vector<size_t>& items = writers[relation];
            if (items.empty() || items.back() != item) {
                items.push_back(item);
            }
        }
    }
    for (size_t c = 0; c < ids_.size(); ++c) {
        CheckStop(port_);
        double sum = 0;
        bool is_priced = true;
        std::vector<std::pair<size_t, double>> by_item;
        for (const size_t item : writers[facts_.specs[c].relation]) {
            const WorkloadItem& write = workload_.items[item];
            const std::optional<double> cost = port_.WriteCost(ids_[c], write.statement.id);
            if (!cost || !std::isfinite(*cost)) {
                is_priced = false;
                break;
            }
            if (*cost != 0) {
                by_item.emplace_back(item, write.executions * *cost);
                sum += write.executions * *cost;
            }
        }
        facts_.write_costs.push_back(is_priced ? sum : 0);
        facts_.are_writes_priced.push_back(is_priced);
        facts_.writes_by_item.push_back(is_priced ? std::move(by_item)
                                                  : std::vector<std::pair<size_t, double>>());
    }
}

Collection::Collection(WhatIf& port, const AdviseOptions& options)
    : port_(port), planner_(port), workload_(WithChecks(port, AnalyseWorkload(port, options))) {
    CheckSomethingCanBeIndexed(port, workload_);
    baseline_cost_ = PriceBaseline(port, planner_, workload_, options);
    if (baseline_cost_ <= 0) {
        return;
    }
    DeclareAll(GenerateCandidates(port, workload_,
                                  {.max_columns = options.max_columns, .kinds = options.kinds}));
    if (ids_.empty()) {
        return;
    }
    AddWriteCosts();
    cache_.emplace(planner_, workload_, ids_, ConcernedByItem(workload_, facts_));
}

void Collection::Begin(Phase phase) {
    planner_.NoteHits(cache_hits());
    planner_.Begin(phase, workload_.items.size());
}

}  // namespace upkeep::advisor
