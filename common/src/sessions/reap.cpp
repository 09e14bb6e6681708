// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/reap.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "duration.h"

namespace upkeep::sessions {

namespace {

constexpr std::string_view kBetweenNodes = "citus_internal";

bool StartsWith(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

/// Why this session must not be ended whatever its age; empty: nothing speaks against it.
std::string NeverBecause(const SessionSnapshot& session, const Rule& rule) {
    if (std::string because = UntouchableBecause(session); !because.empty()) {
        return because;
    }
    if (session.is_superuser && !Names(rule.match_user, session.user_name.value_or(""))) {
        return "a superuser's session, and match_user does not name it exactly";
    }
    return session.refusal;
}

/// Kept although the state matches: the reason, or empty.
std::string KeptBecause(const SessionSnapshot& session, const Rule& rule,
                        const std::optional<double>& age_ms) {
    if (!session.is_visible && session.interrupt_only) {
        return "what it is doing is not known: it was opened without a mutex, and its statements "
               "are not captured or one of them is open";
    }
    if (!session.is_visible) {
        return "its state is hidden from you: this needs pg_read_all_stats (or pg_monitor)";
    }
    if (!age_ms && rule.idle_for_ms > 0) {
        return "since when is not known: that needs capture; with idle_for 0 the age does not "
               "matter";
    }
    if (age_ms.value_or(0) < static_cast<double>(rule.idle_for_ms)) {
        return std::string(*session.state) + " for " + Duration(*age_ms) + " only, idle_for is " +
               Duration(static_cast<double>(rule.idle_for_ms));
    }
    if (rule.only_blocking && session.blocks_count.value_or(0) == 0 &&
        !session.holds_xmin.value_or(false)) {
        return "blocks nobody and holds back no cleaning up";
    }
    return "";
}

std::string EndBecause(const SessionSnapshot& session, const std::optional<double>& age_ms) {
    std::string because = std::string(*session.state) +
                          (age_ms ? " for " + Duration(*age_ms) : ", for how long is not known");
    if (const int64_t blocked = session.blocks_count.value_or(0); blocked > 0) {
        because +=
            ", blocks " + std::to_string(blocked) + (blocked == 1 ? " session" : " sessions");
    }
    if (session.interrupt_only && session.state != kActive) {
        because += session.open_statements > 0
                       ? "; its open statement fails with SQLITE_INTERRUPT at its next step, and "
                         "only then lets go"
                       : "; its transaction is rolled back, and what it sends fails with "
                         "SQLITE_INTERRUPT until that is ROLLBACK";
    }
    return because;
}

Verdict VerdictOf(RuleAction action) {
    switch (action) {
        case RuleAction::kEnd:
            return Verdict::kEnd;
        case RuleAction::kCancel:
            return Verdict::kCancel;
        case RuleAction::kLog:
            break;
    }
    return Verdict::kLog;
}

/// SQLite ends transactions: the connection is still there, and has nothing left to keep.
bool IsEnded(const SessionSnapshot& session) {
    return session.interrupt_only && session.state == kAborted;
}

bool IsSameState(const PastAction& past, const SessionSnapshot& session) {
    return past.pid == session.pid && past.started_us == session.started_us &&
           past.state_since_us == StateSinceUs(session);
}

std::string SparedBecause(const SessionSnapshot& session, const Rule& rule) {
    const auto held = static_cast<uint8_t>(session.spare & rule.spare);
    return (held & kListening) != 0     ? "spared: it listens for notifications"
           : (held & kSessionLock) != 0 ? "spared: it holds an advisory lock"
           : (held & kTempTable) != 0   ? "spared: it has made a temporary table"
           : (held & kHeldCursor) != 0  ? "spared: it has a cursor with hold"
                                        : "";
}

/// One round of decisions: what the sessions decided before leave to those behind them.
class Round {
  public:
    Round(const std::vector<SessionSnapshot>& sessions, const std::vector<Rule>& rules,
          const Situation& situation)
        : sessions_(sessions),
          rules_(rules),
          situation_(situation),
          used_(situation.used),
          present_(rules.size()),
          staying_(rules.size()),
          acted_(rules.size()) {
        for (size_t i = 0; i < rules.size(); ++i) {
            for (const SessionSnapshot& session : sessions) {
                const bool counts = session.kind == SessionKind::kClient && !IsEnded(session) &&
                                    MatchesWho(session, rules[i]);
                present_[i] += counts ? 1 : 0;
            }
            staying_[i] = present_[i];
            for (const PastAction& past : situation.past) {
                const bool counts = rules[i].name == std::string_view(past.rule) &&
                                    past.at_us > situation.now_us - kMinuteUs;
                acted_[i] += counts ? 1 : 0;
            }
        }
    }

    /// `governing` is not empty.
    Decision Of(size_t session, const std::vector<size_t>& governing) {
        Decision decision;
        bool look_again = false;
        for (const size_t rule : governing) {
            Decision one = By(session, rule);
            look_again = look_again || one.look_again;
            if (one.verdict != Verdict::kKeep && one.verdict != Verdict::kRefuse) {
                Take(session, rule, one.verdict);
                one.look_again = look_again && one.verdict != Verdict::kEnd;
                return one;
            }
            // What is told of a session that stays: that it must not be touched, or else what keeps
            // it from the strongest action.
            if (decision.because.empty() ||
                (one.verdict == Verdict::kRefuse && decision.verdict == Verdict::kKeep)) {
                decision = std::move(one);
            }
        }
        decision.look_again = look_again;
        return decision;
    }

  private:
    static constexpr int64_t kMinuteUs = 60'000'000;

    Decision By(size_t at, size_t rule_at) const {
        const SessionSnapshot& session = sessions_[at];
        const Rule& rule = rules_[rule_at];
        const std::optional<double> age_ms = StateMs(session, situation_.now_us);
        Decision decision{at, rule_at, Verdict::kKeep, KeptBecause(session, rule, age_ms)};
        if (!decision.because.empty()) {
            // Old enough, so it is what hangs on others.
            decision.look_again =
                session.is_visible && age_ms && *age_ms >= static_cast<double>(rule.idle_for_ms);
            return decision;
        }
        decision.because = NeverBecause(session, rule);
        if (decision.because.empty() && rule.action == RuleAction::kEnd) {
            decision.because = CannotEndBecause(session);
        }
        if (!decision.because.empty()) {
            decision.verdict = Verdict::kRefuse;
            return decision;
        }
        decision.because = HeldBackByItself(session, rule);
        if (decision.because.empty()) {
            decision.because = HeldBackByOthers(rule_at);
            decision.look_again = !decision.because.empty();
        }
        if (decision.because.empty()) {
            decision.verdict = VerdictOf(rule.action);
            decision.because = EndBecause(session, age_ms);
        }
        return decision;
    }

    /// By the session's own past, and what it holds: that stays while it stays in its state.
    std::string HeldBackByItself(const SessionSnapshot& session, const Rule& rule) const {
        if (rule.action != RuleAction::kEnd &&
            std::any_of(situation_.past.begin(), situation_.past.end(), [&](const auto& past) {
                return rule.name == std::string_view(past.rule) && IsSameState(past, session);
            })) {
            return "the rule has acted on it already since it is in this state";
        }
        return SparedBecause(session, rule);
    }

    std::string HeldBackByOthers(size_t at) const {
        const Rule& rule = rules_[at];
        if (rule.only_above_usage_ratio >= 0 &&
            static_cast<double>(used_) <=
                rule.only_above_usage_ratio * static_cast<double>(situation_.most)) {
            return "only " + std::to_string(used_) + " of " + std::to_string(situation_.most) +
                   " connections are used: not above only_above_usage_ratio";
        }
        if (rule.action == RuleAction::kEnd && staying_[at] <= rule.keep_at_least) {
            return "kept by keep_at_least: " + std::to_string(rule.keep_at_least) + " of " +
                   std::to_string(present_[at]) + " are to stay";
        }
        if (rule.max_per_minute != Rule::kNoLimit && acted_[at] >= rule.max_per_minute) {
            return "put off by max_per_minute: " + std::to_string(rule.max_per_minute) +
                   " in the last minute";
        }
        return "";
    }

    void Take(size_t session, size_t rule, Verdict verdict) {
        ++acted_[rule];
        if (verdict != Verdict::kEnd) {
            return;
        }
        --used_;
        for (size_t i = 0; i < rules_.size(); ++i) {
            staying_[i] -= MatchesWho(sessions_[session], rules_[i]) ? 1 : 0;
        }
    }

    const std::vector<SessionSnapshot>& sessions_;
    const std::vector<Rule>& rules_;
    const Situation& situation_;
    int64_t used_;
    // by rule
    std::vector<int64_t> present_;  // sessions that match but for state and age
    std::vector<int64_t> staying_;  // of these, not ended in this round
    std::vector<int64_t> acted_;    // actions of the last minute
};

/// Longest in their state first. Unknown times (0) come last: they must not take the place of one
/// that is known to be old.
std::vector<size_t> InOrder(const std::vector<SessionSnapshot>& sessions) {
    std::vector<size_t> order(sessions.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        const auto key = [&](size_t i) {
            const int64_t since = StateSinceUs(sessions[i]);
            return since == 0 ? std::numeric_limits<int64_t>::max() : since;
        };
        return key(a) != key(b) ? key(a) < key(b) : sessions[a].pid < sessions[b].pid;
    });
    return order;
}

}  // namespace

std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions,
                             const std::vector<Rule>& rules, const Situation& situation) {
    Round round(sessions, rules, situation);
    std::vector<Decision> decisions;
    for (const size_t session : InOrder(sessions)) {
        const std::vector<size_t> governing = Governing(sessions[session], rules);
        if (!governing.empty()) {
            decisions.push_back(round.Of(session, governing));
        }
    }
    return decisions;
}

std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions, const Rule& rule,
                             int64_t now_us) {
    Situation situation;
    situation.now_us = now_us;
    return Decide(sessions, std::vector<Rule>{rule}, situation);
}

std::optional<NextEnd> WhenEnded(const SessionSnapshot& session, const std::vector<Rule>& rules,
                                 int64_t now_us) {
    const std::optional<double> age_ms = StateMs(session, now_us);
    std::optional<NextEnd> next;
    if (!session.is_visible || !age_ms) {
        return next;
    }
    for (const size_t i : Governing(session, rules)) {
        const Rule& rule = rules[i];
        const bool blocks =
            session.blocks_count.value_or(0) > 0 || session.holds_xmin.value_or(false);
        if (rule.action != RuleAction::kEnd || !NeverBecause(session, rule).empty() ||
            !CannotEndBecause(session).empty() || !SparedBecause(session, rule).empty() ||
            (rule.only_blocking && !blocks)) {
            continue;
        }
        const double in_ms = std::max(static_cast<double>(rule.idle_for_ms) - *age_ms, 0.0);
        if (!next || in_ms < next->in_ms) {
            next = NextEnd{i, in_ms};
        }
    }
    return next;
}

void FillNextEnds(std::vector<SessionSnapshot>* sessions, const std::vector<Rule>& rules,
                  int64_t now_us) {
    for (SessionSnapshot& session : *sessions) {
        if (const std::optional<NextEnd> next = WhenEnded(session, rules, now_us)) {
            session.rule = std::string(std::string_view(rules[next->rule].name));
            session.reap_in_ms = next->in_ms;
        }
    }
}

int64_t NextLookUs(const std::vector<SessionSnapshot>& sessions, const std::vector<Rule>& rules,
                   int64_t now_us) {
    int64_t next = std::numeric_limits<int64_t>::max();
    for (const Rule& rule : rules) {
        next = rule.enabled ? std::min(next, now_us + rule.idle_for_ms * 1000) : next;
    }
    for (const SessionSnapshot& session : sessions) {
        for (const size_t i : Governing(session, rules)) {
            const int64_t due_us = StateSinceUs(session) + rules[i].idle_for_ms * 1000;
            next = due_us > now_us ? std::min(next, due_us) : next;
        }
    }
    return next;
}

std::string UntouchableBecause(const SessionSnapshot& session) {
    if (session.is_own) {
        return "your own session";
    }
    switch (session.kind) {
        case SessionKind::kReplication:
            return "a replication connection: end it where the standby or subscriber is";
        case SessionKind::kBackground:
            return "a background worker, no client's session";
        case SessionKind::kOtherProcess:
            return "belongs to another process: only that can end it";
        case SessionKind::kClient:
            break;
    }
    if (StartsWith(session.application_name, kBetweenNodes)) {
        return "a session between nodes (" + session.application_name + ")";
    }
    return "";
}

std::string CannotEndBecause(const SessionSnapshot& session) {
    if (!session.interrupt_only || session.open_statements > 0 || session.state == kActive) {
        return "";
    }
    return session.state == kIdle
               ? "an idle connection holds nothing, and only its owner can close it"
               : session.rollback_refusal;
}

std::string WhatChanged(const SessionSnapshot& seen, const SessionSnapshot* now, MustBe must_be) {
    if (now == nullptr) {
        return "it has ended by itself";
    }
    if (seen.started_us != 0 && seen.started_us != now->started_us) {
        return "it has ended by itself, and its pid is another session's now";
    }
    if (must_be == MustBe::kSameSession) {
        return "";
    }
    if (seen.state != now->state) {
        return "it woke up: its state is " + now->state.value_or("unknown") + " now";
    }
    if (seen.state_change_us != now->state_change_us ||
        seen.query_start_us != now->query_start_us) {
        return "it woke up and has done something since it was looked at";
    }
    return "";
}

}  // namespace upkeep::sessions
