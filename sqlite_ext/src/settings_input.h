// The connection's settings and the machine, read for settings advice.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/health/settings_advice.h"

namespace upkeep::sqlite {

/// PRAGMAs of `main`. Throws Error.
health::SettingsInput ReadSettingsInput(sqlite3* db);

}  // namespace upkeep::sqlite
