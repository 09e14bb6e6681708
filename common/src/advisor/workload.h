// The workload as the advisor sees it: analysed statements with their weights, and the only way
// to the planner. Not for: choosing anything.
//
// Inside the advisor a failure that ends the call travels as an upkeep::Error; Advise() turns it
// into a Result at the door. Foreign unwindings pass through untouched.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "upkeep/advisor/advise.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::advisor {

/// A statement whose time was measured weighs so that its part of the workload's cost is its part
/// of the time: what the planner over- or underestimates as a whole is set right by that, and a
/// saving in cost is one in time. Writes that an index adds are counted by executions, as the
/// planner prices nothing of a write itself that this could be measured by.
struct WorkloadItem {
    Statement statement;
    double weight = 1;
    size_t number = 1;                       // position in the caller's workload, from 1
    double baseline_cost = 0;                // price without any hypothetical index, unweighted
    std::vector<int64_t> fingerprints = {};  // never empty; several: of equal texts
    bool is_sampled = false;                 // `statement` is that of the sample
    double baseline_risk = 0;                // Price::risk of that price
    double executions = 1;                   // as often an index is written for it
    double measured_time = 0;                // 0: not known; `weight` follows from it
    bool is_check = false;                   // one of WhatIf::ChecksOf the statement `number`
    double baseline_elsewhere = 0;           // … and Price::elsewhere

    /// What choices compare with.
    double FearedBaseline() const { return baseline_cost + baseline_risk + baseline_elsewhere; }
};

struct Workload {
    std::vector<WorkloadItem> items;  // equal texts are one item with the sum of their weights
    bool is_numbered = false;         // errors name the statement's number
};

/// Counts planner calls, asks for a stop before each, and tells the port how far the call is.
class Planner {
  public:
    explicit Planner(WhatIf& port) : port_(port) {}

    void Begin(Phase phase, size_t statements);
    /// What the next report will say.
    void NoteDone(size_t statements) {
        progress_.statements_done = static_cast<int64_t>(statements);
    }
    void NoteHits(int64_t hits) { progress_.cache_hits = hits; }
    void NoteBaseline(double cost) { baseline_cost_ = cost; }
    /// Weighted cost of the workload with a set that could be the answer.
    void NoteCost(double cost);

    /// Price of one execution with exactly `indexes` (ascending). Throws Error.
    Price Plan(const Workload& workload, const WorkloadItem& item,
               std::span<const IndexId> indexes);
    int64_t calls() const { return calls_; }
    bool IsPlanCheap() const { return port_.IsPlanCheap(); }

  private:
    WhatIf& port_;
    int64_t calls_ = 0;
    double baseline_cost_ = 0;
    Progress progress_;
};

/// Throws kInterrupted when the caller cancelled.
void CheckStop(WhatIf& port);

/// The host's error with the statement's number in front and a hint in any case.
Error StatementError(bool is_numbered, size_t number, const Error& error);

/// Is there nothing in it but white space and semicolons?
bool IsBlank(std::string_view text);

/// What is wrong with one SQL text before any host sees it (blank, a NUL inside, not UTF-8 unless
/// the host has checked its own encoding). `what` names it in the message: `statement 3`.
Result<void> CheckText(std::string_view text, const std::string& what, const Dialect& dialect);

/// Analyses all statements. With options.skip_unusable those that fail are left out. Throws Error.
Workload AnalyseWorkload(WhatIf& port, const AdviseOptions& options);

/// With what the host looks up by itself for each item, behind it.
Workload WithChecks(WhatIf& port, Workload workload);

/// Fills baseline_cost of every item (with skip_unusable: drops items that do not plan) and returns
/// the weighted sum. A sample that does not plan gives way to its text. Throws Error.
double PriceBaseline(WhatIf& port, Planner& planner, Workload& workload,
                     const AdviseOptions& options);

/// Throws kUnsupported when the workload names relations and none of them can have an index.
void CheckSomethingCanBeIndexed(const WhatIf& port, const Workload& workload);

}  // namespace upkeep::advisor
