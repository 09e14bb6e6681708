// SPDX-License-Identifier: PostgreSQL
#include "schema_text.h"

#include <algorithm>
#include <span>

namespace upkeep::workflow {

namespace {

// A version 4 UUID: random() & 3 picks the variant, substr makes room for the version.
constexpr std::string_view kSqliteUuid =
    "lower(hex(randomblob(4))) || '-' || lower(hex(randomblob(2))) || '-4' || "
    "substr(lower(hex(randomblob(2))), 2) || '-' || substr('89ab', 1 + (random() & 3), 1) || "
    "substr(lower(hex(randomblob(2))), 2) || '-' || lower(hex(randomblob(6)))";
constexpr std::string_view kSqliteNow = "strftime('%Y-%m-%d %H:%M:%f','now')";

bool IsPostgres(SchemaHost host) {
    return host == SchemaHost::kPostgres;
}

/// PostgreSQL has a type of this name and prints the column with quotes.
std::string ColumnName(SchemaHost host, std::string_view name) {
    return IsPostgres(host) && name == "timestamp" ? "\"timestamp\"" : std::string(name);
}

std::string ColumnList(SchemaHost host, std::string_view columns) {
    std::string out;
    for (size_t at = 0; at < columns.size();) {
        const size_t comma = std::min(columns.find(", ", at), columns.size());
        out += (out.empty() ? "" : ", ") + ColumnName(host, columns.substr(at, comma - at));
        at = comma + 2;
    }
    return out;
}

/// `status IN ('a', 'b')`
std::string OneOfText(SchemaHost host, std::string_view column,
                      std::span<const std::string_view> values, bool as_stored) {
    std::string list;
    for (const std::string_view value : values) {
        list += (list.empty() ? "'" : ", '") + std::string(value) + "'";
    }
    const bool is_array = IsPostgres(host) && as_stored;
    return ColumnName(host, column) +
           (is_array ? " = ANY (ARRAY[" + list + "])" : " IN (" + list + ")");
}

std::string RuleText(SchemaHost host, const SchemaRule& rule, bool as_stored) {
    const std::string columns = ColumnList(host, rule.columns);
    switch (rule.kind) {
        case RuleKind::kUnique:
            return "UNIQUE (" + columns + ")";
        case RuleKind::kReference:
            return "FOREIGN KEY (" + columns + ") REFERENCES " + std::string(rule.target) + "(id)" +
                   (rule.cascades ? " ON DELETE CASCADE" : "");
        case RuleKind::kOneOf:
            return "CHECK (" + OneOfText(host, rule.columns, rule.values, as_stored) + ")";
        case RuleKind::kNotNegative:
            return "CHECK (" + columns + " >= 0)";
        case RuleKind::kNotBefore: {
            const std::string target = ColumnName(host, rule.target);
            const bool plain = IsPostgres(host);  // SQLite's times are texts in several forms
            return "CHECK (" + columns + " IS NULL OR " +
                   (plain ? columns + " >= " + target
                          : "julianday(" + columns + ") >= julianday(" + target + ")") +
                   ")";
        }
    }
    return {};
}

/// Rules that PostgreSQL has as types.
void AddSqliteTypeRules(const SchemaTable& table, std::vector<std::string>* out) {
    for (const SchemaColumn& column : table.columns) {
        if (column.kind == ColumnKind::kJson) {
            // json_valid(NULL) is 0, not NULL, before SQLite 3.45
            const std::string name(column.name);
            const std::string is_null = column.is_nullable ? name + " IS NULL OR " : "";
            out->push_back("CHECK (" + is_null + "json_valid(" + name + "))");
        } else if (column.kind == ColumnKind::kBool) {
            out->push_back("CHECK (" + std::string(column.name) + " IN (0, 1))");
        }
    }
}

std::string ColumnDefinition(SchemaHost host, const SchemaColumn& column) {
    std::string out = ColumnName(host, column.name) + " " + TypeText(host, column);
    if (!column.is_nullable) {
        out += " NOT NULL";
    }
    const std::string initial = InitialText(host, column);
    if (!initial.empty()) {
        const bool is_expression = initial.find('(') != std::string::npos;
        out += " DEFAULT " + (is_expression ? "(" + initial + ")" : initial);
    }
    return out;
}

bool IsWordByte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

/// Where the cast that begins at `at` (`::character varying(50)[]`) ends.
size_t EndOfCast(std::string_view text, size_t at) {
    constexpr std::string_view kSecondWords[] = {" varying", " precision", " with time zone",
                                                 " without time zone"};
    at += 2;
    while (at < text.size() && (IsWordByte(text[at]) || text[at] == '"' || text[at] == '.')) {
        ++at;
    }
    for (const std::string_view words : kSecondWords) {
        if (text.substr(at, words.size()) == words) {
            at += words.size();
        }
    }
    if (at < text.size() && text[at] == '(') {
        at = std::min(text.find(')', at), text.size() - 1) + 1;
    }
    return text.substr(at, 2) == "[]" ? at + 2 : at;
}

}  // namespace

std::string QuotedName(std::string_view name) {
    std::string out = "\"";
    for (const char c : name) {
        out += c;
        if (c == '"') {
            out += c;
        }
    }
    return out + "\"";
}

std::string TypeText(SchemaHost host, const SchemaColumn& column) {
    const bool plain = !IsPostgres(host);
    switch (column.kind) {
        case ColumnKind::kUuid:
            return plain ? "TEXT" : "uuid";
        case ColumnKind::kVarchar:
            return plain ? "TEXT" : "character varying(" + std::to_string(column.width) + ")";
        case ColumnKind::kText:
            return plain ? "TEXT" : "text";
        case ColumnKind::kJson:
            return plain ? "TEXT" : "jsonb";
        case ColumnKind::kTime:
            return plain ? "TEXT" : "timestamp with time zone";
        case ColumnKind::kInteger:
            return plain ? "INTEGER" : "integer";
        case ColumnKind::kBool:
            return plain ? "INTEGER" : "boolean";
    }
    return {};
}

std::string InitialText(SchemaHost host, const SchemaColumn& column) {
    if (column.initial == "uuid") {
        return IsPostgres(host) ? "gen_random_uuid()" : std::string(kSqliteUuid);
    }
    if (column.initial == "now") {
        return IsPostgres(host) ? "now()" : std::string(kSqliteNow);
    }
    if (!IsPostgres(host) && column.kind == ColumnKind::kBool) {
        return column.initial == "true" ? "1" : "0";
    }
    return std::string(column.initial);
}

std::vector<std::string> ConstraintTexts(SchemaHost host, const SchemaTable& table,
                                         bool as_stored) {
    std::vector<std::string> out = {"PRIMARY KEY (id)"};
    for (const SchemaRule& rule : table.rules) {
        out.push_back(RuleText(host, rule, as_stored));
    }
    if (!IsPostgres(host)) {
        AddSqliteTypeRules(table, &out);
    }
    return out;
}

std::string IndexText(SchemaHost host, const SchemaIndex& index, bool as_stored) {
    std::string out;
    if (IsPostgres(host)) {
        out = index.is_gin ? "gin " : "btree ";
    }
    out += "(" + ColumnList(host, index.columns) + ")";
    if (!index.only.empty()) {
        out += " WHERE " + (index.values.empty()
                                ? ColumnName(host, index.only) + " IS NOT NULL"
                                : OneOfText(host, index.only, index.values, as_stored));
    }
    return out;
}

std::string CreateTableSql(SchemaHost host, std::string_view schema, const SchemaTable& table) {
    std::string body;
    for (const SchemaColumn& column : table.columns) {
        body += (body.empty() ? "\n    " : ",\n    ") + ColumnDefinition(host, column);
    }
    for (std::string& constraint : ConstraintTexts(host, table, false)) {
        const size_t target = constraint.find("REFERENCES ");
        if (IsPostgres(host) && target != std::string::npos) {  // SQLite: always the same database
            constraint.insert(target + 11, QuotedName(schema) + ".");
        }
        body += ",\n    " + constraint;
    }
    return "CREATE TABLE " + QuotedName(schema) + "." + std::string(table.name) + " (" + body +
           (IsPostgres(host) ? "\n)" : "\n) STRICT");
}

std::string CreateIndexSql(SchemaHost host, std::string_view schema, const SchemaIndex& index) {
    const std::string prefix = QuotedName(schema) + ".";
    const std::string name(index.name), table(index.table);
    return IsPostgres(host) ? "CREATE INDEX " + name + " ON " + prefix + table + " USING " +
                                  IndexText(host, index, false)
                            : "CREATE INDEX " + prefix + name + " ON " + table + " " +
                                  IndexText(host, index, false);
}

std::string Bare(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '\'') {
            const size_t end = std::min(text.find('\'', at + 1), text.size() - 1) + 1;
            out += text.substr(at, end - at);
            at = end;
        } else if (text.substr(at, 2) == "::") {
            at = EndOfCast(text, at);
        } else {
            constexpr std::string_view kLeftOut = " \t\r\n()\"`";
            if (kLeftOut.find(c) == std::string_view::npos) {
                out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            }
            ++at;
        }
    }
    return out;
}

}  // namespace upkeep::workflow
