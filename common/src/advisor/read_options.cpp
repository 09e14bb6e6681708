// SPDX-License-Identifier: PostgreSQL
#include "read_options.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "index_kind.h"
#include "upkeep/base/text.h"

namespace upkeep::advisor {

namespace {

// A kind's name as the caller wrote it is quoted no longer than this.
constexpr size_t kMaxQuotedBytes = 60;

Result<std::vector<WorkloadStatement>> GivenWorkload(const Arguments& arguments) {
    std::vector<WorkloadStatement> workload;
    for (const std::string& text : arguments.Texts("workload")) {
        workload.push_back({text, 1});
    }
    if (arguments.IsNull("weights")) {
        return workload;
    }
    const Float8Array& weights = arguments.Floats("weights");
    if (weights.size() != workload.size()) {
        return Error(Code::kInvalidArgument,
                     "weights has " + std::to_string(weights.size()) + " elements, workload has " +
                         std::to_string(workload.size()),
                     "give one weight for each statement, or leave weights out");
    }
    for (size_t i = 0; i < weights.size(); ++i) {
        workload[i].weight = weights[i];
    }
    return workload;
}

Result<std::vector<IndexKind>> GivenKinds(const Arguments& arguments) {
    std::vector<IndexKind> kinds;
    std::string known;
    for (const IndexKind kind : AllKinds()) {
        known += (known.empty() ? "" : ", ") + std::string(KindName(kind));
    }
    for (const std::string& name : arguments.Texts("kinds")) {
        const std::optional<IndexKind> kind = ParseKind(name);
        if (!kind) {
            return Error(Code::kInvalidArgument,
                         "unknown kind of index \"" + std::string(Clip(name, kMaxQuotedBytes)) +
                             (name.size() > kMaxQuotedBytes ? "...\"" : "\""),
                         "known kinds: " + known);
        }
        kinds.push_back(*kind);
    }
    if (kinds.empty()) {
        return Error(Code::kInvalidArgument, "kinds is empty",
                     "name at least one of " + known + ", or give NULL for all");
    }
    return kinds;
}

bool Has(const Arguments& arguments, std::string_view name) {
    const auto parameters = arguments.call().parameters;
    return std::any_of(parameters.begin(), parameters.end(),
                       [&](const Parameter& parameter) { return parameter.name == name; });
}

}  // namespace

Result<AdviseOptions> ReadOptions(const Arguments& arguments,
                                  const Result<std::vector<WorkloadStatement>>& captured) {
    AdviseOptions options;
    const bool is_captured = arguments.IsNull("workload");
    if (is_captured && !arguments.IsNull("weights")) {
        return Error(Code::kInvalidArgument, "weights given without a workload",
                     "captured statements have weights of their own: leave weights out");
    }
    Result<std::vector<WorkloadStatement>> workload =
        is_captured ? captured : GivenWorkload(arguments);
    if (!workload.ok()) {
        return workload.error();
    }
    options.workload = std::move(workload).value();
    options.skip_unusable = is_captured;
    if (Has(arguments, "budget_bytes") && !arguments.IsNull("budget_bytes")) {
        options.budget_bytes = arguments.Integer("budget_bytes");
    }
    options.max_columns = static_cast<int>(std::clamp<int64_t>(arguments.Integer("max_columns"),
                                                               std::numeric_limits<int>::min(),
                                                               std::numeric_limits<int>::max()));
    options.time_limit_ms = arguments.Integer("time_limit");
    if (Has(arguments, "min_saving_ratio")) {
        options.min_saving_ratio = arguments.Float("min_saving_ratio");
    }
    if (!arguments.IsNull("kinds")) {
        Result<std::vector<IndexKind>> kinds = GivenKinds(arguments);
        if (!kinds.ok()) {
            return kinds.error();
        }
        options.kinds = std::move(kinds).value();
    }
    return options;
}

int64_t WholeBytes(double bytes) {
    return bytes < 9e18 ? std::llround(bytes) : std::numeric_limits<int64_t>::max();
}

}  // namespace upkeep::advisor
