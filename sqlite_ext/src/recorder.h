// What a statement wants from each table, as the planner itself says it: a private connection in
// which every table of the caller is a virtual one whose xBestIndex writes down the constraints,
// order, grouping and columns it is offered. Nothing is executed.
//
//   statement -> prepare (EXPLAIN QUERY PLAN) -> xBestIndex … -> Offer per call
//             -> `SCAN alias VIRTUAL TABLE INDEX n` -> which offers belong to which mention
//
// Not seen: conditions on expressions (`lower(x) = …`).
// Source: sqlite.org/vtab.html#the_xbestindex_method
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog.h"
#include "stmt.h"

namespace upkeep::sqlite {

/// A copy of a constant that outlives the statement it came from; empty where none is known.
class Literal {
  public:
    Literal() = default;
    explicit Literal(sqlite3_value* value) : value_(sqlite3_value_dup(value), sqlite3_value_free) {}
    bool is_known() const { return value_ != nullptr; }
    sqlite3_value* get() const { return value_.get(); }

  private:
    std::shared_ptr<sqlite3_value> value_;
};

/// One condition `column op value`, AND-ed with the other terms of its list.
struct Term {
    int column = -1;       // position in the table's columns; -1: the rowid
    int op = 0;            // SQLITE_INDEX_CONSTRAINT_…
    bool is_in = false;    // `column IN (…)`, arrives as EQ
    bool is_join = false;  // compared with another table of the same FROM
    std::string collation;
    Literal literal;
};

struct SortTerm {
    int column = -1;
    bool is_descending = false;
};

/// One mention of a table in the statement.
struct Mention {
    std::string schema;
    std::string table;
    std::string alias;  // as EXPLAIN QUERY PLAN prints it
    std::vector<Term> terms;
    std::vector<std::vector<Term>> branches;  // of OR-ed conditions, each AND-ed in itself
    std::vector<SortTerm> order;
    std::vector<int> group;   // GROUP BY or DISTINCT columns
    std::vector<int> needed;  // columns read, ascending
};

class Recorder {
  public:
    /// `caller` is read here (columns) and not kept. Throws Error.
    Recorder(sqlite3* caller, const Catalog& catalog);
    ~Recorder();
    Recorder(const Recorder&) = delete;
    Recorder& operator=(const Recorder&) = delete;

    /// The mentions of all tables, in plan order. Errors: what the prepare says, for instance
    /// statements that virtual tables cannot serve (upsert).
    Result<std::vector<Mention>> Record(std::string_view statement);

    struct Log;  // what the module's callbacks write to

  private:
    std::unique_ptr<Log> log_;
    PrivateConnection copy_;
};

/// Registers the module by which any table can be stood in for: `CREATE VIRTUAL TABLE s.t USING
/// upkeep_stand_in(columns …)`, each column as in CREATE TABLE. Offers go to `log`, which may be
/// nullptr and must outlive the connection. Throws Error.
void RegisterStandIn(sqlite3* copy, Recorder::Log* log);

/// The statement that stands in for a table. Columns hidden in the original stay hidden.
std::string StandInSql(const CatalogTable& table, const std::vector<CatalogColumn>& columns);

}  // namespace upkeep::sqlite
