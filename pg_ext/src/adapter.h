// The generic adapter: turns the core's description of a call into a PostgreSQL function.
// Arguments are converted by their described types, rows go into a tuplestore in one call, so no
// C++ state waits between calls.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "guard.h"
#include "pg.h"
#include "upkeep/base/table_function.h"

namespace upkeep::pg {

using RowsBody = void (*)(const Arguments&, RowSink&);
using ScalarBody = Value (*)(const Arguments&);

Datum RunRows(FunctionCallInfo fcinfo, const char* name, RowsBody body);
Datum RunScalar(FunctionCallInfo fcinfo, const char* name, ScalarBody body);

/// Between the server's times (infinities included) and ours.
Timestamp FromTimestampTz(TimestampTz time);
TimestampTz ToTimestampTz(Timestamp time);

/// A datum of the column's type, not NULL, as the core takes it.
Value FromDatum(const Column& column, Datum datum);

/// `text` in the memory context that is current now; may raise, so only inside CallHost.
text* CopyTextDatum(const char* data, size_t size);

}  // namespace upkeep::pg

// UPKEEP_ROWS(what_if) { … arguments, rows … } defines the C symbol upkeep_what_if.
#define UPKEEP_ROWS(name)                                                               \
    static void Rows_##name(const upkeep::Arguments& arguments, upkeep::RowSink& rows); \
    extern "C" {                                                                        \
    PG_FUNCTION_INFO_V1(upkeep_##name);                                                 \
    PGDLLEXPORT Datum upkeep_##name(PG_FUNCTION_ARGS) {                                 \
        return upkeep::pg::Enter(fcinfo, [](FunctionCallInfo info) {                    \
            return upkeep::pg::RunRows(info, #name, Rows_##name);                       \
        });                                                                             \
    }                                                                                   \
    }                                                                                   \
    static void Rows_##name([[maybe_unused]] const upkeep::Arguments& arguments,        \
                            [[maybe_unused]] upkeep::RowSink& rows)

// UPKEEP_SCALAR(version) { return Value; }
#define UPKEEP_SCALAR(name)                                                 \
    static upkeep::Value Scalar_##name(const upkeep::Arguments& arguments); \
    extern "C" {                                                            \
    PG_FUNCTION_INFO_V1(upkeep_##name);                                     \
    PGDLLEXPORT Datum upkeep_##name(PG_FUNCTION_ARGS) {                     \
        return upkeep::pg::Enter(fcinfo, [](FunctionCallInfo info) {        \
            return upkeep::pg::RunScalar(info, #name, Scalar_##name);       \
        });                                                                 \
    }                                                                       \
    }                                                                       \
    static upkeep::Value Scalar_##name([[maybe_unused]] const upkeep::Arguments& arguments)
