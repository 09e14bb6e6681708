// SPDX-License-Identifier: PostgreSQL
#include "candidates_shapes.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "match.h"

namespace upkeep::advisor {

namespace {

// Shapes of one relation that may name candidates; the work grows with shapes x candidates.
constexpr size_t kMaxShapes = 400;

/// Two uses with the same signature are served alike by every index.
std::string Signature(const RelationUse& use) {
    std::string out;
    auto put = [&](auto value) { out += std::to_string(value) + ','; };
    for (const Predicate& p : use.predicates) {
        put(p.column);
        put(static_cast<int>(p.op));
        // Different constants: the same candidates, so only the order of magnitude counts.
        put(p.selectivity > 0 ? static_cast<int>(std::log10(p.selectivity)) : 99);
    }
    out += '|';
    for (const SortKey& key : use.order) {
        put(key.column * 4 + (key.descending ? 2 : 0) + (key.nulls_first ? 1 : 0));
    }
    out += '|';
    for (const int column : use.group) {
        put(column);
    }
    out += '|';
    for (const int column : use.needed) {
        put(column);
    }
    return out;
}

/// Shapes of one relation, the most important first.
std::vector<UseShape> ShapesOf(RelationId id, const Workload& workload) {
    std::vector<UseShape> shapes;
    std::map<std::string, size_t> known;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            if (use.relation != id) {
                continue;
            }
            const auto [place, is_new] = known.emplace(Signature(use), shapes.size());
            if (is_new) {
                shapes.push_back({&use, 0, 0});
            }
            shapes[place->second].importance += item.weight * item.FearedBaseline();
            ++shapes[place->second].statements;
        }
    }
    std::stable_sort(shapes.begin(), shapes.end(), [](const UseShape& a, const UseShape& b) {
        return a.importance > b.importance;
    });
    shapes.resize(std::min(shapes.size(), kMaxShapes));
    return shapes;
}

}  // namespace

CandidateInput MakeCandidateInput(const WhatIf& port, RelationId id, const Workload& workload,
                                  int max_columns) {
    CandidateInput in{.id = id,
                      .relation = port.relation(id),
                      .shapes = ShapesOf(id, workload),
                      .popularity = {},
                      .max_columns = max_columns,
                      .has_nulls_order = port.dialect().has_nulls_order};
    for (const UseShape& shape : in.shapes) {
        std::set<int> columns;
        for (const Predicate& predicate : shape.use->predicates) {
            if (IsEquality(predicate.op)) {
                columns.insert(predicate.column);
            }
        }
        for (const int column : columns) {
            in.popularity[column] += shape.statements;
        }
    }
    return in;
}

std::vector<const RelationUse*> UsesOf(RelationId id, const Workload& workload) {
    std::vector<std::pair<double, const RelationUse*>> uses;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            if (use.relation == id) {
                uses.emplace_back(item.weight * item.FearedBaseline(), &use);
            }
        }
    }
    std::stable_sort(uses.begin(), uses.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    uses.resize(std::min(uses.size(), kMaxShapes));
    std::vector<const RelationUse*> sorted;
    sorted.reserve(uses.size());
    for (const auto& [importance, use] : uses) {
        sorted.push_back(use);
    }
    return sorted;
}

}  // namespace upkeep::advisor
