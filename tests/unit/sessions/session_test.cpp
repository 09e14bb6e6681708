// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/session.h"

#include <gtest/gtest.h>

namespace upkeep::sessions {
namespace {

class Collect : public RowSink {
  public:
    void Add(Row row) override { rows.push_back(std::move(row)); }
    std::vector<Row> rows;
};

SessionSnapshot Waits(int64_t pid, std::vector<int64_t> blocked_by, int64_t leader = 0) {
    SessionSnapshot session;
    session.pid = pid;
    session.leader_pid = leader;
    session.state = std::string(kActive);
    session.blocked_by = std::move(blocked_by);
    session.waits_since_us = session.blocked_by.empty() ? 0 : 1'000'000;
    return session;
}

TEST(LockRowsTest, AParallelWorkerWaitsForItsLeader) {
    // 30 waits for 20, whose worker 21 waits for 10
    std::vector<SessionSnapshot> sessions = {Waits(10, {}), Waits(20, {}), Waits(21, {10}, 20),
                                             Waits(30, {20})};
    Collect sink;
    LockTree(sessions, 3'000'000, sink);
    ASSERT_EQ(sink.rows.size(), 3U);
    EXPECT_EQ(std::get<BigintArray>(sink.rows[2][1]), (BigintArray{10, 20, 30}));
    EXPECT_EQ(std::get<BigintArray>(sink.rows[1][3]), (BigintArray{10}));
    EXPECT_EQ(std::get<double>(sink.rows[1][6]), 2000.0);
    EXPECT_TRUE(IsNull(sink.rows[0][6]));
    CountBlocked(&sessions);
    EXPECT_EQ(sessions[0].blocks_count, 2);
    EXPECT_EQ(sessions[1].blocks_count, 1);
    EXPECT_EQ(sessions[3].blocks_count, 0);
}

TEST(LockRowsTest, AdviceNamesTheRoleQuoted) {
    std::vector<SessionSnapshot> sessions = {Waits(10, {}), Waits(20, {10})};
    sessions[0].state = std::string(kIdleInTransaction);
    sessions[0].user_name = "we\"b";
    Collect sink;
    LockTree(sessions, 3'000'000, sink);
    EXPECT_EQ(std::get<std::string>(sink.rows[0][10]),
              "ALTER ROLE \"we\"\"b\" SET idle_in_transaction_session_timeout = '5min'; now: end "
              "it: SELECT * FROM upkeep.end_session(10, 'end', dry_run => false)");
    sessions[0].is_visible = false;
    Collect hidden;
    LockTree(sessions, 3'000'000, hidden);
    EXPECT_NE(std::get<std::string>(hidden.rows[0][10]).find("hidden"), std::string::npos);
}

TEST(SummaryTest, CountsClientsByStateAndKeepsTheOldest) {
    std::vector<SessionSnapshot> sessions(4);
    for (size_t i = 0; i < 4; ++i) {
        sessions[i].pid = static_cast<int64_t>(i) + 1;
        sessions[i].state = std::string(kIdle);
        sessions[i].state_change_us = static_cast<int64_t>(i + 1) * 1000;
    }
    sessions[2].state.reset();
    sessions[2].state_change_us = 0;
    sessions[3].kind = SessionKind::kBackground;
    Collect sink;
    ConnectionSummary(sessions, 11'000, sink);
    ASSERT_EQ(sink.rows.size(), 2U);
    EXPECT_TRUE(IsNull(sink.rows[0][3]));
    EXPECT_TRUE(IsNull(sink.rows[0][5]));
    EXPECT_EQ(std::get<int64_t>(sink.rows[1][4]), 2);
    EXPECT_EQ(std::get<double>(sink.rows[1][5]), 10.0);
}

TEST(StateMsTest, ClockBelongsToTheState) {
    SessionSnapshot session;
    session.state_change_us = 5'000'000;
    session.query_start_us = 1'000'000;
    session.state = std::string(kIdle);
    EXPECT_EQ(StateMs(session, 6'000'000), 1000.0);
    session.state = std::string(kActive);
    EXPECT_EQ(StateMs(session, 6'000'000), 5000.0);
    session.query_start_us = 0;
    EXPECT_EQ(StateMs(session, 6'000'000), 1000.0);
    session.state_change_us = 0;
    EXPECT_FALSE(StateMs(session, 6'000'000).has_value());
    EXPECT_EQ(AgeMs(7'000'000, 6'000'000), 0.0);
}

}  // namespace
}  // namespace upkeep::sessions
