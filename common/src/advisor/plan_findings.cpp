// SPDX-License-Identifier: PostgreSQL
#include "plan_findings.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace upkeep::advisor {

std::string Grouped(double number) {
    const std::string digits = std::to_string(std::llround(std::clamp(number, 0.0, 9e15)));
    std::string grouped;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) {
            grouped += ',';
        }
        grouped += digits[i];
    }
    return grouped;
}

namespace {

/// Our SQLite half writes an array of nodes with a `detail` each.
bool IsSqlite(const Json& plan) {
    return plan.kind == Json::Kind::kArray && (plan.items.empty() || plan.items[0].Has("detail"));
}

}  // namespace

std::vector<std::string> PlanFindings(std::string_view plan_json, const PlanContext& context) {
    const std::optional<Json> plan = ParseJson(plan_json);
    if (!plan) {
        return {};
    }
    if (IsSqlite(*plan)) {
        return SqliteFindings(*plan, context);
    }
    if (plan->kind != Json::Kind::kArray) {
        return PostgresFindings(*plan, context);
    }
    std::vector<std::string> findings;  // one statement that rules made several
    for (const Json& one : plan->items) {
        for (std::string& finding : PostgresFindings(one, context)) {
            findings.push_back(std::move(finding));
        }
    }
    return findings;
}

}  // namespace upkeep::advisor
