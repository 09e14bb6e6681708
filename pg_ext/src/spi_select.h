// The one place where a query goes through SPI and its rows come back. Server side only: no object
// with a destructor here; called inside CallHost or InSubtransaction. What a cell is, the caller
// says: host_query.h reads texts, query.h typed values.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include "pg.h"

extern "C" {
#include "executor/spi.h"
}

namespace upkeep::pg {

struct SelectOptions {
    bool read_only = true;  // false: sees what this command has done so far
    int count = 0;          // of parameters $1, $2 …
    const Oid* types = nullptr;
    const Datum* values = nullptr;
};

/// Row after row, in the memory context that was current at the call.
template <typename Cell>
struct CellTable {
    Cell* cells;
    int rows;
    int columns;
};

inline void ConnectSpi() {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
}

/// `copy` makes a cell of one column (counted from 1), what it allocates is the caller's.
template <typename Cell>
CellTable<Cell> Select(const char* sql, const SelectOptions& options,
                       Cell (*copy)(HeapTuple, TupleDesc, int)) {
    const MemoryContext caller = CurrentMemoryContext;
    ConnectSpi();
    const int code =
        SPI_execute_with_args(sql, options.count, const_cast<Oid*>(options.types),
                              const_cast<Datum*>(options.values), nullptr, options.read_only, 0);
    if (code != SPI_OK_SELECT) {
        elog(ERROR, "a reading query failed: %s", SPI_result_code_string(code));
    }
    const TupleDesc shape = SPI_tuptable->tupdesc;
    CellTable<Cell> out = {nullptr, static_cast<int>(SPI_processed), shape->natts};
    const MemoryContext inner = MemoryContextSwitchTo(caller);
    const Size count = static_cast<Size>(out.rows) * static_cast<Size>(out.columns) + 1;
    out.cells = static_cast<Cell*>(MemoryContextAllocHuge(caller, count * sizeof(Cell)));
    for (int row = 0; row < out.rows; ++row) {
        CHECK_FOR_INTERRUPTS();
        for (int column = 0; column < out.columns; ++column) {
            out.cells[row * out.columns + column] =
                copy(SPI_tuptable->vals[row], shape, column + 1);
        }
    }
    MemoryContextSwitchTo(inner);
    SPI_finish();
    return out;
}

}  // namespace upkeep::pg
