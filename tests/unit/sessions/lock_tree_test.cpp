// SPDX-License-Identifier: PostgreSQL
#include "upkeep/sessions/lock_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

namespace upkeep::sessions {
namespace {

LockNode Session(int64_t pid, std::vector<int64_t> blocked_by = {}) {
    LockNode node;
    node.pid = pid;
    node.blocked_by = std::move(blocked_by);
    return node;
}

/// `pid@depth<root` in display order.
std::string Shape(const std::vector<LockNode>& nodes) {
    std::string out;
    for (const LockRow& row : BuildLockTree(nodes)) {
        out += (out.empty() ? "" : " ") + std::to_string(nodes[row.node].pid) + "@" +
               std::to_string(row.depth) + "<" + std::to_string(row.root_pid);
    }
    return out;
}

TEST(LockTreeTest, ChainFanAndBystanders) {
    EXPECT_EQ(Shape({Session(3, {2}), Session(1), Session(2, {1}), Session(9)}),
              "1@0<1 2@1<1 3@2<1");
    EXPECT_EQ(Shape({Session(1), Session(4, {1}), Session(2, {1})}), "1@0<1 2@1<1 4@1<1");
    EXPECT_EQ(Shape({Session(1), Session(2)}), "");
    EXPECT_EQ(Shape({}), "");
}

TEST(LockTreeTest, WaiterOfSeveralStandsBelowAll) {
    EXPECT_EQ(Shape({Session(1), Session(2, {1}), Session(3, {1, 2})}), "1@0<1 2@1<1 3@2<1");
    EXPECT_EQ(Shape({Session(5), Session(6), Session(7, {6, 5})}), "5@0<5 7@1<5 6@0<6");
}

TEST(LockTreeTest, CycleHasItsLowestPidAsRoot) {
    const std::vector<LockNode> nodes = {Session(12, {11}), Session(11, {12}), Session(13, {12})};
    EXPECT_EQ(Shape(nodes), "11@0<11 12@1<11 13@2<11");
    const std::vector<LockRow> rows = BuildLockTree(nodes);
    EXPECT_TRUE(rows[0].is_in_cycle);
    EXPECT_TRUE(rows[1].is_in_cycle);
    EXPECT_FALSE(rows[2].is_in_cycle);
    EXPECT_NE(rows[0].suggested_action.find("deadlock"), std::string::npos);
}

TEST(LockTreeTest, SuggestsByWhatTheRootIs) {
    LockNode idle = Session(1);
    idle.is_idle_in_transaction = true;
    LockNode prepared = Session(0);
    prepared.is_prepared = true;
    const std::vector<LockNode> nodes = {
        idle, prepared, Session(2, {1}), Session(3, {0}), Session(4), Session(5, {4})};
    std::string all;
    for (const LockRow& row : BuildLockTree(nodes)) {
        all += row.suggested_action + "\n";
    }
    EXPECT_NE(all.find("idle_in_transaction_session_timeout"), std::string::npos);
    EXPECT_NE(all.find("prepared transaction"), std::string::npos);
    EXPECT_NE(all.find("cancel its statement"), std::string::npos);
}

TEST(LockTreeTest, RandomGraphsShowEveryoneOnceBelowTheirParents) {
    std::mt19937 random(17);
    for (int round = 0; round < 3000; ++round) {
        const size_t count = 1 + random() % 12;
        std::vector<LockNode> nodes;
        std::set<int64_t> involved;
        for (size_t i = 0; i < count; ++i) {
            LockNode node = Session(static_cast<int64_t>(i) + 100);
            for (size_t j = random() % 3; j > 0; --j) {
                node.blocked_by.push_back(static_cast<int64_t>(random() % (count + 1)) + 100);
            }
            nodes.push_back(node);
        }
        for (const LockNode& node : nodes) {
            for (const int64_t pid : node.blocked_by) {
                if (pid != node.pid && pid < 100 + static_cast<int64_t>(count)) {
                    involved.insert(pid);
                    involved.insert(node.pid);
                }
            }
        }
        std::set<int64_t> shown;
        for (const LockRow& row : BuildLockTree(nodes)) {
            ASSERT_TRUE(shown.insert(nodes[row.node].pid).second);
            ASSERT_EQ(row.path.size(), static_cast<size_t>(row.depth) + 1);
            ASSERT_EQ(row.path.front(), row.root_pid);
            if (row.depth > 0) {
                const auto& blockers = nodes[row.node].blocked_by;
                const int64_t parent = row.path[row.path.size() - 2];
                ASSERT_NE(std::find(blockers.begin(), blockers.end(), parent), blockers.end());
            }
        }
        ASSERT_EQ(shown, involved);
    }
}

TEST(LockTreeTest, LongQueueOfEveryoneBehindEveryoneIsQuick) {
    std::vector<LockNode> nodes;
    for (int64_t i = 0; i < 600; ++i) {
        LockNode node = Session(i + 1);
        for (int64_t j = 0; j < i; ++j) {
            node.blocked_by.push_back(j + 1);
        }
        nodes.push_back(node);
    }
    const std::vector<LockRow> rows = BuildLockTree(nodes);
    ASSERT_EQ(rows.size(), 600U);
    EXPECT_EQ(rows.back().depth, 599);
    EXPECT_EQ(rows.front().blocks_count, 599);
}

}  // namespace
}  // namespace upkeep::sessions
