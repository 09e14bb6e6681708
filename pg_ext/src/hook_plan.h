// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "upkeep/capture/statement_table.h"

extern "C" {
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

void InstallPlanHooks();

/// A statement that this backend meets and the store knows: it runs for the second time at least,
/// so a text that was left out for want of room is kept now, and its values are wanted.
void MeetAgain(const capture::StatementKey& key, const char* source, int location, int length);
/// Are the values of this execution wanted? Asked once for each.
bool TakeWanted(uint64_t fingerprint);

/// May its text wait until it runs again? `key` is of a statement that the store does not count.
bool MayWait(const capture::StatementKey& key, const char* source, int location, int length);

/// Keeps the text of a statement, its constants as $n; `jumble` (where they are) may be nullptr,
/// and `query` (analysed, not rewritten: what is to be noted about them), too.
void KeepQueryText(uint64_t fingerprint, const char* source, int location, int length,
                   const JumbleState* jumble, Query* query);

}  // namespace upkeep::pg
