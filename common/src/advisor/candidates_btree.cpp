// SPDX-License-Identifier: PostgreSQL
#include "candidates_btree.h"

#include <algorithm>
#include <map>

#include "match.h"

namespace upkeep::advisor {

namespace {

// Equality columns beyond these (rarest first) are not paired with each other.
constexpr size_t kMaxPairedColumns = 8;

/// Words that DDL needs beyond the column names.
int DirectionWords(const std::vector<IndexKey>& keys) {
    int words = 0;
    for (const IndexKey& key : keys) {
        words += (key.descending ? 1 : 0) + (key.nulls_first != key.descending ? 1 : 0);
    }
    return words;
}

/// The order as index keys, in the simpler of the two directions a B-tree can be read.
std::vector<IndexKey> OrderKeys(const std::vector<SortKey>& order, const std::vector<int>& fixed,
                                const CandidateInput& in) {
    std::vector<IndexKey> keys;
    for (const SortKey& sort : order) {
        const bool is_repeated =
            std::any_of(keys.begin(), keys.end(),
                        [&](const IndexKey& key) { return key.column == sort.column; }) ||
            std::find(fixed.begin(), fixed.end(), sort.column) != fixed.end();
        if (is_repeated) {
            continue;
        }
        if (!IsOrderable(in.relation, sort.column)) {
            break;
        }
        keys.push_back({sort.column, "", sort.descending,
                        in.has_nulls_order ? sort.nulls_first : sort.descending});
    }
    std::vector<IndexKey> flipped = Flipped(keys);
    return DirectionWords(flipped) < DirectionWords(keys) ? flipped : keys;
}

/// Columns of the use compared for equality, the most widely useful first.
std::vector<const Predicate*> EqualityColumns(const CandidateInput& in, const RelationUse& use) {
    std::map<int, const Predicate*> best;
    for (const Predicate& predicate : use.predicates) {
        if (!IsEquality(predicate.op) || !IsOrderable(in.relation, predicate.column)) {
            continue;
        }
        const Predicate*& known = best[predicate.column];
        if (known == nullptr ||
            SelectivityOf(predicate, in.relation) < SelectivityOf(*known, in.relation)) {
            known = &predicate;
        }
    }
    std::vector<const Predicate*> columns;
    columns.reserve(best.size());
    for (const auto& [column, predicate] : best) {
        columns.push_back(predicate);
    }
    std::stable_sort(columns.begin(), columns.end(), [&](const Predicate* a, const Predicate* b) {
        const size_t popular_a = in.popularity.at(a->column);
        const size_t popular_b = in.popularity.at(b->column);
        return popular_a != popular_b
                   ? popular_a > popular_b
                   : SelectivityOf(*a, in.relation) < SelectivityOf(*b, in.relation);
    });
    return columns;
}

using Columns = std::vector<int>;

void AddJoinHeads(const std::vector<const Predicate*>& equal, size_t limit,
                  std::vector<Columns>* heads) {
    for (const Predicate* join : equal) {
        if (join->op != Operator::kJoin) {
            continue;
        }
        Columns first = {join->column};
        Columns last;
        for (const Predicate* other : equal) {
            if (other != join && first.size() < limit) {
                first.push_back(other->column);
            }
            if (other != join && last.size() + 1 < limit) {
                last.push_back(other->column);
            }
        }
        last.push_back(join->column);
        heads->push_back(std::move(first));
        heads->push_back(std::move(last));
    }
}

/// Useful sequences of equality columns, the empty one included.
std::vector<Columns> Heads(const std::vector<const Predicate*>& equal, size_t max_columns) {
    std::vector<Columns> heads = {{}};
    Columns prefix;
    Columns constants;  // without the joins: what a scan can use on its own
    for (const Predicate* predicate : equal) {
        heads.push_back({predicate->column});
        if (prefix.size() < max_columns) {
            prefix.push_back(predicate->column);
            heads.push_back(prefix);
        }
        if (predicate->op != Operator::kJoin && constants.size() < max_columns) {
            constants.push_back(predicate->column);
            heads.push_back(constants);
        }
    }
    if (max_columns >= 2) {
        const size_t paired = std::min(equal.size(), kMaxPairedColumns);
        for (size_t i = 0; i < paired; ++i) {
            for (size_t j = i + 1; j < paired; ++j) {
                heads.push_back({equal[i]->column, equal[j]->column});
            }
        }
    }
    AddJoinHeads(equal, max_columns, &heads);
    return heads;
}

void AddSequence(const CandidateInput& in, const Columns& head, const std::vector<IndexKey>& tail,
                 SpecPool* pool) {
    IndexSpec spec;
    spec.relation = in.id;
    auto add = [&](const IndexKey& key) {
        const bool is_known =
            std::any_of(spec.keys.begin(), spec.keys.end(),
                        [&](const IndexKey& k) { return k.column == key.column; });
        if (!is_known && spec.keys.size() < static_cast<size_t>(in.max_columns)) {
            spec.keys.push_back(key);
        }
    };
    for (const int column : head) {
        add({column, "", false, false});
    }
    for (const IndexKey& key : tail) {
        add(key);
    }
    pool->Add(std::move(spec));
}

}  // namespace

void GenerateBtree(const CandidateInput& in, const RelationUse& use, SpecPool* pool) {
    const std::vector<const Predicate*> equal = EqualityColumns(in, use);
    std::vector<std::vector<IndexKey>> ranges = {{}};
    for (const Predicate& predicate : use.predicates) {
        if (!IsEquality(predicate.op) && IsOrderable(in.relation, predicate.column)) {
            ranges.push_back({{predicate.column, "", false, false}});
        }
    }
    std::vector<IndexKey> group;
    for (const int column : use.group) {
        if (!IsOrderable(in.relation, column)) {
            break;
        }
        group.push_back({column, "", false, false});
    }
    for (const Columns& head : Heads(equal, static_cast<size_t>(in.max_columns))) {
        for (const std::vector<IndexKey>& range : ranges) {
            AddSequence(in, head, range, pool);
        }
        const std::vector<IndexKey> order = OrderKeys(use.order, head, in);
        if (!order.empty()) {
            AddSequence(in, head, order, pool);
            AddSequence(in, head, {order.front()}, pool);
        }
        AddSequence(in, head, group, pool);
    }
}

}  // namespace upkeep::advisor
