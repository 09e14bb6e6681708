// `upkeep_reap_rules`: the one table of ours that is written by INSERT, UPDATE and DELETE.
//
//   xUpdate   checks the row (RuleOfRow) and notes the change; readers of this connection see it
//   xSync     writes all that were noted to the store, before SQLite commits its own
//   rollback  forgets them, to a savepoint as well: a failing statement changes nothing
//
// A column that is left out and one that is given NULL look the same here: both get the default.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <map>
#include <optional>

#include "adapter.h"
#include "arguments.h"
#include "capture_memory.h"
#include "guard.h"
#include "own_call.h"
#include "rule_store.h"
#include "upkeep/sessions/rule_row.h"

namespace upkeep::sqlite {

namespace {

/// The rules as this connection's transaction sees them, and what it has done to them.
struct Pending {
    std::vector<StoredRule> rules;
    std::vector<RuleChange> changes;
};

struct Table : sqlite3_vtab {
    const TableFunction* call;
    sqlite3* db;
    std::optional<Pending> pending;               // inside a transaction that writes rules
    std::map<int, std::optional<Pending>> marks;  // by savepoint
};

struct Cursor : sqlite3_vtab_cursor {
    std::vector<StoredRule> rows;
    size_t at = 0;
};

Table* TableOf(sqlite3_vtab* vtab) {
    return static_cast<Table*>(vtab);
}

std::string Declaration(const TableFunction& call) {
    std::string sql;
    for (const Column& column : call.columns) {
        sql += (sql.empty() ? "\"" : ", \"") + std::string(column.name) + "\" " +
               DeclaredType(column.type);
    }
    return "CREATE TABLE x(" + sql + ")";
}

int xConnect(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** out, char** message) {
    return EnterVtab(message, [=] {
        const auto* call = static_cast<const TableFunction*>(aux);
        int code = sqlite3_declare_vtab(db, Declaration(*call).c_str());
        if (code == SQLITE_OK) {
            code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
        }
        if (code == SQLITE_OK) {
            code = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
        }
        if (code != SQLITE_OK) {
            throw HostError(db, code);
        }
        *out = new Table{{}, call, db, {}, {}};
        return SQLITE_OK;
    });
}

int xDisconnect(sqlite3_vtab* vtab) {
    delete TableOf(vtab);
    return SQLITE_OK;
}

int xBestIndex(sqlite3_vtab*, sqlite3_index_info* info) {
    info->estimatedCost = 1000;
    info->estimatedRows = 25;
    return SQLITE_OK;
}

int xOpen(sqlite3_vtab* vtab, sqlite3_vtab_cursor** out) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        *out = new Cursor{};
        return SQLITE_OK;
    });
}

int xClose(sqlite3_vtab_cursor* cursor) {
    delete static_cast<Cursor*>(cursor);
    return SQLITE_OK;
}

int xFilter(sqlite3_vtab_cursor* base, int, const char*, int, sqlite3_value**) {
    return EnterVtab(&base->pVtab->zErrMsg, [=] {
        const OwnCall own;
        auto* cursor = static_cast<Cursor*>(base);
        const Table* table = TableOf(base->pVtab);
        cursor->rows = table->pending ? table->pending->rules : ReadRules(MainFile(table->db));
        cursor->at = 0;
        return SQLITE_OK;
    });
}

int xNext(sqlite3_vtab_cursor* base) {
    ++static_cast<Cursor*>(base)->at;
    return SQLITE_OK;
}

int xEof(sqlite3_vtab_cursor* base) {
    const auto* cursor = static_cast<const Cursor*>(base);
    return cursor->at >= cursor->rows.size() ? 1 : 0;
}

int xColumn(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
    Enter(context, [=] {
        const auto* cursor = static_cast<const Cursor*>(base);
        ToSql(context, cursor->rows[cursor->at].row[static_cast<size_t>(column)]);
    });
    return SQLITE_OK;
}

int xRowid(sqlite3_vtab_cursor* base, sqlite3_int64* rowid) {
    const auto* cursor = static_cast<const Cursor*>(base);
    *rowid = cursor->rows[cursor->at].id;
    return SQLITE_OK;
}

/// The row that was given, defaults filled in, checked. Throws Error.
Row CheckedRow(const TableFunction& call, sqlite3_value** values) {
    Row row;
    for (size_t i = 0; i < call.columns.size(); ++i) {
        row.push_back(RuleValue(call.columns[i], values[i]));
        if (IsNull(row.back())) {
            row.back() = sessions::DefaultOfRule(call.columns[i].name);
        }
    }
    sessions::RuleOfRow(row, sessions::RuleFor::kSqlite).OrThrow();
    return row;
}

const std::string& NameOf(const StoredRule& rule) {
    return std::get<std::string>(rule.row[0]);
}

class Write {
  public:
    Write(Table* table, sqlite3_value** arguments, int count)
        : table_(*table), arguments_(arguments), count_(count) {}

    /// SQLITE_CONSTRAINT: the name is taken; SQLite does what the statement says for that.
    int Do(sqlite3_int64* rowid) {
        std::vector<StoredRule>& rules = table_.pending->rules;
        auto old = rules.end();
        if (sqlite3_value_type(arguments_[0]) != SQLITE_NULL) {
            const int64_t id = sqlite3_value_int64(arguments_[0]);
            old = std::find_if(rules.begin(), rules.end(),
                               [&](const StoredRule& rule) { return rule.id == id; });
            if (old == rules.end()) {
                return SQLITE_OK;
            }
        }
        RuleChange change;
        change.before = old != rules.end() ? NameOf(*old) : "";
        if (count_ > 1) {
            change.after.row = CheckedRow(*table_.call, arguments_ + 2);
            change.after.id = old != rules.end() ? old->id : NextId();
            *rowid = change.after.id;
        }
        if (const int code = MakeRoom(change, &old); code != SQLITE_OK) {
            return code;
        }
        if (old != rules.end()) {
            rules.erase(old);
        }
        if (!change.after.row.empty()) {
            rules.push_back(change.after);
        }
        table_.pending->changes.push_back(std::move(change));
        return SQLITE_OK;
    }

  private:
    int64_t NextId() const {
        int64_t id = 0;
        for (const StoredRule& rule : table_.pending->rules) {
            id = std::max(id, rule.id);
        }
        return id + 1;
    }

    /// Another rule of the name that this one is to have goes or speaks against it.
    int MakeRoom(const RuleChange& change, std::vector<StoredRule>::iterator* old) {
        if (change.after.row.empty() || NameOf(change.after) == change.before) {
            return SQLITE_OK;
        }
        std::vector<StoredRule>& rules = table_.pending->rules;
        const auto same = std::find_if(rules.begin(), rules.end(), [&](const StoredRule& rule) {
            return NameOf(rule) == NameOf(change.after);
        });
        if (same == rules.end()) {
            return SQLITE_OK;
        }
        if (sqlite3_vtab_on_conflict(table_.db) != SQLITE_REPLACE) {
            sqlite3_free(table_.zErrMsg);
            table_.zErrMsg =
                sqlite3_mprintf("there is a rule %s already (hint: update it, or choose a name)",
                                NameOf(change.after).c_str());
            return SQLITE_CONSTRAINT;
        }
        table_.pending->changes.push_back({NameOf(*same), {}});
        rules.erase(same);
        *old = std::find_if(rules.begin(), rules.end(), [&](const StoredRule& rule) {
            return !change.before.empty() && NameOf(rule) == change.before;
        });
        return SQLITE_OK;
    }

    Table& table_;
    sqlite3_value** arguments_;
    int count_;
};

int xUpdate(sqlite3_vtab* vtab, int count, sqlite3_value** arguments, sqlite3_int64* rowid) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        const OwnCall own;
        Table* table = TableOf(vtab);
        if (!table->pending) {
            table->pending = Pending{ReadRules(MainFile(table->db)), {}};
        }
        return Write(table, arguments, count).Do(rowid);
    });
}

int xBegin(sqlite3_vtab*) {
    return SQLITE_OK;
}

int xSync(sqlite3_vtab* vtab) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        const OwnCall own;
        Table* table = TableOf(vtab);
        if (table->pending) {
            ChangeRules(MainFile(table->db), table->pending->changes);
        }
        return SQLITE_OK;
    });
}

int xForget(sqlite3_vtab* vtab) {
    TableOf(vtab)->pending.reset();
    TableOf(vtab)->marks.clear();
    return SQLITE_OK;
}

int xSavepoint(sqlite3_vtab* vtab, int mark) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        TableOf(vtab)->marks[mark] = TableOf(vtab)->pending;
        return SQLITE_OK;
    });
}

int xRelease(sqlite3_vtab* vtab, int mark) {
    auto& marks = TableOf(vtab)->marks;
    marks.erase(marks.lower_bound(mark), marks.end());
    return SQLITE_OK;
}

int xRollbackTo(sqlite3_vtab* vtab, int mark) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        Table* table = TableOf(vtab);
        // One from before the first change is not known here.
        const auto found = table->marks.find(mark);
        table->pending = found != table->marks.end() ? found->second : std::nullopt;
        table->marks.erase(table->marks.upper_bound(mark), table->marks.end());
        return SQLITE_OK;
    });
}

// xCreate is NULL: eponymous only, no CREATE VIRTUAL TABLE.
constexpr sqlite3_module MakeModule() {
    sqlite3_module module{};
    module.iVersion = 2;
    module.xConnect = xConnect;
    module.xBestIndex = xBestIndex;
    module.xDisconnect = xDisconnect;
    module.xOpen = xOpen;
    module.xClose = xClose;
    module.xFilter = xFilter;
    module.xNext = xNext;
    module.xEof = xEof;
    module.xColumn = xColumn;
    module.xRowid = xRowid;
    module.xUpdate = xUpdate;
    module.xBegin = xBegin;
    module.xSync = xSync;
    module.xCommit = xForget;
    module.xRollback = xForget;
    module.xSavepoint = xSavepoint;
    module.xRelease = xRelease;
    module.xRollbackTo = xRollbackTo;
    return module;
}
constexpr sqlite3_module kModule = MakeModule();

}  // namespace

void RegisterRulesTable(sqlite3* db, const TableFunction& call) {
    const int code = sqlite3_create_module_v2(db, SqlName(call).c_str(), &kModule,
                                              const_cast<TableFunction*>(&call), nullptr);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
}

}  // namespace upkeep::sqlite
