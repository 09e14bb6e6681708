// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/capabilities.h"

#include <utility>

namespace upkeep {

namespace {

std::string_view FullTier(const HostFacts& facts) {
    if (facts.host == HostKind::kSqlite) {
        return "loaded";
    }
    return facts.is_preloaded ? "preloaded" : "created";
}

/// A feature whose arguments are arrays: JSON in SQLite, so without JSON functions only one text.
Capability WithArrays(const HostFacts& facts, std::string_view feature, std::string reason) {
    if (facts.has_json) {
        return {feature, true, FullTier(facts), std::move(reason), ""};
    }
    return {feature, true, "best_effort",
            "this SQLite has no JSON functions: one text works, arrays do not",
            "use an SQLite that was built with JSON functions"};
}

Capability CapturedWorkload(const HostFacts& facts) {
    if (!facts.workload_source.empty()) {
        return {"captured_workload", true, "best_effort",
                "statements come from " + facts.workload_source, ""};
    }
    return {"captured_workload", false, "", "nothing records statements here",
            facts.host == HostKind::kSqlite
                ? "pass the statements to upkeep_advise_indexes"
                : "pass the statements to upkeep.advise_indexes, or install pg_stat_statements"};
}

}  // namespace

std::vector<Capability> Capabilities(const HostFacts& facts) {
    const bool is_sqlite = facts.host == HostKind::kSqlite;
    const std::string planner =
        is_sqlite ? "plans come from SQLite " + facts.host_version + " on a replica of the schema"
                  : "plans come from the planner of PostgreSQL " + facts.host_version;
    return {
        WithArrays(facts, "index_advice", planner),
        WithArrays(facts, "what_if", planner),
        {"workflow_schema", true, FullTier(facts),
         is_sqlite ? "creates ordinary tables in an attached database"
                   : "creates ordinary tables in a schema of your choice",
         ""},
        CapturedWorkload(facts),
    };
}

void AddCapabilities(const HostFacts& facts, RowSink& rows) {
    auto or_null = [](std::string_view text) {
        return text.empty() ? Value() : Value(std::string(text));
    };
    for (const Capability& one : Capabilities(facts)) {
        rows.Add({std::string(one.feature), one.is_available, or_null(one.tier), one.reason,
                  or_null(one.how_to_enable)});
    }
}

}  // namespace upkeep
