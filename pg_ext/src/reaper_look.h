// What the reaper's worker looks at: sessions by the server's own table of them, and the rules.
// Cheaper than the query of sessions.cpp, and with all rights.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <vector>

#include "upkeep/sessions/reap.h"

namespace upkeep::pg {

/// Client sessions and the like of all databases, without those that are ending by an order; who
/// blocks whom where somebody waits for a lock. In a transaction.
std::vector<sessions::SessionSnapshot> SessionsForReaper(int64_t* now_us);

/// The enabled rows of reap_rules that can be applied. Empty where upkeep is not installed in this
/// database: a table of that name that is not the extension's is anybody's.
struct RulesRead {
    std::vector<sessions::Rule> rules;
    std::vector<std::string> skipped;  // why the others cannot
    bool is_installed = false;
};
RulesRead ReadRules();

/// What a worker before this one did in the last minute, for max_per_minute. Whose session it was
/// is not known: pids are 0.
std::vector<sessions::PastAction> PastOfLog();

/// Is it a table of our extension in this database? Only inside CallHost.
bool IsOwnTable(const char* name);

}  // namespace upkeep::pg
