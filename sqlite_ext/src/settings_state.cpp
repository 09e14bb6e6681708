// SPDX-License-Identifier: PostgreSQL
#include "settings_state.h"

#include <atomic>
#include <map>
#include <mutex>
#include <utility>

#include "fork_safe.h"

namespace upkeep::sqlite {

namespace {

std::atomic<uint64_t> version{1};  // apart from the rest: asked for each statement

struct State {
    std::mutex mutex;
    std::map<std::string, std::string, std::less<>> changed;  // name -> value; others: default
};

std::mutex& TheMutex();

/// Never destroyed: threads may still ask while the process exits.
State& TheState() {
    static State& state = *new State;
    KeepUnlockedInChildren<TheMutex>();
    return state;
}

std::mutex& TheMutex() {
    return TheState().mutex;
}

}  // namespace

std::string SettingValue(std::string_view name) {
    const Setting* setting = FindSetting(name).OrThrow();
    State& state = TheState();
    const std::lock_guard lock(state.mutex);
    const auto found = state.changed.find(name);
    return found != state.changed.end() ? found->second : std::string(setting->default_value);
}

Result<std::string> ChangeSetting(std::string_view name, std::string_view value) {
    const Result<const Setting*> setting = FindSetting(name);
    if (!setting.ok()) {
        return setting.error();
    }
    Result<std::string> parsed = ParseSetting(*setting.value(), value);
    if (parsed.ok()) {
        State& state = TheState();
        const std::lock_guard lock(state.mutex);
        state.changed.insert_or_assign(std::string(name), parsed.value());
        version.fetch_add(1, std::memory_order_release);
    }
    return parsed;
}

uint64_t SettingsVersion() {
    return version.load(std::memory_order_acquire);
}

}  // namespace upkeep::sqlite
