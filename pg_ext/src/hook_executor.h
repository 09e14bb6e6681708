// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

void InstallExecutorHooks();

}  // namespace upkeep::pg
