// Prints docs/reference.md (default) or the registered calls as tab separated rows (--tsv, in the
// form of tests/spec/calls.tsv) from the one list in common/: targets `make docs`, parity test.
// SPDX-License-Identifier: PostgreSQL
#include <cstdio>
#include <cstring>
#include <string>

#include "upkeep/base/table_function.h"
#include "upkeep/health/checks.h"
#include "upkeep/publish/metrics.h"

namespace {

using upkeep::CallKind;
using upkeep::Hosts;
using upkeep::TableFunction;
using upkeep::Type;

std::string PgType(Type type) {
    switch (type) {
        case Type::kVoid:
            return "void";
        case Type::kBool:
            return "boolean";
        case Type::kInt:
            return "integer";
        case Type::kBigint:
            return "bigint";
        case Type::kFloat8:
            return "double precision";
        case Type::kText:
            return "text";
        case Type::kJson:
            return "jsonb";
        case Type::kTimestamp:
            return "timestamp with time zone";
        case Type::kInterval:
            return "interval";
        case Type::kRegclass:
            return "regclass";
        case Type::kTextArray:
            return "text[]";
        case Type::kIntArray:
            return "integer[]";
        case Type::kBigintArray:
            return "bigint[]";
        case Type::kFloat8Array:
            return "double precision[]";
        case Type::kSketch:
            return "upkeep.sketch";
    }
    return "?";
}

std::string SqliteType(Type type) {
    switch (type) {
        case Type::kVoid:
            return "";
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

std::string SqliteName(const upkeep::Parameter& parameter) {
    return std::string(parameter.name) + (parameter.type == Type::kInterval ? "_ms" : "");
}

const char* HostWord(Hosts hosts) {
    return hosts == Hosts::kBoth ? "both" : hosts == Hosts::kPostgres ? "pg" : "sl";
}

const char* KindWord(CallKind kind) {
    switch (kind) {
        case CallKind::kScalar:
            return "scalar";
        case CallKind::kAggregate:
            return "aggregate";
        case CallKind::kView:
            return "view";
        case CallKind::kTable:
            return "table";
        case CallKind::kFunction:
            break;
    }
    return "function";
}

bool ReturnsOneValue(const TableFunction& call) {
    return call.kind == CallKind::kScalar || call.kind == CallKind::kAggregate;
}

void PrintTsvRow(const TableFunction& call, const char* role, size_t position,
                 std::string_view item, Type type, const char* default_value,
                 const char* sqlite_default) {
    std::printf("%s\t%s\t%s\t%s\t%zu\t%s\t%s\t%s\t%s\t%s\n", std::string(call.name).c_str(),
                KindWord(call.kind), HostWord(call.hosts), role, position,
                std::string(item).c_str(), PgType(type).c_str(), SqliteType(type).c_str(),
                default_value == nullptr ? "" : default_value,
                sqlite_default == nullptr ? "" : sqlite_default);
}

void PrintTsv() {
    std::puts("name\tkind\thosts\trole\tposition\titem\tpg_type\tsl_type\tdefault\tsl_default");
    for (const TableFunction* call : upkeep::AllCalls()) {
        size_t position = 0;
        for (const upkeep::Parameter& parameter : call->parameters) {
            PrintTsvRow(*call, "param", ++position, parameter.name, parameter.type,
                        parameter.default_value, parameter.sqlite_default);
        }
        position = 0;
        for (const upkeep::Column& column : call->columns) {
            PrintTsvRow(*call, "column", ++position, column.name, column.type, nullptr, nullptr);
        }
        if (ReturnsOneValue(*call)) {
            PrintTsvRow(*call, "result", 1, "", call->returns, nullptr, nullptr);
        }
    }
}

std::string Signature(const TableFunction& call, bool sqlite) {
    std::string out = (sqlite ? "upkeep_" : "upkeep.") + std::string(call.name);
    if (call.kind == CallKind::kView || call.kind == CallKind::kTable) {
        return out;
    }
    out += '(';
    const char* separator = "";
    for (const upkeep::Parameter& parameter : call.parameters) {
        out += separator + (sqlite ? SqliteName(parameter) : std::string(parameter.name));
        separator = ", ";
    }
    return out + ')';
}

void PrintCall(const TableFunction& call) {
    std::printf("\n## %s\n\n%s. Added in %s.\n\n", std::string(call.name).c_str(),
                std::string(call.doc).c_str(), std::string(call.since).c_str());
    if (call.hosts != Hosts::kSqlite) {
        std::printf("* PostgreSQL: `%s`\n", Signature(call, false).c_str());
    }
    if (call.hosts != Hosts::kPostgres) {
        std::printf("* SQLite: `%s`\n", Signature(call, true).c_str());
    }
    if (ReturnsOneValue(call)) {
        std::printf("* Result: %s%s\n", PgType(call.returns).c_str(),
                    call.kind == CallKind::kAggregate ? ", an aggregate" : "");
    }
    if (!call.parameters.empty()) {
        std::puts("\n| parameter | type | default | meaning |\n| --- | --- | --- | --- |");
    }
    for (const upkeep::Parameter& parameter : call.parameters) {
        std::string shown =
            parameter.default_value == nullptr ? "required" : parameter.default_value;
        if (parameter.sqlite_default != nullptr) {
            shown += std::string(" (SQLite: ") + parameter.sqlite_default + ")";
        }
        std::printf("| `%s` | %s | %s | %s |\n", std::string(parameter.name).c_str(),
                    PgType(parameter.type).c_str(), shown.c_str(),
                    std::string(parameter.doc).c_str());
    }
    if (!call.columns.empty()) {
        std::puts("\n| column | type | meaning |\n| --- | --- | --- |");
    }
    for (const upkeep::Column& column : call.columns) {
        std::printf("| `%s` | %s | %s |\n", std::string(column.name).c_str(),
                    PgType(column.type).c_str(), std::string(column.doc).c_str());
    }
}

void PrintChecks() {
    std::puts(
        "\n## Checks of check_health\n\n"
        "| section | code | host | what is looked at | rule |\n| --- | --- | --- | --- | --- |");
    for (const upkeep::health::Check& check : upkeep::health::AllChecks()) {
        const char* host = check.hosts == Hosts::kBoth       ? "both"
                           : check.hosts == Hosts::kPostgres ? "PostgreSQL"
                                                             : "SQLite";
        std::printf("| %s | `%s` | %s | %s | %s |\n", std::string(check.section).c_str(),
                    std::string(check.code).c_str(), host, std::string(check.title).c_str(),
                    upkeep::health::RuleText(check).c_str());
    }
}

void PrintFamilies() {
    std::puts(
        "\n## Families of metrics\n\n"
        "Names begin with the prefix. Those marked with a star only under the guide's own, "
        "`autopr_db`.\n\n| family | type | labels | meaning |\n| --- | --- | --- | --- |");
    for (const upkeep::publish::Family& family : upkeep::publish::AllFamilies()) {
        std::printf("| `%s`%s | %s | %s | %s |\n", std::string(family.name).c_str(),
                    family.is_guides ? " *" : "",
                    std::string(upkeep::publish::MetricTypeName(family.type)).c_str(),
                    std::string(family.labels).c_str(), std::string(family.help).c_str());
    }
}

void PrintReference() {
    std::puts(
        "# Reference\n\n"
        "Generated by `make docs` from the registered calls; do not edit. PostgreSQL: schema "
        "`upkeep`. SQLite: prefix `upkeep_`;\nviews and functions with columns are virtual tables "
        "whose hidden columns carry the parameter names, an interval `x` is\n`x_ms` (integer "
        "milliseconds), arrays and jsonb are JSON text, timestamps ISO-8601 UTC text, booleans "
        "0 and 1.");
    for (const TableFunction* call : upkeep::AllCalls()) {
        PrintCall(*call);
    }
    PrintChecks();
    PrintFamilies();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "--tsv") == 0) {
        PrintTsv();
    } else {
        PrintReference();
    }
    return 0;
}
