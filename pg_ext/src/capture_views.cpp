// SPDX-License-Identifier: PostgreSQL
#include "capture_views.h"

#include <map>

#include "guard.h"
#include "hook_log.h"
#include "pg.h"
#include "settings.h"
#include "shmem.h"
#include "statement_facts.h"
#include "upkeep/capture/not_executed.h"
#include "upkeep/capture/unfinished_plan.h"

extern "C" {
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "utils/acl.h"
#include "utils/queryjumble.h"
}

namespace upkeep::pg {

namespace {

using capture::Store;

constexpr const char* kNotPreloaded = "statements are not captured: upkeep is not preloaded";
/// Names of ids and what the caller may see, each asked once.
class Catalog {
  public:
    Value DatabaseName(uint32_t oid) {
        return Remember(databases_, oid, [](Oid id) { return get_database_name(id); });
    }
    Value UserName(uint32_t oid) {
        return Remember(users_, oid, [](Oid id) { return GetUserNameFromId(id, true); });
    }
    /// As pg_stat_activity: own roles, or all with pg_read_all_stats.
    bool MaySee(uint32_t user) {
        const auto [place, is_new] = visible_.try_emplace(user, false);
        if (is_new) {
            place->second = CallHost([user] {
                return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
                       has_privs_of_role(GetUserId(), user);
            });
        }
        return place->second;
    }

  private:
    using Lookup = char* (*)(Oid);
    static Value Remember(std::map<uint32_t, Value>& known, uint32_t oid, Lookup lookup) {
        const auto [place, is_new] = known.try_emplace(oid);
        if (is_new) {
            const char* name = CallHost([=] { return lookup(oid); });
            place->second = name == nullptr ? Value() : Value(std::string(name));
        }
        return place->second;
    }

    std::map<uint32_t, Value> databases_;
    std::map<uint32_t, Value> users_;
    std::map<uint32_t, bool> visible_;
};

/// Texts come from databases of other encodings: what is no text here shows its ASCII only.
std::string Presentable(std::string text) {
    const char* data = text.data();
    const int size = static_cast<int>(text.size());
    if (!CallHost([=] { return pg_verify_mbstr(GetDatabaseEncoding(), data, size, true); })) {
        for (char& c : text) {
            c = static_cast<unsigned char>(c) >= 0x80 || c == '\0' ? '?' : c;
        }
    }
    return text;
}

std::string TextOf(Store& store, uint32_t database, int64_t fingerprint, uint32_t user) {
    return Presentable(store.texts().Read(database, fingerprint, user).value_or(std::string()));
}

std::string TextOrNotKept(Store& store, uint32_t database, int64_t fingerprint, uint32_t user) {
    std::string text = TextOf(store, database, fingerprint, user);
    return text.empty() ? std::string(capture::kNotKept) : text;
}

/// A plan that did not reach its end is named only now; elsewhere its relations are numbers.
std::string PlanOf(const capture::SlowStatement& slow) {
    if (!capture::IsUnfinished(slow.plan)) {
        return slow.plan;
    }
    const bool is_here = slow.fields.database == MyDatabaseId;
    return capture::UnfinishedJson(slow.plan, [is_here](uint32_t relation) {
        if (!is_here) {
            return "<in another database: " + std::to_string(relation) + ">";
        }
        const char* name = CallHost([relation] { return NameOfRelation(relation); });
        return name == nullptr ? std::string() : std::string(name);
    });
}

void Notice(const char* message, const char* hint) {
    CallHostVoid([=] { ereport(NOTICE, (errmsg("%s", message), errhint("%s", hint))); });
}

}  // namespace

bool NoticeWithoutCapture() {
    if (SharedStore() == nullptr) {
        Notice(kNotPreloaded, kCaptureHint);
        return true;
    }
    if (compute_query_id == COMPUTE_QUERY_ID_OFF) {
        Notice("statements are not captured: compute_query_id is off",
               "set compute_query_id to auto or on");
    }
    return false;
}

std::vector<capture::StatementView> VisibleStatements(Texts texts, bool this_database) {
    Store& store = *SharedStore();
    Catalog catalog;
    std::vector<capture::StatementView> views;
    for (capture::StatementSnapshot& snapshot : store.Statements()) {
        const capture::StatementKey key = snapshot.key;
        if (this_database && key.database != MyDatabaseId) {
            continue;
        }
        capture::StatementView view;
        view.is_visible = catalog.MaySee(key.user);
        view.database_name = catalog.DatabaseName(key.database);
        view.user_name = catalog.UserName(key.user);
        snapshot.tables = Presentable(std::move(snapshot.tables));
        view.counts = std::move(snapshot);
        view.endpoint = Presentable(store.endpoints().NameOf(key.endpoint));
        if (texts == Texts::kRead && view.is_visible) {
            const bool is_error = !capture::ErrorOfFingerprint(key.fingerprint).empty();
            view.query = is_error ? std::string(capture::kNotExecuted)
                                  : TextOrNotKept(store, key.database, key.fingerprint, key.user);
        }
        views.push_back(std::move(view));
    }
    return views;
}

std::vector<capture::SlowView> VisibleSlowStatements() {
    Store& store = *SharedStore();
    Catalog catalog;
    std::vector<capture::SlowView> views;
    for (capture::SlowStatement& slow : store.slow().Read()) {
        const capture::SlowFields fields = slow.fields;
        capture::SlowView view;
        view.is_visible = catalog.MaySee(fields.user);
        view.database_name = catalog.DatabaseName(fields.database);
        view.user_name = catalog.UserName(fields.user);
        view.endpoint = Presentable(store.endpoints().NameOf(fields.endpoint));
        view.query = TextOf(store, fields.database, fields.fingerprint, fields.user);
        if (view.query.empty()) {
            view.query = slow.query.empty() ? std::string(capture::kNotKept)
                                            : Presentable(std::move(slow.query));
        }
        slow.application_name = Presentable(std::move(slow.application_name));
        slow.parameters = Presentable(std::move(slow.parameters));
        slow.plan = Presentable(PlanOf(slow));
        view.statement = std::move(slow);
        views.push_back(std::move(view));
    }
    return views;
}

std::vector<capture::FindingView> VisibleFindings(Texts texts) {
    Store& store = *SharedStore();
    Catalog catalog;
    std::vector<capture::FindingView> views;
    for (const capture::FindingSnapshot& finding : store.findings().Snapshots()) {
        const capture::FindingKey& key = finding.key;
        capture::FindingView view;
        view.finding = finding;
        view.is_visible = catalog.MaySee(key.user);
        view.database_name = catalog.DatabaseName(key.database);
        view.endpoint = Presentable(store.endpoints().NameOf(key.endpoint));
        if (texts == Texts::kRead && view.is_visible) {
            view.parent_query = TextOrNotKept(store, key.database, key.parent, key.user);
            view.child_query = TextOrNotKept(store, key.database, key.child, key.user);
        }
        views.push_back(std::move(view));
    }
    return views;
}

bool LooksForNPlusOne() {
    return settings.n_plus_one_threshold > 0;
}

std::vector<capture::CounterSnapshot> VisibleCounters() {
    const bool sees_all =
        CallHost([] { return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS); });
    std::vector<capture::CounterSnapshot> counters = SharedStore()->counters().Snapshots();
    for (capture::CounterSnapshot& counter : counters) {
        counter.table = sees_all || counter.table.empty() ? Presentable(std::move(counter.table))
                                                          : std::string(capture::kHidden);
    }
    return counters;
}

std::string CaptureReason() {
    if (SharedStore() == nullptr) {
        return kNotPreloaded;
    }
    if (compute_query_id == COMPUTE_QUERY_ID_OFF) {
        return "compute_query_id is off: statements have no fingerprint";
    }
    if (settings.capture == kCaptureNone) {
        return "upkeep.capture is none";
    }
    const capture::StoreStatus status = SharedStore()->Status();
    std::string reason = settings.capture == kCaptureAll
                             ? "statements of clients and those they run in functions"
                             : "statements that clients send";
    if (!IsStoreShared()) {
        reason += "; of this session only, in its own memory: " +
                  std::to_string(kPrivateLimits.statements) + " statements, " +
                  std::to_string(kPrivateLimits.text_bytes >> 20) + " MB of texts";
    }
    const auto add = [&reason](uint64_t count, const char* what) {
        if (count != 0) {
            reason += "; " + std::to_string(count) + " " + what;
        }
    };
    const bool is_shared = IsStoreShared();
    add(status.evictions, is_shared ? "statements gave way to others (upkeep.max_statements)"
                                    : "statements gave way to others");
    add(status.texts_not_kept,
        is_shared ? "texts found no room (upkeep.text_memory)" : "texts found no room");
    add(status.endpoints_refused, "times an endpoint found no room and was taken for other");
    add(status.missed, "executions were not counted");
    add(status.pages_missed, "durations are missing from percentiles");
    add(status.host_errors, "failures of our own");
    if (LogHidesErrors()) {
        reason += "; errors without a statement are not seen: log_min_messages hides ERROR";
    }
    return reason;
}

}  // namespace upkeep::pg
