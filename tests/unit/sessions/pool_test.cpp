// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/pool.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace upkeep::sessions {
namespace {

class Collect : public RowSink {
  public:
    void Add(Row row) override { rows[std::get<std::string>(row[0])] = std::move(row); }
    std::map<std::string, Row> rows;
};

std::string Text(const Value& value) {
    return IsNull(value) ? "NULL" : std::get<std::string>(value);
}

struct Advice {
    std::map<std::string, Row> rows;
    std::string error;
    std::string Value(const char* name) { return Text(rows.at(name)[1]); }
    std::string Verdict(const char* name) { return Text(rows.at(name)[4]); }
};

PoolFacts Server(int64_t max_connections) {
    PoolFacts facts;
    facts.limits.max_connections = max_connections;
    facts.limits.superuser_reserved = 3;
    facts.limits.reserved = 0;
    return facts;
}

Advice Ask(int64_t processes, int64_t threads, int64_t replicas, const char* environment,
           const PoolFacts& facts) {
    Collect sink;
    const Arguments arguments(*FindCall("advise_pool"),
                              {processes, threads, replicas, std::string(environment)});
    const Result<void> result = AdvisePool(arguments, facts, sink);
    return {std::move(sink.rows), result.ok() ? "" : result.error().message()};
}

TEST(AdvisePoolTest, FiveEnvironmentsOfTheGuideAndWhereTheyBreak) {
    struct Case {
        const char* environment;
        int64_t processes;
        int64_t guide_total;  // processes x (size + overflow), not size + overflow
        const char* verdict;  // with max_connections 100: 97 for the role, 87 without headroom
    };
    for (const Case& one :
         {Case{"development", 2, 30, "ok"}, Case{"staging", 8, 240, "exceeds"},
          Case{"production", 20, 1200, "exceeds"}, Case{"high_load", 24, 1920, "exceeds"}}) {
        Advice advice = Ask(one.processes, 1, 1, one.environment, Server(100));
        EXPECT_EQ(advice.Value("guide_total_connections"), std::to_string(one.guide_total));
        EXPECT_EQ(advice.Verdict("guide_total_connections"), one.verdict) << one.environment;
        EXPECT_EQ(advice.Value("total_connections"), std::to_string(one.processes * 2));
        EXPECT_EQ(advice.Verdict("total_connections"), "ok");
    }
    Advice test = Ask(2, 1, 1, "test", Server(100));
    EXPECT_EQ(test.Value("environment"), "ENVIRONMENT=test");
    EXPECT_EQ(test.Verdict("pool_size"), "not_used");
    EXPECT_EQ(test.Value("pool_size"), "NULL");
}

TEST(AdvisePoolTest, NeverMoreThanThereIs) {
    for (int64_t processes = 1; processes <= 40; processes += 3) {
        for (int64_t threads = 1; threads <= 40; threads += 3) {
            for (int64_t replicas = 1; replicas <= 4; ++replicas) {
                for (const int64_t most : {20, 100, 500}) {
                    Advice advice = Ask(processes, threads, replicas, "production", Server(most));
                    const int64_t usable = std::stoll(Text(advice.rows["total_connections"][3]));
                    const int64_t total = std::stoll(advice.Value("total_connections"));
                    if (advice.Verdict("total_connections") == "ok") {
                        ASSERT_LE(total, usable);
                    } else {
                        ASSERT_GT(processes * replicas, usable);
                    }
                    ASSERT_EQ(advice.Verdict("pooler") == "needed",
                              processes * threads * replicas > usable ||
                                  usable / (processes * replicas) < threads);
                    ASSERT_LE(usable, most - 3 - 3);
                }
            }
        }
    }
}

TEST(AdvisePoolTest, RoleAndDatabaseLimits) {
    PoolFacts facts = Server(100);
    facts.limits.role_limit = 13;
    EXPECT_EQ(Ask(2, 8, 1, "production", facts).Value("pool_size"), "DB_POOL_SIZE=5");
    facts.limits.database_limit = 7;
    EXPECT_EQ(Ask(2, 8, 1, "production", facts).Value("pool_size"), "DB_POOL_SIZE=2");
    facts.limits.is_superuser = true;  // asks for an application: not its own freedom
    EXPECT_EQ(Ask(2, 8, 1, "production", facts).Verdict("total_connections"), "ok");
    facts.limits.max_connections = 4;  // 4 - 3 reserved - 3 headroom: nothing left
    EXPECT_EQ(Ask(2, 8, 1, "production", facts).Verdict("pool_size"), "exceeds");
}

TEST(AdvisePoolTest, MeasuredLoadBesideTheArithmetic) {
    PoolFacts facts = Server(100);  // 97 for the role, 10 of it headroom
    EXPECT_EQ(Ask(4, 2, 1, "production", facts).Verdict("measured_concurrency"), "unknown");
    EXPECT_EQ(Ask(4, 2, 1, "production", facts).Value("measured_concurrency"), "NULL");
    facts.load = MeasuredLoad{.busy_ms = 150'000, .window_ms = 60'000};
    Advice advice = Ask(4, 2, 1, "production", facts);
    EXPECT_EQ(advice.Value("measured_concurrency"), "2.50");
    EXPECT_EQ(advice.Verdict("measured_concurrency"), "ok");
    EXPECT_EQ(Ask(1, 1, 1, "production", facts).Verdict("measured_concurrency"), "exceeds");
    facts.load->busy_ms = 100 * facts.load->window_ms;
    advice = Ask(40, 2, 1, "production", facts);
    EXPECT_EQ(advice.Verdict("measured_concurrency"), "exceeds");
    EXPECT_NE(Text(advice.rows["measured_concurrency"][5]).find("faster"), std::string::npos);
}

TEST(AdvisePoolTest, ReportedPoolsAreEvidence) {
    PoolFacts facts = Server(100);
    EXPECT_EQ(Ask(4, 2, 1, "production", facts).Verdict("reported_pools"), "unknown");
    facts.reported = {.pools = 3, .size = 30, .checked_out = 12, .overflow = 2, .timeouts = 1};
    Advice advice = Ask(4, 2, 1, "production", facts);
    EXPECT_EQ(advice.Value("reported_pools"), "12 of 30 checked out");
    EXPECT_EQ(Text(advice.rows["reported_pools"][2]),
              "3 pools: size 30, overflow 2, waiting 0, timeouts 1");
    EXPECT_EQ(advice.Verdict("reported_pools"), "ok");
    facts.reported.waiting = 1;
    EXPECT_EQ(Ask(4, 2, 1, "production", facts).Verdict("reported_pools"), "limited");
    facts.reported.size = 86;
    EXPECT_EQ(Ask(4, 2, 1, "production", facts).Verdict("reported_pools"), "exceeds");
}

TEST(AdvisePoolTest, WhenAPoolerIsCheaper) {
    // 87 usable with 4 threads: 21 processes fit, the 22nd does not
    Advice fits = Ask(21, 4, 1, "production", Server(100));
    EXPECT_EQ(fits.Verdict("pooler"), "not_needed");
    EXPECT_EQ(fits.Value("pooler_from_processes"), "22");
    EXPECT_EQ(fits.Verdict("pooler_from_processes"), "ok");
    Advice breaks = Ask(11, 4, 2, "production", Server(100));
    EXPECT_EQ(breaks.Verdict("pooler"), "needed");
    EXPECT_EQ(breaks.Verdict("pooler_from_processes"), "exceeds");
    EXPECT_EQ(breaks.Value("pooler_pool_size"), "default_pool_size=87");
    EXPECT_EQ(breaks.Value("pooler_clients"), "max_client_conn=88");
    EXPECT_NE(Text(breaks.rows["pooler_clients"][5]).find("DB_POOL_SIZE=4"), std::string::npos);
    // everything fits and next to nothing is busy: it still costs
    PoolFacts idle = Server(500);
    idle.load = MeasuredLoad{.busy_ms = 60'000, .window_ms = 60'000};
    EXPECT_EQ(Ask(50, 4, 1, "production", idle).Verdict("pooler"), "cheaper");
    idle.load->busy_ms *= 41;
    EXPECT_EQ(Ask(50, 4, 1, "production", idle).Verdict("pooler"), "not_needed");
    idle.load->busy_ms = 1;
    EXPECT_EQ(Ask(5, 4, 1, "production", idle).Verdict("pooler"), "not_needed");
    PoolFacts file;
    file.is_file = true;
    EXPECT_EQ(Ask(500, 4, 1, "production", file).rows.count("pooler_pool_size"), 0U);
}

TEST(AdvisePoolTest, MaxConnectionsExceeded) {
    Advice advice = Ask(100, 1, 1, "production", Server(100));
    EXPECT_EQ(advice.Verdict("pool_size"), "exceeds");
    EXPECT_EQ(advice.Verdict("total_connections"), "exceeds");
    EXPECT_EQ(advice.Verdict("pooler"), "needed");
    EXPECT_NE(Text(advice.rows["guide_total_connections"][5]).find("it fits 1 processes"),
              std::string::npos);
    PoolFacts none = Server(5);  // nothing is left for an application
    EXPECT_EQ(Ask(1, 1, 1, "production", none).Verdict("pooler_pool_size"), "exceeds");
}

TEST(MeasureLoadTest, SumsTopLevelStatementsOverTheTimeTheyWereSeenIn) {
    std::vector<capture::StatementView> statements(3);
    for (capture::StatementView& one : statements) {
        one.counts.key.top_level = 1;
        one.counts.totals.calls = 1;
        one.counts.totals.total_ns = 20'000'000'000;
        one.counts.totals.first_seen_us = 1'000'000'000;
        one.counts.totals.last_seen_us = 1'005'000'000;
    }
    EXPECT_FALSE(MeasureLoad(statements).has_value());  // five seconds
    statements[1].counts.totals.last_seen_us = 1'010'000'000;
    EXPECT_DOUBLE_EQ(MeasureLoad(statements)->concurrency(), 6.0);
    statements[2].counts.key.top_level = 0;  // is in its caller's time already
    EXPECT_DOUBLE_EQ(MeasureLoad(statements)->concurrency(), 4.0);
    EXPECT_FALSE(MeasureLoad({}).has_value());
}

TEST(AdvisePoolTest, RecycleBelowTheServersTimeout) {
    PoolFacts facts = Server(100);
    EXPECT_EQ(Ask(1, 1, 1, "production", facts).Value("pool_recycle"), "DB_POOL_RECYCLE=1800");
    facts.idle_session_timeout_ms = 600'000;
    EXPECT_EQ(Ask(1, 1, 1, "production", facts).Value("pool_recycle"), "DB_POOL_RECYCLE=480");
    facts.idle_session_timeout_ms = 500;
    EXPECT_EQ(Ask(1, 1, 1, "production", facts).Value("pool_recycle"), "DB_POOL_RECYCLE=1");
}

TEST(AdvisePoolTest, BadNumbersAndWords) {
    for (const auto& [p, t, r] : {std::tuple(0, 1, 1), std::tuple(1, 0, 1), std::tuple(1, 1, -1),
                                  std::tuple(1'000'001, 1, 1)}) {
        EXPECT_NE(Ask(p, t, r, "production", Server(100)).error.find("must be between"),
                  std::string::npos);
    }
    EXPECT_NE(Ask(1, 1, 1, "Production", Server(100)).error, "");
    EXPECT_EQ(Ask(1'000'000, 1'000'000, 1'000'000, "high_load", Server(100)).error, "");
}

TEST(ConnectionLimitsTest, AvailableIsTheSmallestOfAll) {
    ConnectionLimits limits;
    EXPECT_FALSE(AvailableNow(limits).has_value());
    limits.max_connections = 100;
    limits.superuser_reserved = 3;
    limits.reserved = 2;
    limits.used = 90;
    EXPECT_EQ(AvailableNow(limits), 5);
    limits.role_limit = 10;
    limits.role_used = 8;
    EXPECT_EQ(AvailableNow(limits), 2);
    limits.database_limit = 4;
    limits.database_used = 6;
    EXPECT_EQ(AvailableNow(limits), 0);
    limits.is_superuser = true;
    EXPECT_EQ(AvailableNow(limits), 10);
    EXPECT_EQ(LimitForRole(limits), 100);
    limits.is_superuser = false;
    EXPECT_EQ(LimitForRole(limits), 4);
}

}  // namespace
}  // namespace upkeep::sessions
