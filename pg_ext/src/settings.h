// The settings (GUCs) of the product, and their values in this backend.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>

namespace upkeep::pg {

enum CaptureLevel : int { kCaptureNone, kCaptureTop, kCaptureAll };

/// Plain values that the server writes; read them where they are needed, keep no copies.
struct Settings {
    int capture;            // CaptureLevel
    int slow_threshold_ms;  // -1: off
    bool capture_plans;
    bool capture_parameters;
    int n_plus_one_threshold;  // 0: off
    char* endpoint;
    bool has_endpoint;          // it is not empty
    uint32_t endpoint_changes;  // grows with each assignment, so that its id can be cached
    bool save;
    bool reaper;
    int reaper_interval_s;
    char* workflow_profile;
    // Defined only when preloaded; else the defaults.
    int max_statements;
    int text_memory_mb;
    int max_slow_statements;
    char* database;
};
extern Settings settings;

/// Defines every GUC of the table in settings.cpp. Raises the server's own errors.
void RegisterSettings();

/// upkeep.workflow_profile: the profile that `CREATE EXTENSION upkeep_workflows` installs.
const char* WorkflowProfile();

}  // namespace upkeep::pg
