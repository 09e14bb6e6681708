// SPDX-License-Identifier: PostgreSQL
#include "index_use.h"

#include <algorithm>
#include <set>
#include <utility>

#include "capture_memory.h"
#include "planning_connection.h"
#include "relations.h"
#include "statement_samples.h"
#include "upkeep/capture/normalize.h"

namespace upkeep::sqlite {

namespace {

/// Columns of EXPLAIN, and the flag by which OpenRead names a register, not a page.
enum ExplainColumn { kAddress = 0, kOpcode = 1, kCursor = 2, kPage = 3, kDatabase = 4, kFlags = 6 };
constexpr int64_t kPageIsRegister = 0x10;

struct IndexFacts {
    std::string table;          // lower case
    bool needs_values = false;  // partial, or over an expression: constants decide about its use
};

struct Schema {
    std::string version;                        // empty: could not be read
    std::map<std::string, IndexFacts> indexes;  // by lower-case name
    std::map<int64_t, std::string> by_page;
    std::set<std::string> tables;
};

/// Changes with the schema and with the planner's statistics.
std::string VersionOf(sqlite3* db) {
    Stmt cookie(db, "PRAGMA main.schema_version");
    cookie.Step();
    int64_t statistics = 0;
    Result<Stmt> stat = Stmt::Prepare(db, "SELECT tbl, idx, stat FROM main.sqlite_stat1");
    while (stat.ok() && stat.value().Step()) {
        std::string row;
        for (int column = 0; column < 3; ++column) {
            row += std::string(stat.value().Text(column)) + '\n';
        }
        statistics ^= capture::Fingerprint(row);
    }
    return std::to_string(cookie.Integer(0)) + ":" + std::to_string(statistics);
}

Schema ReadSchema(sqlite3* db) {
    Schema schema;
    Stmt rows(db,
              "SELECT type, lower(name), lower(tbl_name), rootpage, sql FROM main.sqlite_schema");
    while (rows.Step()) {
        const std::string name(rows.Text(1));
        if (rows.Text(0) == "table") {
            schema.tables.insert(name);
        } else if (rows.Text(0) == "index") {
            IndexFacts& facts = schema.indexes[name];
            facts.table = rows.Text(2);
            schema.by_page[rows.Integer(3)] = name;
        }
    }
    Stmt expressions(db,
                     "SELECT lower(m.name) FROM main.sqlite_schema AS m WHERE type = 'index' AND"
                     " (EXISTS (SELECT 1 FROM pragma_index_list(m.tbl_name, 'main') AS l"
                     "  WHERE l.name = m.name AND l.partial) OR EXISTS"
                     " (SELECT 1 FROM pragma_index_info(m.name, 'main') AS i WHERE i.cid = -2))");
    while (expressions.Step()) {
        schema.indexes[std::string(expressions.Text(0))].needs_values = true;
    }
    schema.version = VersionOf(db);
    return schema;
}

/// Does the text hold one of these as a word?
bool HasAny(std::string_view text, std::initializer_list<std::string_view> words) {
    const auto is_part = [](char c) { return c == '_' || c == '$' || isalnum(c) != 0 || c < 0; };
    return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
        for (size_t at = text.find(word); at != std::string_view::npos;
             at = text.find(word, at + 1)) {
            const size_t end = at + word.size();
            if ((at == 0 || !is_part(text[at - 1])) &&
                (end == text.size() || !is_part(text[end]))) {
                return true;
            }
        }
        return false;
    });
}

bool Reads(std::string_view opcode) {
    return opcode.starts_with("Seek") || opcode == "Rewind" || opcode == "Last";
}

/// What one text's program reads; nullopt: it cannot be prepared here.
struct Opened {
    std::set<std::string> indexes;
    bool has_parameters = false;
};

/// EXPLAIN QUERY PLAN would leave out triggers and foreign keys. An index that is opened for
/// writing is maintained; it is used where its cursor also seeks.
std::optional<Opened> Open(sqlite3* db, const Schema& schema, const std::string& sql) {
    Result<Stmt> steps = Stmt::Prepare(db, "EXPLAIN " + sql);
    if (!steps.ok() || steps.value().empty()) {
        return std::nullopt;
    }
    Opened opened;
    opened.has_parameters = sqlite3_bind_parameter_count(steps.value().get()) > 0;
    std::map<int64_t, std::string> written;  // by cursor, of the program being listed
    while (steps.value().Step()) {
        const Stmt& row = steps.value();
        if (row.Integer(kAddress) == 0) {  // the next one: a trigger's, a foreign key's
            written.clear();
        }
        const std::string_view opcode = row.Text(kOpcode);
        if (Reads(opcode)) {
            const auto found = written.find(row.Integer(kCursor));
            if (found != written.end()) {
                opened.indexes.insert(found->second);
            }
            continue;
        }
        const bool opens = opcode == "OpenRead" || opcode == "ReopenIdx";
        const auto found = schema.by_page.find(row.Integer(kPage));
        if ((!opens && opcode != "OpenWrite") || row.Integer(kDatabase) != 0 ||
            (row.Integer(kFlags) & kPageIsRegister) != 0 || found == schema.by_page.end()) {
            continue;
        }
        if (opens) {
            opened.indexes.insert(found->second);
        } else {
            written[row.Integer(kCursor)] = found->second;
        }
    }
    return opened;
}

/// What the plans of a statement's samples open.
struct Planned {
    std::string version;  // of the schema
    size_t texts = 0;     // samples that were planned
    bool is_planned = false;
    bool has_parameters = false;
    std::set<std::string> used;
    std::set<std::string> differing;  // by some, not by others
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
        : db_(db), capture_(capture), id_(id), schema_(ReadSchema(db)) {
        for (const auto& [name, facts] : schema_.indexes) {
            uses_[name];
        }
    }

    const std::string& version() const { return schema_.version; }
    std::map<std::string, IndexUse>& uses() { return uses_; }

    void Add(const CapturedStatement& statement) {
        using capture::Operation;
        const capture::StatementTotals& totals = statement.counts.totals;
        const Operation operation = statement.counts.operation;
        const bool reads = (operation != Operation::kUtility && operation != Operation::kOther) ||
                           HasAny(statement.query, {"select"});
        if (totals.calls == 0 || !reads) {
            return;
        }
        const StatementSamples samples = SamplesOf(capture_, id_, statement.counts.key.fingerprint);
        const Planned& plan = PlanOf(statement.counts.key.fingerprint, samples);
        Doubt doubt = Doubt::kNone;
        if (!plan.is_planned || (!samples.is_complete && !IsPlain(statement)) ||
            (plan.has_parameters && HasAny(statement.query, {"like", "glob"}))) {
            doubt = Doubt::kAll;
        } else if (plan.has_parameters || !samples.is_complete) {
            doubt = Doubt::kByValue;
        }
        Enter(statement, plan, doubt);
    }

  private:
    enum class Doubt : uint8_t { kNone, kByValue, kAll };

    /// One table, conditions that are AND-ed, no order: which index serves it does not depend on
    /// the values (but for partial ones, seen to elsewhere).
    static bool IsPlain(const CapturedStatement& statement) {
        const std::string& text = statement.query;
        return statement.counts.operation == capture::Operation::kSelect &&
               statement.counts.tables.find('\n') == std::string::npos &&
               !HasAny(text, {"order", "group", "distinct", "or", "in", "like", "glob", "join",
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
            const std::optional<Opened> opened = Open(db_, schema_, text);
            if (!opened) {
                known.is_planned = false;
                continue;
            }
            known.has_parameters |= opened->has_parameters;
            if (!is_first) {
                std::set_symmetric_difference(
                    known.used.begin(), known.used.end(), opened->indexes.begin(),
                    opened->indexes.end(), std::inserter(known.differing, known.differing.end()));
            }
            known.used.insert(opened->indexes.begin(), opened->indexes.end());
            is_first = false;
        }
        return known;
    }

    void Enter(const CapturedStatement& statement, const Planned& plan, Doubt doubt) {
        const std::optional<std::set<std::string>> tables = TablesOf(statement);
        for (auto& [name, use] : uses_) {
            const IndexFacts& facts = schema_.indexes.at(name);
            const bool is_used = plan.used.count(name) != 0;
            const bool may_be_read = is_used || !tables || tables->count(facts.table) != 0;
            const bool is_doubtful =
                plan.differing.count(name) != 0 ||
                (may_be_read && (doubt == Doubt::kAll ||
                                 (doubt == Doubt::kByValue && HasValueIndex(tables, facts.table))));
            use.is_certain = use.is_certain && !is_doubtful;
            if (is_used) {
                use.scans += static_cast<int64_t>(statement.counts.totals.calls);
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
    Schema schema_;
    std::map<std::string, IndexUse> uses_;
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
};

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
    return saved;
}

void WriteSaved(sqlite3* file, const Saved& saved) {
    for (const char* sql : kTables) {
        Stmt(file, sql).Run();
    }
    Stmt(file, "DELETE FROM index_use_since").Run();
    Stmt(file, "DELETE FROM index_use").Run();
    Stmt since(file, "INSERT INTO index_use_since VALUES (?1, ?2)");
    since.Bind(1, saved.version).Bind(2, saved.uses.since_us).Run();
    Stmt row(file, "INSERT INTO index_use VALUES (?1, ?2, ?3, ?4)");
    for (const auto& [name, use] : saved.uses.by_index) {
        row.Reset();
        row.Bind(1, name).Bind(2, use.scans).Bind(3, int64_t{use.is_certain ? 1 : 0});
        row.Bind(4, use.last_used_us).Run();
    }
}

/// Adds this process's share. What was counted under another schema than today's says nothing about
/// today's indexes: then the evidence begins now.
Saved Join(Saved saved, Reckoning& mine, const std::optional<Interval>& interval, uint64_t lost,
           int64_t now_us) {
    const std::string& version = mine.version();
    const bool is_same = saved.version == version;
    const bool has_begun = interval && interval->schema_version == version;
    if (!has_begun) {
        Saved fresh{version, {now_us, {}}};
        for (const auto& [name, use] : mine.uses()) {
            fresh.uses.by_index[name] = {};
        }
        return fresh;
    }
    if (!is_same) {
        saved = {version, {interval->began_us, {}}};
    }
    const bool is_whole = lost == interval->lost;
    for (const auto& [name, use] : mine.uses()) {
        IndexUse& sum = saved.uses.by_index[name];
        sum.scans += use.scans;
        sum.is_certain = sum.is_certain && use.is_certain && is_whole;
        sum.last_used_us = std::max(sum.last_used_us, use.last_used_us);
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
            BeginInterval(*capture, id, {VersionOf(db), WallClockUs(), LostBy(*capture)});
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
                      {VersionOf(db), WallClockUs(), LostBy(*capture)});
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
        return saved.version == VersionOf(db) ? saved.uses : IndexUses{};
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
