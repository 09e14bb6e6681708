// The tables that the statements of one call touch: facts for the core, statistics for pricing.
// Each is read and sampled when it is first met, once a port object.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "catalog.h"
#include "price.h"
#include "replica.h"
#include "statistics.h"
#include "upkeep/advisor/what_if.h"

namespace upkeep::sqlite {

struct RelationState {
    advisor::Relation facts;
    std::string schema;
    std::string table;
    std::vector<CatalogColumn> columns;
    std::unique_ptr<Statistics> statistics;  // nullptr: virtual tables
    IndexShapes shapes;                      // of the existing indexes, by name
    bool is_without_rowid = false;
};

class Relations {
  public:
    /// `caller` and `replica` outlive it. Throws Error.
    Relations(sqlite3* caller, const Catalog& catalog, const Replica& replica);

    /// The relation, met now or before. Errors: throws Error, kInterrupted while sampling.
    advisor::RelationId Meet(const std::string& schema, const std::string& table);
    RelationState& at(advisor::RelationId id) { return states_.at(static_cast<size_t>(id)); }
    const RelationState& at(advisor::RelationId id) const {
        return states_.at(static_cast<size_t>(id));
    }
    bool Has(advisor::RelationId id) const {
        return id >= 0 && static_cast<size_t>(id) < states_.size();
    }

    /// Makes sure that the column's distinct count is known.
    void NeedDistinct(advisor::RelationId id, int column);

    const Catalog& catalog() const { return catalog_; }

  private:
    void Describe(const CatalogTable& table, RelationState* state);
    void DescribeIndexes(RelationState* state);
    double PageBytes(const std::string& schema);

    sqlite3* caller_;
    const Catalog& catalog_;
    const Replica& replica_;
    PrivateConnection store_;  // the samples
    std::deque<RelationState> states_;
    std::map<TableKey, advisor::RelationId> ids_;
};

/// `name`, in double quotes only where SQLite needs them.
std::string QuotedIfNeeded(std::string_view name);

/// Shape and spec of an index as PRAGMA index_xinfo and its text describe it.
IndexShape ShapeOf(const CatalogIndex& index, const std::vector<CatalogColumn>& columns);
advisor::IndexSpec SpecOf(const CatalogIndex& index, const std::vector<CatalogColumn>& columns,
                          advisor::RelationId relation);
/// The same of a proposed index, and what stands behind its name in CREATE INDEX.
IndexShape ShapeOfSpec(const advisor::IndexSpec& spec, const RelationState& relation);
std::string SpecSql(const advisor::IndexSpec& spec, const RelationState& relation);
/// A proposed index in the words of the inventory. Included columns are keys here; an expression is
/// taken to be equal to no other one.
health::IndexDescription DescribeSpec(const advisor::IndexSpec& spec,
                                      const RelationState& relation);

}  // namespace upkeep::sqlite
