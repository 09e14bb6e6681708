// Capture: the parser, planner, executor and utility hooks.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

/// To be called in _PG_init, while the server starts or where this backend captures for itself.
void InstallCaptureHooks();
/// To be called when upkeep.capture leaves `none`: with the client's next message statements have
/// query ids (which cost thousands of instructions each, so not before) and are counted. They keep
/// them when capture is turned off again: another module may rely on them by then.
void CaptureTurnedOn();

}  // namespace upkeep::pg
