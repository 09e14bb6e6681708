// PostgreSQL's sessions as the core wants them: from pg_stat_activity, pg_locks and the progress
// views, by SQL with the caller's rights; ended by the server's own functions, which check theirs,
// or, where upkeep is preloaded and the state matters, by themselves (doorbell.h).
// Not for: deciding anything (common/src/sessions).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "compat.h"
#include "upkeep/sessions/pool.h"
#include "upkeep/sessions/reap.h"

namespace upkeep::pg {

/// The words of pg_stat_activity.state.
const char* StateWord(BackendState state);

/// All sessions of all databases as they are now, not as the transaction first saw them.
std::vector<sessions::SessionSnapshot> LookAtSessions(int64_t* now_us);

/// A NOTICE about sessions that the caller may not see, if there are any.
void NoticeHidden(const std::vector<sessions::SessionSnapshot>& sessions);

/// Limits of the caller's role in this database, and what is used of them.
sessions::PoolFacts ReadPoolFacts();

/// Raises 25006 with a hint during recovery: `name` is the call that acts.
void RefuseOnStandby(const char* name);

class ServerSessions : public sessions::SessionPort {
  public:
    std::vector<sessions::SessionSnapshot> Look(int64_t* now_us) override;
    sessions::Outcome Act(const sessions::SessionSnapshot& seen, sessions::RuleAction action,
                          sessions::MustBe must_be) override;
    void Notice(const std::string& text, const std::string& hint) override;
    std::string CurrentDatabase() override;
};

}  // namespace upkeep::pg
