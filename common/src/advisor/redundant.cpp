// SPDX-License-Identifier: PostgreSQL
#include "redundant.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "../health/format.h"
#include "../health/index_cover.h"

namespace upkeep::advisor {

namespace {

std::string Warning(const health::IndexDescription& index) {
    std::string line = "makes index " + index.name + " " + health::KeyList(index) + " redundant";
    if (index.size_bytes) {
        line += " (" + health::BytesText(static_cast<double>(*index.size_bytes)) + ")";
    }
    line += ": the last of steps drops it, to be run once the new one is there; ";
    if (index.scans) {
        line += std::to_string(*index.scans) + " scans of it were counted; ";
    }
    return line + "if it is much narrower it may still pay on a hot path; undone by " +
           index.create_sql;
}

/// `wide` answers more than `narrow`, which may go.
bool Supersedes(const health::IndexDescription& wide, const health::IndexDescription& narrow) {
    return !narrow.is_clustered && !health::Covers(narrow, wide) && health::Replaces(wide, narrow);
}

}  // namespace

void NameRedundant(WhatIf& port, std::vector<AdvisedIndex>* rows) {
    std::map<RelationId, std::vector<health::IndexDescription>> known;
    std::set<std::pair<RelationId, std::string>> named;
    for (AdvisedIndex& row : *rows) {
        std::optional<health::IndexDescription> wide = port.Describe(row.spec);
        if (!wide) {
            continue;
        }
        const RelationId relation = row.spec.relation;
        const auto [existing, is_new] = known.try_emplace(relation);
        if (is_new) {
            existing->second = port.ExistingIndexes(relation);
        }
        for (const health::IndexDescription& narrow : existing->second) {
            wide->table_id = narrow.table_id;
            if (!Supersedes(*wide, narrow) || !named.emplace(relation, narrow.name).second) {
                continue;
            }
            row.steps.push_back(narrow.drop_sql);
            row.warnings.push_back(Warning(narrow));
        }
    }
}

}  // namespace upkeep::advisor
