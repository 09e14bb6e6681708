// SPDX-License-Identifier: PostgreSQL
#include "query.h"

#include "adapter.h"
#include "guard.h"

#include "spi_select.h"

namespace upkeep::pg {

namespace {

constexpr size_t kMostTimes = 8;

/// Copies into the memory context that is current now.
Cell CopyCell(HeapTuple tuple, TupleDesc shape, int column) {
    Cell cell = {};
    bool is_null = false;
    const Datum value = SPI_getbinval(tuple, shape, column, &is_null);
    cell.is_null = is_null;
    if (is_null) {
        return cell;
    }
    switch (SPI_gettypeid(shape, column)) {
        case BOOLOID:
            cell.number = DatumGetBool(value) ? 1 : 0;
            break;
        case INT2OID:
            cell.number = DatumGetInt16(value);
            break;
        case INT4OID:
            cell.number = DatumGetInt32(value);
            break;
        case INT8OID:
            cell.number = DatumGetInt64(value);
            break;
        case FLOAT8OID:
            cell.real = DatumGetFloat8(value);
            break;
        case TIMESTAMPTZOID:
            cell.number = FromTimestampTz(DatumGetTimestampTz(value)).unix_us;
            break;
        case BYTEAOID: {
            struct varlena* bytes = PG_DETOAST_DATUM_COPY(value);
            cell.data = VARDATA(bytes);
            cell.size = VARSIZE(bytes) - VARHDRSZ;
            break;
        }
        default: {
            Oid output = InvalidOid;
            bool is_varlena = false;
            getTypeOutputInfo(SPI_gettypeid(shape, column), &output, &is_varlena);
            char* text = OidOutputFunctionCall(output, value);
            cell.data = text;
            cell.size = strlen(text);
        }
    }
    return cell;
}

CellTable<Cell> Run(const char* sql, const Datum* values, int count) {
    Oid types[kMostTimes];
    for (int i = 0; i < count; ++i) {
        types[i] = TIMESTAMPTZOID;
    }
    return Select(sql, {.count = count, .types = types, .values = values}, CopyCell);
}

}  // namespace

std::optional<std::string_view> Rows::TextOrNone(int row, int column) const {
    return IsNull(row, column) ? std::nullopt : std::optional(Text(row, column));
}

std::optional<Timestamp> Rows::TimeOrNone(int row, int column) const {
    return IsNull(row, column) ? std::nullopt : std::optional(Timestamp{Integer(row, column)});
}

Value Rows::TextValue(int row, int column) const {
    if (IsNull(row, column)) {
        return {};
    }
    return std::string(Text(row, column));
}

Value Rows::IntegerValue(int row, int column) const {
    if (IsNull(row, column)) {
        return {};
    }
    return Integer(row, column);
}

Value Rows::FloatValue(int row, int column) const {
    if (IsNull(row, column)) {
        return {};
    }
    return Float(row, column);
}

Value Rows::TimeValue(int row, int column) const {
    if (IsNull(row, column)) {
        return {};
    }
    return Timestamp{Integer(row, column)};
}

Rows ReadRows(const std::string& sql, const std::vector<Timestamp>& times) {
    if (times.size() > kMostTimes) {
        throw Error(Code::kInternal, "a query with more than eight parameters");
    }
    Datum values[kMostTimes];
    for (size_t i = 0; i < times.size(); ++i) {
        values[i] = TimestampTzGetDatum(ToTimestampTz(times[i]));
    }
    const char* text = sql.c_str();
    const Datum* data = values;
    const int count = static_cast<int>(times.size());
    const CellTable<Cell> rows = CallHost([=] { return Run(text, data, count); });
    return {rows.cells, rows.rows, rows.columns};
}

std::string Literal(const std::string& text) {
    const char* data = text.c_str();
    return CallHost([=] { return quote_literal_cstr(data); });
}

Timestamp StatementTime() {
    return FromTimestampTz(GetCurrentStatementStartTimestamp());
}

}  // namespace upkeep::pg
