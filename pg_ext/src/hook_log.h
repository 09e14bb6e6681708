// Errors without a statement, from the server's log.
// SPDX-License-Identifier: PostgreSQL
#pragma once

namespace upkeep::pg {

void InstallLogHook();

/// Does log_min_messages keep errors from the log, and so from us?
bool LogHidesErrors();

}  // namespace upkeep::pg
