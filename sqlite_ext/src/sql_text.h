// The few facts about a statement that neither plan nor virtual tables tell: its outermost LIMIT,
// constant IN lists, whether it aggregates. A token scanner, no parser: what it does not understand
// it leaves out.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace upkeep::sqlite {

struct InList {
    std::string list;  // `('a', 'b')` as SQL; empty: parameters or a subquery
    int count = 0;     // elements; 0: a subquery
};

struct TextFacts {
    bool has_limit = false;      // anywhere
    double limit = -1;           // the outermost LIMIT plus OFFSET, rows; < 0: none
    double offset = 0;           // of that, the OFFSET
    std::string extreme_column;  // `SELECT min(x) FROM …` or max: x in lower case; empty: not so
    bool has_aggregate = false;  // a built-in aggregate outside brackets
    bool has_exists = false;
    bool has_condition = false;                           // a WHERE anywhere
    bool replaces = false;                                // REPLACE INTO, INSERT OR REPLACE INTO
    std::map<std::string, std::vector<InList>> in_lists;  // by lower-case column name
};

TextFacts ScanText(std::string_view sql);

/// An expression that the statement compares: `lower(u.email) = …`, `data ->> 'k' IN (…)`.
struct ComparedExpression {
    std::string sql;                      // without qualifiers
    std::vector<std::string> qualifiers;  // lower case, of its columns
    std::vector<std::string> names;       // its words and names that are no functions, lower case
    std::vector<std::string> functions;   // lower case
    std::vector<std::string> strings;     // lower case, in their quotes
    char op = '=';                        // '=', '<' (any range), 'I' for IN
};

/// Those of the form `function(…) op …` and `name -> … op …`, without parameters and subqueries.
std::vector<ComparedExpression> ScanExpressions(std::string_view sql);

/// The text without what virtual tables refuse although it changes no search: RETURNING …, ON
/// CONFLICT …, INDEXED BY x.
std::string RecordableText(std::string_view sql);

/// Indexes that the text names by INDEXED BY, lower case: without them it fails.
std::vector<std::string> IndexedBy(std::string_view sql);

/// The parts of a CREATE INDEX text that no PRAGMA tells.
struct IndexText {
    std::vector<std::string> keys;  // without ASC / DESC
    std::string predicate;          // after WHERE; empty: none
};

IndexText ScanIndex(std::string_view create_index);

/// Does the expression name this column (or anything else so called)?
bool NamesColumn(std::string_view expression, std::string_view column);

/// Does the text begin with CREATE [UNIQUE] INDEX?
bool IsCreateIndex(std::string_view sql);

}  // namespace upkeep::sqlite
