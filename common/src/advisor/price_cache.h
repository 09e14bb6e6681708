// The memoised what-if tree: what a statement costs with a set of candidates, in few planner calls.
//
// Plan with all candidates of the statement; take away what the plan used but the target lacks;
// repeat until all that is used is wanted. That plan is the target's plan too: the planner had more
// to choose from and chose only from the target.
//
//      {a b c d} uses a          target {c d}: a is not wanted
//           |
//       {b c d} uses c           c is wanted: the price of {c d} is this plan's
//
// Measured (PostgreSQL, six-table join): 15 plans for 5,000 sets, exact; up to 0.4 % off where the
// planner's own pruning fuzz shows. So the search uses Price(), and what is reported
// PriceExactly(). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "index_set.h"
#include "workload.h"

namespace upkeep::advisor {

struct CachedPrice {
    double cost = 0;           // of one execution, unweighted, with Price::risk and elsewhere: for
                               // choices
    std::vector<size_t> used;  // candidate numbers, ascending
    double planned = 0;        // the planner's own price: what it minimises, and what is shown
    double risk = 0;           // of Price
    double harm = 0;

    bool Uses(size_t candidate) const;
};

/// Something that some plan of a statement was made of: with at least these the planner's own price
/// is no higher.
struct Atom {
    IndexSet used;
    const CachedPrice* price = nullptr;
};

class PriceCache {
  public:
    /// `ids`: the declared index of each candidate (all different). `concerned`: for each item the
    /// candidates that can matter to it. The items' baseline prices are taken over.
    /// All references must outlive the cache.
    PriceCache(Planner& planner, const Workload& workload, std::vector<IndexId> ids,
               std::vector<IndexSet> concerned);

    /// Price of the item with these candidates, through the tree. The reference stays valid.
    const CachedPrice& Price(size_t item, const IndexSet& set);

    /// The best price known without asking the planner: an upper bound of the set's, from a plan
    /// that uses nothing else. For when time is up.
    const CachedPrice& KnownPrice(size_t item, const IndexSet& set) const;

    /// The same from a plan made with exactly this set, now or earlier in this call.
    const CachedPrice& PriceExactly(size_t item, const IndexSet& set);

    /// The same with the members made in the order of `order`; planned now, and not remembered.
    const CachedPrice& PriceInOrder(size_t item, const std::vector<size_t>& order);

    /// The same, always planned now.
    const CachedPrice& Replan(size_t item, const IndexSet& set);

    /// Takes over what `part` learnt, a cache of the same workload whose candidate k is number
    /// `numbers[k]` here: a plan with exactly a set is that plan whatever else could be had.
    void LearnFrom(const PriceCache& part, const std::vector<size_t>& numbers);

    /// What the plans of the item so far were made of, each set once, in the order in which the
    /// planner prefers them: by its own price, whatever the risk. Among equal prices the lesser
    /// risk stands first: a host's own look-ups (WorkloadItem::is_check) have nothing else.
    const std::vector<Atom>& atoms(size_t item) const { return trees_[item].atoms; }
    const IndexSet& concerned(size_t item) const { return trees_[item].concerned; }
    size_t candidate_count() const { return ids_.size(); }
    int64_t hits() const { return hits_; }
    /// For whoever searches: it is told how far that is.
    Planner& planner() { return planner_; }

  private:
    struct Tree {
        IndexSet concerned;
        std::unordered_map<IndexSet, const CachedPrice*, IndexSet::Hash> planned;
        std::unordered_map<IndexSet, const CachedPrice*, IndexSet::Hash> answered;
        std::vector<Atom> atoms;
        bool is_walked = false;
    };

    void WalkDown(size_t item);
    CachedPrice Plan(size_t item, const IndexSet& set);
    CachedPrice PlanWith(size_t item, const IndexSet& set, const std::vector<IndexId>& ids);
    const CachedPrice& Learn(Tree& tree, const IndexSet& key, CachedPrice price);

    Planner& planner_;
    const Workload& workload_;
    std::vector<IndexId> ids_;
    std::unordered_map<IndexId, size_t> candidate_of_;
    std::deque<CachedPrice> prices_;  // where they stay
    std::vector<Tree> trees_;
    int64_t hits_ = 0;
};

}  // namespace upkeep::advisor
