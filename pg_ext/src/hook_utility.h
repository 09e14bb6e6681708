// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

void InstallUtilityHook();

}  // namespace upkeep::pg
