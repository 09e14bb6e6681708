// What of the workflow schema an SQLite database already holds.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/workflow/install.h"

namespace upkeep::sqlite {

/// Names are in lower case, as SQLite compares them. Throws Error: kNotFound without such a
/// database, kUnsupported if it cannot be written.
workflow::InstallFacts GatherInstallFacts(sqlite3* db, const workflow::InstallRequest& request);

}  // namespace upkeep::sqlite
