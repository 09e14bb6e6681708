// Body of explain_rejections: what a reader would expect in the advice and does not find there.
//
//   candidates that were not chosen    each priced alone, and beside the chosen set
//   kinds that were left out           priced alone
//   what never became a candidate      never_considered.cpp
//
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

#include "choose.h"
#include "collection.h"
#include "ddl.h"
#include "describe.h"
#include "index_kind.h"
#include "never_considered.h"
#include "options.h"
#include "read_options.h"
#include "upkeep/advisor/advise.h"

namespace upkeep::advisor {

namespace {

// A reader looks at the first rows; the rest repeats them with other columns.
constexpr size_t kMaxRows = 100;
// Candidates of a kind that was left out, by relation: each costs plans of its own.
constexpr size_t kMaxOfLeftKinds = 20;
// Below this many rows a scan of the table is cheap whatever exists.
constexpr double kSmallTableRows = 1000;
// A column with so many values or less leads to a large part of the table.
constexpr double kFewValues = 20;
// A statement is slower when it costs more than this times its baseline.
constexpr double kSlower = 1.05;
// Costs that differ by less are the same (sums of doubles in another order).
constexpr double kSameCost = 1e-9;

std::string Percent(double ratio) {
    std::array<char, 64> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), ratio * 100,
                                   std::chars_format::general, 3);
    return std::string(buffer.data(), end.ptr) + " %";
}

std::string Bytes(double bytes) {
    return std::to_string(WholeBytes(bytes)) + " bytes";
}

class Rejections {
  public:
    Rejections(WhatIf& port, const AdviseOptions& options)
        : port_(port),
          options_(options),
          collection_(port, options),
          chosen_(collection_.ids().size()) {}

    void AddAll() {
        if (!collection_.IsEmpty()) {
            Choose();
            collection_.Begin(Phase::kExplaining);
            for (size_t c = 0; c < collection_.ids().size(); ++c) {
                if (!chosen_.Has(c)) {
                    AddCandidate(c);
                }
            }
        }
        AddLeftKinds();
        AddNeverConsidered(port_, options_, collection_, &rows_);
        Sort();
    }

    void Write(RowSink& rows) {
        for (Rejection& row : rows_) {
            if (row.candidate && !IsLate()) {
                row.cost_after = Alone(*row.candidate, /*is_exact=*/true).cost;
            } else if (row.candidate) {
                row.because += "; time_limit was over: its cost_after is an upper bound";
            }
            const auto number = [](const std::optional<double>& value) {
                return value ? Value(*value) : Value();
            };
            rows.Add({row.table.empty() ? Value() : Value(row.table),
                      row.columns.empty() ? Value() : Value(row.columns),
                      row.kind.empty() ? Value() : Value(row.kind), collection_.baseline_cost(),
                      number(row.cost_after),
                      row.size_bytes ? Value(WholeBytes(*row.size_bytes)) : Value(), row.because});
        }
    }

  private:
    struct Worth {
        double cost = 0;           // of the workload, writes included
        double read_saving = 0;    // writes not counted
        double feared_saving = 0;  // as cost, but with Price::risk
        bool is_used = false;
        std::optional<size_t> slower;  // number of a statement that gets slower
    };

    bool IsLate() { return port_.ElapsedMs() >= options_.time_limit_ms; }
    double baseline() const { return collection_.baseline_cost(); }
    /// What an index must save of this cost.
    double LeastOf(double cost) const {
        return std::max(options_.min_saving_ratio, kSameCost) * cost;
    }
    double MinSaving() const { return LeastOf(baseline()); }

    void Choose() {
        const Choice choice = ChooseForBudgets(collection_, options_, {options_.budget_bytes});
        is_complete_ = choice.is_complete;
        chosen_cost_ = baseline();
        for (const PricedIndex& row : choice.rows.front()) {
            chosen_.Add(row.candidate);
            chosen_order_.push_back(row.candidate);
            chosen_bytes_ += collection_.facts().sizes[row.candidate];
            chosen_cost_ = row.cost_after;
        }
        for (const AdvisedIndex& index :
             Describe(collection_, choice.rows.front(), choice.is_complete)) {
            names_.push_back(index.name);
        }
    }

    const CachedPrice& PriceOf(size_t item, const IndexSet& set, bool is_exact) {
        if (IsLate()) {
            return collection_.cache().KnownPrice(item, set);
        }
        return is_exact ? collection_.cache().PriceExactly(item, set)
                        : collection_.cache().Price(item, set);
    }

    Worth Alone(size_t candidate, bool is_exact) {
        Worth worth;
        IndexSet set(collection_.ids().size());
        set.Add(candidate);
        for (const size_t i : collection_.facts().items[candidate]) {
            const WorkloadItem& item = collection_.workload().items[i];
            const CachedPrice& price = PriceOf(i, set, is_exact);
            worth.is_used = worth.is_used || price.Uses(candidate);
            worth.read_saving += item.weight * (item.baseline_cost - price.planned);
            worth.feared_saving += item.weight * (item.FearedBaseline() - price.cost);
            if (price.cost > kSlower * item.FearedBaseline() && !worth.slower) {
                worth.slower = item.number;
            }
        }
        worth.cost = baseline() - worth.read_saving + collection_.facts().write_costs[candidate];
        worth.feared_saving -= collection_.facts().write_costs[candidate];
        return worth;
    }

    /// What it would save beyond the chosen ones.
    double Beyond(size_t candidate) {
        IndexSet with = chosen_;
        with.Add(candidate);
        double saving = -collection_.facts().write_costs[candidate];
        for (const size_t i : collection_.facts().items[candidate]) {
            saving += collection_.workload().items[i].weight *
                      (PriceOf(i, chosen_, false).cost - PriceOf(i, with, false).cost);
        }
        return saving;
    }

    /// The advised index that the statements of this candidate use instead; empty: none.
    std::string ServedBy(size_t candidate) {
        for (const size_t i : collection_.facts().items[candidate]) {
            const CachedPrice& price = PriceOf(i, chosen_, false);
            for (size_t k = 0; k < chosen_order_.size(); ++k) {
                const size_t other = chosen_order_[k];
                if (price.Uses(other) && collection_.facts().specs[other].relation ==
                                             collection_.facts().specs[candidate].relation) {
                    return names_[k];
                }
            }
        }
        return "";
    }

    std::string WhyUseless(const IndexSpec& spec) const {
        const Relation& relation = port_.relation(spec.relation);
        if (relation.rows < kSmallTableRows) {
            return "the table is too small: about " + std::to_string(std::llround(relation.rows)) +
                   " rows are read as fast without it";
        }
        const int first = spec.keys.empty() ? -1 : spec.keys.front().column;
        const double values =
            first < 0 ? 0 : relation.columns[static_cast<size_t>(first)].distinct_count;
        return std::string("the planner does not use it") +
               (values >= 1 && values <= kFewValues
                    ? ": " + relation.columns[static_cast<size_t>(first)].name + " has about " +
                          std::to_string(std::llround(values)) +
                          (std::llround(values) == 1 ? " value" : " values, of many rows each")
                    : "");
    }

    /// Why it is not worth anything by itself; empty: it is.
    std::string WhyNotAlone(size_t candidate, const Worth& worth) const {
        const double saving = baseline() - worth.cost;
        if (!worth.is_used) {
            return WhyUseless(collection_.facts().specs[candidate]);
        }
        if (worth.slower && saving < MinSaving()) {
            return "it makes statement " + std::to_string(*worth.slower) + " slower";
        }
        if (worth.slower && worth.feared_saving < MinSaving()) {
            return "with it the planner hopes to meet the LIMIT of statement " +
                   std::to_string(*worth.slower) +
                   " early in a walk along it, and may have to go to its end";
        }
        if (worth.read_saving > 0 && saving <= 0) {
            return "its write cost exceeds its saving: writes cost " +
                   Percent(collection_.facts().write_costs[candidate] / baseline()) +
                   " of the workload more, reads " + Percent(worth.read_saving / baseline()) +
                   " less";
        }
        if (saving < MinSaving()) {
            return "it saves " + Percent(saving / baseline()) +
                   " of the workload, less than min_saving_ratio (" +
                   Percent(options_.min_saving_ratio) + ")";
        }
        return "";
    }

    std::string WhyNotBeside(size_t candidate) {
        const double size = collection_.facts().sizes[candidate];
        const double budget = options_.budget_bytes ? static_cast<double>(*options_.budget_bytes)
                                                    : std::numeric_limits<double>::infinity();
        if (size > budget) {
            return "over budget: it needs " + Bytes(size) + ", budget_bytes is " + Bytes(budget);
        }
        if (Beyond(candidate) < LeastOf(chosen_cost_)) {
            const std::string name = ServedBy(candidate);
            return name.empty()
                       ? "beside the advised indexes it saves less than min_saving_ratio of what "
                         "they leave"
                       : "advised index " + name + " serves the same";
        }
        if (chosen_bytes_ + size > budget) {
            return "over budget: the advised indexes take " + Bytes(chosen_bytes_) + " of " +
                   Bytes(budget) + ", it needs " + Bytes(size);
        }
        return is_complete_ ? "the advised indexes save more together than with it"
                            : "time_limit ended the search before it was tried";
    }

    void AddCandidate(size_t candidate) {
        const Worth worth = Alone(candidate, false);
        Rejection row = RejectionOf(port_, collection_.facts().specs[candidate]);
        row.candidate = candidate;
        row.cost_after = worth.cost;
        row.size_bytes = collection_.facts().shown_sizes[candidate];
        row.interest = baseline() - worth.cost > kSameCost * baseline() ? Interest::kSaves
                                                                        : Interest::kUseless;
        row.because = WhyNotAlone(candidate, worth);
        if (row.because.empty()) {
            row.because = WhyNotBeside(candidate);
        }
        rows_.push_back(std::move(row));
    }

    void AddLeftKinds() {
        if (options_.kinds.empty()) {
            return;
        }
        std::vector<IndexKind> left;
        for (const IndexKind kind : PricedKinds(port_)) {
            if (std::find(options_.kinds.begin(), options_.kinds.end(), kind) ==
                options_.kinds.end()) {
                left.push_back(kind);
            }
        }
        if (left.empty()) {
            return;
        }
        Planner planner(port_);
        for (const Candidate& candidate : GenerateCandidates(port_, collection_.workload(),
                                                             {.max_columns = options_.max_columns,
                                                             .max_per_relation = kMaxOfLeftKinds,
                                                             .kinds = left})) {
            if (IsLate()) {
                continue;
            }
            const Result<IndexId> id = port_.Declare(candidate.spec);
            if (id.ok()) {
                AddLeftKind(planner, candidate, id.value());
            }
        }
    }

    void AddLeftKind(Planner& planner, const Candidate& candidate, IndexId id) {
        const std::array<IndexId, 1> ids = {id};
        double saving = 0;
        for (const size_t i : candidate.items) {
            const WorkloadItem& item = collection_.workload().items[i];
            saving += item.weight *
                      (item.baseline_cost - planner.Plan(collection_.workload(), item, ids).cost);
        }
        if (saving <= kSameCost * baseline()) {
            return;
        }
        Rejection row = RejectionOf(port_, candidate.spec);
        row.interest = Interest::kSaves;
        row.cost_after = baseline() - saving;
        row.size_bytes = port_.SizeBytes(id);
        row.because = "its kind is left out by kinds; writes are not counted";
        rows_.push_back(std::move(row));
    }

    /// What saves most alone, then what could not be, then what is of no use.
    void Sort() {
        const auto key = [](const Rejection& row) {
            return std::tuple(row.interest, row.interest == Interest::kSaves ? *row.cost_after : 0,
                              std::cref(row.table).get(), row.columns.size(),
                              std::cref(row.columns).get(), row.because);
        };
        std::stable_sort(rows_.begin(), rows_.end(),
                         [&](const Rejection& a, const Rejection& b) { return key(a) < key(b); });
        rows_.resize(std::min(rows_.size(), kMaxRows));
    }

    WhatIf& port_;
    const AdviseOptions& options_;
    Collection collection_;
    IndexSet chosen_;
    std::vector<size_t> chosen_order_;
    std::vector<std::string> names_;  // of the chosen, in that order
    double chosen_bytes_ = 0;
    double chosen_cost_ = 0;  // of the workload with them
    bool is_complete_ = true;
    std::vector<Rejection> rows_;
};

}  // namespace

Result<void> ExplainRejections(const Arguments& arguments,
                               const Result<std::vector<WorkloadStatement>>& captured, WhatIf& port,
                               RowSink& rows) {
    try {
        const Result<AdviseOptions> options = ReadOptions(arguments, captured);
        if (!options.ok()) {
            return options.error();
        }
        if (Result<void> checked = CheckOptions(options.value(), port); !checked.ok()) {
            return checked;
        }
        Rejections rejections(port, options.value());
        rejections.AddAll();
        rejections.Write(rows);
        return {};
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
