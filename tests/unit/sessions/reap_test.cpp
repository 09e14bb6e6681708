// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/reap.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>

namespace upkeep::sessions {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000;

/// A client's session, idle for `idle_ms`.
SessionSnapshot Idle(int64_t pid, int64_t idle_ms) {
    SessionSnapshot session;
    session.pid = pid;
    session.database_name = "db";
    session.user_name = "app";
    session.application_name = "web";
    session.state = std::string(kIdle);
    session.state_change_us = kNow - idle_ms * 1000;
    session.query_start_us = kNow - 3'600'000'000;  // the wrong clock says an hour
    session.started_us = kNow - 7'200'000'000;
    return session;
}

Rule OneMinute() {
    Rule rule;
    rule.idle_for_ms = 60'000;
    return rule;
}

Decision Only(const SessionSnapshot& session, const Rule& rule) {
    const std::vector<Decision> decisions = Decide({session}, rule, kNow);
    EXPECT_EQ(decisions.size(), 1U);
    return decisions.empty() ? Decision{} : decisions.front();
}

TEST(DecideTest, EndsWhatIsIdleLongEnoughByTheChangeOfState) {
    const Decision decision = Only(Idle(1, 60'000), OneMinute());
    EXPECT_EQ(decision.verdict, Verdict::kEnd);
    EXPECT_EQ(decision.because, "idle for 60 s");
    const Decision young = Only(Idle(1, 59'999), OneMinute());
    EXPECT_EQ(young.verdict, Verdict::kKeep);
    EXPECT_EQ(young.because, "idle for 59.9 s only, idle_for is 60 s");
    EXPECT_EQ(Only(Idle(1, -5000), OneMinute()).verdict, Verdict::kKeep);  // clock set back
}

TEST(DecideTest, ActionOfTheRule) {
    Rule rule = OneMinute();
    rule.action = RuleAction::kCancel;
    EXPECT_EQ(Only(Idle(1, 99'000), rule).verdict, Verdict::kCancel);
    rule.action = RuleAction::kLog;
    EXPECT_EQ(Only(Idle(1, 99'000), rule).verdict, Verdict::kLog);
}

TEST(DecideTest, NeverThese) {
    struct Case {
        const char* word;
        void (*change)(SessionSnapshot&);
    };
    const Case cases[] = {
        {"own session", [](SessionSnapshot& s) { s.is_own = true; }},
        {"replication", [](SessionSnapshot& s) { s.kind = SessionKind::kReplication; }},
        {"background", [](SessionSnapshot& s) { s.kind = SessionKind::kBackground; }},
        {"another process", [](SessionSnapshot& s) { s.kind = SessionKind::kOtherProcess; }},
        {"between nodes", [](SessionSnapshot& s) { s.application_name = "citus_internal gpid=7"; }},
        {"superuser", [](SessionSnapshot& s) { s.is_superuser = true; }},
        {"the host says no", [](SessionSnapshot& s) { s.refusal = "the host says no"; }},
        {"only its owner can close", [](SessionSnapshot& s) {
             s.interrupt_only = true;
             s.open_statements = 0;
         }}};
    for (const Case& one : cases) {
        SessionSnapshot session = Idle(1, 99'000);
        one.change(session);
        const Decision decision = Only(session, OneMinute());
        EXPECT_EQ(decision.verdict, Verdict::kRefuse) << one.word;
        EXPECT_NE(decision.because.find(one.word), std::string::npos) << decision.because;
    }
}

TEST(DecideTest, HiddenSessionsAreReportedAndKept) {
    SessionSnapshot hidden = Idle(1, 99'000);
    hidden.is_visible = false;
    hidden.state.reset();
    hidden.state_change_us = 0;
    Rule rule = OneMinute();
    rule.idle_for_ms = 0;
    const Decision decision = Only(hidden, rule);
    EXPECT_EQ(decision.verdict, Verdict::kKeep);
    EXPECT_NE(decision.because.find("pg_read_all_stats"), std::string::npos);
    hidden.interrupt_only = true;
    EXPECT_NE(Only(hidden, rule).because.find("not captured"), std::string::npos);
}

TEST(DecideTest, SuperusersOnlyWhereTheRuleNamesThem) {
    SessionSnapshot session = Idle(1, 99'000);
    session.is_superuser = true;
    session.user_name = "a_b";
    Rule rule = OneMinute();
    for (const char* pattern : {"%", "a_b", "a%", "a\\_b%"}) {
        rule.match_user = pattern;
        EXPECT_EQ(Only(session, rule).verdict, Verdict::kRefuse) << pattern;
    }
    rule.match_user = "a\\_b";
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kEnd);
}

TEST(DecideTest, OtherNamesAndStatesAreNotMentioned) {
    const auto matches = [](void (*change)(Rule&)) {
        Rule rule = OneMinute();
        change(rule);
        return !Decide({Idle(1, 99'000)}, rule, kNow).empty();
    };
    EXPECT_TRUE(matches([](Rule& r) { r.match_application = "w_b"; }));
    EXPECT_FALSE(matches([](Rule& r) { r.match_application = "WEB"; }));
    EXPECT_FALSE(matches([](Rule& r) { r.match_user = "other"; }));
    EXPECT_FALSE(matches([](Rule& r) { r.match_database = "d"; }));
    EXPECT_FALSE(matches([](Rule& r) { r.match_state = kIdleInTransaction; }));
    SessionSnapshot prepared = Idle(0, 99'000);  // a prepared transaction is no session
    EXPECT_TRUE(Decide({prepared}, OneMinute(), kNow).empty());
}

TEST(DecideTest, OnlyBlocking) {
    Rule rule = OneMinute();
    rule.only_blocking = true;
    SessionSnapshot session = Idle(1, 99'000);
    session.holds_xmin = false;
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kKeep);
    session.holds_xmin = true;
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kEnd);
    session.holds_xmin.reset();
    session.blocks_count = 2;
    EXPECT_EQ(Only(session, rule).because, "idle for 99 s, blocks 2 sessions");
}

TEST(DecideTest, UnknownAgeCountsOnlyWhereTheAgeDoesNotMatter) {
    SessionSnapshot session = Idle(1, 0);
    session.state_change_us = 0;
    EXPECT_EQ(Only(session, OneMinute()).verdict, Verdict::kKeep);
    Rule rule = OneMinute();
    rule.idle_for_ms = 0;
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kEnd);
}

TEST(DecideTest, InterruptsOnlyWhatHasAnOpenStatement) {
    Rule rule = OneMinute();
    rule.match_state = kIdleInTransaction;
    SessionSnapshot session = Idle(1, 99'000);
    session.interrupt_only = true;
    session.state = std::string(kIdleInTransaction);
    session.open_statements = 0;
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kRefuse);
    session.open_statements = 1;
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kEnd);
}

TEST(DecideTest, RollsBackWhatHasNoOpenStatementWhereTheHostCan) {
    Rule rule = OneMinute();
    rule.match_state = kIdleInTransaction;
    SessionSnapshot session = Idle(1, 99'000);
    session.interrupt_only = true;
    session.state = std::string(kIdleInTransaction);
    session.open_statements = 0;
    session.rollback_refusal = "no mutex";
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kRefuse);
    EXPECT_EQ(Only(session, rule).because, "no mutex");
    EXPECT_FALSE(WhenEnded(session, {rule}, kNow).has_value());
    session.rollback_refusal.clear();
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kEnd);
    EXPECT_NE(Only(session, rule).because.find("rolled back"), std::string::npos);
    EXPECT_TRUE(WhenEnded(session, {rule}, kNow).has_value());
    rule.action = RuleAction::kLog;  // telling of it is always possible
    session.rollback_refusal = "no mutex";
    EXPECT_EQ(Only(session, rule).verdict, Verdict::kLog);
}

TEST(DecideTest, WhatSqliteHasEndedIsNotAmongThoseThatStay) {
    Rule rule = OneMinute();
    rule.match_state = kIdleInTransaction;
    rule.keep_at_least = 1;
    std::vector<SessionSnapshot> sessions = {Idle(1, 99'000), Idle(2, 99'000)};
    for (SessionSnapshot& session : sessions) {
        session.interrupt_only = true;
        session.rollback_refusal.clear();
        session.state = std::string(kIdleInTransaction);
    }
    EXPECT_EQ(Decide(sessions, rule, kNow)[0].verdict, Verdict::kEnd);
    sessions[0].state = std::string(kAborted);
    EXPECT_EQ(Decide(sessions, rule, kNow)[0].verdict, Verdict::kKeep);
}

TEST(DecideTest, KeepAtLeastCountsEveryMatchAndSparesTheYoungest) {
    std::vector<SessionSnapshot> sessions = {Idle(1, 70'000), Idle(2, 90'000), Idle(3, 80'000),
                                             Idle(4, 1'000)};
    sessions[3].state = std::string(kActive);
    SessionSnapshot stranger = Idle(5, 99'000);
    stranger.application_name = "other";
    sessions.push_back(stranger);
    Rule rule = OneMinute();
    rule.match_application = "web";
    for (int64_t keep = 0; keep <= 5; ++keep) {
        rule.keep_at_least = keep;
        std::string ended;
        for (const Decision& decision : Decide(sessions, rule, kNow)) {
            if (decision.verdict == Verdict::kEnd) {
                ended += std::to_string(sessions[decision.session].pid);
            }
        }
        const char* wanted[] = {"231", "231", "23", "2", "", ""};
        EXPECT_EQ(ended, wanted[keep]) << keep;
    }
}

/// A reading of the rules that is as plain as possible, against random situations.
TEST(DecideTest, AgreesWithAPlainReadingOfTheRules) {
    std::mt19937 random(3);
    const char* names[] = {"a", "b", "citus_internal x"};
    const std::string_view states[] = {kIdle, kActive, kIdleInTransaction, kAborted};
    for (int round = 0; round < 20'000; ++round) {
        std::vector<SessionSnapshot> sessions;
        for (size_t i = 0; i < 1 + random() % 5; ++i) {
            SessionSnapshot s =
                Idle(static_cast<int64_t>(i) + 1, static_cast<int64_t>(random() % 10));
            s.state = std::string(states[random() % 4]);
            s.query_start_us = s.state_change_us;
            s.application_name = names[random() % 3];
            s.user_name = names[random() % 2];
            s.is_superuser = random() % 4 == 0;
            s.is_own = random() % 8 == 0;
            s.holds_xmin = random() % 2 == 0;
            s.blocks_count = random() % 2;
            s.kind = random() % 6 == 0 ? SessionKind::kBackground : SessionKind::kClient;
            sessions.push_back(s);
        }
        Rule rule;
        rule.idle_for_ms = static_cast<int64_t>(random() % 8);
        rule.match_state = states[random() % 2 * 2];
        rule.match_user = random() % 2 == 0 ? "%" : "a";
        rule.only_blocking = random() % 2 == 0;
        rule.keep_at_least = static_cast<int64_t>(random() % 3);
        int64_t clients = 0;
        for (const SessionSnapshot& s : sessions) {
            clients +=
                s.kind == SessionKind::kClient && (rule.match_user == "%" || s.user_name == "a");
        }
        int64_t ended = 0;
        int64_t oldest_kept = -1;
        for (const Decision& decision : Decide(sessions, rule, kNow)) {
            const SessionSnapshot& s = sessions[decision.session];
            const bool may = s.state == rule.match_state && !s.is_own &&
                             s.kind == SessionKind::kClient && s.application_name != names[2] &&
                             (rule.match_user == "%" || s.user_name == "a") &&
                             (!s.is_superuser || rule.match_user == "a") &&
                             (kNow - s.state_change_us) / 1000 >= rule.idle_for_ms &&
                             (!rule.only_blocking || *s.holds_xmin || *s.blocks_count > 0);
            const bool ends = decision.verdict == Verdict::kEnd;
            ended += ends ? 1 : 0;
            ASSERT_TRUE(!ends || may);
            ASSERT_FALSE(decision.because.empty());
            if (may && !ends) {
                ASSERT_LE(clients - ended, rule.keep_at_least);  // nothing else may keep it
                oldest_kept = std::max(oldest_kept, kNow - s.state_change_us);
            }
            ASSERT_TRUE(!ends || oldest_kept < 0);  // the longest idle go first
        }
        ASSERT_TRUE(ended == 0 || clients - ended >= rule.keep_at_least);
    }
}

TEST(WhatChangedTest, Table) {
    const SessionSnapshot seen = Idle(1, 5000);
    SessionSnapshot now = seen;
    EXPECT_EQ(WhatChanged(seen, &now, MustBe::kSameState), "");
    EXPECT_NE(WhatChanged(seen, nullptr, MustBe::kSameSession), "");
    now.state = std::string(kActive);
    EXPECT_NE(WhatChanged(seen, &now, MustBe::kSameState).find("woke up"), std::string::npos);
    EXPECT_EQ(WhatChanged(seen, &now, MustBe::kSameSession), "");
    now = seen;
    now.state_change_us += 1;  // idle again, after something else
    EXPECT_NE(WhatChanged(seen, &now, MustBe::kSameState).find("woke up"), std::string::npos);
    now = seen;
    now.started_us += 1;
    EXPECT_NE(WhatChanged(seen, &now, MustBe::kSameSession).find("another session"),
              std::string::npos);
}

TEST(CheckRuleTest, RefusesWhatCannotBeApplied) {
    const auto error = [](void (*change)(Rule&)) {
        Rule rule;
        change(rule);
        const Result<void> checked = CheckRule(rule);
        return checked.ok() ? std::string() : checked.error().message();
    };
    EXPECT_EQ(error([](Rule&) {}), "");
    EXPECT_EQ(error([](Rule& r) { r.match_user = "a\\\\"; }), "");
    EXPECT_EQ(error([](Rule& r) { r.match_state = kAborted; }), "");
    EXPECT_NE(error([](Rule& r) { r.match_state = kActive; }), "");
    EXPECT_NE(error([](Rule& r) { r.match_state = ""; }), "");
    EXPECT_NE(error([](Rule& r) { r.idle_for_ms = -1; }), "");
    EXPECT_NE(error([](Rule& r) { r.keep_at_least = -1; }), "");
    EXPECT_NE(error([](Rule& r) { r.match_user = "\\"; }), "");
    EXPECT_NE(error([](Rule& r) { r.match_database = "a\\\\\\"; }), "");
}

TEST(LikeTest, Table) {
    EXPECT_TRUE(Like("", ""));
    EXPECT_TRUE(Like("", "%"));
    EXPECT_FALSE(Like("", "_"));
    EXPECT_FALSE(Like("a", ""));
    EXPECT_TRUE(Like("abc", "a%c"));
    EXPECT_TRUE(Like("abcbc", "a%bc"));
    EXPECT_FALSE(Like("abcd", "a%c"));
    EXPECT_TRUE(Like("é", "_"));
    EXPECT_FALSE(Like("é", "__"));
    EXPECT_TRUE(Like("aé1", "%_1"));
    EXPECT_TRUE(Like("50%", "50\\%"));
    EXPECT_FALSE(Like("505", "50\\%"));
    EXPECT_TRUE(Like("a_b", "a\\_b"));
    EXPECT_FALSE(Like("axb", "a\\_b"));
    EXPECT_TRUE(Like("\\", "\\\\"));
    EXPECT_TRUE(Like("x", "%%%"));
    EXPECT_FALSE(Like("A", "a"));
}

TEST(LikeTest, AgreesWithARegularExpression) {
    std::mt19937 random(5);
    for (int round = 0; round < 4'000; ++round) {
        std::string text;
        std::string pattern;
        std::string regex;
        for (size_t i = random() % 7; i > 0; --i) {
            text += static_cast<char>('a' + random() % 2);
        }
        for (size_t i = random() % 6; i > 0; --i) {
            const char one = "ab%_"[random() % 4];
            pattern += one;
            regex += one == '%' ? ".*" : one == '_' ? "." : std::string(1, one);
        }
        ASSERT_EQ(Like(text, pattern), std::regex_match(text, std::regex(regex)))
            << text << " LIKE " << pattern;
    }
}

}  // namespace
}  // namespace upkeep::sessions
