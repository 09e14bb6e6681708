// Capture: the parser, planner, executor and utility hooks.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

/// To be called in _PG_init while the server starts.
void InstallCaptureHooks();

}  // namespace upkeep::pg
