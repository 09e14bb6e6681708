// RAM and processors that this process may use, as Linux tells them in files.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace upkeep::health {

/// Port: the text of a small file, at most a few kB; empty where it cannot be read. May block.
using ReadFile = std::function<std::string(const std::string& path)>;

struct Machine {
    std::optional<int64_t> ram_bytes;
    std::string ram_source;
    std::optional<int64_t> cpus;
    std::string cpu_source;
};

/// /proc/meminfo and the limits of the process's control group (version 2, then 1).
/// `online`: processors that the system has on line; below 1: not known.
Machine DetectMachine(const ReadFile& read, int64_t online);

}  // namespace upkeep::health
