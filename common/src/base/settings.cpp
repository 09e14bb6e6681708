// SPDX-License-Identifier: PostgreSQL
#include "upkeep/base/settings.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "upkeep/base/table_function.h"
#include "upkeep/base/text.h"

namespace upkeep {

namespace {

// A wrong name or value is quoted no longer than this.
constexpr size_t kMaxQuotedBytes = 60;

constexpr std::string_view kProfiles[] = {"corrected", "guide"};

constexpr std::string_view kLevels[] = {"none", "top", "all"};

constexpr Setting kSettings[] = {
    {.name = "capture",
     .type = SettingType::kChoice,
     .default_value = "top",
     .unit = "",
     .scope = "process",
     .description = "which statements are captured: none, top (the application's), all (also those "
                    "that functions and virtual tables run)",
     .choices = kLevels},
    {.name = "slow_threshold",
     .type = SettingType::kInterval,
     .default_value = "1000",
     .unit = "ms",
     .scope = "process",
     .description = "a statement that takes this long is kept with its plan; -1: none is",
     .choices = {},
     .least = -1,
     .most = INT32_MAX},
    {.name = "capture_plans",
     .type = SettingType::kBool,
     .default_value = "on",
     .unit = "",
     .scope = "process",
     .description = "keep the plans of slow statements",
     .choices = {}},
    {.name = "capture_parameters",
     .type = SettingType::kBool,
     .default_value = "off",
     .unit = "",
     .scope = "process",
     .description = "keep slow statements with their values, which may be personal data",
     .choices = {}},
    {.name = "n_plus_one_threshold",
     .type = SettingType::kInteger,
     .default_value = "5",
     .unit = "",
     .scope = "process",
     .description = "repeats of one statement after another that make a finding; 0: none",
     .choices = {},
     .least = 0,
     .most = 1000000},
    {.name = "endpoint",
     .type = SettingType::kText,
     .default_value = "",
     .unit = "",
     .scope = "process",
     .description = "route or action of connections that upkeep_set_endpoint told none",
     .choices = {}},
    {.name = "reaper",
     .type = SettingType::kBool,
     .default_value = "off",
     .unit = "",
     .scope = "process",
     .description =
         "apply the rows of upkeep_reap_rules to this process's connections, by a thread "
         "of upkeep's own",
     .choices = {}},
    {.name = "reaper_interval",
     .type = SettingType::kInterval,
     .default_value = "1000",
     .unit = "ms",
     .scope = "process",
     .description = "time between two looks of the reaper",
     .choices = {},
     .least = 10,
     .most = 3600000},
    {.name = "workflow_profile",
     .type = SettingType::kChoice,
     .default_value = "corrected",
     .unit = "",
     .scope = "process",
     .description = "profile that upkeep_install_workflow_schema installs when it is given none",
     .choices = kProfiles},
    {.name = "max_statements",
     .type = SettingType::kInteger,
     .default_value = "5000",
     .unit = "",
     .scope = "process",
     .description = "statements kept in memory and in a state file; for the memory, before the "
                    "process's first upkeep_capture(1)",
     .choices = {},
     .least = 100,
     .most = 1000000},
    {.name = "text_memory",
     .type = SettingType::kInteger,
     .default_value = "16",
     .unit = "MB",
     .scope = "process",
     .description = "memory for statement texts, before the process's first upkeep_capture(1)",
     .choices = {},
     .least = 1,
     .most = 4096},
    {.name = "max_slow_statements",
     .type = SettingType::kInteger,
     .default_value = "1000",
     .unit = "",
     .scope = "process",
     .description = "slow statements kept in memory and in a state file; for the memory, before "
                    "the process's first upkeep_capture(1)",
     .choices = {},
     .least = 1,
     .most = 100000},
    {.name = "flush_interval",
     .type = SettingType::kInterval,
     .default_value = "0",
     .unit = "ms",
     .scope = "process",
     .description = "time between two writes of the state file by a thread of upkeep's own; 0: no "
                    "thread, at close and by upkeep_save() only",
     .choices = {},
     .least = 0,
     .most = INT32_MAX},
    {.name = "persist",
     .type = SettingType::kBool,
     .default_value = "on",
     .unit = "",
     .scope = "process",
     .description = "keep a state file beside the database",
     .choices = {}},
};

std::string Quoted(std::string_view text) {
    const std::string_view shown = Clip(text, kMaxQuotedBytes);
    return "\"" + std::string(shown) + (shown.size() < text.size() ? "...\"" : "\"");
}

template <typename Items, typename Name>
std::string Joined(const Items& items, Name name) {
    std::string out;
    for (const auto& item : items) {
        out += (out.empty() ? "" : ", ") + std::string(name(item));
    }
    return out;
}

std::string Lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return out;
}

std::string Range(const Setting& setting) {
    const std::string unit = setting.unit.empty() ? "" : " " + std::string(setting.unit);
    const std::string least = std::to_string(setting.least);
    if (setting.most == INT64_MAX) {
        return least + unit + " or more";
    }
    return "between " + least + " and " + std::to_string(setting.most) + unit;
}

Error Refused(const Setting& setting, std::string_view text, std::string allowed) {
    return {Code::kInvalidArgument,
            "invalid value for setting " + std::string(setting.name) + ": " + Quoted(text),
            std::move(allowed)};
}

std::optional<int64_t> WholeNumber(std::string_view text) {
    int64_t number = 0;
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (parsed.ec != std::errc() || parsed.ptr != end) {
        return std::nullopt;
    }
    return number;
}

Result<std::string> ParseBool(const Setting& setting, std::string_view text) {
    const std::string word = Lower(text);
    for (const std::string_view yes : {"on", "true", "yes", "1"}) {
        if (word == yes) {
            return std::string("on");
        }
    }
    for (const std::string_view no : {"off", "false", "no", "0"}) {
        if (word == no) {
            return std::string("off");
        }
    }
    return Refused(setting, text, "allowed: on, off");
}

Result<std::string> ParseNumber(const Setting& setting, std::string_view text) {
    std::optional<int64_t> number = WholeNumber(text);
    if (!number && setting.type == SettingType::kInterval) {
        if (const Result<int64_t> ms = ParseInterval(text); ms.ok()) {
            number = ms.value();
        }
    }
    if (!number || *number < setting.least || *number > setting.most) {
        return Refused(setting, text, "allowed: a whole number, " + Range(setting));
    }
    return std::to_string(*number);
}

}  // namespace

std::span<const Setting> SqliteSettings() {
    return kSettings;
}

Result<const Setting*> FindSetting(std::string_view name) {
    for (const Setting& setting : kSettings) {
        if (setting.name == name) {
            return &setting;
        }
    }
    return Error(Code::kInvalidArgument, "unknown setting " + Quoted(name),
                 "settings: " + Joined(kSettings, [](const Setting& one) { return one.name; }));
}

Result<std::string> ParseSetting(const Setting& setting, std::string_view text) {
    switch (setting.type) {
        case SettingType::kBool:
            return ParseBool(setting, text);
        case SettingType::kInteger:
        case SettingType::kInterval:
            return ParseNumber(setting, text);
        case SettingType::kChoice:
            for (const std::string_view choice : setting.choices) {
                if (choice == Lower(text)) {
                    return std::string(choice);
                }
            }
            return Refused(setting, text,
                           "allowed: " + Joined(setting.choices, [](auto one) { return one; }));
        case SettingType::kText:
            break;
    }
    return std::string(text);
}

}  // namespace upkeep
