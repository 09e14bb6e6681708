// From the core's descriptions (TableFunction) to SQLite: scalars become functions, calls with rows
// eponymous-only virtual tables `upkeep_<name>`, whose visible columns are the result and whose
// hidden columns are the parameters, so `upkeep_f(1, 2)` and `upkeep_f WHERE dry_run = 0` both
// work.
//
//   arguments.h  sqlite3_value -> Value (strict), Value -> result
//   vtab_call    the virtual table
//   adapter.cpp  functions, registration
//
// A topic offers its bodies as a table (fn_<topic>.cpp) that entry.cpp hands to RegisterCalls().
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "sqlite_api.h"
#include "upkeep/base/table_function.h"

namespace upkeep::sqlite {

using RowsBody = Result<void> (*)(sqlite3* db, const Arguments& arguments, RowSink& rows);
using ValueBody = Result<Value> (*)(sqlite3* db, const Arguments& arguments);

/// One group, or one window frame, of an aggregate with one parameter. May throw Error.
class Aggregate {
  public:
    virtual ~Aggregate() = default;
    virtual void Add(const Value& value) = 0;
    virtual void Remove(const Value& value) = 0;  // one that was added: the frame moved on
    virtual Value Result() const = 0;
};
using MakeAggregate = std::unique_ptr<Aggregate> (*)();

/// Registers a table that is written to and brings its own methods. Throws Error.
using RegisterTable = void (*)(sqlite3* db, const TableFunction& call);

/// What a call does here: `rows` for kFunction, kView and kTable, `value` for kScalar.
struct Body {
    std::string_view call;
    RowsBody rows = nullptr;
    ValueBody value = nullptr;
    MakeAggregate aggregate = nullptr;
    RegisterTable table = nullptr;  // kTable that can be written
};

// One per topic, in fn_<topic>.cpp; entry.cpp lists them.
std::span<const Body> BaseBodies();
std::span<const Body> AdvisorBodies();
std::span<const Body> CaptureBodies();
std::span<const Body> SessionsBodies();
std::span<const Body> WorkflowBodies();
std::span<const Body> WorkflowStatsBodies();
std::span<const Body> HealthBodies();
std::span<const Body> PublishBodies();

/// The time now, to the millisecond.
Timestamp Now();

/// `upkeep_` and the call's name.
std::string SqlName(const TableFunction& call);

/// The value of an argument that was left out. Throws Error where there is none.
Value DefaultOf(const TableFunction& call, const Parameter& parameter);

/// Registers every one of `calls` that SQLite has and that has a body. Throws Error.
/// Note: a call without a body is left out; tests/sqlite asserts that none is.
void RegisterCalls(sqlite3* db, std::span<const TableFunction* const> calls,
                   std::span<const Body> bodies);

/// Registers one virtual table (vtab_call.cpp). Throws Error.
void RegisterRows(sqlite3* db, const TableFunction& call, RowsBody body);

/// Registers `upkeep_reap_rules` (rules_table.cpp). Throws Error.
void RegisterRulesTable(sqlite3* db, const TableFunction& call);

}  // namespace upkeep::sqlite
