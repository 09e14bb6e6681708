// SPDX-License-Identifier: PostgreSQL
#include "spi_text.h"

#include "guard.h"
#include "pg.h"

extern "C" {
#include "executor/spi.h"
}

namespace upkeep::pg {

namespace {

struct PlainTable {
    char** cells;  // row after row; nullptr: NULL
    uint64 rows;
    int columns;
};

void Connect() {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
}

PlainTable Query(const char* sql, const char* const* arguments, int count) {
    MemoryContext caller = CurrentMemoryContext;
    auto* types = static_cast<Oid*>(palloc(sizeof(Oid) * (count + 1)));
    auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
    for (int i = 0; i < count; ++i) {
        types[i] = TEXTOID;
        values[i] = CStringGetTextDatum(arguments[i]);
    }
    Connect();
    // Not read-only: such a query would not see what the command has created so far.
    const int code = SPI_execute_with_args(sql, count, types, values, nullptr, false, 0);
    if (code != SPI_OK_SELECT) {
        elog(ERROR, "a catalog query failed: %s", SPI_result_code_string(code));
    }
    MemoryContext inner = MemoryContextSwitchTo(caller);
    PlainTable out = {nullptr, SPI_processed, SPI_tuptable->tupdesc->natts};
    out.cells = static_cast<char**>(palloc0(sizeof(char*) * (out.rows * out.columns + 1)));
    for (uint64 row = 0; row < out.rows; ++row) {
        for (int column = 0; column < out.columns; ++column) {
            out.cells[row * out.columns + column] =
                SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);
        }
    }
    MemoryContextSwitchTo(inner);
    SPI_finish();
    return out;
}

}  // namespace

std::vector<TextRow> QueryTexts(const char* sql, const std::vector<std::string>& arguments) {
    std::vector<const char*> texts;
    for (const std::string& argument : arguments) {
        texts.push_back(argument.c_str());
    }
    const char* const* data = texts.data();
    const int count = static_cast<int>(texts.size());
    const PlainTable table = CallHost([=] { return Query(sql, data, count); });
    std::vector<TextRow> rows(table.rows);
    for (uint64 i = 0; i < table.rows * table.columns; ++i) {
        rows[i / table.columns].emplace_back(table.cells[i] == nullptr ? "" : table.cells[i]);
    }
    return rows;
}

void RunSql(const std::string& sql) {
    const char* text = sql.c_str();
    CallHostVoid([=] {
        Connect();
        const int code = SPI_execute(text, false, 0);
        if (code < 0) {
            elog(ERROR, "a statement failed: %s", SPI_result_code_string(code));
        }
        SPI_finish();
    });
}

}  // namespace upkeep::pg
