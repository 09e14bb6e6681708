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

Result<void> CapabilitiesCall(sqlite3* db, const Arguments&, RowSink& rows) {
    HostFacts facts;
    facts.loaded = HostFacts::Loaded::kLoaded;
    facts.loaded_reason =
        "version " + std::string(Version()) + ", loaded into SQLite " + sqlite3_libversion();
    const PrivateConnection scratch;
    if (!Stmt::Prepare(scratch.get(), "SELECT json_valid('1')").ok()) {
        facts.loaded_reason += " without JSON functions: arguments cannot be arrays";
        facts.preload_advice = "use an SQLite built with its JSON functions";
    }
    facts.capture_reason = "this version does not capture statements in SQLite";
    facts.statement_source = "this version does not capture statements in SQLite";
    facts.statement_source_advice =
        "pass the statements: upkeep_advise_indexes('SELECT …; SELECT …')";
    facts.is_read_only = sqlite3_db_readonly(db, "main") == 1;
    Capabilities(facts, rows);
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
