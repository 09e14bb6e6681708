// SPDX-License-Identifier: PostgreSQL
#include "arguments.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "stmt.h"
#include "upkeep/base/text.h"
#include "upkeep/base/time.h"

namespace upkeep::sqlite {

namespace {

[[noreturn]] void Refuse(const Parameter& parameter, const char* what, const std::string& hint) {
    throw Error(Code::kInvalidArgument, SqlName(parameter) + " must be " + what, hint);
}

/// The text of a TEXT (or number) value, checked; valid as long as `value`.
std::string_view CheckedText(const Parameter& parameter, sqlite3_value* value) {
    const unsigned char* bytes = sqlite3_value_text(value);
    if (bytes == nullptr) {
        throw std::bad_alloc();  // not NULL, not a blob: only the conversion can have failed
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes),
                                static_cast<size_t>(sqlite3_value_bytes(value)));
    if (std::memchr(text.data(), 0, text.size()) != nullptr) {
        throw Error(Code::kInvalidArgument, SqlName(parameter) + " must not contain NUL characters",
                    "remove char(0) from the text");
    }
    if (!IsUtf8(text)) {
        throw Error(Code::kInvalidArgument, SqlName(parameter) + " is not valid UTF-8",
                    "convert the text to UTF-8 first");
    }
    return text;
}

/// A whole number within int64, from INTEGER or an integral REAL.
std::optional<int64_t> WholeNumber(sqlite3_value* value) {
    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        return sqlite3_value_int64(value);
    }
    if (sqlite3_value_type(value) == SQLITE_FLOAT) {
        const double number = sqlite3_value_double(value);
        constexpr double kLimit = 9223372036854775808.0;  // 2^63, exact as a double
        if (number == std::floor(number) && number >= -kLimit && number < kLimit) {
            return static_cast<int64_t>(number);
        }
    }
    return std::nullopt;
}

int64_t IntegerArgument(const Parameter& parameter, sqlite3_value* value) {
    const std::optional<int64_t> number = WholeNumber(value);
    if (!number) {
        Refuse(parameter, "an integer",
               parameter.type == Type::kInterval
                   ? "give milliseconds as a number, for example 30000"
                   : "give a whole number without quotes");
    }
    if (parameter.type == Type::kInt && (*number < std::numeric_limits<int32_t>::min() ||
                                         *number > std::numeric_limits<int32_t>::max())) {
        Refuse(parameter, "an integer of 32 bits", "give a smaller number");
    }
    return *number;
}

/// To the microsecond in the usual forms; the other forms that SQLite's date functions read, to the
/// millisecond.
Timestamp TimeArgument(const Parameter& parameter, std::string_view text) {
    if (const std::optional<Timestamp> time = ParseTime(text)) {
        return *time;
    }
    PrivateConnection scratch;
    Stmt stmt(scratch.get(),
              "SELECT CAST(strftime('%s', ?1) AS INTEGER) * 1000"
              " + CAST(substr(strftime('%f', ?1), 4, 3) AS INTEGER)");
    stmt.Bind(1, text).Step();
    if (stmt.IsNull(0)) {
        Refuse(parameter, "a time", "write it as 2024-01-31T08:30:00Z");
    }
    return Timestamp{stmt.Integer(0) * 1000};
}

struct ElementRule {
    const char* what;     // in the error
    const char* example;  // in the hint
    bool integer;
    bool real;
    bool text;
};

ElementRule RuleOf(Type type) {
    switch (type) {
        case Type::kTextArray:
            return {"text", R"(["a", "b"])", false, false, true};
        case Type::kFloat8Array:
            return {"a number", "[1, 2.5]", true, true, false};
        default:
            return {"an integer", "[1, 2]", true, false, false};
    }
}

/// One element from a row of json_each into `out`.
void AddElement(const Parameter& parameter, const ElementRule& rule, const Stmt& row, Value* out) {
    const std::string_view type = row.Text(1);
    const std::string name = SqlName(parameter);
    if (type == "null") {
        throw Error(Code::kInvalidArgument, name + " must not contain null elements",
                    "leave them out");
    }
    const bool fits = (rule.integer && type == "integer") || (rule.real && type == "real") ||
                      (rule.text && type == "text");
    if (!fits) {
        throw Error(Code::kInvalidArgument,
                    "element " + std::to_string(row.Integer(2) + 1) + " of " + name + " must be " +
                        rule.what,
                    std::string("write it as ") + rule.example);
    }
    if (auto* texts = std::get_if<TextArray>(out)) {
        const std::string_view text = row.Text(0);
        if (text.find('\0') != std::string_view::npos) {
            throw Error(Code::kInvalidArgument, name + " must not contain NUL characters",
                        "remove \\u0000 from the text");
        }
        if (!IsUtf8(text)) {  // a lone surrogate such as \ud800
            throw Error(Code::kInvalidArgument, name + " is not valid UTF-8",
                        "write both halves of a surrogate pair");
        }
        texts->emplace_back(text);
    } else if (auto* floats = std::get_if<Float8Array>(out)) {
        floats->push_back(row.Float(0));
    } else {
        std::get<BigintArray>(*out).push_back(row.Integer(0));
    }
}

bool LooksLikeArray(std::string_view text) {
    const size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && text[first] == '[';
}

Value ArrayArgument(const Parameter& parameter, sqlite3_value* value) {
    const ElementRule rule = RuleOf(parameter.type);
    const std::string hint = std::string("for example '") + rule.example + "'";
    const bool is_text_array = parameter.type == Type::kTextArray;
    if (sqlite3_value_type(value) != SQLITE_TEXT) {
        Refuse(parameter, is_text_array ? "text or a JSON array" : "a JSON array", hint);
    }
    const std::string_view json = CheckedText(parameter, value);
    if (is_text_array && !LooksLikeArray(json)) {
        return TextArray{std::string(json)};  // one text needs no brackets
    }
    PrivateConnection scratch;
    // An object's keys are text, so they are told from an array by the outer type.
    Result<Stmt> prepared = Stmt::Prepare(
        scratch.get(), "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) END = 'array'");
    if (!prepared.ok()) {
        throw Error(Code::kUnsupported, "this SQLite was built without JSON functions",
                    "use SQLite 3.38 or later with its JSON functions");
    }
    Stmt check = std::move(prepared).value();
    check.Bind(1, json).Step();
    if (check.Integer(0) == 0) {  // NULL: no JSON at all
        Refuse(parameter, "a JSON array", hint);
    }
    Value out = is_text_array                          ? Value(TextArray{})
                : parameter.type == Type::kFloat8Array ? Value(Float8Array{})
                                                       : Value(BigintArray{});
    Stmt each(scratch.get(), "SELECT value, type, key FROM json_each(?1)");
    each.Bind(1, json);
    while (each.Step()) {
        AddElement(parameter, rule, each, &out);
    }
    return out;
}

Bytes SketchArgument(const Parameter& parameter, sqlite3_value* value) {
    if (sqlite3_value_type(value) != SQLITE_BLOB) {
        Refuse(parameter, "a sketch",
               "give the blob that upkeep_percentile_sketch or upkeep_merge_sketches returned");
    }
    const auto size = static_cast<size_t>(sqlite3_value_bytes(value));
    const void* data = sqlite3_value_blob(value);
    return Bytes{size == 0 ? std::string() : std::string(static_cast<const char*>(data), size)};
}

std::string FloatArrayJson(const Float8Array& items) {
    std::string out = "[";
    for (const double item : items) {
        if (out.size() > 1) {
            out += ',';
        }
        char buffer[32];
        const auto end = std::to_chars(buffer, buffer + sizeof buffer, item).ptr;
        out += std::isfinite(item) ? std::string_view(buffer, end) : std::string_view("null");
    }
    return out + "]";
}

void TextResult(sqlite3_context* context, std::string_view text) {
    sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

struct Writer {
    sqlite3_context* context;
    void operator()(std::monostate) const { sqlite3_result_null(context); }
    void operator()(bool value) const { sqlite3_result_int(context, value ? 1 : 0); }
    void operator()(int64_t value) const { sqlite3_result_int64(context, value); }
    void operator()(double value) const { sqlite3_result_double(context, value); }
    void operator()(const std::string& value) const { TextResult(context, value); }
    void operator()(Timestamp value) const { TextResult(context, FormatTime(value)); }
    void operator()(const TextArray& value) const { TextResult(context, JsonArray(value)); }
    void operator()(const BigintArray& value) const { TextResult(context, JsonArray(value)); }
    void operator()(const Float8Array& value) const { TextResult(context, FloatArrayJson(value)); }
    void operator()(const Bytes& value) const {
        sqlite3_result_blob64(context, value.data.data(), value.data.size(), SQLITE_TRANSIENT);
    }
};

}  // namespace

std::string SqlName(const Parameter& parameter) {
    std::string name(parameter.name);
    return parameter.type == Type::kInterval ? name + "_ms" : name;
}

const char* DeclaredType(Type type) {
    switch (type) {
        case Type::kBool:
        case Type::kInt:
        case Type::kBigint:
        case Type::kInterval:
            return "INTEGER";
        case Type::kFloat8:
            return "REAL";
        case Type::kSketch:
            return "BLOB";
        default:
            return "TEXT";
    }
}

Value FromSql(const Parameter& parameter, sqlite3_value* value) {
    const int given = sqlite3_value_type(value);
    if (given == SQLITE_NULL) {
        return {};
    }
    if (parameter.type == Type::kSketch) {
        return SketchArgument(parameter, value);
    }
    if (given == SQLITE_BLOB) {
        throw Error(Code::kInvalidArgument, SqlName(parameter) + " must not be a blob",
                    "give text or a number");
    }
    switch (parameter.type) {
        case Type::kBool: {
            const std::optional<int64_t> number = WholeNumber(value);
            if (!number || (*number != 0 && *number != 1)) {
                Refuse(parameter, "0 or 1", "write true or false without quotes");
            }
            return *number == 1;
        }
        case Type::kInt:
        case Type::kBigint:
        case Type::kInterval:
            return IntegerArgument(parameter, value);
        case Type::kFloat8:
            if (given == SQLITE_TEXT) {
                Refuse(parameter, "a number", "write it without quotes");
            }
            return sqlite3_value_double(value);
        case Type::kTimestamp:
            return TimeArgument(parameter, CheckedText(parameter, value));
        case Type::kTextArray:
        case Type::kIntArray:
        case Type::kBigintArray:
        case Type::kFloat8Array:
            return ArrayArgument(parameter, value);
        case Type::kText:
        case Type::kJson:
        case Type::kRegclass:
        case Type::kSketch:
        case Type::kVoid:
            break;
    }
    return std::string(CheckedText(parameter, value));
}

void ToSql(sqlite3_context* context, const Value& value) {
    std::visit(Writer{context}, value);
}

bool Fits(Type type, const Value& value) {
    if (IsNull(value)) {
        return true;
    }
    switch (type) {
        case Type::kVoid:
            return false;
        case Type::kBool:
            return std::holds_alternative<bool>(value);
        case Type::kInt:
        case Type::kBigint:
        case Type::kInterval:
            return std::holds_alternative<int64_t>(value);
        case Type::kFloat8:
            return std::holds_alternative<double>(value);
        case Type::kText:
        case Type::kJson:
        case Type::kRegclass:
            return std::holds_alternative<std::string>(value);
        case Type::kTimestamp:
            return std::holds_alternative<Timestamp>(value);
        case Type::kTextArray:
            return std::holds_alternative<TextArray>(value);
        case Type::kIntArray:
        case Type::kBigintArray:
            return std::holds_alternative<BigintArray>(value);
        case Type::kFloat8Array:
            return std::holds_alternative<Float8Array>(value);
        case Type::kSketch:
            return std::holds_alternative<Bytes>(value);
    }
    return false;
}

}  // namespace upkeep::sqlite
