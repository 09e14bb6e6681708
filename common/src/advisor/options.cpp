// SPDX-License-Identifier: PostgreSQL
#include "options.h"

#include <algorithm>
#include <cmath>

#include "candidates.h"
#include "index_kind.h"
#include "workload.h"

namespace upkeep::advisor {

namespace {

constexpr int kMaxKeyColumns = 8;

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

/// A kind that this host cannot have is an error with the reason; the rest would be no answer to
/// what was asked.
Result<void> CheckKinds(const std::vector<IndexKind>& kinds, const WhatIf& port) {
    for (const IndexKind kind : kinds) {
        if (const std::optional<Error> reason = port.WhyNoKind(kind)) {
            return Error(reason->code(), reason->message(),
                         reason->hint() + (reason->hint().empty() ? "" : "; ") +
                             "kinds that can be had here: " + JoinedNames(PricedKinds(port)));
        }
    }
    return {};
}

}  // namespace

Result<void> CheckOptions(const AdviseOptions& options, const WhatIf& port) {
    if (Result<void> workload = CheckWorkload(options.workload, port.dialect()); !workload.ok()) {
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
    return CheckKinds(options.kinds, port);
}

}  // namespace upkeep::advisor
