// SPDX-License-Identifier: PostgreSQL
#include "pricing.h"

#include <algorithm>
#include <limits>
#include <map>

namespace upkeep::advisor {

namespace {

// A price that differs by less is the same price (sums of doubles in another order).
constexpr double kSamePrice = 1e-9;
// By so much the order of creation may make the workload dearer.
constexpr double kOrderTolerance = 1.001;

/// The planner's own price, and the same with Price::risk.
struct Cost {
    double planned = 0;
    double feared = 0;
};

class Pricer {
  public:
    Pricer(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
           const SearchLimits& limits)
        : port_(port), workload_(workload), cache_(cache), facts_(facts), limits_(limits) {}

    /// Plans every statement that the set concerns, without any cache.
    void ReplanAll(const IndexSet& chosen) {
        final_.clear();
        for (size_t item = 0; item < workload_.items.size(); ++item) {
            cache_.planner().NoteDone(item);
            Replan(item, chosen);
        }
    }

    /// Drops what no plan of the final set uses, where there was no time to ask what is missed.
    void DropUnusedIfLate(IndexSet* chosen) {
        if (!IsLate()) {
            return;
        }
        for (const size_t c : chosen->Members()) {
            if (std::none_of(facts_.items[c].begin(), facts_.items[c].end(),
                             [&](size_t item) { return final_.at(item)->Uses(c); })) {
                chosen->Remove(c);
            }
        }
    }

    /// Drops, one by one, of the indexes that a harmed statement uses what is missed least.
    void DropHarmful(IndexSet* chosen) {
        for (;;) {
            std::optional<size_t> worst;
            double worst_loss = std::numeric_limits<double>::infinity();
            for (const auto& [item, price] : final_) {
                for (const size_t c : price->harm > 0 ? price->used : std::vector<size_t>()) {
                    const double loss = Loss(*chosen, c);
                    if (chosen->Has(c) && loss < worst_loss) {
                        worst = c;
                        worst_loss = loss;
                    }
                }
            }
            if (!worst) {
                return;
            }
            Drop(*worst, chosen);
        }
    }

    /// Drops, one by one, the index that is missed least, while it is missed too little.
    void DropWeak(IndexSet* chosen) {
        while (!IsLate()) {
            std::optional<size_t> worst;
            double worst_loss = std::numeric_limits<double>::infinity();
            losses_.clear();
            for (const size_t c : chosen->Members()) {
                if (IsLate()) {
                    return;
                }
                const double loss = Loss(*chosen, c);
                if (loss < worst_loss && !HarmsWithout(*chosen, c)) {
                    worst = c;
                    worst_loss = loss;
                }
            }
            if (!worst || worst_loss >= limits_.LeastOf(FinalCost(*chosen).feared + worst_loss)) {
                return;
            }
            Drop(*worst, chosen);
        }
    }

    /// Drops the row that saves least of what those before it leave, if that is too little; false
    /// if all rows earn their place. A row that needs later ones is judged by what they all lose
    /// without it.
    bool DropWeakRow(const std::vector<PricedIndex>& rows, IndexSet* chosen) {
        const PricedIndex* worst = nullptr;
        double worst_ratio = std::numeric_limits<double>::infinity();
        for (const PricedIndex& row : rows) {
            const double cost = row.cost_before;
            const double saved = std::max(cost - row.cost_after, Missed(row));
            if (saved < limits_.LeastOf(cost) && saved / cost < worst_ratio) {
                worst = &row;
                worst_ratio = saved / cost;
            }
        }
        if (worst != nullptr) {
            Drop(worst->candidate, chosen);
        }
        return worst != nullptr;
    }

    /// Weighted cost of the workload without any.
    Cost BaselineCost() const {
        Cost cost;
        for (const WorkloadItem& item : workload_.items) {
            cost.planned += item.weight * item.baseline_cost;
            cost.feared += item.weight * item.FearedBaseline();
        }
        return cost;
    }

    /// Is the workload with the set that was planned last no cheaper, by either price?
    bool DoesHarm(const IndexSet& chosen) const {
        const Cost cost = FinalCost(chosen);
        const Cost baseline = BaselineCost();
        return cost.planned >= baseline.planned || cost.feared >= baseline.feared;
    }

    /// The order of creation: largest saving first, each on top of those before; where that makes
    /// plans dearer, the order in which the set was planned.
    std::vector<size_t> Order(const IndexSet& chosen) {
        std::vector<size_t> order = OrderBySaving(chosen);
        if (!port_.DependsOnOrder() || IsLate()) {
            return order;
        }
        double cost = 0;
        double bar = 0;
        bool harms = false;
        std::map<size_t, const CachedPrice*> in_order = final_;
        for (auto& [item, price] : in_order) {
            if (cache_.concerned(item).Meets(chosen)) {
                const CachedPrice& before = *price;
                price = &cache_.PriceInOrder(item, order);
                cost += workload_.items[item].weight * price->cost;
                bar += workload_.items[item].weight * before.cost;
                harms = harms || price->harm > before.harm;
            }
        }
        if (harms || cost > bar * kOrderTolerance) {
            return chosen.Members();
        }
        final_ = std::move(in_order);
        return order;
    }

  private:
    std::vector<size_t> OrderBySaving(const IndexSet& chosen) const {
        std::vector<size_t> rest = chosen.Members();
        std::vector<size_t> order;
        IndexSet prefix(cache_.candidate_count());
        while (!rest.empty()) {
            size_t best = 0;
            std::pair<double, double> best_key = {-std::numeric_limits<double>::infinity(), 0};
            for (size_t i = 0; i < rest.size(); ++i) {
                const std::pair<double, double> key = {Gain(prefix, rest[i]), TotalLoss(rest[i])};
                if (key > best_key) {
                    best = i;
                    best_key = key;
                }
            }
            order.push_back(rest[best]);
            prefix.Add(rest[best]);
            rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(best));
        }
        return order;
    }

  public:
    std::vector<PricedIndex> Rows(const std::vector<size_t>& order) {
        std::vector<PricedIndex> rows;
        IndexSet prefix(cache_.candidate_count());
        std::vector<Cost> costs;
        for (const WorkloadItem& item : workload_.items) {
            costs.push_back({item.baseline_cost, item.FearedBaseline()});
        }
        Cost total = BaselineCost();
        for (size_t k = 0; k < order.size(); ++k) {
            prefix.Add(order[k]);
            const bool is_last = k + 1 == order.size();
            PricedIndex row{order[k], total.planned, total.planned, {}, {}};
            const double feared_saving = AddChanges(prefix, is_last, &costs, &row);
            for (const ItemChange& change : row.changes) {
                row.cost_after += change.after - change.before;
            }
            AddServed(&row);
            row.needs_others = feared_saving < limits_.LeastOf(total.feared);
            total = {row.cost_after, total.feared - feared_saving};
            AddRisk(&row);
            rows.push_back(std::move(row));
        }
        return rows;
    }

  private:
    bool IsLate() { return port_.ElapsedMs() >= limits_.deadline_ms; }

    void Drop(size_t candidate, IndexSet* chosen) {
        chosen->Remove(candidate);
        for (const size_t item : facts_.items[candidate]) {
            Replan(item, *chosen);
        }
    }

    /// Would a statement be harmed by the others if this one went?
    bool HarmsWithout(const IndexSet& chosen, size_t candidate) {
        IndexSet without = chosen;
        without.Remove(candidate);
        return std::any_of(
            facts_.items[candidate].begin(), facts_.items[candidate].end(), [&](size_t item) {
                const CachedPrice& now = *final_.at(item);
                return now.Uses(candidate) && cache_.PriceExactly(item, without).harm > now.harm;
            });
    }

    /// Weighted cost of the workload with the set that was planned last.
    Cost FinalCost(const IndexSet& chosen) const {
        Cost cost;
        for (const auto& [item, price] : final_) {
            cost.planned += workload_.items[item].weight * price->planned;
            cost.feared += workload_.items[item].weight * price->cost;
        }
        for (const size_t c : chosen.Members()) {
            cost.planned += facts_.write_costs[c];
            cost.feared += facts_.write_costs[c];
        }
        return cost;
    }

    /// What the whole set would lose without the row, by the price by which it would lose more.
    double Missed(const PricedIndex& row) const {
        const auto planned = planned_losses_.find(row.candidate);
        return std::max(TotalLoss(row.candidate) - facts_.write_costs[row.candidate],
                        planned == planned_losses_.end() ? 0 : planned->second);
    }

    void Replan(size_t item, const IndexSet& chosen) {
        if ((chosen & cache_.concerned(item)).IsEmpty()) {
            final_[item] = &cache_.PriceExactly(item, chosen);
        } else {
            final_[item] = &cache_.Replan(item, chosen);
        }
    }

    /// What the workload would lose without it; statements whose plan does not use it lose nothing.
    /// Below nothing if it does harm by the planner's own prices, whatever the risk.
    double Loss(const IndexSet& chosen, size_t candidate) {
        IndexSet without = chosen;
        without.Remove(candidate);
        double loss = -facts_.write_costs[candidate];
        double planned_loss = loss;
        double risk_loss = 0;
        for (const size_t item : facts_.items[candidate]) {
            const CachedPrice& now = *final_.at(item);
            if (!now.Uses(candidate)) {
                continue;
            }
            const CachedPrice& then = cache_.PriceExactly(item, without);
            const double more = then.cost - now.cost;
            loss += workload_.items[item].weight * more;
            planned_loss += workload_.items[item].weight * (then.planned - now.planned);
            risk_loss += workload_.items[item].weight * (then.risk - now.risk);
            losses_[{candidate, item}] = workload_.items[item].weight * more;
        }
        planned_losses_[candidate] = planned_loss;
        risk_losses_[candidate] = risk_loss;
        return planned_loss < 0 ? std::min(loss, planned_loss) : loss;
    }

    double TotalLoss(size_t candidate) const {
        double loss = 0;
        for (const size_t item : facts_.items[candidate]) {
            const auto known = losses_.find({candidate, item});
            loss += known == losses_.end() ? 0 : known->second;
        }
        return loss;
    }

    /// By what is known without the planner: it only orders.
    double Gain(const IndexSet& prefix, size_t candidate) const {
        IndexSet with = prefix;
        with.Add(candidate);
        double gain = -facts_.write_costs[candidate];
        for (const size_t item : facts_.items[candidate]) {
            gain += workload_.items[item].weight *
                    (cache_.KnownPrice(item, prefix).cost - cache_.KnownPrice(item, with).cost);
        }
        return gain;
    }

    /// Fills the row's changes; returns what it saves with the risk counted in.
    double AddChanges(const IndexSet& prefix, bool is_last, std::vector<Cost>* costs,
                      PricedIndex* row) {
        const size_t candidate = row->candidate;
        double feared_saving = -facts_.write_costs[candidate];
        std::map<size_t, ItemChange> changes;
        auto change_of = [&](size_t item) -> ItemChange& {
            const double now = workload_.items[item].weight * (*costs)[item].planned;
            return changes.try_emplace(item, ItemChange{item, now, now}).first->second;
        };
        auto price = [&](size_t item) {
            const CachedPrice& now = is_last ? *final_.at(item)
                                     : IsLate() || limits_.is_total_only
                                         ? cache_.KnownPrice(item, prefix)
                                         : cache_.PriceExactly(item, prefix);
            Cost& cost = (*costs)[item];
            feared_saving += workload_.items[item].weight * (cost.feared - now.cost);
            if (now.planned != cost.planned) {
                change_of(item).after = workload_.items[item].weight * now.planned;
            }
            cost = {now.planned, now.cost};
        };
        if (is_last) {
            // Every statement ends at its freshly planned price, whatever the steps said.
            for (size_t item = 0; item < workload_.items.size(); ++item) {
                price(item);
            }
        } else {
            for (const size_t item : facts_.items[candidate]) {
                price(item);
            }
        }
        for (const auto& [item, cost] : facts_.writes_by_item[candidate]) {
            change_of(item).after += cost;
        }
        for (const auto& [item, change] : changes) {
            row->changes.push_back(change);
        }
        return feared_saving;
    }

    void AddRisk(PricedIndex* row) const {
        const auto planned = planned_losses_.find(row->candidate);
        const double least = limits_.LeastOf(row->cost_before);
        const bool is_for_more =
            planned != planned_losses_.end() && planned->second < least &&
            TotalLoss(row->candidate) - facts_.write_costs[row->candidate] >= least;
        const auto risk = risk_losses_.find(row->candidate);
        row->is_for_risk = is_for_more && risk != risk_losses_.end() && risk->second > 0;
        row->is_for_elsewhere = is_for_more && !row->is_for_risk;
        for (const size_t item : facts_.items[row->candidate]) {
            const CachedPrice& price = *final_.at(item);
            if (!price.Uses(row->candidate) || price.risk <= 0) {
                continue;
            }
            (workload_.items[item].is_check ? row->checks : row->risky).push_back(item);
        }
    }

    void AddServed(PricedIndex* row) {
        std::map<size_t, double> savings;
        for (const ItemChange& change : row->changes) {
            const double saved = change.before - change.after;
            if (saved > kSamePrice * change.before) {
                savings[change.item] = saved;
            }
        }
        for (const size_t item : facts_.items[row->candidate]) {
            const auto loss = losses_.find({row->candidate, item});
            if (loss != losses_.end() &&
                loss->second > kSamePrice * workload_.items[item].weight * final_.at(item)->cost) {
                double& saved = savings[item];
                saved = std::max(saved, loss->second);
            }
        }
        std::vector<std::pair<double, size_t>> sorted;
        sorted.reserve(savings.size());
        for (const auto& [item, saved] : savings) {
            sorted.emplace_back(-saved, item);
        }
        std::sort(sorted.begin(), sorted.end());
        for (const auto& [saved, item] : sorted) {
            row->served.push_back(item);
        }
    }

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    const SearchLimits& limits_;
    std::map<size_t, const CachedPrice*> final_;          // by item, with the whole set
    std::map<std::pair<size_t, size_t>, double> losses_;  // (candidate, item), weighted
    std::map<size_t, double> planned_losses_;             // by candidate, writes counted
    std::map<size_t, double> risk_losses_;                // … of Price::risk
};

}  // namespace

std::vector<PricedIndex> PriceRows(WhatIf& port, const Workload& workload, PriceCache& cache,
                                   const CandidateFacts& facts, const SearchLimits& limits,
                                   IndexSet chosen) {
    if (chosen.IsEmpty()) {
        return {};
    }
    Pricer pricer(port, workload, cache, facts, limits);
    pricer.ReplanAll(chosen);
    for (;;) {
        pricer.DropHarmful(&chosen);
        pricer.DropWeak(&chosen);
        pricer.DropUnusedIfLate(&chosen);
        if (chosen.IsEmpty() || pricer.DoesHarm(chosen)) {
            return {};  // a host whose plans get worse with more indexes; first of all, do no harm
        }
        std::vector<PricedIndex> rows = pricer.Rows(pricer.Order(chosen));
        if (limits.is_total_only || port.ElapsedMs() >= limits.deadline_ms ||
            !pricer.DropWeakRow(rows, &chosen)) {
            return rows;
        }
    }
}

}  // namespace upkeep::advisor
