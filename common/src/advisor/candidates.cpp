// SPDX-License-Identifier: PostgreSQL
#include "candidates.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "candidates_btree.h"
#include "candidates_covering.h"
#include "candidates_kinds.h"
#include "candidates_shapes.h"
#include "index_kind.h"
#include "match.h"

namespace upkeep::advisor {

namespace {

// Candidates of one relation that are merged with each other.
constexpr size_t kMaxParents = 40;

/// What covers the use, behind the B-trees that serve it.
void GenerateCovering(const CandidateInput& in, const RelationUse& use, SpecPool* pool) {
    SpecPool serving;
    GenerateBtree(in, use, &serving);
    for (IndexSpec& spec : CoveringSpecs(in.relation, use, serving.specs(), in.max_columns)) {
        pool->Add(std::move(spec));
    }
}

/// How much of a use an index takes over, 0 (nothing) to about 2. Only orders candidates where a
/// relation has too many of them; never a price.
double Strength(const Match& match) {
    if (match.IsNothing()) {
        return 0;
    }
    const double selectivity = std::max(match.selectivity, 1e-12);
    double strength = 0.05 + 0.5 * (1 - selectivity) + std::min(1.0, -std::log10(selectivity) / 9);
    strength += match.is_whole_order ? 0.5 : 0.05 * static_cast<double>(match.order.size());
    strength += 0.1 * static_cast<double>(match.group.size());
    return strength;
}

/// The best `limit` of `specs`: shapes take turns, the most important first, each naming the
/// candidate that serves it best and is not yet in. So no statement is left without.
std::vector<IndexSpec> TakeTurns(const CandidateInput& in, const std::vector<IndexSpec>& specs,
                                 size_t limit) {
    if (specs.size() <= limit) {
        return specs;
    }
    std::vector<double> total(specs.size(), 0);
    std::vector<std::vector<std::pair<double, size_t>>> wishes(in.shapes.size());
    for (size_t s = 0; s < in.shapes.size(); ++s) {
        for (size_t c = 0; c < specs.size(); ++c) {
            const RelationUse& use = *in.shapes[s].use;
            const double strength =
                Strength(MatchUse(specs[c], in.relation, use, in.has_nulls_order)) +
                (specs[c].kind == IndexKind::kCovering && Covers(specs[c], use) ? 0.5 : 0);
            if (strength > 0) {
                total[c] += strength * in.shapes[s].importance;
                wishes[s].emplace_back(strength, c);
            }
        }
    }
    for (auto& wish : wishes) {
        std::sort(wish.begin(), wish.end(), [&](const auto& a, const auto& b) {
            const auto rank = [&](const std::pair<double, size_t>& w) {
                return std::tuple(-std::round(w.first * 1e6), -total[w.second],
                                  specs[w.second].keys.size(), w.second);
            };
            return rank(a) < rank(b);
        });
    }
    std::set<size_t> taken;
    for (size_t turn = 0; taken.size() < limit; ++turn) {
        bool is_any_left = false;
        for (const auto& wish : wishes) {
            if (turn < wish.size() && taken.size() < limit) {
                taken.insert(wish[turn].second);
                is_any_left = true;
            }
        }
        if (!is_any_left) {
            break;
        }
    }
    // The smallest indexes that serve somebody, beyond the limit: under a tight budget they are the
    // ones.
    for (size_t c = 0; c < specs.size(); ++c) {
        if (total[c] > 0 && specs[c].keys.size() == 1 && specs[c].include.empty()) {
            taken.insert(c);
        }
    }
    std::vector<IndexSpec> kept;
    kept.reserve(taken.size());
    for (const size_t c : taken) {
        kept.push_back(specs[c]);
    }
    return kept;
}

/// For two candidates: the keys of one, then what the other has beyond. Serves both statements
/// where the first one's keys are a useful prefix for both.
void AddMerged(const CandidateInput& in, const std::vector<IndexSpec>& parents, SpecPool* pool) {
    for (const IndexSpec& first : parents) {
        for (const IndexSpec& second : parents) {
            IndexSpec merged = first;
            for (const IndexKey& key : second.keys) {
                const bool is_known =
                    std::any_of(merged.keys.begin(), merged.keys.end(),
                                [&](const IndexKey& k) { return k.column == key.column; });
                if (!is_known) {
                    merged.keys.push_back(key);
                }
            }
            if (merged.keys.size() <= static_cast<size_t>(in.max_columns)) {
                pool->Add(std::move(merged));
            }
        }
    }
}

SpecPool WithoutExisting(const CandidateInput& in, const SpecPool& pool) {
    SpecPool kept;
    for (const IndexSpec& spec : pool.specs()) {
        const bool is_provided = std::any_of(
            in.relation.indexes.begin(), in.relation.indexes.end(),
            [&](const ExistingIndex& e) { return IsProvidedBy(e, spec, in.has_nulls_order); });
        if (!is_provided) {
            kept.Add(spec);
        }
    }
    return kept;
}

std::vector<IndexSpec> GenerateCoveringFor(const CandidateInput& in, size_t limit) {
    SpecPool pool;
    for (const UseShape& shape : in.shapes) {
        GenerateCovering(in, *shape.use, &pool);
    }
    for (IndexSpec& spec : MergedCovering(in.relation, pool.specs())) {
        pool.Add(std::move(spec));
    }
    return TakeTurns(in, WithoutExisting(in, pool).specs(), limit);
}

bool IsWanted(IndexKind kind, const std::vector<IndexKind>& kinds) {
    return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

std::vector<IndexSpec> GenerateBtreesFor(const CandidateInput& in, size_t limit) {
    SpecPool pool;
    for (const UseShape& shape : in.shapes) {
        GenerateBtree(in, *shape.use, &pool);
    }
    pool = WithoutExisting(in, pool);
    if (in.shapes.size() > 1) {
        AddMerged(in, TakeTurns(in, pool.specs(), std::min(limit, kMaxParents)), &pool);
        pool = WithoutExisting(in, pool);
    }
    return TakeTurns(in, pool.specs(), limit);
}

/// Kind by kind, each within a limit of its own.
std::vector<IndexSpec> GenerateFor(const CandidateInput& in, const CandidateOptions& options,
                                   const WhatIf& port, const Workload& workload) {
    SpecPool all;
    const auto add = [&](std::vector<IndexSpec> specs) {
        for (IndexSpec& spec : specs) {
            all.Add(std::move(spec));
        }
    };
    if (IsWanted(IndexKind::kBtree, options.kinds)) {
        add(GenerateBtreesFor(in, options.max_per_relation));
    }
    // Without INCLUDE the columns would be keys: a choice of its own, and not made yet.
    if (IsWanted(IndexKind::kCovering, options.kinds) && port.dialect().has_include) {
        add(GenerateCoveringFor(in, options.max_per_relation));
    }
    add(GenerateKinds(port, in.id, UsesOf(in.id, workload), options.max_columns, options.kinds));
    return all.specs();
}

}  // namespace

bool IsProvidedBy(const ExistingIndex& existing, const IndexSpec& spec, bool has_nulls_order) {
    const IndexSpec& have = existing.spec;
    const bool is_btree = have.kind == IndexKind::kBtree || have.kind == IndexKind::kCovering ||
                          have.kind == IndexKind::kExpression;
    if (!is_btree || !have.predicate.empty() || have.keys.size() < spec.keys.size() ||
        !spec.include.empty() || !spec.predicate.empty()) {
        return false;
    }
    auto is_prefix = [&](const std::vector<IndexKey>& keys) {
        for (size_t i = 0; i < keys.size(); ++i) {
            if (!SameKey(keys[i], have.keys[i], has_nulls_order)) {
                return false;
            }
        }
        return true;
    };
    return is_prefix(spec.keys) || is_prefix(Flipped(spec.keys));
}

namespace {

// Rows of each value of the leading key from which a planner may skip over it.
// Source: whereLoopAddBtreeIndex() of SQLite 3.40.
constexpr double kSkipRows = 18;

/// Could a plan skip over the leading key to one that the use compares? Good for nothing that a
/// candidate is made for, but a planner that errs may do it, and make the statement slower.
bool MaySkipTo(const IndexSpec& spec, const Relation& relation, const RelationUse& use) {
    if (spec.relation != use.relation || spec.keys.size() < 2 || spec.keys.front().column < 0) {
        return false;
    }
    const double distinct =
        relation.columns[static_cast<size_t>(spec.keys.front().column)].distinct_count;
    return distinct > 0 && relation.rows >= kSkipRows * distinct &&
           std::any_of(spec.keys.begin() + 1, spec.keys.end(), [&](const IndexKey& key) {
               return key.column >= 0 &&
                      std::any_of(use.predicates.begin(), use.predicates.end(),
                                  [&](const Predicate& p) { return p.column == key.column; });
           });
}

/// Can the candidate matter to this use?
bool IsAskedFor(const WhatIf& port, const IndexSpec& spec, const RelationUse& use) {
    if (!port.IsPriceMinimal() && MaySkipTo(spec, port.relation(spec.relation), use)) {
        return true;
    }
    if (IsOfOtherKind(spec)) {
        return ConcernsOtherKind(spec, use);
    }
    return Concerns(spec, use) || (spec.relation == use.relation &&
                                   spec.kind == IndexKind::kCovering && Covers(spec, use));
}

}  // namespace

std::vector<Candidate> GenerateCandidates(const WhatIf& port, const Workload& workload,
                                          const CandidateOptions& options) {
    std::map<RelationId, std::set<size_t>> users;
    for (size_t i = 0; i < workload.items.size(); ++i) {
        for (const RelationUse& use : workload.items[i].statement.uses) {
            if (port.relation(use.relation).no_index_because.empty()) {
                users[use.relation].insert(i);
            }
        }
    }
    std::vector<Candidate> candidates;
    for (const auto& [id, items] : users) {
        const CandidateInput in = MakeCandidateInput(port, id, workload, options.max_columns);
        for (IndexSpec& spec : GenerateFor(in, options, port, workload)) {
            Candidate candidate{std::move(spec), {}};
            for (const size_t i : items) {
                const std::vector<RelationUse>& uses = workload.items[i].statement.uses;
                if (std::any_of(uses.begin(), uses.end(), [&](const RelationUse& use) {
                        return IsAskedFor(port, candidate.spec, use);
                    })) {
                    candidate.items.push_back(i);
                }
            }
            if (!candidate.items.empty()) {
                candidates.push_back(std::move(candidate));
            }
        }
    }
    return candidates;
}

std::vector<IndexKind> PricedKinds(const WhatIf& port) {
    std::vector<IndexKind> kinds;
    for (const IndexKind kind : AllKinds()) {
        if (!port.WhyNoKind(kind)) {
            kinds.push_back(kind);
        }
    }
    return kinds;
}

}  // namespace upkeep::advisor
