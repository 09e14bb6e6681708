// SPDX-License-Identifier: PostgreSQL
#include "captured.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>
#include <utility>

#include "fork_safe.h"
#include "plan.h"
#include "planning_connection.h"
#include "settings_state.h"
#include "trace.h"
#include "upkeep/base/text.h"

namespace upkeep::sqlite {

namespace {

constexpr int kSaveBusyMs = 250;  // longer than any transaction on a state file takes
constexpr const char* kInMemory = ":memory:";

struct Trouble {
    std::mutex mutex;
    std::map<std::string, std::string> by_database;
};

/// Never destroyed: connections may still close while the process exits.
std::mutex& TheMutex();

Trouble& TheTrouble() {
    static Trouble& trouble = *new Trouble;
    KeepUnlockedInChildren<TheMutex>();
    return trouble;
}

std::mutex& TheMutex() {
    return TheTrouble().mutex;
}

constexpr size_t kMostTroubles = 1000;  // databases; beyond, the old ones are forgotten

/// True: this is news.
bool SetTrouble(const std::string& database, const std::string& text) {
    Trouble& trouble = TheTrouble();
    const std::lock_guard lock(trouble.mutex);
    if (text.empty()) {
        trouble.by_database.erase(database);
        return false;
    }
    if (trouble.by_database.size() >= kMostTroubles) {
        trouble.by_database.clear();
    }
    std::string& known = trouble.by_database[database];
    const bool is_news = known != text;
    known = text;
    return is_news;
}

/// `[{"detail":…,"children":[…]}]`: nothing in it comes from a literal.
std::string DetailsJson(const std::vector<PlanNode>& plan) {
    std::string json = "[";
    for (const PlanNode& node : plan) {
        json +=
            (json.size() > 1 ? "," : "") + std::string("{\"detail\":") + JsonString(node.detail);
        if (!node.children.empty()) {
            json += ",\"children\":" + DetailsJson(node.children);
        }
        json += "}";
    }
    return json + "]";
}

/// Plans statements as the database plans them now, on a connection of its own that reads nothing
/// but the schema. What it cannot plan (temporary tables, the application's functions, a locked
/// file) stays without a plan.
class Planner {
  public:
    explicit Planner(std::string database) : database_(std::move(database)) {}

    void Resolve(CapturedSlow* slow) {
        if (!slow->statement.plan.empty() || database_.empty() || !Open()) {
            return;
        }
        auto [known, is_new] = plans_.try_emplace(slow->query);
        if (is_new) {
            try {
                const Result<std::vector<PlanNode>> plan =
                    ReadPlan(connection_->get(), slow->query, {});
                known->second = plan.ok() && !plan.value().empty() ? DetailsJson(plan.value()) : "";
            } catch (const Error&) {
                known->second.clear();  // what can be explained by nobody has no plan
            }
        }
        slow->statement.plan = known->second;
    }

  private:
    bool Open() {
        if (!is_tried_) {
            is_tried_ = true;
            connection_ = OpenForPlanning(database_);
        }
        return connection_.has_value();
    }

    std::string database_;
    bool is_tried_ = false;
    std::optional<PrivateConnection> connection_;
    std::map<std::string, std::string> plans_;
};

/// As SQL wants text to be: SQLite runs statements of any bytes.
std::string TextOf(Capture& capture, uint32_t database, int64_t fingerprint) {
    return ToUtf8(capture.store()
                      .texts()
                      .Read(database, fingerprint)
                      .value_or(std::string(capture::kNotKept)));
}

CapturedStatement Named(Capture& capture, capture::StatementSnapshot counts) {
    CapturedStatement named;
    named.endpoint = capture.store().endpoints().NameOf(counts.key.endpoint);
    named.query = TextOf(capture, counts.key.database, counts.key.fingerprint);
    named.counts = std::move(counts);
    return named;
}

CapturedSlow Named(Capture& capture, capture::SlowStatement statement) {
    CapturedSlow named;
    named.endpoint = capture.store().endpoints().NameOf(statement.fields.endpoint);
    named.query = TextOf(capture, statement.fields.database, statement.fields.fingerprint);
    named.statement = std::move(statement);
    return named;
}

CapturedFinding Named(Capture& capture, const capture::FindingSnapshot& finding) {
    const capture::FindingKey& key = finding.key;
    return {.finding = finding,
            .endpoint = capture.store().endpoints().NameOf(key.endpoint),
            .parent_query = TextOf(capture, key.database, key.parent),
            .child_query = TextOf(capture, key.database, key.child)};
}

/// What was taken out of the store; back it goes unless it has arrived.
struct Taken {
    Capture& capture;
    std::vector<capture::StatementSnapshot> statements;
    std::vector<capture::SlowStatement> slow;
    std::vector<capture::FindingSnapshot> findings;
    bool has_arrived = false;

    Taken(Capture& from, uint32_t database)
        : capture(from),
          statements(from.store().statements().Drain(database)),
          slow(from.store().slow().Take(database)),
          findings(from.store().findings().Drain(database)) {}
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    ~Taken() {
        if (has_arrived) {
            return;
        }
        for (const capture::StatementSnapshot& counts : statements) {
            capture.store().Restore(counts, {});
        }
        for (const capture::SlowStatement& one : slow) {
            capture.store().slow().Add(one);
        }
        for (const capture::FindingSnapshot& one : findings) {
            capture.store().findings().Add(one.key, one.totals);
        }
    }
};

bool HoldsAny(Capture& capture, uint32_t database) {
    const auto all = capture.store().statements().Snapshots();
    return std::any_of(all.begin(), all.end(), [&](const capture::StatementSnapshot& one) {
        return one.key.database == database;
    });
}

void Save(Capture& capture, const std::string& database, uint32_t id) {
    StateFile file = StateFile::OpenForWriting(database, kSaveBusyMs).OrThrow();
    Planner planner(database);
    Taken taken(capture, id);
    try {
        std::vector<CapturedStatement> statements;
        for (const capture::StatementSnapshot& counts : taken.statements) {
            statements.push_back(Named(capture, counts));
            file.Add(statements.back());
        }
        SaveIndexUse(file, capture, id, database, statements);
        for (const capture::SlowStatement& one : taken.slow) {
            CapturedSlow named = Named(capture, one);
            planner.Resolve(&named);
            file.Add(named);
        }
        for (const capture::FindingSnapshot& one : taken.findings) {
            file.Add(Named(capture, one));
        }
        file.Trim(capture.limits());
        file.Commit();
    } catch (const Error& error) {
        throw file.Named(error);
    }
    taken.has_arrived = true;
}

std::vector<CapturedStatement> HeldInMemory(Capture& capture, uint32_t id) {
    StoreAllBatches();
    std::vector<CapturedStatement> held;
    for (capture::StatementSnapshot& counts : capture.store().statements().Snapshots()) {
        if (counts.key.database == id) {
            held.push_back(Named(capture, std::move(counts)));
        }
    }
    return held;
}

/// Statements of file and memory as one, by what makes a row.
class Merged {
  public:
    void Add(CapturedStatement statement) {
        const auto key = std::make_tuple(statement.counts.key.fingerprint, statement.endpoint,
                                         statement.counts.key.top_level);
        const auto [place, is_new] = places_.try_emplace(key, all_.size());
        if (is_new) {
            all_.push_back(std::move(statement));
            return;
        }
        CapturedStatement& there = all_[place->second];
        there.counts.Merge(statement.counts);
        if (there.query == capture::kNotKept) {
            there.query = std::move(statement.query);
        }
    }
    std::vector<CapturedStatement>& all() { return all_; }

  private:
    std::map<std::tuple<int64_t, std::string, uint32_t>, size_t> places_;
    std::vector<CapturedStatement> all_;
};

std::unique_lock<std::mutex> LockIo(Capture* capture) {
    return capture != nullptr ? std::unique_lock(capture->io) : std::unique_lock<std::mutex>();
}

Value NameOfDatabase(const std::string& file) {
    return file.empty() ? Value(std::string(kInMemory)) : Value(file);
}

}  // namespace

Result<void> SaveCaptured(const std::string& database) {
    if (database.empty()) {
        return Error(Code::kUnsupported, "a database in memory has no state file",
                     "open a database file, or read the views before it is closed");
    }
    if (SettingValue("persist") != "on") {
        return Error(Code::kUnsupported, "setting persist is off",
                     "SELECT upkeep_set('persist', 'on')");
    }
    Capture* capture = TheCapture();
    if (capture == nullptr) {
        return {};
    }
    const std::lock_guard lock(capture->io);
    const uint32_t id = capture->DatabaseId(database);
    StoreAllBatches();
    if (!HoldsAny(*capture, id)) {
        return {};
    }
    try {
        Save(*capture, database, id);
    } catch (const Error& error) {
        return error;
    }
    SetTrouble(database, "");
    return {};
}

void SaveAtClose(const std::string& database) {
    if (database.empty() || SettingValue("persist") != "on") {
        return;
    }
    const Result<void> saved = SaveCaptured(database);
    if (!saved.ok() && SetTrouble(database, saved.error().message())) {
        // To the application's own log (SQLITE_CONFIG_LOG), once for as long as it stays so.
        sqlite3_log(SQLITE_WARNING, "upkeep: statistics not saved: %s",
                    saved.error().message().c_str());
    }
}

std::string SaveTrouble(const std::string& database) {
    Trouble& trouble = TheTrouble();
    const std::lock_guard lock(trouble.mutex);
    const auto found = trouble.by_database.find(database);
    return found != trouble.by_database.end() ? found->second : "";
}

std::vector<capture::StatementView> ReadStatements(sqlite3* db) {
    const std::string database = MainFile(db);
    Capture* capture = TheCapture();
    const std::unique_lock<std::mutex> lock = LockIo(capture);
    Merged merged;
    if (std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow()) {
        for (CapturedStatement& one : file->Statements()) {
            merged.Add(std::move(one));
        }
    }
    if (capture != nullptr) {
        for (CapturedStatement& one : HeldInMemory(*capture, capture->DatabaseId(database))) {
            merged.Add(std::move(one));
        }
    }
    std::vector<capture::StatementView> views;
    for (CapturedStatement& one : merged.all()) {
        one.counts.key.database = 0;  // all rows are of one
        views.push_back({.counts = std::move(one.counts),
                         .database_name = NameOfDatabase(database),
                         .user_name = Value(),
                         .endpoint = std::move(one.endpoint),
                         .query = std::move(one.query)});
    }
    return views;
}

std::vector<capture::SlowView> ReadSlowStatements(sqlite3* db) {
    const std::string database = MainFile(db);
    Capture* capture = TheCapture();
    const std::unique_lock<std::mutex> lock = LockIo(capture);
    std::vector<CapturedSlow> all;
    if (capture != nullptr) {
        const uint32_t id = capture->DatabaseId(database);
        for (capture::SlowStatement& one : capture->store().slow().Read()) {
            if (one.fields.database == id) {
                all.push_back(Named(*capture, std::move(one)));
            }
        }
    }
    if (std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow()) {
        for (CapturedSlow& one : file->SlowStatements()) {
            all.push_back(std::move(one));
        }
    }
    std::stable_sort(all.begin(), all.end(), [](const CapturedSlow& l, const CapturedSlow& r) {
        return l.statement.fields.ended_us > r.statement.fields.ended_us;
    });
    Planner planner(database);
    std::vector<capture::SlowView> views;
    for (CapturedSlow& one : all) {
        planner.Resolve(&one);
        if (one.statement.plan == kNoPlan) {
            one.statement.plan.clear();
        }
        views.push_back({.statement = std::move(one.statement),
                         .database_name = NameOfDatabase(database),
                         .user_name = Value(),
                         .endpoint = std::move(one.endpoint),
                         .query = std::move(one.query)});
    }
    return views;
}

std::vector<capture::FindingView> ReadFindings(sqlite3* db) {
    const std::string database = MainFile(db);
    Capture* capture = TheCapture();
    const std::unique_lock<std::mutex> lock = LockIo(capture);
    std::vector<CapturedFinding> all;
    if (std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow()) {
        all = file->Findings();
    }
    if (capture != nullptr) {
        const uint32_t id = capture->DatabaseId(database);
        for (const capture::FindingSnapshot& one : capture->store().findings().Snapshots()) {
            if (one.key.database == id) {
                all.push_back(Named(*capture, one));
            }
        }
    }
    using Key = std::tuple<int64_t, int64_t, std::string, capture::FindingKind>;
    std::map<Key, size_t> places;
    std::vector<capture::FindingView> views;
    for (CapturedFinding& one : all) {
        one.finding.key.database = 0;  // all rows are of one
        const capture::FindingKey& key = one.finding.key;
        const auto [place, is_new] =
            places.try_emplace({key.parent, key.child, one.endpoint, key.kind}, views.size());
        if (!is_new) {
            views[place->second].finding.Merge(one.finding.totals);
            continue;
        }
        views.push_back({.finding = one.finding,
                         .database_name = NameOfDatabase(database),
                         .endpoint = std::move(one.endpoint),
                         .parent_query = std::move(one.parent_query),
                         .child_query = std::move(one.child_query)});
    }
    return views;
}

void ResetCaptured(sqlite3* db) {
    const std::string database = MainFile(db);
    Capture* capture = TheCapture();
    const std::unique_lock<std::mutex> lock = LockIo(capture);
    if (StateFile::OpenForReading(database).OrThrow()) {
        StateFile file = StateFile::OpenForWriting(database, kSaveBusyMs).OrThrow();
        try {
            file.Clear();
            ForgetIndexUse(db, &file);
            file.Commit();
        } catch (const Error& error) {
            throw file.Named(error);
        }
    }
    if (capture != nullptr) {
        ForgetIndexUse(db, nullptr);
        StoreAllBatches();
        Taken taken(*capture, capture->DatabaseId(database));
        taken.has_arrived = true;  // nowhere
        capture->store().counters().Reset();
        capture->store().samples().Reset();
        capture->sample_resets.fetch_add(1, std::memory_order_relaxed);
    }
}

IndexUses CapturedIndexUse(sqlite3* db) {
    const std::string database = MainFile(db);
    Capture* capture = TheCapture();
    const std::unique_lock<std::mutex> lock = LockIo(capture);
    std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow();
    std::vector<CapturedStatement> held;
    if (capture != nullptr) {
        held = HeldInMemory(*capture, capture->DatabaseId(database));
    }
    return ReadIndexUse(db, file ? &*file : nullptr, held);
}

std::string SampleOf(sqlite3* db, int64_t fingerprint) {
    Capture* capture = TheCapture();
    if (capture == nullptr) {
        return "";
    }
    return capture->store()
        .samples()
        .Read(capture->DatabaseId(MainFile(db)), fingerprint, 0)
        .value_or("");
}

bool HasCaptured(sqlite3* db) {
    return !ReadStatements(db).empty();
}

}  // namespace upkeep::sqlite
