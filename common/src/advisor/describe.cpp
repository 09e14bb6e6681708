// SPDX-License-Identifier: PostgreSQL
#include "describe.h"

#include <algorithm>

#include "ddl.h"
#include "reason.h"

namespace upkeep::advisor {

namespace {

size_t CountProposed(const CandidateFacts& facts, const std::vector<PricedIndex>& rows,
                     RelationId relation) {
    return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [&](const PricedIndex& row) {
        return facts.specs[row.candidate].relation == relation;
    }));
}

}  // namespace

std::vector<AdvisedIndex> Describe(const Collection& collection,
                                   const std::vector<PricedIndex>& rows, bool is_complete) {
    const WhatIf& port = collection.port();
    const Workload& workload = collection.workload();
    const CandidateFacts& facts = collection.facts();
    std::vector<AdvisedIndex> indexes;
    DdlWriter writer(port);
    const std::vector<std::vector<std::string>> slower = SlowerWarnings(workload, rows);
    for (size_t k = 0; k < rows.size(); ++k) {
        const PricedIndex& row = rows[k];
        const size_t c = row.candidate;
        AdvisedIndex index;
        index.id = collection.ids()[c];
        index.spec = facts.specs[c];
        index.size_bytes = facts.shown_sizes[c];
        index.cost_before = row.cost_before;
        index.cost_after = row.cost_after;
        index.saving_ratio =
            (collection.baseline_cost() - row.cost_after) / collection.baseline_cost();
        index.fingerprints = ServedFingerprints(workload, row.served);
        index.reason = ReasonText(port, workload, index.spec, row.served);
        IndexDdl ddl = writer.Write(index.spec);
        index.name = std::move(ddl.name);
        index.create_sql = std::move(ddl.create_sql);
        index.drop_sql = std::move(ddl.drop_sql);
        index.steps = std::move(ddl.steps);
        index.warnings = std::move(ddl.warnings);
        auto warn = [&](const std::vector<std::string>& lines) {
            index.warnings.insert(index.warnings.end(), lines.begin(), lines.end());
        };
        warn(RowWarnings(port, workload, index.spec, row,
                         CountProposed(facts, rows, index.spec.relation)));
        warn(slower[k]);
        if (facts.are_writes_priced[c]) {
            index.write_cost = facts.write_costs[c];
        } else {
            warn({"writes of this workload are not priced yet"});
        }
        if (!is_complete) {
            warn({"time_limit ended the search: a longer one may find better"});
        }
        indexes.push_back(std::move(index));
    }
    return indexes;
}

}  // namespace upkeep::advisor
