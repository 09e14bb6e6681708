// SPDX-License-Identifier: PostgreSQL
#include "improve.h"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "gather.h"

namespace upkeep::advisor {

namespace {

// Rounds of choosing and checking for one budget at most.
constexpr int kMaxRounds = 8;
// Layers of what could be added to a chosen set.
constexpr int kExtraLayers = 8;
// A gain below this share of the cost is rounding.
constexpr double kNoGain = 1e-9;
// What counts as progress of a round.
constexpr double kProgress = 1e-4;

}  // namespace

Improver::Improver(WhatIf& port, const Workload& workload, PriceCache& cache,
                   const CandidateFacts& facts, int64_t deadline_ms)
    : port_(port), workload_(workload), cache_(cache), facts_(facts), deadline_ms_(deadline_ms) {}

/// Asked before each plan and each set that is weighed: both take long in a large workload.
bool Improver::IsLate() {
    CheckStop(port_);
    if (port_.ElapsedMs() >= deadline_ms_) {
        is_complete_ = false;
    }
    return !is_complete_;
}

/// The first half of the time is for collecting, so that choosing has its turn.
void Improver::Collect(const IndexSet* fresh) {
    const int64_t now = port_.ElapsedMs();
    const int64_t until_ms = now + std::max<int64_t>(deadline_ms_ - now, 0) / 2;
    Gatherer gatherer(port_, workload_, cache_, facts_, until_ms);
    is_all_collected_ = gatherer.Run(fresh);
}

double Improver::Bytes(const IndexSet& set) const {
    double bytes = 0;
    for (const size_t c : set.Members()) {
        bytes += facts_.sizes[c];
    }
    return bytes;
}

double Improver::Writes(const IndexSet& set) const {
    double cost = 0;
    for (const size_t c : set.Members()) {
        cost += facts_.write_costs[c];
    }
    return cost;
}

Improver::State Improver::Evaluate(const IndexSet& set) const {
    State state{.set = set, .bytes = Bytes(set), .cost = Writes(set), .prices = {}};
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        state.prices.push_back(&cache_.KnownPrice(item, set));
        state.cost += workload_.items[item].weight * state.prices.back()->cost;
    }
    return state;
}

/// Cost of `set`, which differs from the state's by `changed`.
double Improver::CostWith(const State& state, const IndexSet& set, const IndexSet& changed) const {
    double cost = state.cost + Writes(set) - Writes(state.set);
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        if (cache_.concerned(item).Meets(changed)) {
            cost += workload_.items[item].weight *
                    (cache_.KnownPrice(item, set).cost - state.prices[item]->cost);
        }
    }
    return cost;
}

/// The distinct sets that plans were made of.
void Improver::ListMoves() {
    std::unordered_set<IndexSet, IndexSet::Hash> known;
    moves_.clear();
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        for (const Atom& atom : cache_.atoms(item)) {
            if (!atom.used.IsEmpty() && atom.price->cost < workload_.items[item].FearedBaseline() &&
                Bytes(atom.used) <= budget_ && known.insert(atom.used).second) {
                moves_.push_back(atom.used);
            }
        }
    }
}

/// Adds what saves most per byte and fits, until nothing does.
bool Improver::Grow(State* state) {
    bool has_changed = false;
    for (;;) {
        std::optional<IndexSet> best;
        double best_rate = 0;
        for (const IndexSet& move : moves_) {
            if (IsLate()) {
                return has_changed;
            }
            IndexSet missing = move;
            missing -= state->set;
            if (missing.IsEmpty()) {
                continue;
            }
            const double bytes = Bytes(missing);
            if (state->bytes + bytes > budget_) {
                continue;
            }
            IndexSet with = state->set;
            with |= missing;
            const double gain = state->cost - CostWith(*state, with, missing);
            if (gain > limits_.LeastOf(state->cost) && gain / bytes > best_rate) {
                best = std::move(with);
                best_rate = gain / bytes;
            }
        }
        if (!best) {
            return has_changed;
        }
        *state = Evaluate(*best);
        has_changed = true;
    }
}

/// What each member's absence would cost, per byte, the least first.
std::vector<std::pair<double, size_t>> Improver::Losses(const State& state) const {
    std::vector<std::pair<double, size_t>> losses;
    for (const size_t c : state.set.Members()) {
        CheckStop(port_);
        IndexSet without = state.set;
        without.Remove(c);
        double loss = -facts_.write_costs[c];
        for (const size_t item : facts_.items[c]) {
            if (state.prices[item]->Uses(c)) {
                loss += workload_.items[item].weight *
                        (cache_.KnownPrice(item, without).cost - state.prices[item]->cost);
            }
        }
        losses.emplace_back(loss / facts_.sizes[c], c);
    }
    std::sort(losses.begin(), losses.end());
    return losses;
}

/// Takes out what is not missed.
void Improver::Prune(State* state) {
    for (;;) {
        const auto losses = Losses(*state);
        const auto least =
            std::min_element(losses.begin(), losses.end(), [&](const auto& a, const auto& b) {
                return a.first * facts_.sizes[a.second] < b.first * facts_.sizes[b.second];
            });
        if (least == losses.end()) {
            return;
        }
        const double loss = least->first * facts_.sizes[least->second];
        if (loss >= limits_.LeastOf(state->cost + loss)) {
            return;
        }
        IndexSet without = state->set;
        without.Remove(least->second);
        *state = Evaluate(without);
    }
}

/// The best move that needs room: what is missed least per byte goes.
bool Improver::Exchange(State* state) {
    const auto losses = Losses(*state);
    std::optional<IndexSet> best;
    double best_cost = state->cost * (1 - kNoGain);
    for (const IndexSet& move : moves_) {
        if (IsLate()) {
            break;
        }
        IndexSet missing = move;
        missing -= state->set;
        if (missing.IsEmpty()) {
            continue;
        }
        const double need = state->bytes + Bytes(missing) - budget_;
        // Two ways to make room: the cheapest bytes one after the other, or the one that suffices.
        for (const bool is_single : {false, true}) {
            IndexSet with = state->set;
            with |= missing;
            IndexSet changed = missing;
            double room = 0;
            double least = std::numeric_limits<double>::infinity();
            std::optional<size_t> single;
            for (const auto& [rate, c] : losses) {
                if (move.Has(c) || (!is_single && room >= need)) {
                    continue;
                }
                if (is_single) {
                    if (facts_.sizes[c] >= need && rate * facts_.sizes[c] < least) {
                        least = rate * facts_.sizes[c];
                        single = c;
                    }
                    continue;
                }
                room += facts_.sizes[c];
                with.Remove(c);
                changed.Add(c);
            }
            if (single) {
                room = facts_.sizes[*single];
                with.Remove(*single);
                changed.Add(*single);
            }
            if (room < need) {
                continue;
            }
            const double cost = CostWith(*state, with, changed);
            if (cost < best_cost) {
                best_cost = cost;
                best = std::move(with);
            }
        }
    }
    if (best) {
        *state = Evaluate(*best);
    }
    return best.has_value();
}

void Improver::Settle(State* state) {
    State best = *state;
    while (!IsLate()) {
        Grow(state);
        Prune(state);
        Exchange(state);
        if (state->cost >= best.cost * (1 - kNoGain)) {
            break;
        }
        best = *state;
    }
    *state = std::move(best);
}

/// Takes each member out once, settles without it, and keeps what is better.
Improver::State Improver::Kick(State best) {
    for (const size_t c : best.set.Members()) {
        if (IsLate()) {
            break;
        }
        if (!best.set.Has(c)) {
            continue;
        }
        IndexSet without = best.set;
        without.Remove(c);
        std::vector<IndexSet> all = moves_;
        std::erase_if(moves_, [&](const IndexSet& move) { return move.Has(c); });
        State state = Evaluate(without);
        Settle(&state);
        moves_ = std::move(all);
        Settle(&state);
        if (state.cost < best.cost * (1 - kNoGain)) {
            best = std::move(state);
        }
    }
    return best;
}

/// Plans every statement with the set, and with what it could still take.
void Improver::Check(const IndexSet& set) {
    for (size_t item = 0; item < workload_.items.size(); ++item) {
        if (IsLate()) {
            return;
        }
        cache_.PriceExactly(item, set);
        IndexSet node = set;
        for (const Atom& atom : cache_.atoms(item)) {
            node |= atom.used;
        }
        for (int layer = 0; layer < kExtraLayers && !IsLate(); ++layer) {
            if (!StepDown(facts_, cache_.PriceExactly(item, node), set, &node)) {
                break;
            }
        }
    }
}

IndexSet Improver::Choose(const SearchLimits& limits, const std::vector<IndexSet>& starts) {
    limits_ = limits;
    budget_ = limits.budget_bytes ? static_cast<double>(*limits.budget_bytes)
                                  : std::numeric_limits<double>::infinity();
    std::optional<State> best;
    auto consider = [&](State state) {
        if (state.bytes <= budget_ && (!best || state.cost < best->cost * (1 - kNoGain))) {
            best = std::move(state);
            cache_.planner().NoteCost(best->cost);
        }
    };
    for (int round = 0; round < kMaxRounds; ++round) {
        const double before = best ? best->cost : std::numeric_limits<double>::infinity();
        ListMoves();
        std::vector<IndexSet> from = {IndexSet(facts_.sizes.size())};
        if (best) {
            from.push_back(best->set);
        } else {
            from.insert(from.end(), starts.begin(), starts.end());
        }
        best.reset();
        for (const IndexSet& start : from) {
            State state = Evaluate(start);
            if (state.bytes <= budget_) {
                consider(state);
                Settle(&state);
                consider(std::move(state));
            }
        }
        if (round > 0) {
            consider(Kick(*best));
        }
        Check(best->set);
        best = Evaluate(best->set);
        if (IsLate() || (round > 1 && best->cost >= before * (1 - kProgress))) {
            break;
        }
    }
    if (IsLate()) {
        Prune(&*best);  // asks no planner; it may be that there was no turn for it
    }
    return best->set;
}

}  // namespace upkeep::advisor
