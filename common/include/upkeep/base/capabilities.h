// What works here and now, decided once for both hosts from what a host found out about itself.
// Body of the view `capabilities`. Not for: finding out; the host fills HostFacts.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/table_function.h"

namespace upkeep {

enum class HostKind : uint8_t { kPostgres, kSqlite };

struct HostFacts {
    HostKind host = HostKind::kPostgres;
    std::string host_version = {};  // `15.14`, `3.40.1`
    bool is_preloaded = false;      // PostgreSQL: in shared_preload_libraries
    bool has_json = true;           // SQLite: built with its JSON functions
    /// Where a workload that is not given comes from, in words (`pg_stat_statements`); empty: from
    /// nowhere.
    std::string workload_source = {};
};

struct Capability {
    std::string_view feature;
    bool is_available = false;
    std::string_view tier;      // preloaded, loaded, created, best_effort; empty: NULL
    std::string reason;         // from what was found
    std::string how_to_enable;  // empty: NULL, nothing to do
};

/// One row per feature of this version, in a fixed order.
std::vector<Capability> Capabilities(const HostFacts& facts);

/// The same as rows of the view.
void AddCapabilities(const HostFacts& facts, RowSink& rows);

}  // namespace upkeep
