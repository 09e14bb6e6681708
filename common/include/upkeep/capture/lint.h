// lint_statements: what in a captured statement is known to be slow or wrong, judged from facts.
//
//   host: statement analysed ─▶ LintFacts ┐
//   capture: calls, rows, times, blocks  ─┴─▶ LintRows ─▶ code, evidence, suggestion
//
// A host that knows only the text (SQLite) finds the same facts with ScanLintText. Nothing is
// claimed that was neither measured nor read in the catalog.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "upkeep/base/table_function.h"
#include "upkeep/capture/normalize.h"
#include "upkeep/capture/rows.h"

namespace upkeep::capture {

/// A table that the statement names. Names are quoted where SQL needs it.
struct LintTable {
    std::string name;
    std::string alias;  // by which the statement calls it; unquoted
    double rows = 0;    // estimated
    bool is_analysed = true;
    bool is_shown = false;  // stands in the outermost FROM, so that `*` shows it
    std::vector<std::string> columns;
};

/// A condition that no index of the column can serve.
struct LintCondition {
    std::string table;
    std::string column;
    double table_rows = 0;
    std::string expression;  // around the column: `lower(name)`, `(id)::numeric`
    std::string index_name;  // of the column, which goes unused; empty: none
    std::string create_sql;  // an index that would serve; empty: none can or none is known
    std::string detail;      // for casts: the other side's type
};

/// ORDER BY … LIMIT after the last value seen, in an order that rows may share.
struct LintKeyset {
    std::string table;
    std::vector<std::string> order;        // columns
    std::vector<std::string> tie_breaker;  // columns of a unique key; empty: the table has none
    bool is_descending = false;
};

struct LintFacts {
    bool has_limit = false;
    bool has_offset = false;
    std::vector<LintTable> tables;
    std::vector<LintCondition> functions;
    std::vector<LintCondition> casts;
    std::vector<LintCondition> wildcards;
    std::vector<LintCondition> not_in;  // the column inside the subquery, which may be NULL
    std::optional<LintKeyset> keyset;
};

/// One statement of one database, over all its users and endpoints.
struct LintStatement {
    int64_t fingerprint = 0;
    std::string query;
    Operation operation = Operation::kOther;
    StatementTotals totals;
    std::optional<uint64_t> blocks;  // hit and read; none: the host does not count them
    uint32_t user = 0;               // one who ran it
};

/// Statements that may be linted: visible, with their text, planned ones; longest total first, at
/// most `limit`.
std::vector<LintStatement> LintWorkload(std::span<const StatementView> views, bool has_blocks,
                                        size_t limit);

/// The rows of one statement. `dialect` is the text's.
void LintRows(const LintStatement& statement, const LintFacts& facts, SqlDialect dialect,
              RowSink& rows);

// --- what a text alone tells

struct LintOperand {
    enum class Kind : uint8_t { kOther, kLiteral, kColumn, kFunction, kCast };
    Kind kind = Kind::kOther;
    std::string qualifier;  // of the column, unquoted
    std::string column;     // unquoted
    std::string function;   // lower case
    std::string text;       // as written
    bool has_literal = false;
    std::string cast_type;  // of kCast, lower case
};

/// `left op right` in WHERE or ON. An operator that no index knows is not here.
struct LintComparison {
    LintOperand left;
    std::string op;  // = < <= > >= between in like …, lower case
    LintOperand right;
    bool has_wildcard = false;  // of LIKE and GLOB: the pattern begins with one
};

struct LintText {
    struct Name {
        std::string schema;  // empty: not said
        std::string table;
        std::string alias;
        int depth = 0;
    };
    struct Key {
        LintOperand operand;
        bool is_descending = false;
    };
    struct NotIn {
        LintOperand column;  // that the subquery shows
        bool excludes_null = false;
    };
    bool has_limit = false;
    bool has_offset = false;
    bool is_compound = false;
    std::vector<std::string> stars;  // qualifiers in the outermost list, unquoted; "": `*` alone
    std::vector<Name> names;
    std::vector<LintComparison> comparisons;
    std::vector<Key> order;  // outermost
    std::vector<NotIn> not_in;
};

/// Linear time, any bytes; what it does not understand it leaves out.
LintText ScanLintText(std::string_view sql, SqlDialect dialect);

/// Notes that capture wrote behind the constants of a text, by parameter number: see MaskOptions.
struct LintNote {
    int parameter = 0;  // $n; 0: `?`
    std::string text;
};
std::vector<LintNote> NotesOf(std::string_view sql, SqlDialect dialect);

}  // namespace upkeep::capture
