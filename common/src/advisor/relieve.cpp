// SPDX-License-Identifier: PostgreSQL
#include "relieve.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace upkeep::advisor {

namespace {

// After so many moves only members are taken away, so that this ends.
constexpr int kMaxMoves = 40;
// Ways that add an index and are planned, to relieve one statement.
constexpr size_t kMostPlanned = 8;

class Reliever {
  public:
    Reliever(WhatIf& port, const Workload& workload, PriceCache& cache, const CandidateFacts& facts,
             const SearchLimits& limits)
        : port_(port), workload_(workload), cache_(cache), facts_(facts), limits_(limits) {}

    IndexSet Run(IndexSet set) {
        for (int made = 0;; ++made) {
            const std::optional<size_t> item = MostHarmed(set);
            if (!item) {
                return set;
            }
            set = Best(*item, set, /*only_removes=*/made >= kMaxMoves);
        }
    }

  private:
    struct Move {
        IndexSet set;
        IndexSet changed;
    };

    /// What a set of moves is compared by: statements harmed, then cost.
    using Key = std::pair<double, double>;

    bool IsLate() { return port_.ElapsedMs() >= limits_.deadline_ms; }

    /// Planned with that very set: harm in one state may come and go with what the plan of the
    /// other does not use.
    const CachedPrice& PriceOf(size_t item, const IndexSet& set, bool is_guess = false) {
        if (is_guess || IsLate()) {
            return cache_.KnownPrice(item, set);
        }
        return port_.DependsOnOrder() ? cache_.PriceExactly(item, set) : cache_.Price(item, set);
    }

    std::optional<size_t> MostHarmed(const IndexSet& set) {
        std::optional<size_t> worst;
        double harm = 0;
        for (size_t item = 0; item < workload_.items.size(); ++item) {
            const double here = workload_.items[item].weight * PriceOf(item, set).harm;
            if (here > harm) {
                worst = item;
                harm = here;
            }
        }
        return worst;
    }

    /// What the move changes; a guess does not ask the planner.
    Key Change(const IndexSet& set, const Move& move, bool is_guess) {
        Key key{0, 0};
        for (const size_t c : move.changed.Members()) {
            key.second += (move.set.Has(c) ? 1 : -1) * facts_.write_costs[c];
        }
        for (size_t item = 0; item < workload_.items.size(); ++item) {
            if (cache_.concerned(item).Meets(move.changed)) {
                const CachedPrice& now = PriceOf(item, set);
                const CachedPrice& then = PriceOf(item, move.set, is_guess);
                key.first += (then.harm > 0 ? 1 : 0) - (now.harm > 0 ? 1 : 0);
                key.second += workload_.items[item].weight * (then.cost - now.cost);
            }
        }
        return key;
    }

    bool Fits(const IndexSet& set) const {
        double bytes = 0;
        for (const size_t c : set.Members()) {
            bytes += facts_.sizes[c];
        }
        return !limits_.budget_bytes || bytes <= static_cast<double>(*limits_.budget_bytes);
    }

    std::vector<Move> Moves(const std::vector<size_t>& blamed, size_t item, const IndexSet& set) {
        std::vector<Move> moves;
        const IndexSet none(facts_.sizes.size());
        auto add = [&](std::optional<size_t> removed, std::optional<size_t> added) {
            Move move{set, none};
            if (removed) {
                move.set.Remove(*removed);
                move.changed.Add(*removed);
            }
            if (added) {
                move.set.Add(*added);
                move.changed.Add(*added);
            }
            if (!added || Fits(move.set)) {
                moves.push_back(std::move(move));
            }
        };
        for (const size_t removed : blamed) {
            add(removed, {});
            for (size_t c = 0; c < facts_.specs.size(); ++c) {
                if (!set.Has(c) && facts_.specs[c].relation == facts_.specs[removed].relation) {
                    add(removed, c);
                }
            }
        }
        for (const size_t c : cache_.concerned(item).Members()) {
            if (!set.Has(c)) {
                add({}, c);
            }
        }
        return moves;
    }

    /// Those that only take away, and of the others the best by what is known.
    std::vector<Move> Promising(std::vector<Move> moves, const IndexSet& set) {
        std::vector<std::pair<Key, size_t>> others;
        std::vector<Move> kept;
        for (size_t i = 0; i < moves.size(); ++i) {
            CheckStop(port_);
            if (set.Contains(moves[i].set)) {
                kept.push_back(moves[i]);
            } else {
                others.emplace_back(Change(set, moves[i], /*is_guess=*/true), i);
            }
        }
        std::sort(others.begin(), others.end());
        for (size_t k = 0; k < std::min(others.size(), kMostPlanned); ++k) {
            kept.push_back(std::move(moves[others[k].second]));
        }
        return kept;
    }

    /// The set after the best move; where none helps, without the member that is missed least.
    IndexSet Best(size_t item, const IndexSet& set, bool only_removes) {
        std::vector<size_t> blamed = (cache_.concerned(item) & set).Members();
        std::erase_if(blamed, [&](size_t c) { return !PriceOf(item, set).Uses(c); });
        if (blamed.empty()) {  // the plan uses none of them and yet is slower: a host's whim
            blamed = (cache_.concerned(item) & set).Members();
        }
        std::optional<IndexSet> best;
        Key best_key{0, std::numeric_limits<double>::infinity()};
        std::optional<IndexSet> last;
        Key last_key{std::numeric_limits<double>::infinity(), 0};
        for (const Move& move : Promising(Moves(blamed, item, set), set)) {
            CheckStop(port_);
            const Key key = Change(set, move, /*is_guess=*/false);
            if (!only_removes && key.first < 0 && key.second < best_key.second) {
                best = move.set;
                best_key = key;
            }
            if (set.Contains(move.set) && key < last_key) {
                last = move.set;
                last_key = key;
            }
        }
        return best ? *best : last ? *last : IndexSet(facts_.sizes.size());
    }

    WhatIf& port_;
    const Workload& workload_;
    PriceCache& cache_;
    const CandidateFacts& facts_;
    const SearchLimits& limits_;
};

}  // namespace

IndexSet Relieve(WhatIf& port, const Workload& workload, PriceCache& cache,
                 const CandidateFacts& facts, const SearchLimits& limits, IndexSet set) {
    return Reliever(port, workload, cache, facts, limits).Run(std::move(set));
}

}  // namespace upkeep::advisor
