// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/schema.h"

#include <algorithm>
#include <array>

#include "schema_data.h"

namespace upkeep::workflow {

std::span<const SchemaProfile> SchemaProfiles() {
    static const std::array<SchemaProfile, 2> kProfiles = {CorrectedProfile(), GuideProfile()};
    return kProfiles;
}

const SchemaProfile* FindSchemaProfile(std::string_view name) {
    const auto profiles = SchemaProfiles();
    const auto found = std::find_if(profiles.begin(), profiles.end(),
                                    [=](const SchemaProfile& one) { return one.name == name; });
    return found == profiles.end() ? nullptr : &*found;
}

}  // namespace upkeep::workflow
