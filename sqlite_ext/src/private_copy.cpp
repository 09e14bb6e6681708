// SPDX-License-Identifier: PostgreSQL
#include "private_copy.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>

namespace upkeep::sqlite {

namespace {

// Columns of PRAGMA function_list. Source: https://www.sqlite.org/pragma.html
enum FunctionList { kName = 0, kType = 2, kArguments = 4, kFlags = 5 };

// Known by name only: planning does not call them, and samples must not take NULL for their result.
void Refuse(sqlite3_context* context) {
    sqlite3_result_error(context, "function of another connection", -1);
}
void StandInFunction(sqlite3_context* context, int, sqlite3_value**) {
    Refuse(context);
}
void StandInFinal(sqlite3_context* context) {
    Refuse(context);
}

int StandInCollation(void*, int left_bytes, const void* left, int right_bytes, const void* right) {
    const int order = memcmp(left, right, static_cast<size_t>(std::min(left_bytes, right_bytes)));
    return order != 0 ? order : left_bytes - right_bytes;
}

using FunctionKey = std::tuple<std::string, std::string, int64_t>;

std::set<FunctionKey> FunctionsOf(sqlite3* db) {
    std::set<FunctionKey> functions;
    Stmt rows(db, "PRAGMA function_list");
    while (rows.Step()) {
        functions.emplace(rows.Text(kName), rows.Text(kType), rows.Integer(kArguments));
    }
    return functions;
}

void AddFunction(sqlite3* copy, const std::string& name, const std::string& type, int arguments,
                 int flags) {
    const int text = SQLITE_UTF8 | (flags & SQLITE_DETERMINISTIC) | (flags & SQLITE_INNOCUOUS);
    int code = SQLITE_OK;
    if (type == "w") {
        code = sqlite3_create_window_function(copy, name.c_str(), arguments, text, nullptr,
                                              StandInFunction, StandInFinal, StandInFinal,
                                              StandInFunction, nullptr);
    } else if (type == "a") {
        code = sqlite3_create_function(copy, name.c_str(), arguments, text, nullptr, nullptr,
                                       StandInFunction, StandInFinal);
    } else {
        code = sqlite3_create_function(copy, name.c_str(), arguments, text, nullptr,
                                       StandInFunction, nullptr, nullptr);
    }
    if (code != SQLITE_OK) {
        throw HostError(copy, code);
    }
}

void AddStandIns(sqlite3* caller, sqlite3* copy) {
    const std::set<FunctionKey> known = FunctionsOf(copy);
    Stmt functions(caller, "PRAGMA function_list");
    while (functions.Step()) {
        const std::string name(functions.Text(kName));
        const std::string type(functions.Text(kType));
        const int64_t arguments = functions.Integer(kArguments);
        // A function of several types (`w` listed also as `a`) is known by any of them.
        if (known.count({name, type, arguments}) == 0) {
            AddFunction(copy, name, type, static_cast<int>(arguments),
                        static_cast<int>(functions.Integer(kFlags)));
        }
    }
    std::set<std::string> collations;
    Stmt own(copy, "PRAGMA collation_list");
    while (own.Step()) {
        collations.insert(Lower(own.Text(1)));
    }
    Stmt rows(caller, "PRAGMA collation_list");
    while (rows.Step()) {
        const std::string name(rows.Text(1));
        if (collations.count(Lower(name)) == 0) {
            sqlite3_create_collation(copy, name.c_str(), SQLITE_UTF8, nullptr, StandInCollation);
        }
    }
}

/// Collations that not even the caller has registered: his statements fail, other ones must not.
void AddMissingCollation(void*, sqlite3* copy, int, const char* name) {
    sqlite3_create_collation(copy, name, SQLITE_UTF8, nullptr, StandInCollation);
}

}  // namespace

void CopySettings(sqlite3* caller, PrivateConnection& copy) {
    for (const int option : {SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL,
                             SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_ENABLE_TRIGGER}) {
        int value = 0;
        if (sqlite3_db_config(caller, option, -1, &value) == SQLITE_OK) {
            sqlite3_db_config(copy.get(), option, value, nullptr);
        }
    }
    for (const char* pragma :
         {"automatic_index", "reverse_unordered_selects", "recursive_triggers", "foreign_keys"}) {
        Stmt value(caller, std::string("PRAGMA ") + pragma);
        if (value.Step()) {
            copy.Execute(std::string("PRAGMA ") + pragma + "=" + std::string(value.Text(0)));
        }
    }
    Stmt like(caller, "SELECT 'a' LIKE 'A'");
    if (like.Step() && like.Integer(0) == 0) {
        copy.Execute("PRAGMA case_sensitive_like=1");
    }
}

PrivateConnection OpenPrivateCopy(sqlite3* caller, const Catalog& catalog) {
    PrivateConnection copy;
    sqlite3_limit(copy.get(), SQLITE_LIMIT_ATTACHED,
                  sqlite3_limit(caller, SQLITE_LIMIT_ATTACHED, -1));
    for (const std::string& schema : catalog.schemas()) {
        if (schema != "main" && schema != "temp") {
            copy.Execute("ATTACH ':memory:' AS " + Quoted(schema));
        }
    }
    AddStandIns(caller, copy.get());
    sqlite3_collation_needed(copy.get(), nullptr, AddMissingCollation);
    CopySettings(caller, copy);
    return copy;
}

std::string WithSchema(const std::string& sql, const std::string& schema) {
    if (schema == "main") {
        return sql;
    }
    // Stored texts begin in one canonical way. Source: sqlite_schema in sqlite.org/schematab.html
    for (const char* head : {"CREATE TABLE ", "CREATE VIRTUAL TABLE ", "CREATE VIEW ",
                             "CREATE INDEX ", "CREATE UNIQUE INDEX ", "CREATE TRIGGER "}) {
        const size_t length = strlen(head);
        if (sql.compare(0, length, head) == 0) {
            return head + Quoted(schema) + "." + sql.substr(length);
        }
    }
    return sql;
}

}  // namespace upkeep::sqlite
