// Index advice from beginning to end, and the bodies of the SQL calls.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/advise.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "candidates.h"
#include "ddl.h"
#include "index_kind.h"
#include "pricing.h"
#include "reason.h"
#include "search.h"
#include "upkeep/base/text.h"
#include "workload.h"

namespace upkeep::advisor {

namespace {

constexpr int kMaxKeyColumns = 8;
// A saving below this share of the baseline is rounding, whatever min_saving_ratio says.
constexpr double kLeastSavingRatio = 1e-9;

std::string JoinedNames(std::span<const IndexKind> kinds) {
    std::string names;
    for (const IndexKind kind : kinds) {
        names += (names.empty() ? "" : ", ") + std::string(KindName(kind));
    }
    return names;
}

Result<void> CheckWorkload(const std::vector<WorkloadStatement>& workload, const Dialect& dialect) {
    if (workload.empty()) {
        return Error(Code::kInvalidArgument, "workload is empty",
                     "give at least one statement, or NULL for what was captured");
    }
    for (size_t i = 0; i < workload.size(); ++i) {
        const std::string what =
            workload.size() > 1 ? "statement " + std::to_string(i + 1) : "statement";
        if (Result<void> text = CheckText(workload[i].text, what, dialect); !text.ok()) {
            return text;
        }
        if (!(workload[i].weight > 0) || !std::isfinite(workload[i].weight)) {
            return Error(Code::kInvalidArgument, "weight of " + what + " is not a positive number",
                         "give a weight above 0, for instance calls per hour");
        }
    }
    return {};
}

Result<void> CheckKinds(const std::vector<IndexKind>& kinds) {
    if (kinds.empty()) {
        return {};
    }
    const std::vector<IndexKind> priced = PricedKinds();
    for (const IndexKind kind : kinds) {
        if (std::find(priced.begin(), priced.end(), kind) != priced.end()) {
            return {};
        }
    }
    return Error(Code::kUnsupported,
                 "this version cannot price indexes of kind " + JoinedNames(kinds),
                 "kinds that it prices: " + JoinedNames(priced));
}

Result<void> CheckOptions(const AdviseOptions& options, const Dialect& dialect) {
    if (Result<void> workload = CheckWorkload(options.workload, dialect); !workload.ok()) {
        return workload;
    }
    if (options.budget_bytes && *options.budget_bytes <= 0) {
        return Error(Code::kInvalidArgument, "budget_bytes must be above 0",
                     "give a size in bytes, or NULL for no limit");
    }
    if (options.max_columns < 1 || options.max_columns > kMaxKeyColumns) {
        return Error(Code::kInvalidArgument,
                     "max_columns must be between 1 and " + std::to_string(kMaxKeyColumns),
                     "3 is the default and serves most workloads");
    }
    if (options.time_limit_ms <= 0) {
        return Error(Code::kInvalidArgument, "time_limit must be above 0",
                     "30 seconds is the default");
    }
    if (!(options.min_saving_ratio >= 0 && options.min_saving_ratio <= 1)) {
        return Error(Code::kInvalidArgument, "min_saving_ratio must be between 0 and 1",
                     "0 keeps every row that saves anything, 0.01 is the default");
    }
    return CheckKinds(options.kinds);
}

/// Declares the candidates; those that this host cannot hypothesise, and doubles, are left out.
CandidateFacts DeclareAll(WhatIf& port, std::vector<Candidate> candidates,
                          std::vector<IndexId>* ids) {
    CandidateFacts facts;
    std::map<IndexId, size_t> known;
    for (Candidate& candidate : candidates) {
        CheckStop(port);
        Result<IndexId> id = port.Declare(candidate.spec);
        if (!id.ok()) {
            if (id.error().code() == Code::kUnsupported) {
                continue;
            }
            throw Error(id.error());
        }
        if (!known.emplace(id.value(), ids->size()).second) {
            continue;
        }
        const double size = port.SizeBytes(id.value());
        ids->push_back(id.value());
        facts.specs.push_back(std::move(candidate.spec));
        facts.items.push_back(std::move(candidate.items));
        facts.sizes.push_back(std::isfinite(size) && size >= 1 ? size : 1);
    }
    return facts;
}

/// What each candidate adds to the workload's writes. One write without a price makes the whole sum
/// unknown: then it is NULL and the objective leaves it out.
void AddWriteCosts(WhatIf& port, const Workload& workload, const std::vector<IndexId>& ids,
                   CandidateFacts* facts) {
    std::map<RelationId, std::vector<size_t>> writers;
    for (size_t item = 0; item < workload.items.size(); ++item) {
        for (const RelationId relation : workload.items[item].statement.written) {
            std::vector<size_t>& items = writers[relation];
            if (items.empty() || items.back() != item) {
                items.push_back(item);
            }
        }
    }
    for (size_t c = 0; c < ids.size(); ++c) {
        double sum = 0;
        bool is_priced = true;
        std::vector<std::pair<size_t, double>> by_item;
        for (const size_t item : writers[facts->specs[c].relation]) {
            const WorkloadItem& write = workload.items[item];
            const std::optional<double> cost = port.WriteCost(ids[c], write.statement.id);
            if (!cost || !std::isfinite(*cost)) {
                is_priced = false;
                break;
            }
            if (*cost != 0) {
                by_item.emplace_back(item, write.weight * *cost);
                sum += write.weight * *cost;
            }
        }
        facts->write_costs.push_back(is_priced ? sum : 0);
        facts->are_writes_priced.push_back(is_priced);
        facts->writes_by_item.push_back(is_priced ? std::move(by_item)
                                                  : std::vector<std::pair<size_t, double>>());
    }
}

std::vector<IndexSet> ConcernedByItem(const Workload& workload, const CandidateFacts& facts) {
    std::vector<IndexSet> concerned(workload.items.size(), IndexSet(facts.specs.size()));
    for (size_t c = 0; c < facts.items.size(); ++c) {
        for (const size_t item : facts.items[c]) {
            concerned[item].Add(c);
        }
    }
    return concerned;
}

size_t CountProposed(const CandidateFacts& facts, const std::vector<PricedIndex>& rows,
                     RelationId relation) {
    return static_cast<size_t>(std::count_if(rows.begin(), rows.end(), [&](const PricedIndex& row) {
        return facts.specs[row.candidate].relation == relation;
    }));
}

/// The words around the numbers.
void Describe(const WhatIf& port, const Workload& workload, const CandidateFacts& facts,
              const std::vector<PricedIndex>& rows, const std::vector<IndexId>& ids,
              Advice* advice) {
    DdlWriter writer(port);
    const std::vector<std::vector<std::string>> slower = SlowerWarnings(workload, rows);
    for (size_t k = 0; k < rows.size(); ++k) {
        const PricedIndex& row = rows[k];
        const size_t c = row.candidate;
        AdvisedIndex index;
        index.id = ids[c];
        index.spec = facts.specs[c];
        index.size_bytes = facts.sizes[c];
        index.cost_before = row.cost_before;
        index.cost_after = row.cost_after;
        index.saving_ratio = (advice->baseline_cost - row.cost_after) / advice->baseline_cost;
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
        if (!advice->is_complete) {
            warn({"time_limit ended the search: a longer one may find better"});
        }
        advice->indexes.push_back(std::move(index));
    }
}

Advice AdviseOrThrow(WhatIf& port, const AdviseOptions& options) {
    Advice advice;
    Planner planner(port);
    Workload workload = AnalyseWorkload(port, options);
    CheckSomethingCanBeIndexed(port, workload);
    advice.baseline_cost = PriceBaseline(port, planner, workload, options);
    advice.planner_calls = planner.calls();
    if (advice.baseline_cost <= 0) {
        return advice;
    }

    std::vector<IndexId> ids;
    CandidateFacts facts = DeclareAll(
        port, GenerateCandidates(port, workload, {.max_columns = options.max_columns}), &ids);
    if (ids.empty()) {
        return advice;
    }
    AddWriteCosts(port, workload, ids, &facts);

    // A fifth of the time is kept for planning the final set again.
    SearchLimits limits{
        .budget_bytes = options.budget_bytes,
        .min_saving = std::max(options.min_saving_ratio, kLeastSavingRatio) * advice.baseline_cost,
        .deadline_ms = options.time_limit_ms - options.time_limit_ms / 5};
    PriceCache cache(planner, workload, ids, ConcernedByItem(workload, facts));
    Search search(port, workload, cache, facts, limits);
    const IndexSet chosen = search.Run();
    limits.deadline_ms = options.time_limit_ms;
    const std::vector<PricedIndex> rows = PriceRows(port, workload, cache, facts, limits, chosen);
    advice.is_complete = search.is_complete();
    Describe(port, workload, facts, rows, ids, &advice);
    advice.planner_calls = planner.calls();
    advice.cache_hits = cache.hits();
    return advice;
}

}  // namespace

Result<Advice> Advise(WhatIf& port, const AdviseOptions& options) {
    if (Result<void> checked = CheckOptions(options, port.dialect()); !checked.ok()) {
        return checked.error();
    }
    try {
        return AdviseOrThrow(port, options);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
