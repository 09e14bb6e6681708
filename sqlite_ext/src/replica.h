// The caller's schema without its rows, in a private in-memory connection, with the statistics the
// database has at this moment (or none where it has none): plans made here are the database's own.
// Facts this rests on, measured: an empty replica with equal sqlite_stat1 gives equal plans; every
// table needs a statistics row or none; plans are prepared afresh after every schema change.
// Not for: estimating statistics (statistics.h) or costs (price.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog.h"
#include "stmt.h"

namespace upkeep::sqlite {

/// Lower-case schema and table.
using TableKey = std::pair<std::string, std::string>;

inline TableKey KeyOf(std::string_view schema, std::string_view table) {
    return {Lower(schema), Lower(table)};
}

/// An index that does not exist outside the replica.
struct HypotheticalIndex {
    std::string schema;
    std::string table;
    std::string name;
    std::string create_sql;
    std::string stat;  // its row in sqlite_stat1; empty: none (never analysed, or no row in it)
};

class Replica {
  public:
    enum class Statistics : uint8_t {
        kAsTheyAre,  // the database's own
        kEmpty,      // analysed, and every row of statistics comes from AddStatistics
    };

    /// Reads `caller`; keeps no statement on it. Throws Error.
    Replica(sqlite3* caller, const Catalog& catalog,
            Statistics statistics = Statistics::kAsTheyAre);
    Replica(const Replica&) = delete;
    Replica& operator=(const Replica&) = delete;

    sqlite3* db() const { return copy_.get(); }

    /// Why a table, view or index of this name is not in the replica; nullptr if it is.
    const std::string* Missing(std::string_view name) const;

    /// Does the schema have a sqlite_stat1, so that its indexes are planned with statistics?
    bool HasStatistics(const std::string& schema) const;
    bool HasAnyStatistics() const { return !analysed_.empty(); }
    /// Rows of the table by the database's own statistics.
    std::optional<double> AnalysedRows(std::string_view schema, std::string_view table) const;

    /// A row for sqlite_stat1; no `index`: the table's own. In force after LoadStatistics.
    void AddStatistics(const std::string& schema, const std::string& table,
                       const std::string& index, const std::string& stat);
    void LoadStatistics(const std::string& schema);

    /// From now on exactly `wanted` exist on the tables named (all of `wanted` are on these), made
    /// in this order: of equally good indexes the planner takes the one made last. With
    /// `are_analysed` statistics know them, where the schema has any. Throws Error.
    void Show(const std::set<TableKey>& tables, const std::vector<const HypotheticalIndex*>& wanted,
              bool are_analysed = true);

  private:
    void CopyTables(sqlite3* caller, const Catalog& catalog);
    void CopyStatistics(sqlite3* caller, const std::string& schema);
    void TryCreate(const std::string& name, const std::string& sql, bool may_exist);
    void Create(const HypotheticalIndex& index, bool is_analysed);
    void Drop(const HypotheticalIndex& index);
    bool DropOthers(const std::vector<const HypotheticalIndex*>& target,
                    std::vector<const HypotheticalIndex*>* shown);

    PrivateConnection copy_;
    std::map<std::string, std::string> missing_;  // lower-case name -> reason
    std::set<std::string> analysed_;              // lower-case schemas with sqlite_stat1
    std::map<TableKey, double> rows_;
    std::map<TableKey, std::vector<const HypotheticalIndex*>> shown_;
};

}  // namespace upkeep::sqlite
