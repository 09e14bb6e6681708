// SPDX-License-Identifier: PostgreSQL
#include "search.h"

#include <algorithm>
#include <limits>

#include "relieve.h"

namespace upkeep::advisor {

namespace {

// An index gives way to a narrower one if the statements that use it cost no more: not more than
// rounding, so that the choice stays no worse than either greedy.
constexpr double kTieShare = 1e-9;
// What a step weighs that would harm a statement: more than any gain, and still comparable.
constexpr double kForbidden = 1e300;
// Forbidden steps that are tried together with what relieves whom they harm, at one time.
constexpr size_t kMostRelieved = 5;

/// Would a statement be harmed more than now?
bool Harms(const CachedPrice& now, const CachedPrice& then) {
    return then.harm > now.harm;
}

/// Has `narrow` some of the keys of `wide`, and nothing else that differs?
bool IsNarrower(const IndexSpec& narrow, const IndexSpec& wide) {
    return narrow.relation == wide.relation && narrow.keys.size() < wide.keys.size() &&
           narrow.kind == wide.kind && narrow.include == wide.include &&
           narrow.predicate == wide.predicate &&
           std::all_of(narrow.keys.begin(), narrow.keys.end(), [&](const IndexKey& key) {
               return std::find(wide.keys.begin(), wide.keys.end(), key) != wide.keys.end();
           });
}

}  // namespace

Search::Search(WhatIf& port, const Workload& workload, PriceCache& cache,
               const CandidateFacts& facts, const SearchLimits& limits)
    : port_(port),
      workload_(workload),
      cache_(cache),
      facts_(facts),
      limits_(limits),
      candidates_of_(workload.items.size()) {
    for (size_t c = 0; c < facts_.items.size(); ++c) {
        for (const size_t item : facts_.items[c]) {
            candidates_of_[item].push_back(c);
        }
    }
}

bool Search::IsLate() {
    if (port_.ElapsedMs() >= limits_.deadline_ms) {
        is_complete_ = false;
    }
    return !is_complete_;
}

const CachedPrice& Search::PriceOf(size_t item, const IndexSet& set) {
    return IsLate() ? cache_.KnownPrice(item, set) : cache_.Price(item, set);
}

bool Search::Fits(double bytes) const {
    return !limits_.budget_bytes || bytes <= static_cast<double>(*limits_.budget_bytes);
}

Search::State Search::Start(const IndexSet& chosen) {
    State state{.chosen = chosen, .prices = {}, .deltas = {}, .is_stale = {}};
    for (const size_t c : chosen.Members()) {
        state.bytes += facts_.sizes[c];
        state.cost += facts_.write_costs[c];
    }
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        state.prices.push_back(&PriceOf(item, chosen));
        state.cost += workload_.items[item].weight * state.prices.back()->cost;
    }
    ForgetDeltas(&state);
    return state;
}

void Search::ForgetDeltas(State* state) {
    state->deltas.assign(facts_.sizes.size(), 0);
    state->is_stale.assign(facts_.sizes.size(), true);
}

double Search::Gain(const State& state, size_t candidate) {
    IndexSet with = state.chosen;
    with.Add(candidate);
    double gain = -facts_.write_costs[candidate];
    for (const size_t item : facts_.items[candidate]) {
        const CachedPrice& then = PriceOf(item, with);
        if (Harms(*state.prices[item], then)) {
            return -kForbidden;
        }
        gain += workload_.items[item].weight * (state.prices[item]->cost - then.cost);
    }
    return gain;
}

/// What a forbidden candidate would save if nobody minded.
double Search::GainWithHarm(const State& state, size_t candidate) {
    IndexSet with = state.chosen;
    with.Add(candidate);
    double gain = -facts_.write_costs[candidate];
    for (const size_t item : facts_.items[candidate]) {
        gain +=
            workload_.items[item].weight * (state.prices[item]->cost - PriceOf(item, with).cost);
    }
    return gain;
}

double Search::Loss(const State& state, size_t candidate) {
    IndexSet without = state.chosen;
    without.Remove(candidate);
    double loss = -facts_.write_costs[candidate];
    for (const size_t item : facts_.items[candidate]) {
        if (state.prices[item]->Uses(candidate)) {
            const CachedPrice& then = PriceOf(item, without);
            if (Harms(*state.prices[item], then)) {
                return kForbidden;
            }
            loss += workload_.items[item].weight * (then.cost - state.prices[item]->cost);
        }
    }
    return loss;
}

void Search::Change(State* state, size_t candidate, bool is_added) {
    if (is_added) {
        state->chosen.Add(candidate);
    } else {
        state->chosen.Remove(candidate);
    }
    state->bytes += is_added ? facts_.sizes[candidate] : -facts_.sizes[candidate];
    state->cost += is_added ? facts_.write_costs[candidate] : -facts_.write_costs[candidate];
    for (const size_t item : facts_.items[candidate]) {
        const CachedPrice* before = state->prices[item];
        if (!is_added && !before->Uses(candidate)) {
            continue;
        }
        const CachedPrice* after = &PriceOf(item, state->chosen);
        if (after == before) {
            continue;
        }
        state->prices[item] = after;
        state->cost += workload_.items[item].weight * (after->cost - before->cost);
        for (const size_t other : candidates_of_[item]) {
            state->is_stale[other] = true;
        }
    }
}

/// The candidate that looks best; what is stale counts as it did before. nullopt: none saves
/// enough.
std::optional<size_t> Search::Best(const State& state, bool is_per_byte) const {
    std::optional<size_t> best;
    double best_key = 0;
    for (size_t c = 0; c < facts_.sizes.size(); ++c) {
        const double delta = state.deltas[c];
        const double key = is_per_byte ? delta / facts_.sizes[c] : delta;
        if (delta >= limits_.LeastOf(state.cost) && key > best_key && !state.chosen.Has(c) &&
            Fits(state.bytes + facts_.sizes[c])) {
            best = c;
            best_key = key;
        }
    }
    return best;
}

/// Asks anew what the candidates that fit and are stale would save; false: no time left.
bool Search::Refresh(State* state) {
    for (size_t c = 0; c < facts_.sizes.size(); ++c) {
        if (state->is_stale[c] && !state->chosen.Has(c) && Fits(state->bytes + facts_.sizes[c])) {
            if (IsLate()) {
                return false;
            }
            state->deltas[c] = Gain(*state, c);
            state->is_stale[c] = false;
        }
    }
    return true;
}

/// Adds one of the forbidden candidates that would save most, with what relieves whom it harms;
/// false: none saves enough that way.
bool Search::AddRelieved(State* state) {
    std::vector<std::pair<double, size_t>> forbidden;
    for (size_t c = 0; c < facts_.sizes.size(); ++c) {
        if (state->deltas[c] == -kForbidden && !state->chosen.Has(c) &&
            Fits(state->bytes + facts_.sizes[c]) && !IsLate()) {
            const double gain = GainWithHarm(*state, c);
            if (gain > 0 && gain >= limits_.LeastOf(state->cost)) {
                forbidden.emplace_back(-gain, c);
            }
        }
    }
    std::sort(forbidden.begin(), forbidden.end());
    forbidden.resize(std::min(forbidden.size(), kMostRelieved));
    for (const auto& [rank, candidate] : forbidden) {
        IndexSet with = state->chosen;
        with.Add(candidate);
        State tried = Start(Relieve(port_, workload_, cache_, facts_, limits_, with));
        if (!IsLate() && Fits(tried.bytes) && tried.cost < state->cost &&
            state->cost - tried.cost >= limits_.LeastOf(state->cost)) {
            *state = std::move(tried);
            return true;
        }
    }
    return false;
}

/// Adds the best candidate that fits, until none saves enough. What one saves falls nearly always
/// as others are added; where a plan costs more than it finds, only what looks best is asked anew,
/// and all once more before the end.
void Search::Grow(State* state, bool is_per_byte) {
    ForgetDeltas(state);
    const bool is_thorough = port_.IsPriceMinimal();
    bool is_fresh = Refresh(state);
    while (is_fresh) {
        std::optional<size_t> best = Best(*state, is_per_byte);
        if (!best || is_thorough) {
            is_fresh = Refresh(state);
            best = is_fresh ? Best(*state, is_per_byte) : std::nullopt;
        }
        if (!best) {
            if (!is_fresh || !AddRelieved(state)) {
                return;
            }
            is_fresh = Refresh(state);
        } else if (!state->is_stale[*best]) {
            Change(state, *best, /*is_added=*/true);
        } else if (IsLate()) {
            return;
        } else {
            state->deltas[*best] = Gain(*state, *best);
            state->is_stale[*best] = false;
        }
    }
}

/// Removes what is lost least: over the budget by loss per byte, then whatever saves too little.
/// Late, it goes on with the losses it knows, because the budget must be kept.
void Search::Shrink(State* state) {
    for (;;) {
        const bool is_over = !Fits(state->bytes);
        std::optional<size_t> worst;
        double worst_key = std::numeric_limits<double>::infinity();
        for (const size_t c : state->chosen.Members()) {
            if (state->is_stale[c] && !IsLate()) {
                state->deltas[c] = Loss(*state, c);
                state->is_stale[c] = false;
            }
            const double key = is_over ? state->deltas[c] / facts_.sizes[c] : state->deltas[c];
            if (key < worst_key) {
                worst = c;
                worst_key = key;
            }
        }
        if (!worst || (!is_over &&
                       (worst_key >= limits_.LeastOf(state->cost + worst_key) || !is_complete_))) {
            return;
        }
        Change(state, *worst, /*is_added=*/false);
    }
}

/// Puts `narrow` in the place of `wide` if next to nothing is lost by it.
bool Search::Replace(State* state, size_t wide, size_t narrow) {
    IndexSet with = state->chosen;
    with.Remove(wide);
    with.Add(narrow);
    double loss = facts_.write_costs[narrow] - facts_.write_costs[wide];
    double cost = 0;
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        const IndexSet& concerned = cache_.concerned(item);
        if (concerned.Has(wide) || concerned.Has(narrow)) {
            const double weight = workload_.items[item].weight;
            const CachedPrice& now = *state->prices[item];
            const CachedPrice& then = port_.DependsOnOrder() && !IsLate()
                                          ? cache_.PriceExactly(item, with)
                                          : PriceOf(item, with);
            if (Harms(now, then)) {
                return false;
            }
            loss += weight * (then.cost - now.cost);
            cost += now.Uses(wide) ? weight * now.cost : 0;
        }
    }
    if (loss > kTieShare * cost) {
        return false;
    }
    Change(state, wide, /*is_added=*/false);
    Change(state, narrow, /*is_added=*/true);
    return true;
}

/// The planner takes any of equally cheap indexes: of those the narrowest is meant.
void Search::Simplify(State* state) {
    for (const size_t wide : state->chosen.Members()) {
        std::vector<size_t> narrower;
        for (size_t c = 0; c < facts_.specs.size(); ++c) {
            if (!state->chosen.Has(c) && facts_.sizes[c] <= facts_.sizes[wide] &&
                IsNarrower(facts_.specs[c], facts_.specs[wide])) {
                narrower.push_back(c);
            }
        }
        std::stable_sort(narrower.begin(), narrower.end(), [&](size_t a, size_t b) {
            return facts_.specs[a].keys.size() < facts_.specs[b].keys.size();
        });
        for (const size_t narrow : narrower) {
            if (IsLate() || Replace(state, wide, narrow)) {
                break;
            }
        }
    }
}

/// First guess of each member's loss: its share of what the statements that use it save.
void Search::EstimateLosses(const IndexSet& members, State* state) const {
    for (const size_t c : members.Members()) {
        state->deltas[c] = -facts_.write_costs[c];
        for (const size_t item : facts_.items[c]) {
            const CachedPrice& price = *state->prices[item];
            if (price.Uses(c)) {
                state->deltas[c] += workload_.items[item].weight *
                                    (workload_.items[item].FearedBaseline() - price.cost) /
                                    static_cast<double>(price.used.size());
            }
        }
    }
}

/// What the planner would use if all candidates existed, cut down to the budget. Finds pairs that
/// gain nothing one by one (both sides of a merge join, both arms of an OR).
Search::State Search::FromAbove() {
    IndexSet all(facts_.sizes.size());
    for (size_t c = 0; c < facts_.sizes.size(); ++c) {
        all.Add(c);
    }
    IndexSet used(facts_.sizes.size());
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        for (const size_t c : PriceOf(item, all).used) {
            used.Add(c);
        }
    }
    const IndexSet harmless = Relieve(port_, workload_, cache_, facts_, limits_, used);
    State state = Start(harmless);
    EstimateLosses(harmless, &state);
    Shrink(&state);
    return state;
}

/// Grows a set that is known to be good, and keeps what is better than the best so far.
void Search::ImproveFrom(const IndexSet& start, State* best) {
    State state = Start(Relieve(port_, workload_, cache_, facts_, limits_, start));
    Grow(&state, /*is_per_byte=*/true);
    ForgetDeltas(&state);
    Shrink(&state);
    if (state.cost < best->cost) {
        *best = std::move(state);
    }
}

IndexSet Search::Run(const std::vector<IndexSet>& starts) {
    State best = FromAbove();
    Grow(&best, /*is_per_byte=*/true);
    ForgetDeltas(&best);
    Shrink(&best);
    cache_.planner().NoteCost(best.cost);
    for (const bool is_per_byte : {true, false}) {
        if (IsLate()) {
            break;
        }
        State state = Start(IndexSet(facts_.sizes.size()));
        const double without_any = state.cost;
        Grow(&state, is_per_byte);
        ForgetDeltas(&state);
        Shrink(&state);
        if (state.cost < best.cost && state.cost <= without_any) {
            best = std::move(state);
        }
    }
    for (const IndexSet& start : starts) {
        ImproveFrom(start, &best);
    }
    cache_.planner().NoteCost(best.cost);
    Simplify(&best);
    // What is known of other sets need not hold there: see ReplanAll in pricing.cpp.
    return port_.DependsOnOrder() ? Relieve(port_, workload_, cache_, facts_, limits_, best.chosen)
                                  : best.chosen;
}

}  // namespace upkeep::advisor
