// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/executions.h"

#include <gtest/gtest.h>

namespace upkeep::workflow {
namespace {

struct Collected : RowSink {
    std::vector<Row> rows;
    void Add(Row row) override { rows.push_back(std::move(row)); }
};

constexpr int64_t kSecond = 1'000'000;

/// Reasons, by id, of executions of workflow `w` that are this old in seconds.
std::vector<std::string> Stuck(const std::vector<int64_t>& ages, int known, double took_seconds) {
    const Timestamp now{1'000'000 * kSecond};
    std::vector<LiveExecution> live;
    for (const int64_t age : ages) {
        live.push_back({.id = std::to_string(age),
                        .workflow_id = "w",
                        .workflow_name = "name",
                        .status = "running",
                        .started_at = {now.unix_us - age * kSecond}});
    }
    WorkflowHistory history{"w", {}};
    for (int i = 0; i < known; ++i) {
        history.durations.Add(took_seconds * 1e6);
    }
    Collected sink;
    StuckExecutions(live, {history}, now, sink);
    std::vector<std::string> ids;
    for (const Row& row : sink.rows) {
        EXPECT_EQ(row.size(), FindCall("stuck_executions")->columns.size());
        EXPECT_EQ(IsNull(row[5]), known < 20);
        ids.push_back(std::get<std::string>(row[0]));
    }
    return ids;
}

TEST(StuckTest, TwiceTheExpectedP99) {
    EXPECT_EQ(Stuck({230, 180, 90, 1000}, 20, 100), (std::vector<std::string>{"1000", "230"}));
    EXPECT_EQ(Stuck({59, 61}, 500, 0.001), (std::vector<std::string>{"61"}));  // a minute at least
}

TEST(StuckTest, AnHourWithoutAnExpectation) {
    EXPECT_EQ(Stuck({3599, 3601, -50}, 19, 1), (std::vector<std::string>{"3601"}));
    EXPECT_EQ(Stuck({3599, 3601}, 0, 1), (std::vector<std::string>{"3601"}));
}

TEST(StuckTest, HistoriesOfOtherWorkflowsSayNothing) {
    WorkflowHistory history{"other", {}};
    for (int i = 0; i < 100; ++i) {
        history.durations.Add(1);
    }
    Collected sink;
    StuckExecutions({{.id = "x",
                      .workflow_id = "w",
                      .workflow_name = std::nullopt,
                      .status = "pending",
                      .started_at = {0}}},
                    {history}, {3601 * kSecond}, sink);
    ASSERT_EQ(sink.rows.size(), 1U);
    EXPECT_TRUE(IsNull(sink.rows[0][1]) && IsNull(sink.rows[0][5]));
    EXPECT_EQ(
        std::get<std::string>(sink.rows[0][6]).rfind("pending for 1.0 h; no expectation: 0", 0),
        0U);
}

TEST(HumanDurationTest, PicksTheUnit) {
    EXPECT_EQ(HumanDuration(0), "0 ms");
    EXPECT_EQ(HumanDuration(999), "999 ms");
    EXPECT_EQ(HumanDuration(1250), "1.3 s");
    EXPECT_EQ(HumanDuration(90'000), "1.5 min");
    EXPECT_EQ(HumanDuration(3'600'000), "1.0 h");
    EXPECT_EQ(HumanDuration(86'400'000.0 * 400), "400.0 d");
}

TEST(LogsJsonTest, EscapesAndKeepsJson) {
    EXPECT_EQ(LogsJson({}), "[]");
    EXPECT_EQ(LogsJson({{.created_at = Timestamp{0},
                         .level = "INFO",
                         .message = "a \"b\"\n",
                         .step_name = std::nullopt,
                         .metadata = R"({"k":1})"},
                        {.created_at = std::nullopt,
                         .level = std::nullopt,
                         .message = std::nullopt,
                         .step_name = "s",
                         .metadata = "{no json",
                         .metadata_is_text = true}}),
              R"([{"created_at":"1970-01-01T00:00:00.000Z","level":"INFO","message":"a \"b\"\n",)"
              R"("step_name":null,"metadata":{"k":1}},)"
              R"({"created_at":null,"level":null,"message":null,"step_name":"s",)"
              R"("metadata":"{no json"}])");
}

Result<RecentRequest> Recent(Value size, Value before, Value id, Value status) {
    return ParseRecentRequest(
        Arguments(*FindCall("recent_executions"),
                  {Value(), std::move(status), std::move(size), std::move(before), std::move(id)}));
}

TEST(RecentRequestTest, IsChecked) {
    const auto size = [](int64_t number) { return Recent(number, {}, {}, {}).ok(); };
    EXPECT_TRUE(size(1) && size(1000));
    EXPECT_FALSE(size(0) || size(-5) || size(1001));
    EXPECT_TRUE(Recent(int64_t{5}, Timestamp{1}, std::string("x"), std::string("failed")).ok());
    EXPECT_TRUE(Recent(int64_t{5}, Timestamp{1}, {}, {}).ok());
    EXPECT_FALSE(Recent(int64_t{5}, {}, std::string("x"), {}).ok());
    EXPECT_FALSE(Recent(int64_t{5}, kTimeForever, {}, {}).ok());
    EXPECT_FALSE(Recent(int64_t{5}, {}, {}, std::string("Failed")).ok());
    EXPECT_THROW((void)Recent({}, {}, {}, {}), Error);
}

}  // namespace
}  // namespace upkeep::workflow
