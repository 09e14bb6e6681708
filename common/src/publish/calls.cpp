// The publish topic's calls: metrics and report.
// SPDX-License-Identifier: PostgreSQL
#include "../base/calls.h"

namespace upkeep {

namespace {

constexpr Column kMetricSamples[] = {
    {"name", Type::kText, "full name of the sample, `_bucket`, `_sum` or `_count` included"},
    {"type", Type::kText, "counter, gauge, histogram"},
    {"unit", Type::kText, "seconds, bytes, ratio; NULL: a plain number"},
    {"help", Type::kText, "what it means"},
    {"labels", Type::kJson, "an object of labels, bounded in number"},
    {"value", Type::kFloat8, "its value now; what is not known has no row"},
};

constexpr Parameter kMetrics[] = {
    {"prefix", Type::kText, "upkeep",
     "begins every name; autopr_db adds the guide's own three families"},
    {"families", Type::kTextArray, "NULL",
     "only these, with or without prefix; NULL: all. What nobody asks for is not gathered"},
};

constexpr Parameter kReport[] = {
    {"format", Type::kText, "html", "text; html and json are not made by this version"},
    {"title", Type::kText, "NULL", "heads the page; NULL: names the database"},
};

constexpr TableFunction kCalls[] = {
    {.name = "metric_samples",
     .topic = "publish",
     .kind = CallKind::kView,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "every metric as a row: statements, connections, locks, health, workflows",
     .since = "0.1.0",
     .parameters = {},
     .columns = kMetricSamples},
    {.name = "metrics",
     .topic = "publish",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "the same metrics as text for Prometheus, exposition format 0.0.4",
     .since = "0.1.0",
     .parameters = kMetrics,
     .columns = {},
     .returns = Type::kText},
    {.name = "report",
     .topic = "publish",
     .kind = CallKind::kScalar,
     .hosts = Hosts::kBoth,
     .effect = Effect::kReads,
     .doc = "one page: findings, statements, connections, locks, indexes, workflows, settings",
     .since = "0.1.0",
     .parameters = kReport,
     .columns = {},
     .returns = Type::kText},
};

}  // namespace

std::span<const TableFunction> PublishCalls() {
    return kCalls;
}

}  // namespace upkeep
