// When one index answers whatever another one answers, so that the other may go: the one rule of
// index_findings (duplicate, redundant_prefix) and of advise_indexes (what a row makes redundant).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "upkeep/health/index_facts.h"

namespace upkeep::health {

/// May it be dropped if nothing is lost by it?
inline bool IsDroppable(const IndexDescription& index) {
    return !index.backs_constraint && !index.is_replica_identity && !index.is_partition_child &&
           !index.is_extension_member;
}

/// The same keys and columns, whatever the predicates.
bool CoversColumns(const IndexDescription& wide, const IndexDescription& narrow);

/// Does `wide` answer whatever `narrow` answers and enforce what it enforces?
bool Covers(const IndexDescription& wide, const IndexDescription& narrow);

/// Of two indexes that cover each other: is `one` the one to keep?
bool IsKept(const IndexDescription& one, const IndexDescription& other);

/// Is there a reason to drop `narrow` as long as `wide` stays?
bool Replaces(const IndexDescription& wide, const IndexDescription& narrow);

/// `(a, b DESC) WHERE c`.
std::string KeyList(const IndexDescription& index);

}  // namespace upkeep::health
