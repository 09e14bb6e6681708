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
#include "upkeep/sessions/rule.h"
#include "upkeep/sessions/session.h"

namespace upkeep::sessions {

enum class Verdict : uint8_t {
    kEnd,
    kCancel,
    kLog,
    kKeep,    // the rule does not ask for it: younger, not blocking, kept by keep_at_least, hidden
    kRefuse,  // the rule asks for it and it must not be done
};

struct Decision {
    size_t session = 0;  // position in the input
    size_t rule = 0;     // position in the input: the rule that acts, or the first that would
    Verdict verdict = Verdict::kKeep;
    std::string because;
    // A rule is due and held back by what may change while the session stays as it is (others, the
    // number of connections, the minute): it has to be looked at again.
    bool look_again = false;
};

/// Something that a rule did before.
struct PastAction {
    std::string rule;
    int64_t at_us = 0;
    int64_t pid = 0;  // of which session, and since when it was in its state: see StateSinceUs
    int64_t started_us = 0;
    int64_t state_since_us = 0;
};

/// What a decision rests on beside the sessions themselves.
struct Situation {
    int64_t now_us = 0;
    int64_t used = 0;              // connections open
    int64_t most = 0;              // that may be open; 0: not known, then no ratio is exceeded
    std::vector<PastAction> past;  // of the last minute, and whatever concerns sessions of today
};

/// One decision for each session that an enabled rule governs, longest in its state first; what is
/// decided to end is gone for the decisions behind it. The rules have passed CheckRule.
std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions,
                             const std::vector<Rule>& rules, const Situation& situation);
/// The same by one rule, which has no past.
std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions, const Rule& rule,
                             int64_t now_us);

/// The rule that will end a session next if it stays as it is, and in how long. Conditions that
/// hang on other sessions (keep_at_least, usage, max_per_minute) are taken to hold.
struct NextEnd {
    size_t rule = 0;
    double in_ms = 0;
};
std::optional<NextEnd> WhenEnded(const SessionSnapshot& session, const std::vector<Rule>& rules,
                                 int64_t now_us);

/// Fills rule and reap_in_ms of all, for who shows them. CountBlocked comes first.
void FillNextEnds(std::vector<SessionSnapshot>* sessions, const std::vector<Rule>& rules,
                  int64_t now_us);

/// When Decide has to be asked again although nothing was seen to change: the next moment at which
/// a rule becomes due for one of the sessions as they are, or for one whose state begins now.
/// INT64_MAX: never.
int64_t NextLookUs(const std::vector<SessionSnapshot>& sessions, const std::vector<Rule>& rules,
                   int64_t now_us);

/// How much of a session must be as it was seen when it is ended.
enum class MustBe : uint8_t {
    kSameSession,  // it is the one that was named
    kSameState,    // and in the same state, since the same moment
};

/// Why nobody may end this session, by a rule or by its pid; empty: it may be judged further.
std::string UntouchableBecause(const SessionSnapshot& session);

/// What keeps the host from ending one that may be ended; empty: nothing. SQLite ends what an idle
/// connection holds, never the connection: an open statement is interrupted, a transaction without
/// one is rolled back.
std::string CannotEndBecause(const SessionSnapshot& session);

/// What has changed since `seen`, as the reason to leave it alone; empty: nothing. nullptr: gone.
std::string WhatChanged(const SessionSnapshot& seen, const SessionSnapshot* now, MustBe must_be);

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
