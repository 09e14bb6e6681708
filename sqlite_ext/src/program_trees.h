// What the program of a statement does with the trees of `main`: which indexes it reads, which it
// maintains, which tables it reads from one end to the other. From EXPLAIN, as EXPLAIN QUERY PLAN
// leaves out triggers, foreign keys and writes. SPDX-License-Identifier: PostgreSQL
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace upkeep::sqlite {

struct IndexFacts {
    std::string table;          // lower case
    bool needs_values = false;  // partial, or over an expression: constants decide about its use
};

/// All names in lower case.
struct TreeSchema {
    std::string version;  // empty: could not be read
    std::map<std::string, IndexFacts> indexes;
    std::map<int64_t, std::string> indexes_by_page;
    std::map<int64_t, std::string> tables_by_page;
    std::set<std::string> tables;
};

TreeSchema ReadTreeSchema(sqlite3* db);
/// Changes with the schema and with the planner's statistics.
std::string TreeVersion(sqlite3* db);

struct ProgramTrees {
    std::set<std::string> indexes;       // read
    std::set<std::string> whole_tables;  // read whole, or until a LIMIT is met
    /// Entries of an index made and removed for one row that the statement itself writes, at most
    /// two. Without those of triggers and foreign keys: how many rows those write is not known.
    std::map<std::string, int> written;
    bool has_parameters = false;
    bool has_triggers = false;  // or actions of foreign keys
};

/// nullopt: it cannot be prepared here.
std::optional<ProgramTrees> ReadProgram(sqlite3* db, const TreeSchema& schema,
                                        const std::string& sql);

/// Does the text hold one of these as a word?
bool HasAnyWord(std::string_view text, std::initializer_list<std::string_view> words);

}  // namespace upkeep::sqlite
