// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/rows.h"

#include <cmath>
#include <map>

namespace upkeep::capture {

namespace {

constexpr double kNsPerMs = 1e6;

Value Ms(uint64_t ns) {
    return static_cast<double>(ns) / kNsPerMs;
}
Value Count(uint64_t count) {
    return static_cast<int64_t>(count);
}
Value CountIf(bool is_filled, uint64_t count) {
    return is_filled ? Count(count) : Value();
}
Value TextOrNull(const std::string& text) {
    return text.empty() ? Value() : Value(text);
}
Value When(int64_t unix_us) {
    return unix_us == 0 ? Value() : Value(Timestamp{unix_us});
}

TextArray Lines(std::string_view text) {
    TextArray lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

Value HitRatio(const StatementTotals& totals) {
    const double all = static_cast<double>(totals.hit_blocks + totals.read_blocks);
    return all == 0 ? Value() : Value(static_cast<double>(totals.hit_blocks) / all);
}

Value EndpointOf(const StatementView& view) {
    return view.is_visible ? TextOrNull(view.endpoint) : Value(std::string(kHidden));
}

Row StatementRow(const StatementView& view, const FilledColumns& filled) {
    const StatementTotals& totals = view.counts.totals;
    const bool has_calls = totals.calls != 0;
    const auto if_called = [&](Value value) { return has_calls ? std::move(value) : Value(); };
    Row row;
    row.reserve(30);
    row.push_back(view.is_visible ? Value(view.counts.key.fingerprint) : Value());
    row.push_back(view.database_name);
    row.push_back(view.user_name);
    row.push_back(EndpointOf(view));
    row.emplace_back(std::string(OperationName(view.counts.operation)));
    row.push_back(view.is_visible ? Value(Lines(view.counts.tables)) : Value());
    row.emplace_back(view.is_visible ? view.query : std::string(kHidden));
    row.push_back(Count(totals.calls));
    row.push_back(Count(totals.errors));
    row.push_back(Count(totals.rows));
    row.push_back(Ms(totals.total_ns));
    row.push_back(if_called(static_cast<double>(totals.total_ns) / kNsPerMs /
                            static_cast<double>(std::max<uint64_t>(totals.calls, 1))));
    row.push_back(if_called(view.counts.StddevNs() / kNsPerMs));
    row.push_back(if_called(Ms(totals.min_ns)));
    row.push_back(if_called(Ms(totals.max_ns)));
    for (const double q : {0.5, 0.95, 0.99}) {
        row.push_back(QuantileMs(view.counts, q));
    }
    row.push_back(filled.planning ? Ms(totals.plan_ns) : Value());
    row.push_back(CountIf(filled.blocks, totals.hit_blocks));
    row.push_back(CountIf(filled.blocks, totals.read_blocks));
    row.push_back(filled.blocks ? HitRatio(totals) : Value());
    row.push_back(CountIf(filled.temp, totals.temp_written_blocks));
    row.push_back(CountIf(filled.wal, totals.wal_bytes));
    row.push_back(CountIf(filled.scans, totals.full_scans));
    row.push_back(CountIf(filled.scans, totals.sorts));
    row.push_back(Count(totals.slow_calls));
    row.push_back(When(totals.first_seen_us));
    row.push_back(When(totals.last_seen_us));
    row.emplace_back(view.counts.key.top_level != 0);
    return row;
}

/// Pointers to the items, the greatest total time first; equal ones by key, so that the order is
/// the same for the same data.
template <typename Item, typename CountsOf>
std::vector<const Item*> ByTime(std::span<const Item> items, CountsOf counts_of) {
    std::vector<const Item*> sorted;
    sorted.reserve(items.size());
    for (const Item& item : items) {
        sorted.push_back(&item);
    }
    std::sort(sorted.begin(), sorted.end(), [&](const Item* left, const Item* right) {
        const StatementSnapshot& l = counts_of(*left);
        const StatementSnapshot& r = counts_of(*right);
        return l.totals.total_ns != r.totals.total_ns ? l.totals.total_ns > r.totals.total_ns
                                                      : HashOf(l.key) < HashOf(r.key);
    });
    return sorted;
}

using EndpointKey = std::pair<std::string, uint32_t>;  // name, database

struct EndpointSum {
    std::string name;
    Value endpoint;
    Value database_name;
    int64_t statements = 0;
    StatementSnapshot counts;
};

Value Occurrences(std::span<const FindingView> findings, const EndpointSum& sum) {
    uint64_t count = 0;
    for (const FindingView& view : findings) {
        const std::string_view name = view.is_visible ? std::string_view(view.endpoint) : kHidden;
        if (name == sum.name && view.finding.key.database == sum.counts.key.database) {
            count += view.finding.totals.occurrences;
        }
    }
    return Count(count);
}

}  // namespace

Value QuantileMs(const StatementSnapshot& counts, double q) {
    const double ns = Quantile(counts.buckets, q);
    if (std::isnan(ns) || counts.totals.calls == 0) {
        return {};
    }
    const double low = static_cast<double>(counts.totals.min_ns);
    const double high = std::max(low, static_cast<double>(counts.totals.max_ns));
    return std::clamp(ns, low, high) / kNsPerMs;
}

void StatementRows(std::span<const StatementView> statements, const FilledColumns& filled,
                   RowSink& rows) {
    const auto counts_of = [](const StatementView& view) -> const StatementSnapshot& {
        return view.counts;
    };
    for (const StatementView* view : ByTime(statements, counts_of)) {
        rows.Add(StatementRow(*view, filled));
    }
}

void SlowRows(std::span<const SlowView> statements, const FilledColumns& filled, RowSink& rows) {
    for (const SlowView& view : statements) {
        const SlowStatement& slow = view.statement;
        const SlowFields& fields = slow.fields;
        const auto if_visible = [&](const std::string& text) {
            return view.is_visible ? TextOrNull(text) : Value();
        };
        rows.Add({When(fields.ended_us), Ms(fields.duration_ns), int64_t{fields.pid},
                  view.database_name, view.user_name, if_visible(slow.application_name),
                  if_visible(slow.client_addr),
                  view.is_visible ? TextOrNull(view.endpoint) : Value(std::string(kHidden)),
                  view.is_visible ? Value(fields.fingerprint) : Value(),
                  view.is_visible ? view.query : std::string(kHidden), if_visible(slow.parameters),
                  Count(fields.rows), if_visible(slow.plan), TextOrNull(slow.error_code),
                  TextOrNull(slow.wait_event), CountIf(filled.blocks, fields.hit_blocks),
                  CountIf(filled.blocks, fields.read_blocks)});
    }
}

void EndpointRows(std::span<const StatementView> statements,
                  std::optional<std::span<const FindingView>> findings, RowSink& rows) {
    std::map<EndpointKey, size_t> places;
    std::vector<EndpointSum> sums;
    for (const StatementView& view : statements) {
        const std::string name = view.is_visible ? view.endpoint : std::string(kHidden);
        const auto [place, is_new] =
            places.try_emplace({name, view.counts.key.database}, sums.size());
        if (is_new) {
            sums.push_back({name, EndpointOf(view), view.database_name, 1, view.counts});
        } else {
            sums[place->second].counts.Merge(view.counts);
            ++sums[place->second].statements;
        }
    }
    const auto counts_of = [](const EndpointSum& sum) -> const StatementSnapshot& {
        return sum.counts;
    };
    for (const EndpointSum* sum : ByTime(std::span<const EndpointSum>(sums), counts_of)) {
        const StatementTotals& totals = sum->counts.totals;
        rows.Add({sum->endpoint, Count(totals.calls), Count(totals.errors), sum->statements,
                  Ms(totals.total_ns), QuantileMs(sum->counts, 0.5), QuantileMs(sum->counts, 0.95),
                  QuantileMs(sum->counts, 0.99), findings ? Occurrences(*findings, *sum) : Value(),
                  When(totals.last_seen_us), sum->database_name});
    }
}

Result<Value> Percentile(std::span<const StatementView> statements, const Arguments& arguments) {
    if (arguments.IsNull("fingerprint") || arguments.IsNull("q")) {
        return Value();
    }
    const double q = arguments.Float("q");
    if (!(q >= 0 && q <= 1)) {
        return Error(Code::kInvalidArgument, "q must be between 0 and 1",
                     "write 0.95 for the 95th percentile");
    }
    const int64_t fingerprint = arguments.Integer("fingerprint");
    StatementSnapshot sum;
    for (const StatementView& view : statements) {
        const bool is_wanted =
            view.is_visible && view.counts.key.fingerprint == fingerprint &&
            (arguments.IsNull("endpoint") || view.endpoint == arguments.Text("endpoint"));
        if (is_wanted && sum.totals.calls == 0) {
            sum = view.counts;
        } else if (is_wanted) {
            sum.Merge(view.counts);
        }
    }
    return QuantileMs(sum, q);
}

}  // namespace upkeep::capture
