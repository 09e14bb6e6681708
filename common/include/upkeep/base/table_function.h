// The description of every SQL call, written once.
//
// A TableFunction names a call's parameters, columns, types and one line of documentation each.
// PostgreSQL fills a tuplestore from it, SQLite an eponymous virtual table or a function, by one
// generic adapter each; docs/reference.md is generated from it; the parity test compares it with
// the catalogs of both hosts and with tests/spec/calls.tsv.
//
//   SQL call -> adapter (host) -> Arguments -> body -> RowSink -> adapter -> rows
//
// Not for: what a call does. Bodies are core functions (or host adapters where only a catalog
// query is needed) that take Arguments and a RowSink.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/error.h"
#include "upkeep/base/result.h"
#include "upkeep/base/value.h"

namespace upkeep {

enum class CallKind : uint8_t {
    kScalar,     // one value: a function in both hosts
    kAggregate,  // one value from many rows: an aggregate, also over a window frame
    kFunction,   // rows, with parameters: set-returning function / eponymous virtual table
    kView,       // rows, no parameters: view / eponymous virtual table
    kTable,      // rows that users write: table / eponymous virtual table
};

enum class Hosts : uint8_t { kBoth, kPostgres, kSqlite };

enum class Effect : uint8_t {
    kPure,   // same input, same output, touches nothing (SQLite: innocuous, deterministic)
    kReads,  // reads the database or our state
    kActs,   // changes something, or touches files, connections, settings (SQLite: direct only)
};

/// One parameter. `default_value` is the default as PostgreSQL users read it (`3`, `30 s`, `NULL`,
/// `public`; `now` and `now - 24 h` of a time are words for the host, which has the clock);
/// nullptr: the parameter must be given. `sqlite_default` only where it differs.
struct Parameter {
    std::string_view name;
    Type type;
    const char* default_value;
    std::string_view doc;
    const char* sqlite_default = nullptr;
};

struct Column {
    std::string_view name;
    Type type;
    std::string_view doc;
};

struct TableFunction {
    std::string_view name;   // without schema or prefix
    std::string_view topic;  // folder of the core it belongs to: `base`, `advisor`, …
    CallKind kind;
    Hosts hosts;
    Effect effect;
    std::string_view doc;    // one line
    std::string_view since;  // version that added it
    std::span<const Parameter> parameters;
    std::span<const Column> columns;  // empty for kScalar, kAggregate
    Type returns = Type::kVoid;       // kScalar, kAggregate
};

/// Receives the rows of one call. The row has one value per column, in order; wrong counts or types
/// are kInternal. May throw a host's unwinding.
class RowSink {
  public:
    virtual ~RowSink() = default;
    virtual void Add(Row row) = 0;
};

/// The arguments of one call: one value per parameter, defaults already filled in, types checked by
/// the adapter. NULL stays NULL: what it means is the call's business.
class Arguments {
  public:
    Arguments(const TableFunction& call, std::vector<Value> values);

    const Value& operator[](std::string_view parameter) const;
    bool IsNull(std::string_view parameter) const { return upkeep::IsNull((*this)[parameter]); }

    /// Typed access; a NULL is kInvalidArgument and names the parameter.
    const std::string& Text(std::string_view parameter) const;
    int64_t Integer(std::string_view parameter) const;
    double Float(std::string_view parameter) const;
    bool Bool(std::string_view parameter) const;
    Timestamp Time(std::string_view parameter) const;
    const std::string& Sketch(std::string_view parameter) const;  // its bytes
    const TextArray& Texts(std::string_view parameter) const;
    const Float8Array& Floats(std::string_view parameter) const;
    const BigintArray& Integers(std::string_view parameter) const;

    const TableFunction& call() const { return call_; }

  private:
    template <typename T>
    const T& Get(std::string_view parameter) const;

    const TableFunction& call_;
    std::vector<Value> values_;
};

/// The default of `parameter` as a value (`30 s` as 30000 for kInterval); NULL for "NULL".
/// Errors: kInvalidArgument if the parameter must be given (the text says `call.parameter`).
Result<Value> DefaultValue(const TableFunction& call, const Parameter& parameter, bool sqlite);

/// Milliseconds of an interval as our defaults write it: `30 s`, `10 min`, `24 h`, `500 ms`.
/// Errors: kInvalidArgument.
Result<int64_t> ParseInterval(std::string_view text);

/// The time that a default's word means: `now`, `now - 24 h`. Errors: kInvalidArgument.
Result<Timestamp> TimeOfWord(std::string_view word, Timestamp now);

/// All calls of the product, in the order of interface.md: the concatenation of the topics' lists.
std::vector<const TableFunction*> AllCalls();

/// The call with this name, or nullptr.
const TableFunction* FindCall(std::string_view name);

}  // namespace upkeep
