// upkeep itself: version, capabilities, settings.
// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"
#include "captured.h"
#include "flusher.h"
#include "pool_reports.h"
#include "settings_state.h"
#include "stmt.h"
#include "supervisor.h"
#include "trace.h"
#include "upkeep/base/capabilities.h"
#include "upkeep/base/version.h"

namespace upkeep::sqlite {

namespace {

Result<Value> VersionCall(sqlite3*, const Arguments&) {
    return Value(std::string(Version()));
}

void FindPersistence(const std::string& file, HostFacts* facts) {
    if (file.empty()) {
        facts->saved_reason = "this database is in memory: statistics end with the process";
        facts->saved_advice = "open a database file";
    } else if (SettingValue("persist") != "on") {
        facts->saved_reason = "setting persist is off: statistics end with the process";
        facts->saved_advice = "SELECT upkeep_set('persist', 'on')";
    } else if (const std::string trouble = SaveTrouble(file); !trouble.empty()) {
        facts->saved_reason = "not saved: " + trouble;
        facts->saved_advice = "make " + StateFile::PathFor(file) + " writable, or remove it";
    } else {
        facts->is_saved = true;
        facts->saved_reason =
            "at the close of connections and by upkeep_save(), in " + StateFile::PathFor(file);
    }
}

/// Says what is captured, and where it stays.
void FindCapture(sqlite3* db, HostFacts* facts) {
    const CaptureState state = StateOfCapture(db);
    facts->can_capture = state == CaptureState::kOn && SettingValue("capture") != "none";
    switch (state) {
        case CaptureState::kOff:
            facts->capture_reason = "not started for this connection";
            facts->capture_advice = "SELECT upkeep_capture(1)";
            break;
        case CaptureState::kReplaced:
            facts->capture_reason = "another trace has taken this connection's only place for one";
            facts->capture_advice = "end that trace, then SELECT upkeep_capture(1)";
            break;
        case CaptureState::kOn:
            facts->capture_reason = facts->can_capture ? "this connection's statements are counted"
                                                       : "setting capture is none";
            facts->capture_advice = facts->can_capture ? "" : "SELECT upkeep_set('capture', 'top')";
            break;
    }
    Capture* capture = TheCapture();
    if (const uint64_t refused =
            capture == nullptr ? 0 : capture->store().Status().endpoints_refused;
        refused != 0) {
        facts->capture_reason += "; " + std::to_string(refused) +
                                 " times an endpoint found no room and was taken for other";
    }
    const std::string file = MainFile(db);
    FindPersistence(file, facts);
    if (file.empty()) {
        facts->capture_reason += "; in memory: kept until the process ends";
    } else if (SettingValue("persist") != "on") {
        facts->capture_reason += "; setting persist is off: kept until the process ends";
    } else if (const std::string trouble = SaveTrouble(file); !trouble.empty()) {
        facts->capture_reason += "; not saved: " + trouble;
    } else if (const std::string obstacle = StateFile::Obstacle(file); !obstacle.empty()) {
        facts->capture_reason += "; cannot be saved: " + obstacle;
    } else {
        facts->capture_reason += "; kept in " + StateFile::PathFor(file);
    }
    try {
        facts->has_statement_source = HasCaptured(db);
        facts->statement_source = facts->has_statement_source
                                      ? "statements that upkeep captured of this database"
                                      : "nothing has been captured of this database";
    } catch (const Error& error) {  // a damaged state file, for instance
        facts->statement_source = error.message();
    }
    facts->statement_source_advice =
        facts->has_statement_source
            ? ""
            : "SELECT upkeep_capture(1), or pass the statements: upkeep_advise_indexes('SELECT …')";
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
    FindCapture(db, &facts);
    facts.reap_reason =
        SettingValue("reaper") == "on"
            ? "by rule, and on demand: transactions of connections that are captured and have a "
              "mutex"
            : "on demand: transactions of connections that are captured and have a mutex; by rule "
              "once upkeep_set('reaper', 'on')";
    facts.is_read_only = sqlite3_db_readonly(db, "main") == 1;
    facts.keeps_pool_reports = true;
    facts.pool_reports_reason = "what report_pool is told is kept " + WhereReportsAreKept(db);
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
    const std::string& name = arguments.Text("name");
    const std::string before = FindSetting(name).ok() ? SettingValue(name) : "";
    Result<std::string> changed = ChangeSetting(name, arguments.Text("value"));
    if (!changed.ok()) {
        return changed.error();
    }
    Result<void> applied;
    if (name == "flush_interval") {
        applied = ApplyFlushInterval();
    } else if (name == "reaper" || name == "reaper_interval") {
        applied = ApplyReaper();
    }
    if (!applied.ok()) {
        ChangeSetting(name, before).OrThrow();
        return applied.error();
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
