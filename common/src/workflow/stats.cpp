// SPDX-License-Identifier: PostgreSQL
#include "upkeep/workflow/stats.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "upkeep/base/time.h"

namespace upkeep::workflow {

namespace {

constexpr std::array<std::string_view, kStatusCount> kStatusWords = {
    "pending", "running", "completed", "failed", "timeout", "cancelled"};

struct GroupWord {
    std::string_view word;
    GroupBy group_by;
};
constexpr GroupWord kGroupWords[] = {
    {"workflow", GroupBy::kWorkflow},
    {"status", GroupBy::kStatus},
    {"trigger_type", GroupBy::kTriggerType},
    {"hour", GroupBy::kHour},
    {"day", GroupBy::kDay},
    {"all", GroupBy::kAll},
};

Result<Timestamp> FiniteTime(const Arguments& arguments, std::string_view parameter) {
    const Timestamp time = arguments.Time(parameter);
    if (time == kTimeBefore || time == kTimeForever) {
        return Error(Code::kInvalidArgument, std::string(parameter) + " must be a finite time",
                     "give a time, or leave the argument out for its default");
    }
    return time;
}

Value Integer(uint64_t number) {
    return Value(static_cast<int64_t>(number));
}

Value TimeOrNull(const std::optional<Timestamp>& time) {
    if (!time) {
        return {};
    }
    return *time;
}

Value TextOrNull(const std::optional<std::string>& text) {
    if (!text) {
        return {};
    }
    return *text;
}

/// NULL for NaN, which is what a sketch says of no values.
Value NumberOrNull(double number) {
    if (std::isnan(number)) {
        return {};
    }
    return number;
}

void Later(std::optional<Timestamp>* latest, Timestamp time) {
    if (!*latest || (*latest)->unix_us < time.unix_us) {
        *latest = time;
    }
}

int64_t StepOf(GroupBy group_by) {
    return group_by == GroupBy::kHour ? kMicrosPerHour : kMicrosPerDay;
}

bool IsTimeBucket(GroupBy group_by) {
    return group_by == GroupBy::kHour || group_by == GroupBy::kDay;
}

/// `2024-01-31T08:00:00Z`, `2024-01-31`
std::string BucketName(GroupBy group_by, Timestamp bucket) {
    const std::string day = FormatDay(bucket);
    return group_by == GroupBy::kDay ? day : day + FormatTime(bucket).substr(day.size(), 9) + "Z";
}

/// Map entries in the order of their keys.
template <typename Map>
std::vector<const typename Map::value_type*> Sorted(const Map& map) {
    std::vector<const typename Map::value_type*> entries;
    entries.reserve(map.size());
    for (const auto& entry : map) {
        entries.push_back(&entry);
    }
    std::sort(entries.begin(), entries.end(),
              [](const auto* a, const auto* b) { return a->first < b->first; });
    return entries;
}

/// Percentiles p50, p95, p99 as both calls show them.
void AddQuantiles(const Sketch& sketch, Row* row) {
    for (const double q : {0.5, 0.95, 0.99}) {
        row->push_back(NumberOrNull(sketch.QuantileMs(q)));
    }
}

}  // namespace

std::optional<Status> StatusOf(std::string_view word) {
    for (size_t i = 0; i < kStatusCount; ++i) {
        if (kStatusWords[i] == word) {
            return static_cast<Status>(i);
        }
    }
    return std::nullopt;
}

std::string StatusWords() {
    std::string out;
    for (const std::string_view word : kStatusWords) {
        out += (out.empty() ? "" : ", ") + std::string(word);
    }
    return out;
}

Result<Window> ParseWindow(const Arguments& arguments) {
    const Result<Timestamp> since = FiniteTime(arguments, "since");
    const Result<Timestamp> until = FiniteTime(arguments, "until");
    if (!since.ok() || !until.ok()) {
        return since.ok() ? until.error() : since.error();
    }
    if (since.value().unix_us >= until.value().unix_us) {
        return Error(Code::kInvalidArgument,
                     "since must be before until, not " + FormatTime(since.value()) + " and " +
                         FormatTime(until.value()),
                     "the window holds what started at since or later and before until");
    }
    return Window{since.value(), until.value()};
}

Result<StatsRequest> ParseStatsRequest(const Arguments& arguments) {
    const Result<Window> window = ParseWindow(arguments);
    if (!window.ok()) {
        return window.error();
    }
    const std::string& wanted = arguments.Text("group_by");
    std::string words;
    for (const GroupWord& known : kGroupWords) {
        if (known.word == wanted) {
            return StatsRequest{window.value(), known.group_by};
        }
        words += (words.empty() ? "" : ", ") + std::string(known.word);
    }
    return Error(Code::kInvalidArgument, "unknown group_by \"" + wanted + "\"",
                 "group_by is one of " + words);
}

double DurationOf(Timestamp started_at, Timestamp completed_at) {
    return std::max(
        0.0, static_cast<double>(completed_at.unix_us) - static_cast<double>(started_at.unix_us));
}

ExecutionGroup& StatsBuilder::Find(std::optional<std::string_view> key,
                                   std::optional<std::string_view> status, Timestamp started_at) {
    if (IsTimeBucket(request_.group_by)) {
        return by_time_[FloorTo(started_at.unix_us, StepOf(request_.group_by))];
    }
    if (request_.group_by == GroupBy::kAll) {
        key = "all";
    } else if (request_.group_by == GroupBy::kStatus) {
        key = status;
    }
    if (!key) {
        return without_key_ ? *without_key_ : without_key_.emplace();
    }
    scratch_.assign(*key);
    return by_text_[scratch_];
}

void StatsBuilder::Add(const ExecutionRow& row) {
    if (row.started_at.unix_us < request_.window.since.unix_us ||
        row.started_at.unix_us >= request_.window.until.unix_us) {
        return;
    }
    const std::optional<Status> status = row.status ? StatusOf(*row.status) : std::nullopt;
    ExecutionGroup& group = Find(row.key, row.status, row.started_at);
    ++group.total;
    group.retries += row.retries;
    Later(&group.last_started_at, row.started_at);
    if (status) {
        ++group.by_status[static_cast<size_t>(*status)];
    }
    if (status == Status::kFailed) {
        Later(&group.last_failed_at, row.completed_at.value_or(row.started_at));
    }
    if (row.completed_at &&
        (status == Status::kCompleted || request_.group_by == GroupBy::kStatus)) {
        group.durations.Add(DurationOf(row.started_at, *row.completed_at));
    }
}

void StatsBuilder::AddPart(const ExecutionPart& part) {
    const std::optional<Status> status = part.status ? StatusOf(*part.status) : std::nullopt;
    ExecutionGroup& group = Find(part.key, part.status, part.last_started_at);
    group.total += part.total;
    group.retries += part.retries;
    Later(&group.last_started_at, part.last_started_at);
    if (status) {
        group.by_status[static_cast<size_t>(*status)] += part.total;
    }
    if (status == Status::kFailed && part.last_completed_at) {
        Later(&group.last_failed_at, *part.last_completed_at);
    }
    if (status == Status::kCompleted || request_.group_by == GroupBy::kStatus) {
        group.durations.Merge(part.durations);
    }
}

Row StatsBuilder::RowOf(const std::optional<std::string>& key, std::optional<Timestamp> bucket,
                        const ExecutionGroup& group) const {
    Timestamp from = request_.window.since;
    Timestamp until = request_.window.until;
    if (bucket) {
        const int64_t end = bucket->unix_us + StepOf(request_.group_by);
        from.unix_us = std::max(from.unix_us, bucket->unix_us);
        until.unix_us = std::min(until.unix_us, end);
    }
    const auto count = [&](Status status) { return group.by_status[static_cast<size_t>(status)]; };
    const uint64_t finished = count(Status::kCompleted) + count(Status::kFailed) +
                              count(Status::kTimeout) + count(Status::kCancelled);
    const double hours =
        static_cast<double>(until.unix_us - from.unix_us) / static_cast<double>(kMicrosPerHour);

    Row row = {TextOrNull(key), Integer(group.total)};
    for (const uint64_t number : group.by_status) {
        row.push_back(Integer(number));
    }
    row.push_back(NumberOrNull(static_cast<double>(count(Status::kCompleted)) /
                               static_cast<double>(finished)));  // 0 / 0 is NaN
    const Sketch& durations = group.durations;
    row.push_back(NumberOrNull(durations.mean_ms()));
    AddQuantiles(durations, &row);
    row.push_back(NumberOrNull(durations.MaxMs()));
    row.push_back(Value(group.retries));
    row.push_back(Value(static_cast<double>(group.total) / hours));
    row.push_back(TimeOrNull(group.last_started_at));
    row.push_back(TimeOrNull(group.last_failed_at));
    row.push_back(from);
    row.push_back(until);
    return row;
}

void StatsBuilder::Finish(RowSink& rows) const {
    for (const auto* entry : Sorted(by_time_)) {
        const Timestamp bucket{entry->first};
        rows.Add(RowOf(BucketName(request_.group_by, bucket), bucket, entry->second));
    }
    for (const auto* entry : Sorted(by_text_)) {
        rows.Add(RowOf(entry->first, std::nullopt, entry->second));
    }
    if (without_key_) {
        rows.Add(RowOf(std::nullopt, std::nullopt, *without_key_));
    }
    if (request_.group_by == GroupBy::kAll && by_text_.empty()) {
        rows.Add(RowOf("all", std::nullopt, ExecutionGroup{}));
    }
}

void IntegrationStatsBuilder::AddPart(const EventPart& part) {
    // A NULL sorts last: its marker is above every letter; the blank keeps the two names apart.
    const auto ordered = [](const std::optional<std::string>& name) {
        return name ? "\x01" + *name : std::string("\x02");
    };
    Group& group = groups_[ordered(part.integration) + '\0' + ordered(part.event_type)];
    group.integration = part.integration;
    group.event_type = part.event_type;
    group.total += part.total;
    if (part.status == "pending") {
        group.pending += part.total;
        if (!group.oldest_pending_at ||
            part.first_created_at.unix_us < group.oldest_pending_at->unix_us) {
            group.oldest_pending_at = part.first_created_at;
        }
    } else if (part.status == "failed") {
        group.failed += part.total;
    } else if (part.status == "completed") {
        group.durations.Merge(part.durations);
    }
}

void IntegrationStatsBuilder::Finish(Timestamp now, RowSink& rows) const {
    for (const auto* entry : Sorted(groups_)) {
        const Group& group = entry->second;
        Row row = {TextOrNull(group.integration), TextOrNull(group.event_type),
                   Integer(group.total), Integer(group.pending), Integer(group.failed)};
        AddQuantiles(group.durations, &row);
        const double oldest_us =
            group.oldest_pending_at ? DurationOf(*group.oldest_pending_at, now) : NAN;
        row.push_back(NumberOrNull(oldest_us / 1e3));
        rows.Add(std::move(row));
    }
}

}  // namespace upkeep::workflow
