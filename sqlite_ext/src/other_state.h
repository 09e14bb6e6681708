// The other state that a database may be in once new indexes exist. Prices that are shown speak of
// the state it is in, with statistics that know the new indexes if it has any:
//
//   it has no statistics   the other state is after ANALYZE, with statistics as the samples
//   foretell it has some            the other state is before ANALYZE, when they know nothing of
//   the new ones
//
// Measured: after ANALYZE the planner may answer a value of 90 % of the rows by a new index, or by
// a skip-scan, and take 2 to 20 times as long as before; before it, any new index looks good.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "catalog.h"
#include "price.h"
#include "relations.h"
#include "replica.h"

namespace upkeep::sqlite {

class OtherState {
  public:
    /// Throws Error.
    OtherState(sqlite3* caller, const Catalog& catalog, bool is_analysed);

    Replica& replica() { return replica_; }
    /// Do the statistics know the new indexes there?
    bool knows_new() const { return is_estimated_; }

    /// Makes sure that it has the statistics of these relations. Throws Error.
    void Meet(const std::vector<advisor::RelationId>& ids, Relations* relations);

  private:
    const Catalog& catalog_;
    bool is_estimated_;
    Replica replica_;
    std::set<advisor::RelationId> met_;
};

struct Planners {
    std::unique_ptr<Replica> now = nullptr;  // in the state in which the database is
    std::unique_ptr<OtherState> other = nullptr;
};

/// Replicas to plan in. A statement is planned with sets that differ little: in a replica of its
/// own few indexes come and go between two plans. Statements share where there are many, or where
/// a replica is large.
class PlannerPool {
  public:
    /// Everything outlives it.
    PlannerPool(sqlite3* caller, const Catalog& catalog, bool is_analysed);
    /// Made when first asked for. Throws Error.
    Planners& Of(size_t statement);

  private:
    sqlite3* caller_;
    const Catalog& catalog_;
    bool is_analysed_;
    std::vector<Planners> planners_;
};

/// Could a plan of the statement skip over the values of a key that it does not compare, to come to
/// one that it does?
bool MaySkip(const PricedStatement& statement, const HypotheticalIndex& index,
             const IndexShape& shape);

/// By how much `cost` is too much for a statement that costs `before` without new indexes; 0: it is
/// not.
double HarmOf(double cost, double before);

}  // namespace upkeep::sqlite
