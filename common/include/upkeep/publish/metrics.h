// Metrics: families as a table, samples from facts, and their two forms (rows, exposition text).
//
//   captured counters ─┐
//   own calls ─────────┴─▶ Samples ─▶ metric_samples (rows) and metrics() (text), the same ones
//
// Laws: a label's values are bounded in number and never a statement's text; a counter comes from a
// counter that never falls except at a reset; what is not known is absent, never 0.
// Source: Prometheus, "Exposition formats", text format 0.0.4; "Metric and label naming".
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <span>

#include "upkeep/base/table_function.h"
#include "upkeep/capture/store.h"
#include "upkeep/publish/own_calls.h"
#include "upkeep/sessions/pool_report.h"

namespace upkeep::publish {

enum class MetricType : uint8_t { kCounter, kGauge, kHistogram };
std::string_view MetricTypeName(MetricType type);

/// Where the values come from: what nobody asks for is not gathered.
enum class Source : uint8_t {
    kBuild,
    kCapture,
    kConnections,
    kLimits,
    kLocks,
    kDatabase,
    kHealth,
    kWorkflows,
    kPools,
};

struct Family {
    std::string_view name;  // without prefix; of a counter with `_total`
    MetricType type;
    std::string_view unit;    // seconds, bytes, ratio; empty: a plain number
    std::string_view labels;  // separated by commas
    Source source;
    std::string_view help;
    bool is_guides = false;  // only under the prefix of the guide, kGuidePrefix
};

inline constexpr std::string_view kGuidePrefix = "autopr_db";

/// All families, in the order of the text.
std::span<const Family> AllFamilies();

struct Label {
    std::string_view name;
    std::string value;  // UTF-8
};

struct Sample {
    const Family* family = nullptr;
    std::string_view suffix;  // of a histogram: `_bucket`, `_sum`, `_count`
    std::vector<Label> labels;
    double value = 0;
};

/// What was captured, where statements are captured.
struct CaptureFacts {
    capture::StoreStatus status;
    capture::StoreLimits limits;
    std::vector<capture::CounterSnapshot> counters;
};

struct MetricFacts {
    Hosts host = Hosts::kPostgres;
    std::string host_version;  // `15.14`
    std::string database;      // the caller's
    std::optional<CaptureFacts> capture;
    std::optional<sessions::PoolSums> pools = {};  // what they reported; nullopt: it is not kept
};

/// The arguments of metrics(), checked.
struct MetricRequest {
    std::string prefix = "upkeep";
    std::vector<const Family*> families;  // in the order of AllFamilies()

    bool Wants(Source source) const;
};

/// All of it under our own prefix, as metric_samples shows it.
MetricRequest WholeRequest();
/// Errors: kInvalidArgument for a prefix that is none or a family that is not there.
Result<MetricRequest> ReadMetricRequest(const Arguments& arguments);

/// Samples of one family stand together, families in the order of the table.
std::vector<Sample> Samples(const MetricRequest& request, const MetricFacts& facts,
                            OwnCalls& calls);

/// Text format 0.0.4.
std::string Exposition(std::string_view prefix, std::span<const Sample> samples);
/// name, type, unit, help, labels, value.
void SampleRows(std::string_view prefix, std::span<const Sample> samples, RowSink& rows);

}  // namespace upkeep::publish
