// SPDX-License-Identifier: PostgreSQL
#include "workload.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <unordered_map>

#include "upkeep/base/text.h"

namespace upkeep::advisor {

namespace {

// A host may quote the whole statement in its message; the reader needs its beginning only.
constexpr size_t kMaxMessageBytes = 600;

/// May a captured statement that fails like this be left out? Not when the whole call is to end.
bool IsSkippable(const Error& error) {
    return error.code() != Code::kInterrupted && error.code() != Code::kInternal;
}

std::string_view DefaultHint(Code code) {
    switch (code) {
        case Code::kNotFound:
            return "check the spelling, and in which schema or database the object is";
        case Code::kPermissionDenied:
            return "advice needs the same rights as running the statement";
        default:
            return "give one complete statement that this database can plan";
    }
}

[[noreturn]] void ThrowNothingUsable(size_t count, const std::optional<Error>& first) {
    throw Error(Code::kUnsupported,
                "none of the " + std::to_string(count) +
                    " captured statements can be planned here" +
                    (first ? ": " + std::string(Clip(first->message(), kMaxMessageBytes)) : ""),
                "give the statements in the argument workload");
}

void AddFingerprints(const std::vector<int64_t>& from, std::vector<int64_t>* to) {
    for (const int64_t fingerprint : from) {
        if (std::find(to->begin(), to->end(), fingerprint) == to->end()) {
            to->push_back(fingerprint);
        }
    }
}

/// What a sample says beside its values: conditions and expressions with constants hold for this
/// one execution, so only those stay that the text without values has too.
void KeepCertain(WhatIf& port, const std::string& text, Statement* sampled) {
    const auto depends = [](const KindCondition& c) {
        return c.kind == IndexKind::kPartial || c.kind == IndexKind::kExpression;
    };
    const bool is_any =
        std::any_of(sampled->uses.begin(), sampled->uses.end(), [&](const RelationUse& use) {
            return std::any_of(use.conditions.begin(), use.conditions.end(), depends);
        });
    if (!is_any) {
        return;
    }
    const Result<Statement> certain = port.Analyse(text);
    for (size_t i = 0; i < sampled->uses.size(); ++i) {
        RelationUse& use = sampled->uses[i];
        const bool is_same = certain.ok() && i < certain.value().uses.size() &&
                             certain.value().uses[i].relation == use.relation;
        std::erase_if(use.conditions, [&](const KindCondition& c) {
            return depends(c) &&
                   (!is_same || std::none_of(certain.value().uses[i].conditions.begin(),
                                             certain.value().uses[i].conditions.end(),
                                             [&](const KindCondition& known) {
                                                 return known.kind == c.kind && known.sql == c.sql;
                                             }));
        });
    }
}

/// The statement with its sample's values, where there are some and they can be used. What is wrong
/// with a sample is not told: the error would show its values.
Result<Statement> AnalyseGiven(WhatIf& port, const WorkloadStatement& given, bool* is_sampled) {
    if (!given.sample.empty()) {
        Result<Statement> sampled = port.Analyse(given.sample);
        if (sampled.ok() || sampled.error().code() == Code::kInterrupted) {
            *is_sampled = sampled.ok();
            if (sampled.ok()) {
                KeepCertain(port, given.text, &sampled.value());
            }
            return sampled;
        }
    }
    *is_sampled = false;
    return port.Analyse(given.text);
}

void AddExecutions(const WorkloadStatement& given, WorkloadItem* item) {
    const double executions = given.calls > 0 ? given.calls : given.weight;
    item->weight += executions;
    item->executions += executions;
    item->measured_time += given.calls > 0 ? given.weight : 0;
}

/// Weighs what was measured by its time, risks and checks included, as the time included them; the
/// cost of all of it together stays what it is.
void WeighByTime(Workload* workload) {
    std::map<size_t, double> costs;  // of one execution, by the statement's number
    for (const WorkloadItem& item : workload->items) {
        costs[item.number] += item.FearedBaseline();
    }
    double cost = 0;
    double time = 0;
    for (const WorkloadItem& item : workload->items) {
        if (item.measured_time > 0 && costs[item.number] > 0) {
            cost += item.is_check ? 0 : item.executions * costs[item.number];
            time += item.is_check ? 0 : item.measured_time;
        }
    }
    for (WorkloadItem& item : workload->items) {
        if (item.measured_time > 0 && costs[item.number] > 0) {
            item.weight = item.measured_time * (cost / time) / costs[item.number];
        }
    }
}

WorkloadItem ItemOf(Statement statement, const WorkloadStatement& given, size_t number,
                    bool is_sampled) {
    WorkloadItem item;
    item.fingerprints = given.fingerprints;
    if (item.fingerprints.empty()) {
        item.fingerprints.push_back(statement.fingerprint);
    }
    item.statement = std::move(statement);
    item.weight = 0;
    item.executions = 0;
    AddExecutions(given, &item);
    item.number = number;
    item.is_sampled = is_sampled;
    return item;
}

void SetBaseline(const Price& price, WorkloadItem* item) {
    item->baseline_cost = price.cost;
    item->baseline_risk = price.risk;
    item->baseline_elsewhere = price.elsewhere;
}

/// Prices the item; a sample that does not plan gives way to its text. Throws Error.
void PriceItem(WhatIf& port, Planner& planner, const Workload& workload,
               const AdviseOptions& options, WorkloadItem* item) {
    try {
        SetBaseline(planner.Plan(workload, *item, {}), item);
        return;
    } catch (const Error& error) {
        if (!item->is_sampled || error.code() == Code::kInterrupted) {
            throw;
        }
    }
    const Result<Statement> statement = port.Analyse(options.workload[item->number - 1].text);
    if (!statement.ok()) {
        throw StatementError(workload.is_numbered, item->number, statement.error());
    }
    item->statement = statement.value();
    item->is_sampled = false;
    SetBaseline(planner.Plan(workload, *item, {}), item);
}

}  // namespace

void CheckStop(WhatIf& port) {
    if (port.ShouldStop()) {
        throw Error(Code::kInterrupted, "index advice was interrupted",
                    "nothing was changed; a smaller workload or time_limit ends sooner");
    }
}

Error StatementError(bool is_numbered, size_t number, const Error& error) {
    std::string message = is_numbered ? "statement " + std::to_string(number) + ": " : "";
    const std::string_view kept = Clip(error.message(), kMaxMessageBytes);
    message += kept;
    if (kept.size() < error.message().size()) {
        message += " ...";
    }
    return Error(error.code(), std::move(message),
                 error.hint().empty() ? std::string(DefaultHint(error.code())) : error.hint());
}

bool IsBlank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\f\v;") == std::string_view::npos;
}

Result<void> CheckText(std::string_view text, const std::string& what, const Dialect& dialect) {
    if (IsBlank(text)) {
        return Error(Code::kInvalidArgument, what + " is empty",
                     "leave it out, or give one SQL statement");
    }
    if (text.find('\0') != std::string_view::npos) {
        return Error(Code::kInvalidArgument, what + " contains a NUL character",
                     "SQL text ends there in every host: remove the character");
    }
    if (!dialect.has_checked_text && !IsUtf8(text)) {
        return Error(Code::kInvalidArgument, what + " is not valid UTF-8",
                     "convert the text to UTF-8 first");
    }
    return {};
}

void Planner::Begin(Phase phase, size_t statements) {
    progress_.phase = phase;
    progress_.statements_total = static_cast<int64_t>(statements);
    progress_.statements_done = phase == Phase::kDone ? progress_.statements_total : 0;
    progress_.planner_calls = calls_;
    port_.Report(progress_);
}

void Planner::NoteCost(double cost) {
    if (baseline_cost_ > 0) {
        progress_.best_saving_ratio =
            std::max(progress_.best_saving_ratio, 1 - cost / baseline_cost_);
    }
}

Price Planner::Plan(const Workload& workload, const WorkloadItem& item,
                    std::span<const IndexId> indexes) {
    CheckStop(port_);
    progress_.planner_calls = calls_;
    port_.Report(progress_);
    ++calls_;
    Result<Price> price = port_.PriceWith(item.statement.id, indexes);
    if (!price.ok()) {
        throw StatementError(workload.is_numbered, item.number, price.error());
    }
    const Price& given = price.value();
    if (!std::isfinite(given.cost + given.risk + given.elsewhere + given.harm) || given.cost < 0 ||
        given.risk < 0 || given.cost + given.elsewhere < 0 || given.harm < 0) {
        throw StatementError(
            workload.is_numbered, item.number,
            Error(Code::kInternal, "the host gave a cost that is no number", "report this"));
    }
    return std::move(price).value();
}

Workload AnalyseWorkload(WhatIf& port, const AdviseOptions& options) {
    Workload workload;
    workload.is_numbered = options.workload.size() > 1;
    std::unordered_map<std::string_view, size_t> seen;
    std::optional<Error> first_error;
    for (size_t i = 0; i < options.workload.size(); ++i) {
        const WorkloadStatement& given = options.workload[i];
        if (const auto known = seen.find(given.text); known != seen.end()) {
            WorkloadItem& item = workload.items[known->second];
            AddExecutions(given, &item);
            AddFingerprints(given.fingerprints, &item.fingerprints);
            continue;
        }
        CheckStop(port);
        port.Report({.phase = Phase::kAnalysing,
                     .statements_done = static_cast<int64_t>(i),
                     .statements_total = static_cast<int64_t>(options.workload.size())});
        bool is_sampled = false;
        Result<Statement> statement = AnalyseGiven(port, given, &is_sampled);
        if (!statement.ok()) {
            if (!options.skip_unusable || !IsSkippable(statement.error())) {
                throw StatementError(workload.is_numbered, i + 1, statement.error());
            }
            first_error = first_error ? first_error : statement.error();
            continue;
        }
        seen.emplace(given.text, workload.items.size());
        workload.items.push_back(ItemOf(std::move(statement).value(), given, i + 1, is_sampled));
    }
    if (workload.items.empty()) {
        ThrowNothingUsable(options.workload.size(), first_error);
    }
    return workload;
}

Workload WithChecks(WhatIf& port, Workload workload) {
    std::vector<WorkloadItem> items;
    for (WorkloadItem& item : workload.items) {
        std::vector<Statement> checks = port.ChecksOf(item.statement.id);
        items.push_back(std::move(item));
        for (Statement& check : checks) {
            WorkloadItem copy = items.back();
            copy.statement = std::move(check);
            copy.is_sampled = false;
            copy.is_check = true;
            items.push_back(std::move(copy));
        }
    }
    workload.items = std::move(items);
    return workload;
}

double PriceBaseline(WhatIf& port, Planner& planner, Workload& workload,
                     const AdviseOptions& options) {
    double total = 0;
    const size_t count = workload.items.size();
    std::optional<Error> first_error;
    std::vector<WorkloadItem> usable;
    planner.Begin(Phase::kCollecting, count);
    for (WorkloadItem& item : workload.items) {
        planner.NoteDone(static_cast<size_t>(&item - workload.items.data()));
        try {
            PriceItem(port, planner, workload, options, &item);
        } catch (const Error& error) {
            if ((!options.skip_unusable && !item.is_check) || !IsSkippable(error)) {
                throw;
            }
            first_error = first_error ? first_error : error;
            continue;
        }
        usable.push_back(std::move(item));
    }
    workload.items = std::move(usable);
    if (workload.items.empty()) {
        ThrowNothingUsable(count, first_error);
    }
    WeighByTime(&workload);
    for (const WorkloadItem& item : workload.items) {
        total += item.weight * item.baseline_cost;
    }
    if (!std::isfinite(total)) {
        throw Error(Code::kInvalidArgument, "weights are too large to be added up",
                    "divide all weights by the same number");
    }
    planner.NoteBaseline(total);
    return total;
}

void CheckSomethingCanBeIndexed(const WhatIf& port, const Workload& workload) {
    const Relation* refused = nullptr;
    for (const WorkloadItem& item : workload.items) {
        for (const RelationUse& use : item.statement.uses) {
            const Relation& relation = port.relation(use.relation);
            if (relation.no_index_because.empty()) {
                return;
            }
            refused = refused != nullptr ? refused : &relation;
        }
    }
    if (refused != nullptr) {
        throw Error(Code::kUnsupported,
                    "no index can be proposed for " + refused->display_name + ": " +
                        refused->no_index_because,
                    "give statements that read tables which can have indexes");
    }
}

}  // namespace upkeep::advisor
