// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/reap.h"

#include <algorithm>
#include <array>

#include "duration.h"

namespace upkeep::sessions {

namespace {

constexpr std::array<std::string_view, 3> kMatchable = {kIdle, kIdleInTransaction, kAborted};
constexpr std::string_view kBetweenNodes = "citus_internal";

bool StartsWith(std::string_view text, std::string_view start) {
    return text.substr(0, start.size()) == start;
}

/// The pattern's text if it has no wildcard: then it names one thing.
bool Names(std::string_view pattern, std::string_view name) {
    std::string plain;
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '%' || pattern[i] == '_') {
            return false;
        }
        if (pattern[i] == '\\' && i + 1 < pattern.size()) {
            ++i;
        }
        plain += pattern[i];
    }
    return plain == name;
}

bool MatchesWho(const SessionSnapshot& session, const Rule& rule) {
    return session.pid != 0 && Like(session.application_name, rule.match_application) &&
           Like(session.user_name.value_or(""), rule.match_user) &&
           Like(session.database_name.value_or(""), rule.match_database);
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

/// What an interrupt cannot end. Source: SQLite interrupts statements; a transaction without one
/// under way does not notice, and closing is the owner's.
std::string InterruptCannot(const SessionSnapshot& session) {
    if (!session.interrupt_only || session.open_statements > 0) {
        return "";
    }
    return session.state == kIdle
               ? "an idle connection holds nothing, and only its owner can close it"
               : "an interrupt does nothing to a transaction without an open statement: its owner "
                 "has to COMMIT or ROLLBACK";
}

/// Kept although the state matches: the reason, or empty.
std::string KeptBecause(const SessionSnapshot& session, const Rule& rule,
                        const std::optional<double>& age_ms) {
    if (!session.is_visible && session.interrupt_only) {
        return "what it is doing is not known: it was opened without a mutex, and its statements "
               "are not captured";
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
    if (session.interrupt_only) {
        because +=
            "; its open statement fails with SQLITE_INTERRUPT at its next step, and only "
            "then lets go";
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

Decision DecideOne(const SessionSnapshot& session, const Rule& rule, int64_t now_us) {
    const std::optional<double> age_ms = StateMs(session, now_us);
    Decision decision;
    decision.because = KeptBecause(session, rule, age_ms);
    if (!decision.because.empty()) {
        return decision;
    }
    decision.because = NeverBecause(session, rule);
    if (decision.because.empty()) {
        decision.because = InterruptCannot(session);
    }
    if (!decision.because.empty()) {
        decision.verdict = Verdict::kRefuse;
        return decision;
    }
    decision.verdict = VerdictOf(rule.action);
    decision.because = EndBecause(session, age_ms);
    return decision;
}

size_t CharacterBytes(std::string_view text, size_t at) {
    size_t end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        ++end;
    }
    return end - at;
}

}  // namespace

bool Like(std::string_view text, std::string_view pattern) {
    size_t t = 0;
    size_t p = 0;
    size_t star = std::string_view::npos;  // after the last %: where to take up again
    size_t star_text = 0;
    while (t < text.size() || p < pattern.size()) {
        if (p < pattern.size() && pattern[p] == '%') {
            star = ++p;
            star_text = t;
            continue;
        }
        if (p < pattern.size() && t < text.size()) {
            if (pattern[p] == '_') {
                t += CharacterBytes(text, t);
                ++p;
                continue;
            }
            const size_t literal = pattern[p] == '\\' && p + 1 < pattern.size() ? p + 1 : p;
            if (pattern[literal] == text[t]) {
                p = literal + 1;
                ++t;
                continue;
            }
        }
        if (star == std::string_view::npos || star_text >= text.size()) {
            return false;
        }
        star_text += CharacterBytes(text, star_text);  // let the last % take one character more
        t = star_text;
        p = star;
    }
    return true;
}

Result<void> CheckRule(const Rule& rule) {
    if (std::find(kMatchable.begin(), kMatchable.end(), rule.match_state) == kMatchable.end()) {
        return Error(Code::kInvalidArgument, "match_state must not be " + rule.match_state,
                     "use idle, idle in transaction or idle in transaction (aborted)");
    }
    if (rule.idle_for_ms < 0) {
        return Error(Code::kInvalidArgument, "idle_for must not be negative",
                     "give the time that a session may stay in the state");
    }
    if (rule.keep_at_least < 0) {
        return Error(Code::kInvalidArgument, "keep_at_least must not be negative",
                     "give how many sessions are to stay, 0 for none");
    }
    for (const auto& [name, pattern] :
         {std::pair("match_application", std::string_view(rule.match_application)),
          std::pair("match_user", std::string_view(rule.match_user)),
          std::pair("match_database", std::string_view(rule.match_database))}) {
        const size_t last = pattern.find_last_not_of('\\');
        const size_t escapes = pattern.size() - (last == std::string_view::npos ? 0 : last + 1);
        if (escapes % 2 == 1) {
            return Error(Code::kInvalidArgument,
                         std::string(name) + " must not end with its escape character",
                         "write two backslashes for one");
        }
    }
    return {};
}

std::vector<Decision> Decide(const std::vector<SessionSnapshot>& sessions, const Rule& rule,
                             int64_t now_us) {
    std::vector<size_t> matching;
    int64_t present = 0;
    for (size_t i = 0; i < sessions.size(); ++i) {
        const SessionSnapshot& session = sessions[i];
        if (!MatchesWho(session, rule)) {
            continue;
        }
        present += session.kind == SessionKind::kClient ? 1 : 0;
        if (session.state == rule.match_state ||
            (!session.is_visible && session.kind == SessionKind::kClient)) {
            matching.push_back(i);
        }
    }
    // Unknown times (0) come last: they must not take the place of one that is known to be old.
    std::stable_sort(matching.begin(), matching.end(), [&](size_t a, size_t b) {
        const auto key = [&](size_t i) {
            const int64_t since = sessions[i].state_change_us;
            return since == 0 ? INT64_MAX : since;
        };
        return key(a) != key(b) ? key(a) < key(b) : sessions[a].pid < sessions[b].pid;
    });
    int64_t may_go = std::max<int64_t>(present - rule.keep_at_least, 0);
    std::vector<Decision> decisions;
    for (const size_t i : matching) {
        Decision decision = DecideOne(sessions[i], rule, now_us);
        decision.session = i;
        if (decision.verdict == Verdict::kEnd && may_go-- <= 0) {
            decision.verdict = Verdict::kKeep;
            decision.because = "kept by keep_at_least: " + std::to_string(rule.keep_at_least) +
                               " of " + std::to_string(present) + " are to stay";
        }
        decisions.push_back(std::move(decision));
    }
    return decisions;
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
