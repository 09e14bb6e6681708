// Many rules at once, against a reading of them that is as plain as the reference page.
// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/rule.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "upkeep/sessions/reap.h"

namespace upkeep::sessions {
namespace {

constexpr int64_t kNow = 1'700'000'000'000'000;
constexpr int64_t kMinute = 60'000'000;

SessionSnapshot Session(int64_t pid, std::string_view state, int64_t age_ms) {
    SessionSnapshot session;
    session.pid = pid;
    session.started_us = kNow - 3'600'000'000 - pid;
    session.database_name = "db";
    session.user_name = "app";
    session.application_name = "web";
    session.state = std::string(state);
    session.state_change_us = kNow - age_ms * 1000;
    session.query_start_us = session.state_change_us;
    return session;
}

Rule Named(std::string_view name, int64_t idle_for_ms, RuleAction action = RuleAction::kEnd) {
    Rule rule;
    rule.name = name;
    rule.idle_for_ms = idle_for_ms;
    rule.action = action;
    return rule;
}

Situation Now() {
    Situation situation;
    situation.now_us = kNow;
    return situation;
}

TEST(RulesTest, TheSmallestPriorityGovernsAlone) {
    Rule shield = Named("psql may stay", 3'600'000);
    shield.priority = 1;
    shield.match_application = std::string_view("psql");
    const std::vector<Rule> rules = {Named("all", 1000), shield};
    std::vector<SessionSnapshot> sessions = {Session(1, kIdle, 5000), Session(2, kIdle, 5000)};
    sessions[1].application_name = "psql";
    const std::vector<Decision> decisions = Decide(sessions, rules, Now());
    ASSERT_EQ(decisions.size(), 2U);
    EXPECT_EQ(decisions[0].verdict, Verdict::kEnd);
    EXPECT_EQ(decisions[0].rule, 0U);
    EXPECT_EQ(decisions[1].verdict, Verdict::kKeep);
    EXPECT_EQ(decisions[1].rule, 1U);
    // A rule that is switched off shields nobody.
    std::vector<Rule> without = rules;
    without[1].enabled = false;
    EXPECT_EQ(Decide(sessions, without, Now())[1].verdict, Verdict::kEnd);
}

TEST(RulesTest, ALadderGoesUpAndLogsOnce) {
    const std::vector<Rule> rules = {Named("say", 1000, RuleAction::kLog), Named("end", 5000)};
    Situation situation = Now();
    const SessionSnapshot young = Session(7, kIdleInTransaction, 2000);
    std::vector<Rule> in_transaction = rules;
    for (Rule& rule : in_transaction) {
        rule.match_state = kIdleInTransaction;
    }
    EXPECT_EQ(Decide({young}, in_transaction, situation)[0].verdict, Verdict::kLog);
    situation.past = {{"say", kNow - 500'000, 7, young.started_us, StateSinceUs(young)}};
    EXPECT_EQ(Decide({young}, in_transaction, situation)[0].verdict, Verdict::kKeep);
    EXPECT_EQ(Decide({Session(7, kIdleInTransaction, 6000)}, in_transaction, situation)[0].verdict,
              Verdict::kEnd);
    situation.past[0].state_since_us -= 1;  // that was another transaction
    EXPECT_EQ(Decide({young}, in_transaction, situation)[0].verdict, Verdict::kLog);
}

TEST(RulesTest, UsageFallsWithEachEnd) {
    Rule rule = Named("full", 0);
    rule.only_above_usage_ratio = 0.8;
    Situation situation = Now();
    situation.used = 10;
    situation.most = 10;
    std::vector<SessionSnapshot> sessions;
    for (int64_t pid = 1; pid <= 10; ++pid) {
        sessions.push_back(Session(pid, kIdle, 100 - pid));
    }
    int ended = 0;
    for (const Decision& decision : Decide(sessions, std::vector<Rule>{rule}, situation)) {
        ended += decision.verdict == Verdict::kEnd ? 1 : 0;
        EXPECT_EQ(decision.verdict == Verdict::kEnd, sessions[decision.session].pid <= 2);
    }
    EXPECT_EQ(ended, 2);  // at 8 of 10 it is no longer above 0.8
}

TEST(RulesTest, LookAgainWhereOthersHoldItBack) {
    const auto again = [](const SessionSnapshot& session, const std::vector<Rule>& rules,
                          const Situation& situation) {
        const std::vector<Decision> decisions = Decide({session}, rules, situation);
        EXPECT_EQ(decisions.size(), 1U);
        return !decisions.empty() && decisions.front().look_again;
    };
    Rule rule = Named("r", 1000);
    EXPECT_FALSE(again(Session(1, kIdle, 5000), {rule}, Now()));  // it ends
    EXPECT_FALSE(again(Session(1, kIdle, 500), {rule}, Now()));   // NextLookUs knows when
    Rule keeps = rule;
    keeps.keep_at_least = 1;
    EXPECT_TRUE(again(Session(1, kIdle, 5000), {keeps}, Now()));
    EXPECT_FALSE(again(Session(1, kIdle, 500), {keeps}, Now()));
    Rule blocking = rule;
    blocking.only_blocking = true;
    EXPECT_TRUE(again(Session(1, kIdle, 5000), {blocking}, Now()));
    EXPECT_FALSE(again(Session(1, kIdle, 500), {blocking}, Now()));
    Rule limited = rule;
    limited.max_per_minute = 1;
    Situation acted = Now();
    acted.past.push_back({"r", kNow - 1, 2, 0, 0});
    EXPECT_TRUE(again(Session(1, kIdle, 5000), {limited}, acted));
    // What it holds does not change while it is idle, nor does who it is.
    SessionSnapshot holder = Session(1, kIdle, 5000);
    holder.spare = kListening;
    Rule sparing = keeps;
    sparing.spare = kSpareAll;
    EXPECT_FALSE(again(holder, {sparing}, Now()));
    SessionSnapshot superuser = Session(1, kIdle, 5000);
    superuser.is_superuser = true;
    EXPECT_FALSE(again(superuser, {keeps}, Now()));
    // A weaker step of the ladder that is done does not make the stronger one forgotten.
    EXPECT_TRUE(again(Session(1, kIdle, 5000), {keeps, Named("l", 1000, RuleAction::kLog)}, Now()));
}

TEST(RulesTest, FillNextEnds) {
    std::vector<SessionSnapshot> sessions = {Session(1, kIdle, 400), Session(2, kActive, 400)};
    FillNextEnds(&sessions, {Named("late", 5000), Named("soon", 1000)}, kNow);
    EXPECT_EQ(sessions[0].rule, "soon");
    EXPECT_EQ(sessions[0].reap_in_ms, 600);
    EXPECT_FALSE(sessions[1].rule || sessions[1].reap_in_ms);
}

TEST(RulesTest, WhenEndedAndNextLook) {
    std::vector<Rule> rules = {Named("b", 60'000), Named("a", 90'000), Named("log", 10'000)};
    rules[2].action = RuleAction::kLog;
    SessionSnapshot session = Session(1, kIdle, 20'000);
    const std::optional<NextEnd> next = WhenEnded(session, rules, kNow);
    ASSERT_TRUE(next);
    EXPECT_EQ(next->rule, 0U);
    EXPECT_DOUBLE_EQ(next->in_ms, 40'000);
    EXPECT_EQ(NextLookUs({session}, rules, kNow), kNow + 10'000'000);  // another one may turn idle
    rules[2].enabled = false;
    EXPECT_EQ(NextLookUs({session}, rules, kNow), kNow + 40'000'000);
    EXPECT_EQ(NextLookUs({}, {}, kNow), INT64_MAX);
    session.is_superuser = true;
    EXPECT_FALSE(WhenEnded(session, rules, kNow));
    session.is_superuser = false;
    rules[0].spare = rules[1].spare = kSpareAll;
    session.spare = kTempTable;
    EXPECT_FALSE(WhenEnded(session, rules, kNow));
    session.state = std::string(kActive);
    EXPECT_FALSE(WhenEnded(session, rules, kNow));
}

// --- the plain reading ---------------------------------------------------------------------------

struct World {
    std::vector<SessionSnapshot> sessions;
    std::vector<Rule> rules;
    Situation situation;
};

template <typename Item, size_t kCount>
Item Any(std::mt19937& random, const Item (&items)[kCount]) {
    return items[random() % kCount];
}

World AnyWorld(std::mt19937& random) {
    const std::string_view states[] = {kIdle, kIdle, kIdle, kActive, kIdleInTransaction};
    const char* applications[] = {"a", "b", "b", "citus_internal x"};
    const char* patterns[] = {"%", "%", "%", "a", "_", "b%"};
    const char* addresses[] = {"10.0.0.1", "10.0.1.1", ""};
    const char* networks[] = {"", "", "", "10.0.0.0/24", "local"};
    World world;
    world.situation = Now();
    for (size_t i = 0; i < random() % 6; ++i) {
        SessionSnapshot s = Session(static_cast<int64_t>(i) + 1, Any(random, states),
                                    static_cast<int64_t>(random() % 10));
        s.application_name = Any(random, applications);
        s.user_name = random() % 2 == 0 ? "a" : "b";
        const std::string address = Any(random, addresses);
        s.client_addr = address.empty() ? std::nullopt : std::optional(address);
        s.is_superuser = random() % 5 == 0;
        s.is_own = random() % 12 == 0;
        s.kind = random() % 8 == 0 ? SessionKind::kReplication : SessionKind::kClient;
        s.blocks_count = random() % 3 == 0 ? 1 : 0;
        s.holds_xmin = random() % 3 == 0;
        s.spare = random() % 2 == 0 ? 0 : static_cast<uint8_t>(random() % 16);
        world.sessions.push_back(s);
    }
    const int64_t count = 1 + static_cast<int64_t>(random() % 4);
    for (int64_t i = 0; i < count; ++i) {
        Rule rule = Named("r" + std::to_string(i), static_cast<int64_t>(random() % 8));
        rule.priority = static_cast<int32_t>(random() % 3);
        rule.enabled = random() % 6 != 0;
        rule.match_state = Any(random, states);
        rule.match_user = std::string_view(Any(random, patterns));
        rule.match_application = std::string_view(Any(random, patterns));
        rule.match_address = ParseNetwork(Any(random, networks)).value();
        rule.only_blocking = random() % 4 == 0;
        rule.only_above_usage_ratio = random() % 3 == 0 ? 0.5 : -1;
        rule.keep_at_least = static_cast<int64_t>(random() % 3);
        rule.max_per_minute = random() % 3 == 0 ? 1 + static_cast<int64_t>(random() % 2) : -1;
        rule.action = random() % 2 == 0   ? RuleAction::kEnd
                      : random() % 2 == 0 ? RuleAction::kCancel
                                          : RuleAction::kLog;
        rule.spare = random() % 2 == 0 ? 0 : static_cast<uint8_t>(random() % 16);
        world.rules.push_back(rule);
    }
    world.situation.most = 8;
    world.situation.used = static_cast<int64_t>(world.sessions.size() + random() % 3);
    for (size_t i = 0; i < random() % 3; ++i) {
        PastAction past;
        past.rule = "r" + std::to_string(random() % 4);
        past.at_us = kNow - static_cast<int64_t>(random() % 3) * kMinute / 2;
        if (!world.sessions.empty()) {
            const SessionSnapshot& s = world.sessions[random() % world.sessions.size()];
            past.pid = s.pid;
            past.started_us = s.started_us;
            past.state_since_us = s.state_change_us - static_cast<int64_t>(random() % 2);
        }
        world.situation.past.push_back(past);
    }
    return world;
}

bool FitsPattern(const std::string& name, std::string_view pattern) {  // of the five above
    return pattern == "%" || pattern == "_" ? pattern == "%" || name.size() == 1
           : pattern == "b%"                ? name.substr(0, 1) == "b"
                                            : name == pattern;
}

bool FitsWho(const SessionSnapshot& s, const Rule& r) {
    const bool fits_address =
        r.match_address.family == Network::Family::kAny ||
        (r.match_address.family == Network::Family::kLocal ? !s.client_addr
                                                           : s.client_addr == "10.0.0.1");
    return FitsPattern(*s.user_name, r.match_user) &&
           FitsPattern(s.application_name, r.match_application) && fits_address;
}

/// What becomes of each session: pid -> rule and action. One session after the other, the longest
/// in its state first; for each the rule is found by trying all of them.
std::map<int64_t, std::pair<size_t, RuleAction>> PlainReading(const World& world) {
    std::map<int64_t, std::pair<size_t, RuleAction>> done;
    std::vector<const SessionSnapshot*> left;
    for (const SessionSnapshot& s : world.sessions) {
        left.push_back(&s);
    }
    const auto count_past = [&](const Rule& rule) {
        int64_t count = 0;
        for (const PastAction& past : world.situation.past) {
            count += rule.name == past.rule && past.at_us > kNow - kMinute ? 1 : 0;
        }
        for (const auto& [pid, what] : done) {
            count += &world.rules[what.first] == &rule ? 1 : 0;
        }
        return count;
    };
    const auto is_ended = [&](const SessionSnapshot& s) {
        return done.count(s.pid) != 0 && done[s.pid].second == RuleAction::kEnd;
    };
    const auto may = [&](const SessionSnapshot& s, const Rule& r) {
        int64_t staying = 0;
        int64_t used = world.situation.used;
        for (const SessionSnapshot& other : world.sessions) {
            staying += other.kind == SessionKind::kClient && FitsWho(other, r) && !is_ended(other);
            used -= is_ended(other) ? 1 : 0;
        }
        for (const PastAction& past : world.situation.past) {
            if (r.action != RuleAction::kEnd && r.name == past.rule && past.pid == s.pid &&
                past.state_since_us == s.state_change_us && past.started_us == s.started_us) {
                return false;
            }
        }
        return s.kind == SessionKind::kClient && !s.is_own && s.application_name[0] != 'c' &&
               (!s.is_superuser || r.match_user == *s.user_name) &&
               kNow - s.state_change_us >= r.idle_for_ms * 1000 &&
               (!r.only_blocking || *s.holds_xmin || *s.blocks_count > 0) &&
               (s.spare & r.spare) == 0 &&
               (r.only_above_usage_ratio < 0 || static_cast<double>(used) > 8 * 0.5) &&
               (r.action != RuleAction::kEnd || staying > r.keep_at_least) &&
               (r.max_per_minute < 0 || count_past(r) < r.max_per_minute);
    };
    while (!left.empty()) {
        size_t oldest = 0;
        for (size_t i = 1; i < left.size(); ++i) {  // equal ages: in the order of pids, as given
            oldest = left[i]->state_change_us < left[oldest]->state_change_us ? i : oldest;
        }
        const SessionSnapshot& s = *left[oldest];
        left.erase(left.begin() + static_cast<std::ptrdiff_t>(oldest));
        int32_t priority = INT32_MAX;
        for (const Rule& r : world.rules) {
            if (r.enabled && FitsWho(s, r) && s.state == r.match_state) {
                priority = std::min(priority, r.priority);
            }
        }
        for (const RuleAction action : {RuleAction::kEnd, RuleAction::kCancel, RuleAction::kLog}) {
            int64_t best = -1;
            for (size_t i = 0; i < world.rules.size(); ++i) {
                const Rule& r = world.rules[i];
                const bool acts = r.enabled && r.priority == priority && r.action == action &&
                                  FitsWho(s, r) && s.state == r.match_state && may(s, r);
                if (acts && (best < 0 ||
                             r.idle_for_ms > world.rules[static_cast<size_t>(best)].idle_for_ms)) {
                    best = static_cast<int64_t>(i);
                }
            }
            if (best >= 0) {
                done[s.pid] = {static_cast<size_t>(best), action};
                break;
            }
        }
    }
    return done;
}

TEST(RulesTest, AgreeWithAPlainReadingInAHundredThousandSituations) {
    std::mt19937 random(20);
    size_t acted = 0;
    size_t kept = 0;
    for (int round = 0; round < 100'000; ++round) {
        const World world = AnyWorld(random);
        const auto wanted = PlainReading(world);
        std::map<int64_t, std::pair<size_t, RuleAction>> found;
        for (const Decision& decision : Decide(world.sessions, world.rules, world.situation)) {
            ASSERT_FALSE(decision.because.empty());
            const int64_t pid = world.sessions[decision.session].pid;
            const Verdict verdict = decision.verdict;
            if (verdict == Verdict::kKeep || verdict == Verdict::kRefuse) {
                ++kept;
                continue;
            }
            found[pid] = {decision.rule, verdict == Verdict::kEnd      ? RuleAction::kEnd
                                         : verdict == Verdict::kCancel ? RuleAction::kCancel
                                                                       : RuleAction::kLog};
        }
        ASSERT_EQ(found, wanted) << "round " << round;
        acted += found.size();
    }
    EXPECT_GT(acted, 5'000U);  // the situations are not all empty
    EXPECT_GT(kept, 10'000U);
}

TEST(NetworkTest, Table) {
    const auto contains = [](std::string_view network, const char* address) {
        return Contains(ParseNetwork(network).value(),
                        address == nullptr ? std::nullopt : std::optional<std::string>(address));
    };
    EXPECT_TRUE(contains("", nullptr));
    EXPECT_TRUE(contains("", "nonsense"));
    EXPECT_TRUE(contains("local", nullptr));
    EXPECT_FALSE(contains("local", "127.0.0.1"));
    EXPECT_FALSE(contains("10.0.0.0/8", nullptr));
    EXPECT_TRUE(contains("10.0.0.0/8", "10.255.3.4"));
    EXPECT_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
    EXPECT_TRUE(contains("10.4.0.0/14", "10.7.0.1"));
    EXPECT_FALSE(contains("10.4.0.0/14", "10.8.0.1"));
    EXPECT_TRUE(contains("10.1.2.3", "10.1.2.3"));
    EXPECT_FALSE(contains("10.1.2.3", "10.1.2.4"));
    EXPECT_TRUE(contains("0.0.0.0/0", "1.2.3.4"));
    EXPECT_FALSE(contains("0.0.0.0/0", "::1"));
    EXPECT_TRUE(contains("::1", "::1"));
    EXPECT_TRUE(contains("2001:db8::/32", "2001:db8:1:2:3:4:5:6"));
    EXPECT_FALSE(contains("2001:db8::/32", "2001:db9::1"));
    EXPECT_TRUE(contains("::ffff:10.0.0.0/104", "::ffff:10.2.3.4"));
    for (const char* bad :
         {"10.0.0.0/33", "10.0.0.1/8", "10.0.0", "10.0.0.256", "10.0.0.0/", "10.0.0.0/-1", "/8",
          "localhost", "::1/129", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
          "g::", "10.0.0.0/08x", " 10.0.0.1", "12345::"}) {
        const Result<Network> parsed = ParseNetwork(bad);
        ASSERT_FALSE(parsed.ok()) << bad;
        EXPECT_FALSE(parsed.error().hint().empty());
    }
}

TEST(CheckRuleTest, RowsOfTheServer) {
    const auto error = [](void (*change)(Rule&)) {
        Rule rule;
        rule.name = "r";
        change(rule);
        const Result<void> checked = CheckRule(rule, RuleFor::kServer);
        EXPECT_TRUE(checked.ok() || !checked.error().hint().empty());
        return checked.ok() ? std::string() : checked.error().message();
    };
    EXPECT_EQ(error([](Rule&) {}), "");
    EXPECT_EQ(error([](Rule& r) { r.match_state = kActive, r.action = RuleAction::kCancel; }), "");
    EXPECT_EQ(error([](Rule& r) { r.only_above_usage_ratio = 1; }), "");
    EXPECT_NE(error([](Rule& r) { r.name = ""; }), "");
    EXPECT_NE(error([](Rule& r) { r.name = std::string(64, 'n'); }), "");
    EXPECT_NE(error([](Rule& r) { r.match_user = std::string(256, 'n'); }), "");
    EXPECT_NE(error([](Rule& r) { r.match_state = kActive; }), "");
    EXPECT_NE(error([](Rule& r) { r.match_state = std::string_view("disabled"); }), "");
    EXPECT_NE(error([](Rule& r) { r.action = RuleAction::kCancel; }), "");
    EXPECT_NE(error([](Rule& r) { r.only_above_usage_ratio = 1.1; }), "");
    EXPECT_NE(error([](Rule& r) { r.max_per_minute = 0; }), "");
    EXPECT_NE(error([](Rule& r) { r.idle_for_ms = -1; }), "");
    EXPECT_FALSE(ParseSpare({"listening", "cursor"}).ok());
    EXPECT_EQ(ParseSpare({"held_cursor", "listening"}).value(), kHeldCursor | kListening);
    EXPECT_FALSE(ParseAction("kill").ok());
    EXPECT_EQ(ParseAction("cancel").value(), RuleAction::kCancel);
    EXPECT_EQ(ActionWord(RuleAction::kLog), "log");
}

}  // namespace
}  // namespace upkeep::sessions
