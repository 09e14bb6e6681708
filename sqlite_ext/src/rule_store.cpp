// SPDX-License-Identifier: PostgreSQL
#include "rule_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "arguments.h"
#include "fork_safe.h"
#include "settings_state.h"
#include "state_file.h"
#include "upkeep/base/text.h"
#include "upkeep/sessions/rule_row.h"

namespace upkeep::sqlite {

namespace {

constexpr int kBusyMs = 1000;
constexpr int kLogBusyMs = 100;

const TableFunction& RulesCall() {
    static const TableFunction& call = *FindCall("reap_rules");
    return call;
}
const TableFunction& LogCall() {
    static const TableFunction& call = *FindCall("reap_log");
    return call;
}

struct Held {
    std::mutex mutex;
    std::map<std::string, std::vector<StoredRule>> rules;
    std::map<std::string, std::deque<Row>> log;
    uint64_t version = 1;
};

std::mutex& TheMutex();

/// Never destroyed: threads may still ask while the process exits.
Held& TheHeld() {
    static Held& held = *new Held;
    KeepUnlockedInChildren<TheMutex>();
    return held;
}

std::mutex& TheMutex() {
    return TheHeld().mutex;
}

bool HasFile(const std::string& database) {
    return !database.empty() && SettingValue("persist") == "on";
}

/// `name, priority, …`
std::string Names(const TableFunction& call) {
    std::string names;
    for (const Column& column : call.columns) {
        names += (names.empty() ? "\"" : ", \"") + std::string(column.name) + '"';
    }
    return names;
}

std::string CreateSql(const TableFunction& call, const char* first) {
    std::string sql = "CREATE TABLE IF NOT EXISTS " + std::string(call.name) +
                      " (id INTEGER PRIMARY KEY AUTOINCREMENT";
    for (const Column& column : call.columns) {
        sql += ", \"" + std::string(column.name) + "\" " + DeclaredType(column.type);
    }
    return sql + first + ")";
}

bool HasTable(StateFile& file, const TableFunction& call) {
    Stmt found(file.connection(), "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");
    found.Bind(1, call.name);
    return found.Step();
}

void BindValue(Stmt& stmt, int at, const Value& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        stmt.Bind(at, int64_t{*flag ? 1 : 0});
    } else if (const auto* number = std::get_if<int64_t>(&value)) {
        stmt.Bind(at, *number);
    } else if (const auto* real = std::get_if<double>(&value)) {
        stmt.Bind(at, *real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
        stmt.Bind(at, *text);
    } else if (const auto* words = std::get_if<TextArray>(&value)) {
        stmt.Bind(at, JsonArray(*words));
    } else if (const auto* time = std::get_if<Timestamp>(&value)) {
        stmt.Bind(at, time->unix_us);
    }
}

/// `INSERT INTO t (id, …) VALUES (?1, …)`; id 0: the next one.
void Insert(StateFile& file, const TableFunction& call, int64_t id, const Row& row) {
    std::string sql = "INSERT INTO " + std::string(call.name) + " (id, " + Names(call) +
                      ") VALUES (nullif(?1, 0)";
    for (size_t i = 0; i < row.size(); ++i) {
        sql += ", ?" + std::to_string(i + 2);
    }
    Stmt stmt(file.connection(), sql + ")");
    stmt.Bind(1, id);
    for (size_t i = 0; i < row.size(); ++i) {
        BindValue(stmt, static_cast<int>(i + 2), row[i]);
    }
    stmt.Run();
}

/// A value that was kept; nullopt: nothing of ours could have written it.
std::optional<Value> KeptValue(const Column& column, const Stmt& stmt, int at) {
    try {
        if (column.type == Type::kTimestamp) {
            return Value(Timestamp{stmt.Integer(at)});
        }
        Value value = RuleValue(column, sqlite3_column_value(stmt.get(), at));
        return value;
    } catch (const Error&) {
        return std::nullopt;
    }
}

/// The rows of a table of the file by `order`, ids first; those that cannot be ours are left out.
std::vector<StoredRule> KeptRows(StateFile& file, const TableFunction& call, const char* order) {
    std::vector<StoredRule> all;
    if (!HasTable(file, call)) {
        return all;
    }
    Stmt stmt(file.connection(), "SELECT id, " + Names(call) + " FROM " + std::string(call.name) +
                                     " ORDER BY " + order);
    while (stmt.Step()) {
        StoredRule kept{stmt.Integer(0), {}};
        for (size_t i = 0; i < call.columns.size(); ++i) {
            if (std::optional<Value> value =
                    KeptValue(call.columns[i], stmt, static_cast<int>(i + 1))) {
                kept.row.push_back(std::move(*value));
            }
        }
        if (kept.row.size() == call.columns.size()) {
            all.push_back(std::move(kept));
        }
    }
    return all;
}

Error ChangedMeanwhile(const std::string& name) {
    return {Code::kNotFound, "rule " + name + " was changed by another connection meanwhile",
            "look at upkeep_reap_rules and try again"};
}

void ChangeInFile(StateFile& file, const RuleChange& change) {
    int64_t id = change.after.id;
    if (!change.before.empty()) {
        Stmt gone(file.connection(), "DELETE FROM reap_rules WHERE name = ?1 RETURNING id");
        gone.Bind(1, change.before);
        if (!gone.Step()) {
            throw ChangedMeanwhile(change.before);
        }
        id = gone.Integer(0);
        gone.Run();
    } else {
        Stmt taken(file.connection(), "SELECT 1 FROM reap_rules WHERE id = ?1");
        taken.Bind(1, id);
        id = taken.Step() ? 0 : id;
    }
    if (change.after.row.empty()) {
        return;
    }
    const auto& name = std::get<std::string>(change.after.row[0]);
    Stmt same(file.connection(), "SELECT 1 FROM reap_rules WHERE name = ?1");
    if (same.Bind(1, name).Step()) {
        throw ChangedMeanwhile(name);
    }
    Insert(file, RulesCall(), id, change.after.row);
}

std::vector<StoredRule>::iterator Named(std::vector<StoredRule>& rules, const std::string& name) {
    return std::find_if(rules.begin(), rules.end(), [&](const StoredRule& rule) {
        return std::get<std::string>(rule.row[0]) == name;
    });
}

void ChangeInMemory(const std::string& database, const std::vector<RuleChange>& changes) {
    Held& held = TheHeld();
    const std::lock_guard lock(held.mutex);
    std::vector<StoredRule> rules = held.rules[database];
    for (const RuleChange& change : changes) {
        if (!change.before.empty()) {
            const auto found = Named(rules, change.before);
            if (found == rules.end()) {
                throw ChangedMeanwhile(change.before);
            }
            rules.erase(found);
        }
        if (!change.after.row.empty()) {
            const auto& name = std::get<std::string>(change.after.row[0]);
            if (Named(rules, name) != rules.end()) {
                throw ChangedMeanwhile(name);
            }
            rules.push_back(change.after);
        }
    }
    held.rules[database] = std::move(rules);
    ++held.version;
}

void WriteLog(const std::string& database, const std::deque<Row>& rows) {
    StateFile file = StateFile::OpenForWriting(database, kLogBusyMs).OrThrow();
    Stmt(file.connection(), CreateSql(LogCall(), "")).Run();
    for (const Row& row : rows) {
        Insert(file, LogCall(), 0, row);
    }
    Stmt trim(file.connection(),
              "DELETE FROM reap_log WHERE id <= (SELECT max(id) FROM reap_log) - ?1");
    trim.Bind(1, kMostLogRows).Run();
    file.Commit();
}

}  // namespace

Value RuleValue(const Column& column, sqlite3_value* value) {
    const auto as = [&](Type type) {
        return FromSql({.name = column.name, .type = type, .default_value = nullptr, .doc = ""},
                       value);
    };
    if (column.type != Type::kInterval) {
        return as(column.type);
    }
    try {
        return as(Type::kBigint);  // the column has its plain name, which a parameter has not
    } catch (const Error& error) {
        throw Error(error.code(), error.message(),
                    "give milliseconds as a number, for example 600000");
    }
}

std::vector<StoredRule> ReadRules(const std::string& database) {
    if (!HasFile(database)) {
        Held& held = TheHeld();
        const std::lock_guard lock(held.mutex);
        std::vector<StoredRule> rules = held.rules[database];
        std::sort(rules.begin(), rules.end(), [](const StoredRule& a, const StoredRule& b) {
            return std::get<std::string>(a.row[0]) < std::get<std::string>(b.row[0]);
        });
        return rules;
    }
    std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow();
    return file ? KeptRows(*file, RulesCall(), "name") : std::vector<StoredRule>();
}

void ChangeRules(const std::string& database, const std::vector<RuleChange>& changes) {
    if (changes.empty()) {
        return;
    }
    if (!HasFile(database)) {
        ChangeInMemory(database, changes);
        return;
    }
    StateFile file = StateFile::OpenForWriting(database, kBusyMs).OrThrow();
    try {
        Stmt(file.connection(), CreateSql(RulesCall(), ", UNIQUE (name)")).Run();
        for (const RuleChange& change : changes) {
            ChangeInFile(file, change);
        }
        file.Commit();
    } catch (const Error& error) {
        throw file.Named(error);
    }
    Held& held = TheHeld();
    const std::lock_guard lock(held.mutex);
    ++held.version;
}

std::vector<sessions::Rule> ApplicableRules(const std::string& database) {
    std::vector<sessions::Rule> rules;
    for (const StoredRule& stored : ReadRules(database)) {
        const Result<sessions::Rule> rule =
            sessions::RuleOfRow(stored.row, sessions::RuleFor::kSqlite);
        if (rule.ok()) {
            rules.push_back(rule.value());
        }
    }
    return rules;
}

uint64_t RulesVersion(const std::string& database) noexcept {
    uint64_t version = SettingsVersion();  // `persist` may have changed
    const auto add = [&](int64_t part) {
        version = version * 0x100000001b3 + static_cast<uint64_t>(part);
    };
    {
        Held& held = TheHeld();
        const std::lock_guard lock(held.mutex);
        add(static_cast<int64_t>(held.version));
    }
    struct stat found {};
    if (!database.empty() && stat(StateFile::PathFor(database).c_str(), &found) == 0) {
        add(static_cast<int64_t>(found.st_ino));
        add(found.st_size);
        add(found.st_mtim.tv_sec);
        add(found.st_mtim.tv_nsec);
    }
    return version;
}

void LogActions(const std::string& database, std::vector<Row> rows) noexcept {
    try {
        Held& held = TheHeld();
        std::deque<Row> waiting;
        {
            const std::lock_guard lock(held.mutex);
            std::deque<Row>& log = held.log[database];
            std::move(rows.begin(), rows.end(), std::back_inserter(log));
            while (log.size() > static_cast<size_t>(kMostLogRows)) {
                log.pop_front();
            }
            if (HasFile(database)) {
                waiting.swap(log);
            }
        }
        if (waiting.empty()) {
            return;
        }
        try {
            WriteLog(database, waiting);
        } catch (const Error&) {  // later
            const std::lock_guard lock(held.mutex);
            std::deque<Row>& log = held.log[database];
            log.insert(log.begin(), waiting.begin(), waiting.end());
        }
    } catch (const std::exception&) {  // no memory: the actions are done all the same
    }
}

void WriteWaitingLogs() noexcept {
    try {
        Held& held = TheHeld();
        std::vector<std::string> databases;
        {
            const std::lock_guard lock(held.mutex);
            for (const auto& [database, rows] : held.log) {
                if (!rows.empty() && !database.empty()) {
                    databases.push_back(database);
                }
            }
        }
        for (const std::string& database : databases) {
            LogActions(database, {});
        }
    } catch (const std::exception&) {  // no memory: they go on waiting
    }
}

std::vector<Row> ReadLog(const std::string& database) {
    std::vector<Row> all;
    if (HasFile(database)) {
        if (std::optional<StateFile> file = StateFile::OpenForReading(database).OrThrow()) {
            for (StoredRule& kept : KeptRows(*file, LogCall(), "id")) {
                all.push_back(std::move(kept.row));
            }
        }
    }
    Held& held = TheHeld();
    const std::lock_guard lock(held.mutex);
    for (const Row& row : held.log[database]) {
        all.push_back(row);
    }
    if (all.size() > static_cast<size_t>(kMostLogRows)) {
        all.erase(all.begin(), all.end() - kMostLogRows);
    }
    return all;
}

void WatchRuleStore() {
    static_cast<void>(TheHeld());
}

}  // namespace upkeep::sqlite
