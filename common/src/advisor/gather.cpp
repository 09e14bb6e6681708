// SPDX-License-Identifier: PostgreSQL
#include "gather.h"

#include <algorithm>
#include <limits>

namespace upkeep::advisor {

namespace {

// Plans of one statement from all candidates downwards at most.
constexpr int kMaxLayers = 40;
// Candidates of one statement planned alone at most; those of all statements, shared out evenly;
// and what each statement has at least.
constexpr size_t kMaxAlone = 80;
constexpr size_t kMaxAloneOfAll = 2400;
constexpr size_t kLeastAlone = 8;
// Candidates of one statement that are planned in pairs.
constexpr size_t kMaxPaired = 20;
// Pairs of all statements, shared out evenly; and what each statement has at least.
constexpr size_t kMaxPairs = 2000;
constexpr size_t kLeastPairs = 4;
// What a statement cannot gain as a share of the workload's cost is not looked for.
constexpr double kLeastHope = 1e-6;

}  // namespace

bool StepDown(const CandidateFacts& facts, const CachedPrice& price, const IndexSet& kept,
              IndexSet* node) {
    std::map<RelationId, double> largest;
    for (const size_t used : price.used) {
        if (!kept.Has(used)) {
            double& size = largest[facts.specs[used].relation];
            size = std::max(size, facts.sizes[used]);
            node->Remove(used);
        }
    }
    for (const size_t c : node->Members()) {
        const auto limit = largest.find(facts.specs[c].relation);
        if (limit != largest.end() && !kept.Has(c) && facts.sizes[c] >= limit->second) {
            node->Remove(c);
        }
    }
    return !largest.empty();
}

Gatherer::Gatherer(WhatIf& port, const Workload& workload, PriceCache& cache,
                   const CandidateFacts& facts, int64_t until_ms)
    : port_(port), workload_(workload), cache_(cache), facts_(facts), until_ms_(until_ms) {
    for (const WorkloadItem& item : workload_.items) {
        floors_.push_back(item.FearedBaseline());
        least_hope_ += kLeastHope * item.weight * item.FearedBaseline();
    }
}

bool Gatherer::IsLate() {
    CheckStop(port_);
    const bool is_late = port_.ElapsedMs() >= until_ms_;
    is_complete_ = is_complete_ && !is_late;
    return is_late;
}

bool Gatherer::Run(const IndexSet* fresh) {
    // Whole plans alone do not tell which of their indexes is worth its place: so half of the time
    // is for what comes after them.
    const int64_t end_ms = until_ms_;
    const int64_t now = port_.ElapsedMs();
    until_ms_ = now + std::max<int64_t>(end_ms - now, 0) / 2;
    PlanLayers(fresh);
    until_ms_ = end_ms;
    PlanAlone();
    PlanPairs();
    return is_complete_;
}

double Gatherer::Hope(size_t item, double cost) const {
    return workload_.items[item].weight * (cost - floors_[item]);
}

void Gatherer::PlanLayers(const IndexSet* fresh) {
    const IndexSet none(facts_.sizes.size());
    std::vector<std::pair<size_t, IndexSet>> walks;
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        if (!cache_.concerned(item).IsEmpty()) {
            walks.emplace_back(item, cache_.concerned(item));
        }
    }
    for (int layer = 0; layer < kMaxLayers && !walks.empty(); ++layer) {
        std::vector<std::pair<size_t, IndexSet>> rest;
        for (auto& [item, node] : walks) {
            if (IsLate()) {
                return;
            }
            const CachedPrice& price = cache_.PriceExactly(item, node);
            floors_[item] = std::min(floors_[item], price.cost);
            for (const size_t used : price.used) {
                users_[used].insert(item);
            }
            const bool is_news =
                fresh == nullptr || std::any_of(price.used.begin(), price.used.end(),
                                                [&](size_t used) { return fresh->Has(used); });
            if (StepDown(facts_, price, none, &node) && is_news) {
                rest.emplace_back(item, std::move(node));
            } else {
                cache_.planner().NoteDone(workload_.items.size() - rest.size());
            }
        }
        walks = std::move(rest);
    }
}

/// What was of use to somebody and can matter to the item: its own first, then what serves most.
std::vector<size_t> Gatherer::UsefulTo(size_t item) const {
    std::vector<std::pair<double, size_t>> order;
    for (const size_t candidate : cache_.concerned(item).Members()) {
        const auto users = users_.find(candidate);
        if (users != users_.end()) {
            const bool is_own = users->second.contains(item);
            order.emplace_back(
                is_own ? -std::numeric_limits<double>::infinity() : -WeightOf(users->second),
                candidate);
        }
    }
    std::sort(order.begin(), order.end());
    std::vector<size_t> useful;
    useful.reserve(order.size());
    for (const auto& [rank, candidate] : order) {
        useful.push_back(candidate);
    }
    return useful;
}

double Gatherer::WeightOf(const std::set<size_t>& items) const {
    double weight = 0;
    for (const size_t item : items) {
        weight += Hope(item, workload_.items[item].FearedBaseline());
    }
    return weight;
}

void Gatherer::PlanAlone() {
    const size_t allowance = std::min(
        kMaxAlone,
        std::max(kMaxAloneOfAll / std::max<size_t>(workload_.items.size(), 1), kLeastAlone));
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        if (Hope(item, workload_.items[item].FearedBaseline()) <= least_hope_) {
            continue;
        }
        std::vector<size_t> useful = UsefulTo(item);
        useful.resize(std::min(useful.size(), allowance));
        for (const size_t candidate : useful) {
            if (IsLate()) {
                return;
            }
            IndexSet one(facts_.sizes.size());
            one.Add(candidate);
            cache_.PriceExactly(item, one);
        }
    }
}

void Gatherer::PlanPairs() {
    const size_t allowance =
        std::max(kMaxPairs / std::max<size_t>(workload_.items.size(), 1), kLeastPairs);
    for (size_t item = 0; item < workload_.items.size() && !IsLate(); ++item) {
        PlanPairsOf(item, allowance);
    }
}

void Gatherer::PlanPairsOf(size_t item, size_t allowance) {
    const double baseline = workload_.items[item].FearedBaseline();
    struct Alone {
        double rate = 0;
        size_t candidate = 0;
        double cost = 0;
    };
    std::vector<Alone> best;
    for (const Atom& atom : cache_.atoms(item)) {
        if (atom.price->used.size() == 1 && atom.price->cost < baseline) {
            const size_t candidate = atom.price->used.front();
            best.push_back({(atom.price->cost - baseline) / facts_.sizes[candidate], candidate,
                            atom.price->cost});
        }
    }
    std::sort(best.begin(), best.end(), [](const Alone& a, const Alone& b) {
        return std::pair(a.rate, a.candidate) < std::pair(b.rate, b.candidate);
    });
    best.resize(std::min(best.size(), kMaxPaired));
    // By the sum of the two ranks, so that the allowance ends among the worst.
    for (size_t sum = 1; sum + 1 < 2 * best.size(); ++sum) {
        for (size_t i = sum < best.size() ? 0 : sum + 1 - best.size(); 2 * i < sum; ++i) {
            const Alone& a = best[i];
            const Alone& b = best[sum - i];
            if (facts_.specs[a.candidate].relation == facts_.specs[b.candidate].relation ||
                Hope(item, std::min(a.cost, b.cost)) <= least_hope_) {
                continue;
            }
            IndexSet both(facts_.sizes.size());
            both.Add(a.candidate);
            both.Add(b.candidate);
            if (std::any_of(cache_.atoms(item).begin(), cache_.atoms(item).end(),
                            [&](const Atom& atom) { return atom.used == both; })) {
                continue;  // a plan with more to choose from was made of these two
            }
            if (allowance-- == 0 || IsLate()) {
                return;
            }
            cache_.PriceExactly(item, both);
        }
    }
}

}  // namespace upkeep::advisor
