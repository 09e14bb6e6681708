// A sample of rows for what the statistics do not tell: the values of an expression, the entries
// that a GIN index would make of a document, a list or a text.
// Reads the table with the caller's rights and evaluates the index's own expressions, functions of
// the server only (never the application's), and the operator class's own extraction.
// C-like: may raise, so call it inside InSubtransaction.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "plain.h"

namespace upkeep::pg {

/// Does it call what the application brought along? Immutable or not, advice runs none of that.
bool CallsOthers(Node* node, void* context);

/// `FROM table AS sampled TABLESAMPLE …`: about `wanted` rows, whole pages, the same ones for a
/// table that has not changed; *part: the share of all rows.
const char* SampleOf(Oid relid, double wanted, double* part);

/// The share of the rows for which the predicate (Vars numbered 1) holds, counted in a sample; -1:
/// the statistics tell it, as it compares columns as they are, or it may not be evaluated.
double CountedShare(Oid relid, List* predicate);

/// Is there anything that only a sample can tell?
bool NeedsSample(const HypotheticalIndex& index);

/// Fills index->sample and index->key_samples, in the current memory context.
bool SampleIndex(HypotheticalIndex* index);

}  // namespace upkeep::pg
