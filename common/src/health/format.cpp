// SPDX-License-Identifier: PostgreSQL
#include "format.h"

#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

namespace upkeep::health {

std::string NumberText(double number, int decimals) {
    if (!std::isfinite(number)) {
        return "unknown";
    }
    std::array<char, 400> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                   std::chars_format::fixed, decimals);
    std::string text(buffer.data(), end.ptr);
    if (text.find('.') != std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') {
            text.pop_back();
        }
    }
    return text == "-0" ? "0" : text;
}

std::string BytesText(double bytes) {
    static constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (std::abs(bytes) >= 1024 && unit + 1 < std::size(kUnits)) {
        bytes /= 1024;
        ++unit;
    }
    return NumberText(bytes, 1) + " " + kUnits[unit];
}

std::string AgeText(double seconds) {
    struct Unit {
        double seconds;
        const char* name;
    };
    static constexpr Unit kUnits[] = {{2 * 86400.0, "days"}, {2 * 3600.0, "h"}, {120.0, "min"}};
    for (const Unit& unit : kUnits) {
        if (seconds >= unit.seconds) {
            return NumberText(seconds / (unit.seconds == 120.0 ? 60.0 : unit.seconds / 2), 1) +
                   " " + unit.name;
        }
    }
    return NumberText(seconds, 1) + " s";
}

}  // namespace upkeep::health
