// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

/// Defines every GUC of the table in settings.cpp. Raises the server's own errors.
void RegisterSettings();

/// upkeep.workflow_profile: the profile that `CREATE EXTENSION upkeep_workflows` installs.
const char* WorkflowProfile();

}  // namespace upkeep::pg
