// Texts as they were sent, a few for each captured statement: a plan depends on its constants
// (partial indexes, LIKE, LIMIT), which the kept text no longer has. In memory only, never shown.
// Bounded: what does not fit is told by `is_complete`. One list per process, empty in a forked
// child. Not for: what the plans tell (index_use.h). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "capture_memory.h"

namespace upkeep::sqlite {

struct StatementSamples {
    std::vector<std::string> texts;
    bool is_complete = false;  // these are all that there were
};

/// Called when a connection first meets a text. A look at a map under a mutex; never throws.
void NoteSample(const Capture& capture, uint32_t database, int64_t fingerprint,
                std::string_view sql) noexcept;
StatementSamples SamplesOf(const Capture& capture, uint32_t database, int64_t fingerprint);

/// Since when, and under which schema, this process has counted what is not yet in a state file.
struct Interval {
    std::string schema_version;
    int64_t began_us = 0;
    uint64_t lost = 0;  // executions that had no room, and statements evicted, at its beginning
};
void BeginInterval(const Capture& capture, uint32_t database, const Interval& interval);
std::optional<Interval> CurrentInterval(const Capture& capture, uint32_t database);

}  // namespace upkeep::sqlite
