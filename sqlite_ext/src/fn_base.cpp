// upkeep itself: version, capabilities, settings.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "settings_state.h"
#include "stmt.h"
#include "upkeep/base/capabilities.h"
#include "upkeep/base/version.h"

namespace upkeep::sqlite {

namespace {

Result<Value> VersionCall(sqlite3*, const Arguments&) {
    return Value(std::string(Version()));
}

Result<void> CapabilitiesCall(sqlite3*, const Arguments&, RowSink& rows) {
    const PrivateConnection scratch;
    HostFacts facts;
    facts.host = HostKind::kSqlite;
    facts.host_version = sqlite3_libversion();
    facts.has_json = Stmt::Prepare(scratch.get(), "SELECT json_valid('1')").ok();
    AddCapabilities(facts, rows);
    return {};
}

Result<void> SettingsCall(sqlite3*, const Arguments&, RowSink& rows) {
    for (const Setting& setting : SqliteSettings()) {
        rows.Add({std::string(setting.name), SettingValue(setting.name),
                  setting.unit.empty() ? Value() : Value(std::string(setting.unit)),
                  std::string(setting.scope), std::string(setting.description)});
    }
    return {};
}

Result<Value> SetCall(sqlite3*, const Arguments& arguments) {
    Result<std::string> changed = ChangeSetting(arguments.Text("name"), arguments.Text("value"));
    if (!changed.ok()) {
        return changed.error();
    }
    return Value(std::move(changed).value());
}

constexpr Body kBodies[] = {
    {.call = "version", .value = VersionCall},
    {.call = "capabilities", .rows = CapabilitiesCall},
    {.call = "settings", .rows = SettingsCall},
    {.call = "set", .value = SetCall},
};

}  // namespace

std::span<const Body> BaseBodies() {
    return kBodies;
}

}  // namespace upkeep::sqlite
