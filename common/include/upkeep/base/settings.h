// The settings of a host that has no settings of its own (SQLite), as a table and a parser.
// Only settings that something in this version reads. Not for: where values live (the host's
// business) and PostgreSQL, whose GUCs are rows in pg_ext/src/settings.cpp.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "upkeep/base/result.h"

namespace upkeep {

enum class SettingType : uint8_t {
    kBool,      // on, off (also true, false, yes, no, 1, 0)
    kInteger,   // whole number between `least` and `most`
    kInterval,  // milliseconds, bare or with a unit: `500`, `2 s`
    kChoice,    // one of `choices`
    kText,
};

struct Setting {
    std::string_view name;
    SettingType type;
    std::string_view default_value;  // canonical, as ParseSetting returns it
    std::string_view unit;           // of a bare number; empty: none
    std::string_view scope;          // `process` or `connection`
    std::string_view description;
    std::span<const std::string_view> choices;  // kChoice
    int64_t least = 0;                          // kInteger, kInterval
    int64_t most = INT64_MAX;
};

/// All settings of the SQLite module, by name.
std::span<const Setting> SqliteSettings();

/// The setting of this name. Errors: kInvalidArgument; the hint lists the names.
Result<const Setting*> FindSetting(std::string_view name);

/// The canonical form of `text` (`on`, `off`, plain numbers, milliseconds).
/// Errors: kInvalidArgument; the hint says what is allowed.
Result<std::string> ParseSetting(const Setting& setting, std::string_view text);

}  // namespace upkeep
