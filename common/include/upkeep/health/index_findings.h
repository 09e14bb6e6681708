// What is wrong with the indexes that exist, and which foreign keys have none.
//
//   IndexInventory (host) -> FindIndexFindings / FindUnindexedKeys -> rows, health checks
//
// Laws: an index that backs a constraint, is the replica identity or enforces uniqueness by itself
// is never proposed for dropping; what covers a dropped index is itself never dropped; "unused" is
// a candidate with the age of the counters, never a verdict.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "upkeep/base/table_function.h"
#include "upkeep/health/index_facts.h"

namespace upkeep::health {

struct IndexFinding {
    std::string code;  // duplicate, redundant_prefix, unused, invalid, never_analysed, …
    std::string severity;
    std::string table_name;
    std::string index_name;  // empty: the finding is about the table
    std::optional<int64_t> size_bytes;
    std::string evidence;
    std::string fix_sql, undo_sql;  // empty: none
    std::string covered_by;         // empty: not about coverage
};

struct UnindexedKey {
    const ForeignKeyFacts* key = nullptr;  // lives as long as the inventory
    std::string severity;
    std::string create_sql, undo_sql;
};

/// By code, then table, then index.
std::vector<IndexFinding> FindIndexFindings(const IndexInventory& inventory);

/// Both, ordered likewise. `more` comes from captured statements: it takes the place of the word
/// that nobody uses the index, and gives way to the word that it is redundant or broken.
std::vector<IndexFinding> JoinFindings(std::vector<IndexFinding> known,
                                       const std::vector<IndexFinding>& more);

/// Is it so much larger than freshly built that a rebuild is worth it?
bool IsBloated(const IndexDescription& index);

/// Worst first. An index serves a key if the key's columns lead it, in any order, and it holds all
/// rows whose columns are not NULL.
std::vector<UnindexedKey> FindUnindexedKeys(const IndexInventory& inventory);

/// Bodies of the views `index_findings` and `unindexed_foreign_keys`. `more`: see JoinFindings.
void IndexFindingRows(const IndexInventory& inventory, const std::vector<IndexFinding>& more,
                      RowSink& rows);
void UnindexedKeyRows(const IndexInventory& inventory, RowSink& rows);

}  // namespace upkeep::health
