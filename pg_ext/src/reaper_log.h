// The way of an action from its record in shared memory into reap_log_rows. Exactly once: records
// are freed after the commit of what they say, and nothing between the two can fail.
// Used by the reaper's worker only, but for LogCall.
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

/// Somebody ended this session, or cancelled its statement, by a call: a row without a rule, if
/// there is a worker that writes it and a free record.
void LogCall(const sessions::SessionSnapshot& session, sessions::RuleAction action);

/// A record with these facts, in stage kTaken; -1: none is free.
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
