// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/stats.h"

#include <gtest/gtest.h>

#include <random>

#include "upkeep/base/time.h"

namespace upkeep::workflow {
namespace {

struct Collected : RowSink {
    std::vector<Row> rows;
    void Add(Row row) override { rows.push_back(std::move(row)); }
};

constexpr Parameter kParameters[] = {
    {"since", Type::kTimestamp, nullptr, ""},
    {"until", Type::kTimestamp, nullptr, ""},
    {"group_by", Type::kText, nullptr, ""},
};
constexpr TableFunction kCall = {.name = "stats",
                                 .topic = "",
                                 .kind = CallKind::kFunction,
                                 .hosts = Hosts::kBoth,
                                 .effect = Effect::kReads,
                                 .doc = "",
                                 .since = "",
                                 .parameters = kParameters,
                                 .columns = {}};

Result<StatsRequest> Request(Value since, Value until, Value group_by) {
    return ParseStatsRequest(
        Arguments(kCall, {std::move(since), std::move(until), std::move(group_by)}));
}

Timestamp At(std::string_view text) {
    return ParseTime(text).value();
}

std::vector<Row> Finish(const StatsBuilder& builder) {
    Collected sink;
    builder.Finish(sink);
    return sink.rows;
}

TEST(StatsTest, RequestsAreChecked) {
    const Timestamp a = At("2026-01-01");
    const Timestamp b = At("2026-01-02");
    for (const char* word : {"workflow", "status", "trigger_type", "hour", "day", "all"}) {
        EXPECT_TRUE(Request(a, b, std::string(word)).ok()) << word;
    }
    EXPECT_NE(Request(a, b, std::string("Week")).error().hint().find("trigger_type, hour, day"),
              std::string::npos);
    EXPECT_FALSE(Request(b, a, std::string("all")).ok());
    EXPECT_FALSE(Request(a, a, std::string("all")).ok());
    EXPECT_FALSE(Request(kTimeBefore, a, std::string("all")).ok());
    EXPECT_FALSE(Request(a, kTimeForever, std::string("all")).ok());
    EXPECT_THROW((void)Request({}, a, std::string("all")), Error);
    EXPECT_THROW((void)Request(a, b, {}), Error);
}

TEST(StatsTest, ColumnsOfOneGroup) {
    StatsBuilder builder({{At("2026-01-01"), At("2026-01-03")}, GroupBy::kAll});
    const auto add = [&](const char* status, const char* started, std::optional<int> ms) {
        const Timestamp start = At(started);
        builder.Add({.key = std::nullopt,
                     .status = status,
                     .started_at = start,
                     .completed_at =
                         ms ? std::optional(Timestamp{start.unix_us + *ms * 1000LL}) : std::nullopt,
                     .retries = 2});
    };
    add("completed", "2026-01-01", 1000);
    add("completed", "2026-01-02 10:00", 3000);
    add("completed", "2026-01-02 11:00", std::nullopt);  // counted, took nobody knows how long
    add("completed", "2026-01-02 12:00", -500);          // the clock went backwards
    add("failed", "2026-01-02 13:00", 90000);
    add("timeout", "2026-01-02 14:00", 90000);
    add("running", "2026-01-02 23:59:59.999999", std::nullopt);
    add("unheard of", "2026-01-01 01:00", std::nullopt);
    add("completed", "2025-12-31 23:59:59.999999", 7);  // outside
    add("completed", "2026-01-03", 7);                  // outside
    const std::vector<Row> rows = Finish(builder);
    ASSERT_EQ(rows.size(), 1U);
    const Row& row = rows[0];
    ASSERT_EQ(row.size(), FindCall("workflow_stats")->columns.size());
    EXPECT_EQ(row[0], Value(std::string("all")));
    const int64_t counts[] = {8, 0, 1, 4, 1, 1, 0};
    for (size_t i = 0; i < std::size(counts); ++i) {
        EXPECT_EQ(row[i + 1], Value(counts[i])) << i;
    }
    EXPECT_DOUBLE_EQ(std::get<double>(row[8]), 4.0 / 6);
    EXPECT_DOUBLE_EQ(std::get<double>(row[9]), 4000.0 / 3);
    EXPECT_NEAR(std::get<double>(row[10]), 1000, 16);
    EXPECT_NEAR(std::get<double>(row[12]), 2960, 48);
    EXPECT_GE(std::get<double>(row[13]), 3000);
    EXPECT_LE(std::get<double>(row[13]), 3000 * 1.016);
    EXPECT_EQ(row[14], Value(int64_t{16}));
    EXPECT_DOUBLE_EQ(std::get<double>(row[15]), 8.0 / 48);
    EXPECT_EQ(row[16], Value(At("2026-01-02 23:59:59.999999")));
    EXPECT_EQ(row[17], Value(At("2026-01-02 13:01:30")));
    EXPECT_EQ(row[18], Value(At("2026-01-01")));
    EXPECT_EQ(row[19], Value(At("2026-01-03")));
}

TEST(StatsTest, BucketsAreUtcAndCutByTheWindow) {
    StatsBuilder builder({{At("1969-12-31 22:30"), At("1970-01-01 01:00")}, GroupBy::kHour});
    for (const char* started : {"1969-12-31 22:30", "1969-12-31 23:59", "1970-01-01 00:59:59"}) {
        builder.Add({.key = std::nullopt,
                     .status = "failed",
                     .started_at = At(started),
                     .completed_at = std::nullopt});
    }
    const std::vector<Row> rows = Finish(builder);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0][0], Value(std::string("1969-12-31T22:00:00Z")));
    EXPECT_EQ(rows[0][18], Value(At("1969-12-31 22:30")));
    EXPECT_EQ(rows[0][19], Value(At("1969-12-31 23:00")));
    EXPECT_DOUBLE_EQ(std::get<double>(rows[0][15]), 2);
    EXPECT_EQ(rows[2][0], Value(std::string("1970-01-01T00:00:00Z")));
    EXPECT_TRUE(IsNull(rows[2][9]));
    EXPECT_DOUBLE_EQ(std::get<double>(rows[2][8]), 0);
}

TEST(StatsTest, NoRowsButOneOfAll) {
    EXPECT_TRUE(Finish(StatsBuilder({{{0}, {1}}, GroupBy::kDay})).empty());
    EXPECT_TRUE(Finish(StatsBuilder({{{0}, {1}}, GroupBy::kWorkflow})).empty());
    const std::vector<Row> rows = Finish(StatsBuilder({{{0}, {1}}, GroupBy::kAll}));
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0][1], Value(int64_t{0}));
    EXPECT_TRUE(IsNull(rows[0][8]) && IsNull(rows[0][10]) && IsNull(rows[0][13]));
}

/// Parts, as a host adds them up, and single rows give the same answer.
TEST(StatsTest, PartsEqualRows) {
    static constexpr std::string_view kStatuses[] = {"pending", "running",   "completed", "failed",
                                                     "timeout", "cancelled", "other"};
    std::mt19937_64 random(7);
    for (const GroupBy group_by : {GroupBy::kWorkflow, GroupBy::kStatus, GroupBy::kTriggerType,
                                   GroupBy::kHour, GroupBy::kDay, GroupBy::kAll}) {
        const StatsRequest request{{At("2026-01-01 00:30"), At("2026-01-03 12:00")}, group_by};
        StatsBuilder by_rows(request);
        std::map<std::pair<int64_t, size_t>, ExecutionPart> parts;
        for (int i = 0; i < 5000; ++i) {
            const std::string_view keys[] = {"a", "b"};
            const size_t key = random() % 3;
            const size_t status = random() % std::size(kStatuses);
            const Timestamp started{request.window.since.unix_us +
                                    static_cast<int64_t>(random() % (59 * 3600)) * 1'000'000};
            const auto duration = static_cast<int64_t>(random() % 5'000'000'000);
            const bool ended = random() % 4 > 0;
            ExecutionRow row{.key = key < 2 ? std::optional(keys[key]) : std::nullopt,
                             .status = kStatuses[status],
                             .started_at = started,
                             .completed_at = std::nullopt,
                             .retries = static_cast<int64_t>(random() % 3)};
            if (ended) {
                row.completed_at = Timestamp{started.unix_us + duration};
            }
            by_rows.Add(row);
            const int64_t bucket = group_by == GroupBy::kHour || group_by == GroupBy::kDay
                                       ? FloorTo(started.unix_us, kMicrosPerHour)
                                       : static_cast<int64_t>(key);
            ExecutionPart& part = parts[{bucket, status}];
            part.key = row.key;
            part.status = row.status;
            ++part.total;
            part.retries += row.retries;
            part.last_started_at.unix_us = std::max(part.last_started_at.unix_us, started.unix_us);
            const Timestamp end = row.completed_at.value_or(started);
            part.last_completed_at = Timestamp{
                std::max(end.unix_us, part.last_completed_at.value_or(Timestamp{}).unix_us)};
            if (ended) {
                part.durations.Add(static_cast<double>(duration));
            }
        }
        StatsBuilder by_parts(request);
        for (auto& [key, part] : parts) {
            if (group_by == GroupBy::kAll || group_by == GroupBy::kStatus) {
                part.key = std::nullopt;
            }
            by_parts.AddPart(part);
        }
        EXPECT_EQ(Finish(by_rows), Finish(by_parts));
        EXPECT_FALSE(Finish(by_rows).empty());
    }
}

TEST(StatsTest, KeysAreOrderedAndNullIsLast) {
    StatsBuilder builder({{{0}, {10}}, GroupBy::kTriggerType});
    for (const std::optional<std::string_view> key :
         {std::optional<std::string_view>("b"), std::optional<std::string_view>(), {""}, {"a"}}) {
        builder.Add(
            {.key = key, .status = std::nullopt, .started_at = {5}, .completed_at = std::nullopt});
    }
    const std::vector<Row> rows = Finish(builder);
    ASSERT_EQ(rows.size(), 4U);
    EXPECT_EQ(rows[0][0], Value(std::string()));
    EXPECT_EQ(rows[1][0], Value(std::string("a")));
    EXPECT_TRUE(IsNull(rows[3][0]));
}

TEST(IntegrationStatsTest, AddsUpByIntegrationAndType) {
    IntegrationStatsBuilder builder;
    EventPart part{.integration = "github",
                   .event_type = "push",
                   .status = "completed",
                   .total = 4,
                   .first_created_at = {0},
                   .durations = {}};
    part.durations.Add(2e6);
    builder.AddPart(part);
    part = {.integration = "github",
            .event_type = "push",
            .status = "failed",
            .total = 2,
            .first_created_at = {0},
            .durations = {}};
    part.durations.Add(9e9);  // not of a completed one
    builder.AddPart(part);
    builder.AddPart({.integration = "github",
                     .event_type = "push",
                     .status = "pending",
                     .total = 1,
                     .first_created_at = {7'000'000},
                     .durations = {}});
    builder.AddPart({.integration = "github",
                     .event_type = "push",
                     .status = "pending",
                     .total = 3,
                     .first_created_at = {3'000'000},
                     .durations = {}});
    builder.AddPart({.integration = std::nullopt,
                     .event_type = "x",
                     .status = "processing",
                     .total = 1,
                     .first_created_at = {0},
                     .durations = {}});
    builder.AddPart({.integration = "axolo",
                     .event_type = "x",
                     .status = "ignored",
                     .total = 1,
                     .first_created_at = {0},
                     .durations = {}});
    Collected sink;
    builder.Finish({10'000'000}, sink);
    ASSERT_EQ(sink.rows.size(), 3U);
    EXPECT_EQ(sink.rows[0][0], Value(std::string("axolo")));
    EXPECT_TRUE(IsNull(sink.rows[2][0]));
    const Row& push = sink.rows[1];
    EXPECT_EQ(push[2], Value(int64_t{10}));
    EXPECT_EQ(push[3], Value(int64_t{4}));
    EXPECT_EQ(push[4], Value(int64_t{2}));
    EXPECT_NEAR(std::get<double>(push[5]), 2000, 32);
    EXPECT_DOUBLE_EQ(std::get<double>(push[8]), 7000);
    EXPECT_TRUE(IsNull(sink.rows[0][8]) && IsNull(sink.rows[0][5]));
}

}  // namespace
}  // namespace upkeep::workflow
