// What the rules about existing indexes share: one rule looks at one index of the inventory.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "index_cover.h"
#include "upkeep/health/index_findings.h"

namespace upkeep::health {

// Counters younger than this say nothing about weekly jobs: no DROP is offered.
inline constexpr double kUnusedMinAgeS = 7 * 86400.0;

/// The inventory, ordered for the rules. Lives no longer than it.
class RuleContext {
  public:
    explicit RuleContext(const IndexInventory& inventory);

    const IndexInventory& inventory() const { return inventory_; }
    const std::vector<const IndexDescription*>& IndexesOf(int64_t table_id) const;
    /// Is it the index that deletes in a parent table search the children by?
    bool IsNeededByKey(const IndexDescription& index) const { return needed_.count(&index) != 0; }

  private:
    void KeepBestFor(const ForeignKeyFacts& key);

    const IndexInventory& inventory_;
    std::map<int64_t, std::vector<const IndexDescription*>> indexes_;
    std::vector<const IndexDescription*> none_;  // of a table without indexes
    std::set<const IndexDescription*> needed_;
};

/// Do the key's columns lead the index, and are all rows with a value in it?
bool Serves(const IndexDescription& index, const ForeignKeyFacts& key);

std::string SeverityBySize(std::optional<int64_t> bytes);
/// `5 scans in 30 days of counting`.
std::string ScansText(const IndexInventory& inventory, const IndexDescription& index);
/// About this index, with its DROP and CREATE.
IndexFinding Finding(const IndexDescription& index, std::string code, std::string severity);
/// No DROP on the word of young counters; the evidence says so.
void WithholdIfYoung(const IndexInventory& inventory, IndexFinding* finding);

using Rule = void (*)(const RuleContext&, const IndexDescription&, std::vector<IndexFinding>*);
void AddCostly(const RuleContext&, const IndexDescription&, std::vector<IndexFinding>*);
void AddSmallTable(const RuleContext&, const IndexDescription&, std::vector<IndexFinding>*);
void AddLowCardinality(const RuleContext&, const IndexDescription&, std::vector<IndexFinding>*);
void AddBloated(const RuleContext&, const IndexDescription&, std::vector<IndexFinding>*);

}  // namespace upkeep::health
