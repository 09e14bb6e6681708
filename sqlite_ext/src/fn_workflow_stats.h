// The bodies of workflow statistics, by the file they are in; fn_workflow_stats.cpp lists them.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <memory>

#include "adapter.h"

namespace upkeep::sqlite {

// fn_sketch.cpp
std::unique_ptr<Aggregate> MakePercentileSketch();
std::unique_ptr<Aggregate> MakeMergeSketches();
Result<Value> SketchQuantileCall(sqlite3* db, const Arguments& arguments);
Result<Value> SketchCountCall(sqlite3* db, const Arguments& arguments);

// fn_executions.cpp
Result<void> RecentExecutionsCall(sqlite3* db, const Arguments& arguments, RowSink& rows);
Result<void> ExecutionDetailCall(sqlite3* db, const Arguments& arguments, RowSink& rows);
Result<void> StuckExecutionsCall(sqlite3* db, const Arguments& arguments, RowSink& rows);

}  // namespace upkeep::sqlite
