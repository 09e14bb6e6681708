// SPDX-License-Identifier: PostgreSQL
#include "price_cache.h"

#include <algorithm>

namespace upkeep::advisor {

bool CachedPrice::Uses(size_t candidate) const {
    return std::binary_search(used.begin(), used.end(), candidate);
}

PriceCache::PriceCache(Planner& planner, const Workload& workload, std::vector<IndexId> ids,
                       std::vector<IndexSet> concerned)
    : planner_(planner), workload_(workload), ids_(std::move(ids)) {
    for (size_t c = 0; c < ids_.size(); ++c) {
        candidate_of_.emplace(ids_[c], c);
    }
    trees_.reserve(concerned.size());
    for (size_t item = 0; item < concerned.size(); ++item) {
        trees_.push_back({std::move(concerned[item]), {}, {}, {}});
        Learn(trees_.back(), IndexSet(ids_.size()),
              CachedPrice{workload_.items[item].FearedBaseline(),
                          {},
                          workload_.items[item].baseline_cost,
                          workload_.items[item].baseline_risk});
    }
}

CachedPrice PriceCache::Plan(size_t item, const IndexSet& set) {
    std::vector<IndexId> ids;
    for (const size_t candidate : set.Members()) {
        ids.push_back(ids_[candidate]);
    }
    std::sort(ids.begin(), ids.end());
    return PlanWith(item, set, ids);
}

const CachedPrice& PriceCache::PriceInOrder(size_t item, const std::vector<size_t>& order) {
    IndexSet set(ids_.size());
    std::vector<IndexId> ids;
    for (const size_t candidate : order) {
        if (trees_[item].concerned.Has(candidate)) {
            set.Add(candidate);
            ids.push_back(ids_[candidate]);
        }
    }
    return prices_.emplace_back(PlanWith(item, set, ids));
}

CachedPrice PriceCache::PlanWith(size_t item, const IndexSet& set,
                                 const std::vector<IndexId>& ids) {
    planner_.NoteHits(hits_);
    const upkeep::advisor::Price price = planner_.Plan(workload_, workload_.items[item], ids);
    CachedPrice cached{
        price.cost + price.risk + price.elsewhere, {}, price.cost, price.risk, price.harm};
    for (const IndexId id : price.used) {
        // Only what was offered counts, or the walk down the tree might not end.
        const auto known = candidate_of_.find(id);
        if (known != candidate_of_.end() && set.Has(known->second)) {
            cached.used.push_back(known->second);
        }
    }
    std::sort(cached.used.begin(), cached.used.end());
    return cached;
}

const CachedPrice& PriceCache::PriceExactly(size_t item, const IndexSet& set) {
    Tree& tree = trees_[item];
    const IndexSet key = set & tree.concerned;
    if (const auto known = tree.planned.find(key); known != tree.planned.end()) {
        ++hits_;
        return *known->second;
    }
    return Learn(tree, key, Plan(item, key));
}

const CachedPrice& PriceCache::Replan(size_t item, const IndexSet& set) {
    Tree& tree = trees_[item];
    const IndexSet key = set & tree.concerned;
    return Learn(tree, key, Plan(item, key));
}

const CachedPrice& PriceCache::Learn(Tree& tree, const IndexSet& key, CachedPrice price) {
    const CachedPrice& kept = prices_.emplace_back(std::move(price));
    tree.planned.insert_or_assign(key, &kept);
    IndexSet used(ids_.size());
    for (const size_t candidate : kept.used) {
        used.Add(candidate);
    }
    const auto same = std::find_if(tree.atoms.begin(), tree.atoms.end(),
                                   [&](const Atom& atom) { return atom.used == used; });
    if (same != tree.atoms.end()) {
        if (same->price->planned <= kept.planned) {
            return kept;
        }
        tree.atoms.erase(same);
    }
    const auto before = [](const Atom& a, const Atom& b) {
        return a.price->planned != b.price->planned ? a.price->planned < b.price->planned
               : a.price->cost != b.price->cost     ? a.price->cost < b.price->cost
                                                    : a.price->used < b.price->used;
    };
    Atom atom{std::move(used), &kept};
    tree.atoms.insert(std::upper_bound(tree.atoms.begin(), tree.atoms.end(), atom, before), atom);
    return kept;
}

void PriceCache::LearnFrom(const PriceCache& part, const std::vector<size_t>& numbers) {
    const auto renumbered = [&](const IndexSet& set) {
        IndexSet here(ids_.size());
        for (const size_t candidate : set.Members()) {
            here.Add(numbers[candidate]);
        }
        return here;
    };
    for (size_t item = 0; item < trees_.size(); ++item) {
        for (const auto& [key, price] : part.trees_[item].planned) {
            CachedPrice here = *price;
            for (size_t& candidate : here.used) {
                candidate = numbers[candidate];
            }
            std::sort(here.used.begin(), here.used.end());
            Learn(trees_[item], renumbered(key), std::move(here));
        }
    }
    hits_ += part.hits_;
}

const CachedPrice& PriceCache::KnownPrice(size_t item, const IndexSet& set) const {
    for (const Atom& atom : trees_[item].atoms) {
        // By the few members: this is asked millions of times.
        if (std::all_of(atom.price->used.begin(), atom.price->used.end(),
                        [&](size_t used) { return set.Has(used); })) {
            return *atom.price;
        }
    }
    throw Error(Code::kInternal, "no plan of this statement is known");  // the baseline always is
}

/// The way that all questions begin with, down to the plan that uses none.
void PriceCache::WalkDown(size_t item) {
    Tree& tree = trees_[item];
    tree.is_walked = true;
    IndexSet node = tree.concerned;
    for (;;) {
        const CachedPrice& price = PriceExactly(item, node);
        if (price.used.empty()) {
            return;
        }
        for (const size_t used : price.used) {
            node.Remove(used);
        }
    }
}

const CachedPrice& PriceCache::Price(size_t item, const IndexSet& set) {
    Tree& tree = trees_[item];
    const IndexSet target = set & tree.concerned;
    if (const auto known = tree.answered.find(target); known != tree.answered.end()) {
        ++hits_;
        return *known->second;
    }
    if (const auto known = tree.planned.find(target); known != tree.planned.end()) {
        ++hits_;
        return *known->second;
    }
    const int64_t hits_before = hits_;
    const int64_t calls_before = planner_.calls();
    if (planner_.IsPlanCheap() && !tree.is_walked) {
        WalkDown(item);
    }
    IndexSet node = tree.concerned;
    for (;;) {
        // Where plans are cheap, one more on the way costs no less than the answer itself.
        if (planner_.IsPlanCheap() && tree.planned.find(node) == tree.planned.end()) {
            node = target;
        }
        const CachedPrice& price = PriceExactly(item, node);
        bool is_wanted = true;
        for (const size_t used : price.used) {
            if (!target.Has(used)) {
                node.Remove(used);
                is_wanted = false;
            }
        }
        if (is_wanted) {
            // One question is one hit or a miss, however many nodes were walked.
            hits_ = hits_before + (planner_.calls() == calls_before ? 1 : 0);
            tree.answered.emplace(target, &price);
            return price;
        }
    }
}

}  // namespace upkeep::advisor
