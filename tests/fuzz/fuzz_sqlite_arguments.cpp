// Arguments of calls as SQLite values: any text, number or blob for every type of parameter becomes
// a value of that type or an error with a hint.
// SPDX-License-Identifier: PostgreSQL
#include <sqlite3ext.h>

#include "../../sqlite_ext/src/arguments.h"
#include "fuzz.h"

SQLITE_EXTENSION_INIT3

using upkeep::fuzz::Check;

extern "C" int sqlite3_upkeep_init(sqlite3* db, char** message, const sqlite3_api_routines* api);

namespace upkeep::fuzz {
sqlite3* OpenWithModule();  // sqlite_library.cpp: this file sees SQLite through the module's eyes
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using upkeep::Type;
    static sqlite3* const db = upkeep::fuzz::OpenWithModule();
    static constexpr Type kTypes[] = {Type::kBool,        Type::kInt,         Type::kBigint,
                                      Type::kFloat8,      Type::kText,        Type::kTimestamp,
                                      Type::kInterval,    Type::kTextArray,   Type::kIntArray,
                                      Type::kBigintArray, Type::kFloat8Array, Type::kSketch};
    std::string_view input = upkeep::fuzz::Text(data, size);
    const uint8_t which = upkeep::fuzz::TakeByte(&input);
    const upkeep::Parameter parameter = {"given", kTypes[which % std::size(kTypes)], nullptr, ""};
    static sqlite3_stmt* const stmt = [] {
        sqlite3_stmt* made = nullptr;
        sqlite3_prepare_v2(db, "SELECT ?1, CAST(?1 AS REAL), CAST(?1 AS INTEGER)", -1, &made,
                           nullptr);
        return made;
    }();
    sqlite3_reset(stmt);
    if (which >= 0xc0) {
        sqlite3_bind_blob64(stmt, 1, input.data(), input.size(), SQLITE_TRANSIENT);
    } else {
        sqlite3_bind_text64(stmt, 1, input.data(), input.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    Check(sqlite3_step(stmt) == SQLITE_ROW, "one row");
    sqlite3_value* value = sqlite3_value_dup(sqlite3_column_value(stmt, (which >> 4) % 3));
    try {
        const upkeep::Value read = upkeep::sqlite::FromSql(parameter, value);
        Check(upkeep::sqlite::Fits(parameter.type, read), "a value of the parameter's type");
    } catch (const upkeep::Error& error) {
        Check(error.code() == upkeep::Code::kInvalidArgument && !error.hint().empty(),
              "bad input is told with a hint");
    }
    sqlite3_value_free(value);
    return 0;
}
