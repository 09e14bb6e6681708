// The server's settings and machine, read for settings advice.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/health/settings_advice.h"

namespace upkeep::pg {

/// Throws HostError.
health::SettingsInput ReadSettingsInput();

}  // namespace upkeep::pg
