// Which foreign keys no index serves, and the index that would.
// SPDX-License-Identifier: PostgreSQL
#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "../advisor/ddl.h"
#include "index_rules.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::health {

namespace {

constexpr size_t kMaxNameBytes = 63;  // PostgreSQL's NAMEDATALEN - 1; SQLite has no limit

/// Lower case, without blanks, brackets and double quotes: enough to recognise `(a IS NOT NULL)`.
std::string Bare(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c != ' ' && c != '(' && c != ')' && c != '"') {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        }
    }
    return out;
}

/// Does the predicate leave out only rows in which a column of the key is NULL?
bool KeepsKeyRows(const std::string& predicate, const ForeignKeyFacts& key) {
    if (predicate.empty()) {
        return true;
    }
    std::string rest = Bare(predicate);
    for (const std::string& column : key.columns) {
        const std::string part = Bare(column) + "isnotnull";
        if (rest == part) {
            return true;
        }
        if (rest.starts_with(part + "and")) {
            rest.erase(0, part.size() + 3);
        }
    }
    return false;
}

/// Severity by what a delete in the parent has to read, and by whether parents are deleted at all.
std::string Severity(const ForeignKeyFacts& key) {
    struct Step {
        int64_t child_rows;
        const char* with_deletes;
        const char* without;
    };
    static constexpr Step kSteps[] = {
        {100000, "high", "medium"}, {1000, "medium", "low"}, {0, "low", "info"}};
    const bool has_deletes = key.parent_deletes.value_or(1) > 0;  // not counted: assume there are
    for (const Step& step : kSteps) {
        if (key.child_rows.value_or(0) >= step.child_rows) {
            return has_deletes ? step.with_deletes : step.without;
        }
    }
    return "info";
}

std::string NameSql(const std::string& name) {
    const bool is_plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
    if (is_plain) {
        return name;  // begins with `idx_`: no reserved word
    }
    std::string quoted = "\"";
    for (const char c : name) {
        quoted += c;
        quoted += c == '"' ? "\"" : "";
    }
    return quoted + '"';
}

/// Names in use, by schema.
using TakenNames = std::set<std::pair<std::string, std::string>>;

std::string NewName(const ForeignKeyFacts& key, TakenNames* taken) {
    std::string plain = "idx_" + key.base_name;
    for (const std::string& column : key.columns) {
        plain += "_" + column;
    }
    std::string name = advisor::CutName(plain, kMaxNameBytes);
    for (int number = 2; !taken->emplace(key.schema_sql, name).second; ++number) {
        const std::string suffix = "_" + std::to_string(number);
        name = advisor::CutName(plain, kMaxNameBytes - suffix.size()) + suffix;
    }
    return name;
}

void WriteSql(Hosts host, const std::string& name, UnindexedKey* found) {
    const ForeignKeyFacts& key = *found->key;
    const bool is_postgres = host == Hosts::kPostgres;
    const std::string concurrently = is_postgres && !key.is_partitioned ? "CONCURRENTLY " : "";
    const std::string qualified = key.schema_sql + "." + NameSql(name);
    std::string columns;
    for (const std::string& column : key.columns_sql) {
        columns += (columns.empty() ? "" : ", ") + column;
    }
    // SQLite: the schema stands before the index's name and never before the table's.
    found->create_sql = "CREATE INDEX " + concurrently + "IF NOT EXISTS " +
                        (is_postgres ? NameSql(name) : qualified) + " ON " + key.table_sql + " (" +
                        columns + ")";
    if (key.is_nullable && key.columns.size() == 1) {
        found->create_sql += " WHERE " + columns + " IS NOT NULL";
    }
    found->undo_sql = "DROP INDEX " + concurrently + "IF EXISTS " + qualified;
}

int Rank(const std::string& severity) {
    static constexpr std::string_view kOrder[] = {"high", "medium", "low", "info"};
    return static_cast<int>(std::find(std::begin(kOrder), std::end(kOrder), severity) -
                            std::begin(kOrder));
}

}  // namespace

bool Serves(const IndexDescription& index, const ForeignKeyFacts& key) {
    const bool can_look_up = index.access_method == "btree" || index.access_method == "hash";
    if (index.table_id != key.table_id || !index.is_valid || !can_look_up ||
        index.keys.size() < key.columns.size() || !KeepsKeyRows(index.predicate, key)) {
        return false;
    }
    const std::set<std::string> wanted(key.columns_sql.begin(), key.columns_sql.end());
    std::set<std::string> leading;
    for (size_t i = 0; i < key.columns.size(); ++i) {
        leading.insert(index.keys[i].expression);
    }
    return leading == wanted;
}

std::vector<UnindexedKey> FindUnindexedKeys(const IndexInventory& inventory) {
    std::vector<UnindexedKey> found;
    for (const ForeignKeyFacts& key : inventory.foreign_keys) {
        const bool is_served =
            key.needs_no_index ||
            std::any_of(inventory.indexes.begin(), inventory.indexes.end(),
                        [&](const IndexDescription& index) { return Serves(index, key); });
        // Two constraints on the same columns need one index.
        const bool is_repeated =
            std::any_of(found.begin(), found.end(), [&](const UnindexedKey& other) {
                return other.key->table_id == key.table_id && other.key->columns == key.columns;
            });
        if (!is_served && !is_repeated) {
            found.push_back({&key, Severity(key), {}, {}});
        }
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& one, const auto& other) {
        const auto order = [](const UnindexedKey& each) {
            return std::make_tuple(Rank(each.severity), -each.key->child_rows.value_or(0),
                                   each.key->table_name, each.key->columns);
        };
        return order(one) < order(other);
    });
    TakenNames taken;
    for (const IndexDescription& index : inventory.indexes) {
        taken.emplace(index.schema_sql, index.name);
    }
    for (UnindexedKey& each : found) {
        WriteSql(inventory.host, NewName(*each.key, &taken), &each);
    }
    return found;
}

}  // namespace upkeep::health
