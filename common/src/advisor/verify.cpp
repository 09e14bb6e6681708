// SPDX-License-Identifier: PostgreSQL
#include "upkeep/advisor/verify.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "workload.h"

namespace upkeep::advisor {

namespace {

constexpr int64_t kMostRuns = 100;
constexpr size_t kMostCaptured = 20;  // of the statements that take most time
constexpr double kLeastRatio = 1.05;  // below it nobody would speak of a difference
constexpr double kSpreadOfOneRun = 1.25;
constexpr double kShortMs = 50;   // what is shorter is disturbed most easily:
constexpr int kTriesOfShort = 3;  // the best of so many is a run
constexpr double kClockStepMs = 1e-6;

/// Disturbances multiply a time (another process takes half the machine), so spreads are of its
/// logarithm: the mean deviation from the median.
double Deviation(std::vector<double> values) {
    if (values.size() == 1) {
        return std::log(kSpreadOfOneRun);
    }
    for (double& value : values) {
        value = std::log(std::max(value, kClockStepMs));
    }
    const double middle = Median(values);
    double sum = 0;
    for (const double value : values) {
        sum += std::fabs(value - middle);
    }
    return sum / static_cast<double>(values.size());
}

struct Options {
    TextArray create_sql;
    int64_t runs = 3;
    int64_t time_limit_ms = 60000;
    int64_t max_table_bytes = 0;
};

Result<Options> ReadOptions(const Arguments& arguments, const Verifier& verifier) {
    Options options;
    options.create_sql = arguments.Texts("create_sql");
    options.runs = arguments.Integer("runs");
    options.time_limit_ms = arguments.Integer("time_limit");
    options.max_table_bytes = arguments.Integer("max_table_bytes");
    if (options.create_sql.empty()) {
        return Error(Code::kInvalidArgument, "create_sql is empty",
                     "give the CREATE INDEX statements that are to be verified");
    }
    for (size_t i = 0; i < options.create_sql.size(); ++i) {
        const std::string what =
            options.create_sql.size() > 1 ? "index " + std::to_string(i + 1) : "index";
        if (Result<void> checked = CheckText(options.create_sql[i], what, verifier.dialect());
            !checked.ok()) {
            return checked.error();
        }
    }
    if (options.runs < 1 || options.runs > kMostRuns) {
        return Error(Code::kInvalidArgument, "runs must be between 1 and 100",
                     "3 to 5 tell a difference from noise");
    }
    if (options.time_limit_ms <= 0) {
        return Error(Code::kInvalidArgument, "time_limit must be positive",
                     "building and all runs have to fit in it");
    }
    if (options.max_table_bytes <= 0) {
        return Error(Code::kInvalidArgument, "max_table_bytes must be positive",
                     "tables above it are not touched");
    }
    if (arguments.IsNull("confirm") || !arguments.Bool("confirm")) {
        return Error(Code::kInvalidArgument, "verify_indexes builds the indexes and wants a yes",
                     std::string(verifier.price()));
    }
    return options;
}

/// One row to be.
struct Trial {
    std::string statement;
    std::string not_run_because;
    Compared compared;
    Times times;
    bool is_tested = false;
};

class Course {
  public:
    Course(Verifier& verifier, const Options& options) : verifier_(verifier), options_(options) {}

    void ExamineGiven(const TextArray& statements) {
        for (size_t i = 0; i < statements.size(); ++i) {
            const bool is_numbered = statements.size() > 1;
            const std::string what =
                is_numbered ? "statement " + std::to_string(i + 1) : "statement";
            CheckText(statements[i], what, verifier_.dialect()).OrThrow();
            const Result<Examined> examined = verifier_.Examine({.text = statements[i]});
            if (!examined.ok()) {
                throw StatementError(is_numbered, i + 1, examined.error());
            }
            Add(statements[i], examined.value(), i);
        }
    }

    /// Those that take most time and read a table that gets an index; what cannot be analysed by
    /// now is left out.
    void ExamineCaptured(std::vector<WorkloadStatement> captured) {
        is_captured_ = true;
        std::stable_sort(captured.begin(), captured.end(), [](const auto& left, const auto& right) {
            return left.weight > right.weight;
        });
        size_t number = 0;
        for (const WorkloadStatement& statement : captured) {
            if (trials_.size() >= kMostCaptured) {
                break;
            }
            const Result<Examined> examined = verifier_.Examine(statement);
            if (!examined.ok()) {
                if (examined.error().code() == Code::kInterrupted) {
                    throw Error(examined.error());
                }
                continue;
            }
            if (examined.value().reads_indexed_table) {
                Add(statement.text, examined.value(), number);
            }
            ++number;
        }
        if (trials_.empty()) {
            throw Error(Code::kUnsupported,
                        "no statement is given and no captured one reads these tables",
                        "give statements, or run the application first");
        }
    }

    void Test() {
        for (size_t i = 0; i < trials_.size(); ++i) {
            const Result<Compared> compared = verifier_.Compare(numbers_[i]);
            if (!compared.ok()) {
                trials_[i].compared.not_testable_because = WhyNot(i, compared.error());
            } else {
                trials_[i].compared = compared.value();
            }
        }
        verifier_.Tell("running with and without, statements: " + std::to_string(trials_.size()));
        for (size_t i = 0; i < trials_.size(); ++i) {
            Trial& trial = trials_[i];
            if (!trial.not_run_because.empty()) {
                Explain(i, "was only planned: " + trial.not_run_because);
            } else if (!trial.compared.not_testable_because.empty()) {
                Explain(i, "cannot be tested now: " + trial.compared.not_testable_because);
            } else {
                RunTrial(i);
            }
        }
    }

    void Write(RowSink& rows) const {
        for (const Trial& trial : trials_) {
            const double before = Median(trial.times.before);
            const double after = Median(trial.times.after);
            const Verdict verdict = trial.is_tested
                                        ? Judge(trial.times, trial.compared.is_plan_changed)
                                        : Verdict::kNotTestable;
            const bool is_planned = trial.compared.not_testable_because.empty();
            Row row;
            row.emplace_back(trial.statement);
            row.push_back(trial.is_tested ? Value(before) : Value());
            row.push_back(trial.is_tested ? Value(after) : Value());
            row.push_back(trial.is_tested && before > 0 ? Value(after / before) : Value());
            row.push_back(is_planned ? Value(trial.compared.is_plan_changed) : Value());
            row.emplace_back(std::string(VerdictName(verdict)));
            rows.Add(std::move(row));
        }
    }

  private:
    void Add(const std::string& statement, const Examined& examined, size_t number) {
        Trial& trial = trials_.emplace_back();
        trial.statement = statement;
        trial.not_run_because = examined.not_run_because;
        numbers_.push_back(number);
    }

    void Explain(size_t trial, const std::string& what) {
        verifier_.Tell("statement " + std::to_string(trial + 1) + " " + what);
    }

    /// Why it goes on without this one. Throws where it does not. A captured statement's own error
    /// is never told: it would show its values.
    std::string WhyNot(size_t trial, const Error& error) {
        if (error.code() == Code::kInterrupted) {
            if (verifier_.IsOver()) {
                return "the time limit was over";
            }
            throw error;
        }
        if (error.code() == Code::kBusy) {
            return "a lock could not be had in time";
        }
        if (is_captured_) {
            return "it fails when it is run again";
        }
        throw StatementError(trials_.size() > 1, trial + 1, error);
    }

    /// The best of several executions of a short statement, of a longer one its only one.
    std::optional<double> RunBest(size_t trial, bool with_indexes) {
        std::optional<double> best = RunOnce(trial, with_indexes);
        for (int i = 1; best && *best < kShortMs && i < kTriesOfShort; ++i) {
            const std::optional<double> next = RunOnce(trial, with_indexes);
            best = next ? std::min(*best, *next) : next;
        }
        return best;
    }

    /// nullopt: it cannot be run (again); the trial says why.
    std::optional<double> RunOnce(size_t trial, bool with_indexes) {
        const Result<double> ran = verifier_.IsOver()
                                       ? Error(Code::kInterrupted, "over")
                                       : verifier_.Run(numbers_[trial], with_indexes);
        if (ran.ok()) {
            return ran.value();
        }
        why_not_ = WhyNot(trial, ran.error());
        return std::nullopt;
    }

    /// Warm first, then in turn: without with, with without, …, so that a drift of the machine
    /// falls on both. Where the time limit ends it, the whole rounds until then count.
    void RunTrial(size_t number) {
        Trial& trial = trials_[number];
        bool goes_on = RunOnce(number, false) && RunOnce(number, true);
        for (int64_t round = 0; goes_on && round < options_.runs; ++round) {
            const bool with_first = round % 2 == 1;
            const std::optional<double> first = RunBest(number, with_first);
            const std::optional<double> second =
                first ? RunBest(number, !with_first) : std::nullopt;
            goes_on = second.has_value();
            if (goes_on) {
                trial.times.before.push_back(with_first ? *second : *first);
                trial.times.after.push_back(with_first ? *first : *second);
            }
        }
        trial.is_tested = !trial.times.before.empty();
        if (!trial.is_tested) {
            Explain(number, "cannot be tested now: " + why_not_);
        }
    }

    Verifier& verifier_;
    const Options& options_;
    std::vector<Trial> trials_;
    std::vector<size_t> numbers_;  // of the trials, as the verifier counts
    bool is_captured_ = false;
    std::string why_not_;  // the latest run failed
};

Result<void> Verify(const Arguments& arguments, Verifier& verifier,
                    const std::function<Result<std::vector<WorkloadStatement>>()>& captured,
                    RowSink& rows) {
    const Options options = ReadOptions(arguments, verifier).OrThrow();
    if (!arguments.IsNull("statements") && arguments.Texts("statements").empty()) {
        return Error(Code::kInvalidArgument, "statements is empty",
                     "give at least one, or NULL for what was captured");
    }
    verifier.SetLimit(options.time_limit_ms);
    verifier.Check(options.create_sql, options.max_table_bytes).OrThrow();
    Course course(verifier, options);
    if (arguments.IsNull("statements")) {
        course.ExamineCaptured(captured().OrThrow());
    } else {
        course.ExamineGiven(arguments.Texts("statements"));
    }
    Result<void> built = verifier.Build();
    if (!built.ok()) {
        return verifier.IsOver() && built.error().code() == Code::kInterrupted
                   ? Error(Code::kInterrupted, "the indexes were not built within time_limit",
                           "nothing is left of them; give a longer time_limit or fewer indexes")
                   : built.error();
    }
    course.Test();
    verifier.TakeBack();
    course.Write(rows);
    return {};
}

}  // namespace

double Median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Verdict Judge(const Times& times, bool is_plan_changed) {
    if (times.before.empty() || times.after.empty()) {
        return Verdict::kNotTestable;
    }
    const double before = std::max(Median(times.before), kClockStepMs);
    const double after = std::max(Median(times.after), kClockStepMs);
    const double difference = std::log(after / before);
    const double band =
        std::max(2 * (Deviation(times.before) + Deviation(times.after)), std::log(kLeastRatio));
    if (!is_plan_changed || std::fabs(difference) <= band) {
        return Verdict::kSame;
    }
    return difference < 0 ? Verdict::kBetter : Verdict::kWorse;
}

std::string_view VerdictName(Verdict verdict) {
    switch (verdict) {
        case Verdict::kBetter:
            return "better";
        case Verdict::kSame:
            return "same";
        case Verdict::kWorse:
            return "worse";
        case Verdict::kNotTestable:
            break;
    }
    return "not_testable_now";
}

Result<void> VerifyIndexes(const Arguments& arguments, Verifier& verifier,
                           const std::function<Result<std::vector<WorkloadStatement>>()>& captured,
                           RowSink& rows) {
    try {
        return Verify(arguments, verifier, captured, rows);
    } catch (const Error& error) {
        return error;
    }
}

}  // namespace upkeep::advisor
