// SPDX-License-Identifier: PostgreSQL
#include "upkeep/health/machine.h"

#include <charconv>
#include <initializer_list>
#include <string_view>

namespace upkeep::health {

namespace {

std::optional<int64_t> FirstNumber(std::string_view text) {
    const size_t begin = text.find_first_of("0123456789");
    if (begin == std::string_view::npos) {
        return std::nullopt;
    }
    int64_t number = 0;
    const auto parsed = std::from_chars(text.data() + begin, text.data() + text.size(), number);
    return parsed.ec == std::errc() ? std::optional(number) : std::nullopt;
}

/// Folder of the control group below /sys/fs/cgroup: `/` or `/system.slice/…`.
std::string GroupPath(const ReadFile& read) {
    const std::string groups = read("/proc/self/cgroup");  // version 2: `0::/path`
    const size_t place = groups.find("0::/");
    if (place == std::string::npos) {
        return "";
    }
    std::string path = groups.substr(place + 3, groups.find('\n', place) - place - 3);
    return path == "/" ? std::string() : path;
}

/// First of the files that says something.
std::string FirstText(const ReadFile& read, std::initializer_list<std::string> paths) {
    for (const std::string& path : paths) {
        if (std::string text = read(path); !text.empty()) {
            return text;
        }
    }
    return "";
}

}  // namespace

Machine DetectMachine(const ReadFile& read, int64_t online) {
    Machine machine;
    const std::string group = GroupPath(read);
    const std::string meminfo = read("/proc/meminfo");
    if (const size_t place = meminfo.find("MemTotal:"); place != std::string::npos) {
        const auto kib = FirstNumber(std::string_view(meminfo).substr(place));
        int64_t bytes = 0;
        const bool is_known = kib && !__builtin_mul_overflow(*kib, int64_t{1024}, &bytes);
        machine.ram_bytes = is_known ? std::optional(bytes) : std::nullopt;
        machine.ram_source = "/proc/meminfo";
    }
    const auto limit = FirstNumber(
        FirstText(read, {"/sys/fs/cgroup" + group + "/memory.max", "/sys/fs/cgroup/memory.max",
                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"}));
    if (limit && machine.ram_bytes && *limit > 0 && *limit < *machine.ram_bytes) {
        machine.ram_bytes = limit;
        machine.ram_source = "limit of the control group";
    }
    if (online < 1) {
        return machine;
    }
    machine.cpus = online;
    machine.cpu_source = "on line";
    // `200000 100000`: microseconds of processor time a period; `max 100000`: no limit
    const std::string quota_text =
        FirstText(read, {"/sys/fs/cgroup" + group + "/cpu.max", "/sys/fs/cgroup/cpu.max"});
    const size_t blank = quota_text.find(' ');
    if (blank != std::string::npos) {
        const auto quota = FirstNumber(std::string_view(quota_text).substr(0, blank));
        const auto period = FirstNumber(std::string_view(quota_text).substr(blank));
        const bool is_limited = quota && period && *quota > 0 && *period > 0;
        const int64_t whole =
            is_limited ? *quota / *period + (*quota % *period == 0 ? 0 : 1) : 0;  // rounded up
        if (whole > 0 && whole < online) {
            machine.cpus = whole;
            machine.cpu_source = "limit of the control group";
        }
    }
    return machine;
}

}  // namespace upkeep::health
