// Points in time as text: for hosts that store times as text (SQLite), and for json in both.
// Not for: clocks. What time it is now, a host says.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "upkeep/base/value.h"

namespace upkeep {

inline constexpr int64_t kMicrosPerHour = 3'600'000'000;
inline constexpr int64_t kMicrosPerDay = 24 * kMicrosPerHour;

/// The time that `text` names: `2024-01-31`, `2024-01-31 08:30`, `2024-01-31T08:30:00.123456Z`,
/// `2024-01-31 08:30:00+02:00`. Without an offset it is UTC; digits below a microsecond are cut.
/// nullopt: no such form, or no such day or hour.
std::optional<Timestamp> ParseTime(std::string_view text);

/// `2024-01-31T08:30:00.123Z`; six digits where milliseconds do not say it all; `infinity` and
/// `-infinity` for kTimeForever and kTimeBefore.
std::string FormatTime(Timestamp time);

/// `2024-01-31`, the day in UTC.
std::string FormatDay(Timestamp time);

/// The last whole multiple of `step_us` that is not after `time_us`.
constexpr int64_t FloorTo(int64_t time_us, int64_t step_us) {
    const int64_t rest = time_us % step_us;
    return time_us - (rest < 0 ? rest + step_us : rest);
}

}  // namespace upkeep
