// The calls that end sessions: look, decide, look again, act, say what came of it.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>

#include "duration.h"
#include "upkeep/sessions/reap.h"

namespace upkeep::sessions {

namespace {

Value Text(const std::optional<std::string>& text) {
    return text ? Value(*text) : Value();
}

std::string Escaped(std::string_view name) {
    std::string pattern;
    for (const char character : name) {
        if (character == '%' || character == '_' || character == '\\') {
            pattern += '\\';
        }
        pattern += character;
    }
    return pattern;
}

Rule RuleFrom(const Arguments& arguments, SessionPort& port) {
    Rule rule;
    rule.idle_for_ms = arguments.Integer("idle_for");
    rule.match_state = arguments.Text("match_state");
    rule.match_application = arguments.Text("match_application");
    rule.match_user = arguments.Text("match_user");
    rule.match_database = arguments.Text("match_database");
    if (rule.match_database == "current") {
        rule.match_database = Escaped(port.CurrentDatabase());
    }
    rule.only_blocking = arguments.Bool("only_blocking");
    rule.keep_at_least = arguments.Integer("keep_at_least");
    return rule;
}

struct Said {
    std::string action;
    std::string reason;
};

Said FromOutcome(Outcome outcome, const char* done, std::string because) {
    switch (outcome.what) {
        case Outcome::What::kDone:
            return {done, std::move(because)};
        case Outcome::What::kChanged:
            return {"skipped", std::move(outcome.why)};
        case Outcome::What::kRefused:
            break;
    }
    return {"refused", std::move(outcome.why)};
}

Said Reap(const SessionSnapshot& session, Decision decision, bool dry_run, SessionPort& port) {
    if (decision.verdict == Verdict::kKeep) {
        return {"skipped", std::move(decision.because)};
    }
    if (decision.verdict == Verdict::kRefuse) {
        return {"refused", std::move(decision.because)};
    }
    if (dry_run) {
        return {"would_end", std::move(decision.because)};
    }
    return FromOutcome(port.Act(session, RuleAction::kEnd, MustBe::kSameState), "ended",
                       std::move(decision.because));
}

/// Why one session that was named by its pid is not touched; empty: it may be.
std::string RefusedBecause(const SessionSnapshot& session, bool cancel) {
    if (std::string because = UntouchableBecause(session); !because.empty()) {
        return because;
    }
    if (session.interrupt_only && !cancel &&
        (session.open_statements > 0 || session.state == kActive || !session.state)) {
        return "only its owner can close a connection; mode cancel interrupts its statement";
    }
    return !session.refusal.empty() || cancel ? session.refusal : CannotEndBecause(session);
}

/// Why there is nothing to cancel; empty: there may be.
std::string NothingToCancel(const SessionSnapshot& session) {
    if (session.interrupt_only) {
        return session.state != kActive && session.open_statements == 0
                   ? "it has no open statement that could be interrupted"
                   : "";
    }
    if (session.state == kIdle) {
        return "it runs no statement";
    }
    if (session.state == kIdleInTransaction || session.state == kAborted) {
        return "it runs no statement: a transaction that is idle ends only with mode end";
    }
    return "";
}

Said End(const SessionSnapshot& session, bool cancel, bool dry_run, int64_t now_us,
         SessionPort& port) {
    if (std::string why = RefusedBecause(session, cancel); !why.empty()) {
        return {"refused", std::move(why)};
    }
    if (std::string why = cancel ? NothingToCancel(session) : ""; !why.empty()) {
        return {"skipped", std::move(why)};
    }
    const std::optional<double> age_ms = StateMs(session, now_us);
    std::string because = session.state ? *session.state : "its state cannot be seen";
    because += age_ms ? " for " + Duration(*age_ms) : "";
    because += session.interrupt_only && !cancel
                   ? "; its transaction is rolled back, and what it sends fails with "
                     "SQLITE_INTERRUPT until that is ROLLBACK"
                   : "";
    if (dry_run) {
        return {cancel ? "would_cancel" : "would_end", std::move(because)};
    }
    // A cancel must not hit the next statement; an end is meant for the session, whatever it does.
    const Outcome outcome =
        port.Act(session, cancel ? RuleAction::kCancel : RuleAction::kEnd,
                 cancel && session.is_visible ? MustBe::kSameState : MustBe::kSameSession);
    return FromOutcome(outcome, cancel ? "cancelled" : "ended", std::move(because));
}

}  // namespace

Result<void> ReapSessions(const Arguments& arguments, SessionPort& port, RowSink& rows) {
    const Rule rule = RuleFrom(arguments, port);
    const bool dry_run = arguments.Bool("dry_run");
    if (Result<void> checked = CheckRule(rule); !checked.ok()) {
        return checked.error();
    }
    int64_t now_us = 0;
    std::vector<SessionSnapshot> sessions = port.Look(&now_us);
    CountBlocked(&sessions);
    size_t hidden = 0;
    for (Decision& decision : Decide(sessions, rule, now_us)) {
        const SessionSnapshot& session = sessions[decision.session];
        hidden += session.is_visible ? 0 : 1;
        Said said = Reap(session, std::move(decision), dry_run, port);
        const std::optional<double> age_ms = StateMs(session, now_us);
        rows.Add({session.pid, Text(session.user_name), session.application_name,
                  Text(session.state), age_ms ? Value(*age_ms) : Value(), std::move(said.action),
                  std::move(said.reason)});
    }
    if (hidden > 0) {
        port.Notice(std::to_string(hidden) + " matching sessions have a state that you may not see",
                    "they are never ended; a role with pg_read_all_stats sees them");
    }
    return {};
}

Result<void> EndSession(const Arguments& arguments, SessionPort& port, RowSink& rows) {
    const int64_t pid = arguments.Integer("session_pid");
    const std::string& mode = arguments.Text("mode");
    const bool dry_run = arguments.Bool("dry_run");
    if (mode != "cancel" && mode != "end") {
        return Error(Code::kInvalidArgument, "mode must not be " + mode, "use cancel or end");
    }
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> sessions = port.Look(&now_us);
    const auto is_it = [&](const SessionSnapshot& session) {
        return session.pid == pid && pid != 0;
    };
    const auto found = std::find_if(sessions.begin(), sessions.end(), is_it);
    if (found == sessions.end()) {
        return Error(Code::kNotFound, "no session has the pid " + std::to_string(pid),
                     "look it up in connections: it may have ended");
    }
    if (std::any_of(found, sessions.end(), [&](const SessionSnapshot& session) {
            return is_it(session) && session.kind != found->kind;
        })) {
        return Error(Code::kInvalidArgument,
                     "the pid " + std::to_string(pid) +
                         " is a connection of this process and another process at once",
                     "end it in its own program");
    }
    Said said = End(*found, mode == "cancel", dry_run, now_us, port);
    rows.Add({found->pid, Text(found->user_name), found->application_name, Text(found->state),
              std::move(said.action), std::move(said.reason)});
    return {};
}

}  // namespace upkeep::sessions
