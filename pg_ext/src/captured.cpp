// SPDX-License-Identifier: PostgreSQL
#include "captured.h"

#include <algorithm>
#include <map>

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
    "give statements: advise_indexes(ARRAY['SELECT ...']), or put pg_stat_statements into "
    "shared_preload_libraries, restart, and CREATE EXTENSION pg_stat_statements";
constexpr int kMostStatements = 1000;

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
        "SELECT query, sum(total_exec_time), userid FROM " + schema.value().Text(0, 0) +
        ".pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query ~* '^\\s*(select|insert|update|delete|with|merge)\\M'"
        " AND query !~* '\\mupkeep\\.'"
        " GROUP BY query, userid HAVING sum(total_exec_time) > 0 ORDER BY 2 DESC, 1, 3 LIMIT " +
        std::to_string(kMostStatements);
    return TryQuery(sql.c_str());
}

/// Gathers statements by text; what a role ran whose rights the caller lacks is left out.
class Gatherer {
  public:
    void Add(const std::string& text, Oid role, double weight) {
        const auto [known, is_new] = may_act_as_.emplace(role, false);
        if (is_new) {
            known->second = CallHost([=] { return has_privs_of_role(GetUserId(), role); });
        }
        if (!known->second) {
            return;
        }
        weights_[text] += weight;
        // Several roles ran it: planned as the one that can do least.
        const auto [chosen, is_first] = roles_.emplace(text, role);
        if (!is_first && CallHost([=, other = chosen->second] { return superuser_arg(other); })) {
            chosen->second = role;
        }
    }

    CapturedStatements Top(size_t limit) {
        CapturedStatements top;
        for (const auto& [text, weight] : weights_) {
            top.workload.push_back({text, weight});
        }
        std::stable_sort(
            top.workload.begin(), top.workload.end(),
            [](const auto& left, const auto& right) { return left.weight > right.weight; });
        top.workload.resize(std::min(top.workload.size(), limit));
        top.roles = std::move(roles_);
        return top;
    }

  private:
    std::map<Oid, bool> may_act_as_;
    std::map<std::string, double> weights_;
    std::map<std::string, Oid> roles_;
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
        if (view.is_visible && can_be_planned && view.counts.totals.total_ns > 0 &&
            view.query != capture::kNotKept && view.query.find("upkeep.") == std::string::npos) {
            gatherer.Add(view.query, view.counts.key.user,
                         static_cast<double>(view.counts.totals.total_ns) / 1e6);
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
        gatherer.Add(rows.Text(i, 0), static_cast<Oid>(*rows.Integer(i, 2)), *rows.Number(i, 1));
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
