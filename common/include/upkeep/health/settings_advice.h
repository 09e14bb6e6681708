// advise_settings(): a start value for each setting that matters, with its formula, the evidence
// and how sure we are. Arithmetic only: what the machine has is read by the host.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"

namespace upkeep::health {

/// A setting as the host has it: `unit` is the host's own (`8kB`, `ms`, …), empty for none.
struct CurrentSetting {
    std::string value;
    std::string unit;
    bool needs_restart = false;
};

/// What advice is made from. Numbers that could not be detected stay empty.
struct SettingsInput {
    Hosts host = Hosts::kPostgres;
    std::optional<int64_t> ram_bytes;
    std::string ram_source;  // `given`, `/proc/meminfo`, `the limit of the control group`
    std::optional<int64_t> cpus;
    std::string cpu_source;
    std::string storage = "ssd";    // ssd, san, hdd
    std::string workload = "oltp";  // oltp, web, olap, mixed
    std::optional<int64_t> max_connections;
    std::map<std::string, CurrentSetting, std::less<>> current;
    std::map<std::string, std::string, std::less<>> evidence;  // by setting: measured, a clause
    std::vector<std::string> roles_sql;                        // application roles, quoted
    std::optional<int64_t> database_bytes;                     // SQLite: of the file
    std::optional<double> counters_age_s;                      // how long the evidence was counted
};

/// Fills in the caller's arguments of advise_settings; NULL leaves what was detected.
/// Errors: kInvalidArgument that names the parameter.
Result<void> TakeSettingsArguments(const Arguments& arguments, SettingsInput* input);

/// Body of advise_settings().
void AdviseSettings(const SettingsInput& input, RowSink& rows);

}  // namespace upkeep::health
