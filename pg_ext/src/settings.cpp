// One row per setting (GUC). No C++ object lives here: these calls may raise.
// SPDX-License-Identifier: PostgreSQL
#include "settings.h"

#include "compat.h"
#include "hooks.h"
#include "pg.h"

namespace upkeep::pg {

Settings settings = {
    .capture = kCaptureTop,
    .slow_threshold_ms = 1000,
    .capture_plans = true,
    .capture_parameters = false,
    .n_plus_one_threshold = 5,
    .endpoint = nullptr,
    .has_endpoint = false,
    .endpoint_changes = 0,
    .save = true,
    .reaper = false,
    .reaper_interval_s = 1,
    .workflow_profile = nullptr,
    .max_statements = 5000,
    .text_memory_mb = 16,
    .max_slow_statements = 1000,
    .database = nullptr,
};

namespace {

// Named already, so that a configuration written today stays valid; nothing reads it.
#define NOT_YET " Not in force yet."

const config_enum_entry kCaptureLevels[] = {
    {"none", kCaptureNone, false},
    {"top", kCaptureTop, false},
    {"all", kCaptureAll, false},
    {nullptr, 0, false},
};

void CaptureChanged(int level, void*) {
    if (settings.capture == kCaptureNone && level != kCaptureNone) {
        CaptureTurnedOn();
    }
}

void EndpointChanged(const char* name, void*) {
    settings.has_endpoint = name != nullptr && name[0] != '\0';
    ++settings.endpoint_changes;
}

struct TextSetting {
    const char* name;
    const char* doc;
    char** value;
    const char* boot_value;
    GucContext context;
    GucStringAssignHook assign;
};

const TextSetting kTextSettings[] = {
    {"upkeep.workflow_profile",
     "Profile of the workflow schema that is installed by default." NOT_YET,
     &settings.workflow_profile, "corrected", PGC_USERSET, nullptr},
    {"upkeep.endpoint", "Route or action that the following statements belong to.",
     &settings.endpoint, "", PGC_USERSET, EndpointChanged},
    {"upkeep.database", "Database that holds the reaper's rules and its log.", &settings.database,
     "postgres", PGC_POSTMASTER, nullptr},
};

struct BoolSetting {
    const char* name;
    const char* doc;
    bool* value;
    GucContext context;
};

const BoolSetting kBoolSettings[] = {
    {"upkeep.capture_plans", "Keeps the plans of slow statements.", &settings.capture_plans,
     PGC_SUSET},
    {"upkeep.capture_parameters",
     "Keeps bound parameters and literals of slow statements, which may be personal data.",
     &settings.capture_parameters, PGC_SUSET},
    {"upkeep.save", "Keeps statistics across a clean restart, in pg_stat/upkeep.stat.",
     &settings.save, PGC_SIGHUP},
    {"upkeep.reaper", "Applies the rows of upkeep.reap_rules.", &settings.reaper, PGC_SIGHUP},
};

struct IntSetting {
    const char* name;
    const char* doc;
    int* value;
    int least;
    int most;
    GucContext context;
    int flags;
};

const IntSetting kIntSettings[] = {
    {"upkeep.slow_threshold",
     "A statement that takes this long is kept with its plan; -1 turns this off.",
     &settings.slow_threshold_ms, -1, INT_MAX, PGC_SUSET, GUC_UNIT_MS},
    {"upkeep.n_plus_one_threshold",
     "Repeats of one statement after another that make a finding; 0 turns this off.",
     &settings.n_plus_one_threshold, 0, 1000000, PGC_SUSET, 0},
    {"upkeep.reaper_interval",
     "Time between two looks of the reaper while an end that is due is held back.",
     &settings.reaper_interval_s, 1, 3600, PGC_SIGHUP, GUC_UNIT_S},
    {"upkeep.max_statements", "Statements kept in shared memory.", &settings.max_statements, 100,
     1000000, PGC_POSTMASTER, 0},
    {"upkeep.text_memory", "Shared memory for statement texts.", &settings.text_memory_mb, 1, 4096,
     PGC_POSTMASTER, GUC_UNIT_MB},
    {"upkeep.max_slow_statements", "Slow statements kept in shared memory.",
     &settings.max_slow_statements, 10, 100000, PGC_POSTMASTER, 0},
};

/// POSTMASTER settings can be defined only while the server starts.
bool CanDefine(GucContext context) {
    return context != PGC_POSTMASTER || process_shared_preload_libraries_in_progress;
}

}  // namespace

void RegisterSettings() {
    DefineCustomEnumVariable("upkeep.capture",
                             "Which statements are captured: none, top (sent by clients), all.",
                             nullptr, &settings.capture, kCaptureTop, kCaptureLevels, PGC_SUSET, 0,
                             nullptr, CaptureChanged, nullptr);
    for (const TextSetting& row : kTextSettings) {
        if (CanDefine(row.context)) {
            DefineCustomStringVariable(row.name, row.doc, nullptr, row.value, row.boot_value,
                                       row.context, 0, nullptr, row.assign, nullptr);
        }
    }
    for (const BoolSetting& row : kBoolSettings) {
        if (CanDefine(row.context)) {
            DefineCustomBoolVariable(row.name, row.doc, nullptr, row.value, *row.value, row.context,
                                     0, nullptr, nullptr, nullptr);
        }
    }
    for (const IntSetting& row : kIntSettings) {
        if (CanDefine(row.context)) {
            DefineCustomIntVariable(row.name, row.doc, nullptr, row.value, *row.value, row.least,
                                    row.most, row.context, row.flags, nullptr, nullptr, nullptr);
        }
    }
    ReservePrefix("upkeep");
}

const char* WorkflowProfile() {
    return settings.workflow_profile;
}

}  // namespace upkeep::pg
