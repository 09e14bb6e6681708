// Estimated pages of GIN and BRIN indexes.
// C-like: may raise, so call it inside CallHost.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// As EstimatePages. GIN: from the entries that a sample of rows gave (index_sample.h), or from a
/// typical number of them where there is none.
IndexPages EstimateGin(const HypotheticalIndex& index, double rows);
IndexPages EstimateBrin(const HypotheticalIndex& index, Oid relid, double rows);

/// Entries that one row has in a GIN index, for its write cost. Of a BRIN index a row changes the
/// entry of its range only where it widens that.
double GinEntriesOfRow(const HypotheticalIndex& index);
inline constexpr double kBrinEntriesOfRow = 0.05;

/// Bytes of the index over the whole relation, all partitions, its predicate's share of the rows.
double TotalBytes(const HypotheticalIndex& index);

}  // namespace upkeep::pg
