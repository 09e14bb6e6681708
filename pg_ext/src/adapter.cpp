// SPDX-License-Identifier: PostgreSQL
#include "adapter.h"

#include <string>
#include <vector>

#include "own_call.h"

namespace upkeep::pg {

namespace {

// --- arguments ---------------------------------------------------------------------------------

/// One array argument taken apart, in palloc memory.
struct Elements {
    Datum* values;
    bool* nulls;
    int count;
    int dimensions;
};

Elements TakeApart(Datum datum, Oid element) {
    return CallHost([=] {
        Elements out = {};
        ArrayType* array = DatumGetArrayTypeP(datum);
        int16 length = 0;
        bool by_value = false;
        char align = 0;
        get_typlenbyvalalign(element, &length, &by_value, &align);
        out.dimensions = ARR_NDIM(array);
        deconstruct_array(array, element, length, by_value, align, &out.values, &out.nulls,
                          &out.count);
        return out;
    });
}

Elements ArrayElements(const Parameter& parameter, Datum datum, Oid element) {
    const Elements parts = TakeApart(datum, element);
    if (parts.dimensions > 1) {
        throw Error(Code::kInvalidArgument,
                    std::string(parameter.name) + " must be a one-dimensional array",
                    "write ARRAY['...', '...']");
    }
    for (int i = 0; i < parts.count; ++i) {
        if (parts.nulls[i]) {
            throw Error(Code::kInvalidArgument,
                        std::string(parameter.name) + " must not contain null elements",
                        "leave the element out, or give a value");
        }
    }
    return parts;
}

std::string TextOf(Datum datum) {
    struct View {
        const char* data;
        size_t size;
    };
    const View view = CallHost([=] {
        text* plain = DatumGetTextPP(datum);
        return View{VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain)};
    });
    return std::string(view.data, view.size);
}

std::string CStringOf(char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

int64_t Milliseconds(const Parameter& parameter, Datum datum) {
    const Interval* interval = DatumGetIntervalP(datum);
    const double days = interval->month * 30.0 + interval->day;
    const double ms = days * 86400000.0 + static_cast<double>(interval->time) / 1000.0;
    if (ms > 9e15 || ms < -9e15) {
        throw Error(Code::kInvalidArgument, std::string(parameter.name) + " is out of range",
                    "give an interval below 285,000 years");
    }
    return static_cast<int64_t>(ms);
}

Value ToValue(const Parameter& parameter, Datum datum) {
    switch (parameter.type) {
        case Type::kBool:
            return DatumGetBool(datum);
        case Type::kInt:
            return int64_t{DatumGetInt32(datum)};
        case Type::kBigint:
            return int64_t{DatumGetInt64(datum)};
        case Type::kFloat8:
            return DatumGetFloat8(datum);
        case Type::kText:
            return TextOf(datum);
        case Type::kInterval:
            return Milliseconds(parameter, datum);
        case Type::kTimestamp:
            return FromTimestampTz(DatumGetTimestampTz(datum));
        case Type::kSketch:
            return Bytes{TextOf(datum)};  // a varlena like text
        case Type::kRegclass:
            return CStringOf(
                CallHost([=] { return DatumGetCString(DirectFunctionCall1(regclassout, datum)); }));
        case Type::kJson:
            return CStringOf(
                CallHost([=] { return DatumGetCString(DirectFunctionCall1(jsonb_out, datum)); }));
        case Type::kTextArray: {
            const Elements parts = ArrayElements(parameter, datum, TEXTOID);
            TextArray out;
            for (int i = 0; i < parts.count; ++i) {
                out.push_back(TextOf(parts.values[i]));
            }
            return out;
        }
        case Type::kFloat8Array: {
            const Elements parts = ArrayElements(parameter, datum, FLOAT8OID);
            Float8Array out;
            for (int i = 0; i < parts.count; ++i) {
                out.push_back(DatumGetFloat8(parts.values[i]));
            }
            return out;
        }
        case Type::kBigintArray:
        case Type::kIntArray: {
            const bool is_int = parameter.type == Type::kIntArray;
            const Elements parts = ArrayElements(parameter, datum, is_int ? INT4OID : INT8OID);
            BigintArray out;
            for (int i = 0; i < parts.count; ++i) {
                out.push_back(is_int ? DatumGetInt32(parts.values[i])
                                     : DatumGetInt64(parts.values[i]));
            }
            return out;
        }
        case Type::kVoid:
            break;
    }
    throw Error(Code::kInternal, "parameter type without a conversion");
}

Arguments TakeArguments(FunctionCallInfo fcinfo, const TableFunction& call) {
    std::vector<Value> values;
    for (size_t i = 0; i < call.parameters.size(); ++i) {
        if (static_cast<int>(i) >= fcinfo->nargs) {
            throw Error(Code::kInternal,
                        "the SQL function has fewer arguments than its description",
                        "ALTER EXTENSION upkeep UPDATE");
        }
        values.push_back(
            fcinfo->args[i].isnull ? Value() : ToValue(call.parameters[i], fcinfo->args[i].value));
    }
    return Arguments(call, std::move(values));
}

// --- results -----------------------------------------------------------------------------------

template <typename Item, typename Make>
Datum ArrayDatum(const std::vector<Item>& items, Oid element, Make make) {
    const Item* data = items.data();
    const int count = static_cast<int>(items.size());
    return CallHost([=] {
        auto* datums = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
        for (int i = 0; i < count; ++i) {
            datums[i] = make(data[i]);
        }
        int16 length = 0;
        bool by_value = false;
        char align = 0;
        get_typlenbyvalalign(element, &length, &by_value, &align);
        return PointerGetDatum(construct_array(datums, count, element, length, by_value, align));
    });
}

[[noreturn]] void WrongType(const Column& column) {
    throw Error(Code::kInternal,
                "column " + std::string(column.name) + " got a value of another type");
}

Datum TextDatum(const std::string& value) {
    const char* data = value.data();
    const size_t size = value.size();
    return CallHost([=] { return PointerGetDatum(CopyTextDatum(data, size)); });
}

Datum JsonDatum(const std::string& value) {
    const char* data = value.c_str();
    return CallHost([=] { return DirectFunctionCall1(jsonb_in, CStringGetDatum(data)); });
}

Datum ToDatum(const Column& column, const Value& value) {
    const auto* integer = std::get_if<int64_t>(&value);
    const auto* string = std::get_if<std::string>(&value);
    switch (column.type) {
        case Type::kBool:
            if (const auto* flag = std::get_if<bool>(&value)) {
                return BoolGetDatum(*flag);
            }
            break;
        case Type::kInt:
            if (integer != nullptr) {
                return Int32GetDatum(static_cast<int32>(*integer));
            }
            break;
        case Type::kBigint:
            if (integer != nullptr) {
                return Int64GetDatum(*integer);
            }
            break;
        case Type::kFloat8:
            if (const auto* number = std::get_if<double>(&value)) {
                return Float8GetDatum(*number);
            }
            break;
        case Type::kTimestamp:
            if (const auto* at = std::get_if<Timestamp>(&value)) {
                return TimestampTzGetDatum(ToTimestampTz(*at));
            }
            break;
        case Type::kText:
        case Type::kRegclass:
            if (string != nullptr) {
                return TextDatum(*string);
            }
            break;
        case Type::kJson:
            if (string != nullptr) {
                return JsonDatum(*string);
            }
            break;
        case Type::kTextArray:
            if (const auto* items = std::get_if<TextArray>(&value)) {
                return ArrayDatum(*items, TEXTOID, [](const std::string& item) {
                    return PointerGetDatum(CopyTextDatum(item.data(), item.size()));
                });
            }
            break;
        case Type::kBigintArray:
            if (const auto* items = std::get_if<BigintArray>(&value)) {
                return ArrayDatum(*items, INT8OID,
                                  [](int64_t item) { return Int64GetDatum(item); });
            }
            break;
        case Type::kIntArray:
            if (const auto* items = std::get_if<BigintArray>(&value)) {
                return ArrayDatum(*items, INT4OID, [](int64_t item) {
                    return Int32GetDatum(static_cast<int32>(item));
                });
            }
            break;
        case Type::kFloat8Array:
            if (const auto* items = std::get_if<Float8Array>(&value)) {
                return ArrayDatum(*items, FLOAT8OID,
                                  [](double item) { return Float8GetDatum(item); });
            }
            break;
        case Type::kSketch:
            if (const auto* bytes = std::get_if<Bytes>(&value)) {
                return TextDatum(bytes->data);  // a varlena like text
            }
            break;
        case Type::kInterval:
        case Type::kVoid:
            break;
    }
    WrongType(column);
}

/// Writes rows into the tuplestore of a materialising set-returning function.
class TuplestoreSink : public RowSink {
  public:
    TuplestoreSink(FunctionCallInfo fcinfo, const TableFunction& call) : call_(call) {
        CallHostVoid([=] { InitMaterializedSRF(fcinfo, 0); });
        info_ = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
        row_context_ = CallHost([] {
            return AllocSetContextCreate(CurrentMemoryContext, "upkeep row",
                                         ALLOCSET_DEFAULT_SIZES);
        });
        if (static_cast<size_t>(info_->setDesc->natts) != call_.columns.size()) {
            throw Error(Code::kInternal, "the SQL function has other columns than its description",
                        "ALTER EXTENSION upkeep UPDATE");
        }
    }

    void Add(Row row) override {
        if (row.size() != call_.columns.size()) {
            throw Error(Code::kInternal, "a row of the wrong width");
        }
        const MemoryContext caller = MemoryContextSwitchTo(row_context_);
        std::vector<Datum> values(row.size());
        std::vector<char> nulls(row.size());  // bool as the server wants it: an array
        for (size_t i = 0; i < row.size(); ++i) {
            nulls[i] = IsNull(row[i]) ? 1 : 0;
            if (nulls[i] == 0) {
                values[i] = ToDatum(call_.columns[i], row[i]);
            }
        }
        Datum* value_data = values.data();
        bool* null_data = reinterpret_cast<bool*>(nulls.data());
        ReturnSetInfo* info = info_;
        CallHostVoid(
            [=] { tuplestore_putvalues(info->setResult, info->setDesc, value_data, null_data); });
        MemoryContextSwitchTo(caller);
        const MemoryContext row_context = row_context_;
        CallHostVoid([=] { MemoryContextReset(row_context); });
    }

  private:
    const TableFunction& call_;
    ReturnSetInfo* info_ = nullptr;
    MemoryContext row_context_ = nullptr;
};

const TableFunction& Describe(const char* name) {
    const TableFunction* call = FindCall(name);
    if (call == nullptr) {
        throw Error(Code::kInternal, std::string("no call is named ") + name);
    }
    return *call;
}

}  // namespace

Timestamp FromTimestampTz(TimestampTz time) {
    return TIMESTAMP_IS_NOBEGIN(time) ? kTimeBefore
           // The server's last thirty years do not fit when counted from 1970.
           : time > kTimeForever.unix_us - kPostgresEpochUs ? kTimeForever
                                                            : Timestamp{time + kPostgresEpochUs};
}

TimestampTz ToTimestampTz(Timestamp time) {
    return time == kTimeBefore    ? DT_NOBEGIN
           : time == kTimeForever ? DT_NOEND
                                  : time.unix_us - kPostgresEpochUs;
}

Value FromDatum(const Column& column, Datum datum) {
    return ToValue(Parameter{column.name, column.type, nullptr, ""}, datum);
}

text* CopyTextDatum(const char* data, size_t size) {
    return cstring_to_text_with_len(data, static_cast<int>(size));
}

Datum RunRows(FunctionCallInfo fcinfo, const char* name, RowsBody body) {
    const OwnCall own;
    const TableFunction& call = Describe(name);
    const Arguments arguments = TakeArguments(fcinfo, call);
    TuplestoreSink sink(fcinfo, call);
    body(arguments, sink);
    return Datum{0};
}

Datum RunScalar(FunctionCallInfo fcinfo, const char* name, ScalarBody body) {
    const OwnCall own;
    const TableFunction& call = Describe(name);
    const Value value = body(TakeArguments(fcinfo, call));
    if (IsNull(value) || call.returns == Type::kVoid) {
        fcinfo->isnull = call.returns != Type::kVoid;
        return Datum{0};
    }
    return ToDatum(Column{"result", call.returns, ""}, value);
}

}  // namespace upkeep::pg
