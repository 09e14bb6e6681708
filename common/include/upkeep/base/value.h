// Values that cross between the core and SQL, and the types they have there.
// SPDX-License-Identifier: PostgreSQL
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace upkeep {

/// SQL types of parameters and columns. In SQLite (no such types): kBool and integers INTEGER,
/// kFloat8 REAL, kInterval INTEGER milliseconds under the name `<parameter>_ms`, arrays and kJson
/// JSON text, kTimestamp ISO-8601 UTC text, kRegclass text.
enum class Type : uint8_t {
    kVoid,
    kBool,
    kInt,
    kBigint,
    kFloat8,
    kText,
    kJson,
    kTimestamp,
    kInterval,
    kRegclass,
    kTextArray,
    kIntArray,
    kBigintArray,
    kFloat8Array,
    kSketch,  // PostgreSQL: upkeep.sketch; SQLite: BLOB
};

/// A point in time: microseconds since 1970-01-01 UTC; or never (kTimeBefore, kTimeForever below).
struct Timestamp {
    int64_t unix_us = 0;
    friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

/// `-infinity` and `infinity`, which PostgreSQL knows: compared like numbers, never calculated
/// with.
inline constexpr Timestamp kTimeBefore{std::numeric_limits<int64_t>::min()};
inline constexpr Timestamp kTimeForever{std::numeric_limits<int64_t>::max()};

/// Bytes that are no text: kSketch.
struct Bytes {
    std::string data;
    friend bool operator==(const Bytes&, const Bytes&) = default;
};

using TextArray = std::vector<std::string>;
using BigintArray = std::vector<int64_t>;
using Float8Array = std::vector<double>;

/// std::monostate is SQL NULL. kInt, kBigint and kInterval (milliseconds) travel as int64_t; kText,
/// kJson (its text) and kRegclass (the name as the caller wrote it, resolved by the host) as
/// string; kIntArray as BigintArray. Array elements are never NULL: adapters refuse such arguments.
using Value = std::variant<std::monostate, bool, int64_t, double, std::string, Timestamp, TextArray,
                           BigintArray, Float8Array, Bytes>;

using Row = std::vector<Value>;

inline bool IsNull(const Value& value) {
    return std::holds_alternative<std::monostate>(value);
}

}  // namespace upkeep
