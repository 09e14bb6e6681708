// SPDX-License-Identifier: PostgreSQL
#include "index_use.h"

#include <algorithm>
#include <set>
#include <utility>

#include "capture_memory.h"
#include "planning_connection.h"
#include "program_trees.h"
#include "relations.h"
#include "statement_samples.h"

namespace upkeep::sqlite {

namespace {

/// What the plans of a statement's samples open.
struct Planned {
    std::string version;  // of the schema
    size_t texts = 0;     // samples that were planned
    bool is_planned = false;
    bool has_parameters = false;
    bool has_triggers = false;
    std::set<std::string> used;
    std::set<std::string> differing;     // by some, not by others
    std::set<std::string> whole_tables;  // read whole by each
    std::map<std::string, int> written;  // as ProgramTrees's, the least of all
};
using PlanKey = std::pair<uint32_t, int64_t>;
constexpr size_t kMostPlans = 10000;

/// Guarded by Capture::io, as everything that this file does. Never destroyed.
std::map<PlanKey, Planned>& KnownPlans(const Capture& capture) {
    static auto& plans = *new std::map<PlanKey, Planned>;
    static const Capture* owner = nullptr;
    if (owner != &capture || plans.size() > kMostPlans) {
        plans.clear();
        owner = &capture;
    }
    return plans;
}

/// Works out the use of one database's statements.
class Reckoning {
  public:
    Reckoning(sqlite3* db, const Capture& capture, uint32_t id)
        : db_(db), capture_(capture), id_(id), schema_(ReadTreeSchema(db)) {
        for (const auto& [name, facts] : schema_.indexes) {
            uses_.by_index[name];
        }
    }

    const std::string& version() const { return schema_.version; }
    const IndexUses& uses() const { return uses_; }

    void Add(const CapturedStatement& statement) {
        using capture::Operation;
        const capture::StatementTotals& totals = statement.counts.totals;
        const Operation operation = statement.counts.operation;
        const bool reads = (operation != Operation::kUtility && operation != Operation::kOther) ||
                           HasAnyWord(statement.query, {"select"});
        if (totals.calls == 0 || !reads) {
            return;
        }
        const StatementSamples samples = SamplesOf(capture_, id_, statement.counts.key.fingerprint);
        const Planned& plan = PlanOf(statement.counts.key.fingerprint, samples);
        Enter(statement, plan, DoubtOf(statement, plan, samples.is_complete));
    }

  private:
    enum class Doubt : uint8_t { kNone, kByValue, kAll };

    static Doubt DoubtOf(const CapturedStatement& statement, const Planned& plan,
                         bool is_complete) {
        const bool only_adds = statement.counts.operation == capture::Operation::kInsert &&
                               !plan.has_triggers && !HasAnyWord(statement.query, {"select"});
        if (plan.is_planned && only_adds) {  // its values decide about no plan
            return Doubt::kNone;
        }
        if (!plan.is_planned || (!is_complete && !IsPlain(statement)) ||
            (plan.has_parameters && HasAnyWord(statement.query, {"like", "glob"}))) {
            return Doubt::kAll;
        }
        return plan.has_parameters || !is_complete ? Doubt::kByValue : Doubt::kNone;
    }

    /// One table, conditions that are AND-ed, no order: which index serves it does not depend on
    /// the values (but for partial ones, seen to elsewhere).
    static bool IsPlain(const CapturedStatement& statement) {
        const std::string& text = statement.query;
        return statement.counts.operation == capture::Operation::kSelect &&
               statement.counts.tables.find('\n') == std::string::npos &&
               !HasAnyWord(text, {"order", "group", "distinct", "or", "in", "like", "glob", "join",
                                  "with", "union", "exists", "min", "max"}) &&
               text.find("select", 1) == std::string::npos;
    }

    /// Tables that the statement names; nullopt: something that is no table, a view perhaps.
    std::optional<std::set<std::string>> TablesOf(const CapturedStatement& statement) const {
        std::set<std::string> tables;
        std::string_view rest = statement.counts.tables;
        while (!rest.empty()) {
            const size_t end = std::min(rest.find('\n'), rest.size());
            std::string name = Lower(rest.substr(0, end));
            name = name.starts_with("main.") ? name.substr(5) : name;
            if (schema_.tables.count(name) == 0) {
                return std::nullopt;
            }
            tables.insert(std::move(name));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        return tables.empty() ? std::nullopt : std::optional(tables);
    }

    /// Planned once per statement and schema; again only where another text of it was met.
    const Planned& PlanOf(int64_t fingerprint, const StatementSamples& samples) {
        std::map<PlanKey, Planned>& plans = KnownPlans(capture_);
        Planned& known = plans[{id_, fingerprint}];
        if (known.version == schema_.version && known.texts == samples.texts.size()) {
            return known;
        }
        known = {};
        known.version = schema_.version;
        known.texts = samples.texts.size();
        known.is_planned = !samples.texts.empty();
        bool is_first = true;
        for (const std::string& text : samples.texts) {
            const std::optional<ProgramTrees> opened = ReadProgram(db_, schema_, text);
            if (!opened) {
                known.is_planned = false;
                continue;
            }
            known.has_parameters |= opened->has_parameters;
            known.has_triggers |= opened->has_triggers;
            if (!is_first) {
                std::set_symmetric_difference(
                    known.used.begin(), known.used.end(), opened->indexes.begin(),
                    opened->indexes.end(), std::inserter(known.differing, known.differing.end()));
            }
            known.used.insert(opened->indexes.begin(), opened->indexes.end());
            KeepCommon(*opened, is_first, &known);
            is_first = false;
        }
        return known;
    }

    /// Whichever text ran, it did at least that.
    static void KeepCommon(const ProgramTrees& trees, bool is_first, Planned* known) {
        if (is_first) {
            known->whole_tables = trees.whole_tables;
            known->written = trees.written;
            return;
        }
        std::erase_if(known->whole_tables, [&](const std::string& table) {
            return trees.whole_tables.count(table) == 0;
        });
        for (auto& [name, entries] : known->written) {
            const auto found = trees.written.find(name);
            entries = std::min(entries, found == trees.written.end() ? 0 : found->second);
        }
    }

    /// Entries that the statement made or removed, at least.
    void CountWrites(const CapturedStatement& statement, const Planned& plan) {
        const bool inserts = statement.counts.operation == capture::Operation::kInsert;
        if (!plan.is_planned || (inserts && HasAnyWord(statement.query, {"conflict"}))) {
            return;  // which rows of an upsert were new is not known
        }
        const auto rows = static_cast<int64_t>(statement.counts.totals.rows);
        for (const auto& [name, entries] : plan.written) {
            if (!schema_.indexes.at(name).needs_values) {  // else not every row is in it
                // What REPLACE removes is not known either.
                uses_.by_index[name].writes += rows * (inserts ? std::min(entries, 1) : entries);
            }
        }
    }

    void Enter(const CapturedStatement& statement, const Planned& plan, Doubt doubt) {
        const std::optional<std::set<std::string>> tables = TablesOf(statement);
        const auto calls = static_cast<int64_t>(statement.counts.totals.calls);
        CountWrites(statement, plan);
        if (plan.is_planned) {
            for (const std::string& table : plan.whole_tables) {
                uses_.full_scans[table] += calls;
            }
        }
        for (auto& [name, use] : uses_.by_index) {
            const IndexFacts& facts = schema_.indexes.at(name);
            const bool is_used = plan.used.count(name) != 0;
            const bool may_be_read = is_used || !tables || tables->count(facts.table) != 0;
            const bool is_doubtful =
                plan.differing.count(name) != 0 ||
                (may_be_read && (doubt == Doubt::kAll ||
                                 (doubt == Doubt::kByValue && HasValueIndex(tables, facts.table))));
            use.is_certain = use.is_certain && !is_doubtful;
            if (is_used) {
                use.scans += calls;
                use.last_used_us = std::max(use.last_used_us, statement.counts.totals.last_seen_us);
            }
        }
    }

    /// Where a value decides about one index of a statement's tables, it decides about the others.
    bool HasValueIndex(const std::optional<std::set<std::string>>& tables,
                       const std::string& table) const {
        return std::any_of(schema_.indexes.begin(), schema_.indexes.end(), [&](const auto& one) {
            return one.second.needs_values &&
                   (!tables || tables->count(one.second.table) != 0 || one.second.table == table);
        });
    }

    sqlite3* db_;
    const Capture& capture_;
    uint32_t id_;
    TreeSchema schema_;
    IndexUses uses_;
};

uint64_t LostBy(Capture& capture) {
    const capture::StoreStatus status = capture.store().Status();
    return status.evictions + status.missed;
}

/// The file's sums, and under which schema.
struct Saved {
    std::string version;
    IndexUses uses;
};

constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS index_use_since (version TEXT NOT NULL, since_us INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS index_use (name TEXT PRIMARY KEY, scans INTEGER NOT NULL,"
    " is_certain INTEGER NOT NULL, last_used_us INTEGER NOT NULL)",
    // Apart, so that an upkeep which knows nothing of it goes on writing the others: what it leaves
    // here is of another `since_us`, or too low, which these counts may be.
    "CREATE TABLE IF NOT EXISTS index_use_more (since_us INTEGER NOT NULL, is_table INTEGER NOT "
    "NULL,"
    " name TEXT NOT NULL, count INTEGER NOT NULL)",
};

void ReadMore(sqlite3* file, IndexUses* uses) {
    Result<Stmt> more =
        Stmt::Prepare(file, "SELECT is_table, name, count FROM index_use_more WHERE since_us = ?1");
    if (!more.ok()) {
        return;
    }
    more.value().Bind(1, uses->since_us);
    while (more.value().Step()) {
        const std::string name(more.value().Text(1));
        const int64_t count = std::max<int64_t>(more.value().Integer(2), 0);
        if (more.value().Integer(0) != 0) {
            uses->full_scans[name] = count;
        } else if (const auto found = uses->by_index.find(name); found != uses->by_index.end()) {
            found->second.writes = count;
        }
    }
}

void WriteMore(sqlite3* file, const IndexUses& uses) {
    Stmt row(file, "INSERT INTO index_use_more VALUES (?1, ?2, ?3, ?4)");
    const auto write = [&](bool is_table, const std::string& name, int64_t count) {
        if (count > 0) {
            row.Reset();
            row.Bind(1, uses.since_us).Bind(2, int64_t{is_table ? 1 : 0}).Bind(3, name);
            row.Bind(4, count).Run();
        }
    };
    for (const auto& [name, use] : uses.by_index) {
        write(false, name, use.writes);
    }
    for (const auto& [name, count] : uses.full_scans) {
        write(true, name, count);
    }
}

Saved ReadSaved(sqlite3* file) {
    Saved saved;
    Result<Stmt> since = Stmt::Prepare(file, "SELECT version, since_us FROM index_use_since");
    if (!since.ok() || !since.value().Step()) {  // none yet, or an older upkeep made the file
        return saved;
    }
    saved.version = since.value().Text(0);
    saved.uses.since_us = since.value().Integer(1);
    Stmt rows(file, "SELECT name, scans, is_certain, last_used_us FROM index_use");
    while (rows.Step()) {
        saved.uses.by_index[std::string(rows.Text(0))] = {std::max<int64_t>(rows.Integer(1), 0),
                                                          rows.Integer(2) != 0, rows.Integer(3)};
    }
    ReadMore(file, &saved.uses);
    return saved;
}

void WriteSaved(sqlite3* file, const Saved& saved) {
    for (const char* sql : kTables) {
        Stmt(file, sql).Run();
    }
    Stmt(file, "DELETE FROM index_use_since").Run();
    Stmt(file, "DELETE FROM index_use").Run();
    Stmt(file, "DELETE FROM index_use_more").Run();
    Stmt since(file, "INSERT INTO index_use_since VALUES (?1, ?2)");
    since.Bind(1, saved.version).Bind(2, saved.uses.since_us).Run();
    Stmt row(file, "INSERT INTO index_use VALUES (?1, ?2, ?3, ?4)");
    for (const auto& [name, use] : saved.uses.by_index) {
        row.Reset();
        row.Bind(1, name).Bind(2, use.scans).Bind(3, int64_t{use.is_certain ? 1 : 0});
        row.Bind(4, use.last_used_us).Run();
    }
    WriteMore(file, saved.uses);
}

/// Adds this process's share. What was counted under another schema than today's says nothing about
/// today's indexes: then the evidence begins now.
Saved Join(Saved saved, const Reckoning& mine, const std::optional<Interval>& interval,
           uint64_t lost, int64_t now_us) {
    const std::string& version = mine.version();
    const bool is_same = saved.version == version;
    const bool has_begun = interval && interval->schema_version == version;
    if (!has_begun) {
        Saved fresh{version, {now_us, {}, {}}};
        for (const auto& [name, use] : mine.uses().by_index) {
            fresh.uses.by_index[name] = {};
        }
        return fresh;
    }
    if (!is_same) {
        saved = {version, {interval->began_us, {}, {}}};
    }
    const bool is_whole = lost == interval->lost;
    for (const auto& [name, use] : mine.uses().by_index) {
        IndexUse& sum = saved.uses.by_index[name];
        sum.scans += use.scans;
        sum.is_certain = sum.is_certain && use.is_certain && is_whole;
        sum.last_used_us = std::max(sum.last_used_us, use.last_used_us);
        sum.writes += use.writes;
    }
    for (const auto& [name, count] : mine.uses().full_scans) {
        saved.uses.full_scans[name] += count;
    }
    return saved;
}

}  // namespace

void BeginIndexUse(sqlite3* db) noexcept {
    try {
        Capture* capture = TheCapture();
        const std::string database = MainFile(db);
        if (capture == nullptr || database.empty()) {
            return;
        }
        const uint32_t id = capture->DatabaseId(database);
        if (!CurrentInterval(*capture, id)) {
            BeginInterval(*capture, id, {TreeVersion(db), WallClockUs(), LostBy(*capture)});
        }
    } catch (const std::exception&) {  // locked, say: then it begins with the first save
    }
}

void SaveIndexUse(StateFile& file, Capture& capture, uint32_t id, const std::string& database,
                  const std::vector<CapturedStatement>& taken) {
    std::optional<PrivateConnection> connection = OpenForPlanning(database);
    Saved sum;  // where the schema cannot be read: nothing is known from here on
    try {
        if (connection) {
            Reckoning mine(connection->get(), capture, id);
            for (const CapturedStatement& one : taken) {
                mine.Add(one);
            }
            const uint64_t lost = LostBy(capture);
            sum = Join(ReadSaved(file.connection()), mine, CurrentInterval(capture, id), lost,
                       WallClockUs());
            BeginInterval(capture, id, {mine.version(), WallClockUs(), lost});
        }
    } catch (const Error&) {
        sum = {};
    }
    WriteSaved(file.connection(), sum);
}

void ForgetIndexUse(sqlite3* db, StateFile* file) {
    if (file != nullptr) {
        WriteSaved(file->connection(), {});
    }
    Capture* capture = TheCapture();
    const std::string database = MainFile(db);
    if (capture != nullptr && !database.empty()) {
        BeginInterval(*capture, capture->DatabaseId(database),
                      {TreeVersion(db), WallClockUs(), LostBy(*capture)});
    }
}

IndexUses ReadIndexUse(sqlite3* db, StateFile* file, const std::vector<CapturedStatement>& held) {
    Capture* capture = TheCapture();
    const std::string database = MainFile(db);
    Saved saved;
    if (file != nullptr) {
        saved = ReadSaved(file->connection());
    }
    std::optional<Interval> interval;
    uint32_t id = 0;
    if (capture != nullptr && !database.empty()) {
        id = capture->DatabaseId(database);
        interval = CurrentInterval(*capture, id);
    }
    if (!interval) {  // nothing here that would be worth a plan
        return saved.version == TreeVersion(db) ? saved.uses : IndexUses{};
    }
    std::optional<PrivateConnection> connection = OpenForPlanning(database);
    if (!connection) {
        return {};
    }
    Reckoning mine(connection->get(), *capture, id);
    for (const CapturedStatement& one : held) {
        mine.Add(one);
    }
    return Join(std::move(saved), mine, interval, LostBy(*capture), WallClockUs()).uses;
}

}  // namespace upkeep::sqlite
