// Values of the settings: one set per process, shared by all its connections and threads.
// What the settings are is described in the core (upkeep/base/settings.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "upkeep/base/settings.h"

namespace upkeep::sqlite {

/// The value in force; `name` must be one of SqliteSettings(). May wait for another thread's
/// access.
std::string SettingValue(std::string_view name);

/// Sets it and returns the canonical value.
/// Errors: kInvalidArgument (unknown name, value not allowed); nothing changed then.
Result<std::string> ChangeSetting(std::string_view name, std::string_view value);

/// Grows with every change: who keeps values looks here first. Never waits.
uint64_t SettingsVersion();

}  // namespace upkeep::sqlite
