// SPDX-License-Identifier: PostgreSQL
#include "verify.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>
#include <vector>

#include "act_as.h"
#include "compat.h"
#include "fresh_indexes.h"
#include "guard.h"
#include "time_limit.h"

extern "C" {
#include "access/xlog.h"
}

namespace upkeep::pg {

namespace {

using advisor::Compared;
using advisor::Examined;

/// A statement as it is run.
struct Examinee {
    char* text;
    Oid role;
};

class PgVerifier : public advisor::Verifier {
  public:
    explicit PgVerifier(const std::map<std::string, Oid>& roles) : roles_(roles) {}
    ~PgVerifier() override { TakeBack(); }

    Result<void> Check(const TextArray& create_sql, int64_t max_table_bytes) override;
    Result<Examined> Examine(const advisor::WorkloadStatement& statement) override;
    Result<void> Build() override;
    Result<Compared> Compare(size_t number) override;
    Result<double> Run(size_t number, bool with_indexes) override;
    void TakeBack() override;
    void SetLimit(int64_t milliseconds) override;
    bool IsOver() const override { return LimitStruck(); }
    void Tell(const std::string& line) override;
    advisor::Dialect dialect() const override {
        advisor::Dialect dialect;
        dialect.has_checked_text = true;
        return dialect;
    }
    std::string_view price() const override {
        return "writers of the tables (INSERT, UPDATE, DELETE) wait until the call ends, at most "
               "time_limit: add confirm => true in a quiet hour or on a copy";
    }

  private:
    template <typename Call>
    auto Guarded(Call call) -> Result<decltype(call())>;
    template <typename Call>
    auto Tried(Oid role, Call call) -> Result<decltype(call())>;
    Result<Examined> ExamineText(const std::string& text);

    const std::map<std::string, Oid>& roles_;
    std::vector<PlannedIndex*> planned_;
    std::vector<Examinee> examinees_;
    std::optional<TimeLimit> limit_;
    std::optional<SubtransactionState> built_in_;
};

char* HostText(const std::string& text) {
    const char* data = text.data();
    const size_t size = text.size();
    return CallHost([=] { return pnstrdup(data, size); });
}

/// The server's error as it is, with a hint in any case.
[[noreturn]] void Raise(ErrorData* error) {
    if (error->hint == nullptr && !MustUnwind(error)) {
        CallHostVoid([=] {
            error->hint = pstrdup(error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE
                                      ? "another transaction holds the table for longer than we "
                                        "wait: try again when it has ended"
                                      : "nothing was changed and nothing is left; check the text "
                                        "with psql");
        });
    }
    throw HostError{error};
}

/// The limit as a value; every other error passes through as the server's own.
template <typename Call>
auto PgVerifier::Guarded(Call call) -> Result<decltype(call())> {
    try {
        const auto value = CallHost(call);
        CallHostVoid([] { CHECK_FOR_INTERRUPTS(); });  // struck at the very end
        return value;
    } catch (const HostError& error) {
        if (LimitStruck() && error.data->sqlerrcode == ERRCODE_QUERY_CANCELED) {
            FreeErrorData(error.data);
            return Error(Code::kInterrupted, "the time limit was over", "give a longer time_limit");
        }
        Raise(error.data);
    }
}

/// In a subtransaction that is rolled back, as this role. What only the statement is to blame for
/// is a value.
template <typename Call>
auto PgVerifier::Tried(Oid role, Call call) -> Result<decltype(call())> {
    try {
        const ActAs acting(role);
        const auto value = InSubtransaction(call, Keep::kNothing);
        CallHostVoid([] { CHECK_FOR_INTERRUPTS(); });
        return value;
    } catch (const HostError& error) {
        if (LimitStruck() && error.data->sqlerrcode == ERRCODE_QUERY_CANCELED) {
            FreeErrorData(error.data);
            return Error(Code::kInterrupted, "the time limit was over", "give a longer time_limit");
        }
        throw;
    }
}

void RefuseHere() {
    if (RecoveryInProgress() || XactReadOnly) {
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                 errmsg("verify_indexes cannot build indexes in a read-only transaction"),
                 RecoveryInProgress() ? errhint("this server is a standby: run it on the primary")
                                      : errhint("run it in a transaction that may write")));
    }
    if (IsInParallelMode()) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("indexes cannot be built from a parallel plan"),
                        errhint("call verify_indexes in a statement of its own")));
    }
}

void PgVerifier::SetLimit(int64_t milliseconds) {
    if (IsLimited()) {  // by a function that an index or a statement calls
        throw Error(Code::kUnsupported, "a statement that is run cannot verify indexes",
                    "call verify_indexes in a statement of its own");
    }
    CallHostVoid(RefuseHere);
    limit_.emplace(
        static_cast<int>(std::min<int64_t>(milliseconds, std::numeric_limits<int>::max())));
}

Result<void> PgVerifier::Check(const TextArray& create_sql, int64_t max_table_bytes) {
    for (const std::string& text : create_sql) {
        const char* host_text = HostText(text);
        PlannedIndex* planned = nullptr;
        ErrorData* error = CallHost([=, out = &planned] {
            const auto check = [=] { return CheckIndex(host_text, max_table_bytes); };
            return TryInSubtransaction(check, out, Keep::kNothing);
        });
        if (error != nullptr && LimitStruck() && error->sqlerrcode == ERRCODE_QUERY_CANCELED) {
            return Error(Code::kInterrupted, "time_limit was over before anything was built",
                         "another transaction holds the table: try again, or give a longer one");
        }
        if (error != nullptr) {
            Raise(error);
        }
        planned_.push_back(planned);
    }
    return {};
}

Result<Examined> PgVerifier::ExamineText(const std::string& text) {
    const auto known = roles_.find(text);
    const Examinee examinee = {HostText(text), known == roles_.end() ? InvalidOid : known->second};
    PlannedIndex* const* planned = planned_.data();
    const auto count = static_cast<int>(planned_.size());
    const Result<Looked> looked =
        Tried(examinee.role, [=] { return LookAt(examinee.text, planned, count); });
    if (!looked.ok()) {
        return looked.error();
    }
    Examined examined;
    examined.reads_indexed_table = looked.value().reads_indexed_table;
    if (looked.value().has_parameters) {
        examined.not_run_because = "it has parameters without values";
    } else if (looked.value().is_rewritten) {
        examined.not_run_because = "a statement that writes is planned, never run";
    } else {
        const Result<bool> harmless =
            Tried(examinee.role, [=] { return RefuseToRun(examinee.text); });
        if (!harmless.ok() && harmless.error().code() == Code::kInterrupted) {
            return harmless.error();
        }
        examined.not_run_because = harmless.ok() ? "" : harmless.error().message();
    }
    examinees_.push_back(examinee);
    return examined;
}

Result<Examined> PgVerifier::Examine(const advisor::WorkloadStatement& statement) {
    if (!statement.sample.empty()) {
        Result<Examined> sampled = ExamineText(statement.sample);
        if (sampled.ok() || sampled.error().code() == Code::kInterrupted) {
            return sampled;
        }
    }
    return ExamineText(statement.text);
}

Result<void> PgVerifier::Build() {
    PlannedIndex* const* planned = planned_.data();
    const auto count = static_cast<int>(planned_.size());
    built_in_ = CallHost(BeginSubtransaction);
    const auto fresh = Guarded([=] {
        WaitShortly();
        return BuildIndexes(planned, count);
    });
    if (!fresh.ok()) {
        return fresh.error();
    }
    WatchIndexes(fresh.value().items, fresh.value().count);
    return {};
}

Result<Compared> PgVerifier::Compare(size_t number) {
    const Examinee examinee = examinees_[number];
    MetUnusable();
    const Result<char*> with = Tried(examinee.role, [=] { return PlanText(examinee.text, false); });
    if (!with.ok()) {
        return with.error();
    }
    if (MetUnusable()) {
        return Compared{.not_testable_because =
                            "rows of the table were updated while older transactions may still "
                            "see them, so only later transactions may use the fresh index; try "
                            "again when they have ended"};
    }
    const Result<char*> without =
        Tried(examinee.role, [=] { return PlanText(examinee.text, true); });
    if (!without.ok()) {
        return without.error();
    }
    return Compared{.is_plan_changed = strcmp(with.value(), without.value()) != 0};
}

Result<double> PgVerifier::Run(size_t number, bool with_indexes) {
    const Examinee examinee = examinees_[number];
    return Tried(examinee.role, [=] { return TimeRun(examinee.text, !with_indexes); });
}

void PgVerifier::TakeBack() {
    WatchIndexes(nullptr, 0);
    if (built_in_) {
        // Not CallHost: also while something is thrown. What fails here fails in the server's own
        // clean-up, which there is nobody to tell of.
        const auto roll_back = [state = &*built_in_] {
            EndSubtransaction(*state, false);
            return true;
        };
        bool is_done = false;
        TryCall(roll_back, &is_done);
        built_in_.reset();
    }
    limit_.reset();
}

void PgVerifier::Tell(const std::string& line) {
    const char* text = line.c_str();
    CallHostVoid([=] { ereport(NOTICE, (errmsg("%s", text))); });
}

}  // namespace

std::unique_ptr<advisor::Verifier> MakeVerifier(const std::map<std::string, Oid>& roles) {
    return std::make_unique<PgVerifier>(roles);
}

}  // namespace upkeep::pg
