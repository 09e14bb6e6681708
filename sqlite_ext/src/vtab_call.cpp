// One eponymous-only virtual table per call with rows.
//
//   xConnect     declares result columns, then one hidden column per parameter
//   xBestIndex   takes the equality constraints on hidden columns: those are the arguments
//   xFilter      checks them, fills in defaults, runs the body into a vector of rows
//   xColumn      hands out rows; a hidden column shows its argument
//
// An acting call acts once per statement. Arguments that come from other tables of the FROM clause
// or from an IN list are refused when the statement is prepared, before anything is done; a repeat
// that only shows while it runs is an error (or, with equal arguments in the same loop, the same
// rows again).
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adapter.h"
#include "arguments.h"
#include "guard.h"
#include "own_call.h"

namespace upkeep::sqlite {

namespace {

constexpr size_t kMaxParameters = 30;  // idxNum holds one bit for each

/// Lives with the registered module.
struct Module {
    const TableFunction& call;
    RowsBody body;
};

void DeleteModule(void* module) {
    delete static_cast<Module*>(module);
}

/// One execution of a statement: SQLite counts the runs of each.
struct Execution {
    sqlite3_stmt* stmt;
    int runs;
    friend bool operator==(const Execution&, const Execution&) = default;
};

struct Table : sqlite3_vtab {
    const TableFunction& call;
    RowsBody body;
    sqlite3* db;
    std::string name;
    std::vector<Execution> acted;  // executions, still running, in which this call has acted
};

struct ValueDeleter {
    void operator()(sqlite3_value* value) const { sqlite3_value_free(value); }
};
using OwnedValue = std::unique_ptr<sqlite3_value, ValueDeleter>;

struct Cursor : sqlite3_vtab_cursor {
    std::vector<OwnedValue> given;  // per parameter; null: default
    std::vector<Value> values;      // per parameter, as the body got them
    std::vector<Row> rows;
    size_t at = 0;
    bool has_run = false;
};

class Sink : public RowSink {
  public:
    Sink(const TableFunction& call, std::vector<Row>* rows) : call_(call), rows_(rows) {}

    void Add(Row row) override {
        bool fits = row.size() == call_.columns.size();
        for (size_t i = 0; fits && i < row.size(); ++i) {
            fits = Fits(call_.columns[i].type, row[i]);
        }
        if (!fits) {
            throw Error(Code::kInternal, SqlName(call_) + " produced a row of another shape");
        }
        rows_->push_back(std::move(row));
    }

  private:
    const TableFunction& call_;
    std::vector<Row>* rows_;
};

/// `CREATE TABLE x("rank" INTEGER, …, "workload" TEXT HIDDEN, …)`
std::string Declaration(const TableFunction& call) {
    std::string sql;
    for (const Column& column : call.columns) {
        sql += (sql.empty() ? "\"" : ", \"") + std::string(column.name) + "\" " +
               DeclaredType(column.type);
    }
    for (const Parameter& parameter : call.parameters) {
        sql += ", \"" + SqlName(parameter) + "\" " + DeclaredType(parameter.type) + " HIDDEN";
    }
    return "CREATE TABLE x(" + sql + ")";
}

int xConnect(sqlite3* db, void* aux, int, const char* const*, sqlite3_vtab** out, char** message) {
    return EnterVtab(message, [=] {
        const auto& module = *static_cast<const Module*>(aux);
        int code = sqlite3_declare_vtab(db, Declaration(module.call).c_str());
        if (code == SQLITE_OK && module.call.effect == Effect::kActs) {
            code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
        } else if (code == SQLITE_OK && module.call.effect == Effect::kPure) {
            code = sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
        }
        if (code != SQLITE_OK) {
            throw HostError(db, code);
        }
        *out = new Table{{}, module.call, module.body, db, SqlName(module.call), {}};
        return SQLITE_OK;
    });
}

int xDisconnect(sqlite3_vtab* vtab) {
    delete static_cast<Table*>(vtab);
    return SQLITE_OK;
}

[[noreturn]] void RefuseVarying(const Table& table) {
    throw Error(Code::kInvalidArgument,
                table.name + " acts once per statement: its arguments must not vary by row",
                "call it on its own with constants or bound parameters");
}

/// Offers the plan to the planner: argument i of xFilter is the i-th parameter that was given.
/// SQLITE_CONSTRAINT: not with these usable constraints; the planner asks again with others.
int BestIndex(const Table& table, sqlite3_index_info* info) {
    const TableFunction& call = table.call;
    const bool acts = call.effect == Effect::kActs;
    std::vector<int> chosen(call.parameters.size(), -1);
    for (int i = 0; i < info->nConstraint; ++i) {
        const auto& constraint = info->aConstraint[i];
        const int hidden = constraint.iColumn - static_cast<int>(call.columns.size());
        if (hidden < 0 || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) {
            continue;  // SQLite checks it on our rows
        }
        // The planner asks without some constraint only if its value comes from another table.
        if (!constraint.usable && !acts) {
            return SQLITE_CONSTRAINT;
        }
        if (acts && (!constraint.usable || sqlite3_vtab_in(info, i, -1) != 0)) {
            RefuseVarying(table);
        }
        int& slot = chosen[static_cast<size_t>(hidden)];
        slot = slot < 0 ? i : slot;  // a second one is a filter
    }
    int argument = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
        if (chosen[i] >= 0) {
            info->aConstraintUsage[chosen[i]].argvIndex = ++argument;
            info->aConstraintUsage[chosen[i]].omit = 1;
            info->idxNum |= 1 << i;
        } else if (call.parameters[i].default_value == nullptr) {
            throw Error(Code::kInvalidArgument,
                        table.name + " needs the argument " + SqlName(call.parameters[i]),
                        "give it in brackets or as WHERE " + SqlName(call.parameters[i]) + " = …");
        }
    }
    info->estimatedCost = acts ? 1 : 1000;  // an acting call comes first in any join
    info->estimatedRows = acts ? 1 : 25;
    return SQLITE_OK;
}

/// Running statements whose text names this call. It must be in the text: direct only, so no view
/// or trigger can hide it.
std::vector<Execution> RunningExecutions(const Table& table) {
    std::vector<Execution> running;
    for (sqlite3_stmt* stmt = sqlite3_next_stmt(table.db, nullptr); stmt != nullptr;
         stmt = sqlite3_next_stmt(table.db, stmt)) {
        const char* text = sqlite3_sql(stmt);
        if (sqlite3_stmt_busy(stmt) == 0 || text == nullptr) {
            continue;
        }
        for (; *text != '\0'; ++text) {
            if (sqlite3_strnicmp(text, table.name.c_str(), static_cast<int>(table.name.size())) ==
                0) {
                running.push_back({stmt, sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_RUN, 0)});
                break;
            }
        }
    }
    return running;
}

/// A statement that names the call is being prepared: it may get the address of one that has ended,
/// and its first run would look like that one's.
void ForgetEnded(Table* table) {
    const std::vector<Execution> running = RunningExecutions(*table);
    std::erase_if(table->acted, [&](const Execution& one) {
        return std::find(running.begin(), running.end(), one) == running.end();
    });
}

int xBestIndex(sqlite3_vtab* vtab, sqlite3_index_info* info) {
    return EnterVtab(&vtab->zErrMsg, [=] {
        auto* table = static_cast<Table*>(vtab);
        ForgetEnded(table);
        return BestIndex(*table, info);
    });
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

/// Lets an acting call pass once per execution of a statement. Who is asking is not told to us, but
/// it is one of the running executions that name the call; if all of those have acted, so has it.
void RefuseRepeat(Table* table) {
    std::vector<Execution> running = RunningExecutions(*table);
    const bool all_acted = std::all_of(running.begin(), running.end(), [&](const Execution& one) {
        return std::find(table->acted.begin(), table->acted.end(), one) != table->acted.end();
    });
    if (all_acted && !running.empty()) {
        RefuseVarying(*table);
    }
    table->acted = std::move(running);
}

void Filter(Cursor* cursor, int given_bits, std::span<sqlite3_value*> given) {
    auto& table = *static_cast<Table*>(cursor->pVtab);
    const TableFunction& call = table.call;
    std::vector<Value> values;
    std::vector<OwnedValue> owned(call.parameters.size());
    size_t next = 0;
    for (size_t i = 0; i < call.parameters.size(); ++i) {
        if ((given_bits >> i & 1) == 0) {
            values.push_back(DefaultOf(call, call.parameters[i]));
            continue;
        }
        sqlite3_value* value = given[next++];
        values.push_back(FromSql(call.parameters[i], value));
        owned[i].reset(sqlite3_value_dup(value));
        if (owned[i] == nullptr) {
            throw std::bad_alloc();
        }
    }
    cursor->at = 0;
    if (call.effect == Effect::kActs) {
        if (cursor->has_run && values == cursor->values) {
            return;  // the inner side of a join: the same rows again
        }
        RefuseRepeat(&table);
    }
    cursor->rows.clear();
    cursor->has_run = true;
    cursor->values = values;
    cursor->given = std::move(owned);
    Sink sink(call, &cursor->rows);
    table.body(table.db, Arguments(call, std::move(values)), sink).OrThrow();
}

int xFilter(sqlite3_vtab_cursor* base, int given_bits, const char*, int count,
            sqlite3_value** given) {
    return EnterVtab(&base->pVtab->zErrMsg, [=] {
        const OwnCall own;
        Filter(static_cast<Cursor*>(base), given_bits, {given, static_cast<size_t>(count)});
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
        const Row& row = cursor->rows[cursor->at];
        const auto index = static_cast<size_t>(column);
        if (index < row.size()) {
            ToSql(context, row[index]);
        } else if (const OwnedValue& given = cursor->given[index - row.size()]) {
            sqlite3_result_value(context, given.get());
        } else {
            ToSql(context, cursor->values[index - row.size()]);
        }
    });
    return SQLITE_OK;
}

int xRowid(sqlite3_vtab_cursor* base, sqlite3_int64* rowid) {
    *rowid = static_cast<sqlite3_int64>(static_cast<const Cursor*>(base)->at) + 1;
    return SQLITE_OK;
}

// xCreate is NULL: eponymous only, no CREATE VIRTUAL TABLE.
constexpr sqlite3_module MakeModule() {
    sqlite3_module module{};
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
    return module;
}
constexpr sqlite3_module kModule = MakeModule();

}  // namespace

void RegisterRows(sqlite3* db, const TableFunction& call, RowsBody body) {
    if (call.parameters.size() > kMaxParameters) {
        throw Error(Code::kInternal, SqlName(call) + " has too many parameters");
    }
    // On failure SQLite calls DeleteModule too.
    const int code = sqlite3_create_module_v2(db, SqlName(call).c_str(), &kModule,
                                              new Module{call, body}, DeleteModule);
    if (code != SQLITE_OK) {
        throw HostError(db, code);
    }
}

}  // namespace upkeep::sqlite
