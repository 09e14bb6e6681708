// SPDX-License-Identifier: PostgreSQL
#include "host_query.h"

#include <cstdlib>

extern "C" {
#include "executor/spi.h"
#include "utils/syscache.h"
}

namespace upkeep::pg {

namespace {

/// Until the nest level of settings ends.
void Set(const char* setting, const char* value) {
    set_config_option(setting, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/// Touches the server only. `level`: of settings that have their former values again afterwards,
/// also on error, when the (sub)transaction that ends takes the nest level with it.
HostRows Run(const char* sql, int level) {
    MemoryContext caller = CurrentMemoryContext;
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT) {
        elog(ERROR, "a catalog query failed");
    }
    HostRows out;
    out.rows = static_cast<int>(SPI_processed);
    out.columns = SPI_tuptable->tupdesc->natts;
    out.cells = static_cast<char**>(MemoryContextAllocZero(
        caller, sizeof(char*) * (static_cast<size_t>(out.rows) * out.columns + 1)));
    for (int row = 0; row < out.rows; ++row) {
        CHECK_FOR_INTERRUPTS();
        for (int column = 0; column < out.columns; ++column) {
            const char* cell =
                SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);
            out.cells[row * out.columns + column] =
                cell == nullptr ? nullptr : MemoryContextStrdup(caller, cell);
        }
    }
    SPI_finish();
    AtEOXact_GUC(true, level);
    return out;
}

HostRows RunQuery(const char* sql) {
    const int level = NewGUCNestLevel();
    Set("search_path", "pg_catalog, pg_temp");
    return Run(sql, level);
}

}  // namespace

std::optional<int64_t> HostRows::Integer(int row, int column) const {
    if (IsNull(row, column)) {
        return std::nullopt;
    }
    return std::strtoll(At(row, column), nullptr, 10);
}

std::optional<double> HostRows::Number(int row, int column) const {
    if (IsNull(row, column)) {
        return std::nullopt;
    }
    return std::strtod(At(row, column), nullptr);
}

HostRows Query(const char* sql) {
    return CallHost([sql] { return RunQuery(sql); });
}

Result<HostRows> TryQuery(const char* sql) {
    return InSubtransaction([sql] { return RunQuery(sql); });
}

Result<HostRows> TryOwnCall(const char* sql) {
    return InSubtransaction([sql] {
        const int level = NewGUCNestLevel();
        Set("client_min_messages", "warning");
        Set("lock_timeout", "1s");
        return Run(sql, level);
    });
}

bool IsVisible(Oid relation) {
    return CallHost([relation] {  // a relation that was dropped meanwhile would be an error
        return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)) &&
               RelationIsVisible(relation);
    });
}

}  // namespace upkeep::pg
