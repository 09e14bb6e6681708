// Durations as people write them.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>

namespace upkeep::sessions {

/// `850 ms`, `12.3 s`, `15 min`, `3 h`, `2 d`: a unit in which the number stays readable.
inline std::string Duration(double ms) {
    const auto whole = [](double number) { return std::to_string(static_cast<int64_t>(number)); };
    if (ms < 1000) {
        return whole(ms) + " ms";
    }
    if (ms < 120'000) {
        const std::string tenths = whole(ms / 100);
        const char last = tenths.back();
        return tenths.substr(0, tenths.size() - 1) +
               (last == '0' ? std::string() : std::string(".") + last) + " s";
    }
    if (ms < 7'200'000) {
        return whole(ms / 60'000) + " min";
    }
    if (ms < 172'800'000) {
        return whole(ms / 3'600'000) + " h";
    }
    return whole(ms / 86'400'000) + " d";
}

}  // namespace upkeep::sessions
