// The values of one execution, for planning the statement as it runs (upkeep/capture/samples.h).
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "sqlite_api.h"
#include "upkeep/capture/samples.h"
#include "upkeep/capture/statement_table.h"

namespace upkeep::sqlite {

/// Keeps the statement's text with the values that it ran with; to be called by its own thread as
/// the execution ends. Of an INSERT they tell a planner nothing and may be large: not kept.
void TakeSample(capture::Samples& samples, sqlite3* db, sqlite3_stmt* stmt,
                const capture::StatementKey& key, capture::Operation operation);

}  // namespace upkeep::sqlite
