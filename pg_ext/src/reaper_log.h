// The way of an action from its record in shared memory into reap_log_rows. Exactly once: records
// are freed after the commit of what they say, and nothing between the two can fail.
// Used by the reaper's worker only.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string_view>
#include <vector>

#include "reap_shared.h"
#include "upkeep/sessions/reap.h"

namespace upkeep::pg {

inline constexpr int kMostLogRows = 10000;

/// What the log will say about this session, whatever comes of it.
ActionFacts FactsOf(const sessions::SessionSnapshot& session, const sessions::Rule& rule,
                    const sessions::Decision& decision, int64_t now_us);

/// A free record with these facts, in stage kFree still; -1: all are taken.
int TakeRecord(const ActionFacts& facts);
/// It is over: `what` came of it, and why. `what` is one of the log's words.
void FinishRecord(ActionRecord& record, std::string_view what, std::string_view why);
bool HasFinishedRecords();

/// In a transaction: rows of all that is over, and of a gap. Returns the records that are to be
/// freed when it has been committed. Throws HostError.
std::vector<int> WriteLog();
/// After the commit. Cannot fail.
void FreeRecords(const std::vector<int>& records);

}  // namespace upkeep::pg
