// SPDX-License-Identifier: PostgreSQL
#include "json_text.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

namespace upkeep::advisor {

namespace {

// A smaller table is parsed faster than anything is looked up.
constexpr double kMinRows = 1000;

bool LooksInto(const WhatIf& port, const WorkloadItem& item, const health::JsonColumn& column) {
    return std::any_of(
        item.statement.uses.begin(), item.statement.uses.end(), [&](const RelationUse& use) {
            const Relation& relation = port.relation(use.relation);
            return relation.display_name == column.table_name && relation.rows >= kMinRows &&
                   std::any_of(use.parsed_json.begin(), use.parsed_json.end(), [&](int place) {
                       return relation.columns[static_cast<size_t>(place)].name == column.name;
                   });
        });
}

bool IsNamePart(char c) {
    return c == '_' || c == '$' || std::isalnum(static_cast<unsigned char>(c)) != 0;
}

/// A call of json_…( or a cast to json, not to jsonb; `text` in lower case.
bool UsesJsonType(std::string_view text) {
    for (size_t at = text.find("json"); at != std::string_view::npos;
         at = text.find("json", at + 4)) {
        if (at > 0 && IsNamePart(text[at - 1])) {
            continue;
        }
        size_t end = at + 4;
        while (end < text.size() && IsNamePart(text[end])) {
            ++end;
        }
        const std::string_view word = text.substr(at, end - at);
        const std::string_view before = text.substr(0, at);
        const bool is_call = word.starts_with("json_") && end < text.size() && text[end] == '(';
        const bool is_cast = word == "json" && (before.ends_with("::") || before.ends_with("as "));
        if (is_call || is_cast) {
            return true;
        }
    }
    return false;
}

/// Functions of json are not those of jsonb: such a statement would fail after the conversion.
bool NeedsJson(const WhatIf& port, const WorkloadItem& item, std::string_view text,
               const health::JsonColumn& column) {
    const bool is_named = std::any_of(
        item.statement.uses.begin(), item.statement.uses.end(), [&](const RelationUse& use) {
            return port.relation(use.relation).display_name == column.table_name;
        });
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    });
    return is_named && UsesJsonType(lower);
}

health::IndexFinding FindingOf(const health::JsonColumn& column, size_t count, bool needs_json) {
    health::IndexFinding finding;
    finding.code = "json_without_jsonb";
    finding.severity = "low";
    finding.table_name = column.table_name;
    finding.evidence =
        std::to_string(count) +
        (count == 1 ? " captured statement looks" : " captured statements look") + " into " +
        column.name +
        ", which is json: its text is parsed again for each row, and GIN cannot index it";
    if (!column.blocked_by.empty()) {
        finding.evidence += "; no fix is offered: " + column.blocked_by;
    } else if (needs_json) {
        finding.evidence +=
            "; no fix is offered: captured statements use functions or casts of json on the table, "
            "which jsonb does not have";
    } else {
        const auto convert = [&](const std::string& type) {
            return "ALTER TABLE " + column.table_sql + " ALTER COLUMN " + column.name_sql +
                   " TYPE " + type + " USING " + column.name_sql + "::" + type;
        };
        finding.fix_sql = convert("jsonb");
        finding.undo_sql = convert("json");
        finding.evidence +=
            "; the fix rewrites the table while nobody can use it, and forgets white space, the "
            "order of keys and all but the last of equal ones, which the undo does not bring back";
    }
    return finding;
}

}  // namespace

void FindJsonText(const WhatIf& port, const Workload& workload,
                  const std::vector<WorkloadStatement>& given,
                  const health::IndexInventory& inventory,
                  std::vector<health::IndexFinding>* findings) {
    for (const health::JsonColumn& column : inventory.json_columns) {
        size_t count = 0;
        bool needs_json = false;
        for (const WorkloadItem& item : workload.items) {
            count += LooksInto(port, item, column) ? 1 : 0;
            needs_json = needs_json || NeedsJson(port, item, given[item.number - 1].text, column);
        }
        if (count > 0 && !column.is_indexed) {
            findings->push_back(FindingOf(column, count, needs_json));
        }
    }
}

}  // namespace upkeep::advisor
