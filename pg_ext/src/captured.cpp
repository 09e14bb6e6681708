// SPDX-License-Identifier: PostgreSQL
#include "captured.h"

#include <algorithm>
#include <map>
#include <set>

#include "capture_views.h"
#include "guard.h"
#include "host_query.h"
#include "pg.h"
#include "shmem.h"

extern "C" {
#include "commands/extension.h"
#include "utils/acl.h"
}

namespace upkeep::pg {

namespace {

constexpr const char* kGiveOne =
    "give statements: advise_indexes(ARRAY['SELECT ...']), or have them captured: add upkeep to "
    "shared_preload_libraries (keep what is there) and restart the server; where "
    "pg_stat_statements is preloaded already: CREATE EXTENSION pg_stat_statements";
constexpr int kMostStatements = 1000;
constexpr size_t kMostForbidden = 100;

/// Texts, times and roles of the top statements by total time. Only text that can be planned and
/// that the caller may see: others' rows say <insufficient privilege> and do not match.
Result<HostRows> ReadStatements() {
    const Result<HostRows> schema = TryQuery(
        "SELECT quote_ident(n.nspname) FROM pg_extension e"
        " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'");
    if (!schema.ok()) {
        return schema;
    }
    if (schema.value().rows != 1) {
        return Error(Code::kNotFound, "pg_stat_statements is not installed");
    }
    const std::string sql =
        "SELECT query, sum(total_exec_time), userid, queryid, sum(calls)::float8 FROM " +
        schema.value().Text(0, 0) +
        ".pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query ~* '^\\s*(select|insert|update|delete|with|merge)\\M'"
        " AND query !~* '\\mupkeep\\.'"
        " GROUP BY query, userid, queryid HAVING sum(total_exec_time) > 0"
        " ORDER BY 2 DESC, 1, 3, 4 LIMIT " +
        std::to_string(kMostStatements);
    return TryQuery(sql.c_str());
}

/// Gathers statements by text; of what a role ran whose rights the caller lacks, fingerprints only.
class Gatherer {
  public:
    struct Counted {
        double weight;  // total time
        double calls;
    };

    void Add(const std::string& text, Oid role, int64_t fingerprint, const Counted& counted) {
        const auto [known, is_new] = may_act_as_.emplace(role, false);
        if (is_new) {
            known->second = CallHost([=] { return has_privs_of_role(GetUserId(), role); });
        }
        if (!known->second) {
            forbidden_.insert(fingerprint);
            return;
        }
        Gathered& gathered = by_text_[text];
        gathered.weight += counted.weight;
        gathered.calls += counted.calls;
        gathered.by_fingerprint[fingerprint] += counted.weight;
        // Several roles ran it: planned as the one that can do least, with its own values.
        if (!OidIsValid(gathered.role) ||
            CallHost([=, other = gathered.role] { return superuser_arg(other); })) {
            gathered.role = role;
        }
    }

    /// There are statements that the caller may not see.
    void AddUnseen() { forbidden_.insert(0); }

    CapturedStatements Top(size_t limit) {
        CapturedStatements top;
        for (const int64_t fingerprint : forbidden_) {
            if (top.forbidden.size() < kMostForbidden) {
                top.forbidden.push_back(fingerprint);
            }
        }
        for (const auto& [text, gathered] : by_text_) {
            advisor::WorkloadStatement& one = top.workload.emplace_back();
            one.text = text;
            one.weight = gathered.weight;
            one.calls = gathered.calls;
            for (const auto& [fingerprint, weight] : gathered.by_fingerprint) {
                one.fingerprints.push_back(fingerprint);
            }
            std::stable_sort(one.fingerprints.begin(), one.fingerprints.end(),
                             [&weights = gathered.by_fingerprint](int64_t left, int64_t right) {
                                 return weights.at(left) > weights.at(right);
                             });
        }
        std::stable_sort(
            top.workload.begin(), top.workload.end(),
            [](const auto& left, const auto& right) { return left.weight > right.weight; });
        top.workload.resize(std::min(top.workload.size(), limit));
        for (advisor::WorkloadStatement& one : top.workload) {
            const Oid role = by_text_[one.text].role;
            top.roles[one.text] = role;
            one.sample = SampleOf(one.fingerprints.front(), role);
            if (!one.sample.empty()) {
                top.roles[one.sample] = role;
            }
        }
        return top;
    }

  private:
    struct Gathered {
        double weight = 0;
        double calls = 0;
        Oid role = InvalidOid;
        std::map<int64_t, double> by_fingerprint;  // weights: of several search paths
    };

    static std::string SampleOf(int64_t fingerprint, Oid role) {
        if (SharedStore() == nullptr) {
            return "";
        }
        return SharedStore()->samples().Read(MyDatabaseId, fingerprint, role).value_or("");
    }

    std::map<Oid, bool> may_act_as_;
    std::set<int64_t> forbidden_;
    std::map<std::string, Gathered> by_text_;
};

bool HasOtherSource() {
    return CallHost([] { return OidIsValid(get_extension_oid("pg_stat_statements", true)); });
}

/// What upkeep itself captured of this database, by the same rules as ReadStatements.
CapturedStatements OwnWorkload() {
    using capture::Operation;
    Gatherer gatherer;
    for (const capture::StatementView& view : VisibleStatements(Texts::kRead, true)) {
        const Operation operation = view.counts.operation;
        const bool can_be_planned =
            operation != Operation::kUtility && operation != Operation::kOther;
        if (!view.is_visible && can_be_planned) {
            gatherer.AddUnseen();
        }
        if (view.is_visible && can_be_planned && view.counts.totals.total_ns > 0 &&
            view.query != capture::kNotKept && view.query.find("upkeep.") == std::string::npos) {
            gatherer.Add(view.query, view.counts.key.user, view.counts.key.fingerprint,
                         {static_cast<double>(view.counts.totals.total_ns) / 1e6,
                          static_cast<double>(view.counts.totals.calls)});
        }
    }
    return gatherer.Top(kMostStatements);
}

}  // namespace

bool HasStatementSource() {
    return SharedStore() != nullptr || HasOtherSource();
}

Result<CapturedStatements> CapturedWorkload() {
    constexpr const char* kAskForMore =
        "give statements, or run the application first; others' statements need pg_read_all_stats "
        "and membership in the roles that run them";
    if (SharedStore() != nullptr) {
        CapturedStatements own = OwnWorkload();
        if (!own.workload.empty()) {
            return own;
        }
        if (IsStoreShared() || !HasOtherSource()) {
            return Error(Code::kUnsupported,
                         "no workload is given and no statement of this database that you may see "
                         "and run was captured",
                         kAskForMore);
        }
    }
    if (!HasOtherSource()) {
        return Error(Code::kUnsupported, "no workload is given and none was captured", kGiveOne);
    }
    const Result<HostRows> read = ReadStatements();
    if (!read.ok()) {
        return Error(
            Code::kUnsupported,
            "no workload is given and pg_stat_statements cannot be read: " + read.error().message(),
            kGiveOne);
    }
    Gatherer gatherer;
    const HostRows& rows = read.value();
    for (int i = 0; i < rows.rows; ++i) {
        gatherer.Add(rows.Text(i, 0), static_cast<Oid>(*rows.Integer(i, 2)),
                     rows.Integer(i, 3).value_or(0), {*rows.Number(i, 1), *rows.Number(i, 4)});
    }
    CapturedStatements gathered = gatherer.Top(kMostStatements);
    if (gathered.workload.empty()) {
        return Error(Code::kUnsupported,
                     "no workload is given and pg_stat_statements holds no statement of this "
                     "database that you may see and run",
                     kAskForMore);
    }
    return gathered;
}

}  // namespace upkeep::pg
