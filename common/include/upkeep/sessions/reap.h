// Which sessions are to be ended, and why not the others. Pure: the host looks, this decides, the
// host looks again at what it is about to end (IsUnchanged) and ends it.
//
//   never      the caller's own session, replication, background workers, other processes, node to
//              node sessions (application name `citus_internal…`), superusers that the rule does
//              not name, sessions whose state the caller may not see, what the host refuses
//   clocks     idle states: since the change of state. Never the start of the last statement: a
//              long statement that has just ended would count as long idle
//
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/result.h"
#include "upkeep/sessions/session.h"

namespace upkeep::sessions {

enum class RuleAction : uint8_t { kEnd, kCancel, kLog };

/// One rule. Patterns are LIKE patterns (`%`, `_`, backslash), case-sensitive.
struct Rule {
    int64_t idle_for_ms = 600'000;
    std::string match_state{kIdle};
    std::string match_application = "%";
    std::string match_user = "%";
    std::string match_database = "%";
    bool only_blocking = false;  // only those that block others or hold back cleaning up
    int64_t keep_at_least = 0;   // of the sessions that match but for state and age, so many stay
    RuleAction action = RuleAction::kEnd;
};

enum class Verdict : uint8_t {
    kEnd,
    kCancel,
    kLog,
    kKeep,    // the rule does not ask for it: younger, not blocking, kept by keep_at_least, hidden
    kRefuse,  // the rule asks for it and it must not be done
};

struct Decision {
    size_t session = 0;  // position in the input
    Verdict verdict = Verdict::kKeep;
    std::string because;
};

/// Is the rule one that can be applied?
/// Errors: kInvalidArgument (state that no rule may match, negative numbers, a pattern that ends in
/// its escape character).
Result<void> CheckRule(const Rule& rule);

/// One decision for each session that the rule's database, user, application and state match (or
/// whose state is hidden), longest idle first. `rule` has passed CheckRule.
std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions, const Rule& rule,
                             int64_t now_us);

/// How much of a session must be as it was seen when it is ended.
enum class MustBe : uint8_t {
    kSameSession,  // it is the one that was named
    kSameState,    // and in the same state, since the same moment
};

/// Why nobody may end this session, by a rule or by its pid; empty: it may be judged further.
std::string UntouchableBecause(const SessionSnapshot& session);

/// What has changed since `seen`, as the reason to leave it alone; empty: nothing. nullptr: gone.
std::string WhatChanged(const SessionSnapshot& seen, const SessionSnapshot* now, MustBe must_be);

/// LIKE as PostgreSQL does it: whole text, characters rather than bytes.
bool Like(std::string_view text, std::string_view pattern);

// --- the calls ---------------------------------------------------------------------------------

/// What came of an action. `why` is empty when it is done.
struct Outcome {
    enum class What : uint8_t { kDone, kChanged, kRefused };
    What what = What::kDone;
    std::string why;
};

/// What the calls that end sessions need of a host.
class SessionPort {
  public:
    virtual ~SessionPort() = default;
    /// All sessions, now, and the time of it. Errors: the host's.
    virtual std::vector<SessionSnapshot> Look(int64_t* now_us) = 0;
    /// Looks once more at the one that `seen` was and, if WhatChanged finds nothing, ends it (or
    /// cancels its statement) at once.
    virtual Outcome Act(const SessionSnapshot& seen, RuleAction action, MustBe must_be) = 0;
    /// Tells the caller something beside the rows (PostgreSQL: a NOTICE). May do nothing.
    virtual void Notice(const std::string& text, const std::string& hint) = 0;
    /// The name that `current` stands for in match_database.
    virtual std::string CurrentDatabase() = 0;
};

/// The body of `reap_sessions`. Nothing is done when an argument is wrong.
Result<void> ReapSessions(const Arguments& arguments, SessionPort& port, RowSink& rows);
/// The body of `end_session`. Errors: kNotFound for a pid that is no session.
Result<void> EndSession(const Arguments& arguments, SessionPort& port, RowSink& rows);

}  // namespace upkeep::sessions
