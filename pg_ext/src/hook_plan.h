// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

extern "C" {
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

void InstallPlanHooks();

/// Keeps the text of a statement, its constants as $n; `jumble` (where they are) may be nullptr,
/// and `query` (analysed, not rewritten: what is to be noted about them), too.
void KeepQueryText(uint64_t fingerprint, const char* source, int location, int length,
                   const JumbleState* jumble, Query* query);

}  // namespace upkeep::pg
