// The C++ half of write costs: what is known of each statement and index, asked once.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "upkeep/advisor/what_if.h"
#include "write_cost.h"

namespace upkeep::pg {

class WritePricer {
  public:
    bool Knows(advisor::StatementId statement) const { return shapes_.count(statement) > 0; }

    /// Cost where it was asked before, for this statement or one that writes the same.
    std::optional<double> KnownCost(advisor::IndexId id, advisor::StatementId statement) const;

    /// From the plans of a statement, one a query; to be called before Cost. Throws HostError.
    void Note(advisor::StatementId statement, const std::vector<PlannedStmt*>& plans);

    /// Rows of a table that one execution deletes (`deletes`), and those in which it changes one of
    /// `key`'s attributes.
    double KeysGone(advisor::StatementId statement, Oid relid, bool deletes,
                    const std::set<int>* key) const;

    /// What one execution of the statement costs the index, in planner units. `rows`: of its table.
    ///   INSERT  an entry a row
    ///   UPDATE  entries where the index reads a changed column, or where another index does (then
    ///           no update is HOT, and all indexes get entries). Where this index alone does, the
    ///           entries in all others are its doing, too
    ///   DELETE  nothing at once; its dead entries wait for vacuum, as those of updates do
    /// Throws HostError.
    double Cost(advisor::IndexId id, const HypotheticalIndex* index, double rows,
                advisor::StatementId statement);

  private:
    struct Write {
        Oid relid = InvalidOid;
        double inserted = 0;
        double updated = 0;
        double deleted = 0;
        std::set<int> changed;
        auto operator<=>(const Write&) const = default;
    };
    using Shape = std::vector<Write>;  // of a statement: thousands may have the same
    struct Index {
        EntryFacts facts = {};
        std::set<int> attributes;
    };
    struct Table {
        std::vector<EntryFacts> indexes;
        std::set<int> attributes;
    };

    const Index& IndexOf(advisor::IndexId id, const HypotheticalIndex* index, double rows);
    const Table& TableOf(Oid relid, double rows);
    double UpdateCost(const Write& write, const Index& index, double rows);

    std::map<advisor::StatementId, int> shapes_;  // statement -> number of its shape
    std::map<Shape, int> numbers_;
    std::vector<Shape> by_number_;
    std::map<std::pair<advisor::IndexId, int>, double> costs_;
    std::map<advisor::IndexId, Index> indexes_;
    std::map<Oid, Table> tables_;
};

}  // namespace upkeep::pg
