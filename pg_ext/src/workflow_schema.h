// What of the workflow schema a PostgreSQL schema already holds.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/workflow/install.h"

namespace upkeep::pg {

/// Throws HostError: 25006 in a read-only transaction, 3F000 without the schema. If the caller may
/// create in the schema, other installations into it wait until his transaction has ended (a lock
/// on the schema that nothing else but DROP SCHEMA asks for).
workflow::InstallFacts GatherInstallFacts(const workflow::InstallRequest& request);

}  // namespace upkeep::pg
