// The arithmetic of workflow_stats and integration_stats: rows, or parts that the host has added up
// already, in; groups with counts and percentiles out. Both ways give the same answer, because a
// sketch merges exactly.
//
//   SQLite      one Add() for each row of the window                     ┐
//   PostgreSQL  one AddPart() for each (group, status) of a parallel     ├─▶ Finish(): one row a
//   group
//               GROUP BY with percentile_sketch                          ┘
//
// Meaning: an execution belongs to the window by started_at (since <= started_at < until);
// durations are completed_at - started_at, of `completed` executions only unless grouped by status;
// one that ends before it starts took 0. Hours and days are UTC. Not for: finding tables and
// columns, which is the host's. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "upkeep/base/result.h"
#include "upkeep/base/table_function.h"
#include "upkeep/workflow/sketch.h"

namespace upkeep::workflow {

enum class Status : uint8_t { kPending, kRunning, kCompleted, kFailed, kTimeout, kCancelled };
inline constexpr size_t kStatusCount = 6;

/// nullopt: another word, which counts in `total` only.
std::optional<Status> StatusOf(std::string_view word);
/// `pending, running, …` for hints.
std::string StatusWords();

struct Window {
    Timestamp since;
    Timestamp until;
};

enum class GroupBy : uint8_t { kWorkflow, kStatus, kTriggerType, kHour, kDay, kAll };

struct StatsRequest {
    Window window;
    GroupBy group_by;
};

/// since and until of a call. Errors: kInvalidArgument (null, infinite, since not before until).
Result<Window> ParseWindow(const Arguments& arguments);
/// The same and group_by. Errors: kInvalidArgument; the hint lists the words.
Result<StatsRequest> ParseStatsRequest(const Arguments& arguments);

/// One execution, as read. Texts are copied where they are kept.
struct ExecutionRow {
    std::optional<std::string_view> key;  // workflow id or trigger type; not used for the others
    std::optional<std::string_view> status;
    Timestamp started_at;
    std::optional<Timestamp> completed_at;
    int64_t retries = 0;
};

/// Executions of one key (one hour, one day) and one status, added up.
struct ExecutionPart {
    std::optional<std::string_view> key;
    std::optional<std::string_view> status;
    uint64_t total = 0;
    int64_t retries = 0;
    Timestamp last_started_at;  // also says which hour or day it is
    std::optional<Timestamp> last_completed_at;
    Sketch durations;  // of those with completed_at
};

/// What is kept of one group while rows come in.
struct ExecutionGroup {
    std::array<uint64_t, kStatusCount> by_status = {};
    uint64_t total = 0;
    int64_t retries = 0;
    std::optional<Timestamp> last_started_at;
    std::optional<Timestamp> last_failed_at;
    Sketch durations;
};

class StatsBuilder {
  public:
    explicit StatsBuilder(StatsRequest request) : request_(request) {}

    /// Rows outside the window are left out.
    void Add(const ExecutionRow& row);
    void AddPart(const ExecutionPart& part);
    /// One row per group, in order of the key (times ascending, NULL last), in the columns of
    /// workflow_stats. Groups without executions have no row, except the only one of `all`.
    void Finish(RowSink& rows) const;

  private:
    ExecutionGroup& Find(std::optional<std::string_view> key,
                         std::optional<std::string_view> status, Timestamp started_at);
    Row RowOf(const std::optional<std::string>& key, std::optional<Timestamp> bucket,
              const ExecutionGroup& group) const;

    StatsRequest request_;
    std::unordered_map<std::string, ExecutionGroup> by_text_;
    std::unordered_map<int64_t, ExecutionGroup> by_time_;  // start of the hour or day
    std::optional<ExecutionGroup> without_key_;
    std::string scratch_;  // keeps its memory between look-ups
};

/// Events of one integration and event type and status, added up or one alone.
struct EventPart {
    std::optional<std::string> integration;
    std::optional<std::string> event_type;
    std::optional<std::string> status;
    uint64_t total = 0;
    Timestamp first_created_at;
    Sketch durations;  // processed_at - created_at of those with processed_at
};

class IntegrationStatsBuilder {
  public:
    void AddPart(const EventPart& part);
    /// One row per integration and event type, in their order, in the columns of integration_stats:
    /// durations of `completed` events, ages of `pending` ones at `now`.
    void Finish(Timestamp now, RowSink& rows) const;

  private:
    struct Group {
        std::optional<std::string> integration;
        std::optional<std::string> event_type;
        uint64_t total = 0;
        uint64_t pending = 0;
        uint64_t failed = 0;
        std::optional<Timestamp> oldest_pending_at;
        Sketch durations;
    };
    std::unordered_map<std::string, Group> groups_;
};

/// Microseconds from start to end, 0 where the clock went backwards.
double DurationOf(Timestamp started_at, Timestamp completed_at);

}  // namespace upkeep::workflow
