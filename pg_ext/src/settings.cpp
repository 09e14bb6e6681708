// One row per setting (GUC). No C++ object lives here: these calls may raise.
// SPDX-License-Identifier: PostgreSQL
#include "settings.h"

#include "compat.h"
#include "pg.h"

namespace upkeep::pg {

namespace {

char* workflow_profile = nullptr;

struct TextSetting {
    const char* name;
    const char* doc;
    char** value;
    const char* boot_value;
    GucContext context;
};

const TextSetting kTextSettings[] = {
    {"upkeep.workflow_profile", "Profile of the workflow schema that is installed by default.",
     &workflow_profile, "corrected", PGC_USERSET},
};

}  // namespace

void RegisterSettings() {
    for (const TextSetting& setting : kTextSettings) {
        DefineCustomStringVariable(setting.name, setting.doc, nullptr, setting.value,
                                   setting.boot_value, setting.context, 0, nullptr, nullptr,
                                   nullptr);
    }
    ReservePrefix("upkeep");
}

const char* WorkflowProfile() {
    return workflow_profile;
}

}  // namespace upkeep::pg
