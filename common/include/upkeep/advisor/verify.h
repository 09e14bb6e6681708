// verify_indexes: are these indexes worth it? Built for real where nobody else sees them, every
// statement run with and without them, nothing kept.
//
//   texts ─▶ Check (nothing locked) ─▶ Examine each statement ─▶ Build ─▶ Compare ─▶ Run … ─▶
//   verdict
//
// The host builds, hides and runs; which statements, in which order, and what the times mean is
// decided here.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/advisor/advise.h"
#include "upkeep/base/table_function.h"

namespace upkeep::advisor {

/// What a statement means to the new indexes, before they are built.
struct Examined {
    bool reads_indexed_table = false;
    std::string not_run_because =
        {};  // it would have effects, or has no values: it is planned only
};

/// The two plans of one statement.
struct Compared {
    bool is_plan_changed = false;
    std::string not_testable_because = {};  // one of the new indexes may not be used here
};

/// The host's half; one object for one call.
class Verifier {
  public:
    virtual ~Verifier() = default;

    /// Refuses what is not one CREATE INDEX that the caller may build, and tables above the limit.
    /// Errors: kInvalidArgument, kNotFound, kPermissionDenied, kUnsupported, kBusy.
    virtual Result<void> Check(const TextArray& create_sql, int64_t max_table_bytes) = 0;
    /// The statement `number` (from 0, in order), analysed with the rights it is run with; plans
    /// nothing. Errors: as WhatIf::Analyse.
    virtual Result<Examined> Examine(const WorkloadStatement& statement) = 0;
    /// Builds them all. Errors: kBusy (a lock that cannot be had in time), kInterrupted, the
    /// host's.
    virtual Result<void> Build() = 0;
    /// Plans an examined statement with and without the new indexes. Errors: the host's.
    virtual Result<Compared> Compare(size_t number) = 0;
    /// Executes it, reading only; milliseconds. Errors: kInterrupted (the time limit), the host's.
    virtual Result<double> Run(size_t number, bool with_indexes) = 0;

    /// Ends the test; nothing that was built is left. The destructor does the same on any other
    /// way.
    virtual void TakeBack() = 0;

    /// From now on everything ends after this time.
    virtual void SetLimit(int64_t milliseconds) = 0;
    virtual bool IsOver() const = 0;
    /// One line for who waits; hosts without a way to say it do nothing.
    virtual void Tell(const std::string& line) = 0;
    virtual Dialect dialect() const = 0;
    /// What a call blocks or costs here: the hint for who has not confirmed it.
    virtual std::string_view price() const = 0;
};

enum class Verdict : uint8_t { kBetter, kSame, kWorse, kNotTestable };

/// Times of interleaved runs, milliseconds; as many of one as of the other.
struct Times {
    std::vector<double> before;
    std::vector<double> after;
};

double Median(std::vector<double> values);

/// Of two medians no further apart than the runs themselves are spread nothing is said. Measured in
/// factors: the band is twice the sum of both mean deviations of the logarithms, and never below
/// 5 %; of equal times it calls 1 in 20 different with 3 runs, 1 in 200 with 5 (simulated, normal
/// and long-tailed noise). One run has no spread to see: a factor of 1.25 is taken. With an
/// unchanged plan a difference is noise, whatever its size.
Verdict Judge(const Times& times, bool is_plan_changed);
std::string_view VerdictName(Verdict verdict);

/// Body of the SQL call verify_indexes. `captured` is asked for where no statements are given.
Result<void> VerifyIndexes(const Arguments& arguments, Verifier& verifier,
                           const std::function<Result<std::vector<WorkloadStatement>>()>& captured,
                           RowSink& rows);

}  // namespace upkeep::advisor
