// Where the rules of reap_rules and the log of what they did are kept: in the state file of the
// database they are for; in memory for databases that have none (in memory, `persist` off), and
// what cannot be written just now. Not for: applying rules (supervisor.h) and SQL
// (rules_table.cpp). SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sqlite_api.h"
#include "upkeep/base/table_function.h"
#include "upkeep/sessions/rule.h"

namespace upkeep::sqlite {

/// A row of reap_rules. It has passed RuleOfRow, unless somebody wrote the file by other means.
struct StoredRule {
    int64_t id = 0;
    Row row;
};

/// A change of one row: without `before` it is new, without `after` it goes.
struct RuleChange {
    std::string before;  // its name
    StoredRule after;    // an empty row: none
};

/// Of the database file; empty: those in memory. By name. Throws Error.
std::vector<StoredRule> ReadRules(const std::string& database);
/// All of them or none. Throws Error: kNotFound where another has changed the same rule meanwhile.
void ChangeRules(const std::string& database, const std::vector<RuleChange>& changes);
/// Those that can be applied. Throws Error.
std::vector<sessions::Rule> ApplicableRules(const std::string& database);
/// Another number: the rules may be others. Cheap, never throws.
uint64_t RulesVersion(const std::string& database) noexcept;

/// The value of a column of reap_rules as it comes from SQL. Throws Error.
Value RuleValue(const Column& column, sqlite3_value* value);

/// Adds rows of reap_log, newest last; the last kMostLogRows stay. Never fails: what cannot be
/// written now waits in memory for the next time.
void LogActions(const std::string& database, std::vector<Row> rows) noexcept;
/// Those that wait, of all databases.
void WriteWaitingLogs() noexcept;
/// Oldest first. Throws Error.
std::vector<Row> ReadLog(const std::string& database);
inline constexpr int64_t kMostLogRows = 10'000;

/// Its mutexes are released in children of fork() from here on.
void WatchRuleStore();

}  // namespace upkeep::sqlite
