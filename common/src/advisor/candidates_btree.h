// B-tree candidates for one use of a relation: equality columns in front, then one range, the order
// or the grouping.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "candidates_shapes.h"

namespace upkeep::advisor {

/// Specs in the order in which they were first met, each once.
class SpecPool {
  public:
    void Add(IndexSpec spec) {
        if (!spec.keys.empty() && seen_.insert(Key(spec)).second) {
            specs_.push_back(std::move(spec));
        }
    }
    const std::vector<IndexSpec>& specs() const { return specs_; }

  private:
    using SpecKey = std::tuple<IndexKind, std::vector<std::tuple<int, std::string, bool, bool>>,
                               std::vector<int>, std::string>;
    static SpecKey Key(const IndexSpec& spec) {
        std::vector<std::tuple<int, std::string, bool, bool>> keys;
        for (const IndexKey& key : spec.keys) {
            keys.emplace_back(key.column, key.expression + " " + key.opclass, key.descending,
                              key.nulls_first);
        }
        return {spec.kind, std::move(keys), spec.include, spec.predicate};
    }
    std::vector<IndexSpec> specs_;
    std::set<SpecKey> seen_;
};

/// Equality columns, then nothing, one range, the order, or the grouping.
void GenerateBtree(const CandidateInput& in, const RelationUse& use, SpecPool* pool);

}  // namespace upkeep::advisor
