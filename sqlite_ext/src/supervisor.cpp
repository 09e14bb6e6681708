// SPDX-License-Identifier: PostgreSQL
#include "supervisor.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>

#include "background.h"
#include "capture_memory.h"
#include "rule_store.h"
#include "sessions.h"
#include "settings_state.h"
#include "upkeep/base/text.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/quoted_words.h"

namespace upkeep::sqlite {

namespace {

using sessions::Decision;
using sessions::Outcome;
using sessions::PastAction;
using sessions::Rule;
using sessions::RuleAction;
using sessions::SessionSnapshot;
using sessions::Verdict;

constexpr int64_t kMinuteUs = 60'000'000;

std::atomic<int64_t> reaper_process{0};  // that the setting was last applied in; 0: never

Value Text(const std::optional<std::string>& text) {
    return text ? Value(*text) : Value();
}

RuleAction ActionOf(Verdict verdict) {
    return verdict == Verdict::kEnd      ? RuleAction::kEnd
           : verdict == Verdict::kCancel ? RuleAction::kCancel
                                         : RuleAction::kLog;
}

/// Nothing is known of the tables here: every word that may be a string is taken for one.
class NoWords : public capture::Vocabulary {
  public:
    bool IsKeyword(std::string_view) override { return false; }
    bool IsColumn(std::string_view, const std::string&) override { return false; }
};

std::string Masked(const std::string& sql) {
    NoWords words;
    return ToUtf8(
        capture::Normalize(sql, capture::SqlDialect::kSqlite, capture::QuotedStrings(sql, words)));
}

std::string FileOf(const std::string& database_name) {
    return database_name == kInMemory ? "" : database_name;
}

/// One database's rules, and what they did lately.
class Overseer {
  public:
    explicit Overseer(std::string database) : database_(std::move(database)) {}

    void Judge(const std::vector<SessionSnapshot>& sessions, int64_t now_us,
               ProcessSessions& port) {
        ReadRulesAgain();
        if (rules_.empty()) {
            return;
        }
        ForgetPast(sessions, now_us);
        sessions::Situation situation;
        situation.now_us = now_us;
        situation.used = static_cast<int64_t>(sessions.size());
        situation.past = past_;
        std::vector<Row> log;
        for (const Decision& decision : sessions::Decide(sessions, rules_, situation)) {
            Act(sessions[decision.session], decision, now_us, port, &log);
        }
        if (!log.empty()) {
            LogActions(database_, std::move(log));
        }
    }

    /// Once for as long as it stays so.
    void Complain(const std::string& trouble) {
        if (trouble != trouble_) {
            sqlite3_log(SQLITE_WARNING, "upkeep: rules not applied: %s", trouble.c_str());
            trouble_ = trouble;
        }
    }

  private:
    void ReadRulesAgain() {
        const uint64_t version = RulesVersion(database_);
        if (version != version_) {
            rules_ = ApplicableRules(database_);  // throws: the old ones stay, and are read again
            version_ = version;
            trouble_.clear();
        }
    }

    /// What is older than a minute counts only for a session that is still as it was.
    void ForgetPast(const std::vector<SessionSnapshot>& sessions, int64_t now_us) {
        std::erase_if(past_, [&](const PastAction& past) {
            return past.at_us < now_us - kMinuteUs &&
                   std::none_of(sessions.begin(), sessions.end(),
                                [&](const auto& session) { return IsOf(past, session); });
        });
        std::erase_if(refused_, [&](const PastAction& past) {
            return std::none_of(sessions.begin(), sessions.end(),
                                [&](const auto& session) { return IsOf(past, session); });
        });
    }

    static bool IsOf(const PastAction& past, const SessionSnapshot& session) {
        return past.pid == session.pid && past.started_us == session.started_us &&
               past.state_since_us == sessions::StateSinceUs(session);
    }

    void Act(const SessionSnapshot& session, const Decision& decision, int64_t now_us,
             ProcessSessions& port, std::vector<Row>* log) {
        if (decision.verdict == Verdict::kKeep) {
            return;
        }
        const Rule& rule = rules_[decision.rule];
        PastAction past{.rule = std::string(std::string_view(rule.name)),
                        .at_us = now_us,
                        .pid = session.pid,
                        .started_us = session.started_us,
                        .state_since_us = sessions::StateSinceUs(session)};
        if (decision.verdict == Verdict::kRefuse) {
            LogOnce(session, rule, std::move(past), "refused: " + decision.because, log);
            return;
        }
        const Outcome outcome =
            decision.verdict == Verdict::kLog
                ? Outcome{}
                : port.Act(session, ActionOf(decision.verdict), sessions::MustBe::kSameState);
        if (outcome.what != Outcome::What::kDone) {
            const bool changed = outcome.what == Outcome::What::kChanged;
            LogOnce(session, rule, std::move(past),
                    (changed ? "skipped: " : "refused: ") + outcome.why, log);
            return;
        }
        past_.push_back(std::move(past));
        log->push_back(LogRow(session, rule, now_us, WordOf(session, decision) + decision.because));
    }

    /// What is not done is tried again in each round, and told once while the session stays so.
    void LogOnce(const SessionSnapshot& session, const Rule& rule, PastAction past,
                 std::string outcome, std::vector<Row>* log) {
        const bool is_known = std::any_of(
            refused_.begin(), refused_.end(),
            [&](const PastAction& one) { return one.rule == past.rule && IsOf(one, session); });
        if (!is_known) {
            log->push_back(LogRow(session, rule, past.at_us, std::move(outcome)));
            refused_.push_back(std::move(past));
        }
    }

    static std::string WordOf(const SessionSnapshot& session, const Decision& decision) {
        switch (decision.verdict) {
            case Verdict::kEnd:
                return session.open_statements > 0 ? "interrupted: " : "ended: ";
            case Verdict::kCancel:
                return "cancelled: ";
            default:
                return "logged: ";
        }
    }

    static Row LogRow(const SessionSnapshot& session, const Rule& rule, int64_t now_us,
                      std::string outcome) {
        const std::optional<double> age_ms = sessions::StateMs(session, now_us);
        return {Timestamp{now_us},
                std::string(std::string_view(rule.name)),
                session.pid,
                Text(session.user_name),
                session.application_name,
                Text(session.client_addr),
                Text(session.state),
                age_ms ? Value(*age_ms) : Value(),
                Value(),
                session.query ? Value(Masked(*session.query)) : Value(),
                std::string(sessions::ActionWord(rule.action)),
                std::move(outcome)};
    }

    std::string database_;
    uint64_t version_ = 0;
    std::string trouble_;
    std::vector<Rule> rules_;
    std::vector<PastAction> past_;
    std::vector<PastAction> refused_;
};

/// Used by the thread alone; a child of fork() has none of its parent's connections.
std::map<std::string, Overseer>& Overseers() {
    static auto& overseers = *new std::map<std::string, Overseer>;
    return overseers;
}

void Round() {
    WriteWaitingLogs();
    ProcessSessions port(nullptr);
    int64_t now_us = 0;
    const std::vector<SessionSnapshot> all = port.LookHere(&now_us);
    std::map<std::string, std::vector<SessionSnapshot>> by_database;
    for (const SessionSnapshot& session : all) {
        by_database[session.database_name.value_or("")].push_back(session);
    }
    std::map<std::string, Overseer>& overseers = Overseers();
    std::erase_if(overseers, [&](const auto& one) { return by_database.count(one.first) == 0; });
    for (const auto& [name, sessions] : by_database) {
        try {
            overseers.try_emplace(name, FileOf(name)).first->second.Judge(sessions, now_us, port);
        } catch (const Error& error) {  // its state file: the next round tries again
            overseers.at(name).Complain(error.message());
        }
    }
}

std::chrono::milliseconds ReaperInterval() {
    return std::chrono::milliseconds(
        SettingValue("reaper") == "on"
            ? strtoll(SettingValue("reaper_interval").c_str(), nullptr, 10)
            : 0);
}

void WatchMutexes() {
    WatchRuleStore();
}

Background& TheReaper() {
    static Background& reaper =
        *new Background({.what = "reaping",
                         .hint = "SELECT upkeep_set('reaper', 'off'), and upkeep_reap_sessions "
                                 "now and then",
                         .interval = ReaperInterval,
                         .round = Round,
                         .begins_with_round = true,
                         .at_end = WriteWaitingLogs,
                         .watch_mutexes = WatchMutexes});
    return reaper;
}

}  // namespace

Result<void> ApplyReaper() {
    reaper_process.store(getpid(), std::memory_order_relaxed);
    return TheReaper().Apply();
}

void ApplyReaperInChild() noexcept {
    const int64_t process = reaper_process.load(std::memory_order_relaxed);
    if (process == 0 || process == getpid()) {
        return;
    }
    reaper_process.store(getpid(), std::memory_order_relaxed);
    try {
        static_cast<void>(TheReaper().Apply());
    } catch (const std::exception&) {  // no memory: what is opened is the application's
    }
}

void AddNextEnds(int64_t now_us, std::vector<SessionSnapshot>* sessions) {
    if (SettingValue("reaper") != "on") {
        return;
    }
    std::map<std::string, std::vector<Rule>> by_database;
    for (SessionSnapshot& session : *sessions) {
        const std::string name = session.database_name.value_or("");
        if (session.kind != sessions::SessionKind::kClient) {
            continue;
        }
        const auto [found, is_new] = by_database.try_emplace(name);
        if (is_new) {
            found->second = ApplicableRules(FileOf(name));
        }
        if (const auto next = sessions::WhenEnded(session, found->second, now_us)) {
            session.rule = std::string(std::string_view(found->second[next->rule].name));
            session.reap_in_ms = next->in_ms;
        }
    }
}

Result<void> ReapLog(sqlite3* db, const Arguments&, RowSink& rows) {
    for (Row& row : ReadLog(MainFile(db))) {
        rows.Add(std::move(row));
    }
    return {};
}

}  // namespace upkeep::sqlite
