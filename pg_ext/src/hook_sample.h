// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"
#include "recorder.h"

extern "C" {
#include "executor/execdesc.h"
}

namespace upkeep::pg {

/// Keeps the values of an execution that is about to end, for planning the statement as it runs.
/// Off the hot path. What cannot be told (too long, variables of a PL/pgSQL function) is not kept.
void TakeSample(QueryDesc* query, const capture::StatementKey& key);

}  // namespace upkeep::pg
