// SPDX-License-Identifier: PostgreSQL
#include "candidates_covering.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "match.h"

namespace upkeep::advisor {

namespace {

// Columns of a covering index at most, keys and others together.
constexpr size_t kMaxColumns = 16;
// Keys of the B-tree in front at most: what is included is checked in the index all the same.
constexpr size_t kMaxKeys = 2;
// Indexes with one and the same key that are merged with each other.
constexpr size_t kMaxMerged = 12;
// Wider than this share of the table, reading it instead of the table is no gain.
constexpr double kMaxShareOfTable = 0.6;
constexpr double kUnknownWidth = 16;
constexpr double kTupleBytes = 12;  // header and line pointer of an index entry

double WidthOf(const Relation& relation, int column) {
    const double width = relation.columns.at(static_cast<size_t>(column)).width_bytes;
    return width > 0 ? width : kUnknownWidth;
}

bool IsNarrow(const Relation& relation, const IndexSpec& spec) {
    if (spec.keys.size() + spec.include.size() > kMaxColumns) {
        return false;
    }
    double width = kTupleBytes;
    for (const IndexKey& key : spec.keys) {
        width += WidthOf(relation, key.column);
    }
    for (const int column : spec.include) {
        width += WidthOf(relation, column);
    }
    return relation.rows <= 0 || width * relation.rows <= kMaxShareOfTable * relation.size_bytes;
}

}  // namespace

bool Covers(const IndexSpec& spec, const RelationUse& use) {
    return !use.needed.empty() && std::all_of(use.needed.begin(), use.needed.end(),
                                              [&](int column) { return Holds(spec, column); });
}

std::vector<IndexSpec> CoveringSpecs(const Relation& relation, const RelationUse& use,
                                     const std::vector<IndexSpec>& serving, int max_columns) {
    std::vector<IndexSpec> specs;
    auto add = [&](IndexSpec spec) {
        if (IsNarrow(relation, spec)) {
            specs.push_back(std::move(spec));
        }
    };
    for (const IndexSpec& btree : serving) {
        if (btree.keys.size() > kMaxKeys || Covers(btree, use) || use.needed.empty()) {
            continue;
        }
        IndexSpec included = btree;
        IndexSpec keyed = btree;
        included.kind = IndexKind::kCovering;
        bool is_keyed = true;
        for (const int column : use.needed) {
            if (!Holds(btree, column)) {
                included.include.push_back(column);
                keyed.keys.push_back({column, "", false, false});
                is_keyed = is_keyed && relation.columns[static_cast<size_t>(column)].is_orderable;
            }
        }
        add(std::move(included));
        if (is_keyed && keyed.keys.size() <= static_cast<size_t>(max_columns)) {
            add(std::move(keyed));
        }
    }
    return specs;
}

std::vector<IndexSpec> MergedCovering(const Relation& relation,
                                      const std::vector<IndexSpec>& specs) {
    std::map<int, std::vector<const IndexSpec*>> alike;
    for (const IndexSpec& spec : specs) {
        if (spec.keys.size() == 1 && !spec.include.empty() && spec.keys.front().column >= 0) {
            std::vector<const IndexSpec*>& group = alike[spec.keys.front().column];
            if (group.size() < kMaxMerged) {
                group.push_back(&spec);
            }
        }
    }
    std::vector<IndexSpec> merged;
    auto with = [](IndexSpec spec, const IndexSpec& other) {
        std::vector<int> both;
        std::set_union(spec.include.begin(), spec.include.end(), other.include.begin(),
                       other.include.end(), std::back_inserter(both));
        spec.include = std::move(both);
        return spec;
    };
    for (const auto& [column, group] : alike) {
        IndexSpec all = *group.front();
        for (size_t i = 0; i < group.size(); ++i) {
            all = with(std::move(all), *group[i]);
            for (size_t k = i + 1; k < group.size(); ++k) {
                merged.push_back(with(*group[i], *group[k]));
            }
        }
        merged.push_back(std::move(all));
    }
    std::erase_if(merged, [&](const IndexSpec& spec) { return !IsNarrow(relation, spec); });
    return merged;
}

}  // namespace upkeep::advisor
