// LIMITs whose price is a hope. The planner takes the rows that pass a filter to be spread evenly
// along a walk, so that a LIMIT ends it early:
//
//   Limit 10
//     Index Scan along started_at, Filter: status = 'pending'     0.1 % pass: 10,000 rows read
//
// A queue has its pending rows at one end, and the walk goes there. A sample tells where they are.
// C-like: may raise, so call it inside CallHost or InSubtransaction.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// One walk that a LIMIT is hoped to end.
struct HopefulWalk {
    double hoped;    // cost of the part that the planner counts
    double startup;  // cost before the first row
    double whole;    // cost of the walk to its end
    double wanted;   // rows that must pass the filter
    Oid relid;
    const char* conditions;  // of the walk itself, in SQL over `sampled`; "": none
    const char* order;       // what it walks along; "": as the rows lie
    const char* filter;      // nullptr: it cannot be evaluated here (parameters, subqueries, the
                             // application's own functions)
};

/// Those of a plan that PlanWith made with `indexes`.
PlainArray<HopefulWalk> HopefulWalks(PlannedStmt* plan, HypotheticalIndex* const* indexes,
                                     int count);

/// The query that tells how far the walk goes, from a sample of the table's rows.
const char* SampleQuery(const HopefulWalk& walk);

/// What SampleQuery says: the share of the walk until enough rows have passed; 1: to its end, or
/// unknown; 0: as soon as evenly spread rows let expect.
double ShareOfWalk(const char* query);

/// What the walk may cost beyond what the planner counts, if it goes so far.
double RiskOf(const HopefulWalk& walk, double share);

}  // namespace upkeep::pg
