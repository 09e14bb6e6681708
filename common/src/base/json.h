// Reads JSON that a host's EXPLAIN or our own code wrote. Anything else is nullopt.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace upkeep {

struct Json {
    enum class Kind : uint8_t { kNull, kBool, kNumber, kText, kArray, kObject };

    Kind kind = Kind::kNull;
    double number = 0;  // of kBool: 0 or 1
    std::string text;
    std::vector<Json> items;         // of kArray and kObject
    std::vector<std::string> names;  // of kObject, one an item

    /// The member of this name; nullptr: none, or no object.
    const Json* Find(std::string_view name) const;
    /// The member as a number or a text; where it is missing or something else, the default.
    double Number(std::string_view name, double otherwise = 0) const;
    std::string Text(std::string_view name) const;
    bool Has(std::string_view name) const { return Find(name) != nullptr; }
    const std::vector<Json>& Array(std::string_view name) const;
};

/// At most 500 levels deep.
std::optional<Json> ParseJson(std::string_view text);

}  // namespace upkeep
